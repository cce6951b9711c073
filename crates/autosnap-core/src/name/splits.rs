// SPDX-License-Identifier: GPL-3.0-only
//! The ways to split a name into label and timestamp.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::format::TimestampFormat;
use super::parts::TimestampParts;
use super::rules::PREFIX;

/// How far the local time in a name can be from `snaptime` in UTC: fourteen hours for the zone, and
/// twelve for clocks and for formats that do not distinguish morning and evening.
const PLAUSIBLE: SignedDuration = SignedDuration::from_hours(26);

/// The label in the name of one of our snapshots, for display.
///
/// Of several ways to split the name, the one with the longest timestamp counts: ambiguous digits belong
/// to the timestamp.
pub fn label_of<'name>(name: &'name str, formats: &[&TimestampFormat]) -> Option<&'name str> {
    splits(name)
        .find(|(_, timestamp)| formats.iter().any(|format| format.matches(timestamp)))
        .map(|(label, _)| label)
}

/// The ways to split a name into label and timestamp, the shortest label first.
pub(super) fn splits(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    rest.char_indices()
        .skip(1)
        .map(|(index, _)| rest.split_at(index))
}

/// Whether a timestamp is plausible for a snapshot taken at this time (UTC).
///
/// Parts that the timestamp does not have are ignored.
pub(super) fn is_plausible(parts: &TimestampParts, taken_at: DateTime) -> bool {
    parts
        .completed_from(taken_at)
        .is_some_and(|instant| taken_at.duration_since(instant).abs() <= PLAUSIBLE)
}

/// The time in UTC.
pub(super) fn utc(instant: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(instant)
}
