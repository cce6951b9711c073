// SPDX-License-Identifier: GPL-3.0-only
//! Names of snapshots: four lines with a timestamp format, a label, a time in seconds since the
//! epoch, and a name as PVE might list it.

use autosnap_core::name::{
    AmbiguousNames, FormatError, Label, LabelError, Membership, OtherLabels, Series, SnapName,
    TimestampFormat, check, label_of,
};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The seconds from 1970 to 2049: two digits determine a year of this period.
const TWO_DIGIT_YEARS: i64 = 2_524_608_000;

/// The maximum length of a name: longer ones than PVE allows are tested, but each needs a series for every label.
const LONGEST_NAME: usize = 64;

/// Creates and parses names: a name must not belong to two labels, and every proposed correction must work.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (format, label, seconds, name) = (line(), line(), line(), line());
    let seconds = seconds
        .parse::<i64>()
        .unwrap_or_default()
        .rem_euclid(TWO_DIGIT_YEARS);
    let format = TimestampFormat::parse(format)
        .map_err(|error| refused_format(&error))
        .ok();
    let label = Label::parse(label)
        .map_err(|error| refused_label(&error))
        .ok();
    any_name(name, format.as_ref(), seconds);
    if let (Some(format), Some(label)) = (format, label) {
        created_name(&format, &label, seconds);
        created_name(&TimestampFormat::default(), &label, seconds);
    }
}

fn local(seconds: i64) -> DateTime {
    let instant = Timestamp::from_second(seconds).expect("jiff supports these years");
    TimeZone::UTC.to_datetime(instant)
}

fn refused_format(error: &FormatError) {
    let proposed = TimestampFormat::parse(error.proposal()).expect("a proposal works");
    let label = Label::parse("d").expect("a letter is a valid label");
    assert_eq!(check(&label, &proposed), Ok(()), "{error}");
    assert!(error.to_string().contains(error.proposal()));
}

fn refused_label(error: &LabelError) {
    match error {
        LabelError::Empty => {}
        LabelError::Character { proposal, .. } => {
            Label::parse(proposal).expect("a proposal works");
        }
    }
}

/// Checks the name that a run would create.
fn created_name(format: &TimestampFormat, label: &Label, seconds: i64) {
    let now = local(seconds);
    let timestamp = format.format(&now);
    assert!(format.matches(&timestamp), "{timestamp} in {format}");
    let created = SnapName::new(label, format, &now);
    match check(label, format) {
        Ok(()) => {
            let name = created.expect("the format was checked");
            assert_eq!(SnapName::parse(name.as_str()).as_ref(), Ok(&name));
            any_name(name.as_str(), Some(format), seconds);
            if *format == TimestampFormat::default() {
                let series = Series::new(label.clone(), format.clone());
                assert!(
                    is_member(&series, name.as_str(), Timestamp::from_second(seconds).ok()),
                    "{name}"
                );
                assert_eq!(label_of(name.as_str(), &[format]), Some(label.as_str()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Checks a name that any program may have created.
fn any_name(name: &str, format: Option<&TimestampFormat>, seconds: i64) {
    if let Ok(valid) = SnapName::parse(name) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!(
            valid.as_str() == name && (2..=40).contains(&name.len()),
            "{name}"
        );
        assert!(
            name.bytes().all(allowed) && name.as_bytes()[0].is_ascii_alphabetic(),
            "{name}"
        );
    }
    if name.len() > LONGEST_NAME {
        return;
    }
    let default = TimestampFormat::default();
    let format = format.unwrap_or(&default);
    let labels: Vec<Label> = (5..name.len())
        .filter_map(|end| Label::parse(name.get(4..end)?).ok())
        .collect();
    for taken_at in [None, Timestamp::from_second(seconds).ok()] {
        let matches = |label: &&Label| {
            let series = Series::new((*label).clone(), format.clone());
            is_member(&series, name, taken_at)
        };
        let matching = labels.iter().filter(matches).count();
        assert!(matching <= 1, "{name} has two labels");
        let shown = label_of(name, &[format, &default]);
        assert!(
            matching == 0 || shown.is_some(),
            "{name} belongs to a series, but `status` shows no label"
        );
    }
}

/// Whether a run of this series would count the snapshot.
fn is_member(series: &Series, name: &str, taken_at: Option<Timestamp>) -> bool {
    let snapshots = [(name, taken_at)];
    let others: OtherLabels<'_> = series.other_labels(snapshots);
    let membership = series.classify(name, taken_at, AmbiguousNames::KeepIfLabelPresent, &others);
    membership == Membership::Member
}
