// SPDX-License-Identifier: GPL-3.0-only
//! The list of `status` in its eight forms.
//!
//! The first seven keys of the structured forms are the C# tool's columns, as it spells them; ours
//! follow. Keys are added, never renamed.

use anyhow::Context;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, html};
use serde::Serialize;

use super::Console;
use crate::args::StatusOutput;
use crate::status::Row;

const COLUMNS: [&str; 7] = [
    "NODE",
    "VM",
    "TIME",
    "PARENT",
    "NAME",
    "DESCRIPTION",
    "VM STATUS",
];

/// What the structured forms have in addition.
const FURTHER_KEYS: [&str; 7] = [
    "label",
    "snaptime",
    "age",
    "type",
    "guest_name",
    "vmstate",
    "snapstate",
];

/// One line of the list.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
struct StatusRow<'a> {
    #[serde(rename = "NODE")]
    node: &'a str,
    #[serde(rename = "VM")]
    vm: u32,
    #[serde(rename = "TIME")]
    time: String,
    #[serde(rename = "PARENT")]
    parent: &'a str,
    #[serde(rename = "NAME")]
    name: &'a str,
    #[serde(rename = "DESCRIPTION")]
    description: String,
    #[serde(rename = "VM STATUS")]
    vm_status: &'static str,
    /// The label in the name.
    label: Option<&'a str>,
    /// Seconds since the epoch.
    snaptime: Option<i64>,
    /// Seconds since it was taken.
    age: Option<i64>,
    /// `qemu` or `lxc`.
    r#type: &'static str,
    guest_name: Option<&'a str>,
    vmstate: bool,
    /// `prepare` or `delete` if it is half made.
    snapstate: Option<&'a str>,
}

/// Prints the list; times in the given zone.
pub fn print(
    console: &Console,
    rows: &[Row],
    output: StatusOutput,
    zone: &TimeZone,
) -> anyhow::Result<()> {
    let rows: Vec<StatusRow<'_>> = rows.iter().map(|row| StatusRow::new(row, zone)).collect();
    let text = match output {
        StatusOutput::Text => text(&rows),
        StatusOutput::Html => html(&rows),
        StatusOutput::Markdown => markdown(&rows),
        StatusOutput::Json => serde_json::to_string(&rows).context("cannot write JSON")? + "\n",
        StatusOutput::JsonPretty => {
            serde_json::to_string_pretty(&rows).context("cannot write JSON")? + "\n"
        }
        StatusOutput::Jsonl => json_lines(&rows)?,
        StatusOutput::Yaml => serde_yaml_ng::to_string(&rows).context("cannot write YAML")?,
        StatusOutput::Csv => csv(&rows)?,
    };
    console.out(&text);
    Ok(())
}

impl<'a> StatusRow<'a> {
    fn new(row: &'a Row, zone: &TimeZone) -> Self {
        let Row {
            guest,
            snapshot,
            label,
            age,
        } = row;
        Self {
            node: &guest.node,
            vm: guest.vmid.get(),
            time: snapshot
                .taken_at
                .map(|taken_at| local_time(taken_at, zone))
                .unwrap_or_default(),
            parent: snapshot.parent.as_deref().unwrap_or("no-parent"),
            name: &snapshot.name,
            description: snapshot.description.replace('\n', ""),
            vm_status: if snapshot.with_ram { "X" } else { "" },
            label: label.as_deref(),
            snaptime: snapshot.taken_at,
            age: *age,
            r#type: guest.kind.as_str(),
            guest_name: guest.name.as_deref(),
            vmstate: snapshot.with_ram,
            snapstate: snapshot.state.snapstate(),
        }
    }

    fn cells(&self) -> [String; 7] {
        [
            self.node.to_owned(),
            self.vm.to_string(),
            self.time.clone(),
            self.parent.to_owned(),
            self.name.to_owned(),
            self.description.clone(),
            self.vm_status.to_owned(),
        ]
    }
}

/// `yy/MM/dd HH:mm:ss`.
fn local_time(taken_at: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(taken_at).ok();
    time.map(|time| {
        time.to_zoned(zone.clone())
            .strftime("%y/%m/%d %H:%M:%S")
            .to_string()
    })
    .unwrap_or_default()
}

/// Nothing at all for an empty list, as in the C# tool.
fn text(rows: &[StatusRow<'_>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    table(rows, presets::NOTHING).trim_fmt() + "\n"
}

fn markdown(rows: &[StatusRow<'_>]) -> String {
    table(rows, presets::ASCII_MARKDOWN).to_string() + "\n"
}

fn table(rows: &[StatusRow<'_>], style: comfy_table::TableStyle) -> Table {
    let mut table = Table::new();
    table
        .load_style(style)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    for row in rows {
        table.add_row(row.cells().map(Cell::new));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn html(rows: &[StatusRow<'_>]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "cv4pve-autosnap status" }
            }
            body {
                table {
                    thead { tr { @for column in COLUMNS { th { (column) } } } }
                    tbody { @for row in rows { tr { @for cell in row.cells() { td { (cell) } } } } }
                }
            }
        }
    };
    page.into_string() + "\n"
}

fn json_lines(rows: &[StatusRow<'_>]) -> anyhow::Result<String> {
    let lines: Result<Vec<String>, _> = rows.iter().map(serde_json::to_string).collect();
    let mut text = lines.context("cannot write JSON")?.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

fn csv(rows: &[StatusRow<'_>]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).context("cannot write CSV")?;
    }
    if rows.is_empty() {
        let header = COLUMNS.iter().chain(&FURTHER_KEYS);
        writer.write_record(header).context("cannot write CSV")?;
    }
    let bytes = writer.into_inner().context("cannot write CSV")?;
    String::from_utf8(bytes).context("cannot write CSV")
}
