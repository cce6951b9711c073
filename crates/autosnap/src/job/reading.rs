// SPDX-License-Identifier: GPL-3.0-only
//! The reading of one guest: the input of its plan.
//!
//! A guest that has moved since the inventory was read is looked up once and read on its new node.

use std::collections::BTreeMap;
use std::time::Duration;

use autosnap_core::guest::{Guest, GuestConfig, GuestStatus, Vmid};
use autosnap_core::plan::{self, Action, Decision, Intent, Reading, Refusal, Skip};
use autosnap_core::retention;
use autosnap_core::select::Inventory;
use autosnap_core::snapshot::Snapshot;
use pve_client::{Client, StorageDefinition};
use tokio::sync::OnceCell;

use crate::fatal_errors::is_fatal_for_run;
use crate::inventory::{self, Lock, SnapshotReply};

/// The time limit for reading one guest: enough for two timeouts of the proxy between nodes, which gives up after 30 s
/// (`PVE/APIServer/AnyEvent.pm`).
const READ_LIMIT: Duration = Duration::from_secs(75);

/// Reads the input of the plan for a guest.
pub(super) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) intent: &'a Intent,
    pub(super) inventory: &'a Inventory,
    /// The guests that an unresolved exclusion may match.
    pub(super) unresolved: &'a BTreeMap<Vmid, String>,
    /// Whether a `clean` skips guests that are not running.
    pub(super) clean_only_running: bool,
    /// Whether the cluster has shared storages, which have a limit of their own.
    pub(super) shared_storages: bool,
    /// The configured storages, read once, for the first guest that needs them.
    pub(super) definitions: OnceCell<Vec<StorageDefinition>>,
    /// How long a run waits for a task.
    pub(super) timeout: Duration,
}

impl Reader<'_> {
    /// Decides about the guest without reading it, if possible; otherwise reads it. If the guest would be skipped as
    /// not running, its current status is read first, because the listed one may be stale.
    pub(super) async fn screen_or_read(
        &self,
        mut guest: Guest,
    ) -> Result<(Guest, Result<Reading, Decision>), pve_client::Error> {
        match self.screen(&guest) {
            None => return self.read(guest).await,
            Some(Decision::Skip(Skip::NotRunning)) => {}
            Some(decision) => return Ok((guest, Err(decision))),
        }
        let refreshed = tokio::time::timeout(READ_LIMIT, self.refresh_status(&mut guest)).await;
        let decision = match refreshed {
            Ok(Ok(())) if !self.skips_as_stopped(&guest) => return self.read(guest).await,
            Ok(Ok(())) => Decision::Skip(Skip::NotRunning),
            Ok(Err(error)) if is_fatal_for_run(&error) => return Err(error),
            Ok(Err(error)) => unreadable(error.to_string()),
            Err(_elapsed) => unreadable(timed_out(&guest)),
        };
        Ok((guest, Err(decision)))
    }

    /// Whether the guest is skipped because only running guests are selected.
    fn skips_as_stopped(&self, guest: &Guest) -> bool {
        let by_clean = self.clean_only_running && guest.status != GuestStatus::Running;
        by_clean || plan::skips_as_not_running(guest, self.intent)
    }

    /// The decision that needs no reading, if there is one. A guest that an unresolved exclusion may match needs none
    /// either.
    fn screen(&self, guest: &Guest) -> Option<Decision> {
        let decision = plan::screen(guest, self.intent, self.inventory);
        let decision = decision.or_else(|| {
            let is_skipped = self.skips_as_stopped(guest);
            is_skipped.then_some(Decision::Skip(Skip::NotRunning))
        });
        let would_be_read = matches!(decision, None | Some(Decision::Skip(Skip::NotRunning)));
        match self.unresolved.get(&guest.vmid) {
            Some(exclusion) if would_be_read => {
                Some(unreadable(plan::may_match_exclusion(exclusion)))
            }
            Some(_) | None => decision,
        }
    }

    /// Reads the guest, which may have moved to another node. The inner error is the decision if it cannot be read.
    async fn read(
        &self,
        mut guest: Guest,
    ) -> Result<(Guest, Result<Reading, Decision>), pve_client::Error> {
        let reading = tokio::time::timeout(READ_LIMIT, self.reading_on_any_node(&mut guest)).await;
        let reading = match reading {
            Ok(Ok(reading)) => Ok(reading),
            Ok(Err(error)) if is_fatal_for_run(&error) || self.client.is_server_lost() => {
                return Err(error);
            }
            Ok(Err(error)) => Err(unreadable(error.to_string())),
            Err(_elapsed) => Err(unreadable(timed_out(&guest))),
        };
        Ok((guest, reading))
    }

    /// Reads the guest, on its new node if it has moved since the inventory was read.
    async fn reading_on_any_node(&self, guest: &mut Guest) -> Result<Reading, pve_client::Error> {
        match self.reading(guest).await {
            Err(error) if error.is_guest_missing() => {
                self.relocate(guest, error).await?;
                self.reading(guest).await
            }
            other => other,
        }
    }

    /// Replaces the listed status, which may be stale, with the current one.
    async fn refresh_status(&self, guest: &mut Guest) -> Result<(), pve_client::Error> {
        guest.status = match inventory::current_status(self.client, guest).await {
            Err(error) if error.is_guest_missing() => {
                self.relocate(guest, error).await?;
                inventory::current_status(self.client, guest).await?
            }
            other => other?,
        };
        Ok(())
    }

    /// Looks up a guest that is missing on its node. Returns the error if it is on no other node.
    async fn relocate(
        &self,
        guest: &mut Guest,
        error: pve_client::Error,
    ) -> Result<(), pve_client::Error> {
        match inventory::node_of(self.client, guest.vmid).await? {
            Some(node) if node != guest.node => {
                guest.node = node;
                Ok(())
            }
            Some(_) | None => Err(error),
        }
    }

    /// Reads a guest; one with a lock but no task is read twice, because the task may have ended between the requests
    /// for lock and tasks. If the second reading shows no task either, the lock is read again: it may be gone, or
    /// belong to another task that has started since.
    async fn reading(&self, guest: &Guest) -> Result<Reading, pve_client::Error> {
        let is_snap = matches!(self.intent.action, Action::Snap(_));
        let (first, _) = self.reading_once(guest, is_snap).await?;
        if first.task_runs != Some(false) {
            return Ok(first);
        }
        let (mut second, lock) = self.reading_once(guest, true).await?;
        if second.task_runs == Some(false) {
            let (_, lock_now) = inventory::config(self.client, guest).await?;
            second.task_runs = Some(lock_now != lock);
        }
        Ok(second)
    }

    /// Reads the guest once. Returns the lock as well, if the configuration is read.
    async fn reading_once(
        &self,
        guest: &Guest,
        with_config: bool,
    ) -> Result<(Reading, Option<Lock>), pve_client::Error> {
        let is_snap = matches!(self.intent.action, Action::Snap(_));
        let (mut config, mut can_snapshot, mut storage_error) = (None, None, None);
        let mut lock = None;
        if with_config {
            let read;
            (read, lock) = inventory::config(self.client, guest).await?;
            if is_snap {
                let storages = &self.inventory.storages;
                match inventory::can_snapshot(self.client, guest, &read, storages).await? {
                    SnapshotReply::Known(reply) => can_snapshot = Some(reply),
                    SnapshotReply::StorageMissing(error) => storage_error = Some(error),
                    SnapshotReply::Unknown => {}
                }
                if storage_error.is_none() {
                    storage_error = self.unusable_storage(guest, &read).await;
                }
            }
            config = Some(read);
        }
        let snapshots = inventory::guest_snapshots(self.client, guest).await?;
        if !with_config && self.shared_storages && self.removes_any(&snapshots) {
            let read;
            (read, lock) = inventory::config(self.client, guest).await?;
            config = Some(read);
        }
        let lock_name = config.as_ref().map_or(&guest.lock, |config| &config.lock);
        let task_runs = match lock_name {
            Some(lock) if plan::is_snapshot_lock(lock) => {
                Some(inventory::task_runs(self.client, &guest.node, guest.vmid).await?)
            }
            Some(_) | None => None,
        };
        let mut newest_was_late = false;
        if is_snap && let Some(newest) = plan::newest_with_overdue(&snapshots, self.intent) {
            newest_was_late =
                inventory::took_longer(self.client, guest, newest, self.timeout).await;
        }
        let reading = Reading {
            newest_was_late,
            config,
            can_snapshot,
            storage_error,
            snapshots,
            task_runs,
        };
        Ok((reading, lock))
    }

    /// PVE's error for the first storage of the guest's disks that is disabled or restricted to other nodes
    /// (`storage_check_enabled` in `PVE/Storage.pm`). `/cluster/resources` does not list such a storage for the node;
    /// only then is the storage configuration read, which contains what the login may audit.
    async fn unusable_storage(&self, guest: &Guest, config: &GuestConfig) -> Option<String> {
        let is_listed = |storage: &str| {
            let mut usages = self.inventory.storages.iter();
            usages.any(|usage| usage.storage == storage && usage.node == guest.node)
        };
        let mut unlisted = config.storages().filter(|storage| !is_listed(storage));
        let first = unlisted.next()?;
        let definitions = self.definitions.get_or_try_init(async || {
            let listing = self.client.storages().await;
            listing.map(|listing| listing.entries)
        });
        let definitions = definitions.await.ok()?;
        std::iter::once(first).chain(unlisted).find_map(|storage| {
            let definition = definitions.iter().find(|one| one.storage == storage)?;
            if definition.disabled {
                Some(format!("storage '{storage}' is disabled"))
            } else if !definition.is_for(&guest.node) {
                let node = &guest.node;
                Some(format!(
                    "storage '{storage}' is not available on node '{node}'"
                ))
            } else {
                None
            }
        })
    }

    fn removes_any(&self, snapshots: &[Snapshot]) -> bool {
        let verdicts = retention::decide(snapshots, &self.intent.policy, None, &self.intent.now);
        retention::removals(&verdicts).next().is_some()
    }
}

fn unreadable(message: String) -> Decision {
    Decision::Refuse(Refusal::Unreadable(message))
}

fn timed_out(guest: &Guest) -> String {
    let limit = READ_LIMIT.as_secs();
    format!("node {} did not reply within {limit} s", guest.node)
}
