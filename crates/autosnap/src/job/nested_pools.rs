// SPDX-License-Identifier: GPL-3.0-only
//! Whether a login sees the pools that are nested in an excluded one.
//!
//! A guest of a pool that the login may not see is listed without a pool, like a guest that is in none
//! (`PVE/API2/Cluster.pm`). If `Pool.Audit` is granted on a pool and not propagated, the guests of nested
//! pools would not be excluded.
//!
//! Limits: a nested pool that a `NoAccess` entry hides looks like one that does not exist.

use autosnap_core::select::{ExclusionRule, Inventory};
use pve_client::Client;

use crate::error::Error;
use crate::settings::JobSettings;

/// The first version of PVE with nested pools is 8.1.
const NESTED_SINCE: u32 = 8;

/// Refuses a `clean` that excludes a pool whose nested pools may be hidden. Sends one request, or none without such
/// an exclusion.
pub(super) async fn check(
    settings: &JobSettings,
    client: &Client,
    inventory: &Inventory,
) -> Result<(), Error> {
    let version = super::major(&client.version_at_connect().version);
    let pools: Vec<&str> = settings.selection.excluded_pools(inventory).collect();
    if settings.exclusions != ExclusionRule::MustMatch
        || pools.is_empty()
        || version.is_some_and(|version| version < NESTED_SINCE)
    {
        return Ok(());
    }
    let permissions = client.permissions(None).await?;
    let hides = |pool: &&&str| !permissions.propagates(&format!("/pool/{pool}"), "Pool.Audit");
    match pools.iter().find(hides) {
        None => Ok(()),
        Some(pool) => Err(Error::HiddenNestedPools {
            pool: (*pool).to_owned(),
        }),
    }
}
