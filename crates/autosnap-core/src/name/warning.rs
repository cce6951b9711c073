// SPDX-License-Identifier: GPL-3.0-only
//! Warnings about timestamp formats that PVE accepts but that probably do not mean what their author
//! intended, with the format that was probably meant.
//!
//! Users write the letters of `strftime` (`%Y%m%d`) or of other languages (`YYYY-MM-DD`), mix up months
//! and minutes, or leave out the time of day. The names are valid but repeat: a later run finds its name
//! already used. This is a warning, not an error: `yyyyMMdd` works once a day.

use std::fmt;

use super::token::Token;
use super::{MAX_LENGTH, PREFIX, is_name_character, syntax};

/// The format that is proposed if no closer one is known to work.
pub(super) const FALLBACK_FORMAT: &str = "yyyy-MM-dd_HH-mm-ss";

/// Why a name may already be used: the hint for PVE's refusal.
pub const REPEATED_NAME_CAUSES: &str = "names repeat when --timestamp-format lacks the year, month, day, \
    hour or minute (`MM` is the month, `mm` the minute), has `hh` without `tt`, or letters that stand for \
    themselves (`YYYY`, `DD`, `%Y`), and in the repeated hour at the end of summer time; the default \
    yyMMddHHmmss has all of it";

/// A format with its issues, and the format that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatWarning {
    format: String,
    issues: Vec<FormatIssue>,
    proposal: String,
}

/// One issue of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatIssue {
    /// It is written as for `strftime`, where a letter after `%` is a part of the time.
    Strftime,
    /// These letters are literal text: `YYYY`, `DD`.
    Literal(Vec<String>),
    /// The hour goes from 1 to 12, and nothing tells morning from evening.
    TwelveHours,
    /// These parts of the time are missing.
    Missing(Vec<&'static str>),
    /// It begins with a number of one or two digits, so that nothing tells its names from those of another label.
    VaryingStart,
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

impl fmt::Display for FormatIssue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strftime => formatter.write_str(
                "the letters of strftime (`%Y`) have another meaning here: years are `yyyy`, months `MM`, minutes `mm`",
            ),
            Self::Literal(letters) => {
                let verb = if letters.len() == 1 { "stands for itself" } else { "stand for themselves" };
                write!(formatter, "`{}` {verb}", letters.join("` and `"))
            }
            Self::TwelveHours => formatter.write_str("`hh` is 01 to 12, and without `tt` names repeat after 12 hours"),
            Self::VaryingStart => formatter.write_str(
                "it begins with a number of one or two digits, so that its snapshots could be those of another label that ends \
                 with a digit, and are never removed",
            ),
            Self::Missing(parts) => write!(formatter, "it has no {}, so names repeat", parts.join(" and no ")),
        }
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

fn issues(format: &str, tokens: &[Token]) -> Vec<FormatIssue> {
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
    if syntax::begins_with_varying_time(tokens) {
        issues.push(FormatIssue::VaryingStart);
    }
    let parts = [
        (
            "year",
            has(|token| matches!(token, Token::Year { .. } | Token::YearOfCentury(_))),
        ),
        (
            "month",
            has(|token| matches!(token, Token::Month(_) | Token::MonthName(_))),
        ),
        ("day", has(|token| matches!(token, Token::Day(_)))),
        ("hour", has_hour || has_hour12),
        ("minute", has(|token| matches!(token, Token::Minute(_)))),
    ];
    let missing: Vec<_> = parts
        .iter()
        .filter(|(_, is_there)| !is_there)
        .map(|(part, _)| *part)
        .collect();
    if !missing.is_empty() {
        issues.push(FormatIssue::Missing(missing));
    }
    issues
}

/// The closest format to one that has issues or is invalid. It works for every date, and its names do
/// not repeat.
pub(super) fn proposal(format: &str) -> String {
    let translated = if is_strftime(format) {
        from_strftime(format)
    } else {
        format.to_owned()
    };
    let mut pieces = pieces(&translated);
    pieces.retain_mut(Piece::make_usable);
    repair_letters(&mut pieces);
    let repaired: String = pieces.iter().map(ToString::to_string).collect();
    let repaired = repaired.trim_matches(['-', '_']);
    let candidates = [
        repaired.to_owned(),
        format!("{repaired}mmss"),
        format!("{repaired}_HHmmss"),
        format!("yyyy{repaired}"),
    ];
    candidates
        .into_iter()
        .find(|candidate| is_recommendable(candidate))
        .unwrap_or_else(|| FALLBACK_FORMAT.to_owned())
}

fn is_recommendable(format: &str) -> bool {
    // Not `TimestampFormat::parse`, which makes a proposal for what it refuses.
    syntax::scan(format).is_ok_and(|tokens| {
        let longest: usize = tokens.iter().map(|token| token.longest().len()).sum();
        PREFIX.len() + longest < MAX_LENGTH && issues(format, &tokens).is_empty()
    })
}

/// A piece of the text of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// The same letter or sign so many times.
    Run(char, usize),
    /// Literal text: quoted, with its quotes, or escaped with `\`.
    Quoted(String),
}

impl fmt::Display for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(letter, count) => {
                (0..*count).try_for_each(|_| fmt::Write::write_char(formatter, *letter))
            }
            Self::Quoted(text) => formatter.write_str(text),
        }
    }
}

impl Piece {
    /// Letters that have a meaning in other languages only.
    fn foreign_letters(&self) -> Option<String> {
        match self {
            Self::Run('Y' | 'D' | 'S', 2..) => Some(self.to_string()),
            Self::Run(..) | Self::Quoted(_) => None,
        }
    }

    /// Replaces characters that PVE or a format refuses; returns whether anything is left.
    fn make_usable(&mut self) -> bool {
        let usable = |letter| match letter {
            ':' | '/' | '.' => '-',
            fine if is_name_character(fine) => fine,
            _ => '_',
        };
        match self {
            Self::Run('F' | 'g' | 'K' | 'z' | '%' | '\'' | '"' | '\\', _) => false,
            Self::Run(letter, count) => {
                let replaced = usable(*letter);
                if replaced != *letter {
                    (*letter, *count) = (replaced, 1);
                } else if *letter == 'f' {
                    *count = (*count).min(7);
                }
                true
            }
            Self::Quoted(text) => {
                let is_mark = |letter| matches!(letter, '\'' | '"' | '\\');
                *text = text
                    .chars()
                    .map(|letter| {
                        if is_mark(letter) {
                            letter
                        } else {
                            usable(letter)
                        }
                    })
                    .collect();
                true
            }
        }
    }
}

/// Splits the text of a format. A quote that is not closed, and a `\` or `%` at the end, are runs.
fn pieces(format: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => quoted_length(rest, first),
            '\\' => rest.chars().nth(1).map(|escaped| 1 + escaped.len_utf8()),
            _ => None,
        };
        if let Some(length) = length {
            let (quoted, after) = rest.split_at(length);
            pieces.push(Piece::Quoted(quoted.to_owned()));
            rest = after;
        } else {
            let count = match first {
                '\'' | '"' | '\\' => 1,
                _ => rest.chars().take_while(|letter| *letter == first).count(),
            };
            pieces.push(Piece::Run(first, count));
            rest = &rest[count * first.len_utf8()..];
        }
    }
    pieces
}

/// The length of a quoted text with both quotes; a `\` in it takes the next character literally.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next()?;
        } else if letter == quote {
            return Some(at + 1);
        }
    }
    None
}

/// Whether it is written for `strftime`: a letter that only it knows, or more than one `%`, which
/// .NET needs for a format of one letter alone.
fn is_strftime(format: &str) -> bool {
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

/// Translates a `strftime` format into .NET's letters. Parts without a counterpart are left out.
fn from_strftime(format: &str) -> String {
    let mut translated = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            translated.push(letter);
            continue;
        }
        translated.push_str(match letters.next() {
            Some('Y') => "yyyy",
            Some('y') => "yy",
            Some('m') => "MM",
            Some('B') => "MMMM",
            Some('b' | 'h') => "MMM",
            Some('d' | 'e') => "dd",
            Some('A') => "dddd",
            Some('a') => "ddd",
            Some('H' | 'k') => "HH",
            Some('I' | 'l') => "hh",
            Some('p') => "tt",
            Some('M') => "mm",
            Some('S') => "ss",
            Some('F') => "yyyy-MM-dd",
            Some('D') => "MM-dd-yy",
            Some('T') => "HH-mm-ss",
            Some('R') => "HH-mm",
            Some(_) | None => "",
        });
    }
    translated
}

/// Repairs letters of other languages, months and minutes mixed up, and 12-hour clocks without `tt`.
fn repair_letters(pieces: &mut [Piece]) {
    for piece in pieces.iter_mut() {
        if let Piece::Run(letter @ ('Y' | 'D' | 'S'), 2..) = piece {
            *letter = letter.to_ascii_lowercase();
        }
    }
    if let Some(Piece::Run('h' | 'H' | 'm' | 's', count @ 1)) = pieces.first_mut() {
        *count = 2;
    }
    let has = |pieces: &[Piece], wanted: char| {
        pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Run(letter, _) if *letter == wanted))
    };
    let (has_month, has_half) = (has(pieces, 'M'), has(pieces, 't'));
    // The part of the time before each piece.
    let mut before = None;
    let mut month_is_found = has_month;
    for piece in pieces.iter_mut() {
        let Piece::Run(letter, _) = piece else {
            continue;
        };
        match (*letter, before) {
            ('m', Some('y' | 'd') | None) if !month_is_found => {
                *letter = 'M';
                month_is_found = true;
            }
            ('M', Some('H' | 'h')) => *letter = 'm',
            ('h', _) if !has_half => *letter = 'H',
            _ => {}
        }
        if matches!(letter, 'y' | 'M' | 'd' | 'H' | 'h' | 'm' | 's') {
            before = Some(*letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::TimestampFormat;
    use super::*;

    fn warning_of(format: &str) -> Option<FormatWarning> {
        TimestampFormat::parse(format).unwrap().warning()
    }

    /// B6, W8: what people write instead of .NET's letters is recognised.
    #[test]
    fn doubtful_formats_are_warned_of_with_the_one_that_was_meant() {
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
    fn names_that_do_not_repeat_are_not_warned_of() {
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
    fn a_warning_says_what_is_missing_and_what_stands_for_itself() {
        for (format, expected) in [
            (
                "yyyyMMdd",
                "timestamp format `yyyyMMdd`: it has no hour and no minute, so names repeat; did you mean `yyyyMMdd_HHmmss`?",
            ),
            (
                "YYYYMMDDHHmm",
                "timestamp format `YYYYMMDDHHmm`: `YYYY` and `DD` stand for themselves; it has no year and no day, so names \
                 repeat; did you mean `yyyyMMddHHmm`?",
            ),
            (
                "yyMMddhhmm",
                "timestamp format `yyMMddhhmm`: `hh` is 01 to 12, and without `tt` names repeat after 12 hours; did you mean \
                 `yyMMddHHmm`?",
            ),
        ] {
            assert_eq!(warning_of(format).unwrap().to_string(), expected);
        }
    }

    proptest! {
        /// C9: a proposal works, and its names do not repeat.
        #[test]
        fn a_proposal_is_not_warned_of(format in "[yMdHhmstfYDS%'\"\\\\_:. -]{0,12}") {
            let proposal = proposal(&format);
            let parsed = TimestampFormat::parse(&proposal).unwrap();
            prop_assert_eq!(parsed.warning(), None, "{}", proposal);
        }
    }
}
