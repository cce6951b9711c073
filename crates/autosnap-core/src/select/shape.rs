// SPDX-License-Identifier: GPL-3.0-only
//! Terms in the syntax of something else: `100;101`, `web*`, `!105`, quotes and commas of a word processor.
//!
//! No name of a guest, node, pool or tag has such characters, so these terms can match nothing. What is said of
//! them names the character and, where there is no doubt, the term that was meant.

use super::term::{GROUPS, Matcher, SelectionError};

/// What other syntaxes put before the things that they leave out.
const EXCLUSION_MARKS: [char; 3] = ['!', '~', '^'];

/// Words for the same, in whole.
const EXCLUSION_WORDS: [&str; 4] = ["not", "except", "exclude", "without"];

/// Punctuation in names, and of the syntax of selections.
const PUNCTUATION: [char; 9] = ['-', '_', '.', '+', '/', '%', '@', ':', ','];

/// What is wrong with a term, if it has a character that no term has.
pub(super) fn problem(term: &str) -> Option<String> {
    let term = without_meaningless_blanks(term);
    let first = term.chars().next()?;
    if term.strip_prefix('+').is_some_and(is_number) {
        return Some("the ID of a guest has no sign".to_owned());
    }
    if EXCLUSION_MARKS.contains(&half_width(first)) || is_dash(first) {
        return Some(format!("an exclusion begins with `-`, not with `{first}`"));
    }
    term.chars().find_map(|character| {
        let narrow = half_width(character);
        if character.is_whitespace() {
            Some("terms are separated by commas, not by blanks".to_owned())
        } else if is_separator(narrow) && character != ',' {
            Some(format!(
                "terms are separated by commas (`,`), not by `{character}`"
            ))
        } else if is_bracket(narrow) {
            Some(format!("`{character}` is not part of a term"))
        } else if matches!(narrow, '*' | '?') {
            Some(format!(
                "`{character}` is not a wildcard: `%` is, at the beginning or the end of a part of a guest's name, as in \
                 `web%`; all guests are `@all`"
            ))
        } else if is_dash(character) || narrow != character {
            let plain = if is_dash(character) { '-' } else { narrow };
            Some(format!("`{character}` is not `{plain}`"))
        } else if !character.is_alphanumeric() && !PUNCTUATION.contains(&character) {
            Some(format!(
                "{character:?} is in no name of a guest, node, pool or tag"
            ))
        } else {
            None
        }
    })
}

/// Whether a part of the term may have been meant to take guests away. Without the term the selection would
/// have more guests than were meant.
pub(super) fn may_exclude(term: &str) -> bool {
    let ends_part = |character: char| {
        let narrow = half_width(character);
        character.is_whitespace() || is_separator(narrow) || is_bracket(narrow)
    };
    let mut parts = term.split(ends_part);
    parts.any(|part| {
        let is_mark = |first: char| {
            first == '-' || is_dash(first) || EXCLUSION_MARKS.contains(&half_width(first))
        };
        part.starts_with(is_mark) || EXCLUSION_WORDS.contains(&part.to_lowercase().as_str())
    })
}

/// The term or terms that were probably meant by one with a [`problem`]: valid ones, separated by commas.
pub(super) fn correction(term: &str) -> Option<String> {
    let is_decoration =
        |character, begins_part| is_bracket(character) || (begins_part && character == '+');
    let mut text = String::with_capacity(term.len());
    for character in term.chars() {
        let narrow = half_width(character);
        let begins_part = text.is_empty() || text.ends_with(',');
        if character.is_whitespace() || is_separator(narrow) {
            text.push(',');
        } else if is_dash(character) || (begins_part && EXCLUSION_MARKS.contains(&narrow)) {
            text.push('-');
        } else if !is_decoration(narrow, begins_part) {
            text.push(narrow);
        }
    }
    let text = text.replace(".*", "%").replace('*', "%");
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parts = parts.map(|part| {
        let positive = part.strip_prefix('-').unwrap_or(part);
        let sign = &part[..part.len() - positive.len()];
        let is_everything = positive.chars().all(|character| character == '%');
        let positive = if is_everything && !positive.is_empty() {
            "@all"
        } else {
            positive
        };
        let is_word = EXCLUSION_WORDS.contains(&positive.to_lowercase().as_str());
        let is_valid = !is_word
            && !positive.starts_with('-')
            && problem(positive).is_none()
            && Matcher::parse(positive).is_ok();
        is_valid.then(|| format!("{sign}{positive}"))
    });
    let parts = parts.collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| parts.join(","))
}

/// The selection with all its terms corrected, if it is known what each was meant for: a text to paste.
///
/// ```
/// use autosnap_core::select::corrected;
///
/// assert_eq!(corrected("100;101, web*,").as_deref(), Some("100,101,web%"));
/// assert_eq!(corrected("100,110:105").as_deref(), Some("100,105:110"));
/// assert_eq!(corrected("100,$OTHERS"), None);
/// ```
pub fn corrected(selection: &str) -> Option<String> {
    let terms = super::terms(selection).filter(|term| *term != "-");
    let terms = terms.map(|term| match super::Term::parse(term) {
        Ok(term) => Some(term.in_lower_case()),
        Err(invalid) => invalid.error.correction().map(ToOwned::to_owned),
    });
    let terms = terms.collect::<Option<Vec<_>>>()?.join(",");
    let is_valid = super::Selection::parse(&terms).is_ok();
    is_valid.then_some(terms)
}

/// The error about a term with a [`problem`].
pub(super) fn error(term: &str, problem: String, excludes: bool) -> SelectionError {
    let positive = term.strip_prefix('-').filter(|_| excludes).unwrap_or(term);
    let correction = correction(positive).and_then(|meant| {
        if !excludes {
            return Some(meant);
        }
        // Of several terms it is not known which are to be excluded.
        let is_one = !meant.contains(',') && !meant.starts_with('-');
        is_one.then(|| format!("-{meant}"))
    });
    SelectionError::Shape {
        term: term.to_owned(),
        problem,
        correction,
    }
}

/// Blanks around the colon of a range and after the prefix of a group do not count.
fn without_meaningless_blanks(term: &str) -> String {
    let parts: Vec<&str> = term.split(':').map(str::trim).collect();
    let term = parts.join(":");
    let prefix = GROUPS.iter().map(|group| group.prefix).find(|prefix| {
        term.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    match prefix {
        Some(prefix) => format!("{prefix}{}", term[prefix.len()..].trim()),
        None => term,
    }
}

/// The ASCII character for one of the full-width forms of East Asian input methods.
fn half_width(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        other => other,
    }
}

fn is_separator(character: char) -> bool {
    matches!(
        character,
        ',' | ';' | '|' | '\u{60c}' | '\u{3001}' | '\u{fe50}' | '\u{fe54}'
    )
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Hyphens, dashes and the minus sign beside the hyphen of ASCII.
fn is_dash(character: char) -> bool {
    matches!(
        character,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// Quotation marks and brackets, which other syntaxes put around values.
fn is_bracket(character: char) -> bool {
    matches!(
        character,
        '"' | '\''
            | '`'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | '\u{ab}'
            | '\u{bb}'
            | '\u{2018}'..='\u{201f}'
            | '\u{2032}'
            | '\u{2033}'
            | '\u{2039}'
            | '\u{203a}'
            | '\u{300c}'..='\u{300f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Selection;

    /// What is said of a selection that has nothing else, without the term itself, and what to paste.
    fn check(selection: &str, message: &str, paste: Option<&str>) {
        let error = Selection::parse(selection).unwrap_err().to_string();
        assert!(error.contains(message), "{selection}: {error}");
        assert_eq!(corrected(selection).as_deref(), paste, "{selection}");
    }

    #[test]
    fn other_syntaxes_are_named_with_what_to_write() {
        let comma = "terms are separated by commas";
        check("100;101", comma, Some("100,101"));
        check("100 101", comma, Some("100,101"));
        check("100|101", comma, Some("100,101"));
        check("100，101", comma, Some("100,101"));
        check("100、101", comma, Some("100,101"));
        check("@tag-a @tag-b", comma, Some("@tag-a,@tag-b"));
        let wildcard = "`*` is not a wildcard: `%` is";
        check("*", wildcard, Some("@all"));
        check("web*", wildcard, Some("web%"));
        check("*web*", wildcard, Some("%web%"));
        check("web.*", wildcard, Some("web%"));
        check("we*b", wildcard, None);
        check("web?", "`?` is not a wildcard", None);
        check("“@all”", "`“` is not part of a term", Some("@all"));
        check("\"@all\"", "`\"` is not part of a term", Some("@all"));
        check("[100]", "`[` is not part of a term", Some("100"));
        check("＠all", "`＠` is not `@`", Some("@all"));
        check("１００", "`１` is not `1`", Some("100"));
        check("web‑01", "`‑` is not `-`", Some("web-01"));
        check("+100", "the ID of a guest has no sign", Some("100"));
        check("$VMS", "'$' is in no name", None);
        check("100 - 110", comma, None);
    }

    #[test]
    fn a_malformed_exclusion_refuses_the_selection() {
        let mark = "an exclusion begins with `-`, not with";
        check("@all,!105", mark, Some("@all,-105"));
        check("@all,–105", mark, Some("@all,-105"));
        check("@all,—105", mark, Some("@all,-105"));
        check("@all,−105", mark, Some("@all,-105"));
        check("@all,~105", mark, Some("@all,-105"));
        for (selection, paste) in [
            ("@all,web；-105", Some("@all,web,-105")),
            ("@all,web，!105", Some("@all,web,-105")),
            ("@all,web –105", Some("@all,web,-105")),
            ("@all,-“web01”", Some("@all,-web01")),
            ("@all,-web*", Some("@all,-web%")),
            ("@all,-100;101", None),
            ("@all,not 105", None),
            ("100,all except 105", None),
            ("[100,-105]", Some("100,-105")),
        ] {
            check(selection, "`", paste);
        }
    }

    #[test]
    fn names_and_blanks_that_mean_something_are_no_problem() {
        for term in [
            "100 : 105",
            "@pool- prod",
            "@POOL- prod",
            "@pool-lab/nested",
            "@tag-c++",
            "%web.example.com",
            "wéb_1-a",
            "0100",
        ] {
            assert_eq!(problem(term), None, "{term}");
        }
    }
}
