// SPDX-License-Identifier: GPL-3.0-only
//! The task of a request, followed to its end, and what that end says of the operation.

use autosnap_core::event::{Cause, Effect, Failure, StopReason, Success};
use autosnap_core::plan::DropReason;
use pve_client::{Error, TaskExit, Upid, WaitError, WaitPolicy, says_guest_is_missing};
use tokio::time::Instant;

use super::asked::Seen;
use super::location::Meanwhile;
use super::{End, Listed, NotThere, Operation, Place, Sending, is_shut_out};
use crate::engine::{Engine, failures, pve_messages};
use crate::{inventory, remedies};

impl Engine {
    /// Waits for the end of a task that is known.
    pub(super) async fn follow(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        upid: &Upid,
        sending: &Sending,
    ) -> Result<End, NotThere> {
        place.followed.insert(upid.clone());
        place.task_started = Some(upid.started_at());
        self.tasks.started(place.vmid, upid);
        let started = Instant::now();
        let task_type = operation.task_type(place.kind);
        let mut policy = self.pace.policy(&place.node, task_type);
        let deadline = started + self.options.timeout;
        place.look_until = Some(deadline);
        let meanwhile = self.list_meanwhile(place, operation, policy).await;
        let before = started.elapsed();
        policy.first_pause = policy.first_pause.saturating_sub(before);
        let waited = self.client.wait_for_task(upid, &policy, deadline).await;
        match waited {
            Ok(waited) => {
                self.tasks.ended(place.vmid);
                // What a list of the node says may be late, and others may have had the guest since.
                let said_to_run = started + before + waited.said_running_until;
                place.listed = meanwhile.map(|meanwhile| meanwhile.until(said_to_run));
                self.pace
                    .learn(&place.node, task_type, &waited.begun_earlier(before));
                self.ended(place, operation, upid, waited.exit).await
            }
            Err(WaitError::TimedOut {
                upid,
                last_error: None,
            }) => Ok(End::Late(Box::new(self.late_task(upid, sending)))),
            Err(WaitError::TimedOut {
                upid,
                last_error: Some(error),
            }) => {
                let failure = failures::end_not_seen(&upid, self.options.timeout, &error);
                Ok(self.judge_unseen(place, operation, &error, failure).await)
            }
            Err(WaitError::Unreadable { upid, error }) => {
                let failure = failures::unreadable_task(&upid, &error);
                Ok(self.judge_unseen(place, operation, &error, failure).await)
            }
        }
    }

    /// The end of a task that cannot be seen: the guest's snapshots tell whether it succeeded, as
    /// after a lost reply.
    pub(super) async fn judge_unseen(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        error: &Error,
        failure: Failure,
    ) -> End {
        if is_shut_out(error) || self.client.is_server_lost() {
            self.stop.request(StopReason::ServerLost);
            return End::Failed(failure);
        }
        match self.see(place, operation).await {
            Some(Seen::Done) => {
                self.tasks.ended(place.vmid);
                End::Done(Success {
                    adopted: true,
                    ..Success::default()
                })
            }
            Some(seen @ (Seen::Half | Seen::NotDone)) => {
                let seen = operation.seen_in_words(Some(seen));
                End::Failed(Failure {
                    message: format!("{}; {seen}", failure.message),
                    ..failure
                })
            }
            None => End::Failed(failure),
        }
    }

    /// The guest's snapshots, read while its own task runs, before the first look at the task, so that
    /// the next removal need not wait for them. From the moment the one to be removed is marked, PVE keeps everybody else from the guest's snapshots
    /// (`snapshot_delete` in `PVE/AbstractConfig.pm` writes both the entry and the
    /// lock): such a list stays true until the task says for the last time that it runs.
    async fn list_meanwhile(
        &self,
        place: &Place,
        operation: &Operation<'_>,
        policy: WaitPolicy,
    ) -> Option<Meanwhile> {
        match operation {
            Operation::Remove { and_list: true, .. } => {}
            // While a snapshot is being taken its entry is not complete, so that no removal can be
            // confirmed by such a list.
            Operation::Create(_)
            | Operation::Remove {
                and_list: false, ..
            } => return None,
        }
        tokio::time::sleep(policy.first_pause / 2).await;
        let asked_at = Instant::now();
        let listing = self.listing(place).await.ok()?;
        let is_held = operation.seen_in(&listing) == Seen::Half;
        let listed = Listed {
            snapshots: inventory::snapshots(listing),
            true_at: asked_at,
        };
        Some(Meanwhile { listed, is_held })
    }

    pub(super) async fn ended(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        upid: &Upid,
        exit: TaskExit,
    ) -> Result<End, NotThere> {
        let vanished = matches!(exit, TaskExit::Vanished(_));
        let message = match exit {
            TaskExit::Ok => return Ok(End::Done(Success::default())),
            TaskExit::Warnings(warnings) => {
                return Ok(End::Done(Success {
                    warnings,
                    ..Success::default()
                }));
            }
            TaskExit::Failed(message) if says_guest_is_missing(&message) => {
                return Err(NotThere(failures::guest_not_on_node(message)));
            }
            TaskExit::Failed(message) => message,
            TaskExit::Vanished(_) => exit.to_string(),
        };
        let seen = self.see(place, operation).await;
        Ok(match seen {
            Some(Seen::Done) if vanished => End::Done(Success {
                adopted: true,
                ..Success::default()
            }),
            Some(Seen::NotDone) if pve_messages::is_lock(&message) => End::Locked(message),
            Some(Seen::Done) if matches!(operation, Operation::Remove { .. }) => {
                End::Dropped(DropReason::Gone)
            }
            _ if pve_messages::is_guest_lock(&message) => End::Locked(message),
            _ => End::Failed(Failure {
                cause: Cause::Task,
                effect: match seen {
                    Some(Seen::NotDone) => Effect::None,
                    Some(Seen::Half) => Effect::HalfDone,
                    Some(Seen::Done) | None => Effect::Unknown,
                },
                remedy: Some(if seen == Some(Seen::Half) {
                    place.repair(operation.snapshot_name()).into()
                } else {
                    remedies::for_task(&message, place.vmid, upid)
                }),
                message: pve_messages::explain_lost_quorum(message),
            }),
        })
    }
}
