// SPDX-License-Identifier: GPL-3.0-only
//! Warnings about timestamp formats with issues, with the format that was probably meant.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::issue::{FormatIssue, issues};
use super::proposal::proposal;
use super::token::Token;

/// The issues of a timestamp format, with the format that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatWarning {
    format: String,
    issues: Vec<FormatIssue>,
    proposal: String,
}

impl fmt::Display for FormatWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issues: Vec<String> = self.issues.iter().map(ToString::to_string).collect();
        let (format, issues) = (&self.format, issues.join("; "));
        write!(
            formatter,
            "timestamp format `{format}`: {issues}; did you mean `{}`?",
            self.proposal
        )
    }
}

impl FormatWarning {
    /// The issues.
    pub fn issues(&self) -> &[FormatIssue] {
        &self.issues
    }

    /// The format that was probably meant; there is no warning for it.
    pub fn proposal(&self) -> &str {
        &self.proposal
    }
}

/// The warning about a valid format, if it has issues.
pub(super) fn warning(format: &str, tokens: &[Token]) -> Option<FormatWarning> {
    let issues = issues(format, tokens);
    (!issues.is_empty()).then(|| FormatWarning {
        format: format.to_owned(),
        issues,
        proposal: proposal(format),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::TimestampFormat;
    use super::super::proposal::FALLBACK_FORMAT;
    use super::*;

    fn warning_of(format: &str) -> Option<FormatWarning> {
        TimestampFormat::parse(format).unwrap().warning()
    }

    #[test]
    fn letters_of_other_languages_give_a_warning_with_the_intended_format() {
        for (format, proposal) in [
            ("%Y%m%d", "yyyyMMdd_HHmmss"),
            ("%Y-%m-%d_%H-%M-%S", "yyyy-MM-dd_HH-mm-ss"),
            ("%y%m%d%H%M%S", "yyMMddHHmmss"),
            ("YYYY-MM-DD", "yyyy-MM-dd_HHmmss"),
            ("YYYYMMDDHHmmss", "yyyyMMddHHmmss"),
            ("yyyymmdd", "yyyyMMdd_HHmmss"),
            ("yyyymmddHHmmss", "yyyyMMddHHmmss"),
            ("yyyyMMddHHMMss", "yyyyMMddHHmmss"),
            ("ddmmyyHHmm", "ddMMyyHHmm"),
            ("yyMMddhhmmss", "yyMMddHHmmss"),
            ("yyyyMMdd", "yyyyMMdd_HHmmss"),
            ("yyyyMMddHH", "yyyyMMddHHmmss"),
            ("yyyyMMdd_dddd", "yyyyMMdd_dddd_HHmmss"),
            ("yyyyMMdd'at'", "yyyyMMdd'at'_HHmmss"),
            ("yyyyMMddmm", "yyyyMMddmm_HHmmss"),
            ("yyyyMMdd_hhtt", "yyyyMMdd_hhttmmss"),
            ("MMddHHmm", "yyyyMMddHHmm"),
            ("HHmmss", FALLBACK_FORMAT),
            ("H-mm_yyyyMMdd", "HH-mm_yyyyMMdd"),
            ("dddd", FALLBACK_FORMAT),
        ] {
            let warning = warning_of(format).unwrap();
            assert_eq!(warning.proposal(), proposal, "{format}");
        }
    }

    #[test]
    fn a_proposal_leaves_room_for_a_label() {
        for (width, is_proposed) in [(21, true), (22, false)] {
            let format = format!("yyyyMMdd{}HHmmss", "_".repeat(width));
            assert_eq!(proposal(&format) == format, is_proposed, "{format}");
        }
    }

    #[test]
    fn formats_whose_names_do_not_repeat_have_no_warning() {
        for format in [
            "yyMMddHHmmss",
            "yyyyMMddHHmm",
            "yyyy-MM-ddTHH-mm-ssZ",
            "yyyyMMdd_hhmmtt",
            "yyyyMMdd'YYYY'HHmm",
            "yyyyMMMddHHmmssfff",
        ] {
            assert_eq!(warning_of(format), None, "{format}");
        }
    }

    #[test]
    fn a_warning_names_missing_parts_and_literal_letters() {
        for (format, expected) in [
            (
                "yyyyMMdd",
                "timestamp format `yyyyMMdd`: it has no hour and no minute, so names repeat; did you mean `yyyyMMdd_HHmmss`?",
            ),
            (
                "HHmmss",
                "timestamp format `HHmmss`: it has no year and no month and no day, so names repeat; did you mean \
                 `yyyy-MM-dd_HH-mm-ss`?",
            ),
            (
                "YYYYMMDDHHmm",
                "timestamp format `YYYYMMDDHHmm`: `YYYY` and `DD` are literal text; it has no year and no day, so names \
                 repeat; did you mean `yyyyMMddHHmm`?",
            ),
            (
                "yyMMddhhmm",
                "timestamp format `yyMMddhhmm`: `hh` is 01 to 12, and without `tt` names repeat after 12 hours; did you mean \
                 `yyMMddHHmm`?",
            ),
        ] {
            let warning = warning_of(format).unwrap();
            assert_eq!(warning.to_string(), expected);
            let issues = warning.issues().iter().map(ToString::to_string);
            let issues = issues.collect::<Vec<_>>().join("; ");
            assert!(expected.contains(&format!(": {issues}; did you mean")));
        }
    }

    proptest! {
        #[test]
        fn a_proposal_works_and_its_names_do_not_repeat(format in "[yMdHhmstfYDS%'\"\\\\_:. -]{0,12}") {
            let proposal = proposal(&format);
            let parsed = TimestampFormat::parse(&proposal).unwrap();
            prop_assert_eq!(parsed.warning(), None, "{}", proposal);
        }
    }
}
