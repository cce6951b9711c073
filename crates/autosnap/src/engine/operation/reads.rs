// SPDX-License-Identifier: GPL-3.0-only
//! Reads of one guest during an operation: its snapshots, its configuration and its node.

use std::time::Duration;

use autosnap_core::event::{Failure, StopReason};
use autosnap_core::snapshot::Snapshot;
use pve_client::{Client, Error, SnapshotListing};
use tokio::time::Instant;

use super::asked::Seen;
use super::{Listed, Operation, Place, is_shut_out};
use crate::engine::Engine;
use crate::inventory::{self, Lock};

/// How long the reads after the end of a task may take, however little of the time-out is left.
const LAST_LOOKS: Duration = Duration::from_secs(10);

impl Engine {
    /// The guest's snapshots at this moment, as the core knows them: those listed a moment ago, or a
    /// new list. `place` follows the guest if it has moved.
    pub(in crate::engine) async fn list(
        &self,
        place: &mut Place,
    ) -> Result<Vec<Snapshot>, Failure> {
        if let Some(snapshots) = place.take_fresh_list() {
            return Ok(snapshots);
        }
        place.look_until = None;
        match self.listing_wherever(place).await {
            Ok(listing) => Ok(inventory::snapshots(listing)),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Whether the VM runs and this snapshot of it holds no RAM. What cannot be listed is not
    /// claimed. The list is kept: it is as good for the removals.
    pub(in crate::engine) async fn lacks_ram(&self, place: &mut Place, snapshot: &str) -> bool {
        let asked_at = Instant::now();
        let Ok(listing) = self.listing_wherever(place).await else {
            return false;
        };
        let lacks_ram = listing.running == Some(true)
            && listing
                .find(snapshot)
                .is_some_and(|entry| entry.state.is_none() && !entry.has_memory);
        place.listed = Some(Listed {
            snapshots: inventory::snapshots(listing),
            true_at: asked_at,
        });
        lacks_ram
    }

    pub(super) async fn listing(&self, place: &Place) -> Result<SnapshotListing, Error> {
        let Place {
            node, kind, vmid, ..
        } = place;
        let listing = self.reader(place).snapshots(node, *kind, vmid.get()).await;
        self.noted(listing)
    }

    /// The client for reads that belong to an operation: all of them end at its deadline, or shortly
    /// after now if that has passed.
    pub(super) fn reader(&self, place: &Place) -> Client {
        match place.look_until {
            Some(deadline) => {
                let deadline = deadline.max(Instant::now() + LAST_LOOKS.min(self.options.timeout));
                self.client.with_deadline(deadline)
            }
            None => self.client.clone(),
        }
    }

    /// Passes on what a read has found, and stops the run if no call can succeed any more.
    pub(super) fn noted<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &read
            && (is_shut_out(error) || self.client.is_server_lost())
        {
            self.stop.request(StopReason::ServerLost);
        }
        read
    }

    /// `place` follows the guest if it has moved.
    pub(super) async fn listing_wherever(
        &self,
        place: &mut Place,
    ) -> Result<SnapshotListing, Error> {
        match self.listing(place).await {
            Err(error) if error.is_guest_missing() && self.find_again(place).await => {
                self.listing(place).await
            }
            other => other,
        }
    }

    /// What the guest is locked for, if it can be read; if not, the request that follows says why.
    /// `place` follows the guest: what it was locked for may have been its move.
    pub(in crate::engine) async fn lock_of(&self, place: &mut Place) -> Option<Lock> {
        let config = match self.config(place).await {
            Err(error) if error.is_guest_missing() && self.find_again(place).await => {
                self.config(place).await
            }
            other => other,
        };
        Lock::of(&config.ok()?)
    }

    /// Whether a task is seen to run for the guest; not if the tasks cannot be listed.
    pub(in crate::engine) async fn task_runs(&self, place: &Place) -> bool {
        let runs = inventory::task_runs(&self.reader(place), &place.node, place.vmid).await;
        self.noted(runs).unwrap_or(false)
    }

    async fn config(&self, place: &Place) -> Result<pve_client::GuestConfig, Error> {
        let Place {
            node, kind, vmid, ..
        } = place;
        let reader = self.reader(place);
        self.noted(reader.guest_config(node, *kind, vmid.get()).await)
    }

    /// Whether the guest is on another node now.
    pub(super) async fn find_again(&self, place: &mut Place) -> bool {
        let node = self.node_of(place).await;
        node.ok().flatten().is_some_and(|node| place.go_to(node))
    }

    pub(super) async fn node_of(&self, place: &Place) -> Result<Option<String>, Error> {
        self.noted(inventory::node_of(&self.reader(place), place.vmid).await)
    }

    pub(super) async fn see(&self, place: &mut Place, operation: &Operation<'_>) -> Option<Seen> {
        let listing = self.listing_wherever(place).await;
        listing.ok().map(|listing| operation.seen_in(&listing))
    }
}
