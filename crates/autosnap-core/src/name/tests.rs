// SPDX-License-Identifier: GPL-3.0-only
//! Names and labels in tables.

use jiff::civil::{DateTime, date};

use super::issue::is_strftime;
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

#[test]
fn labels_consist_of_name_characters() {
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
            "invalid label `my label`: PVE refuses ' ' in the name of a snapshot and accepts only letters \
             without accents, digits, `-` and `_`; `my_label` works",
        ),
        (
            "täglich!",
            "invalid label `täglich!`: PVE refuses 'ä' in the name of a snapshot and accepts only letters \
             without accents, digits, `-` and `_`; `t_glich` works",
        ),
        (
            "每日",
            "invalid label `每日`: PVE refuses '每' in the name of a snapshot and accepts only letters \
             without accents, digits, `-` and `_`; `daily` works",
        ),
    ] {
        assert_eq!(Label::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn names_are_those_that_pve_accepts() {
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
fn a_name_that_is_too_long_is_refused_with_its_excess() {
    for excess in [1, 7] {
        let name = "a".repeat(MAX_LENGTH + excess);
        let expected = NameError::TooLong {
            name: name.clone(),
            excess,
            remedy: Shortening::OtherName,
        };
        assert_eq!(SnapName::parse(&name), Err(expected));
    }
}

#[test]
fn a_name_consists_of_prefix_label_and_time() {
    let name = SnapName::new(&label("daily"), &TimestampFormat::default(), &monday()).unwrap();
    assert_eq!(name.as_str(), "autodaily090615134507");
    assert_eq!(format!("{name:>22}"), " autodaily090615134507");
}

#[test]
fn label_and_format_are_checked_for_all_dates() {
    let fits = |text: &str, timestamps: &str| check(&label(text), &format(timestamps));
    assert_eq!(fits("daily", "yyMMddHHmmss"), Ok(()));
    assert_eq!(fits("a23456789012345678901234", "yyMMddHHmmss"), Ok(()));
    let label_or = |text: &str| Shortening::LabelOrFormat {
        format: format(text),
    };
    for (text, timestamps, excess, remedy) in [
        (
            "a234567890123456789012345",
            "yyMMddHHmmss",
            1,
            Shortening::Label { longest: 24 },
        ),
        (
            "weekly",
            "yyyyMMddHHmm_MMMM_dddd",
            2,
            label_or("yyyyMMddHHmm_MMM_ddd"),
        ),
        (
            "every_four_hours",
            "yyyyMMddHHmmssfffffff",
            1,
            label_or("yyyyMMdd_HHmmss"),
        ),
        (
            "a23456789012345678901",
            "yyyyMMddHHmm_MMMM_dddd",
            17,
            label_or("yyyyMMdd_HHmmss"),
        ),
        (
            "a2345678901234567890123",
            "yyyyMMdd_HHmmss",
            2,
            label_or("yyMMddHHmmss"),
        ),
        (
            "a234567890123456789012345678901234567890123",
            "yyMMddHHmmss",
            19,
            Shortening::Label { longest: 24 },
        ),
        (
            "a234567890123456789012345",
            "yyyyMMddHHmmss",
            3,
            Shortening::LabelAndDefaultFormat { longest: 24 },
        ),
    ] {
        let error = fits(text, timestamps).unwrap_err();
        let expected = (excess, remedy);
        let NameError::TooLong { excess, remedy, .. } = error else {
            panic!("{text}: {error}");
        };
        assert_eq!((excess, remedy), expected);
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
fn the_label_of_a_name_is_the_shortest_one() {
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

#[test]
fn a_strftime_format_has_a_letter_of_its_own_or_several_percent_signs() {
    for (format, expected) in [
        ("%Y", true),
        ("%d-%m", true),
        ("%d%m%y", true),
        ("%d", false),
        ("HH%", false),
        ("%dYS", false),
        ("yyMMdd", false),
    ] {
        assert_eq!(is_strftime(format), expected, "{format}");
    }
}
