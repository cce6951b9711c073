// SPDX-License-Identifier: GPL-3.0-only
//! Terms in the syntax of other programs: `100;101`, `web*`, `!105`, quotes and commas of a word processor.
//!
//! No name of a guest, node, pool or tag contains such characters, so these terms can match nothing. The error
//! names the character and, if it is unambiguous, the term that was meant.

use super::error::SelectionError;
use super::matcher::{GROUPS, Matcher};

/// The characters before an exclusion in other syntaxes.
const EXCLUSION_MARKS: [char; 3] = ['!', '~', '^'];

/// The words before an exclusion in other syntaxes.
const EXCLUSION_WORDS: [&str; 4] = ["not", "except", "exclude", "without"];

/// The word between two terms that a guest must both match, in other syntaxes.
const CONJUNCTION: &str = "and";

/// The word between two alternatives in other syntaxes.
const ALTERNATIVE: &str = "or";

/// The punctuation of names and of selections.
const PUNCTUATION: [char; 9] = ['-', '_', '.', '+', '/', '%', '@', ':', ','];

/// The problem with a term in foreign syntax; `None` if there is none.
pub(super) fn problem(term: &str) -> Option<String> {
    let term = without_insignificant_spaces(term);
    let first = term.chars().next()?;
    if term.strip_prefix('+').is_some_and(is_number) {
        return Some("a guest ID has no sign".to_owned());
    }
    if EXCLUSION_MARKS.contains(&half_width(first)) || is_dash(first) {
        return Some(format!("an exclusion must begin with `-`, not `{first}`"));
    }
    term.chars().find_map(|character| {
        let narrow = half_width(character);
        if character.is_whitespace() {
            let mut words = term.split_whitespace();
            let conjunction = words.find(|word| word.eq_ignore_ascii_case(CONJUNCTION));
            Some(match conjunction {
                Some(word) => format!("write `&` instead of `{word}` for guests that match both"),
                None => "terms must be separated by commas, not spaces".to_owned(),
            })
        } else if is_separator(narrow) && character != ',' {
            Some(format!(
                "terms must be separated by commas (`,`), not `{character}`"
            ))
        } else if is_bracket(narrow) && (narrow == character || !matches!(narrow, '(' | ')')) {
            Some(format!("a term must not contain `{character}`"))
        } else if matches!(narrow, '*' | '?') {
            Some(format!(
                "`{character}` is not a wildcard; use `%` before or after a part of a guest name, e.g. `web%`, or `@all` \
                 for all guests"
            ))
        } else if is_dash(character) || narrow != character {
            let plain = if is_dash(character) { '-' } else { narrow };
            Some(format!("use `{plain}` instead of `{character}`"))
        } else if !character.is_alphanumeric() && !PUNCTUATION.contains(&character) {
            Some(format!(
                "no name of a guest, node, pool or tag contains {character:?}"
            ))
        } else {
            None
        }
    })
}

/// Whether a part of the term may be meant as an exclusion.
///
/// Without such a term the selection might have more guests than intended.
pub(super) fn may_exclude(term: &str) -> bool {
    let ends_part = |character: char| {
        let narrow = half_width(character);
        character.is_whitespace() || is_separator(narrow) || is_bracket(narrow) || narrow == '&'
    };
    let mut parts = term.split(ends_part);
    parts.any(|part| {
        let is_mark = |first: char| {
            first == '-' || is_dash(first) || EXCLUSION_MARKS.contains(&half_width(first))
        };
        part.starts_with(is_mark) || EXCLUSION_WORDS.contains(&part.to_lowercase().as_str())
    })
}

/// The valid terms, separated by commas, that were probably meant by a term with a [`problem`].
pub(super) fn correction(term: &str) -> Option<String> {
    let is_decoration =
        |character, begins_part| is_bracket(character) || (begins_part && character == '+');
    let mut text = String::with_capacity(term.len());
    for character in term.chars() {
        let narrow = half_width(character);
        let begins_part = text.is_empty() || text.ends_with(',');
        if character.is_whitespace() || is_separator(narrow) {
            text.push(',');
        } else if is_dash(character)
            || (begins_part && EXCLUSION_MARKS.contains(&narrow))
            || (narrow == '=' && is_group_word(&text))
        {
            text.push('-');
        } else if !is_decoration(narrow, begins_part) {
            text.push(narrow);
        }
    }
    let text = text.replace(".*", "%").replace('*', "%");
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parts = join_conjunctions(parts)?;
    let parts = parts.iter().map(|part| {
        let parts = part.split('&').map(valid_term);
        Some(parts.collect::<Option<Vec<_>>>()?.join("&"))
    });
    let parts = parts.collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| parts.join(","))
}

/// The term with or without `-`, if it is valid; a `%` alone becomes `@all`.
fn valid_term(part: &str) -> Option<String> {
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
}

/// The terms without the words between them; two terms around a conjunction become one with `&`.
fn join_conjunctions<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let mut terms: Vec<String> = Vec::new();
    let mut joins = false;
    for part in parts {
        if part.eq_ignore_ascii_case(CONJUNCTION) {
            joins = true;
        } else if !part.eq_ignore_ascii_case(ALTERNATIVE) {
            match terms.last_mut().filter(|_| joins) {
                Some(last) => *last = format!("{last}&{part}"),
                None if joins => return None,
                None => terms.push(part.to_owned()),
            }
            joins = false;
        }
    }
    (!joins).then_some(terms)
}

/// Whether the text ends with the keyword of a group that needs `-` and a name: `@tag`.
fn is_group_word(text: &str) -> bool {
    let term = text.rsplit(',').next().unwrap_or_default();
    let term = term.strip_prefix('-').unwrap_or(term);
    let keywords = ["@tag", "@pool", "@node"];
    keywords
        .iter()
        .any(|keyword| term.eq_ignore_ascii_case(keyword))
}

/// The error about a term with a [`problem`].
pub(super) fn error(term: &str, problem: String, excludes: bool) -> SelectionError {
    let positive = term.strip_prefix('-').filter(|_| excludes).unwrap_or(term);
    let correction = correction(positive).and_then(|meant| {
        if !excludes {
            return Some(meant);
        }
        // It is unknown which of several terms are to be excluded.
        let is_one = !meant.contains([',', '&']) && !meant.starts_with('-');
        is_one.then(|| format!("-{meant}"))
    });
    SelectionError::ForeignSyntax {
        term: term.to_owned(),
        problem,
        correction,
    }
}

/// The term without the spaces around the colon of a range and after the keyword of a group.
fn without_insignificant_spaces(term: &str) -> String {
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

/// The ASCII character for a full-width character of an East Asian input method.
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

/// Whether it is a hyphen, dash or minus sign other than the ASCII hyphen.
fn is_dash(character: char) -> bool {
    matches!(
        character,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// Whether it is a quotation mark or bracket, which other syntaxes put around values.
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

    /// Checks the error message and the suggestion for an invalid selection.
    fn check(selection: &str, message: &str, suggestion: Option<&str>) {
        let error = Selection::parse(selection).unwrap_err().to_string();
        assert!(error.contains(message), "{selection}: {error}");
        let found = Selection::suggestion(selection);
        assert_eq!(found.as_deref(), suggestion, "{selection}");
    }

    #[test]
    fn the_error_names_the_character_and_the_suggestion_replaces_it() {
        let comma = "terms must be separated by commas";
        check("100;101", comma, Some("100,101"));
        check("100 101", comma, Some("100,101"));
        check("100|101", comma, Some("100,101"));
        check("100，101", comma, Some("100,101"));
        check("100、101", comma, Some("100,101"));
        check("@tag-a @tag-b", comma, Some("@tag-a,@tag-b"));
        let wildcard = "`*` is not a wildcard; use `%`";
        check("*", wildcard, Some("@all"));
        check("web*", wildcard, Some("web%"));
        check("*web*", wildcard, Some("%web%"));
        check("web.*", wildcard, Some("web%"));
        check("we*b", wildcard, None);
        check("web?", "`?` is not a wildcard", None);
        check("“@all”", "a term must not contain `“`", Some("@all"));
        check("\"@all\"", "a term must not contain `\"`", Some("@all"));
        check("[100]", "a term must not contain `[`", Some("100"));
        check("［100］", "a term must not contain `［`", Some("100"));
        check("（100）", "use `(` instead of `（`", Some("100"));
        check("＠all", "use `@` instead of `＠`", Some("@all"));
        check("１００", "use `1` instead of `１`", Some("100"));
        check("web‑01", "use `-` instead of `‑`", Some("web-01"));
        check("+100", "a guest ID has no sign", Some("100"));
        check("$VMS", "contains '$'", None);
        check("@tag=web", "contains '='", Some("@tag-web"));
        check("@all,-@Pool=web", "contains '='", Some("@all,-@Pool-web"));
        check("web=1", "contains '='", None);
        check("100 - 110", comma, None);
    }

    #[test]
    fn words_between_terms_become_signs() {
        let both = "for guests that match both";
        check("@pool-a AND @tag-b", both, Some("@pool-a&@tag-b"));
        check("@tag-a and @tag-b", both, Some("@tag-a&@tag-b"));
        check("web% or db%", "separated by commas", Some("web%,db%"));
        check("@tag-a and", both, None);
        check("and @tag-a", both, None);
        check("@tag-a and and", both, None);
        check("@all,-@pool-a and @tag-b", both, None);
        check("@pool-a and not @tag-b", both, None);
    }

    #[test]
    fn a_malformed_exclusion_makes_the_selection_invalid() {
        let mark = "an exclusion must begin with `-`, not";
        check("@all,!105", mark, Some("@all,-105"));
        check("@all,–105", mark, Some("@all,-105"));
        check("@all,—105", mark, Some("@all,-105"));
        check("@all,−105", mark, Some("@all,-105"));
        check("@all,~105", mark, Some("@all,-105"));
        for (selection, suggestion) in [
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
            check(selection, "`", suggestion);
        }
    }

    #[test]
    fn valid_names_and_insignificant_spaces_are_accepted() {
        for term in [
            "100 : 105",
            "@pool- prod",
            "@POOL- prod",
            "@pool-lab/nested",
            "@tag-c++",
            "%web.example.com",
            "wéb_1-a",
            "0100",
            "+",
            "+web",
        ] {
            assert_eq!(problem(term), None, "{term}");
        }
    }
}
