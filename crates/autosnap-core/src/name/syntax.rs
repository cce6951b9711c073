// SPDX-License-Identifier: GPL-3.0-only
//! The syntax of timestamp formats: the parser, and what is wrong with an invalid format.
//!
//! The rules are .NET's: a run of one letter is a specifier, quoted and `\`-escaped text is literal, `%`
//! makes a specifier of the next character, a single character is a standard format, and every other
//! character is literal. The parser refuses specifiers that write characters which PVE refuses
//! (`g K z`) and `F`, which omits zeros, so that its text has no fixed meaning.

use std::iter::Peekable;
use std::str::Chars;

use super::rules::{MAX_LENGTH, is_name_character};
use super::token::{Digits, Form, Token};

/// What is wrong with a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFlaw {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// A single character: all standard formats write characters that PVE refuses.
    #[error(
        "a single character is one of .NET's standard formats, and none of them gives a valid \
         snapshot name"
    )]
    Standard,
    /// A specifier of .NET that cannot be part of a name.
    #[error("`{specifier}` ({meaning}) cannot be part of a snapshot name")]
    Unsupported {
        /// The specifier.
        specifier: String,
        /// Its meaning.
        meaning: &'static str,
    },
    /// A character that PVE refuses in a name.
    #[error(
        "PVE refuses {0:?} in the name of a snapshot and accepts only letters without accents, \
         digits, `-` and `_`"
    )]
    Character(char),
    /// A quote that is not closed, or a `\` or `%` without a character after it.
    #[error("unfinished `{0}`")]
    Unfinished(char),
    /// No specifier: all snapshots would have the same name.
    #[error("no part of it depends on the time, so that all snapshots would have the same name")]
    Constant,
}

/// Parses a format into its tokens.
pub(super) fn parse(text: &str) -> Result<Vec<Token>, FormatFlaw> {
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
                Some(letter) => tokens.push(specifier(letter, 1)?),
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

/// The token for a letter that is repeated `count` times.
///
/// A longer run than .NET defines has the meaning of the longest defined one, except for fractions, which
/// have at most seven digits.
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
