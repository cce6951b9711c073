// SPDX-License-Identifier: GPL-3.0-only
//! The systemd journal, where it is what stderr leads to: entries with fields instead of lines, so
//! that `journalctl VMID=100` and `journalctl PRIORITY=3` find something.
//!
//! From the first entry on that the journal does not take, all of them are lines on stderr. Limits: no
//! entry for what a guest is at, only for how steps and guests end; the report itself stays on stdout.

mod wire;

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, GuestResult, Header};
use autosnap_core::guest::Vmid;
use autosnap_core::outcome::{ExitStatus, Outcome};
use autosnap_core::text;

use super::guests::Guests;
use super::units::seconds;
use super::words::full_name;
use super::{Console, Sink, remedies, summary, words};

pub(super) use wire::{Entry, Journal, Priority};

/// Tells the journal how each step, each guest and the run have ended.
#[derive(Debug)]
pub struct JournalReport {
    console: Console,
    header: Option<Header>,
    guests: Guests,
    done: HashMap<Vmid, Done>,
    outcome: Outcome,
    /// What ended the run early, or kept it from beginning.
    broken: Option<String>,
}

/// What a guest has got so far, and what it has not.
#[derive(Debug, Default)]
struct Done {
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
            done: HashMap::new(),
            outcome: Outcome::default(),
            broken: None,
        }
    }

    /// The name of the guest's new snapshot, if one was planned.
    fn new_snapshot(&self, vmid: Vmid) -> Option<String> {
        let steps = self.guests.plan(vmid)?.steps()?;
        Some(steps.creation.as_ref()?.name.to_string())
    }

    /// An entry of the run, with what was asked for.
    fn entry(&self, priority: Priority, message: &str) -> Entry {
        let entry = Entry::new(priority, &text::one_line(message));
        match &self.header {
            Some(header) => entry
                .with("COMMAND", header.command)
                .with("LABEL", &header.label)
                .with("KEEP", &header.keep.to_string())
                .with_some("DRY_RUN", header.dry_run.then_some("1")),
            None => entry,
        }
    }

    fn warned(&self, warning: &str) {
        let message = format!("WARNING: {warning}");
        self.console.tell(&self.entry(Priority::Warning, &message));
    }

    /// An entry of a guest.
    fn guest_entry(&self, vmid: Vmid, priority: Priority, text: &str) -> Entry {
        let guest = self.guests.get(vmid);
        let name = guest.map_or_else(
            || format!("guest {vmid}"),
            |guest| format!("{} {}", words::guest(guest), full_name(guest)),
        );
        self.entry(priority, &format!("{name}: {text}"))
            .with("VMID", &vmid.to_string())
            .with_some("NODE", guest.map(|guest| guest.node.as_str()))
            .with_some("GUEST", guest.and_then(|guest| guest.name.as_deref()))
    }

    fn failed(&mut self, vmid: Vmid, step: &str, snapshot: Option<&str>, failure: &Failure) {
        let text = words::failure(failure);
        let hint = failure.remedy.as_ref().map(remedies::hint);
        let entry = self
            .guest_entry(vmid, Priority::Error, &format!("{step} failed: {text}"))
            .with("STEP", step)
            .with("RESULT", "failed")
            .with("EFFECT", words::effect_id(failure.effect))
            .with_some("SNAPSHOT", snapshot)
            .with_some("HINT", hint.as_deref());
        self.console.tell(&entry);
        self.done.entry(vmid).or_default().failures.push(text);
    }

    fn finished(&mut self, vmid: Vmid, end: &GuestResult, duration: Duration) {
        let done = self.done.remove(&vmid).unwrap_or_default();
        let created = self.new_snapshot(vmid).filter(|_| done.created);
        let mut text = self.said(vmid, end, &done);
        if let Some(name) = &created {
            _ = write!(text, ", {name} created");
        }
        if !done.removed.is_empty() {
            _ = write!(text, ", {} removed", done.removed.len());
        }
        let priority = if self.outcome.is_failure(vmid, end) {
            Priority::Error
        } else if matches!(end, GuestResult::Skipped(_)) {
            Priority::Notice
        } else {
            Priority::Information
        };
        let entry = self
            .guest_entry(vmid, priority, &text)
            .with("STEP", "guest")
            .with("RESULT", words::result(end))
            .with("DURATION", &seconds(duration).to_string())
            .with_some("SNAPSHOT", created.as_deref());
        let removed = done.removed.iter();
        let entry = removed.fold(entry, |entry, name| entry.with("REMOVED", name));
        self.console.tell(&entry);
    }

    /// How a guest has ended, in words.
    fn said(&self, vmid: Vmid, end: &GuestResult, done: &Done) -> String {
        match (end, self.guests.plan(vmid)) {
            (GuestResult::Skipped(skip), Some(plan)) => {
                let text = words::skip(plan.guest.kind, skip);
                if self.outcome.is_failure(vmid, end) {
                    format!("{text} ({})", words::STRICT)
                } else {
                    text
                }
            }
            (GuestResult::Refused(refusal), Some(plan)) => {
                words::refusal(&plan.guest, refusal).short()
            }
            (GuestResult::Vetoed, _) => {
                words::vetoed(done.created || !done.removed.is_empty()).to_owned()
            }
            (GuestResult::NotReached, _) => match self.outcome.interruption {
                Some(interruption) => format!("left out: {}", words::stopped(interruption)),
                None => words::result(end).to_owned(),
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
            ) => words::result(end).to_owned(),
        }
    }

    /// In a parallel run the report has a guest's lines only when it has ended.
    fn started(&self, vmid: Vmid) {
        let plan = self.guests.plan(vmid);
        if plan.is_some_and(|plan| plan.steps().is_some()) {
            let entry = self
                .guest_entry(vmid, Priority::Information, "started")
                .with("STEP", "guest")
                .with("RESULT", "started");
            self.console.tell(&entry);
        }
    }

    fn hook_failed(&self, vmid: Option<Vmid>, phase: &str) {
        let text = format!("hook failed in phase {phase}");
        let entry = match vmid {
            Some(vmid) => self.guest_entry(vmid, Priority::Warning, &text),
            None => self.entry(Priority::Warning, &text),
        };
        self.console
            .tell(&entry.with("STEP", "hook").with("PHASE", phase));
    }

    fn run_finished(&self, duration: Duration) {
        let Some(header) = &self.header else { return };
        let outcome = &self.outcome;
        let status = outcome.exit_status();
        let result = self.result(header, status);
        let priority = match result {
            "skipped" => Priority::Notice,
            _ if status == ExitStatus::Success => Priority::Information,
            _ => Priority::Error,
        };
        let entry = self
            .entry(priority, &self.summary(header))
            .with("STEP", "run")
            .with("RESULT", result)
            .with("RUN_STATUS", &status.code().to_string())
            .with("CREATED_COUNT", &outcome.created.to_string())
            .with("REMOVED_COUNT", &outcome.removed.to_string())
            .with("FAILED_COUNT", &outcome.failed.len().to_string())
            .with("DURATION", &seconds(duration).to_string());
        self.console.tell(&entry);
    }

    /// A dry run must not look like one that has done something, whatever its exit status says of the plan.
    fn result(&self, header: &Header, status: ExitStatus) -> &'static str {
        let ended_early = self.broken.is_some() || self.outcome.interruption.is_some();
        match status {
            // Another run was under way.
            ExitStatus::Success if self.broken.is_some() => "skipped",
            _ if header.dry_run && !ended_early => "planned",
            ExitStatus::Success => "done",
            ExitStatus::Failure
            | ExitStatus::Usage
            | ExitStatus::Connection
            | ExitStatus::Interrupted
            | ExitStatus::Terminated => "failed",
        }
    }

    fn summary(&self, header: &Header) -> String {
        let outcome = &self.outcome;
        let mut text = format!("{} {}: ", header.command, header.label);
        if self.guests.are_planned() && header.dry_run {
            text.push_str("dry run, nothing was changed");
        } else if self.guests.are_planned() || self.broken.is_none() {
            text.push_str(&summary::counts(outcome));
        } else {
            text.push_str("nothing done");
        }
        if let Some(why) = &self.broken {
            _ = write!(text, "; {why}");
        }
        text
    }
}

impl Sink for JournalReport {
    fn observe(&mut self, event: &EventKind) {
        self.outcome.observe(event);
        match event {
            EventKind::RunStarted(header) => {
                self.header = Some(header.clone());
                for warning in &header.warnings {
                    self.warned(warning);
                }
            }
            EventKind::Warned(warning)
            | EventKind::NameNotKnown(warning)
            | EventKind::UnreadableEntry(warning)
            | EventKind::MissingObject(warning) => self.warned(warning),
            EventKind::Selected { guests, .. } => self.guests.selected(guests),
            EventKind::Planned(plan) => self.guests.planned(plan),
            EventKind::HookRan(run) if !run.end.is_success() => {
                self.hook_failed(run.vmid, run.phase);
            }
            EventKind::Created { vmid, .. } => self.done.entry(*vmid).or_default().created = true,
            EventKind::MissingRam { vmid, snapshot } => {
                let text = words::ram_missing(snapshot);
                let entry = self
                    .guest_entry(*vmid, Priority::Warning, &text)
                    .with("STEP", "create")
                    .with("SNAPSHOT", snapshot);
                self.console.tell(&entry);
            }
            EventKind::Removed { vmid, name, .. } => {
                self.done
                    .entry(*vmid)
                    .or_default()
                    .removed
                    .push(name.clone());
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
                end,
                duration,
            } => self.finished(*vmid, end, *duration),
            EventKind::RunBroken { message, .. } => self.broken = Some(message.clone()),
            EventKind::RunFinished { duration } => self.run_finished(*duration),
            EventKind::GuestStarted(vmid) => self.started(*vmid),
            // What is said of an interruption on stderr is an entry already.
            EventKind::Interrupted(_)
            | EventKind::HookRan(_)
            | EventKind::StoragesRead { .. }
            | EventKind::StoragesNotRead(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::CreationStarted { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::RemovalDropped { .. }
            | EventKind::RemovalsPostponed { .. } => {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use autosnap_core::guest::{Guest, GuestKind, GuestStatus};

    use super::*;

    #[test]
    fn a_guest_left_out_while_it_was_read_has_its_name_and_node() {
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
        report.observe(&EventKind::Selected {
            guests: [guest].into(),
            seen: 1,
            required: [].into(),
            nested_pools: [].into(),
            may_be_empty: false,
        });
        report.observe(&EventKind::GuestFinished {
            vmid,
            end: GuestResult::NotReached,
            duration: Duration::ZERO,
        });
        let mut buffer = [0; 4096];
        let length = listener.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        for field in ["VMID=100\n", "NODE=pve1\n", "GUEST=web01\n"] {
            assert!(text.contains(field), "{field}: {text}");
        }
        assert!(text.starts_with("MESSAGE=VM 100 web01 on pve1: "), "{text}");
    }
}
