// SPDX-License-Identifier: GPL-3.0-only
//! The rules as values: their numbers, defaults and texts.

use jiff::SignedDuration;

use super::*;
use crate::retention::{KeepCounts, Period, RulesError, suggested_rules};

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn counts(rules: &str) -> [u32; 6] {
    let rules = Rules::parse(rules).unwrap();
    Period::ALL.map(|period| rules.count(period))
}

#[test]
fn each_number_is_that_of_its_rule() {
    let all = "keep-yearly=6,keep-last=1,keep-monthly=5,keep-hourly=2,keep-weekly=4,keep-daily=3";
    assert_eq!(counts(all), [1, 2, 3, 4, 5, 6]);
    let given = Rules::parse(all).unwrap().counts().unwrap();
    let expected = KeepCounts {
        last: Some(1),
        hourly: Some(2),
        daily: Some(3),
        weekly: Some(4),
        monthly: Some(5),
        yearly: Some(6),
    };
    assert_eq!(given, expected);
    assert_eq!(
        Period::ALL.map(|period| expected.get(period)),
        [1, 2, 3, 4, 5, 6].map(Some)
    );
}

#[test]
fn keep_last_is_1_unless_it_is_given() {
    for (rules, expected, is_default) in [
        ("keep-daily=7", 1, true),
        ("keep-daily=7,keep-last=0", 0, false),
        ("keep-daily=7,keep-last=3", 3, false),
        ("keep-daily=0", 0, false),
        ("", 0, false),
    ] {
        assert_eq!(counts(rules)[0], expected, "{rules}");
        let rules = Rules::parse(rules).unwrap();
        assert_eq!(rules.has_default_keep_last(), is_default, "{rules}");
    }
    // Without another rule `keep-within` keeps the newest one as well.
    let within = Rules::from_counts(KeepCounts::default()).with_within(hours(1));
    assert_eq!(within.count(Period::Last), 1);
    assert!(!within.keeps_all() && within.has_default_keep_last());
    let off = Rules::parse("keep-last=0").unwrap();
    assert_eq!(off.with_within(hours(1)).count(Period::Last), 1);
}

#[test]
fn keep_is_not_keep_last_with_guards() {
    let simple = Rules::keep_last(3);
    assert_eq!(simple.is_simple(), Some(3));
    assert_eq!(simple.counts(), None);
    assert_eq!(
        Period::ALL.map(|period| simple.count(period)),
        [3, 0, 0, 0, 0, 0]
    );
    assert_eq!(simple.min_age(), SignedDuration::ZERO);
    let rules = Rules::parse("keep-last=3").unwrap();
    assert_eq!(rules.is_simple(), None);
    assert_eq!(rules.min_age(), hours(1));
    assert!(!simple.keeps_all() && !rules.keeps_all());
    assert!(!simple.has_default_keep_last());
    let all = Rules::keep_all();
    assert_eq!((all.is_simple(), all.counts()), (None, None));
    assert_eq!(Period::ALL.map(|period| all.count(period)), [0; 6]);
    assert!(all.keeps_all() && !all.has_default_keep_last());
}

#[test]
fn only_keep_0_without_guards_keeps_none() {
    let none = Rules::keep_last(0);
    assert!(none.keep_none());
    assert!(none.with_keep_min(0).with_min_age(hours(0)).keep_none());
    for rules in [
        none.with_keep_min(1),
        none.with_min_age(hours(1)),
        none.with_within(hours(1)),
        Rules::keep_last(1),
        Rules::keep_all(),
        Rules::parse("keep-last=0").unwrap(),
    ] {
        assert!(!rules.keep_none(), "{rules:?}");
    }
}

#[test]
fn the_capacity_is_the_sum_of_the_numbers() {
    let capacity = |rules: &str| Rules::parse(rules).unwrap().capacity();
    assert_eq!(capacity("keep-last=3,keep-daily=13"), Some(16));
    assert_eq!(capacity("keep-daily=7"), Some(8));
    assert_eq!(
        capacity("keep-last=4294967295,keep-daily=1"),
        Some(4_294_967_296)
    );
    assert_eq!(capacity("keep-all=1"), None);
    assert_eq!(capacity(""), None);
    assert_eq!(Rules::keep_last(7).capacity(), Some(7));
}

#[test]
fn rules_are_shown_as_pve_writes_them() {
    let parse = |rules: &str| Rules::parse(rules).unwrap();
    for (rules, expected) in [
        (Rules::keep_last(7), "7"),
        (Rules::keep_all(), "keep-all=1"),
        (parse("keep-daily=0"), "keep-all=1"),
        (parse("keep-daily=7"), "keep-last=1,keep-daily=7"),
        (
            parse("keep-daily=13,keep-last=3,keep-weekly=0"),
            "keep-last=3,keep-daily=13",
        ),
        (
            parse("keep-daily=7,keep-last=0"),
            "keep-last=0,keep-daily=7",
        ),
        (
            parse("keep-last=2").with_within(hours(7 * 24)),
            "keep-last=2,keep-within=7d",
        ),
        (
            parse("keep-last=2")
                .with_within(hours(36))
                .with_keep_min(3)
                .with_min_age(SignedDuration::from_mins(90)),
            "keep-last=2,keep-within=36h,keep-min=3,min-age=90m",
        ),
        (
            parse("keep-last=2").with_min_age(hours(0)),
            "keep-last=2,min-age=0s",
        ),
        (parse("keep-last=2").with_min_age(hours(1)), "keep-last=2"),
        (
            parse("keep-last=2").with_min_age(SignedDuration::from_secs(61)),
            "keep-last=2,min-age=61s",
        ),
        (
            Rules::keep_last(7).with_keep_min(2).with_min_age(hours(2)),
            "7,keep-min=2,min-age=2h",
        ),
        (Rules::keep_all().with_min_age(hours(2)), "keep-all=1"),
    ] {
        assert_eq!(rules.to_string(), expected, "{rules:?}");
    }
}

#[test]
fn negative_ages_switch_a_guard_off() {
    let rules = Rules::keep_last(1)
        .with_within(hours(-1))
        .with_min_age(hours(-1));
    assert_eq!(rules, Rules::keep_last(1));
    assert_eq!(rules.with_within(hours(2)).within(), hours(2));
    assert_eq!(rules.with_keep_min(2).keep_min(), 2);
}

#[test]
fn property_strings_are_parsed_as_pve_parses_them() {
    for (text, expected) in [
        ("keep-last=3,keep-daily=13", [3, 0, 13, 0, 0, 0]),
        (",,keep-daily=13, ,keep-last=3,", [3, 0, 13, 0, 0, 0]),
        ("keep-last=+3", [3, 0, 0, 0, 0, 0]),
        ("keep-last=007", [7, 0, 0, 0, 0, 0]),
        ("keep-last=-0,keep-daily=1", [0, 0, 1, 0, 0, 0]),
        ("keep-last=99999999999999999999", [u32::MAX, 0, 0, 0, 0, 0]),
        ("keep-all=0,keep-last=2", [2, 0, 0, 0, 0, 0]),
        ("keep-all=off,keep-last=2", [2, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(counts(text), expected, "{text}");
    }
    for text in [
        "",
        " , ",
        "keep-all=1",
        "keep-all=Yes",
        "keep-all=on,keep-last=0",
        "keep-all=true",
        "keep-all=0",
        "keep-all=no",
        "keep-all=FALSE",
        "keep-last=0,keep-daily=0",
    ] {
        assert!(Rules::parse(text).unwrap().keeps_all(), "{text}");
    }
}

#[test]
fn a_property_string_in_another_spelling_has_a_suggestion() {
    for (text, expected) in [
        (
            "keep-last=3, keep-daily=7",
            Some("keep-last=3,keep-daily=7"),
        ),
        ("keep-last=3;keep-daily=7", Some("keep-last=3,keep-daily=7")),
        (
            "--keep-last=3 --keep-daily=7",
            Some("keep-last=3,keep-daily=7"),
        ),
        ("last=3,Daily:7", Some("keep-last=3,keep-daily=7")),
        ("keep=3,keep-weekly=2", Some("keep-last=3,keep-weekly=2")),
        ("keep_last=3", Some("keep-last=3")),
        ("keep-dayly=7", Some("keep-daily=7")),
        ("7", Some("keep-last=7")),
        // It is unknown which rules the numbers belong to.
        ("3,7,4", None),
        ("keep-last=3,keep=7", None),
        ("keep-daily=7d", None),
        ("within=7d", None),
        ("keep-last = 3", None),
        ("", None),
    ] {
        assert_eq!(suggested_rules(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn an_error_in_a_property_string_says_what_to_write() {
    for (text, expected) in [
        (
            "keep-last",
            "invalid keep rule 'keep-last': expected a rule and a number, such as keep-daily=7",
        ),
        (
            "keep-last=",
            "invalid keep rule 'keep-last=': expected a rule and a number, such as keep-daily=7",
        ),
        (
            "=3",
            "invalid keep rule '=3': expected a rule and a number, such as keep-daily=7",
        ),
        (
            "keep-last=3, keep-daily=7",
            "unknown keep rule ' keep-daily': write keep-daily without blanks around it",
        ),
        (
            "keep-dayly=7",
            "unknown keep rule 'keep-dayly': did you mean keep-daily?",
        ),
        (
            " keep-dayly=7",
            "unknown keep rule ' keep-dayly': did you mean keep-daily?",
        ),
        (
            "within=7d",
            "unknown keep rule 'within': expected one of keep-last, keep-hourly, keep-daily, keep-weekly, \
             keep-monthly, keep-yearly, keep-all",
        ),
        (
            "keep-last=3,keep-last=3",
            "keep-last is given twice: write it once, with one number",
        ),
        (
            "keep-all=0,keep-all=0",
            "keep-all is given twice: write it once, with one number",
        ),
        (
            "keep-daily=-1",
            "invalid number '-1' for keep-daily: expected a whole number such as keep-daily=7, or keep-daily=0 to \
             switch it off",
        ),
        (
            "keep-all=2",
            "invalid value '2' for keep-all: expected keep-all=1 to keep all snapshots",
        ),
        (
            "keep-all=1,keep-daily=0,keep-weekly=2",
            "keep-all=1 cannot be combined with keep-weekly: write keep-all=1 alone, or leave it out",
        ),
    ] {
        assert_eq!(Rules::parse(text).unwrap_err().to_string(), expected);
    }
    for value in ["", "+", "-", "1.0", "1 ", "7d", "=7", "٣"] {
        let error = Rules::parse(&format!("keep-last={value}")).unwrap_err();
        assert_eq!(
            matches!(error, RulesError::Number { .. }),
            !value.is_empty(),
            "{value:?}: {error}"
        );
    }
}
