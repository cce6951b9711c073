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

/// 1970 to 2049, in which two digits make a year known.
const TWO_DIGIT_YEARS: i64 = 2_524_608_000;

/// Names longer than PVE's are looked at too, but every cut of them takes time.
const LONGEST_NAME: usize = 64;

/// Makes and reads names; nobody may get another's snapshot, and advice given must work.
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
    foreign(name, format.as_ref(), seconds);
    if let (Some(format), Some(label)) = (format, label) {
        ours(&format, &label, seconds);
        ours(&TimestampFormat::default(), &label, seconds);
    }
}

fn local(seconds: i64) -> DateTime {
    let instant = Timestamp::from_second(seconds).expect("the range is jiff's");
    TimeZone::UTC.to_datetime(instant)
}

fn refused_format(error: &FormatError) {
    let proposed = TimestampFormat::parse(error.proposal()).expect("a proposal works");
    let label = Label::parse("d").expect("it is a letter");
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

/// A name of our own making.
fn ours(format: &TimestampFormat, label: &Label, seconds: i64) {
    let now = local(seconds);
    let timestamp = format.format(&now);
    assert!(format.matches(&timestamp), "{timestamp} in {format}");
    let made = SnapName::new(label, format, &now);
    match check(label, format) {
        Ok(()) => {
            let name = made.expect("what was checked never fails");
            assert_eq!(SnapName::parse(name.as_str()).as_ref(), Ok(&name));
            foreign(name.as_str(), Some(format), seconds);
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

/// A name that anybody may have made.
fn foreign(name: &str, format: Option<&TimestampFormat>, seconds: i64) {
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
        let is_its = |label: &&Label| {
            let series = Series::new((*label).clone(), format.clone());
            is_member(&series, name, taken_at)
        };
        let claimed = labels.iter().filter(is_its).count();
        assert!(claimed <= 1, "{name} has two labels");
        let shown = label_of(name, &[format, &default]);
        assert!(
            claimed == 0 || shown.is_some(),
            "{name} is removed and not shown"
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
