// SPDX-License-Identifier: GPL-3.0-only
//! The task of a request, followed to its end, and what its end means for the operation.

use autosnap_core::event::{Cause, Effect, Failure, StopReason, Success};
use autosnap_core::plan::DropReason;
use pve_client::{Error, TaskExit, Upid, WaitError, WaitPolicy, is_guest_missing_text};
use tokio::time::Instant;

use super::guest_client::GuestClient;
use super::outcome::{GuestNotOnNode, LateTask, StepOutcome, Submission};
use super::request::{Operation, RequestEffect};
use crate::engine::failures;
use crate::engine::location::{GuestLocation, SnapshotList};
use crate::fatal_errors::is_access_lost;
use crate::inventory;
use crate::pve_messages;
use crate::remedies;

/// A list of snapshots that was read while a task of this run was running.
struct EarlyList {
    list: SnapshotList,
    /// Whether the task already locked the guest.
    is_locked: bool,
}

impl EarlyList {
    /// The list after the end of the task, which was last seen running at that moment.
    fn extended_to(self, last_seen_running: Instant) -> SnapshotList {
        let mut list = self.list;
        if self.is_locked {
            list.current_at = list.current_at.max(last_seen_running);
        }
        list
    }
}

impl GuestClient {
    /// Waits for the end of a task with a known UPID.
    pub(super) async fn follow(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        upid: &Upid,
        submission: &Submission,
    ) -> Result<StepOutcome, GuestNotOnNode> {
        location.followed.insert(upid.clone());
        location.task_started = Some(upid.started_at());
        self.tasks.insert(location.vmid, upid);
        let started = Instant::now();
        let task_type = operation.task_type(location.kind);
        let mut policy = self.pace.policy(&location.node, task_type);
        let deadline = started + self.timeout();
        location.reads_end_at = Some(deadline);
        let early_list = self.list_while_running(location, operation, policy).await;
        let before = started.elapsed();
        policy.first_pause = policy.first_pause.saturating_sub(before);
        let end = self.api.wait_for_task(upid, &policy, deadline).await;
        match end {
            Ok(end) => {
                self.tasks.remove(location.vmid);
                // The list of tasks may show the end late, and another task may have changed the guest since.
                let last_seen_running = started + before + end.last_seen_running;
                location.listed = early_list.map(|early| early.extended_to(last_seen_running));
                self.pace
                    .learn(&location.node, task_type, &end.with_earlier_start(before));
                self.on_task_ended(location, operation, upid, end.exit)
                    .await
            }
            Err(WaitError::TimedOut {
                upid,
                last_error: None,
            }) => {
                let failure = failures::timed_out(&upid, self.timeout());
                let late = LateTask::new(upid, submission.clone(), failure);
                Ok(StepOutcome::Late(Box::new(late)))
            }
            Err(WaitError::TimedOut {
                upid,
                last_error: Some(error),
            }) => {
                let failure = failures::end_not_seen(&upid, self.timeout(), &error);
                Ok(self
                    .check_unreadable_task(location, operation, &error, failure)
                    .await)
            }
            Err(WaitError::Unreadable { upid, error }) => {
                let failure = failures::unreadable_task(&upid, &error);
                Ok(self
                    .check_unreadable_task(location, operation, &error, failure)
                    .await)
            }
        }
    }

    /// The outcome of a task whose end cannot be read. As after a lost reply, the guest's snapshots show whether it
    /// succeeded.
    pub(super) async fn check_unreadable_task(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        error: &Error,
        failure: Failure,
    ) -> StepOutcome {
        if is_access_lost(error) || self.api.is_server_lost() {
            self.stop.request(StopReason::ServerLost);
            return StepOutcome::Failed(failure);
        }
        match self.inspect(location, operation).await {
            Some(RequestEffect::Applied) => {
                self.tasks.remove(location.vmid);
                StepOutcome::Done(Success {
                    adopted: true,
                    ..Success::default()
                })
            }
            Some(effect @ (RequestEffect::Partial | RequestEffect::NotApplied)) => {
                let effect = operation.describe_effect(Some(effect));
                StepOutcome::Failed(Failure {
                    message: format!("{}; {effect}", failure.message),
                    ..failure
                })
            }
            None => StepOutcome::Failed(failure),
        }
    }

    /// Lists the guest's snapshots before the first poll of its task, so that the next removal need not wait for a
    /// list. Once the task has marked the snapshot, no other task can change the guest's snapshots
    /// (`snapshot_delete` in `PVE/AbstractConfig.pm` writes both the entry and the lock). So the list stays current
    /// until the last poll that finds the task running.
    async fn list_while_running(
        &self,
        location: &GuestLocation,
        operation: &Operation<'_>,
        policy: WaitPolicy,
    ) -> Option<EarlyList> {
        match operation {
            Operation::Remove {
                list_snapshots: true,
                ..
            } => {}
            // During a creation the new snapshot is incomplete, so the list cannot confirm a removal.
            Operation::Create(_)
            | Operation::Remove {
                list_snapshots: false,
                ..
            } => return None,
        }
        tokio::time::sleep(policy.first_pause / 2).await;
        let sent_at = Instant::now();
        let listing = self.listing(location).await.ok()?;
        let is_locked = operation.effect_in(&listing) == RequestEffect::Partial;
        let list = SnapshotList {
            snapshots: inventory::snapshots(listing),
            current_at: sent_at,
        };
        Some(EarlyList { list, is_locked })
    }

    /// The outcome of the operation after its task has ended.
    pub(super) async fn on_task_ended(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        upid: &Upid,
        exit: TaskExit,
    ) -> Result<StepOutcome, GuestNotOnNode> {
        let vanished = matches!(exit, TaskExit::NoResult(_));
        let message = match exit {
            TaskExit::Ok => return Ok(StepOutcome::Done(Success::default())),
            TaskExit::Warnings(warnings) => {
                return Ok(StepOutcome::Done(Success {
                    warnings,
                    ..Success::default()
                }));
            }
            TaskExit::Failed(message) if is_guest_missing_text(&message) => {
                return Err(GuestNotOnNode(failures::guest_not_on_node(message)));
            }
            TaskExit::Failed(message) => message,
            TaskExit::NoResult(_) => exit.to_string(),
        };
        let effect = self.inspect(location, operation).await;
        Ok(match effect {
            Some(RequestEffect::Applied) if vanished => StepOutcome::Done(Success {
                adopted: true,
                ..Success::default()
            }),
            Some(RequestEffect::NotApplied) if pve_messages::is_lock(&message) => {
                StepOutcome::Locked(message)
            }
            Some(RequestEffect::Applied) if matches!(operation, Operation::Remove { .. }) => {
                StepOutcome::Dropped(DropReason::Gone)
            }
            _ if pve_messages::is_guest_lock(&message) => StepOutcome::Locked(message),
            _ => StepOutcome::Failed(Failure {
                cause: Cause::Task,
                effect: match effect {
                    Some(RequestEffect::NotApplied) => Effect::None,
                    Some(RequestEffect::Partial) => Effect::HalfDone,
                    Some(RequestEffect::Applied) | None => Effect::Unknown,
                },
                remedy: Some(if effect == Some(RequestEffect::Partial) {
                    location.repair(operation.snapshot_name()).into()
                } else {
                    remedies::for_task(&message, location.vmid, upid)
                }),
                message: pve_messages::explain_lost_quorum(message),
            }),
        })
    }
}
