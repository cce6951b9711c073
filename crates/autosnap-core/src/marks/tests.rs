// SPDX-License-Identifier: GPL-3.0-only

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn text(text: &str) -> MarkText {
    MarkText::parse(text).unwrap()
}

fn marks(lines: &str) -> Marks {
    Marks::parse(&format!("{DESCRIPTION}\n{lines}")).unwrap()
}

#[test]
fn each_mark_is_read() {
    let since = Some(time("2026-11-28T18:00:00Z"));
    let until = Some(time("2027-01-31T00:00:00Z"));
    let reason = Some(text("before the audit"));
    for (line, hold) in [
        ("hold", Hold::default()),
        (
            "hold since=2026-11-28T18:00:00Z",
            Hold {
                since,
                ..Hold::default()
            },
        ),
        (
            "hold until=2027-01-31T01:00:00+01:00",
            Hold {
                until,
                ..Hold::default()
            },
        ),
        (
            "hold since=2026-11-28T18:00:00Z until=2027-01-31T00:00:00Z reason=before the audit",
            Hold {
                since,
                until,
                reason,
            },
        ),
    ] {
        let expected = Marks {
            hold: Some(hold),
            ..Marks::default()
        };
        assert_eq!(marks(&format!("autosnap: {line}")), expected, "{line}");
    }
    let both =
        marks("autosnap: expire at=2027-01-31T00:00:00Z\n\nautosnap: note text=a=b until=c\n");
    assert_eq!(both.expires, until);
    assert_eq!(both.note, Some(text("a=b until=c")));
    assert!(both.hold.is_none() && both.unreadable.is_empty());
}

#[test]
fn a_line_that_cannot_be_read_is_kept_and_holds() {
    let now = time("2030-01-01T00:00:00Z");
    for line in [
        "autosnap: ",
        "autosnap: Hold",
        "autosnap: hold ",
        "autosnap:  hold",
        "autosnap: hold\r",
        "autosnap: hold\tuntil=2027-01-31T00:00:00Z",
        "autosnap: hold  until=2027-01-31T00:00:00Z",
        "autosnap: hold until=tomorrow",
        "autosnap: hold until=2027-01-31",
        "autosnap: hold until=2027-01-31T00:00:00",
        "autosnap: hold until=",
        "autosnap: hold reason=",
        "autosnap: hold reason=a\\x",
        "autosnap: hold reason=a\\u{}",
        "autosnap: hold reason=a\\u{+41}",
        "autosnap: hold reason=a\\u{110000}",
        "autosnap: hold reason=a\\",
        "autosnap: hold until=2027-01-31T00:00:00Z since=2026-01-31T00:00:00Z",
        "autosnap: hold until=2027-01-31T00:00:00Z until=2028-01-31T00:00:00Z",
        "autosnap: holds",
        "autosnap: expire",
        "autosnap: expire in=14d",
        "autosnap: expire at=2027-01-31T00:00:00Z reason=old",
        "autosnap: note",
        "autosnap: note kept",
        "autosnap: pin",
        "kept for the auditors",
        " ",
    ] {
        let with_mark = format!(
            "{DESCRIPTION}\nautosnap: note text=n\n{line}\nautosnap: expire at=2027-01-31T00:00:00Z"
        );
        let description = MarkedDescription::parse(&with_mark).unwrap();
        assert_eq!(description.to_string(), with_mark, "{line:?}");
        let marks = description.marks();
        assert!(marks.unreadable.contains(&line.to_owned()), "{line:?}");
        assert!(marks.is_held(now), "{line:?}");
        assert_eq!(marks.expired_at(now), None, "{line:?}");
    }
}

#[test]
fn a_second_mark_of_a_kind_is_unreadable() {
    let later = "autosnap: expire at=2028-01-31T00:00:00Z";
    let marks = marks(&format!(
        "autosnap: expire at=2027-01-31T00:00:00Z\n{later}"
    ));
    assert_eq!(marks.expires, Some(time("2027-01-31T00:00:00Z")));
    assert_eq!(marks.unreadable, [later]);
    assert_eq!(marks.expired_at(time("2030-01-01T00:00:00Z")), None);
}

#[test]
fn a_hold_ends_at_its_time_and_wins_over_an_expiry() {
    let marks = marks(
        "autosnap: hold until=2027-02-01T00:00:00Z\nautosnap: expire at=2027-01-01T00:00:00Z",
    );
    for (now, is_held, is_expired) in [
        ("2026-12-31T23:59:59Z", true, false),
        ("2027-01-01T00:00:00Z", true, false),
        ("2027-01-31T23:59:59Z", true, false),
        ("2027-02-01T00:00:00Z", false, true),
    ] {
        let now = time(now);
        assert_eq!(marks.is_held(now), is_held, "{now}");
        assert_eq!(marks.expired_at(now).is_some(), is_expired, "{now}");
    }
    let endless = self::marks("autosnap: hold");
    assert!(endless.is_held(Timestamp::MAX));
}

#[test]
fn setting_and_clearing_a_mark_leaves_the_other_lines_as_they_are() {
    let stored = "eve4pve-autosnap\nautosnap: hold until=soon\nby hand\n\nautosnap: hold\nautosnap: pin\nautosnap: expire at=2027-01-31T01:00:00+01:00\n";
    let mut description = MarkedDescription::parse(stored).unwrap();
    description.set(Mark::Hold(Hold::default()));
    description.set(Mark::Note(text("two\nlines")));
    assert_eq!(
        description.to_string(),
        "eve4pve-autosnap\nautosnap: hold\nby hand\n\nautosnap: pin\nautosnap: expire at=2027-01-31T01:00:00+01:00\nautosnap: note text=two\\nlines"
    );
    assert!(description.clear(MarkKind::Hold));
    assert!(!description.clear(MarkKind::Hold));
    assert_eq!(description.marks().unreadable, ["by hand", "autosnap: pin"]);
}

#[test]
fn without_marks_the_description_is_that_of_the_csharp_tool_again() {
    for (stored, expected) in [
        ("cv4pve-autosnap\n", "cv4pve-autosnap"),
        ("\ncv4pve-\nautosnap\n\n", "cv4pve-autosnap"),
        ("eve4pve-autosnap", "eve4pve-autosnap"),
    ] {
        let mut description = MarkedDescription::parse(stored).unwrap();
        assert!(description.marks().is_empty());
        description.set(Mark::Expire(time("2027-01-31T00:00:00Z")));
        assert!(!description.marks().is_empty());
        assert_eq!(
            description.to_string(),
            format!("{expected}\nautosnap: expire at=2027-01-31T00:00:00Z")
        );
        description.clear(MarkKind::Expire);
        assert_eq!(description.to_string(), expected);
    }
}

#[test]
fn foreign_descriptions_have_no_marks() {
    for description in [
        "",
        "by hand",
        "by hand\nautosnap: hold",
        "cv4pve-autosnap\nby hand",
    ] {
        assert_eq!(Marks::parse(description), None, "{description:?}");
        assert_eq!(MarkedDescription::parse(description), None);
    }
}

#[test]
fn texts_are_neither_empty_nor_long() {
    assert_eq!(MarkText::parse(" \n"), Err(MarkTextError::Empty));
    assert_eq!(MarkText::parse("  0 ").unwrap().as_str(), "0");
    let longest = "ä".repeat(MAX_TEXT_LENGTH);
    assert!(MarkText::parse(&longest).is_ok());
    let error = MarkText::parse(&format!("{longest}ä")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the text must have at most 500 characters, it has 501"
    );
}

#[test]
fn the_text_of_a_mark_is_readable_in_pve() {
    let mut description = MarkedDescription::default();
    description.set(Mark::Note(text(
        "Größe 5 €, a\\b\nautosnap: hold\u{1b}[2J\u{a0}\u{202e}x",
    )));
    assert_eq!(
        description.to_string(),
        "cv4pve-autosnap\nautosnap: note text=Größe 5 €, a\\\\b\\nautosnap: hold\\u{1b}[2J\\u{a0}\\u{202e}x"
    );
}

/// PVE changes only white space at the end of a description.
#[test]
fn a_stored_description_differs_from_the_sent_one_only_at_its_end() {
    for (stored, expected) in [
        ("cv4pve-autosnap\nautosnap: hold", true),
        ("cv4pve-autosnap\nautosnap: hold\n", true),
        ("cv4pve-autosnap\nautosnap: hol", false),
        ("cv4pve-autosnap\n\nautosnap: hold", false),
        (" cv4pve-autosnap\nautosnap: hold", false),
        ("", false),
    ] {
        let sent = "cv4pve-autosnap\nautosnap: hold ";
        assert_eq!(is_stored_as(sent, stored), expected, "{stored:?}");
    }
}

/// PVE cuts white space at the end of a description.
#[test]
fn blanks_at_the_ends_of_a_text_stay_escaped() {
    let escaped = "\\u{20} a b \\u{20}";
    let text = MarkText::from_escaped(escaped).unwrap();
    assert_eq!(text.as_str(), "  a b  ");
    assert_eq!(text.escaped(), escaped);
}
