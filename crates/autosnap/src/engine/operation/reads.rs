// SPDX-License-Identifier: GPL-3.0-only
//! Reads of one guest during an operation: its snapshots, its configuration and its node.

use std::time::Duration;

use autosnap_core::event::{Failure, StopReason};
use autosnap_core::snapshot::Snapshot;
use pve_client::{Client, Error, SnapshotListing};
use tokio::time::Instant;

use super::guest_client::GuestClient;
use super::request::{Operation, RequestEffect};
use crate::engine::location::{GuestLocation, SnapshotList};
use crate::fatal_errors::is_access_lost;
use crate::inventory::{self, Lock};

/// How long the reads after the end of a task may take, even if less of the timeout is left.
const FINAL_READS: Duration = Duration::from_secs(10);

impl GuestClient {
    /// The guest's current snapshots: the last list if it is fresh, or a new one. `location` is updated if the
    /// guest has moved.
    pub(in crate::engine) async fn list(
        &self,
        location: &mut GuestLocation,
    ) -> Result<Vec<Snapshot>, Failure> {
        if let Some(snapshots) = location.take_fresh_list() {
            return Ok(snapshots);
        }
        location.reads_end_at = None;
        match self.listing_on_any_node(location).await {
            Ok(listing) => Ok(inventory::snapshots(listing)),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Whether the VM runs and this snapshot of it has no RAM state; `false` if the snapshots cannot be listed.
    /// The list is kept for the removals.
    pub(in crate::engine) async fn lacks_ram(
        &self,
        location: &mut GuestLocation,
        snapshot: &str,
    ) -> bool {
        let sent_at = Instant::now();
        let Ok(listing) = self.listing_on_any_node(location).await else {
            return false;
        };
        let lacks_ram = listing.running == Some(true)
            && listing
                .find(snapshot)
                .is_some_and(|entry| entry.state.is_none() && !entry.has_memory);
        location.listed = Some(SnapshotList {
            snapshots: inventory::snapshots(listing),
            current_at: sent_at,
        });
        lacks_ram
    }

    pub(super) async fn listing(&self, location: &GuestLocation) -> Result<SnapshotListing, Error> {
        let GuestLocation {
            node, kind, vmid, ..
        } = location;
        let reader = self.reader(location);
        let listing = reader.snapshots(node, *kind, vmid.get()).await;
        self.check_access(listing)
    }

    /// The client for the reads of an operation. They end at its deadline, or shortly after now if that has passed.
    pub(super) fn reader(&self, location: &GuestLocation) -> Client {
        match location.reads_end_at {
            Some(deadline) => {
                let deadline = deadline.max(Instant::now() + FINAL_READS.min(self.timeout()));
                self.api.with_deadline(deadline)
            }
            None => self.api.clone(),
        }
    }

    /// Stops the run if no request can succeed any more; returns the result unchanged.
    pub(super) fn check_access<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && (is_access_lost(error) || self.api.is_server_lost())
        {
            self.stop.request(StopReason::ServerLost);
        }
        result
    }

    /// Lists the snapshots; updates `location` if the guest has moved.
    pub(super) async fn listing_on_any_node(
        &self,
        location: &mut GuestLocation,
    ) -> Result<SnapshotListing, Error> {
        match self.listing(location).await {
            Err(error) if error.is_guest_missing() && self.relocate(location).await => {
                self.listing(location).await
            }
            other => other,
        }
    }

    /// The guest's lock; `None` also if it cannot be read, because the next request then fails with the reason. Updates
    /// `location`, because the guest may have been locked for its migration.
    pub(in crate::engine) async fn lock_of(&self, location: &mut GuestLocation) -> Option<Lock> {
        let config = match self.config(location).await {
            Err(error) if error.is_guest_missing() && self.relocate(location).await => {
                self.config(location).await
            }
            other => other,
        };
        Lock::of(&config.ok()?)
    }

    /// Whether a running task is listed for the guest; `false` if the tasks cannot be listed.
    pub(in crate::engine) async fn task_runs(&self, location: &GuestLocation) -> bool {
        let reader = self.reader(location);
        let runs = inventory::task_runs(&reader, &location.node, location.vmid).await;
        self.check_access(runs).unwrap_or(false)
    }

    async fn config(&self, location: &GuestLocation) -> Result<pve_client::GuestConfig, Error> {
        let GuestLocation {
            node, kind, vmid, ..
        } = location;
        let reader = self.reader(location);
        self.check_access(reader.guest_config(node, *kind, vmid.get()).await)
    }

    /// Looks up the guest's node; returns whether it is another one.
    async fn relocate(&self, location: &mut GuestLocation) -> bool {
        let node = self.node_of(location).await;
        node.ok()
            .flatten()
            .is_some_and(|node| location.move_to(node))
    }

    pub(super) async fn node_of(&self, location: &GuestLocation) -> Result<Option<String>, Error> {
        self.check_access(inventory::node_of(&self.reader(location), location.vmid).await)
    }

    /// The effect of the operation, as the guest's snapshots show it; `None` if they cannot be listed.
    pub(super) async fn inspect(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
    ) -> Option<RequestEffect> {
        let listing = self.listing_on_any_node(location).await;
        listing.ok().map(|listing| operation.effect_in(&listing))
    }
}
