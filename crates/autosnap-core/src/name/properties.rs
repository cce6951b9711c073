// SPDX-License-Identifier: GPL-3.0-only
//! What holds for names, labels and formats of every kind.

use jiff::civil::{DateTime, date};
use proptest::prelude::*;

use super::*;

/// Pieces of formats: every specifier, separators and quoted letters.
const PIECES: [&str; 28] = [
    "yy", "yyyy", "yyyyy", "M", "MM", "MMM", "MMMM", "d", "dd", "ddd", "dddd", "h", "hh", "H",
    "HH", "m", "mm", "s", "ss", "f", "ff", "fffffff", "t", "tt", "-", "_", "'daily'", r"\y",
];

fn formats() -> impl Strategy<Value = TimestampFormat> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..7)
        .prop_filter_map("the pieces make a format", |pieces| {
            TimestampFormat::parse(&pieces.concat()).ok()
        })
}

/// Formats in which every number has a fixed width and the whole time is there.
fn fixed_formats() -> impl Strategy<Value = TimestampFormat> {
    let parts = Just(vec!["yyyy", "MM", "dd", "HH", "mm", "ss"]).prop_shuffle();
    let separator = prop::sample::select(vec!["", "-", "_", "'T'"]);
    (parts, separator)
        .prop_map(|(parts, separator)| TimestampFormat::parse(&parts.join(separator)).unwrap())
}

fn labels() -> impl Strategy<Value = Label> {
    "[A-Za-z0-9_-]{1,12}".prop_map(|text| Label::parse(&text).unwrap())
}

/// Any second of the years that two digits can stand for.
fn instants() -> impl Strategy<Value = DateTime> {
    (1950..2050i16, 1..=12i8, 1..=31i8, 0..24i8, 0..60i8, 0..60i8).prop_filter_map(
        "the day exists",
        |(year, month, day, hour, minute, second)| {
            DateTime::new(year, month, day, hour, minute, second, 0).ok()
        },
    )
}

fn epoch(instant: DateTime) -> i64 {
    jiff::tz::TimeZone::UTC
        .to_timestamp(instant)
        .unwrap()
        .as_second()
}

proptest! {
    #[test]
    fn a_timestamp_can_be_read_back(format in formats(), now in instants()) {
        let text = format.format(&now);
        let same = |parts: &TimestampParts| {
            parts.completed_from(now).is_some_and(|read| format.format(&read) == text)
        };
        prop_assert!(format.matches(&text), "{} in {}", text, format);
        prop_assert!(format.all_parts(&text).iter().any(same), "{} in {}", text, format);
    }

    #[test]
    fn a_complete_timestamp_is_its_instant(format in fixed_formats(), now in instants()) {
        let other = date(1999, 12, 31).at(23, 59, 59, 0);
        let parts = format.parse_timestamp(&format.format(&now)).unwrap();
        prop_assert_eq!(parts.completed_from(other), Some(now));
    }

    #[test]
    fn no_timestamp_is_longer_than_the_longest(format in formats(), now in instants()) {
        prop_assert!(format.format(&now).len() <= format.longest().len());
    }

    #[test]
    fn what_was_checked_never_fails(label in labels(), format in formats(), now in instants()) {
        if check(&label, &format).is_ok() {
            let name = SnapName::new(&label, &format, &now).unwrap();
            prop_assert!(name.as_str().len() <= MAX_LENGTH);
        }
    }

    #[test]
    fn a_name_has_the_label_it_was_made_of(label in labels(), format in fixed_formats(), now in instants()) {
        prop_assume!(check(&label, &format).is_ok());
        let name = SnapName::new(&label, &format, &now).unwrap();
        prop_assert!(has_label(name.as_str(), &label, &format), "{}", name);
        let taken_at = Some(epoch(now));
        prop_assert!(has_label_at(name.as_str(), &label, &format, taken_at), "{}", name);
    }

    #[test]
    fn a_name_of_the_default_format_has_its_label(label in labels(), now in instants(), hours in -14..14i64) {
        let format = TimestampFormat::default();
        let name = SnapName::new(&label, &format, &now).unwrap();
        let taken_at = Some(epoch(now) + hours * 3600);
        prop_assert!(has_label_at(name.as_str(), &label, &format, taken_at), "{}", name);
        prop_assert_eq!(label_of(name.as_str(), &[&format]), Some(label.as_str()));
    }

    #[test]
    fn a_name_never_has_two_labels(
        label in labels(),
        now in instants(),
        format in formats(),
        job in formats(),
        taken_at in prop::option::of(any::<i64>()),
    ) {
        let name = format!("auto{label}{}", format.format(&now));
        let taken_at = [taken_at, Some(epoch(now)), None];
        for taken_at in taken_at {
            let labels = (5..name.len())
                .filter_map(|end| Label::parse(&name[4..end]).ok())
                .filter(|label| has_label_at(&name, label, &job, taken_at));
            prop_assert!(labels.count() <= 1, "{}", name);
        }
    }

    #[test]
    fn a_longer_label_is_not_caught(label in labels(), more in "[0-9_-]{1,3}", format in fixed_formats(), now in instants()) {
        let longer = Label::parse(&format!("{label}{more}")).unwrap();
        let name = format!("auto{longer}{}", format.format(&now));
        let taken_at = Some(epoch(now));
        prop_assert!(!has_label(&name, &label, &format), "{}", name);
        prop_assert!(!has_label_at(&name, &label, &format, taken_at), "{}", name);
    }

    #[test]
    fn a_refused_format_comes_with_one_that_works(text in "\\PC{0,30}") {
        match TimestampFormat::parse(&text) {
            Ok(format) => prop_assert!(format.longest().chars().all(is_name_character)),
            Err(error) => {
                let proposed = TimestampFormat::parse(error.proposal()).unwrap();
                prop_assert!(check(&Label::parse("d").unwrap(), &proposed).is_ok());
            }
        }
    }

    #[test]
    fn a_refused_label_comes_with_one_that_works(text in "\\PC{0,30}") {
        match Label::parse(&text) {
            Ok(label) => prop_assert_eq!(label.as_str(), text),
            Err(LabelError::Empty) => prop_assert!(text.is_empty()),
            Err(LabelError::Character { proposal, .. }) => {
                prop_assert!(Label::parse(&proposal).is_ok());
            }
        }
    }

    #[test]
    fn any_text_can_be_asked_about(name in "(auto)?\\PC{0,40}", text in "\\PC{0,20}", taken_at: i64) {
        let format = TimestampFormat::default();
        let _ = SnapName::parse(&name);
        let _ = label_of(&name, &[&format]);
        prop_assert!(!format.matches(&text) || text.len() == 12);
        if let Ok(label) = Label::parse(&text) {
            let _ = has_label_at(&name, &label, &format, Some(taken_at));
        }
    }
}
