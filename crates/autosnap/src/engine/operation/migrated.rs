// SPDX-License-Identifier: GPL-3.0-only
//! Guests that were migrated: PVE finds no configuration on the node, so nothing was done. The snapshots on the new
//! node show whether the operation is still pending.

use autosnap_core::event::Effect;
use autosnap_core::plan::DropReason;
use autosnap_core::remedy::GuestRemedy;
use pve_client::SnapshotListing;

use super::guest_client::GuestClient;
use super::outcome::{GuestNotOnNode, StepOutcome};
use super::request::{Operation, RequestEffect};
use crate::engine::location::GuestLocation;

/// Whether the operation is still pending on the guest's current node.
pub(super) enum MigrationCheck {
    /// The guest was found, and its snapshots do not show the operation.
    StillPending(GuestNotOnNode),
    Ended(StepOutcome),
}

impl GuestClient {
    /// Looks up the guest and its snapshots; updates `location`.
    pub(super) async fn check_migration(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        missing: GuestNotOnNode,
    ) -> MigrationCheck {
        match self.node_of(location).await {
            Ok(Some(node)) => {
                location.move_to(node);
            }
            Ok(None) => return MigrationCheck::Ended(missing.into_outcome()),
            Err(error) => {
                let remedy = GuestRemedy::Locate {
                    error: error.to_string(),
                };
                return MigrationCheck::Ended(missing.with_effect(Effect::None, remedy));
            }
        }
        match self.listing(location).await {
            Ok(listing) => check_listing(&listing, location, operation, missing),
            Err(error) => {
                let remedy = GuestRemedy::CheckUnlistedSnapshot {
                    node: location.node.clone(),
                    snapshot: operation.snapshot_name().to_owned(),
                    error: error.to_string(),
                };
                MigrationCheck::Ended(missing.with_effect(Effect::Unknown, remedy))
            }
        }
    }
}

fn check_listing(
    listing: &SnapshotListing,
    location: &GuestLocation,
    operation: &Operation<'_>,
    missing: GuestNotOnNode,
) -> MigrationCheck {
    let name = operation.snapshot_name();
    let effect = operation.effect_in(listing);
    MigrationCheck::Ended(match (operation, effect) {
        (Operation::Create(_) | Operation::Remove { .. }, RequestEffect::NotApplied) => {
            match operation.drop_reason(listing) {
                None => return MigrationCheck::StillPending(missing),
                Some(reason) => StepOutcome::Dropped(reason),
            }
        }
        (Operation::Create(_) | Operation::Remove { .. }, RequestEffect::Partial) => {
            missing.with_effect(Effect::HalfDone, location.repair(name))
        }
        (Operation::Remove { .. }, RequestEffect::Applied) => {
            StepOutcome::Dropped(operation.drop_reason(listing).unwrap_or(DropReason::Gone))
        }
        // The snapshot exists, but this request did not create it.
        (Operation::Create(_), RequestEffect::Applied) => {
            let remedy = GuestRemedy::CheckForeignSnapshot {
                node: location.node.clone(),
                snapshot: name.to_owned(),
            };
            missing.with_effect(Effect::Unknown, remedy)
        }
    })
}
