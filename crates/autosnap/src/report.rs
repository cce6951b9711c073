// SPDX-License-Identifier: GPL-3.0-only
//! All that is printed. Data goes to stdout, everything else to stderr.
//!
//! Sinks only observe: an output that cannot be written any more is remembered and told at the
//! end, and the run goes on.

mod check;
mod console;
mod fingerprint;
mod guests;
mod journal;
mod json;
mod plan;
mod progress;
mod status;
mod text;
mod units;
mod words;

use std::time::Duration;

use autosnap_core::event::{Event, Header};
use autosnap_core::outcome::ExitStatus;
use pve_client::Upid;

pub use check::print as print_check;
pub use console::Console;
pub use fingerprint::print as print_fingerprints;
pub use journal::JournalReport;
pub use json::JsonReport;
pub use progress::Progress;
pub use status::print as print_status;
pub use text::Text;

use crate::events::EventReceiver;
use crate::fault::Fault;

/// Somebody who is told what happens.
pub trait Sink {
    /// Takes notice of one fact.
    fn observe(&mut self, event: &Event);
}

/// Tells the sinks every fact until the last sender is gone.
pub async fn drive(mut receiver: EventReceiver, mut sinks: Vec<Box<dyn Sink>>) {
    while let Some(event) = receiver.recv().await {
        for sink in &mut sinks {
            sink.observe(&event);
        }
    }
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
        Event::RunStarted(header),
        Event::RunBroken {
            exit,
            message: message.to_owned(),
        },
        Event::RunFinished {
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

/// Says why the program ends without having done its work.
pub fn print_fault(console: &Console, fault: &Fault) {
    console.error(&format!("ERROR: {}", fault.message));
    if let Some(hint) = &fault.hint {
        console.error(&format!("hint: {hint}"));
    }
}

/// Says which tasks go on without us.
pub fn print_abandoned(console: &Console, tasks: &[Upid]) {
    console.error("ERROR: interrupted a second time; leaving at once");
    for upid in tasks {
        console.error(&format!("still running in PVE: {upid}"));
    }
}
