// SPDX-License-Identifier: GPL-3.0-only
//! Names and labels in tables.

use jiff::civil::{DateTime, date};

use super::*;

fn format(text: &str) -> TimestampFormat {
    TimestampFormat::parse(text).unwrap()
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

/// A Monday afternoon whose parts all differ.
fn monday() -> DateTime {
    date(2009, 6, 15).at(13, 45, 7, 617_425_900)
}

/// Seconds since the epoch of a local time in UTC.
fn epoch(instant: DateTime) -> i64 {
    jiff::tz::TimeZone::UTC
        .to_timestamp(instant)
        .unwrap()
        .as_second()
}

#[test]
fn labels_are_parts_of_names() {
    for text in ["daily", "D", "2", "_", "-", "Every-4_hours"] {
        assert_eq!(label(text).as_str(), text);
    }
    for (text, message) in [
        (
            "",
            "the label is empty: give the snapshots a name such as `daily`",
        ),
        (
            "my label",
            "label `my label`: PVE refuses ' ' in the name of a snapshot and takes only letters \
             without accents, digits, `-` and `_`; `my_label` works",
        ),
        (
            "täglich!",
            "label `täglich!`: PVE refuses 'ä' in the name of a snapshot and takes only letters \
             without accents, digits, `-` and `_`; `t_glich` works",
        ),
        (
            "每日",
            "label `每日`: PVE refuses '每' in the name of a snapshot and takes only letters \
             without accents, digits, `-` and `_`; `daily` works",
        ),
    ] {
        assert_eq!(Label::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn names_are_what_pve_takes() {
    for (name, valid) in [
        ("autodaily231123170958", true),
        ("aa", true),
        ("a", false),
        ("", false),
        ("1a", false),
        ("_a", false),
        ("a.b", false),
        ("a b", false),
        ("aä", false),
        ("current", false),
        ("Current", false),
        ("pending", false),
        ("vzdump", false),
        ("currently", true),
        ("a123456789012345678901234567890123456789", true),
        ("a1234567890123456789012345678901234567890", false),
    ] {
        assert_eq!(SnapName::parse(name).is_ok(), valid, "{name:?}");
    }
}

#[test]
fn a_name_is_made_of_prefix_label_and_time() {
    let name = SnapName::new(&label("daily"), &TimestampFormat::default(), &monday()).unwrap();
    assert_eq!(name.as_str(), "autodaily090615134507");
}

#[test]
fn label_and_format_are_checked_for_every_date() {
    let fits = |text: &str, timestamps: &str| check(&label(text), &format(timestamps));
    assert_eq!(fits("daily", "yyMMddHHmmss"), Ok(()));
    assert_eq!(fits("a23456789012345678901234", "yyMMddHHmmss"), Ok(()));
    for (text, timestamps, message) in [
        (
            "a234567890123456789012345",
            "yyMMddHHmmss",
            "has 41 characters, 1 more than PVE allows: shorten the label to at most 24 characters",
        ),
        (
            "weekly",
            "yyyyMMddHHmm_MMMM_dddd",
            "has 42 characters, 2 more than PVE allows: shorten the label or use --timestamp-format=yyyyMMddHHmm_MMM_ddd",
        ),
        (
            "every_four_hours",
            "yyyyMMddHHmmssfffffff",
            "shorten the label or use --timestamp-format=yyyyMMdd_HHmmss",
        ),
        (
            "a23456789012345678901",
            "yyyyMMddHHmm_MMMM_dddd",
            "shorten the label or use --timestamp-format=yyyyMMdd_HHmmss",
        ),
        (
            "a2345678901234567890123",
            "yyyyMMdd_HHmmss",
            "shorten the label or use --timestamp-format=yyMMddHHmmss",
        ),
        (
            "a234567890123456789012345678901234567890123",
            "yyMMddHHmmss",
            "shorten the label to at most 24 characters",
        ),
    ] {
        let error = fits(text, timestamps).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_name_that_fits_in_may_is_refused_because_of_september() {
    let (label, format) = (label("a_long_enough_label"), format("yyyy_MMMM_dddd"));
    let may = date(2024, 5, 6).at(0, 0, 0, 0);
    assert!(SnapName::new(&label, &format, &may).is_ok());
    let september = date(2024, 9, 4).at(0, 0, 0, 0);
    let in_september = SnapName::new(&label, &format, &september).unwrap_err();
    let beforehand = check(&label, &format).unwrap_err();
    assert!(
        matches!(in_september, NameError::TooLong { excess: 7, .. }),
        "{in_september}"
    );
    assert!(
        matches!(beforehand, NameError::TooLong { excess: 7, .. }),
        "{beforehand}"
    );
}

#[test]
fn a_label_is_never_taken_for_another() {
    for (name, text, timestamps, expected) in [
        ("autodaily231123170958", "daily", "yyMMddHHmmss", true),
        ("autodaily2231123170958", "daily", "yyMMddHHmmss", false),
        ("autodaily2231123170958", "daily2", "yyMMddHHmmss", true),
        ("autodaily_231123170958", "daily", "yyMMddHHmmss", false),
        ("autodaily_2231123170958", "daily", "yyMMddHHmmss", false),
        ("autodaily231123170958", "dail", "yyMMddHHmmss", false),
        ("autodaily231123170958", "Daily", "yyMMddHHmmss", false),
        ("autodaily231123170958", "y", "yyMMddHHmmss", false),
        ("autodaily", "daily", "yyMMddHHmmss", false),
        ("daily231123170958", "daily", "yyMMddHHmmss", false),
        ("auto231123170958", "daily", "yyMMddHHmmss", false),
        ("autodaily20231123_Thursday", "daily", "yyyyMMdd_dddd", true),
        (
            "autodaily220231123_Thursday",
            "daily",
            "yyyyMMdd_dddd",
            false,
        ),
        // The default format is always understood.
        ("autodaily231123170958", "daily", "yyyyMMdd_dddd", true),
        ("autodaily20231123170958", "daily", "yyyyMMddHHmmss", true),
        (
            "autodaily20231123170958",
            "daily20",
            "yyyyMMddHHmmss",
            false,
        ),
        ("autodaily20231123170958", "daily20", "yyMMddHHmmss", true),
        // Of varying width, and only one way to cut the name.
        ("autodaily23112370958", "daily", "yyMMddHmmss", true),
        ("autodaily-231023170958", "daily-", "yyMMddHmmss", true),
        // Label daily at 17:09:58, or label daily2 at 07:09:58 in another year.
        ("autodaily221010170958", "daily", "yyMMddHmmss", false),
        ("autodaily221010170958", "daily2", "yyMMddHmmss", false),
    ] {
        let (label, format) = (label(text), format(timestamps));
        assert_eq!(
            has_label(name, &label, &format),
            expected,
            "{name}, {text}, {timestamps}"
        );
    }
}

#[test]
fn the_time_of_a_snapshot_decides_where_its_name_cannot() {
    let variable = "yyMMddHmmss";
    let october = Some(epoch(date(2022, 10, 10).at(15, 10, 1, 0)));
    let january = Some(epoch(date(2021, 1, 1).at(17, 9, 58, 0)));
    let default = Some(epoch(date(2023, 11, 23).at(10, 10, 12, 0)));
    for (name, text, timestamps, taken_at, expected) in [
        ("autodaily221010170958", "daily", variable, october, true),
        ("autodaily221010170958", "daily2", variable, october, false),
        ("autodaily221010170958", "daily2", variable, january, true),
        ("autodaily221010170958", "daily", variable, default, false),
        ("autodaily221010170958", "daily2", variable, default, false),
        // Made with the default format before the job got another one.
        ("autodaily231123101012", "daily", "yyMMdd", default, true),
        (
            "autodaily231123101012",
            "daily231123",
            "yyMMdd",
            default,
            false,
        ),
        ("autodaily231123101012", "daily", "yyMMdd", None, false),
        // A clock that was wrong does not make a snapshot nobody's.
        (
            "autodaily20231123170958",
            "daily",
            "yyyyMMddHHmmss",
            Some(0),
            true,
        ),
        (
            "autodaily20231123170958",
            "daily20",
            "yyyyMMddHHmmss",
            Some(0),
            false,
        ),
        (
            "autodaily231123170958",
            "daily",
            "yyMMddHHmmss",
            Some(0),
            true,
        ),
        (
            "autodaily231123170958",
            "daily",
            "yyMMddHHmmss",
            Some(i64::MAX),
            true,
        ),
        // Two times of one day: nothing tells them apart.
        ("autodaily170958", "daily", "Hmmss", default, false),
        ("autodaily170958", "daily1", "Hmmss", default, false),
        // Both formats read the same: no doubt about the label.
        (
            "autodaily101112131415",
            "daily",
            "ddMMyyHHmmss",
            Some(0),
            true,
        ),
    ] {
        let (label, format) = (label(text), format(timestamps));
        let has = has_label_at(name, &label, &format, taken_at);
        assert_eq!(has, expected, "{name}, {text}, {timestamps}, {taken_at:?}");
    }
}

#[test]
fn the_label_of_a_name_is_the_shortest_possible() {
    let default = TimestampFormat::default();
    let long = format("yyyyMMddHHmmss");
    for (name, formats, expected) in [
        ("autodaily231123170958", vec![&default], Some("daily")),
        ("autodaily2231123170958", vec![&default], Some("daily2")),
        ("auto-231123170958", vec![&default], Some("-")),
        ("autodaily20231123170958", vec![&default], Some("daily20")),
        (
            "autodaily20231123170958",
            vec![&default, &long],
            Some("daily"),
        ),
        (
            "autodaily20231123170958",
            vec![&long, &default],
            Some("daily"),
        ),
        ("autodaily231123170958", vec![&long], None),
        ("auto231123170958", vec![&default], None),
        ("autodaily", vec![&default], None),
        ("before-upgrade", vec![&default], None),
        ("", vec![&default], None),
        ("autoträge231123170958", vec![&default], Some("träge")),
    ] {
        assert_eq!(label_of(name, &formats), expected, "{name}");
    }
}
