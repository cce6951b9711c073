// SPDX-License-Identifier: GPL-3.0-only
//! Properties of all marks and descriptions.

use proptest::prelude::*;

use super::*;

/// A description as PVE stores and lists it (`PVE/QemuServer.pm`, `PVE/LXC/Config.pm`; recorded).
fn stored(description: &str, is_container: bool) -> String {
    let kept = if is_container {
        description.trim_end_matches('\n')
    } else {
        description.trim_end()
    };
    match kept {
        "" | "0" => String::new(),
        _ if is_container => format!("{kept}\n"),
        _ => kept.to_owned(),
    }
}

fn times() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second())
        .prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn texts() -> impl Strategy<Value = MarkText> {
    let hostile =
        "[ \\n\\r\\t\\\\a\u{a0}\u{85}\u{2028}\u{feff}\u{1b}]{1,12}|autosnap: hold\\n0|(?s).{1,40}";
    hostile.prop_filter_map("the text is not blank", |text| MarkText::parse(&text).ok())
}

fn holds() -> impl Strategy<Value = Hold> {
    let since = prop::option::of(times());
    let until = prop::option::of(times());
    (since, until, prop::option::of(texts())).prop_map(|(since, until, reason)| Hold {
        since,
        until,
        reason,
    })
}

fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        holds().prop_map(Mark::Hold),
        times().prop_map(Mark::Expire),
        texts().prop_map(Mark::Note),
    ]
}

/// Any description, most with our first line and lines that resemble marks.
fn descriptions() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        any_mark().prop_map(|mark| Line::of(mark).text().to_owned()),
        "autosnap: (hold|expire|note|pin)?( (since|until|at|text|reason)=[a-z0-9TZ:\\\\ -]{0,9}){0,3}",
        "[^\\n]{0,20}",
    ];
    let first = prop_oneof![
        4 => Just(DESCRIPTION.to_owned()),
        1 => Just(FORMER_DESCRIPTION.to_owned()),
        1 => "(?s).{0,20}",
    ];
    (first, prop::collection::vec(line, 0..6))
        .prop_map(|(first, lines)| format!("{first}\n{}", lines.join("\n")))
}

proptest! {
    #[test]
    fn marks_survive_being_stored(marks in prop::collection::vec(any_mark(), 1..5), is_container: bool) {
        let mut description = MarkedDescription::default();
        for mark in &marks {
            description.set(mark.clone());
        }
        let listed = stored(&description.to_string(), is_container);
        prop_assert!(is_stored_as(&description.to_string(), &listed));
        let read = MarkedDescription::parse(&listed).unwrap();
        prop_assert_eq!(&read, &description);
        let read = read.marks();
        prop_assert!(read.unreadable.is_empty());
        for kind in [MarkKind::Hold, MarkKind::Expire, MarkKind::Note] {
            let last = marks.iter().rev().find(|mark| mark.kind() == kind).cloned();
            let found = match kind {
                MarkKind::Hold => read.hold.clone().map(Mark::Hold),
                MarkKind::Expire => read.expires.map(Mark::Expire),
                MarkKind::Note => read.note.clone().map(Mark::Note),
            };
            prop_assert_eq!(found, last);
        }
    }

    #[test]
    fn what_is_read_is_written_as_it_was(description in descriptions(), is_container: bool) {
        let listed = stored(&description, is_container);
        let read = MarkedDescription::parse(&listed);
        prop_assert_eq!(read.is_some(), is_ours(&listed));
        prop_assert_eq!(read.as_ref().map(MarkedDescription::marks), Marks::parse(&listed));
        if let Some(read) = read {
            if !is_unmarked(&listed) {
                prop_assert!(is_stored_as(&read.to_string(), &listed));
            }
            prop_assert_eq!(MarkedDescription::parse(&read.to_string()), Some(read));
        }
    }

    /// A snapshot is never removable because of a line that this program did not write.
    #[test]
    fn another_line_never_frees_a_snapshot(description in descriptions(), line in "[^\\n]{1,20}", now in times()) {
        if let Some(marks) = Marks::parse(&format!("{description}\n{line}")) {
            let is_mark = matches!(Line::parse(&line).content(), Content::Mark(_));
            prop_assert!(is_mark || marks.is_held(now));
        }
    }

    #[test]
    fn changing_one_kind_leaves_the_others(description in descriptions(), mark in any_mark()) {
        let Some(before) = MarkedDescription::parse(&description) else {
            return Ok(());
        };
        let mut after = before.clone();
        after.set(mark.clone());
        prop_assert_eq!(is_ours(&after.to_string()), true);
        let others = |description: &MarkedDescription| -> Vec<Line> {
            let lines = description.lines.iter();
            lines.filter(|line| !line.is_of(mark.kind())).cloned().collect()
        };
        let lines = others(&before);
        let kept = others(&after);
        prop_assert!(kept == lines || lines.iter().all(Line::is_blank));
        after.clear(mark.kind());
        prop_assert!(others(&after) == lines || lines.iter().all(Line::is_blank));
    }
}
