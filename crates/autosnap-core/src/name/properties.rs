// SPDX-License-Identifier: GPL-3.0-only
//! Properties of all names, labels and formats.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

/// Parts of formats: every specifier, separators and quoted letters.
const PIECES: [&str; 28] = [
    "yy", "yyyy", "yyyyy", "M", "MM", "MMM", "MMMM", "d", "dd", "ddd", "dddd", "h", "hh", "H",
    "HH", "m", "mm", "s", "ss", "f", "ff", "fffffff", "t", "tt", "-", "_", "'daily'", r"\y",
];

fn formats() -> impl Strategy<Value = TimestampFormat> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..7)
        .prop_filter_map("the pieces are a format", |pieces| {
            TimestampFormat::parse(&pieces.concat()).ok()
        })
}

/// Formats with all parts of the time, each of a fixed width.
fn fixed_formats() -> impl Strategy<Value = TimestampFormat> {
    let parts = Just(vec!["yyyy", "MM", "dd", "HH", "mm", "ss"]).prop_shuffle();
    let separator = prop::sample::select(vec!["", "-", "_", "'T'"]);
    (parts, separator)
        .prop_map(|(parts, separator)| TimestampFormat::parse(&parts.join(separator)).unwrap())
}

fn labels() -> impl Strategy<Value = Label> {
    "[A-Za-z0-9_-]{1,12}".prop_map(|text| Label::parse(&text).unwrap())
}

/// Any second of the years that two digits can mean.
fn instants() -> impl Strategy<Value = DateTime> {
    (1950..2050i16, 1..=12i8, 1..=31i8, 0..24i8, 0..60i8, 0..60i8).prop_filter_map(
        "the day exists",
        |(year, month, day, hour, minute, second)| {
            DateTime::new(year, month, day, hour, minute, second, 0).ok()
        },
    )
}

/// The time this many hours later, in UTC.
fn utc_after(time: DateTime, hours: i64) -> Timestamp {
    let time = TimeZone::UTC.to_timestamp(time).unwrap();
    time + SignedDuration::from_hours(hours)
}

/// Any second that a timestamp can be.
fn timestamps() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second())
        .prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn classify(series: &Series, name: &str, taken_at: Option<Timestamp>) -> Membership {
    let others = OtherLabels::default();
    series.classify(name, taken_at, AmbiguousNames::KeepIfLabelPresent, &others)
}

fn is_certain_member(series: &Series, name: &str, taken_at: Option<Timestamp>) -> bool {
    let others = OtherLabels::default();
    series.classify(name, taken_at, AmbiguousNames::Keep, &others) == Membership::Member
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
    fn a_complete_timestamp_determines_the_time(format in fixed_formats(), now in instants()) {
        let other = date(1999, 12, 31).at(23, 59, 59, 0);
        let parts = format.parse_timestamp(&format.format(&now)).unwrap();
        prop_assert_eq!(parts.completed_from(other), Some(now));
    }

    #[test]
    fn no_timestamp_is_longer_than_the_longest(format in formats(), now in instants()) {
        prop_assert!(format.format(&now).len() <= format.longest().len());
    }

    #[test]
    fn checked_labels_and_formats_never_fail(label in labels(), format in formats(), now in instants()) {
        if check(&label, &format).is_ok() {
            let name = SnapName::new(&label, &format, &now).unwrap();
            prop_assert!(name.as_str().len() <= MAX_LENGTH);
        }
    }

    #[test]
    fn a_name_belongs_to_its_series(label in labels(), format in fixed_formats(), now in instants(), hours in -14..14i64) {
        prop_assume!(check(&label, &format).is_ok());
        let name = SnapName::new(&label, &format, &now).unwrap();
        let series = Series::new(label.clone(), format.clone());
        for taken_at in [None, Some(utc_after(now, hours))] {
            let membership = classify(&series, name.as_str(), taken_at);
            prop_assert_eq!(membership, Membership::Member, "{}", name);
        }
        prop_assert_eq!(label_of(name.as_str(), &[&format]), Some(label.as_str()));
    }

    #[test]
    fn a_name_of_the_default_format_belongs_to_its_series(label in labels(), now in instants(), hours in -14..14i64) {
        let format = TimestampFormat::default();
        let name = SnapName::new(&label, &format, &now).unwrap();
        let series = Series::new(label.clone(), format.clone());
        let membership = classify(&series, name.as_str(), Some(utc_after(now, hours)));
        prop_assert_eq!(membership, Membership::Member, "{}", name);
        prop_assert_eq!(label_of(name.as_str(), &[&format]), Some(label.as_str()));
    }

    /// A name belongs to at most one label in one format. In two formats, where names may collide, it
    /// belongs to at most one if ambiguous names are not counted.
    #[test]
    fn a_name_never_belongs_to_two_series(
        label in labels(),
        now in instants(),
        format in formats(),
        one in formats(),
        colliding in prop::sample::select(vec!["yyMMddHHmmss", "yyyyMMddHHmmss", "_yyMMddHHmmss", "-yyMMddHHmmss"]),
        taken_at in prop::option::of(timestamps()),
    ) {
        let colliding = TimestampFormat::parse(colliding).unwrap();
        for format in [format, colliding.clone()] {
            let name = format!("auto{label}{}", format.format(&now));
            for taken_at in [taken_at, Some(utc_after(now, 0)), None] {
                let labels: Vec<Label> = (5..name.len())
                    .filter_map(|end| Label::parse(&name[4..end]).ok())
                    .collect();
                let members = |formats: &[&TimestampFormat]| {
                    let pairs = labels.iter().flat_map(|label| formats.iter().map(move |format| (label, *format)));
                    let series = pairs.map(|(label, format)| Series::new(label.clone(), format.clone()));
                    series.filter(|series| is_certain_member(series, &name, taken_at)).count()
                };
                prop_assert!(members(&[&one]) <= 1, "{}", name);
                let default = TimestampFormat::default();
                // Of this century. Without a time nothing is removed, and `1122` can be a year.
                let is_of_our_time = |time: Timestamp| (946_684_800..4_102_444_800).contains(&time.as_second());
                if colliding != default && now.year() >= 2000 && taken_at.is_some_and(is_of_our_time) {
                    prop_assert!(members(&[&default, &colliding]) <= 1, "{}", name);
                }
            }
        }
    }

    #[test]
    fn a_longer_label_is_not_caught(label in labels(), more in "[0-9_-]{1,3}", format in fixed_formats(), now in instants()) {
        let longer = Label::parse(&format!("{label}{more}")).unwrap();
        let name = format!("auto{longer}{}", format.format(&now));
        let series = Series::new(label, format);
        for taken_at in [None, Some(utc_after(now, 0))] {
            prop_assert_ne!(classify(&series, &name, taken_at), Membership::Member, "{}", name);
        }
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
    fn no_text_causes_a_panic(name in "(auto)?\\PC{0,40}", text in "\\PC{0,20}", taken_at in timestamps()) {
        let format = TimestampFormat::default();
        let _ = SnapName::parse(&name);
        let _ = label_of(&name, &[&format]);
        prop_assert!(!format.matches(&text) || text.len() == 12);
        if let Ok(label) = Label::parse(&text) {
            let _ = classify(&Series::new(label, format), &name, Some(taken_at));
        }
    }
}
