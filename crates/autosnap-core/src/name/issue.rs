// SPDX-License-Identifier: GPL-3.0-only
//! Issues of timestamp formats that PVE accepts but that probably do not mean what their author intended.
//!
//! Users write the letters of `strftime` (`%Y%m%d`) or of other languages (`YYYY-MM-DD`), confuse months
//! and minutes, or omit the time of day. The names are valid but repeat: a later run finds its name
//! already used. An issue is not an error: `yyyyMMdd` works once a day.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pieces::{Piece, pieces};
use super::token::{Digits, Token};

/// An issue of a valid timestamp format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormatIssue {
    /// It is written for `strftime`, where a letter after `%` is a part of the time.
    Strftime,
    /// These letters are literal text: `YYYY`, `DD`.
    Literal(Vec<String>),
    /// The hour goes from 1 to 12, without morning or evening.
    TwelveHours,
    /// These parts of the time are missing.
    Missing(Vec<TimePart>),
    /// It begins with a number of one or two digits, so that its names can also be those of another label.
    VaryingStart,
}

/// A part of a date and time that a timestamp format should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimePart {
    /// The year.
    Year,
    /// The month.
    Month,
    /// The day of the month.
    Day,
    /// The hour.
    Hour,
    /// The minute.
    Minute,
}

impl TimePart {
    /// The name of the part.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }
}

impl fmt::Display for FormatIssue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strftime => formatter.write_str(
                "the letters of strftime (`%Y`) have another meaning here: years are `yyyy`, months `MM`, minutes `mm`",
            ),
            Self::Literal(letters) => {
                let verb = if letters.len() == 1 { "is" } else { "are" };
                write!(formatter, "`{}` {verb} literal text", letters.join("` and `"))
            }
            Self::TwelveHours => formatter.write_str("`hh` is 01 to 12, and without `tt` names repeat after 12 hours"),
            Self::VaryingStart => formatter.write_str(
                "it begins with a number of one or two digits, so that its snapshots could have another label, which ends \
                 with a digit, and are never removed",
            ),
            Self::Missing(parts) => {
                let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
                write!(formatter, "it has no {}, so names repeat", parts.join(" and no "))
            }
        }
    }
}

/// The issues of a valid format.
pub(super) fn issues(format: &str, tokens: &[Token]) -> Vec<FormatIssue> {
    let mut issues = Vec::new();
    let pieces = pieces(format);
    if is_strftime(format) {
        issues.push(FormatIssue::Strftime);
    } else {
        let letters: Vec<String> = pieces.iter().filter_map(Piece::foreign_letters).collect();
        if !letters.is_empty() {
            issues.push(FormatIssue::Literal(letters));
        }
    }
    let has = |is_part: fn(&Token) -> bool| tokens.iter().any(is_part);
    let has_hour12 = has(|token| matches!(token, Token::Hour12(_)));
    let has_half = has(|token| matches!(token, Token::HalfOfDay(_)));
    let has_hour = has(|token| matches!(token, Token::Hour24(_)));
    if has_hour12 && !has_half && !has_hour {
        issues.push(FormatIssue::TwelveHours);
    }
    if begins_with_varying_time(tokens) {
        issues.push(FormatIssue::VaryingStart);
    }
    let parts = [
        (
            TimePart::Year,
            has(|token| matches!(token, Token::Year { .. } | Token::YearOfCentury(_))),
        ),
        (
            TimePart::Month,
            has(|token| matches!(token, Token::Month(_) | Token::MonthName(_))),
        ),
        (TimePart::Day, has(|token| matches!(token, Token::Day(_)))),
        (TimePart::Hour, has_hour || has_hour12),
        (
            TimePart::Minute,
            has(|token| matches!(token, Token::Minute(_))),
        ),
    ];
    let missing: Vec<_> = parts
        .iter()
        .filter(|(_, is_present)| !is_present)
        .map(|(part, _)| *part)
        .collect();
    if !missing.is_empty() {
        issues.push(FormatIssue::Missing(missing));
    }
    issues
}

/// Whether a format is written for `strftime`: a letter that only `strftime` has, or more than one `%`.
///
/// .NET needs one `%` for a format of a single letter.
pub(super) fn is_strftime(format: &str) -> bool {
    let mut letters = format.chars();
    let mut count = 0;
    while let Some(letter) = letters.next() {
        if letter == '%' {
            count += 1;
            if matches!(
                letters.next(),
                Some('Y' | 'S' | 'I' | 'T' | 'D' | 'B' | 'b' | 'j' | 'p')
            ) {
                return true;
            }
        }
    }
    count > 1
}

/// Whether timestamps begin with an hour, minute or second of one or two digits.
///
/// Their first digit can also be the end of the label: `daily` at `12-30` and `daily1` at `2-30`. The
/// snapshot was taken near both times. For days, months and years only one reading is near.
fn begins_with_varying_time(tokens: &[Token]) -> bool {
    match tokens.first() {
        Some(
            Token::Hour12(digits)
            | Token::Hour24(digits)
            | Token::Minute(digits)
            | Token::Second(digits),
        ) => *digits == Digits::AsNeeded,
        _ => false,
    }
}
