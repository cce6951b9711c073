// SPDX-License-Identifier: GPL-3.0-only
//! The report for people, with the texts and the order of the C# tool.
//!
//! With one guest at a time lines are printed as they happen. Otherwise the lines of a guest are gathered
//! until it is finished, then printed as one block.

mod head;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use autosnap_core::event::{
    Command, Event, EventKind, Failure, GuestResult, Header, HookEnd, HookRun, StopReason, Success,
};
use autosnap_core::guest::Vmid;
use autosnap_core::plan::Plan;
use autosnap_core::record::RunRecord;
use autosnap_core::text;
use autosnap_core::warning::Warning;

use self::head::{head, left_out, nested, nothing_selected, storage_table};
use super::guests::Guests;
use super::summary::Summary;
use super::units::time_span;
use super::{Console, Lines, Sink, comparison, messages, plan, remedies, warnings};
use crate::exit_status::ExitStatus;
use autosnap::hook::Phase;

/// What is printed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each follows from an option of its own"
)]
pub struct TextOptions {
    /// A dry run names the hook phases that would be called.
    pub debug: bool,
    /// One guest is worked on at a time, so that its lines can be printed as they happen.
    pub one_at_a_time: bool,
    /// The plan is compared with other rules: print the comparison instead of the plan.
    pub compares: bool,
    /// Print nothing but failures: only the summary, and only if the exit status is not 0.
    pub quiet: bool,
}

/// How many guests of a plan are printed at a time.
const GUESTS_AT_ONCE: usize = 256;

/// Prints the report of a run to stdout.
#[derive(Debug)]
pub struct Text {
    console: Console,
    options: TextOptions,
    header: Option<Header>,
    /// Warnings from the time before the run started, to be printed below its head.
    early_warnings: Lines,
    guests: Guests,
    blocks: HashMap<Vmid, Lines>,
    /// The guest whose block is being printed, with one guest at a time.
    open: Option<Vmid>,
    /// How many guests the login sees in total.
    visible: usize,
    /// Whether it is a success that no guest is selected.
    may_be_empty: bool,
    /// The guests whose skip is a failure.
    required: HashSet<Vmid>,
    /// The guests with a snapshot that was created or removed.
    changed: HashSet<Vmid>,
    /// Why the run was stopped.
    stop_reason: Option<StopReason>,
    /// Whether the run failed before there was a plan. Its error is then printed instead of a block for each guest.
    failed_before_plan: bool,
}

impl Text {
    /// A report on that console.
    pub fn new(console: Console, options: TextOptions) -> Self {
        Self {
            console,
            options,
            header: None,
            early_warnings: Lines::default(),
            guests: Guests::default(),
            blocks: HashMap::new(),
            open: None,
            visible: 0,
            may_be_empty: false,
            required: HashSet::new(),
            changed: HashSet::new(),
            stop_reason: None,
            failed_before_plan: false,
        }
    }

    fn print(&self, lines: &Lines) {
        if !self.options.quiet {
            self.console.out(lines);
        }
    }

    /// Adds a line to the block of a guest.
    fn line(&mut self, vmid: Vmid, text: &str) {
        let mut lines = Lines::default();
        lines.line(text);
        self.add(vmid, &lines);
    }

    fn add(&mut self, vmid: Vmid, lines: &Lines) {
        if self.options.one_at_a_time {
            self.open(vmid);
            self.print(lines);
        } else {
            self.blocks.entry(vmid).or_default().append(lines);
        }
    }

    /// Prints the head of a guest's block, unless the block is open. The block of a guest that waited for a
    /// lock is opened again.
    fn open(&mut self, vmid: Vmid) {
        if self.open.replace(vmid) != Some(vmid) {
            self.print(&self.head_of(vmid));
        }
    }

    fn head_of(&self, vmid: Vmid) -> Lines {
        let mut head = Lines::default();
        if let Some(guest) = self.guests.get(vmid) {
            head.line(plan::head(guest));
        }
        head
    }

    fn is_snap(&self) -> bool {
        let header = self.header.as_ref();
        header.is_some_and(|header| header.command == Command::Snap)
    }

    fn warned(&mut self, warning: &Warning) {
        // The journal's report sends these with fields.
        if self.console.is_connected_to_journal() {
            return;
        }
        let mut line = Lines::default();
        line.line(format_args!("WARNING: {}", warnings::text(warning)));
        // In the report, because cron sends a mail for output on stderr.
        if self.header.is_some() {
            self.print(&line);
        } else {
            self.early_warnings.append(&line);
        }
    }

    fn selected(&mut self, event: &EventKind) {
        let EventKind::Selected {
            guests,
            visible,
            required,
            nested_pools,
            tagged_off,
            may_be_empty,
        } = event
        else {
            return;
        };
        self.guests.selected(guests);
        self.required = required.iter().copied().collect();
        (self.visible, self.may_be_empty) = (*visible, *may_be_empty);
        self.print(&nested(nested_pools));
        self.print(&left_out(tagged_off));
    }

    fn planned(&mut self, plan: &Arc<Plan>) {
        self.guests.planned(plan);
        let header = self.header.as_ref();
        if plan.guests.is_empty() {
            let selection = header.map_or("", |header| header.selection.as_str());
            self.print(&nothing_selected(
                selection,
                self.visible,
                self.may_be_empty,
            ));
        }
        if header.is_some_and(|header| header.dry_run) && !self.options.compares {
            for guests in plan.guests.chunks(GUESTS_AT_ONCE) {
                self.print(&plan::text(guests, &self.required, self.options.debug));
            }
        }
    }

    /// In a dry run with `--debug`, the line that the hook would be called.
    fn job_phase(&self, snap: Phase, clean: Phase) -> Lines {
        let header = self.header.as_ref();
        let mut lines = Lines::default();
        match header.filter(|header| header.dry_run && self.options.debug) {
            Some(header) if header.command == Command::Snap => lines.line(plan::phase(snap)),
            Some(_) => lines.line(plan::phase(clean)),
            None => {}
        }
        lines
    }

    fn hook(&mut self, run: &HookRun) {
        let mut text = Lines::from_text(&run.output);
        match &run.end {
            HookEnd::Exited(0) => {}
            HookEnd::Exited(status) => text.line(format_args!("Script return code: {status}")),
            HookEnd::Killed => text.line("Script was ended by a signal"),
            HookEnd::TimedOut => {
                text.line("Script was ended: it ran longer than --hook-timeout allows");
            }
            HookEnd::ChildStillRunning => {
                text.line("Script has ended, but a process that it started did not within --hook-timeout and still runs");
            }
            HookEnd::NotStarted(error) => {
                let error = without_error_number(error);
                text.line(format_args!("Script could not be started: {error}"));
            }
        }
        match run.vmid {
            Some(vmid) => self.add(vmid, &text),
            None => self.print(&text),
        }
    }

    fn succeeded(&mut self, vmid: Vmid, success: &Success) {
        if success.warnings > 0 {
            self.line(vmid, &format!("  with warnings: {}", success.warnings));
        }
        if success.late {
            self.line(vmid, "  took longer than --timeout");
        }
        if success.adopted {
            self.line(vmid, "  the answer was lost; PVE shows that it was done");
        }
    }

    fn failed(&mut self, vmid: Vmid, failure: &Failure) {
        self.line(vmid, &messages::failure(failure));
        if let Some(effect) = messages::effect(failure.effect) {
            self.line(vmid, &format!("  {effect}"));
        }
        if let Some(remedy) = &failure.remedy {
            self.line(vmid, &messages::hint_line(&remedies::hint(remedy)));
        }
    }

    fn guest_finished(&mut self, vmid: Vmid, result: &GuestResult, duration: Duration) {
        if self.failed_before_plan {
            return;
        }
        for line in self.last_lines(vmid, result, duration) {
            self.line(vmid, &line);
        }
        if self.options.one_at_a_time {
            self.open = None;
        } else {
            let mut block = self.head_of(vmid);
            block.append(&self.blocks.remove(&vmid).unwrap_or_default());
            self.print(&block);
        }
    }

    /// The result of a guest. As in the C# tool, `snap` prints how long a guest took only after a success.
    fn last_lines(&self, vmid: Vmid, result: &GuestResult, duration: Duration) -> Vec<String> {
        let worked = format!("VM execution {}", time_span(duration));
        let worked_of_clean = (!self.is_snap()).then(|| worked.clone());
        match result {
            GuestResult::Done => vec![worked],
            GuestResult::Failed => worked_of_clean.into_iter().collect(),
            GuestResult::Skipped(skip) => {
                let plan = self.guests.plan(vmid);
                plan.map_or_else(Vec::new, |plan| {
                    let is_required = self.required.contains(&vmid);
                    messages::skip_lines(plan.guest.kind, skip, is_required)
                })
            }
            GuestResult::Refused(refusal) => match self.guests.plan(vmid) {
                Some(plan) => messages::refusal(&plan.guest, refusal).lines(),
                None => Vec::new(),
            },
            GuestResult::StoppedByHook => {
                let error =
                    messages::error(messages::stopped_by_hook(self.changed.contains(&vmid)));
                std::iter::once(error).chain(worked_of_clean).collect()
            }
            GuestResult::NotReached => {
                let why = self.stop_reason.map(messages::stop_reason);
                let why = why.unwrap_or("the run has ended");
                vec![messages::error(&format!("left out: {why}"))]
            }
        }
    }

    fn started(&mut self, vmid: Vmid) {
        if self.options.one_at_a_time {
            self.open(vmid);
        }
        let notes: Vec<String> = self
            .guests
            .plan(vmid)
            .iter()
            .flat_map(|plan| &plan.notes)
            .map(|note| crate::report::notes::note(vmid, note))
            .collect();
        for note in notes {
            self.line(vmid, &note);
        }
    }
}

/// The text of a system's error, for hooks whose failure may be no failure of the run: people search
/// reports for `error`.
fn without_error_number(text: &str) -> String {
    let text = text.split(" (os error ").next().unwrap_or(text);
    text.replace("error", "failure")
}

impl Sink for Text {
    fn observe(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted(header) => {
                self.print(&head(header));
                self.print(&self.early_warnings);
                self.header = Some(header.as_ref().clone());
                self.print(&self.job_phase(Phase::SnapJobStart, Phase::CleanJobStart));
            }
            EventKind::Selected { .. } => self.selected(&event.kind),
            EventKind::Warned(warning) => self.warned(warning),
            EventKind::StoragesRead { storages, limit } => {
                self.print(&storage_table(storages, *limit));
            }
            EventKind::StorageCheckUnsupported { pve_version } => {
                let mut text = Lines::default();
                text.line(format_args!(
                    "The Proxmox VE version {pve_version} does not verify the storage % usage!"
                ));
                self.print(&text);
            }
            EventKind::Planned(plan) => self.planned(plan),
            EventKind::Compared(compared) => self.print(&comparison::text(compared)),
            EventKind::HookRan(run) => self.hook(run),
            EventKind::GuestStarted(vmid) => self.started(*vmid),
            EventKind::GuestDeferred { vmid, cause } => {
                self.line(*vmid, &format!("Waiting: {cause}"));
            }
            EventKind::GuestResumed {
                vmid,
                waited,
                reason,
            } => {
                let what = messages::resumed(*reason);
                let waited = text::duration(*waited);
                self.line(*vmid, &format!("{what} after {waited}"));
            }
            EventKind::CreationStarted { vmid, snapshot } => {
                self.line(*vmid, &format!("Create snapshot: {}", snapshot.name));
            }
            EventKind::RemovalStarted { vmid, name } => {
                self.line(*vmid, &format!("Remove snapshot: {name}"));
            }
            EventKind::Created { vmid, success } | EventKind::Removed { vmid, success, .. } => {
                self.changed.insert(*vmid);
                self.succeeded(*vmid, success);
            }
            EventKind::MissingRam { vmid, snapshot } => {
                let text = messages::ram_missing(snapshot);
                self.line(*vmid, &format!("  WARNING: {text}"));
            }
            EventKind::CreationFailed { vmid, failure }
            | EventKind::RemovalFailed { vmid, failure, .. } => {
                self.failed(*vmid, failure);
            }
            EventKind::RemovalDropped { vmid, name, reason } => {
                let why = messages::drop_reason(*reason);
                self.line(*vmid, &format!("Not removed: {name}, {why}"));
            }
            EventKind::RemovalsPostponed {
                vmid,
                count,
                reason,
            } => {
                self.line(*vmid, &messages::postponed(*count, *reason));
            }
            EventKind::GuestFinished {
                vmid,
                result,
                duration,
            } => self.guest_finished(*vmid, result, *duration),
            EventKind::Stopped(reason) => {
                self.stop_reason.get_or_insert(*reason);
                self.console.error(&messages::stopped(*reason));
            }
            // The caller of the run prints `ERROR: …` at the end.
            EventKind::RunFailed { .. } => self.failed_before_plan = !self.guests.are_planned(),
            EventKind::RunSkipped { .. } | EventKind::RunFinished { .. } => {}
        }
    }

    fn finish(&mut self, record: &RunRecord) {
        self.print(&self.job_phase(Phase::SnapJobEnd, Phase::CleanJobEnd));
        let quiet = self.options.quiet;
        if !quiet || ExitStatus::from(record.result()) != ExitStatus::Success {
            self.console.out(&Summary::new(record, quiet).lines());
        }
        // People take the total time for the mark of a complete run.
        if !record.ended_early() {
            let mut total = Lines::default();
            let duration = record.duration.unwrap_or_default();
            total.line(format_args!("Total execution {}", time_span(duration)));
            self.print(&total);
        }
    }
}
