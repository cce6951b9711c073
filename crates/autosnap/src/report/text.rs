// SPDX-License-Identifier: GPL-3.0-only
//! The report for people, in the words and the order of the C# tool.
//!
//! What concerns a guest is gathered until the guest is finished, then printed as one block.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use autosnap_core::event::{Event, Failure, GuestEnd, Header, HookEnd, HookRun};
use autosnap_core::guest::Vmid;
use autosnap_core::outcome::{FailedGuest, Outcome};
use autosnap_core::plan::Plan;
use autosnap_core::select::NestedPools;
use autosnap_core::storage::{StorageLimit, StorageUsage, StorageVerdict};

use super::guests::Guests;
use super::units::{boolean, bytes, counted, decimals, time_span};
use super::{Console, Lines, Sink, plan, words};
use crate::hook::Phase;

/// Prints the report of a run to stdout.
#[derive(Debug)]
pub struct Text {
    console: Console,
    header: Option<Header>,
    guests: Guests,
    blocks: HashMap<Vmid, Lines>,
    /// How many guests the login sees in all.
    seen: usize,
    /// Whether it is a success that no guest is selected.
    may_be_empty: bool,
    /// Guests of which something was created or removed.
    begun: HashSet<Vmid>,
    outcome: Outcome,
    debug: bool,
}

impl Text {
    /// A report; with `debug`, a dry run names the hook phases that would be called.
    pub fn new(console: Console, debug: bool) -> Self {
        Self {
            console,
            header: None,
            guests: Guests::default(),
            blocks: HashMap::new(),
            seen: 0,
            may_be_empty: false,
            begun: HashSet::new(),
            outcome: Outcome::default(),
            debug,
        }
    }

    fn line(&mut self, vmid: Vmid, text: &str) {
        self.blocks.entry(vmid).or_default().line(text);
    }

    fn selected(&mut self, event: &Event) {
        let Event::Selected {
            guests,
            seen,
            nested_pools,
            may_be_empty,
            ..
        } = event
        else {
            return;
        };
        self.guests.selected(guests);
        (self.seen, self.may_be_empty) = (*seen, *may_be_empty);
        self.console.out(&nested(nested_pools));
    }

    fn planned(&mut self, plan: &Arc<Plan>) {
        self.guests.planned(plan);
        let header = self.header.as_ref();
        if plan.guests.is_empty() {
            let selection = header.map_or("", |header| header.selection.as_str());
            let lines = nothing_selected(selection, self.seen, self.may_be_empty);
            self.console.out(&lines);
        }
        if header.is_some_and(|header| header.dry_run) {
            self.console.out(&plan::text(plan, self.debug));
        }
    }

    /// In a dry run with `--debug`, says that the hook would be called.
    fn job_phase(&self, of_snap: Phase, of_clean: Phase) -> Lines {
        let header = self.header.as_ref();
        let mut lines = Lines::default();
        match header.filter(|header| header.dry_run && self.debug) {
            Some(header) if header.command == "snap" => lines.line(plan::phase(of_snap)),
            Some(_) => lines.line(plan::phase(of_clean)),
            None => {}
        }
        lines
    }

    fn hook(&mut self, run: &HookRun) {
        let mut text = Lines::of_text(&run.output);
        match &run.end {
            HookEnd::Exited(0) => {}
            HookEnd::Exited(status) => text.line(format_args!("Script return code: {status}")),
            HookEnd::Killed => text.line("Script was ended by a signal"),
            HookEnd::TimedOut => {
                text.line("Script was ended: it ran longer than --hook-timeout allows");
            }
            HookEnd::StillOpen => {
                text.line("Script has ended, but a process that it started did not within --hook-timeout and still runs");
            }
            HookEnd::NotStarted(reason) => {
                text.line(format_args!("Script could not be started: {reason}"));
            }
        }
        match run.vmid {
            Some(vmid) => self.blocks.entry(vmid).or_default().append(&text),
            None => self.console.out(&text),
        }
    }

    fn failed(&mut self, vmid: Vmid, failure: &Failure) {
        self.line(vmid, &words::failure(failure));
        if let Some(effect) = words::effect(failure.effect) {
            self.line(vmid, &format!("  {effect}"));
        }
        if let Some(hint) = &failure.hint {
            self.line(vmid, &format!("  hint: {hint}"));
        }
    }

    fn finished(&mut self, vmid: Vmid, end: &GuestEnd, duration: std::time::Duration) {
        let worked = format!("VM execution {}", time_span(duration));
        match end {
            GuestEnd::Done | GuestEnd::Failed => self.line(vmid, &worked),
            GuestEnd::Skipped(skip) => self.line(vmid, &words::skip(skip)),
            GuestEnd::Refused(refusal) => {
                let Some(plan) = self.guests.plan(vmid) else {
                    return;
                };
                for line in words::refusal(&plan.guest, refusal).lines() {
                    self.line(vmid, &line);
                }
            }
            GuestEnd::Vetoed => {
                let text = if self.begun.contains(&vmid) {
                    "Removals left out: the hook said no"
                } else {
                    "Left out: the hook said no"
                };
                self.line(vmid, text);
                self.line(vmid, &worked);
            }
            GuestEnd::NotReached => {
                let why = self.outcome.interruption.map(words::stopped);
                let why = why.unwrap_or("the run has ended");
                self.line(vmid, &format!("Left out: {why}"));
            }
        }
        let mut block = Lines::default();
        if let Some(guest) = self.guests.get(vmid) {
            block.line(plan::head(guest));
        }
        block.append(&self.blocks.remove(&vmid).unwrap_or_default());
        self.console.out(&block);
    }

    fn started(&mut self, vmid: Vmid) {
        let notes: Vec<String> = self
            .guests
            .plan(vmid)
            .iter()
            .flat_map(|plan| &plan.notes)
            .map(|note| words::note(vmid, note))
            .collect();
        for note in notes {
            self.line(vmid, &note);
        }
    }

    fn run_finished(&mut self, duration: std::time::Duration) {
        let dry_run = self.header.as_ref().is_some_and(|header| header.dry_run);
        let mut text = self.job_phase(Phase::SnapJobEnd, Phase::CleanJobEnd);
        if dry_run {
            self.failed_guests(&mut text);
            text.line("Dry run: nothing was changed");
        } else {
            self.summary(&mut text);
        }
        text.line(format_args!("Total execution {}", time_span(duration)));
        self.console.out(&text);
    }

    fn summary(&self, text: &mut Lines) {
        let outcome = &self.outcome;
        text.line(format_args!(
            "----- {} created, {} removed; guests: {} done, {} skipped, {} failed -----",
            counted(outcome.created, "snapshot"),
            outcome.removed,
            outcome.done,
            outcome.skipped,
            outcome.failed.len()
        ));
        if outcome.postponed > 0 {
            text.line(format_args!(
                "{} {} left to the next run",
                counted(outcome.postponed, "removal"),
                if outcome.postponed == 1 { "is" } else { "are" }
            ));
        }
        self.failed_guests(text);
    }

    /// The guests that make the exit status 1, also in a dry run.
    fn failed_guests(&self, text: &mut Lines) {
        let failed = self.outcome.failed.iter();
        for line in failed.filter_map(|failed| self.failed_guest(failed)) {
            text.line(line);
        }
    }

    /// The line of a guest that did not get what was asked for.
    fn failed_guest(&self, failed: &FailedGuest) -> Option<String> {
        let guest = self.guests.get(failed.vmid)?;
        let reasons = match &failed.end {
            GuestEnd::Refused(refusal) => words::refusal(guest, refusal).short(),
            GuestEnd::Skipped(skip) => format!("{} ({})", words::skip(skip), words::STRICT),
            GuestEnd::Vetoed => words::vetoed(self.begun.contains(&failed.vmid)).to_owned(),
            GuestEnd::NotReached => "not reached".to_owned(),
            GuestEnd::Failed if failed.steps.is_empty() => {
                "removals are left to the next run".to_owned()
            }
            GuestEnd::Done | GuestEnd::Failed => {
                let steps = failed.steps.iter();
                let steps: Vec<String> = steps.map(|step| words::failure(&step.failure)).collect();
                steps.join("; ")
            }
        };
        Some(format!(
            "FAILED {} {}: {reasons}",
            words::guest(guest),
            words::full_name(guest)
        ))
    }
}

impl Sink for Text {
    fn observe(&mut self, event: &Event) {
        self.outcome.observe(event);
        if let Event::Created { vmid, .. } | Event::Removed { vmid, .. } = event {
            self.begun.insert(*vmid);
        }
        match event {
            Event::RunStarted(header) => {
                self.console.out(&head(header));
                self.header = Some(header.clone());
                let opening = self.job_phase(Phase::SnapJobStart, Phase::CleanJobStart);
                self.console.out(&opening);
            }
            Event::Selected { .. } => self.selected(event),
            // The journal's report sends these with fields.
            Event::Warned(_)
            | Event::NameNotKnown(_)
            | Event::UnreadableEntry(_)
            | Event::MissingObject(_)
                if self.console.leads_to_journal() => {}
            // In the report, as cron sends a mail for output on stderr.
            Event::Warned(warning)
            | Event::NameNotKnown(warning)
            | Event::UnreadableEntry(warning)
            | Event::MissingObject(warning) => {
                let mut line = Lines::default();
                line.line(format_args!("WARNING: {warning}"));
                self.console.out(&line);
            }
            Event::StoragesRead { storages, limit } => {
                self.console.out(&storage_table(storages, *limit));
            }
            Event::StoragesNotRead(version) => {
                let mut text = Lines::default();
                text.line(format_args!(
                    "The Proxmox VE version {version} does not verify the storage % usage!"
                ));
                self.console.out(&text);
            }
            Event::Planned(plan) => self.planned(plan),
            Event::HookRan(run) => self.hook(run),
            Event::GuestStarted(vmid) => self.started(*vmid),
            Event::GuestDeferred { vmid, cause } => self.line(*vmid, &format!("Waiting: {cause}")),
            Event::GuestResumed { vmid, waited } => {
                self.line(*vmid, &format!("Trying again after {} s", waited.as_secs()));
            }
            Event::CreationStarted { vmid, snapshot } => {
                self.line(*vmid, &format!("Create snapshot: {}", snapshot.name));
            }
            Event::RemovalStarted { vmid, name } => {
                self.line(*vmid, &format!("Remove snapshot: {name}"));
            }
            Event::Created { vmid, success } | Event::Removed { vmid, success, .. } => {
                if success.warnings > 0 {
                    self.line(*vmid, &format!("  with warnings: {}", success.warnings));
                }
                if success.adopted {
                    self.line(*vmid, "  the answer was lost; PVE shows that it was done");
                }
            }
            Event::MissingRam { vmid, snapshot } => {
                self.line(
                    *vmid,
                    &format!("  WARNING: {}", words::ram_missing(snapshot)),
                );
            }
            Event::CreationFailed { vmid, failure }
            | Event::RemovalFailed { vmid, failure, .. } => {
                self.failed(*vmid, failure);
            }
            Event::RemovalDropped { vmid, name, reason } => {
                self.line(
                    *vmid,
                    &format!("Not removed: {name}, {}", words::drop_reason(*reason)),
                );
            }
            Event::RemovalsPostponed {
                vmid,
                count,
                reason,
            } => {
                let reason = words::postpone_reason(*reason);
                self.line(
                    *vmid,
                    &format!(
                        "Left to the next run: {}, {reason}",
                        counted(*count, "removal")
                    ),
                );
            }
            Event::GuestFinished {
                vmid,
                end,
                duration,
            } => self.finished(*vmid, end, *duration),
            Event::Interrupted(interruption) => {
                self.console.error(&words::interruption(*interruption));
            }
            // Whoever called the run says `ERROR: …` when all else has been said.
            Event::RunBroken { .. } => {}
            Event::RunFinished { duration } => self.run_finished(*duration),
        }
    }
}

fn head(header: &Header) -> Lines {
    let action = if header.command == "snap" {
        "Snap"
    } else {
        "Clean"
    };
    let mut text = Lines::default();
    text.line(format_args!("ACTION {action}"));
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        text.line(format_args!("{name:<18}{value}"));
    };
    line("PVE Version:", &header.pve_version);
    line("VMs:", &header.selection);
    line("Label:", &header.label);
    line("Keep:", &header.keep);
    if header.command == "snap" {
        line("State:", &boolean(header.with_ram));
        line("Only running:", &boolean(header.only_running));
    }
    line(
        "Timeout:",
        &format_args!("{} sec.", decimals(header.timeout.as_secs_f64(), 1)),
    );
    line("Timestamp format:", &header.timestamp_format);
    if header.command == "snap" {
        line("Max % Storage :", &header.max_percent_storage);
    }
    if let Some(options) = header.one_at_a_time {
        line(
            "One at a time:",
            &format_args!("for {options}; more with --max-parallel"),
        );
    }
    // Not on stderr: cron sends a mail for it.
    for warning in &header.warnings {
        text.line(format_args!("WARNING: {warning}"));
    }
    text
}

fn storage_table(storages: &[StorageUsage], limit: StorageLimit) -> Lines {
    let mut text = Lines::default();
    if storages.is_empty() {
        text.line("----- POSSIBLE PROBLEM PERMISSION 'Datastore.Audit' -----");
        return text;
    }
    let mut line = |cells: [&str; 6]| {
        let [storage, kind, valid, used, size, usage] = cells;
        text.line(format_args!(
            "{storage:>25}{kind:>10}{valid:>10}{used:>10}{size:>12}{usage:>12}"
        ));
    };
    line([
        "Storage",
        "Type",
        "Valid",
        "Used % ",
        "Disk Size",
        "Disk Usage",
    ]);
    for storage in storages {
        let (valid, percent) = match storage.verdict(limit) {
            StorageVerdict::Ok { percent } => ("Ok", percent),
            StorageVerdict::Full { percent, .. } => ("Ko", percent),
            StorageVerdict::NotCheckable { .. } => ("n/a", 0.0),
        };
        line([
            &format!("{}/{}", storage.node, storage.storage),
            &storage.kind,
            valid,
            &decimals(percent, 1),
            &bytes(storage.total),
            &bytes(storage.used),
        ]);
    }
    text
}

/// The nested pools whose guests are selected, which the C# tool up to 2.0.1 does not select.
fn nested(pools: &[NestedPools]) -> Lines {
    let mut lines = Lines::default();
    for pools in pools {
        lines.line(pools);
    }
    lines
}

/// Where the login sees other guests, what is said of each term is nearer the truth than a guess.
fn nothing_selected(selection: &str, seen: usize, may_be_empty: bool) -> Lines {
    let mut text = Lines::default();
    if may_be_empty {
        text.line(format_args!(
            "No guest is selected by '{selection}' (--allow-empty)"
        ));
        return text;
    }
    text.line(format_args!("----- VMs with '{selection}' NOT FOUND -----"));
    if seen == 0 {
        text.line("----- POSSIBLE PROBLEM PERMISSION 'VM.Audit' -----");
    }
    if selection.to_ascii_lowercase().contains("@pool-") {
        text.line("----- POSSIBLE PROBLEM PERMISSION 'Pool.Audit' -----");
    }
    text
}
