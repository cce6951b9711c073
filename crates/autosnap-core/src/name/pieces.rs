// SPDX-License-Identifier: GPL-3.0-only
//! The text of a timestamp format, split into runs of one character and quoted text.

use std::fmt;

use super::rules::is_name_character;

/// A piece of the text of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A character and how often it is repeated.
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
    /// Letters that are specifiers only in other languages' formats.
    pub(super) fn foreign_letters(&self) -> Option<String> {
        match self {
            Self::Run('Y' | 'D' | 'S', 2..) => Some(self.to_string()),
            Self::Run(..) | Self::Quoted(_) => None,
        }
    }

    /// Replaces characters that PVE refuses and shortens long fractions. Returns `false` if nothing is left of the piece.
    pub(super) fn sanitize(&mut self) -> bool {
        let usable = |letter| match letter {
            ':' | '/' | '.' => '-',
            valid if is_name_character(valid) => valid,
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
                let is_quoting = |letter| matches!(letter, '\'' | '"' | '\\');
                *text = text
                    .chars()
                    .map(|letter| {
                        if is_quoting(letter) {
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

/// Splits the text of a format. An unclosed quote, and a `\` or `%` at the end, become runs.
pub(super) fn pieces(format: &str) -> Vec<Piece> {
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
            // The count of a quote or `\` is always 1: a second one would close or escape it.
            let count = rest.chars().take_while(|letter| *letter == first).count();
            pieces.push(Piece::Run(first, count));
            rest = &rest[count * first.len_utf8()..];
        }
    }
    pieces
}

/// The length of a quoted text with both quotes. A `\` in it escapes the next character.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_split_into_runs_and_quoted_text() {
        let run = Piece::Run;
        let quoted = |text: &str| Piece::Quoted(text.to_owned());
        for (format, expected) in [
            ("yyMM", vec![run('y', 2), run('M', 2)]),
            ("'at'HH", vec![quoted("'at'"), run('H', 2)]),
            ("''HH", vec![quoted("''"), run('H', 2)]),
            (r"'\''", vec![quoted(r"'\''")]),
            (r"\y\\d", vec![quoted(r"\y"), quoted(r"\\"), run('d', 1)]),
            (
                "'open",
                vec![
                    run('\'', 1),
                    run('o', 1),
                    run('p', 1),
                    run('e', 1),
                    run('n', 1),
                ],
            ),
            (r"s\", vec![run('s', 1), run('\\', 1)]),
            ("ää", vec![run('ä', 2)]),
        ] {
            assert_eq!(pieces(format), expected, "{format}");
        }
    }

    #[test]
    fn only_fractions_of_a_second_have_at_most_seven_digits() {
        for (letter, count, expected) in [('f', 9, 7), ('f', 3, 3), ('y', 9, 9)] {
            let mut piece = Piece::Run(letter, count);
            assert!(piece.sanitize());
            assert_eq!(piece, Piece::Run(letter, expected));
        }
    }
}
