// SPDX-License-Identifier: GPL-3.0-only
//! Everything that is printed. Data goes to stdout, everything else to stderr.
//!
//! Printed text may contain text from outside. Two places escape it: [`Lines`] for stdout, and the
//! console for each line on stderr and in the journal. Documents for programs (JSON, YAML, scripts)
//! have their own escapes and are printed as they are.
//!
//! Sinks only observe: if an output cannot be written any more, the run continues, and the error is reported
//! at the end. During a run the sinks work in a thread of their own ([`Reporter`]), so a reader that does
//! not read stalls only the report.

mod check;
mod comparison;
mod console;
mod fingerprint;
mod folder;
mod guests;
mod journal;
mod json;
mod lines;
mod marks;
mod messages;
mod notes;
mod plan;
mod progress;
pub(crate) mod remedies;
mod reporter;
mod simulation;
mod status;
mod summary;
mod text;
mod units;
mod warnings;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use autosnap::events::Events;
use autosnap_core::event::{Event, EventKind, FailureKind, Header};
use autosnap_core::record::RunRecord;
use pve_client::Upid;

pub use check::print as print_check;
pub use console::Console;
pub use fingerprint::print as print_fingerprints;
pub(crate) use folder::{FolderView, print_folder};
pub use journal::JournalReport;
pub use json::JsonReport;
pub use lines::Lines;
pub(crate) use marks::{marks_text, print as print_marked};
pub use progress::Progress;
pub use reporter::{Reporter, print_debug_line};
pub use simulation::{Simulated, print as print_simulation};
pub use status::print as print_status;
pub use text::{Text, TextOptions};
pub use warnings::{active_run, status_text as status_warning, text as warning};

use crate::command_error::CommandError;

/// An output of a run.
pub trait Sink {
    /// Receives one event, in the order of the run.
    fn observe(&mut self, event: &Event);

    /// Receives the record after the last event.
    fn finish(&mut self, _record: &RunRecord) {}
}

/// Why a run was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// It failed before the first request, with this error.
    Failed(FailureKind, String),
    /// Another run is active, and skipping was requested.
    Skipped(String),
}

impl From<&CommandError> for NotStarted {
    fn from(error: &CommandError) -> Self {
        Self::Failed(error.exit.failure_kind(), error.message.clone())
    }
}

/// Reports a run that never started to the JSON and journal sinks. For people the error itself is printed.
pub fn report_not_started(
    console: &Console,
    json: Option<JsonReport>,
    header: Header,
    reason: NotStarted,
) {
    let (events, mut receiver) = Events::channel();
    events.emit(EventKind::RunStarted(Box::new(header)));
    events.emit(match reason {
        NotStarted::Failed(kind, message) => EventKind::RunFailed { kind, message },
        NotStarted::Skipped(holder) => EventKind::RunSkipped { holder },
    });
    events.emit(EventKind::RunFinished {
        duration: Duration::ZERO,
    });
    drop(events);
    let json = json.map(|report| Box::new(report) as Box<dyn Sink>);
    let journal = console.journal();
    let journal = journal.map(|report| Box::new(report) as Box<dyn Sink>);
    let mut sinks: Vec<Box<dyn Sink>> = json.into_iter().chain(journal).collect();
    while let Some(event) = receiver.try_recv() {
        for sink in &mut sinks {
            sink.observe(&event);
        }
    }
    let record = receiver.record();
    for mut sink in sinks {
        sink.finish(&record);
    }
}

/// Prints the error that ends the program: on stderr, and as the last line on stdout where the console
/// repeats errors there.
pub fn print_error(console: &Console, error: &CommandError) {
    let message = format!("ERROR: {}", error.message);
    if error.has_lines {
        console.error_text(&message);
    } else {
        console.error(&message);
    }
    if let Some(hint) = &error.hint {
        // A hint that only names the help is a line of its own kind.
        let prefix = if hint.starts_with("see: ") {
            ""
        } else {
            "hint: "
        };
        console.error(&format!("{prefix}{hint}"));
    }
    console.repeat_error(&message);
}

/// The time limit for writing the last lines of a process that exits immediately.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Prints which tasks continue in PVE after the process has exited. Returns after a second at most,
/// even if stderr is not read.
pub fn print_abandoned(console: Console, tasks: &[Upid]) {
    let message = "ERROR: interrupted a second time; exiting immediately".to_owned();
    let running = tasks
        .iter()
        .map(|upid| format!("still running in PVE: {upid}"));
    print_last(console, std::iter::once(message).chain(running).collect());
}

/// Prints that the report of a run that has ended is not read. Returns after a second at most.
pub fn print_report_abandoned() {
    let message = "ERROR: interrupted; the run has ended, its report is not written to the end";
    print_last(Console::default(), vec![message.to_owned()]);
}

fn print_last(console: Console, lines: Vec<String>) {
    let (printed, are_printed) = mpsc::channel();
    let print = move || {
        for line in &lines {
            console.error(line);
        }
        if let Some(error) = lines.first() {
            console.repeat_error(error);
        }
        // Fails if it has taken too long.
        let _ = printed.send(());
    };
    if thread::Builder::new().spawn(print).is_ok() {
        // The process exits in any case.
        let _ = are_printed.recv_timeout(LAST_LINES);
    }
}
