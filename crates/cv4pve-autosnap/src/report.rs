// SPDX-License-Identifier: GPL-3.0-only
//! All that is printed. Data goes to stdout, everything else to stderr.
//!
//! What is printed may hold text from outside. Two places make it safe: [`Lines`] for stdout, and the
//! console for each line on stderr and in the journal. Documents for programs (JSON, YAML, scripts)
//! have escapes of their own and go out as they are.
//!
//! Sinks only observe: an output that cannot be written any more is remembered and told at the
//! end, and the run goes on. During a run they work in a thread of their own ([`Reporter`]), so that
//! a reader that does not read stalls only the report.

mod check;
mod console;
mod fingerprint;
mod guests;
mod journal;
mod json;
mod lines;
mod plan;
mod progress;
pub(crate) mod remedies;
mod reporter;
mod status;
mod summary;
mod text;
mod units;
mod words;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use autosnap_core::event::{EventKind, Header};
use autosnap_core::outcome::ExitStatus;
use pve_client::Upid;

pub use check::print as print_check;
pub use console::Console;
pub use fingerprint::print as print_fingerprints;
pub use journal::JournalReport;
pub use json::JsonReport;
pub use lines::Lines;
pub use progress::Progress;
pub use reporter::{Reporter, print_debug_line};
pub use status::print as print_status;
pub use text::{Text, TextOptions};

use crate::command_error::CommandError;

/// Somebody who is told what happens.
pub trait Sink {
    /// Takes notice of one fact.
    fn observe(&mut self, event: &EventKind);
}

/// Tells of a run that did not even begin those who tell programs and the journal: what was asked for,
/// and why nothing came of it. To people it is said anyway.
pub fn tell_unstarted(
    console: &Console,
    json: Option<JsonReport>,
    header: Header,
    exit: ExitStatus,
    message: &str,
) {
    let events = [
        EventKind::RunStarted(header),
        EventKind::RunBroken {
            exit,
            message: message.to_owned(),
        },
        EventKind::RunFinished {
            duration: Duration::ZERO,
        },
    ];
    let json = json.map(|report| Box::new(report) as Box<dyn Sink>);
    let journal = console.journal();
    let journal = journal.map(|report| Box::new(report) as Box<dyn Sink>);
    for mut sink in json.into_iter().chain(journal) {
        for event in &events {
            sink.observe(event);
        }
    }
}

/// Says why the program ends without having done its work: on stderr, and as the last line on stdout where the
/// console repeats errors there.
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

/// How long the last lines of a process that leaves at once may take to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Prints which tasks continue in PVE after the process has left. Returns after a second at most,
/// even if nobody reads stderr.
pub fn print_abandoned(console: Console, tasks: &[Upid]) {
    let left = "ERROR: interrupted a second time; leaving at once".to_owned();
    let running = tasks
        .iter()
        .map(|upid| format!("still running in PVE: {upid}"));
    print_last(console, std::iter::once(left).chain(running).collect());
}

/// Prints that the report of a run that has ended is not read. Returns after a second at most.
pub fn print_report_abandoned() {
    let left = "ERROR: interrupted; the run has ended, its report is not written to the end";
    print_last(Console::default(), vec![left.to_owned()]);
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
