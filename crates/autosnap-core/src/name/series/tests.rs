// SPDX-License-Identifier: GPL-3.0-only

use jiff::civil::date;
use jiff::tz::TimeZone;

use super::*;

fn epoch(year: i16, month: i8, day: i8, [hour, minute, second]: [i8; 3]) -> Option<Timestamp> {
    let instant = date(year, month, day).at(hour, minute, second, 0);
    TimeZone::UTC.to_timestamp(instant).ok()
}

/// A time that a wrong clock gives.
fn wrong_clock() -> Option<Timestamp> {
    Timestamp::from_second(7).ok()
}

fn series(label: &str, format: &str) -> Series {
    Series::new(Label::parse(label).unwrap(), usual_format(format))
}

fn classify(name: &str, label: &str, format: &str, taken_at: Option<Timestamp>) -> Membership {
    let series = series(label, format);
    let others = OtherLabels::default();
    series.classify(name, taken_at, AmbiguousNames::KeepIfLabelPresent, &others)
}

#[test]
fn the_format_of_new_names_is_the_first_of_all_formats() {
    let label = Label::parse("daily").unwrap();
    let [new, adopted] = ["yyyyMMdd_HHmmss", "yyMMdd"].map(usual_format);
    let adopted = vec![adopted.clone(), new.clone(), adopted];
    let series = Series::with_formats(label, new, adopted);
    assert_eq!(series.format().as_str(), "yyyyMMdd_HHmmss");
    let formats: Vec<&str> = series
        .formats()
        .iter()
        .map(TimestampFormat::as_str)
        .collect();
    assert_eq!(formats, ["yyyyMMdd_HHmmss", "yyMMdd"]);
}

#[test]
fn a_name_never_belongs_to_a_similar_label() {
    let taken_at = epoch(2023, 11, 23, [17, 9, 58]);
    for (name, label, format, expected) in [
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
        ("autodaily20231123170958", "daily", "yyyyMMddHHmmss", true),
        (
            "autodaily20231123170958",
            "daily20",
            "yyyyMMddHHmmss",
            false,
        ),
        ("autodaily20231123170958", "daily20", "yyMMddHHmmss", true),
        // Of varying width, with only one way to split the name.
        ("autodaily23112370958", "daily", "yyMMddHmmss", true),
        ("autodaily231123170958", "daily", "yyMMddHmmss", true),
        ("autodaily-231123170958", "daily-", "yyMMddHmmss", true),
    ] {
        let is_member = classify(name, label, format, taken_at) == Membership::Member;
        assert_eq!(is_member, expected, "{name}, {label}, {format}");
    }
}

#[test]
fn the_time_of_a_snapshot_decides_if_its_name_cannot() {
    let variable = "yyMMddHmmss";
    let october = epoch(2022, 10, 10, [15, 10, 1]);
    let january = epoch(2021, 1, 1, [17, 9, 58]);
    let november = epoch(2023, 11, 23, [10, 10, 12]);
    let is_ambiguous = |label: &str, format: &str| Membership::Ambiguous {
        label: label.to_owned(),
        format: format.to_owned(),
    };
    let other_format = |format: &str| Membership::OtherFormat(format.to_owned());
    let two_ways = "autodaily221010170958";
    for (name, label, format, taken_at, expected) in [
        (two_ways, "daily", variable, october, Membership::Member),
        (two_ways, "daily2", variable, october, Membership::Other),
        (two_ways, "daily2", variable, january, Membership::Member),
        (two_ways, "daily", variable, january, Membership::Other),
        (
            two_ways,
            "daily",
            variable,
            november,
            is_ambiguous("daily2", variable),
        ),
        (
            two_ways,
            "daily",
            variable,
            None,
            is_ambiguous("daily2", variable),
        ),
        // Named in the default format before the job got another one.
        (
            "autodaily231123101012",
            "daily",
            "yyMMdd",
            november,
            other_format("yyMMddHHmmss"),
        ),
        (
            "autodaily231123101012",
            "daily231123",
            "yyMMdd",
            november,
            Membership::WrongTime,
        ),
        // A wrong clock.
        (
            "autodaily231123170958",
            "daily",
            "yyMMddHHmmss",
            wrong_clock(),
            Membership::WrongTime,
        ),
        // Two times of one day, which cannot be distinguished.
        (
            "autodaily170958",
            "daily",
            "Hmmss",
            november,
            is_ambiguous("daily1", "Hmmss"),
        ),
        (
            "autodaily170958",
            "daily1",
            "Hmmss",
            november,
            is_ambiguous("daily", "Hmmss"),
        ),
        // Another format that is recognised, and a text that is not a timestamp.
        (
            "autodaily20231123_101012",
            "daily",
            "yyMMddHHmmss",
            november,
            other_format("yyyyMMdd_HHmmss"),
        ),
        (
            "autodaily_keep_forever",
            "daily",
            "yyMMddHHmmss",
            november,
            Membership::Other,
        ),
        (
            "autodaily231122101012",
            "daily",
            "yyyyMMdd",
            None,
            other_format("yyMMddHHmmss"),
        ),
    ] {
        let membership = classify(name, label, format, taken_at);
        assert_eq!(
            membership, expected,
            "{name}, {label}, {format}, {taken_at:?}"
        );
    }
}

#[test]
fn a_wrong_clock_does_not_decide_between_two_readings() {
    let series = series("daily-", TimestampFormat::DEFAULT);
    let others = OtherLabels::default();
    let name = "autodaily-260101010101";
    let classify = |taken_at| series.classify(name, taken_at, AmbiguousNames::Keep, &others);
    let ambiguous = Membership::Ambiguous {
        label: "daily".to_owned(),
        format: "-yyMMddHHmmss".to_owned(),
    };
    assert_eq!(classify(epoch(2026, 1, 1, [1, 1, 1])), ambiguous);
    assert_eq!(classify(wrong_clock()), ambiguous);
    assert_eq!(classify(None), ambiguous);
}

#[test]
fn collisions_are_found_in_both_directions() {
    let default = TimestampFormat::DEFAULT;
    for (label, format, expected) in [
        ("daily20", default, Some(("daily", "yyyyMMddHHmmss"))),
        ("daily", "yyyyMMddHHmmss", Some(("daily20", default))),
        ("daily_", default, Some(("daily", "_yyMMddHHmmss"))),
        ("daily", "_yyMMddHHmmss", Some(("daily_", default))),
        ("daily-", default, Some(("daily", "-yyMMddHHmmss"))),
        ("daily", "-yyMMddHHmmss", Some(("daily-", default))),
        ("daily", default, None),
        ("20", default, None),
        ("daily2", default, None),
        ("daily20", "yyyyMMdd_HHmmss", None),
    ] {
        let series = series(label, format);
        let collisions = series.collisions();
        let pairs: Vec<_> = collisions
            .iter()
            .map(|pair| (pair.label.as_str(), pair.format.as_str()))
            .collect();
        assert_eq!(pairs, Vec::from_iter(expected), "{label}, {format}");
    }
}

#[test]
fn other_labels_are_searched_only_if_names_can_collide() {
    let names = [
        ("autoweekly20260101_000000", None),
        ("autodaily20260101_000000", None),
        ("by-hand", None),
    ];
    let [long, short] = ["yyyyMMdd_HHmmss", "yyMMdd_HHmmss"].map(usual_format);
    let daily = Label::parse("daily").unwrap();
    let one_format = Series::new(daily.clone(), long.clone());
    assert!(one_format.other_labels(names).0.is_empty());
    let two_formats = Series::with_formats(daily, long, vec![short]);
    let labels = two_formats.other_labels(names).0;
    assert!(labels.contains("weekly") && !labels.contains("daily"));
    let colliding = series("daily20", TimestampFormat::DEFAULT);
    assert!(colliding.other_labels(names).0.contains("weekly"));
}

/// The membership of a name in the series of `prod` that has adopted these labels.
fn adopted(labels: &[&str], name: &str, taken_at: Option<Timestamp>) -> Membership {
    let labels = labels.iter().map(|label| Label::parse(label).unwrap());
    let series = series("prod", "yyMMddHHmmss").with_adopted_labels(labels);
    let others = series.other_labels([(name, taken_at)]);
    series.classify(name, taken_at, AmbiguousNames::Keep, &others)
}

#[test]
fn snapshots_of_adopted_labels_belong_to_the_series() {
    let taken_at = epoch(2026, 1, 5, [0, 0, 0]);
    let labels = ["hourly", "daily"];
    for (name, expected) in [
        ("autoprod260105000000", Membership::Member),
        ("autohourly260105000000", Membership::Member),
        ("autodaily260105000000", Membership::Member),
        ("autoweekly260105000000", Membership::Other),
        ("autodaily2260105000000", Membership::Other),
        ("manual", Membership::Other),
        (
            "autodaily20260105",
            Membership::OtherFormat("yyyyMMdd".to_owned()),
        ),
    ] {
        assert_eq!(adopted(&labels, name, taken_at), expected, "{name}");
    }
    assert_eq!(
        adopted(&labels, "autodaily250105000000", taken_at),
        Membership::WrongTime
    );
    assert_eq!(
        adopted(&[], "autodaily260105000000", taken_at),
        Membership::Other
    );
}

/// Both readings of such a name are of labels of the series, in its formats.
#[test]
fn a_name_that_can_only_be_of_two_labels_of_the_series_is_a_member() {
    let taken_at = epoch(2026, 1, 5, [0, 0, 0]);
    let [default, with_century] = ["yyMMddHHmmss", "yyyyMMddHHmmss"].map(usual_format);
    let label = |label| Label::parse(label).unwrap();
    let series = Series::with_formats(label("daily"), default, vec![with_century]);
    let name = "autodaily20260105000000";
    let classify = |series: &Series| {
        let others = OtherLabels::default();
        series.classify(name, taken_at, AmbiguousNames::Keep, &others)
    };
    assert!(matches!(classify(&series), Membership::Ambiguous { .. }));
    let series = series.with_adopted_labels([label("daily20")]);
    assert_eq!(classify(&series), Membership::Member);
}

/// The series itself may share the name with `daily` in another format, whatever the adopted label is.
#[test]
fn a_name_that_may_belong_to_another_series_is_ambiguous_for_all_labels() {
    let taken_at = epoch(2026, 1, 5, [0, 0, 0]);
    let [default, time] =
        ["yyMMddHHmmss", "HHmmss"].map(|text| TimestampFormat::parse(text).unwrap());
    let label = |label| Label::parse(label).unwrap();
    let series = Series::with_formats(label("daily20"), default, vec![time])
        .with_adopted_labels([label("daily20260105")]);
    let others = OtherLabels::default();
    let classify =
        |ambiguous| series.classify("autodaily20260105000000", taken_at, ambiguous, &others);
    assert_eq!(
        classify(AmbiguousNames::Keep),
        Membership::Ambiguous {
            label: "daily".to_owned(),
            format: "yyyyMMddHHmmss".to_owned()
        }
    );
    assert_eq!(classify(AmbiguousNames::Count), Membership::Member);
}

#[test]
fn an_adopted_label_counts_once() {
    let labels = ["daily", "prod", "hourly", "daily"].map(|label| Label::parse(label).unwrap());
    let series = series("prod", "yyyyMMdd").with_adopted_labels(labels);
    let adopted = series.adopted().iter();
    let adopted: Vec<_> = adopted
        .map(|series| (series.label().as_str(), series.format().as_str()))
        .collect();
    assert_eq!(adopted, [("daily", "yyyyMMdd"), ("hourly", "yyyyMMdd")]);
}
