// SPDX-License-Identifier: GPL-3.0-only
//! The marks of a snapshot as text and JSON, and the result of the commands that change them.

use autosnap::marks::MarkedSnapshot;
use autosnap_core::marks::{Hold, LINE_EXCERPT, MarkText, Marks};
use autosnap_core::text::excerpt;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Serialize;

use super::units::counted;
use super::{Console, Lines};
use crate::args::JobOutput;

/// The version of the JSON document.
const VERSION: u32 = 1;

/// How many lines of a description that are not marks are printed as text.
const PRINTED_LINES: usize = 3;

/// The marks of a snapshot, as JSON.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct MarksJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
    /// Whether the snapshot is held at present.
    held: bool,
}

#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
struct HoldJson {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    reason: Option<String>,
}

impl MarksJson {
    /// The marks at this time; `None` if there are none.
    pub(crate) fn new(marks: &Marks, now: Timestamp) -> Option<Self> {
        let text = |text: &MarkText| text.as_str().to_owned();
        let held = marks.is_held(now);
        let marks = Some(marks).filter(|marks| !marks.is_empty())?;
        Some(Self {
            hold: marks.hold.as_ref().map(|hold| HoldJson {
                since: hold.since,
                until: hold.until,
                reason: hold.reason.as_ref().map(text),
            }),
            expires: marks.expires,
            note: marks.note.as_ref().map(text),
            unreadable: marks.unreadable.clone(),
            held,
        })
    }
}

/// The marks in words, on one line: `held until 2027-02-01 00:00 (before the audit); note: PostgreSQL 17`.
pub(crate) fn marks_text(marks: &Marks, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let hold = marks.hold.as_ref().map(|hold| hold_text(hold, now, zone));
    let expires = marks.expires.map(|at| {
        let verb = if at <= now { "expired" } else { "expires" };
        format!("{verb} {}", minute(at, zone))
    });
    let note = marks.note.as_ref().map(|note| format!("note: {note}"));
    let lines = marks.unreadable.iter().take(PRINTED_LINES);
    let unreadable = lines.map(|line| {
        let line = excerpt(line, LINE_EXCERPT);
        format!("kept because of the line '{line}'")
    });
    let more = marks.unreadable.len().saturating_sub(PRINTED_LINES);
    let more = (more > 0).then(|| format!("and of {}", counted(more, "more line")));
    let parts: Vec<String> = [hold, expires, note]
        .into_iter()
        .flatten()
        .chain(unreadable)
        .chain(more)
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn hold_text(hold: &Hold, now: Timestamp, zone: &TimeZone) -> String {
    let text = match hold.until {
        None => "held".to_owned(),
        Some(until) if hold.is_active(now) => format!("held until {}", minute(until, zone)),
        Some(until) => format!("hold ended {}", minute(until, zone)),
    };
    match &hold.reason {
        Some(reason) => format!("{text} ({reason})"),
        None => text,
    }
}

/// The local time, to the minute.
fn minute(time: Timestamp, zone: &TimeZone) -> String {
    let time = time.to_zoned(zone.clone());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The JSON document of a command that changes marks.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    vmid: u32,
    r#type: &'static str,
    node: &'a str,
    guest_name: Option<&'a str>,
    snapshot: &'a str,
    changed: bool,
    dry_run: bool,
    marks: Option<MarksJson>,
}

/// Prints the result of a command that changes marks.
pub(crate) fn print(
    console: &Console,
    marked: &MarkedSnapshot,
    now: &Zoned,
    dry_run: bool,
    output: JobOutput,
) {
    let guest = &marked.guest;
    let document = Document {
        version: VERSION,
        vmid: guest.vmid.get(),
        r#type: guest.kind.as_str(),
        node: &guest.node,
        guest_name: guest.name.as_deref(),
        snapshot: &marked.name,
        changed: marked.changed && !dry_run,
        dry_run,
        marks: MarksJson::new(&marked.marks, now.timestamp()),
    };
    let json = match output {
        JobOutput::Text => {
            let mut lines = Lines::default();
            lines.line(text(marked, now, dry_run));
            return console.out(&lines);
        }
        JobOutput::Json => serde_json::to_string(&document),
        JobOutput::JsonPretty => serde_json::to_string_pretty(&document),
    };
    let json = json.expect("texts and numbers are JSON");
    console.json(&format!("{json}\n"));
}

fn text(marked: &MarkedSnapshot, now: &Zoned, dry_run: bool) -> String {
    let marks = marks_text(&marked.marks, now.timestamp(), now.time_zone());
    let marks = marks.unwrap_or_else(|| "no marks".to_owned());
    let effect = match (marked.changed, dry_run) {
        (false, _) => " (unchanged)",
        (true, true) => " (dry run: nothing was changed)",
        (true, false) => "",
    };
    format!(
        "{}, snapshot {}: {marks}{effect}",
        marked.title(),
        marked.name
    )
}
