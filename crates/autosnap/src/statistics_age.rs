// SPDX-License-Identifier: GPL-3.0-only
//! The age of a node's statistics in `/cluster/resources`.
//!
//! PVE does not report their age. While `pvestatd` hangs, the last statistics stay for up to five minutes,
//! and the listed uptime of a guest is behind the real one by their age. So the current uptime of one
//! running guest of each node is compared with the listed one. A guest that was restarted in between gives no age.

use std::collections::BTreeSet;
use std::time::Duration;

use autosnap_core::guest::Guest;
use autosnap_core::select::Inventory;
use autosnap_core::warning::Warning;
use pve_client::Client;

use crate::concurrent::map_concurrent;
use crate::inventory;

/// The age from which statistics are stale: `pvestatd` sends them every ten seconds.
const STALE_AGE: Duration = Duration::from_secs(60);
/// How long a run waits for a guest's status: only a warning depends on it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many guests are read in parallel.
const PARALLEL_READS: usize = 16;

/// A warning for each node of these guests whose statistics are more than a minute old.
pub(crate) async fn warnings(
    client: &Client,
    inventory: &Inventory,
    guests: &[Guest],
) -> Vec<Warning> {
    let nodes: BTreeSet<&str> = guests.iter().map(|guest| guest.node.as_str()).collect();
    let samples = nodes.into_iter().filter_map(|node| {
        let mut running = inventory.guests.iter().filter(|guest| guest.node == node);
        running.find_map(|guest| {
            let uptime = *inventory.listed_uptimes.get(&guest.vmid)?;
            Some((guest, uptime))
        })
    });
    let ages = map_concurrent(PARALLEL_READS, samples, async |(guest, listed)| {
        let (kind, vmid) = (inventory::wire_kind(guest.kind), guest.vmid.get());
        let request = client.guest_status(&guest.node, kind, vmid);
        let current = tokio::time::timeout(TIMEOUT, request).await.ok()?.ok()?;
        let age = Duration::from_secs(current.uptime.checked_sub(listed)?);
        (age > STALE_AGE).then(|| Warning::OldStatistics {
            node: guest.node.clone(),
            age,
        })
    });
    ages.await.into_iter().flatten().collect()
}
