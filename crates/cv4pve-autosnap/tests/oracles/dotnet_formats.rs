// SPDX-License-Identifier: GPL-3.0-only
//! Timestamp formats, and the text that .NET 10 formats a time to with each of them.

use autosnap_core::name::{FormatError, FormatFlaw, TimestampFormat};
use jiff::civil::DateTime;
use serde::Deserialize;

use crate::lines;

/// A line of `dotnet-formats.jsonl`.
#[derive(Debug, Deserialize)]
struct Line {
    format: String,
    time: String,
    text: Option<String>,
}

/// Whether PVE accepts the text in the name of a snapshot.
fn is_accepted_by_pve(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
}

/// Whether refusing a format whose text PVE accepts is correct: its text never changes, or has a
/// fraction without trailing zeros, which may be empty.
fn is_correct(error: &FormatError, refused: &Line, lines: &[Line]) -> bool {
    match error.flaw() {
        FormatFlaw::Constant => lines
            .iter()
            .filter(|line| line.format == refused.format)
            .all(|line| line.text == refused.text),
        FormatFlaw::Unsupported { specifier, .. } => specifier.starts_with('F'),
        FormatFlaw::Empty
        | FormatFlaw::Standard
        | FormatFlaw::Character(_)
        | FormatFlaw::Unfinished(_) => false,
    }
}

/// An accepted format gives the text of .NET; every format whose text PVE accepts and that changes
/// with the time is accepted.
#[test]
fn timestamps_are_those_of_dotnet() {
    let lines: Vec<Line> = lines("dotnet-formats.jsonl");
    assert!(lines.len() > 2_700, "only {} lines", lines.len());
    let (mut same, mut wrong) = (0, Vec::new());
    for line in &lines {
        let time: DateTime = line.time.parse().unwrap();
        let described =
            |ours: &str| format!("{:?} at {time}: {ours}, .NET: {:?}", line.format, line.text);
        match (TimestampFormat::parse(&line.format), &line.text) {
            (Ok(format), Some(text)) if format.format(&time) == *text => same += 1,
            (Ok(format), _) => wrong.push(described(&format.format(&time))),
            (Err(error), Some(text))
                if is_accepted_by_pve(text) && !is_correct(&error, line, &lines) =>
            {
                wrong.push(described(&error.to_string()));
            }
            (Err(_), _) => {}
        }
    }
    println!("{same} of {} lines alike", lines.len());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
