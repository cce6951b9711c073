// SPDX-License-Identifier: GPL-3.0-only
//! Series: the snapshots of one label in the format of the run, and in formats adopted on request.
//!
//! A name has no separator between label and timestamp. The C# tool cuts off as many characters as its
//! format has. Here the rest after the label must be a timestamp in a format of the series, and the
//! time at which PVE took the snapshot must agree with it. A name that can also be read as another
//! label with another format is ambiguous: a snapshot that stays too long is better than one removed
//! for the job of another label.

use std::collections::HashSet;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::format::TimestampFormat;
use super::label::Label;
use super::rules::PREFIX;
use super::splits::{is_plausible, splits, utc};

/// The formats of other series that are recognised and reported: the default, and common ones of users
/// of the C# tool.
const USUAL_FORMATS: [&str; 22] = [
    TimestampFormat::DEFAULT,
    "yyyyMMddHHmmss",
    "yyyyMMdd_HHmmss",
    "yyyyMMdd-HHmmss",
    "yyMMdd_HHmmss",
    "yyMMdd-HHmmss",
    "_yyMMddHHmmss",
    "-yyMMddHHmmss",
    "_yyyyMMddHHmmss",
    "-yyyyMMddHHmmss",
    "_yyyyMMdd_HHmmss",
    "yyyyMMddHHmm",
    "yyyyMMdd_HHmm",
    "yyMMddHHmm",
    "yyyyMMdd",
    "yyMMdd",
    "yyyy-MM-dd_HH-mm-ss",
    "yyyy-MM-dd-HH-mm-ss",
    "_yyyy-MM-dd_HH-mm-ss",
    "yyyy-MM-dd",
    "yyyyMMdd_dddd",
    "yyyyMMdd_ddd",
];

pub(super) static USUAL: LazyLock<Vec<TimestampFormat>> =
    LazyLock::new(|| USUAL_FORMATS.map(usual_format).into());

fn usual_format(text: &str) -> TimestampFormat {
    TimestampFormat::parse(text).expect("the usual formats are valid")
}

/// The snapshots that a job counts: those of a label in a timestamp format, in adopted formats and with
/// adopted labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    label: Label,
    /// The format of the run, then those adopted by `--also-format`.
    formats: Vec<TimestampFormat>,
    collisions: Vec<Collision>,
    /// One series for each label of `--adopt-labels`, in the same formats; they adopt no labels.
    adopted: Vec<Series>,
}

/// Another label with another format that gives the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The format of the series.
    pub own_format: TimestampFormat,
    /// The other label.
    pub label: Label,
    /// The other format.
    pub format: TimestampFormat,
}

/// How a name, with the time at which PVE took the snapshot, relates to a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It belongs to the series.
    Member,
    /// It can only belong to this series, but its time is not near the time at which the snapshot was
    /// taken: one of the clocks was wrong.
    WrongTime,
    /// It can belong to this series and to another one.
    Ambiguous {
        /// The label of the other reading.
        label: String,
        /// The format of the other reading.
        format: String,
    },
    /// It has the label of the series with a timestamp in this format, which the series does not have.
    OtherFormat(String),
    /// It has another label, or none.
    Other,
}

impl Membership {
    /// Which result counts if a name is read with several labels of one series: the greatest. A name that may belong
    /// to another series stays, whatever the other labels are.
    fn precedence(&self) -> u8 {
        match self {
            Self::Other => 0,
            Self::OtherFormat(_) => 1,
            Self::WrongTime => 2,
            Self::Member => 3,
            Self::Ambiguous { .. } => 4,
        }
    }
}

/// How a name is treated that can also be read as another label with another format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousNames {
    /// The snapshot stays.
    Keep,
    /// The snapshot stays if the guest has other snapshots with the other label.
    KeepIfLabelPresent,
    /// The snapshot counts as one of the series (`--allow-ambiguous-names`).
    Count,
}

/// The labels of a guest's snapshots that cannot belong to a series.
#[derive(Debug, Default)]
pub struct OtherLabels<'a>(HashSet<&'a str>);

impl Series {
    /// The series of a label in one format.
    pub fn new(label: Label, format: TimestampFormat) -> Self {
        Self::with_formats(label, format, Vec::new())
    }

    /// The series of a label in the format of the run and in adopted formats.
    pub fn with_formats(
        label: Label,
        format: TimestampFormat,
        adopted: Vec<TimestampFormat>,
    ) -> Self {
        let mut formats = vec![format];
        for format in adopted {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        let collisions = formats
            .iter()
            .flat_map(|format| collisions(&label, format))
            .collect();
        Self {
            label,
            formats,
            collisions,
            adopted: Vec::new(),
        }
    }

    /// Also counts the snapshots of these labels, in the formats of the series (`--adopt-labels`).
    #[must_use]
    pub fn with_adopted_labels(self, labels: impl IntoIterator<Item = Label>) -> Self {
        let mut adopted: Vec<Self> = Vec::new();
        for label in labels {
            let is_known = adopted.iter().chain([&self]).any(|one| one.label == label);
            if !is_known {
                let (own, also) = (self.format().clone(), self.formats[1..].to_vec());
                adopted.push(Self::with_formats(label, own, also));
            }
        }
        Self { adopted, ..self }
    }

    /// The series of the adopted labels.
    pub fn adopted(&self) -> &[Self] {
        &self.adopted
    }

    /// The label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The format of new names.
    pub fn format(&self) -> &TimestampFormat {
        &self.formats[0]
    }

    /// All formats of the series; the format of new names comes first.
    pub fn formats(&self) -> &[TimestampFormat] {
        &self.formats
    }

    /// Other labels with other formats that can give the same names.
    ///
    /// `daily20` with the default format collides with `daily` with `yyyyMMddHHmmss`, in both directions;
    /// `daily20` with any other format that begins with a short year collides with `daily`; `daily_` with
    /// the default format collides with `daily` with `_yyMMddHHmmss`.
    pub fn collisions(&self) -> &[Collision] {
        &self.collisions
    }

    /// The labels of these names that cannot belong to this series; empty if no names can collide.
    pub fn other_labels<'a>(
        &self,
        names: impl IntoIterator<Item = (&'a str, Option<Timestamp>)>,
    ) -> OtherLabels<'a> {
        let collides = |series: &Self| !series.collisions.is_empty() || series.formats.len() > 1;
        if !self.with_adopted().any(collides) {
            return OtherLabels::default();
        }
        let mut labels = HashSet::new();
        for (name, taken_at) in names {
            if self.with_adopted().any(|series| series.matches_text(name)) {
                continue;
            }
            let taken_at = taken_at.map(utc);
            for (label, timestamp) in splits(name) {
                let is_timestamp = |format: &TimestampFormat| is_near(format, timestamp, taken_at);
                if self.formats.iter().chain(&*USUAL).any(is_timestamp) {
                    labels.insert(label);
                }
            }
        }
        OtherLabels(labels)
    }

    /// Classifies the name of a snapshot that was taken at `taken_at`, if that is known, for a guest
    /// with these other labels.
    pub fn classify(
        &self,
        name: &str,
        taken_at: Option<Timestamp>,
        ambiguous: AmbiguousNames,
        others: &OtherLabels<'_>,
    ) -> Membership {
        let classify = |series: &Self| series.classify_in(self, name, taken_at, ambiguous, others);
        let by_label = self.with_adopted().map(classify);
        by_label
            .max_by_key(Membership::precedence)
            .unwrap_or(Membership::Other)
    }

    /// This series, then those of the adopted labels.
    fn with_adopted(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.adopted)
    }

    /// Whether names with this label in this format are counted.
    fn counts(&self, label: &str, format: &TimestampFormat) -> bool {
        let mut series = self.with_adopted();
        self.formats.contains(format) && series.any(|series| series.label.as_str() == label)
    }

    /// Classifies a name by the label of this series only. `whole` is the series that has adopted it, or itself.
    fn classify_in(
        &self,
        whole: &Self,
        name: &str,
        taken_at: Option<Timestamp>,
        ambiguous: AmbiguousNames,
        others: &OtherLabels<'_>,
    ) -> Membership {
        let taken_at = taken_at.map(utc);
        let Some(timestamp) = self.timestamp_in(name) else {
            return Membership::Other;
        };
        let mut is_own = false;
        let mut agrees = taken_at.is_none();
        for format in &self.formats {
            let readings = format.all_parts(timestamp);
            if !readings.is_empty() {
                is_own = true;
            }
            let is_near = |time| readings.iter().any(|parts| is_plausible(parts, time));
            if taken_at.is_some_and(is_near) {
                agrees = true;
            }
        }
        if !is_own {
            let is_in = |format: &&TimestampFormat| is_near(format, timestamp, taken_at);
            return match USUAL.iter().find(is_in) {
                Some(format) => Membership::OtherFormat(format.as_str().to_owned()),
                None => Membership::Other,
            };
        }
        if !agrees && self.other_readings(name, taken_at).next().is_some() {
            return Membership::Other;
        }
        // If the time contradicts this series, it does not exclude other readings either, even if it contradicts them.
        let readings = self.other_readings(name, taken_at.filter(|_| agrees));
        for (label, format) in readings.filter(|(label, format)| !whole.counts(label, format)) {
            let is_ambiguous = match ambiguous {
                // Numbers of varying width: the two readings cannot be distinguished.
                _ if self.formats.contains(format) && format.matches(timestamp) => true,
                AmbiguousNames::Keep => true,
                AmbiguousNames::KeepIfLabelPresent => others.0.contains(label),
                AmbiguousNames::Count => false,
            };
            if is_ambiguous {
                return Membership::Ambiguous {
                    label: label.to_owned(),
                    format: format.as_str().to_owned(),
                };
            }
        }
        if agrees {
            Membership::Member
        } else {
            Membership::WrongTime
        }
    }

    /// Whether the name can belong to the series. Only its text is compared, not its time.
    fn matches_text(&self, name: &str) -> bool {
        self.timestamp_in(name)
            .is_some_and(|timestamp| self.formats.iter().any(|format| format.matches(timestamp)))
    }

    fn timestamp_in<'name>(&self, name: &'name str) -> Option<&'name str> {
        name.strip_prefix(PREFIX)?
            .strip_prefix(self.label.as_str())
            .filter(|timestamp| !timestamp.is_empty())
    }

    /// The readings of a name as another label, in the formats of the series and in colliding formats.
    ///
    /// Readings that contradict the time at which the snapshot was taken are omitted.
    fn other_readings<'a>(
        &'a self,
        name: &'a str,
        taken_at: Option<DateTime>,
    ) -> impl Iterator<Item = (&'a str, &'a TimestampFormat)> {
        let is_other = |label: &str| label != self.label.as_str();
        let other_splits = splits(name).filter(move |(label, _)| is_other(label));
        let in_own_formats = other_splits.flat_map(move |(label, timestamp)| {
            let formats = self.formats.iter();
            let fitting = formats.filter(move |format| is_near(format, timestamp, taken_at));
            fitting.map(move |format| (label, format))
        });
        let colliding = self.collisions.iter().filter_map(move |pair| {
            let timestamp = name
                .strip_prefix(PREFIX)?
                .strip_prefix(pair.label.as_str())?;
            is_near(&pair.format, timestamp, taken_at)
                .then_some((pair.label.as_str(), &pair.format))
        });
        in_own_formats.chain(colliding.filter(move |(label, _)| is_other(label)))
    }
}

/// Whether the text is a timestamp in this format, near the time of the snapshot if that is known.
pub(super) fn is_near(
    format: &TimestampFormat,
    timestamp: &str,
    taken_at: Option<DateTime>,
) -> bool {
    let Some(taken_at) = taken_at else {
        return format.matches(timestamp);
    };
    format
        .all_parts(timestamp)
        .iter()
        .any(|parts| is_plausible(parts, taken_at))
}

fn collisions(label: &Label, own_format: &TimestampFormat) -> Vec<Collision> {
    const CENTURY: &str = "20";
    let pair = |label: String, format: &str| {
        Some(Collision {
            own_format: own_format.clone(),
            label: Label::parse(&label).ok()?,
            format: TimestampFormat::parse(format).ok()?,
        })
    };
    let (label, default) = (label.as_str(), TimestampFormat::DEFAULT);
    let with_century = "yyyyMMddHHmmss";
    if own_format.as_str() == default {
        let separated = ['_', '-'].into_iter().filter_map(|separator| {
            let stem = label.strip_suffix(separator)?;
            pair(stem.to_owned(), &format!("{separator}{default}"))
        });
        let stem = label.strip_suffix(CENTURY);
        let of_century = stem.and_then(|stem| pair(stem.to_owned(), with_century));
        separated.chain(of_century).collect()
    } else if own_format.as_str() == with_century {
        Vec::from_iter(pair(format!("{label}{CENTURY}"), default))
    } else {
        let separator = own_format
            .as_str()
            .strip_suffix(default)
            .filter(|separator| matches!(*separator, "_" | "-"));
        let colliding =
            separator.and_then(|separator| pair(format!("{label}{separator}"), default));
        // A label that ends in a century is rare, so it counts as ambiguous with every format that has a short year.
        let has_short_year = |format: &str| format.starts_with("yy") && !format.starts_with("yyy");
        let stem = label.strip_suffix(CENTURY);
        let of_century = stem
            .filter(|_| has_short_year(own_format.as_str()))
            .and_then(|stem| pair(stem.to_owned(), &format!("yy{}", own_format.as_str())));
        colliding.into_iter().chain(of_century).collect()
    }
}

#[cfg(test)]
mod tests;
