// SPDX-License-Identifier: GPL-3.0-only
//! The timestamp format that is proposed instead of one that is invalid or has issues.

use super::issue::{is_strftime, issues};
use super::pieces::{Piece, pieces};
use super::rules::{MAX_LENGTH, PREFIX};
use super::syntax;

/// The format that is proposed if no closer one works.
pub(super) const FALLBACK_FORMAT: &str = "yyyy-MM-dd_HH-mm-ss";

/// The format closest to one that has issues or is invalid.
///
/// It works for every date, and its names do not repeat.
pub(super) fn proposal(format: &str) -> String {
    let translated = if is_strftime(format) {
        from_strftime(format)
    } else {
        format.to_owned()
    };
    let mut pieces = pieces(&translated);
    pieces.retain_mut(Piece::sanitize);
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
    // `TimestampFormat::parse` would compute a proposal for every format that it refuses.
    syntax::parse(format).is_ok_and(|tokens| {
        let longest: usize = tokens.iter().map(|token| token.longest().len()).sum();
        PREFIX.len() + longest < MAX_LENGTH && issues(format, &tokens).is_empty()
    })
}

/// Translates a `strftime` format into .NET's letters, without the parts that have no equivalent.
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

/// Repairs letters of other languages, confused months and minutes, and 12-hour clocks without `tt`.
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
