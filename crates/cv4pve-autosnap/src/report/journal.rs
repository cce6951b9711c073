// SPDX-License-Identifier: GPL-3.0-only
//! The systemd journal, if stderr leads there: entries with fields instead of lines, so that
//! `journalctl VMID=100` and `journalctl PRIORITY=3` find them.
//!
//! After the first entry that the journal does not take, all entries are lines on stderr. Limits: no entry
//! for the progress of a guest, only for the results of steps and guests; the report itself stays on stdout.

mod wire;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use autosnap_core::event::{Event, EventKind, Failure, GuestResult, Header, StopReason};
use autosnap_core::guest::{NamedGuest, Vmid};
use autosnap_core::record::{RunRecord, RunResult};
use autosnap_core::text;
use autosnap_core::warning::Warning;

use super::guests::Guests;
use super::units::seconds;
use super::{Console, Sink, messages, remedies, summary, warnings};
use crate::exit_status::ExitStatus;

pub(super) use wire::{Entry, Journal, Priority};

/// Sends the results of each step, each guest and the run to the journal.
#[derive(Debug)]
pub struct JournalReport {
    console: Console,
    header: Option<Header>,
    guests: Guests,
    steps: HashMap<Vmid, Steps>,
    /// The guests whose skip is a failure.
    required: HashSet<Vmid>,
    /// Why the run was stopped.
    stop_reason: Option<StopReason>,
    /// Whether the run failed before there was a plan. Its error is then sent instead of an entry for each guest.
    failed_before_plan: bool,
}

/// The steps of a guest so far.
#[derive(Debug, Default)]
struct Steps {
    created: bool,
    removed: Vec<String>,
    failures: Vec<String>,
}

impl JournalReport {
    pub(super) fn new(console: Console) -> Self {
        Self {
            console,
            header: None,
            guests: Guests::default(),
            steps: HashMap::new(),
            required: HashSet::new(),
            stop_reason: None,
            failed_before_plan: false,
        }
    }

    /// The name of the guest's new snapshot, if one was planned.
    fn new_snapshot(&self, vmid: Vmid) -> Option<String> {
        let steps = self.guests.plan(vmid)?.steps()?;
        Some(steps.creation.as_ref()?.name.to_string())
    }

    /// An entry of the run, with its request.
    fn entry(&self, priority: Priority, message: &str) -> Entry {
        let entry = Entry::new(priority, &text::one_line(message));
        match &self.header {
            Some(header) => entry
                .with("COMMAND", header.command.as_str())
                .with("LABEL", &header.label)
                .with("KEEP", &header.keep_text())
                .with("POLICY", &header.policy)
                .with_some("DRY_RUN", header.dry_run.then_some("1")),
            None => entry,
        }
    }

    fn warned(&self, warning: &Warning) {
        let message = format!("WARNING: {}", warnings::text(warning));
        self.console.send(&self.entry(Priority::Warning, &message));
    }

    /// An entry of a guest.
    fn guest_entry(&self, vmid: Vmid, priority: Priority, text: &str) -> Entry {
        let guest = self.guests.get(vmid).map(NamedGuest::from);
        let name = guest.map_or_else(
            || format!("guest {vmid}"),
            |guest| {
                let id = messages::guest(guest.kind, vmid);
                format!("{id} {}", messages::full_name(guest))
            },
        );
        self.entry(priority, &format!("{name}: {text}"))
            .with("VMID", &vmid.to_string())
            .with_some("NODE", guest.map(|guest| guest.node))
            .with_some("GUEST", guest.and_then(|guest| guest.name))
    }

    fn failed(&mut self, vmid: Vmid, step: &str, snapshot: Option<&str>, failure: &Failure) {
        let text = messages::failure(failure);
        let hint = failure.remedy.as_ref().map(remedies::hint);
        let entry = self
            .guest_entry(vmid, Priority::Error, &format!("{step} failed: {text}"))
            .with("STEP", step)
            .with("RESULT", "failed")
            .with("EFFECT", messages::effect_id(failure.effect))
            .with_some("SNAPSHOT", snapshot)
            .with_some("HINT", hint.as_deref());
        self.console.send(&entry);
        self.steps.entry(vmid).or_default().failures.push(text);
    }

    fn guest_finished(&mut self, vmid: Vmid, result: &GuestResult, duration: Duration) {
        if self.failed_before_plan {
            return;
        }
        let done = self.steps.remove(&vmid).unwrap_or_default();
        let created = self.new_snapshot(vmid).filter(|_| done.created);
        let mut text = self.result_text(vmid, result, &done);
        if let Some(name) = &created {
            _ = write!(text, ", {name} created");
        }
        if !done.removed.is_empty() {
            _ = write!(text, ", {} removed", done.removed.len());
        }
        let priority = if result.is_failure(self.required.contains(&vmid)) {
            Priority::Error
        } else if matches!(result, GuestResult::Skipped(_)) {
            Priority::Notice
        } else {
            Priority::Information
        };
        let entry = self
            .guest_entry(vmid, priority, &text)
            .with("STEP", "guest")
            .with("RESULT", messages::result(result))
            .with("DURATION", &seconds(duration).to_string())
            .with_some("SNAPSHOT", created.as_deref());
        let removed = done.removed.iter();
        let entry = removed.fold(entry, |entry, name| entry.with("REMOVED", name));
        self.console.send(&entry);
    }

    /// The text for the result of a guest.
    fn result_text(&self, vmid: Vmid, result: &GuestResult, done: &Steps) -> String {
        match (result, self.guests.plan(vmid)) {
            (GuestResult::Skipped(skip), Some(plan)) => {
                let text = messages::skip(plan.guest.kind, skip);
                if self.required.contains(&vmid) {
                    format!("{text} ({})", messages::STRICT)
                } else {
                    text
                }
            }
            (GuestResult::Refused(refusal), Some(plan)) => {
                messages::refusal(&plan.guest, refusal).short()
            }
            (GuestResult::StoppedByHook, _) => {
                messages::stopped_by_hook(done.created || !done.removed.is_empty()).to_owned()
            }
            (GuestResult::NotReached, _) => match self.stop_reason {
                Some(reason) => format!("left out: {}", messages::stop_reason(reason)),
                None => messages::result(result).to_owned(),
            },
            (GuestResult::Failed, _) if !done.failures.is_empty() => {
                format!("failed: {}", done.failures.join("; "))
            }
            (
                GuestResult::Done
                | GuestResult::Failed
                | GuestResult::Skipped(_)
                | GuestResult::Refused(_),
                _,
            ) => messages::result(result).to_owned(),
        }
    }

    /// In a parallel run the report prints a guest's lines only when it has ended.
    fn started(&self, vmid: Vmid) {
        let plan = self.guests.plan(vmid);
        if plan.is_some_and(|plan| plan.steps().is_some()) {
            let entry = self
                .guest_entry(vmid, Priority::Information, "started")
                .with("STEP", "guest")
                .with("RESULT", "started");
            self.console.send(&entry);
        }
    }

    fn hook_failed(&self, vmid: Option<Vmid>, phase: &str) {
        let text = format!("hook failed in phase {phase}");
        let entry = match vmid {
            Some(vmid) => self.guest_entry(vmid, Priority::Warning, &text),
            None => self.entry(Priority::Warning, &text),
        };
        self.console
            .send(&entry.with("STEP", "hook").with("PHASE", phase));
    }
}

/// The value of `RESULT` for a run. A dry run is always `planned`, because it has changed nothing.
fn result_word(record: &RunRecord) -> &'static str {
    match record.result() {
        RunResult::Skipped => "skipped",
        RunResult::Success | RunResult::Incomplete if record.is_dry_run() => "planned",
        RunResult::Success => "done",
        RunResult::Incomplete | RunResult::Stopped(_) | RunResult::Failed(_) => "failed",
    }
}

/// The message about the end of a run.
fn end_message(record: &RunRecord, header: &Header) -> String {
    let mut text = format!("{} {}: ", header.command.as_str(), header.label);
    let error = record.error.as_ref().map(|error| &error.message);
    let prevented = error.or(record.skipped_for.as_ref());
    if record.is_planned && header.dry_run {
        text.push_str("dry run, nothing was changed");
    } else if record.is_planned || prevented.is_none() {
        text.push_str(&summary::counts(&record.totals()));
    } else {
        text.push_str("nothing done");
    }
    if let Some(why) = prevented {
        _ = write!(text, "; {why}");
    }
    text
}

impl Sink for JournalReport {
    fn observe(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted(header) => {
                self.header = Some(header.as_ref().clone());
                for warning in &header.warnings {
                    self.warned(warning);
                }
            }
            EventKind::Warned(warning) => self.warned(warning),
            EventKind::Selected {
                guests, required, ..
            } => {
                self.guests.selected(guests);
                self.required = required.iter().copied().collect();
            }
            EventKind::Planned(plan) => self.guests.planned(plan),
            EventKind::HookRan(run) => {
                if !run.end.is_success() {
                    self.hook_failed(run.vmid, &run.phase);
                }
            }
            EventKind::Created { vmid, .. } => self.steps.entry(*vmid).or_default().created = true,
            EventKind::MissingRam { vmid, snapshot } => {
                let text = messages::ram_missing(snapshot);
                let entry = self
                    .guest_entry(*vmid, Priority::Warning, &text)
                    .with("STEP", "create")
                    .with("SNAPSHOT", snapshot);
                self.console.send(&entry);
            }
            EventKind::Removed { vmid, name, .. } => {
                let steps = self.steps.entry(*vmid).or_default();
                steps.removed.push(name.clone());
            }
            EventKind::CreationFailed { vmid, failure } => {
                let name = self.new_snapshot(*vmid);
                self.failed(*vmid, "create", name.as_deref(), failure);
            }
            EventKind::RemovalFailed {
                vmid,
                name,
                failure,
            } => self.failed(*vmid, "remove", Some(name), failure),
            EventKind::GuestFinished {
                vmid,
                result,
                duration,
            } => self.guest_finished(*vmid, result, *duration),
            EventKind::GuestStarted(vmid) => self.started(*vmid),
            // The line on stderr about the stop is an entry already.
            EventKind::Stopped(reason) => {
                self.stop_reason.get_or_insert(*reason);
            }
            EventKind::RunFailed { .. } => self.failed_before_plan = !self.guests.are_planned(),
            EventKind::StoragesRead { .. }
            | EventKind::StorageCheckUnsupported { .. }
            | EventKind::Compared(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::CreationStarted { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::RemovalDropped { .. }
            | EventKind::RemovalsPostponed { .. }
            | EventKind::RunSkipped { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    fn finish(&mut self, record: &RunRecord) {
        let Some(header) = &record.header else { return };
        let totals = record.totals();
        let exit = ExitStatus::from(record.result());
        let result = result_word(record);
        let priority = match result {
            "skipped" => Priority::Notice,
            _ if exit == ExitStatus::Success => Priority::Information,
            _ => Priority::Error,
        };
        let duration = record.duration.unwrap_or_default();
        let entry = self
            .entry(priority, &end_message(record, header))
            .with("STEP", "run")
            .with("RESULT", result)
            .with("RUN_STATUS", &exit.code().to_string())
            .with("CREATED_COUNT", &totals.created.to_string())
            .with("REMOVED_COUNT", &totals.removed.to_string())
            .with("FAILED_COUNT", &totals.failed.to_string())
            .with("DURATION", &seconds(duration).to_string());
        self.console.send(&entry);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use autosnap::events::Events;
    use autosnap_core::guest::{Guest, GuestKind, GuestStatus};

    use super::*;

    #[test]
    fn a_guest_that_was_not_reached_has_its_name_and_node() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixDatagram::bind(&socket).unwrap();
        let journal = Journal::at(socket.as_os_str()).unwrap();
        let mut report = JournalReport::new(Console::to_journal(journal));
        let vmid = Vmid::new(100).unwrap();
        let guest = Guest {
            vmid,
            kind: GuestKind::Qemu,
            node: "pve1".to_owned(),
            name: Some("web01".to_owned()),
            status: GuestStatus::Running,
            template: false,
            pool: None,
            tags: Vec::new(),
            lock: None,
        };
        let (events, mut receiver) = Events::channel();
        events.emit(EventKind::Selected {
            guests: [guest].into(),
            visible: 1,
            required: [].into(),
            nested_pools: [].into(),
            tagged_off: [].into(),
            may_be_empty: false,
        });
        events.emit(EventKind::GuestFinished {
            vmid,
            result: GuestResult::NotReached,
            duration: Duration::ZERO,
        });
        while let Some(event) = receiver.try_recv() {
            report.observe(&event);
        }
        let mut buffer = [0; 4096];
        let length = listener.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        for field in ["VMID=100\n", "NODE=pve1\n", "GUEST=web01\n"] {
            assert!(text.contains(field), "{field}: {text}");
        }
        assert!(text.starts_with("MESSAGE=VM 100 web01 on pve1: "), "{text}");
    }
}
