// SPDX-License-Identifier: GPL-3.0-only
//! The syntax of timestamp formats, and what is said about those that cannot be used.
//!
//! The rules are .NET's: runs of a letter are a specifier, quotes and `\` take their content
//! literally, `%` makes a specifier of the one character after it, one character alone is a
//! standard format, and every other character stands for itself. Refused are the specifiers that
//! put something into a name that PVE refuses (`g K z`) or that do not always have the same
//! meaning there (`F`, which drops zeros).

use std::iter::Peekable;
use std::str::Chars;

use super::format::TimestampFormat;
use super::token::{Digits, Form, Token};
use super::{MAX_LENGTH, is_name_character, warning};

/// A format that makes no names, with one that does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timestamp format `{format}`: {flaw}; `{proposal}` works")]
pub struct FormatError {
    format: String,
    flaw: FormatFlaw,
    proposal: String,
}

/// What is wrong with a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFlaw {
    /// No text at all.
    #[error("it is empty")]
    Empty,
    /// One character alone: all standard formats make characters that PVE refuses.
    #[error(
        "a single character means one of .NET's standard formats, and none of them makes a valid \
         snapshot name"
    )]
    Standard,
    /// A specifier of .NET that cannot be part of a name.
    #[error("`{specifier}` ({meaning}) cannot be part of a snapshot name")]
    Unsupported {
        /// The specifier, as often as it stands there.
        specifier: String,
        /// What it stands for.
        meaning: &'static str,
    },
    /// A character that PVE refuses in a name.
    #[error(
        "PVE refuses {0:?} in the name of a snapshot and takes only letters without accents, \
         digits, `-` and `_`"
    )]
    Character(char),
    /// A quote without its end, or a `\` or `%` without the character it belongs to.
    #[error("nothing completes the `{0}`")]
    Unfinished(char),
    /// No specifier: the second snapshot would have the name of the first.
    #[error("no part of it changes with the time, so that all snapshots would have one name")]
    Constant,
}

impl FormatError {
    /// What is wrong.
    pub fn flaw(&self) -> &FormatFlaw {
        &self.flaw
    }

    /// A format that works, as near as possible to the refused one.
    pub fn proposal(&self) -> &str {
        &self.proposal
    }
}

/// Cuts a format into its tokens, or refuses it.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FormatError> {
    scan(text).map_err(|flaw| FormatError {
        format: text.to_owned(),
        flaw,
        proposal: warning::proposal(text),
    })
}

/// The tokens of a format, or why it cannot be used.
pub(super) fn scan(text: &str) -> Result<Vec<Token>, FormatFlaw> {
    match text.chars().count() {
        0 => return Err(FormatFlaw::Empty),
        1 => return Err(FormatFlaw::Standard),
        _ => {}
    }
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => tokens.push(escaped(&mut rest)?),
            '\'' | '"' => quoted(character, &mut rest, &mut tokens)?,
            '%' => match rest.next() {
                None | Some('%' | '\\' | '\'' | '"') => return Err(FormatFlaw::Unfinished('%')),
                Some(alone) => tokens.push(specifier(alone, 1)?),
            },
            letter if is_specifier(letter) => {
                let mut count = 1;
                while rest.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                tokens.push(specifier(letter, count)?);
            }
            other => tokens.push(literal(other)?),
        }
    }
    let constant = tokens
        .iter()
        .all(|token| matches!(token, Token::Literal(_)));
    if constant {
        Err(FormatFlaw::Constant)
    } else {
        Ok(tokens)
    }
}

fn literal(character: char) -> Result<Token, FormatFlaw> {
    if is_name_character(character) {
        Ok(Token::Literal(character))
    } else {
        Err(FormatFlaw::Character(character))
    }
}

fn escaped(rest: &mut Peekable<Chars<'_>>) -> Result<Token, FormatFlaw> {
    rest.next()
        .ok_or(FormatFlaw::Unfinished('\\'))
        .and_then(literal)
}

fn quoted(
    quote: char,
    rest: &mut Peekable<Chars<'_>>,
    tokens: &mut Vec<Token>,
) -> Result<(), FormatFlaw> {
    loop {
        match rest.next() {
            None => return Err(FormatFlaw::Unfinished(quote)),
            Some('\\') => tokens.push(escaped(rest)?),
            Some(character) if character == quote => return Ok(()),
            Some(character) => tokens.push(literal(character)?),
        }
    }
}

fn is_specifier(letter: char) -> bool {
    matches!(
        letter,
        'd' | 'f' | 'F' | 'g' | 'h' | 'H' | 'K' | 'm' | 'M' | 's' | 't' | 'y' | 'z'
    )
}

/// The token of a letter that stands so many times in a row. More than .NET knows means the most
/// it knows, except for fractions, of which seven digits exist.
fn specifier(letter: char, count: usize) -> Result<Token, FormatFlaw> {
    let digits = if count == 1 {
        Digits::AsNeeded
    } else {
        Digits::Two
    };
    let form = if count <= 3 { Form::Short } else { Form::Full };
    Ok(match (letter, count) {
        ('y', 1 | 2) => Token::YearOfCentury(digits),
        ('y', MAX_LENGTH..) => {
            return Err(unsupported(letter, count, "a year longer than any name"));
        }
        ('y', _) => Token::Year {
            digits: count.max(4),
        },
        ('M', 1 | 2) => Token::Month(digits),
        ('M', _) => Token::MonthName(form),
        ('d', 1 | 2) => Token::Day(digits),
        ('d', _) => Token::WeekdayName(form),
        ('h', _) => Token::Hour12(digits),
        ('H', _) => Token::Hour24(digits),
        ('m', _) => Token::Minute(digits),
        ('s', _) => Token::Second(digits),
        ('f', 1..=7) => Token::Fraction { digits: count },
        ('t', 1) => Token::HalfOfDay(Form::Short),
        ('t', _) => Token::HalfOfDay(Form::Full),
        ('f', _) => {
            return Err(unsupported(
                letter,
                count,
                "more than seven digits of a second",
            ));
        }
        ('F', _) => return Err(unsupported(letter, count, "a fraction without its zeros")),
        ('g', _) => return Err(unsupported(letter, count, "the era, A.D.")),
        ('K' | 'z', _) => return Err(unsupported(letter, count, "the zone, such as +02:00")),
        (other, _) => literal(other)?,
    })
}

fn unsupported(letter: char, count: usize, meaning: &'static str) -> FormatFlaw {
    FormatFlaw::Unsupported {
        specifier: String::from(letter).repeat(count),
        meaning,
    }
}

/// Whether timestamps begin with an hour, minute or second of one or two digits, so that the first digit
/// can also be the end of the label: `daily` at `12-30` and `daily1` at `2-30`. The time at which the
/// snapshot was taken is near both. Of days, months and years only one is near.
pub(super) fn begins_with_varying_time(tokens: &[Token]) -> bool {
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

/// A shorter format for when the names would be too long, tried in this order. Its names do not repeat.
pub(super) fn shorter_formats(format: &TimestampFormat) -> impl Iterator<Item = TimestampFormat> {
    let well_known = [
        "yyyyMMdd_HHmmss",
        "yyyyMMddHHmmss",
        TimestampFormat::DEFAULT,
    ];
    let abbreviated = format
        .abbreviated()
        .filter(|shorter| shorter.warning().is_none());
    abbreviated.into_iter().chain(
        well_known
            .into_iter()
            .filter_map(|text| TimestampFormat::parse(text).ok()),
    )
}
