// SPDX-License-Identifier: GPL-3.0-only
//! The summary at the end of a report: the counts, the failures and the hints. A view of the record.
//!
//! Scripts search reports: the line with the counts does not begin with dashes, which mark the block of a guest.
//! Without a failure the summary contains neither `fail` nor `error`. `Error in task` is only in the block of a guest,
//! so that it can be counted.

use std::collections::HashSet;
use std::fmt::Write as _;

use autosnap_core::event::GuestResult;
use autosnap_core::guest::NamedGuest;
use autosnap_core::plan::Refusal;
use autosnap_core::record::{GuestRecord, RunRecord, Totals};
use autosnap_core::text;
use autosnap_core::warning::Warning;

use super::units::counted;
use super::{Lines, messages, remedies, warnings};

/// The summary of a run.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    record: &'a RunRecord,
    totals: Totals,
    /// Whether only the summary is printed: then its lines about failures begin with `Error`, as in the blocks.
    is_only_output: bool,
}

/// `2 snapshots created, 1 removed; guests: 2 done, 0 skipped`, and the failures, if there are any.
pub(super) fn counts(totals: &Totals) -> String {
    let failed = totals.failed - totals.not_reached;
    let mut text = format!(
        "{} created, {} removed; guests: {} done, {} skipped",
        counted(totals.created, "snapshot"),
        totals.removed,
        totals.done,
        totals.skipped
    );
    if failed > 0 {
        _ = write!(text, ", {failed} with errors");
    }
    if totals.not_reached > 0 {
        _ = write!(text, ", {} not reached", totals.not_reached);
    }
    text
}

/// The totals of a dry run.
fn planned_counts(record: &RunRecord, totals: &Totals) -> String {
    let guests = record.guests.iter();
    let created = guests
        .clone()
        .filter(|guest| guest.planned_creation.is_some())
        .count();
    let removed: usize = guests.map(|guest| guest.planned_removals.len()).sum();
    format!(
        "would create {created}, remove {removed}; {} skipped, {} would fail",
        totals.skipped, totals.failed
    )
}

impl<'a> Summary<'a> {
    /// The summary of a run that has ended.
    pub(super) fn new(record: &'a RunRecord, is_only_output: bool) -> Self {
        Self {
            record,
            totals: record.totals(),
            is_only_output,
        }
    }

    /// All lines.
    pub(super) fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        lines.line(self.first_line());
        lines.append(&self.kept());
        let postponed = self.totals.postponed;
        if postponed > 0 {
            lines.line(format_args!(
                "{} {} left to the next run",
                counted(postponed, "removal"),
                if postponed == 1 { "is" } else { "are" }
            ));
        }
        let not_covered = self.totals.not_covered;
        if not_covered > 0 {
            let guests = self.record.guests.iter();
            let guests = listed(guests.filter(|guest| guest.is_not_covered()));
            lines.line(format_args!("not covered: {not_covered} ({guests})"));
        }
        self.run_failures(&mut lines);
        self.offline_nodes(&mut lines);
        self.guest_failures(&mut lines);
        lines
    }

    fn first_line(&self) -> String {
        let record = self.record;
        let took = text::duration(record.duration.unwrap_or_default());
        let counts = counts(&self.totals);
        if record.ended_early() && record.is_planned && !record.is_dry_run() {
            format!("Broken off after {took}: {counts}")
        } else if record.ended_early() {
            format!("Broken off after {took}: nothing was created or removed")
        } else if record.is_planned && record.is_dry_run() {
            let counts = planned_counts(record, &self.totals);
            format!("Dry run: nothing was changed; {counts}")
        } else {
            format!("{counts}; took {took}")
        }
    }

    /// The totals of the keep rules in a dry run; nothing for `--keep`.
    fn kept(&self) -> Lines {
        let mut lines = Lines::default();
        let record = self.record;
        let has_rules = record.header.as_ref().is_some_and(|one| one.keep.is_none());
        if has_rules && record.is_dry_run() && record.is_planned && !record.ended_early() {
            let guests = record.guests.iter();
            let removed: usize = guests.map(|guest| guest.planned_removals.len()).sum();
            lines.line(format_args!("{}; would remove {removed}", record.kept()));
        }
        lines
    }

    /// Adds the failures of the run, except those of single guests.
    fn run_failures(&self, lines: &mut Lines) {
        let record = self.record;
        if let Some(reason) = record.stop_reason {
            let cause = messages::cause_of_end(reason);
            let guests = listed(record.guests.iter().filter(|guest| is_not_reached(guest)));
            lines.line(messages::error(&if guests.is_empty() {
                cause.to_owned()
            } else {
                format!("{cause}; not reached: {guests}")
            }));
        }
        if record.is_nothing_selected() {
            lines.line(messages::error("no guest is selected"));
        }
        let warnings = record.warnings.iter();
        for warning in warnings.filter(|warning| Warning::is_failure(warning)) {
            lines.line(messages::error(&warnings::text(warning)));
        }
        if self.totals.left_ambiguous > 0 {
            let count = counted(self.totals.left_ambiguous, "snapshot");
            lines.line(messages::error(&format!(
                "{count} not removed because ambiguous"
            )));
        }
    }

    /// Adds one line for each offline node, with all its guests.
    fn offline_nodes(&self, lines: &mut Lines) {
        let guests: Vec<&GuestRecord> =
            self.record.failed().filter(|one| is_offline(one)).collect();
        let mut named = HashSet::new();
        for guest in &guests {
            if named.insert(&guest.node) {
                let on_node = guests.iter().filter(|other| other.node == guest.node);
                lines.line(format_args!(
                    "{} {}: {}",
                    self.failure_prefix(),
                    messages::node_offline(&guest.node),
                    listed(on_node.copied())
                ));
            }
        }
    }

    fn guest_failures(&self, lines: &mut Lines) {
        let record = self.record;
        // The run has one reason for all of them.
        let has_reason = record.stop_reason.is_some() || record.error.is_some();
        let mut last_hint = None;
        for guest in record.failed() {
            let is_listed = is_not_reached(guest) && has_reason || is_offline(guest);
            if is_listed {
                continue;
            }
            let (reasons, hints) = reasons(guest);
            lines.line(format_args!(
                "{} {} {}: {reasons}",
                self.failure_prefix(),
                messages::guest(guest.kind, guest.vmid),
                messages::full_name(NamedGuest::from(guest))
            ));
            for hint in hints {
                if last_hint.as_ref() != Some(&hint) {
                    lines.line(messages::hint_line(&hint));
                }
                last_hint = Some(hint);
            }
        }
    }

    /// The start of a line about a failed guest.
    fn failure_prefix(&self) -> &'static str {
        if self.is_only_output {
            "Error:"
        } else {
            "FAILED"
        }
    }
}

/// Why a guest has failed, and what to do about it.
fn reasons(guest: &GuestRecord) -> (String, Vec<String>) {
    match &guest.result {
        Some(GuestResult::Refused(refusal)) => {
            let refused = messages::refusal(guest, refusal);
            let hint = refused.hint.clone();
            (refused.short(), hint.into_iter().collect())
        }
        Some(GuestResult::Skipped(skip)) => (
            format!(
                "{} ({})",
                messages::skip(guest.kind, skip),
                messages::STRICT
            ),
            Vec::new(),
        ),
        Some(GuestResult::StoppedByHook) => {
            let reason = messages::stopped_by_hook(guest.has_changed());
            (reason.to_owned(), Vec::new())
        }
        Some(GuestResult::NotReached) => ("not reached".to_owned(), Vec::new()),
        Some(GuestResult::Failed) if guest.failures.is_empty() => {
            ("removals are left to the next run".to_owned(), Vec::new())
        }
        Some(GuestResult::Done | GuestResult::Failed) | None => {
            let failures = guest.failures.iter().map(|step| &step.failure);
            let reasons: Vec<&str> = failures
                .clone()
                .map(|failure| failure.message.as_str())
                .collect();
            let remedies = failures.filter_map(|failure| failure.remedy.as_ref());
            (reasons.join("; "), remedies.map(remedies::hint).collect())
        }
    }
}

fn is_not_reached(guest: &GuestRecord) -> bool {
    guest.result == Some(GuestResult::NotReached)
}

fn is_offline(guest: &GuestRecord) -> bool {
    guest.result == Some(GuestResult::Refused(Refusal::NodeOffline))
}

/// A list of guests: `VM 100 web01, CT 105 dns`.
fn listed<'a>(guests: impl Iterator<Item = &'a GuestRecord>) -> String {
    let named = guests.map(|guest| {
        let id = messages::guest(guest.kind, guest.vmid);
        match &guest.name {
            Some(name) => format!("{id} {name}"),
            None => id,
        }
    });
    named.collect::<Vec<_>>().join(", ")
}
