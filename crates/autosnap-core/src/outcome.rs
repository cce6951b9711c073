// SPDX-License-Identifier: GPL-3.0-only
//! The sum of a run: what was done, what failed, and the exit status that follows.
//!
//! It is folded from the events alone, so that it cannot say anything that was not reported.

use std::sync::Arc;

use crate::event::{Effect, EventKind, Failure, GuestResult, StopReason, Success};
use crate::guest::Vmid;
use crate::plan::{Action, Decision, GuestPlan, Plan};

/// The exit status of the program. One list, here and in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// All that was asked for was done.
    Success,
    /// Something that was asked for was not done.
    Failure,
    /// Wrong usage or configuration; nothing was tried.
    Usage,
    /// No connection, the login refused, or no permission for what the whole run needs.
    Connection,
    /// SIGINT or SIGHUP ended the run early.
    Interrupted,
    /// SIGTERM ended the run early.
    Terminated,
}

impl ExitStatus {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Connection,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number for the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Connection => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What it means, in a sentence for manuals.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "All that was asked for was done.",
            Self::Failure => {
                "Something that was asked for was not done: no guest was selected, a guest, pool or node named in \
                 --vmid is not visible, a snapshot or removal failed, a guest was left out for want of storage space, because it is locked or because its node is \
                 offline, or a privilege on it is missing."
            }
            Self::Usage => {
                "Wrong usage or configuration, or an exclusion in --vmid that cannot be resolved. Nothing was tried."
            }
            Self::Connection => {
                "No connection, the login is refused, or Proxmox VE refuses what the run needs as a whole. \
                 A login that sees no guest has selected none: that is 1."
            }
            Self::Interrupted => {
                "Ended early by SIGINT (Ctrl-C) or SIGHUP. Guests under way were finished."
            }
            Self::Terminated => "Ended early by SIGTERM. Guests under way were finished.",
        }
    }
}

/// The sum of a run.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about the run, each on its own"
)]
pub struct Outcome {
    /// Snapshots created.
    pub created: usize,
    /// Snapshots removed.
    pub removed: usize,
    /// Guests that got what was asked for.
    pub done: usize,
    /// Guests left out without harm.
    pub skipped: usize,
    /// Guests without a snapshot because PVE cannot take any of them, in the order they ended. They are skipped, or have
    /// failed with `--strict`.
    pub not_covered: Vec<Vmid>,
    /// Guests that did not get what was asked for, in the order they ended.
    pub failed: Vec<FailedGuest>,
    /// Removals left to the next run.
    pub postponed: usize,
    /// Removals that are due and were never planned, because a run removes at most so many snapshots of a guest.
    pub over_limit: usize,
    /// Tasks that ended well, but with warnings.
    pub warnings: usize,
    /// What stopped the run early, if anything did.
    pub interruption: Option<StopReason>,
    /// The selection held no guest at all, and that is not allowed.
    pub nothing_selected: bool,
    /// Whether it is a success that no guest is selected (`--allow-empty`).
    may_be_empty: bool,
    /// How many snapshots `clean` keeps because their names are ambiguous: they may have been meant.
    pub left_ambiguous: usize,
    /// A name may be that of a guest on an offline node.
    pub name_not_known: bool,
    /// Entries of listings that may be guests and could not be read.
    pub unreadable_entries: usize,
    /// Terms that name a guest, pool or node that is not visible, or that can match nothing.
    pub missing_objects: usize,
    /// The guests whose skip is a failure (`--strict`).
    required: Arc<[Vmid]>,
    /// What a fault that ended the run early makes of the exit status.
    pub broken: Option<ExitStatus>,
    /// Nothing is carried out: how a guest ends is what the plan says.
    dry_run: bool,
    /// What failed so far, of guests that have not ended.
    pending: Vec<FailedStep>,
}

/// A guest that did not get what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedGuest {
    /// The guest.
    pub vmid: Vmid,
    /// How its turn ended.
    pub end: GuestResult,
    /// The steps that failed, in order.
    pub steps: Vec<FailedStep>,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// The guest.
    pub vmid: Vmid,
    /// The snapshot's name for a removal, `None` for the creation.
    pub removal_of: Option<String>,
    /// Why.
    pub failure: Failure,
}

impl Outcome {
    /// Takes one event into account.
    pub fn observe(&mut self, event: &EventKind) {
        match event {
            EventKind::RunStarted(header) => self.dry_run = header.dry_run,
            EventKind::NameNotKnown(_) => self.name_not_known = true,
            EventKind::UnreadableEntry(_) => self.unreadable_entries += 1,
            EventKind::MissingObject(_) => self.missing_objects += 1,
            EventKind::Selected {
                required,
                may_be_empty,
                ..
            } => {
                self.required = Arc::clone(required);
                self.may_be_empty = *may_be_empty;
            }
            EventKind::Planned(plan) => self.planned(plan),
            EventKind::RunBroken { exit, .. } => self.broken = Some(*exit),
            EventKind::Created { success, .. } => {
                self.created += 1;
                self.count_warnings(success);
            }
            EventKind::Removed { success, .. } => {
                self.removed += 1;
                self.count_warnings(success);
            }
            EventKind::CreationFailed { vmid, failure } => self.note(*vmid, None, failure),
            EventKind::RemovalFailed {
                vmid,
                name,
                failure,
            } => self.note(*vmid, Some(name), failure),
            EventKind::RemovalsPostponed { count, .. } => self.postponed += count,
            EventKind::GuestFinished { vmid, end, .. } => self.finish(*vmid, end),
            EventKind::Interrupted(interruption) => {
                self.interruption.get_or_insert(*interruption);
            }
            EventKind::Warned(_)
            | EventKind::StoragesRead { .. }
            | EventKind::StoragesNotRead(_)
            | EventKind::HookRan(_)
            | EventKind::GuestStarted(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::CreationStarted { .. }
            | EventKind::MissingRam { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::RemovalDropped { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    /// Whether all went well: the `STATE` of the closing hook.
    pub fn is_success(&self) -> bool {
        self.exit_status() == ExitStatus::Success
    }

    /// Whether something was done of which nobody can tell how it ended.
    pub fn has_unknown(&self) -> bool {
        self.failed
            .iter()
            .flat_map(|guest| &guest.steps)
            .any(|step| step.failure.effect == Effect::Unknown)
    }

    /// The exit status of the run; of a dry run, what the plan alone would make of it.
    pub fn exit_status(&self) -> ExitStatus {
        if let Some(exit) = self.broken {
            return exit;
        }
        match self.interruption {
            Some(StopReason::UserRequest | StopReason::TerminalClosed | StopReason::Cancelled) => {
                ExitStatus::Interrupted
            }
            Some(StopReason::Shutdown) => ExitStatus::Terminated,
            Some(StopReason::ServerLost) => ExitStatus::Connection,
            None if self.is_complete() => ExitStatus::Success,
            Some(StopReason::Hook) | None => ExitStatus::Failure,
        }
    }

    /// Whether everything was done, in a run that was not interrupted.
    fn is_complete(&self) -> bool {
        self.failed.is_empty()
            && !self.nothing_selected
            && !self.name_not_known
            && self.missing_objects == 0
            && self.unreadable_entries == 0
            && self.left_ambiguous == 0
    }

    /// Whether this end is a failure for this guest.
    pub fn is_failure(&self, vmid: Vmid, end: &GuestResult) -> bool {
        match end {
            GuestResult::Done => false,
            GuestResult::Skipped(_) => self.required.contains(&vmid),
            GuestResult::Refused(_)
            | GuestResult::Failed
            | GuestResult::Vetoed
            | GuestResult::NotReached => true,
        }
    }

    fn planned(&mut self, plan: &Plan) {
        self.nothing_selected = plan.guests.is_empty() && !self.may_be_empty;
        let is_clean = |guest: &GuestPlan| guest.action == Action::Clean;
        let cleaned = plan.guests.iter().filter(|guest| is_clean(guest));
        self.left_ambiguous = cleaned.map(GuestPlan::ambiguous_names).sum();
        self.over_limit = plan.over_limit().iter().map(|guest| guest.left).sum();
        if !self.dry_run {
            return;
        }
        for guest in &plan.guests {
            match &guest.decision {
                Decision::Proceed(_) => {}
                Decision::Skip(skip) => {
                    self.finish(guest.guest.vmid, &GuestResult::Skipped(skip.clone()));
                }
                Decision::Refuse(refusal) => {
                    self.finish(guest.guest.vmid, &GuestResult::Refused(refusal.clone()));
                }
            }
        }
    }

    fn count_warnings(&mut self, success: &Success) {
        self.warnings += usize::from(success.warnings > 0);
    }

    fn note(&mut self, vmid: Vmid, removal_of: Option<&String>, failure: &Failure) {
        self.pending.push(FailedStep {
            vmid,
            removal_of: removal_of.cloned(),
            failure: failure.clone(),
        });
    }

    fn finish(&mut self, vmid: Vmid, end: &GuestResult) {
        let steps = self
            .pending
            .extract_if(.., |step| step.vmid == vmid)
            .collect();
        if matches!(end, GuestResult::Skipped(skip) if skip.is_not_covered()) {
            self.not_covered.push(vmid);
        }
        if self.is_failure(vmid, end) {
            self.failed.push(FailedGuest {
                vmid,
                end: end.clone(),
                steps,
            });
        } else if matches!(end, GuestResult::Skipped(_)) {
            self.skipped += 1;
        } else {
            self.done += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Refusal, Skip};
    use std::time::Duration;

    fn vmid(number: u32) -> Vmid {
        Vmid::new(number).unwrap()
    }

    fn finished(number: u32, end: GuestResult) -> EventKind {
        EventKind::GuestFinished {
            vmid: vmid(number),
            end,
            duration: Duration::ZERO,
        }
    }

    fn fold(events: &[EventKind]) -> Outcome {
        let mut outcome = Outcome::default();
        for event in events {
            outcome.observe(event);
        }
        outcome
    }

    fn check(events: &[EventKind], expected: ExitStatus) {
        assert_eq!(fold(events).exit_status(), expected, "{events:?}");
    }

    #[test]
    fn skipped_guests_do_no_harm() {
        check(
            &[
                finished(100, GuestResult::Done),
                finished(101, GuestResult::Skipped(Skip::Template)),
            ],
            ExitStatus::Success,
        );
    }

    #[test]
    fn a_skipped_guest_that_is_required_is_a_failure() {
        let selected = EventKind::Selected {
            guests: Arc::default(),
            seen: 2,
            required: [vmid(101)].into(),
            nested_pools: Arc::default(),
            may_be_empty: false,
        };
        let skip = |number| finished(number, GuestResult::Skipped(Skip::Template));
        check(&[selected.clone(), skip(100)], ExitStatus::Success);
        check(&[selected, skip(100), skip(101)], ExitStatus::Failure);
    }

    #[test]
    fn what_is_asked_for_and_not_visible_is_a_failure() {
        let missing = EventKind::MissingObject("`999` matches no guest".into());
        check(
            &[missing, finished(100, GuestResult::Done)],
            ExitStatus::Failure,
        );
    }

    #[test]
    fn a_refused_failed_vetoed_or_unreached_guest_is_a_failure() {
        for end in [
            GuestResult::Refused(Refusal::NodeOffline),
            GuestResult::Failed,
            GuestResult::Vetoed,
            GuestResult::NotReached,
        ] {
            check(
                &[finished(100, GuestResult::Done), finished(101, end)],
                ExitStatus::Failure,
            );
        }
    }

    #[test]
    fn an_interruption_decides_the_exit_status() {
        let stopped = |by| {
            [
                EventKind::Interrupted(by),
                finished(100, GuestResult::Failed),
            ]
        };
        check(&stopped(StopReason::UserRequest), ExitStatus::Interrupted);
        check(
            &stopped(StopReason::TerminalClosed),
            ExitStatus::Interrupted,
        );
        check(&stopped(StopReason::Shutdown), ExitStatus::Terminated);
        check(&stopped(StopReason::Hook), ExitStatus::Failure);
        check(&stopped(StopReason::ServerLost), ExitStatus::Connection);
    }

    #[test]
    fn a_fault_decides_the_exit_status() {
        let broken = EventKind::RunBroken {
            exit: ExitStatus::Connection,
            message: "no host could be reached".into(),
        };
        check(
            &[finished(100, GuestResult::Failed), broken],
            ExitStatus::Connection,
        );
    }

    #[test]
    fn the_first_interruption_counts() {
        let events = [
            EventKind::Interrupted(StopReason::Shutdown),
            EventKind::Interrupted(StopReason::UserRequest),
        ];
        check(&events, ExitStatus::Terminated);
    }

    #[test]
    fn failed_steps_are_kept_with_their_guest() {
        let failure = Failure {
            cause: crate::event::Cause::Connection,
            effect: Effect::Unknown,
            message: "lost".into(),
            remedy: None,
        };
        let outcome = fold(&[
            EventKind::CreationFailed {
                vmid: vmid(100),
                failure: failure.clone(),
            },
            EventKind::RemovalFailed {
                vmid: vmid(101),
                name: "autoa1".into(),
                failure,
            },
            finished(101, GuestResult::Failed),
            finished(100, GuestResult::Failed),
        ]);
        let steps: Vec<_> = outcome
            .failed
            .iter()
            .map(|guest| (guest.vmid.get(), guest.steps.len()))
            .collect();
        assert_eq!(steps, [(101, 1), (100, 1)]);
        assert!(outcome.has_unknown());
        assert_eq!(
            outcome.failed[0].steps[0].removal_of.as_deref(),
            Some("autoa1")
        );
    }
}
