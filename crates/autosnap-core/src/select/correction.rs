// SPDX-License-Identifier: GPL-3.0-only
//! The correction of a whole selection: each term with a mistake is replaced by the one that was probably meant.

use super::expression::Item;
use super::items;
use super::parser::{OPERATORS, has_operators};

/// The selection with all terms corrected; `None` if the meaning of one is not known. It may still be invalid.
pub(super) fn corrected(text: &str) -> Option<String> {
    let text = with_bars_in_parentheses(text);
    let items = items(&text).filter(|item| *item != "-");
    let items = items.map(|item| {
        if has_operators(item) {
            corrected_expression(item)
        } else {
            corrected_term(item)
        }
    });
    Some(items.collect::<Option<Vec<_>>>()?.join(","))
}

/// The text with `|` instead of commas in parentheses, if all parentheses are closed.
fn with_bars_in_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => return text.to_owned(),
            ')' => depth -= 1,
            _ => {}
        }
        let is_in_parentheses = character == ',' && depth > 0;
        result.push(if is_in_parentheses { '|' } else { character });
    }
    if depth == 0 { result } else { text.to_owned() }
}

/// The item with corrected terms between its operators.
fn corrected_expression(item: &str) -> Option<String> {
    let mut result = String::new();
    let single = item.replace("&&", "&").replace("||", "|");
    for part in single.split_inclusive(OPERATORS) {
        let (term, operator) = match part.char_indices().next_back() {
            Some((at, last)) if OPERATORS.contains(&last) => part.split_at(at),
            Some(_) | None => (part, ""),
        };
        match term.trim() {
            sign @ ("" | "-") => result.push_str(sign),
            term => {
                let term = match term.strip_prefix('-') {
                    Some(positive) => corrected_term(&format!("-{}", positive.trim_start()))?,
                    None => corrected_term(term)?,
                };
                // It is not known how several terms are meant to be joined.
                if term.contains(',') {
                    return None;
                }
                result.push_str(&term);
            }
        }
        result.push_str(operator);
    }
    Some(result)
}

fn corrected_term(term: &str) -> Option<String> {
    match Item::parse(term) {
        Ok(item) => Some(item.with_lower_case_keywords()),
        Err(invalid) => invalid.error.correction().map(ToOwned::to_owned),
    }
}
