// SPDX-License-Identifier: GPL-3.0-only
//! Finds out whether any snapshot has the label of a series, and which labels exist otherwise.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::labelled::{cuts, utc};
use super::series::{USUAL, is_near};
use super::{AmbiguousNames, Membership, OtherLabels, Series};

/// Looks for the label of a series among the snapshots of this tool.
#[derive(Clone, Debug)]
pub struct LabelSearch<'a> {
    series: &'a Series,
    is_found: bool,
    /// The names of other labels with the times of the snapshots, as long as the label is not found.
    others: Vec<(String, Option<Timestamp>)>,
}

/// The labels that exist where the label of a series does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelsFound {
    /// How many snapshots each label has.
    pub counts: BTreeMap<String, usize>,
    /// How many snapshots have a name whose label cannot be told from the time in it.
    pub unknown: usize,
}

impl<'a> LabelSearch<'a> {
    /// A search before its first snapshot.
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

    /// The labels that were found; `None` if the label of the series is among them.
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
            match cuts(name).find(|(_, timestamp)| fits(timestamp)) {
                Some((label, _)) => *found.counts.entry(label.to_owned()).or_default() += 1,
                None => found.unknown += 1,
            }
        }
        Some(found)
    }
}

impl LabelsFound {
    /// Whether there is no snapshot of this tool.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.unknown == 0
    }

    /// The existing label that `label` is probably a typo of, with its count: one letter differs or two are swapped. Labels
    /// that differ in digits only are taken as intended.
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
    use super::*;
    use crate::name::{Label, TimestampFormat};

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
    fn a_label_that_is_there_is_found() {
        assert_eq!(found("daily", &NAMES), None);
        assert_eq!(found("weekly", &NAMES), None);
        assert_eq!(found("daily", &["autodaily20260101"]), None);
    }

    #[test]
    fn the_labels_that_are_there_are_counted() {
        let labels = found("dayly", &NAMES).unwrap();
        assert_eq!(labels.to_string(), "daily (2), weekly (1), unknown (1)");
        assert!(found("daily", &[]).unwrap().is_empty());
    }

    #[test]
    fn a_typo_is_one_letter_away() {
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
