// SPDX-License-Identifier: GPL-3.0-only
//! The end of a run's report: what was done, what failed and what to do about it.
//!
//! The line with the counts does not begin with dashes, as people count blocks by them, and says nothing
//! of failures if there are none, as people search reports for `fail` and `error`. `Error in task` stands
//! in the block of the guest only, so that it can be counted.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use autosnap_core::event::{GuestResult, Header};
use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::outcome::{FailedGuest, Outcome};
use autosnap_core::plan::Refusal;
use autosnap_core::text;

use super::guests::Guests;
use super::units::counted;
use super::{Lines, plan, remedies, words};

/// What the summary is made from.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) header: Option<&'a Header>,
    pub(super) outcome: &'a Outcome,
    pub(super) guests: &'a Guests,
    /// Guests of which something was created or removed.
    pub(super) begun: &'a HashSet<Vmid>,
    /// Failures that concern no single guest.
    pub(super) failures: &'a [String],
    pub(super) duration: Duration,
    /// Nothing else is printed: then its lines about failures begin with `Error`, as those of the blocks do.
    pub(super) is_all: bool,
}

/// Whether the run ended before everything was tried. Then it has no total time, which people take for
/// the mark of a complete run.
pub(super) fn is_broken_off(outcome: &Outcome) -> bool {
    outcome.broken.is_some() || outcome.interruption.is_some()
}

/// `2 snapshots created, 1 removed; guests: 2 done, 0 skipped`, and what failed, if anything has.
pub(super) fn counts(outcome: &Outcome) -> String {
    let not_reached = not_reached(outcome).count();
    let failed = outcome.failed.len() - not_reached;
    let mut text = format!(
        "{} created, {} removed; guests: {} done, {} skipped",
        counted(outcome.created, "snapshot"),
        outcome.removed,
        outcome.done,
        outcome.skipped
    );
    if failed > 0 {
        _ = write!(text, ", {failed} with errors");
    }
    if not_reached > 0 {
        _ = write!(text, ", {not_reached} not reached");
    }
    text
}

fn not_reached(outcome: &Outcome) -> impl Iterator<Item = &FailedGuest> {
    let failed = outcome.failed.iter();
    failed.filter(|failed| failed.end == GuestResult::NotReached)
}

impl Summary<'_> {
    /// All lines.
    pub(super) fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        lines.line(self.first_line());
        let postponed = self.outcome.postponed;
        if postponed > 0 {
            lines.line(format_args!(
                "{} {} left to the next run",
                counted(postponed, "removal"),
                if postponed == 1 { "is" } else { "are" }
            ));
        }
        let not_covered = &self.outcome.not_covered;
        if !not_covered.is_empty() {
            let guests = not_covered.iter().filter_map(|vmid| self.guests.get(*vmid));
            lines.line(format_args!(
                "not covered: {} ({})",
                not_covered.len(),
                listed(guests)
            ));
        }
        self.run_failures(&mut lines);
        self.offline_nodes(&mut lines);
        self.guest_failures(&mut lines);
        lines
    }

    fn first_line(&self) -> String {
        let took = text::duration(self.duration);
        let is_dry_run = self.header.is_some_and(|header| header.dry_run);
        let plan = self.guests.whole_plan();
        match plan {
            Some(_) if is_broken_off(self.outcome) && !is_dry_run => {
                format!("Broken off after {took}: {}", counts(self.outcome))
            }
            _ if is_broken_off(self.outcome) => {
                format!("Broken off after {took}: nothing was created or removed")
            }
            Some(plan) if is_dry_run => {
                let totals = plan::totals(plan, self.outcome.failed.len());
                format!("Dry run: nothing was changed; {totals}")
            }
            Some(_) | None => format!("{}; took {took}", counts(self.outcome)),
        }
    }

    /// What makes the exit status another one than 0, beside the guests that failed.
    fn run_failures(&self, lines: &mut Lines) {
        let outcome = self.outcome;
        if let Some(interruption) = outcome.interruption {
            let cause = words::cause_of_end(interruption);
            let guests = not_reached(outcome).filter_map(|failed| self.guests.get(failed.vmid));
            let guests = listed(guests);
            lines.line(words::error(&if guests.is_empty() {
                cause.to_owned()
            } else {
                format!("{cause}; not reached: {guests}")
            }));
        }
        if outcome.nothing_selected {
            lines.line(words::error("no guest is selected"));
        }
        for failure in self.failures {
            lines.line(words::error(failure));
        }
        if outcome.left_ambiguous > 0 {
            let count = counted(outcome.left_ambiguous, "snapshot");
            lines.line(words::error(&format!(
                "{count} not removed because ambiguous"
            )));
        }
    }

    /// One line for each node, however many guests it has.
    fn offline_nodes(&self, lines: &mut Lines) {
        let failed = self.outcome.failed.iter();
        let offline = failed.filter(|failed| is_offline(failed));
        let guests: Vec<&Guest> = offline
            .filter_map(|failed| self.guests.get(failed.vmid))
            .collect();
        let mut named = HashSet::new();
        for guest in &guests {
            if named.insert(&guest.node) {
                let of_node = guests.iter().filter(|other| other.node == guest.node);
                lines.line(format_args!(
                    "{} {}: {}",
                    self.mark(),
                    words::node_offline(&guest.node),
                    listed(of_node.copied())
                ));
            }
        }
    }

    fn guest_failures(&self, lines: &mut Lines) {
        let mut last_hint = None;
        for failed in &self.outcome.failed {
            let is_listed = failed.end == GuestResult::NotReached
                && self.outcome.interruption.is_some()
                || is_offline(failed);
            let Some(guest) = self.guests.get(failed.vmid).filter(|_| !is_listed) else {
                continue;
            };
            let (reasons, hints) = self.reasons(guest, failed);
            lines.line(format_args!(
                "{} {} {}: {reasons}",
                self.mark(),
                words::guest(guest),
                words::full_name(guest)
            ));
            for hint in hints {
                if last_hint.as_ref() != Some(&hint) {
                    lines.line(words::hint_line(&hint));
                }
                last_hint = Some(hint);
            }
        }
    }

    /// What a line about a failed guest begins with.
    fn mark(&self) -> &'static str {
        if self.is_all { "Error:" } else { "FAILED" }
    }

    /// Why a guest did not get what was asked for, and what to do about it.
    fn reasons(&self, guest: &Guest, failed: &FailedGuest) -> (String, Vec<String>) {
        match &failed.end {
            GuestResult::Refused(refusal) => {
                let refused = words::refusal(guest, refusal);
                let hint = refused.hint.clone();
                (refused.short(), hint.into_iter().collect())
            }
            GuestResult::Skipped(skip) => (
                format!("{} ({})", words::skip(guest.kind, skip), words::STRICT),
                Vec::new(),
            ),
            GuestResult::Vetoed => {
                let begun = self.begun.contains(&failed.vmid);
                (words::vetoed(begun).to_owned(), Vec::new())
            }
            GuestResult::NotReached => ("not reached".to_owned(), Vec::new()),
            GuestResult::Failed if failed.steps.is_empty() => {
                ("removals are left to the next run".to_owned(), Vec::new())
            }
            GuestResult::Done | GuestResult::Failed => {
                let failures = failed.steps.iter().map(|step| &step.failure);
                let reasons: Vec<&str> = failures
                    .clone()
                    .map(|failure| failure.message.as_str())
                    .collect();
                let hints =
                    failures.filter_map(|failure| failure.remedy.as_ref().map(remedies::hint));
                (reasons.join("; "), hints.collect())
            }
        }
    }
}

fn is_offline(failed: &FailedGuest) -> bool {
    failed.end == GuestResult::Refused(Refusal::NodeOffline)
}

/// `VM 100 web01, CT 105 dns`.
fn listed<'a>(guests: impl Iterator<Item = &'a Guest>) -> String {
    let named = guests.map(|guest| match &guest.name {
        Some(name) => format!("{} {name}", words::guest(guest)),
        None => words::guest(guest),
    });
    named.collect::<Vec<_>>().join(", ")
}
