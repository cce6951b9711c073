// SPDX-License-Identifier: GPL-3.0-only
//! The systemd journal, where it is what stderr leads to: entries with fields instead of lines, so
//! that `journalctl VMID=100` and `journalctl PRIORITY=3` find something.
//!
//! Journald's native protocol is a datagram of `FIELD=value` lines, little enough to be written
//! here: the crates for it are made for logs, whose fields get a prefix. What cannot be sent goes to
//! stderr as elsewhere. Limits: no entry for what a guest is at, only for how steps and guests end;
//! the report itself stays on stdout.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::sync::Arc;

use autosnap_core::event::{Event, Failure, GuestEnd, Header};
use autosnap_core::guest::Vmid;
use autosnap_core::outcome::{ExitStatus, Outcome};
use autosnap_core::plan::{Decision, GuestPlan, Plan};

use super::units::{counted, seconds};
use super::words::full_name;
use super::{Sink, words};
use crate::help::PROGRAM;

/// Set by systemd: device and inode of the socket it has connected stdout or stderr to.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";
/// For tests: another socket than journald's.
const SOCKET_VARIABLE: &str = "CV4PVE_JOURNAL_SOCKET";
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longer values are cut: a datagram has to fit into the socket's buffer.
const LONGEST_VALUE: usize = 8 * 1024;

/// The levels of syslog that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Information = 6,
}

impl Priority {
    /// That of a line on stderr, from the word it begins with.
    pub(super) fn of_line(line: &str) -> Self {
        match line.split(':').next() {
            Some("ERROR") => Self::Error,
            Some("WARNING") => Self::Warning,
            Some("NOTICE" | "hint") => Self::Notice,
            _ => Self::Information,
        }
    }
}

/// The way to the journal.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    socket: Arc<platform::Socket>,
}

impl Journal {
    /// The journal, if it is what stderr of this process leads to.
    pub(super) fn of_process() -> Option<Self> {
        let stream = std::env::var(STREAM_VARIABLE).ok()?;
        if !platform::stderr_is(&stream) {
            return None;
        }
        let path = std::env::var_os(SOCKET_VARIABLE);
        let socket = platform::Socket::open(path.as_deref().unwrap_or(OsStr::new(SOCKET)))?;
        Some(Self {
            socket: Arc::new(socket),
        })
    }

    /// Sends an entry; says whether it went out.
    pub(super) fn send(&self, entry: &Entry) -> bool {
        self.socket.send(&entry.bytes)
    }
}

/// One entry, in the form in which it is sent.
#[derive(Debug)]
pub(super) struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    pub(super) fn new(priority: Priority, message: &str) -> Self {
        let entry = Self { bytes: Vec::new() };
        entry
            .with("MESSAGE", message)
            .with("PRIORITY", &(priority as u8).to_string())
            .with("SYSLOG_IDENTIFIER", PROGRAM)
    }

    /// With a field. A value with line breaks is preceded by its length.
    pub(super) fn with(mut self, field: &str, value: &str) -> Self {
        let cut = (0..=LONGEST_VALUE.min(value.len())).rfind(|&at| value.is_char_boundary(at));
        let value = &value[..cut.unwrap_or(0)];
        self.bytes.extend(field.as_bytes());
        if value.contains('\n') {
            self.bytes.push(b'\n');
            self.bytes.extend((value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend(value.as_bytes());
        self.bytes.push(b'\n');
        self
    }

    fn with_some(self, field: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }
}

/// Tells the journal how each step, each guest and the run have ended.
#[derive(Debug)]
pub struct JournalReport {
    journal: Journal,
    header: Option<Header>,
    plan: Option<Arc<Plan>>,
    positions: HashMap<Vmid, usize>,
    done: HashMap<Vmid, Done>,
    outcome: Outcome,
}

/// What a guest has got so far, and what it has not.
#[derive(Debug, Default)]
struct Done {
    created: bool,
    removed: Vec<String>,
    failures: Vec<String>,
}

impl JournalReport {
    pub(super) fn new(journal: Journal) -> Self {
        Self {
            journal,
            header: None,
            plan: None,
            positions: HashMap::new(),
            done: HashMap::new(),
            outcome: Outcome::default(),
        }
    }

    fn plan(&self, vmid: Vmid) -> Option<&GuestPlan> {
        let position = *self.positions.get(&vmid)?;
        self.plan.as_ref()?.guests.get(position)
    }

    /// The name of the guest's new snapshot, if one was planned.
    fn new_snapshot(&self, vmid: Vmid) -> Option<String> {
        match &self.plan(vmid)?.decision {
            Decision::Proceed(steps) => Some(steps.creation.as_ref()?.name.to_string()),
            Decision::Skip(_) | Decision::Refuse(_) => None,
        }
    }

    /// An entry of the run, with what was asked for.
    fn entry(&self, priority: Priority, message: &str) -> Entry {
        let entry = Entry::new(priority, message);
        match &self.header {
            Some(header) => entry
                .with("COMMAND", header.command)
                .with("LABEL", &header.label)
                .with("KEEP", &header.keep.to_string()),
            None => entry,
        }
    }

    /// An entry of a guest.
    fn guest_entry(&self, vmid: Vmid, priority: Priority, text: &str) -> Entry {
        let guest = self.plan(vmid).map(|plan| &plan.guest);
        let name = guest.map_or_else(String::new, |guest| format!(" {}", full_name(guest)));
        self.entry(priority, &format!("VM {vmid}{name}: {text}"))
            .with("VMID", &vmid.to_string())
            .with_some("NODE", guest.map(|guest| guest.node.as_str()))
            .with_some("GUEST", guest.and_then(|guest| guest.name.as_deref()))
    }

    fn failed(&mut self, vmid: Vmid, step: &str, snapshot: Option<&str>, failure: &Failure) {
        let text = words::failure(failure);
        let entry = self
            .guest_entry(vmid, Priority::Error, &format!("{step} failed: {text}"))
            .with("STEP", step)
            .with("RESULT", "failed")
            .with("EFFECT", words::effect_id(failure.effect))
            .with_some("SNAPSHOT", snapshot)
            .with_some("HINT", failure.hint.as_deref());
        self.journal.send(&entry);
        self.done.entry(vmid).or_default().failures.push(text);
    }

    fn finished(&mut self, vmid: Vmid, end: &GuestEnd, duration: std::time::Duration) {
        let done = self.done.remove(&vmid).unwrap_or_default();
        let created = self.new_snapshot(vmid).filter(|_| done.created);
        let mut text = self.said(vmid, end, &done);
        if let Some(name) = &created {
            _ = write!(text, ", {name} created");
        }
        if !done.removed.is_empty() {
            _ = write!(text, ", {} removed", done.removed.len());
        }
        let priority = match end {
            GuestEnd::Done => Priority::Information,
            GuestEnd::Skipped(_) => Priority::Notice,
            GuestEnd::Refused(_) | GuestEnd::Failed | GuestEnd::Vetoed | GuestEnd::NotReached => {
                Priority::Error
            }
        };
        let entry = self
            .guest_entry(vmid, priority, &text)
            .with("STEP", "guest")
            .with("RESULT", words::result(end))
            .with("DURATION", &seconds(duration).to_string())
            .with_some("SNAPSHOT", created.as_deref());
        let removed = done.removed.iter();
        let entry = removed.fold(entry, |entry, name| entry.with("REMOVED", name));
        self.journal.send(&entry);
    }

    /// How a guest has ended, in words.
    fn said(&self, vmid: Vmid, end: &GuestEnd, done: &Done) -> String {
        match (end, self.plan(vmid)) {
            (GuestEnd::Skipped(skip), _) => words::skip(skip),
            (GuestEnd::Refused(refusal), Some(plan)) => {
                words::refusal(&plan.guest, refusal).short()
            }
            (GuestEnd::Vetoed, _) => {
                words::vetoed(done.created || !done.removed.is_empty()).to_owned()
            }
            (GuestEnd::NotReached, _) => match self.outcome.interruption {
                Some(interruption) => format!("left out: {}", words::stopped(interruption)),
                None => words::result(end).to_owned(),
            },
            (GuestEnd::Failed, _) if !done.failures.is_empty() => {
                format!("failed: {}", done.failures.join("; "))
            }
            (GuestEnd::Done | GuestEnd::Failed | GuestEnd::Refused(_), _) => {
                words::result(end).to_owned()
            }
        }
    }

    fn hook_failed(&self, vmid: Option<Vmid>, phase: &str) {
        let text = format!("hook failed in phase {phase}");
        let entry = match vmid {
            Some(vmid) => self.guest_entry(vmid, Priority::Warning, &text),
            None => self.entry(Priority::Warning, &text),
        };
        self.journal
            .send(&entry.with("STEP", "hook").with("PHASE", phase));
    }

    fn run_finished(&self, duration: std::time::Duration) {
        let Some(header) = &self.header else { return };
        let outcome = &self.outcome;
        let status = outcome.exit_status();
        let text = format!(
            "{} {}: {} created, {} removed; guests: {} done, {} skipped, {} failed",
            header.command,
            header.label,
            counted(outcome.created, "snapshot"),
            outcome.removed,
            outcome.done,
            outcome.skipped,
            outcome.failed.len()
        );
        let (priority, result) = match status {
            ExitStatus::Success => (Priority::Information, "done"),
            ExitStatus::Failure
            | ExitStatus::Usage
            | ExitStatus::Connection
            | ExitStatus::Interrupted
            | ExitStatus::Terminated => (Priority::Error, "failed"),
        };
        let entry = self
            .entry(priority, &text)
            .with("STEP", "run")
            .with("RESULT", result)
            .with("RUN_STATUS", &status.code().to_string())
            .with("CREATED_COUNT", &outcome.created.to_string())
            .with("REMOVED_COUNT", &outcome.removed.to_string())
            .with("FAILED_COUNT", &outcome.failed.len().to_string())
            .with("DURATION", &seconds(duration).to_string());
        self.journal.send(&entry);
    }
}

impl Sink for JournalReport {
    fn observe(&mut self, event: &Event) {
        self.outcome.observe(event);
        match event {
            Event::RunStarted(header) => self.header = Some(header.clone()),
            Event::Planned(plan) => {
                let guests = plan.guests.iter().enumerate();
                self.positions = guests.map(|(at, plan)| (plan.guest.vmid, at)).collect();
                self.plan = Some(Arc::clone(plan));
            }
            Event::HookRan(run) if !run.end.is_success() => self.hook_failed(run.vmid, run.phase),
            Event::Created { vmid, .. } => self.done.entry(*vmid).or_default().created = true,
            Event::Removed { vmid, name, .. } => {
                self.done
                    .entry(*vmid)
                    .or_default()
                    .removed
                    .push(name.clone());
            }
            Event::CreationFailed { vmid, failure } => {
                let name = self.new_snapshot(*vmid);
                self.failed(*vmid, "create", name.as_deref(), failure);
            }
            Event::RemovalFailed {
                vmid,
                name,
                failure,
            } => self.failed(*vmid, "remove", Some(name), failure),
            Event::GuestFinished {
                vmid,
                end,
                duration,
            } => self.finished(*vmid, end, *duration),
            Event::RunFinished { duration } => self.run_finished(*duration),
            // What is said on stderr of these is an entry already.
            Event::Warned(_)
            | Event::NameNotKnown(_)
            | Event::Selected { .. }
            | Event::Interrupted(_)
            | Event::RunBroken { .. }
            | Event::HookRan(_)
            | Event::StoragesRead { .. }
            | Event::StoragesNotRead(_)
            | Event::GuestStarted(_)
            | Event::GuestDeferred { .. }
            | Event::GuestResumed { .. }
            | Event::CreationStarted { .. }
            | Event::RemovalStarted { .. }
            | Event::RemovalDropped { .. }
            | Event::RemovalsPostponed { .. } => {}
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    /// A journal that does not take what it is sent must not stop a run.
    const PATIENCE: Duration = Duration::from_secs(2);

    #[derive(Debug)]
    pub(in crate::report) struct Socket {
        socket: UnixDatagram,
        path: OsString,
    }

    impl Socket {
        pub(super) fn open(path: &OsStr) -> Option<Self> {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_write_timeout(Some(PATIENCE)).ok()?;
            Some(Self {
                socket,
                path: path.to_owned(),
            })
        }

        pub(super) fn send(&self, bytes: &[u8]) -> bool {
            self.socket.send_to(bytes, &self.path).is_ok()
        }
    }

    /// Whether stderr is what `DEVICE:INODE` names; it may have been led elsewhere since.
    pub(super) fn stderr_is(stream: &str) -> bool {
        let stderr = std::io::stderr();
        let file = stderr.as_fd().try_clone_to_owned().map(File::from);
        let metadata = file.and_then(|file| file.metadata());
        metadata.is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
    }
}

/// No journal but systemd's is meant.
#[cfg(not(unix))]
mod platform {
    use std::ffi::OsStr;

    #[derive(Debug)]
    pub(in crate::report) struct Socket;

    impl Socket {
        pub(super) fn open(_path: &OsStr) -> Option<Self> {
            None
        }

        pub(super) fn send(&self, _bytes: &[u8]) -> bool {
            false
        }
    }

    pub(super) fn stderr_is(_stream: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_breaks_is_preceded_by_its_length() {
        let entry = Entry { bytes: Vec::new() }
            .with("A", "one")
            .with("B", "two\nlines");
        assert_eq!(entry.bytes, b"A=one\nB\n\x09\0\0\0\0\0\0\0two\nlines\n");
    }

    #[test]
    fn a_value_is_cut_between_letters() {
        let entry = Entry { bytes: Vec::new() }.with("A", &"ä".repeat(LONGEST_VALUE));
        assert_eq!(entry.bytes.len(), LONGEST_VALUE + 3);
        let entry = Entry { bytes: Vec::new() }.with("A", &format!("x{}", "ä".repeat(9000)));
        assert_eq!(entry.bytes.len(), LONGEST_VALUE - 1 + 3);
    }

    #[test]
    fn a_line_has_the_priority_of_its_first_word() {
        for (line, expected) in [
            ("ERROR: no", Priority::Error),
            ("WARNING: hm", Priority::Warning),
            ("hint: do", Priority::Notice),
            ("waiting: for another", Priority::Information),
        ] {
            assert_eq!(Priority::of_line(line), expected, "{line}");
        }
    }
}
