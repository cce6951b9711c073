// SPDX-License-Identifier: GPL-3.0-only
//! The search for the label of a series, and the labels that exist instead.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::series::{AmbiguousNames, Membership, OtherLabels, Series, USUAL, is_near};
use super::splits::{splits, utc};

/// A search for the label of a series among the snapshots of this tool.
#[derive(Clone, Debug)]
pub struct LabelSearch<'a> {
    series: &'a Series,
    is_found: bool,
    /// The names and times of snapshots with other labels, until the label is found.
    others: Vec<(String, Option<Timestamp>)>,
}

/// The labels that exist instead of the label of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelsFound {
    /// How many snapshots each label has.
    pub counts: BTreeMap<String, usize>,
    /// How many snapshots have names that cannot be split into label and timestamp.
    pub unknown: usize,
}

impl<'a> LabelSearch<'a> {
    /// A search without any snapshot yet.
    pub fn new(series: &'a Series) -> Self {
        Self {
            series,
            is_found: false,
            others: Vec::new(),
        }
    }

    /// Adds a snapshot of this tool, taken at `taken_at` if that is known.
    pub fn observe(&mut self, name: &str, taken_at: Option<Timestamp>) {
        if self.is_found {
            return;
        }
        let others = OtherLabels::default();
        let classify = |counted| self.series.classify(name, taken_at, counted, &others);
        match classify(AmbiguousNames::Count) {
            Membership::Member
            | Membership::WrongTime
            | Membership::Ambiguous { .. }
            | Membership::OtherFormat(_) => {
                self.is_found = true;
                self.others = Vec::new();
            }
            Membership::Other => self.others.push((name.to_owned(), taken_at)),
        }
    }

    /// The labels that exist instead; `None` if the label of the series was found.
    pub fn finish(self) -> Option<LabelsFound> {
        if self.is_found {
            return None;
        }
        let mut found = LabelsFound::default();
        for (name, taken_at) in &self.others {
            let taken_at = taken_at.map(utc);
            let fits = |timestamp: &str| {
                let formats = self.series.formats().iter().chain(&*USUAL);
                formats
                    .into_iter()
                    .any(|format| is_near(format, timestamp, taken_at))
            };
            match splits(name).find(|(_, timestamp)| fits(timestamp)) {
                Some((label, _)) => *found.counts.entry(label.to_owned()).or_default() += 1,
                None => found.unknown += 1,
            }
        }
        Some(found)
    }
}

impl LabelsFound {
    /// Whether no snapshot of this tool exists.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.unknown == 0
    }

    /// The existing label, with its count, if `label` is probably a typo of it: one letter differs or two are swapped.
    /// Labels that differ only in digits are intended.
    pub fn typo_of(&self, label: &str) -> Option<(&str, usize)> {
        let without_digits = |text: &str| text.replace(|digit: char| digit.is_ascii_digit(), "");
        let mut near = self.counts.iter().filter(|(other, _)| {
            strsim::damerau_levenshtein(other, label) == 1
                && without_digits(other) != without_digits(label)
        });
        let (other, count) = near.next()?;
        Some((other, *count))
    }
}

impl fmt::Display for LabelsFound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (label, count) in &self.counts {
            write!(formatter, "{separator}{label} ({count})")?;
            separator = ", ";
        }
        if self.unknown > 0 {
            write!(formatter, "{separator}unknown ({})", self.unknown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Label, TimestampFormat};
    use super::*;

    /// 2026-01-01 00:00:00 UTC.
    const NEW_YEAR: i64 = 1_767_225_600;

    fn found(label: &str, names: &[&str]) -> Option<LabelsFound> {
        let series = Series::new(Label::parse(label).unwrap(), TimestampFormat::default());
        let mut search = LabelSearch::new(&series);
        for name in names {
            search.observe(name, Timestamp::from_second(NEW_YEAR).ok());
        }
        search.finish()
    }

    const NAMES: [&str; 4] = [
        "autodaily260101000000",
        "autodaily20260101",
        "autoweekly260101000000",
        "autostrange",
    ];

    #[test]
    fn an_existing_label_is_found() {
        assert_eq!(found("daily", &NAMES), None);
        assert_eq!(found("weekly", &NAMES), None);
        assert_eq!(found("daily", &["autodaily20260101"]), None);
    }

    #[test]
    fn other_labels_are_counted() {
        let labels = found("dayly", &NAMES).unwrap();
        assert_eq!(labels.to_string(), "daily (2), weekly (1), unknown (1)");
        assert!(found("daily", &[]).unwrap().is_empty());
        for (name, expected) in [(NAMES[2], "weekly (1)"), (NAMES[3], "unknown (1)")] {
            let labels = found("daily", &[name]).unwrap();
            assert_eq!(labels.to_string(), expected);
            assert!(!labels.is_empty());
        }
    }

    #[test]
    fn a_typo_differs_in_one_letter() {
        let typo = |label| {
            let labels = found(label, &NAMES).unwrap();
            labels.typo_of(label).map(|(other, _)| other.to_owned())
        };
        for label in ["dayly", "dialy", "dail", "Daily", "dailyy"] {
            assert_eq!(typo(label).as_deref(), Some("daily"), "{label}");
        }
        for label in ["daily2", "monthly", "hourly", "x"] {
            assert_eq!(typo(label), None, "{label}");
        }
    }
}
