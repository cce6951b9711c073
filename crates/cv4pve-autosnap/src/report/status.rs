// SPDX-License-Identifier: GPL-3.0-only
//! The list of snapshots of `status`, in its nine formats.
//!
//! The first seven keys of the structured formats are the C# tool's columns, in its spelling; the keys that only
//! this program has come after them. Keys may be added, never renamed.
//!
//! Each row is formatted when it is written: a large cluster has a hundred thousand snapshots, and their text needs
//! more memory than the snapshots themselves.

use std::borrow::Cow;
use std::io::{self, Write};

use autosnap_core::marks::Marks;
use autosnap_core::snapshot::Snapshot;
use autosnap_core::text::{json as json_text, one_line};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use maud::html;
use serde::{Serialize, Serializer};

use super::marks::{MarksJson, marks_text};
use super::{Console, units};
use crate::args::StatusOutput;
use crate::command_error::CommandError;
use autosnap::status::{Row, Status};

const COLUMNS: [&str; 7] = [
    "NODE",
    "VM",
    "TIME",
    "PARENT",
    "NAME",
    "DESCRIPTION",
    "VM STATUS",
];

/// The keys that the structured formats have in addition to the columns.
const EXTRA_KEYS: [&str; 7] = [
    "label",
    "snaptime",
    "age",
    "type",
    "guest_name",
    "vmstate",
    "snapstate",
];

/// One row of the list: a snapshot.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
struct StatusRow<'a> {
    #[serde(rename = "NODE")]
    node: Cow<'a, str>,
    #[serde(rename = "VM")]
    vm: u32,
    #[serde(rename = "TIME")]
    time: String,
    #[serde(rename = "PARENT")]
    parent: Cow<'a, str>,
    #[serde(rename = "NAME")]
    name: Cow<'a, str>,
    #[serde(rename = "DESCRIPTION")]
    description: Cow<'a, str>,
    #[serde(rename = "VM STATUS")]
    vm_status: &'static str,
    /// The label in the name.
    label: Option<Cow<'a, str>>,
    /// Seconds since the epoch.
    snaptime: Option<i64>,
    /// Seconds since the snapshot was taken.
    age: Option<i64>,
    /// `qemu` or `lxc`.
    r#type: &'static str,
    guest_name: Option<Cow<'a, str>>,
    vmstate: bool,
    /// `prepare` or `delete` if the snapshot is incomplete.
    snapstate: Option<Cow<'a, str>>,
    /// Absent without marks, and in CSV, which has the same columns for all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    marks: Option<MarksJson>,
}

/// Prints the list, with times in the zone of `now`.
pub fn print(
    console: &Console,
    status: &Status,
    output: StatusOutput,
    now: &Zoned,
) -> Result<(), CommandError> {
    let rows = Rows {
        rows: &status.rows,
        now,
    };
    if output == StatusOutput::Yaml {
        let document = serde_yaml_ng::to_string(&rows)
            .map_err(|error| CommandError::failure(format!("cannot write YAML: {error}")))?;
        console.document(&document);
        return Ok(());
    }
    console.stream(|out| match output {
        // As in the C# tool.
        StatusOutput::Plain | StatusOutput::Text if !status.has_guests => Ok(()),
        StatusOutput::Plain => plain(rows, out),
        StatusOutput::Text => text(rows, out),
        StatusOutput::Html => out.write_all(html(rows).as_bytes()),
        StatusOutput::Markdown => markdown(rows, out),
        StatusOutput::Json => {
            let document = serde_json::to_string(&rows)?;
            writeln!(out, "{}", json_text(&document))
        }
        StatusOutput::JsonPretty => {
            let document = serde_json::to_string_pretty(&rows)?;
            writeln!(out, "{}", json_text(&document))
        }
        StatusOutput::Jsonl => json_lines(rows, out),
        StatusOutput::Csv => csv(rows, out),
        // Written above: its serializer would hide the error of the stream.
        StatusOutput::Yaml => Ok(()),
    });
    Ok(())
}

/// The rows, formatted one at a time.
#[derive(Clone, Copy)]
struct Rows<'a> {
    rows: &'a [Row],
    now: &'a Zoned,
}

impl<'a> Rows<'a> {
    fn iter(self) -> impl Iterator<Item = StatusRow<'a>> {
        self.rows
            .iter()
            .map(move |row| StatusRow::new(row, self.now))
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'a> StatusRow<'a> {
    fn new(row: &'a Row, now: &Zoned) -> Self {
        let Row {
            guest,
            snapshot,
            label,
            age,
        } = row;
        let marks = snapshot.marks();
        Self {
            node: guest.node.as_str().into(),
            vm: guest.vmid.get(),
            time: snapshot
                .taken_at
                .map(|taken_at| local_time(taken_at, now.time_zone()))
                .unwrap_or_default(),
            parent: snapshot.parent.as_deref().unwrap_or("no-parent").into(),
            name: snapshot.name.as_str().into(),
            description: description(snapshot, &marks, now),
            vm_status: if snapshot.with_ram { "X" } else { "" },
            label: label.as_deref().map(Cow::from),
            snaptime: snapshot.taken_at.map(Timestamp::as_second),
            age: *age,
            r#type: guest.kind.as_str(),
            guest_name: guest.name.as_deref().map(Cow::from),
            vmstate: snapshot.with_ram,
            snapstate: snapshot.state.snapstate().map(Cow::from),
            marks: MarksJson::new(&marks, now.timestamp()),
        }
    }

    /// The cells of the human-readable formats, each on one line.
    fn cells(&self) -> [String; 7] {
        let status = match &self.snapstate {
            Some(state) if self.vmstate => format!("X incomplete (snapstate {state})"),
            Some(state) => format!("incomplete (snapstate {state})"),
            None => self.vm_status.to_owned(),
        };
        let vm = self.vm.to_string();
        [
            &self.node,
            vm.as_str(),
            &self.time,
            &self.parent,
            &self.name,
            &self.description,
            &status,
        ]
        .map(|cell| one_line(cell).into_owned())
    }

    /// The row, with every text escaped for a spreadsheet.
    fn for_csv(self) -> Self {
        Self {
            node: csv_cell(self.node),
            parent: csv_cell(self.parent),
            name: csv_cell(self.name),
            description: csv_cell(self.description),
            label: self.label.map(csv_cell),
            guest_name: self.guest_name.map(csv_cell),
            snapstate: self.snapstate.map(csv_cell),
            marks: None,
            ..self
        }
    }
}

/// The description on one line. Without marks it has no line breaks, as in the C# tool; with marks it is its first line
/// and the marks in words.
fn description<'a>(snapshot: &'a Snapshot, marks: &Marks, now: &Zoned) -> Cow<'a, str> {
    match marks_text(marks, now.timestamp(), now.time_zone()) {
        None => snapshot.description_without_newlines(),
        Some(marks) => {
            let first = snapshot.description.lines().next().unwrap_or_default();
            Cow::Owned(format!("{first}; {marks}"))
        }
    }
}

/// The text on one line, escaped so that no spreadsheet reads it as a formula.
fn csv_cell(text: Cow<'_, str>) -> Cow<'_, str> {
    let safe = match text {
        Cow::Borrowed(text) => one_line(text),
        Cow::Owned(text) => Cow::Owned(one_line(&text).into_owned()),
    };
    if safe.starts_with(['=', '+', '-', '@']) {
        Cow::Owned(format!("'{safe}"))
    } else {
        safe
    }
}

/// Escapes the characters that would end a cell, or start a link, code or HTML.
fn markdown_cell(cell: &str) -> String {
    let mut safe = String::with_capacity(cell.len());
    for character in cell.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '|' => safe.push_str("&#124;"),
            '[' => safe.push_str("&#91;"),
            '`' => safe.push_str("&#96;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The local time as `yy/MM/dd HH:mm:ss`.
fn local_time(taken_at: Timestamp, zone: &TimeZone) -> String {
    taken_at
        .to_zoned(zone.clone())
        .strftime("%y/%m/%d %H:%M:%S")
        .to_string()
}

/// Writes the columns without a frame.
fn plain(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    let widths = widths(rows.iter().map(|row| row.cells()));
    let line = |cells: [&str; 7]| {
        let mut line = padded(cells, widths);
        // Guest IDs are aligned on the right.
        line[1] = units::padded_left(cells[1], widths[1]);
        line.join(" ").trim_end().to_owned()
    };
    writeln!(out, "{}", line(COLUMNS))?;
    rows.iter().try_for_each(|row| {
        let cells = row.cells();
        writeln!(out, "{}", line(cells.each_ref().map(String::as_str)))
    })
}

/// Writes the C# tool's table, byte for byte: scripts remove the frame and split the lines at `|`.
fn text(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    let widths = widths(rows.iter().map(|row| row.cells()));
    let frame = rule(widths, "+");
    writeln!(out, "{frame}\n{}\n{frame}", framed(COLUMNS, widths))?;
    rows.iter().try_for_each(|row| {
        let cells = row.cells();
        writeln!(
            out,
            "{}",
            framed(cells.each_ref().map(String::as_str), widths)
        )
    })?;
    writeln!(out, "{frame}")
}

/// Writes the C# tool's Markdown table, byte for byte.
fn markdown(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    let cells = |row: &StatusRow<'_>| row.cells().map(|cell| markdown_cell(&cell));
    let widths = widths(rows.iter().map(|row| cells(&row)));
    writeln!(out, "{}\n{}", framed(COLUMNS, widths), rule(widths, "|"))?;
    rows.iter().try_for_each(|row| {
        let cells = cells(&row);
        writeln!(
            out,
            "{}",
            framed(cells.each_ref().map(String::as_str), widths)
        )
    })
}

/// A row with a frame: `| pve1 | 100 |`.
fn framed(cells: [&str; 7], widths: [usize; 7]) -> String {
    format!("| {} |", padded(cells, widths).join(" | "))
}

/// A horizontal rule: `+------+-----+`.
fn rule(widths: [usize; 7], corner: &str) -> String {
    let lines = widths.map(|width| "-".repeat(width + 2));
    format!("{corner}{}{corner}", lines.join(corner))
}

/// The width of each column in characters. Only the text of a mark can have characters that are wider: nodes, snapshot
/// names and our own descriptions are ASCII.
fn widths(rows: impl Iterator<Item = [String; 7]>) -> [usize; 7] {
    let mut widths = COLUMNS.map(str::len);
    for cells in rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

/// The cells, filled with spaces to the widths of their columns.
fn padded(cells: [&str; 7], widths: [usize; 7]) -> [String; 7] {
    std::array::from_fn(|column| units::padded(cells[column], widths[column]))
}

/// The C# tool's HTML table, for pasting into a page or an email.
fn html(rows: Rows<'_>) -> String {
    const TABLE: &str = "width: 100%;border-collapse: collapse;border: 1px solid black;";
    const CELL: &str = "border: 1px solid black;";
    let table = html! {
        table style=(TABLE) {
            thead { tr { @for column in COLUMNS { th style=(CELL) { (column) } } } }
            tbody {
                @for row in rows.iter() {
                    tr { @for cell in row.cells() { td style=(CELL) { (cell.trim()) } } }
                }
            }
        }
    };
    table.into_string() + "\n"
}

fn json_lines(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    rows.iter().try_for_each(|row| {
        let line = serde_json::to_string(&row)?;
        writeln!(out, "{}", json_text(&line))
    })
}

fn csv(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for row in rows.iter() {
        writer.serialize(row.for_csv()).map_err(io_error)?;
    }
    if rows.rows.is_empty() {
        let header = COLUMNS.iter().chain(&EXTRA_KEYS);
        writer.write_record(header).map_err(io_error)?;
    }
    writer.flush()
}

/// The I/O error inside a CSV error: a closed pipe must remain recognisable.
fn io_error(error: csv::Error) -> io::Error {
    let kind = error.into_kind();
    if let csv::ErrorKind::Io(error) = kind {
        error
    } else {
        io::Error::other(format!("{kind:?}"))
    }
}
