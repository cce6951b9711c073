// SPDX-License-Identifier: GPL-3.0-only
//! The descriptions of snapshots, with their marks.

use autosnap_core::marks::{Mark, MarkKind, MarkText, MarkedDescription, Marks, is_stored_as};
use jiff::Timestamp;

/// What is read is written as it was; no line frees a snapshot but a mark; a text is never a line of its own.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    check_description(text);
    check_description(&format!("cv4pve-autosnap\n{text}"));
    check_text(text);
}

fn check_description(text: &str) {
    let marks = Marks::parse(text);
    let Some(description) = MarkedDescription::parse(text) else {
        return assert!(marks.is_none());
    };
    assert_eq!(marks.as_ref(), Some(&description.marks()));
    let written = description.to_string();
    assert_eq!(
        MarkedDescription::parse(&written),
        Some(description.clone())
    );
    if !description.marks().is_empty() {
        assert!(is_stored_as(&written, text));
    }
    let with_line = MarkedDescription::parse(&format!("{written}\nautosnap: hold\nby hand"));
    let with_line = with_line.expect("a hold makes a description ours");
    assert!(with_line.marks().is_held(Timestamp::MAX));
}

fn check_text(text: &str) {
    let text = match MarkText::parse(text) {
        Ok(text) => text,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut description = MarkedDescription::default();
    description.set(Mark::Note(text.clone()));
    let written = description.to_string();
    assert_eq!(written.lines().count(), 2, "{written:?}");
    assert_eq!(written.trim_end(), written, "PVE cuts the end");
    let marks = Marks::parse(&written).expect("a note makes a description ours");
    assert_eq!((marks.note, marks.hold), (Some(text), None));
    assert!(marks.expires.is_none() && marks.unreadable.is_empty());
    description.clear(MarkKind::Note);
    assert_eq!(description, MarkedDescription::default());
}
