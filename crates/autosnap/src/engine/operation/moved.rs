// SPDX-License-Identifier: GPL-3.0-only
//! When PVE says that it has no configuration of the guest on that node, and so has done nothing:
//! the guest may be on another one. It is asked there once, if its snapshots show that what was asked
//! for is still to be done; if not, they say how it ended.

use autosnap_core::event::{Effect, Failure};
use autosnap_core::plan::DropReason;
use autosnap_core::remedy::GuestRemedy;
use pve_client::SnapshotListing;

use super::super::Engine;
use super::{End, Operation, Place, Seen};

/// PVE has found no configuration of the guest on its node: what it said.
pub(super) struct NotThere(pub(super) Failure);

impl NotThere {
    /// The end, as long as nobody has looked for the guest.
    pub(super) fn into_end(self) -> End {
        End::Failed(self.0)
    }

    fn with(self, effect: Effect, remedy: GuestRemedy) -> End {
        End::Failed(Failure {
            effect,
            remedy: Some(remedy.into()),
            ..self.0
        })
    }
}

/// What was found when the guest was looked for.
enum Judgement {
    /// The guest is there, and nothing was done to it.
    ToDo(NotThere),
    Ended(End),
}

impl Engine {
    /// Asks once more, on the node where the guest is now; `place` follows it.
    pub(super) async fn ask_elsewhere(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        not_there: NotThere,
    ) -> End {
        let asked_on = place.node.clone();
        let not_there = match self.judge(place, operation, not_there).await {
            Judgement::Ended(end) => return end,
            Judgement::ToDo(not_there) => not_there,
        };
        if place.node == asked_on {
            return not_there.with(Effect::None, run_again(place));
        }
        let not_there = match self.attempt(place, operation).await {
            Ok(end) => return end,
            Err(not_there) => not_there,
        };
        match self.judge(place, operation, not_there).await {
            Judgement::Ended(end) => end,
            Judgement::ToDo(not_there) => not_there.with(Effect::None, run_again(place)),
        }
    }

    async fn judge(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        not_there: NotThere,
    ) -> Judgement {
        match self.node_of(place).await {
            Ok(Some(node)) => {
                place.go_to(node);
            }
            Ok(None) => return Judgement::Ended(not_there.into_end()),
            Err(error) => {
                let remedy = GuestRemedy::Locate {
                    error: error.to_string(),
                };
                return Judgement::Ended(not_there.with(Effect::None, remedy));
            }
        }
        match self.listing(place).await {
            Ok(listing) => judge_by(&listing, place, operation, not_there),
            Err(error) => {
                let remedy = GuestRemedy::CheckUnlistedSnapshot {
                    node: place.node.clone(),
                    snapshot: operation.snapshot_name().to_owned(),
                    error: error.to_string(),
                };
                Judgement::Ended(not_there.with(Effect::Unknown, remedy))
            }
        }
    }
}

/// The remedy for a guest that was found after all, unchanged.
fn run_again(place: &Place) -> GuestRemedy {
    GuestRemedy::RunAgain {
        node: place.node.clone(),
    }
}

fn judge_by(
    listing: &SnapshotListing,
    place: &Place,
    operation: &Operation<'_>,
    not_there: NotThere,
) -> Judgement {
    let name = operation.snapshot_name();
    let seen = operation.seen_in(listing);
    Judgement::Ended(match (operation, seen) {
        (Operation::Create(_) | Operation::Remove { .. }, Seen::NotDone) => {
            match operation.dropped_by(listing) {
                None => return Judgement::ToDo(not_there),
                Some(reason) => End::Dropped(reason),
            }
        }
        (Operation::Create(_) | Operation::Remove { .. }, Seen::Half) => {
            not_there.with(Effect::HalfDone, place.repair(name))
        }
        (Operation::Remove { .. }, Seen::Done) => {
            End::Dropped(operation.dropped_by(listing).unwrap_or(DropReason::Gone))
        }
        // Not by this request.
        (Operation::Create(_), Seen::Done) => {
            let remedy = GuestRemedy::CheckForeignSnapshot {
                node: place.node.clone(),
                snapshot: name.to_owned(),
            };
            not_there.with(Effect::Unknown, remedy)
        }
    })
}
