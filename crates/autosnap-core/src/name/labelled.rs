// SPDX-License-Identifier: GPL-3.0-only
//! The way back from a name to its label.
//!
//! A name has no mark between label and timestamp, so the rest after the label has to be a
//! timestamp in the format of the job or in the default format. Mostly there is one way to cut a
//! name. Where there are several (`autodaily221010170958` with `yyMMddHmmss` is label `daily` at
//! 17:09:58 or label `daily2` in another year), the time at which PVE took the snapshot decides;
//! if it cannot, the name has no label: a snapshot that stays too long is better than one removed
//! for the job of another label.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::format::TimestampFormat;
use super::{Label, PREFIX};

/// How far the local time in a name can be from `snaptime` taken as UTC: fourteen hours of zone,
/// and half a day for clocks and for the halves of the day that a format may leave out.
const PLAUSIBLE: SignedDuration = SignedDuration::from_hours(26);

/// Parsed once, as it is needed for every name.
static DEFAULT: LazyLock<TimestampFormat> = LazyLock::new(TimestampFormat::default);

/// Whether the name is made of `auto`, this label, and a timestamp in this format or in the
/// default format.
///
/// Goes by the name alone; [`has_label_at`] decides better where the name can be cut in two ways.
pub fn has_label(name: &str, label: &Label, format: &TimestampFormat) -> bool {
    has_label_at(name, label, format, None)
}

/// Like [`has_label`], for a snapshot taken at a known time, in seconds since the epoch.
pub fn has_label_at(
    name: &str,
    label: &Label,
    format: &TimestampFormat,
    taken_at: Option<i64>,
) -> bool {
    let both = [format, &*DEFAULT];
    let distinct = if *format == *DEFAULT { 1 } else { 2 };
    let formats = &both[..distinct];
    let fits = |timestamp: &str| formats.iter().any(|format| format.matches(timestamp));
    let timestamp = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix(label.as_str()));
    timestamp.is_some_and(fits) && decided_label(name, formats, taken_at) == Some(label.as_str())
}

/// The label in the name of one of our snapshots, for display.
///
/// Of several ways to cut the name, the one with the longest timestamp: digits in doubt belong to
/// the timestamp.
pub fn label_of<'name>(name: &'name str, formats: &[&TimestampFormat]) -> Option<&'name str> {
    cuts(name)
        .find(|(_, timestamp)| formats.iter().any(|format| format.matches(timestamp)))
        .map(|(label, _)| label)
}

/// One way to read a name.
struct Reading<'name> {
    label: &'name str,
    /// The place of its format among the given ones.
    format: usize,
    /// Whether the timestamp is near the time at which the snapshot was taken.
    plausible: bool,
}

/// The label that a name has beyond doubt.
fn decided_label<'name>(
    name: &'name str,
    formats: &[&TimestampFormat],
    taken_at: Option<i64>,
) -> Option<&'name str> {
    let readings = readings(name, formats, taken_at.and_then(utc));
    let (plausible, others): (Vec<_>, Vec<_>) =
        readings.iter().partition(|reading| reading.plausible);
    // Readings that say the same time: the longest timestamp, which comes first, has it all. If
    // none says it, a clock was wrong, and the format of the job goes before the default one.
    let best = match plausible.first() {
        Some(longest) => *longest,
        None => *others.iter().min_by_key(|reading| reading.format)?,
    };
    let rivals = if best.plausible { plausible } else { others };
    let in_doubt = rivals
        .iter()
        .any(|rival| rival.format == best.format && rival.label != best.label);
    (!in_doubt).then_some(best.label)
}

/// All ways to read a name, the longest timestamp first.
fn readings<'name>(
    name: &'name str,
    formats: &[&TimestampFormat],
    taken_at: Option<DateTime>,
) -> Vec<Reading<'name>> {
    let mut readings = Vec::new();
    for (label, timestamp) in cuts(name) {
        for (place, format) in formats.iter().enumerate() {
            let parts = format.all_parts(timestamp);
            let is_near = |parts: &super::TimestampParts| {
                taken_at.is_some_and(|taken_at| {
                    parts
                        .completed_from(taken_at)
                        .is_some_and(|instant| taken_at.duration_since(instant).abs() <= PLAUSIBLE)
                })
            };
            if !parts.is_empty() {
                let plausible = parts.iter().any(is_near);
                readings.push(Reading {
                    label,
                    format: place,
                    plausible,
                });
            }
        }
    }
    readings
}

/// The ways to cut a name into label and timestamp, the shortest label first.
fn cuts(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    rest.char_indices()
        .skip(1)
        .map(|(place, _)| rest.split_at(place))
}

fn utc(seconds: i64) -> Option<DateTime> {
    let instant = Timestamp::from_second(seconds).ok()?;
    Some(TimeZone::UTC.to_datetime(instant))
}
