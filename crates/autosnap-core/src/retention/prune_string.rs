// SPDX-License-Identifier: GPL-3.0-only
//! PVE's property string for keep rules, such as `keep-last=3,keep-daily=13`.
//!
//! It is parsed as PVE parses it (`parse_property_string` in `PVE/JSONSchema.pm`, `validate_prune_backups` in
//! `PVE/Storage/Plugin.pm`): the same strings are accepted, with the same meaning.

use super::period::{KeepCounts, Period};
use super::rules::Rules;

const KEEP_ALL: &str = "keep-all";

/// Why a text is not a property string for keep rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A part has no `=`, or nothing on one side of it.
    #[error("invalid keep rule '{part}': expected a rule and a number, such as keep-daily=7")]
    Part {
        /// The part.
        part: String,
    },
    /// There is no such rule.
    #[error("unknown keep rule '{key}': {}", expected_keys(.key))]
    Key {
        /// The text before `=`.
        key: String,
    },
    /// A rule is given twice.
    #[error("{key} is given twice: write it once, with one number")]
    Twice {
        /// The rule.
        key: String,
    },
    /// The value is not a number of snapshots.
    #[error(
        "invalid number '{value}' for {key}: expected a whole number such as {key}=7, or {key}=0 to switch it off"
    )]
    Number {
        /// The rule.
        key: String,
        /// The text after `=`.
        value: String,
    },
    /// The value of `keep-all` is not a boolean.
    #[error("invalid value '{value}' for keep-all: expected keep-all=1 to keep all snapshots")]
    KeepAll {
        /// The text after `=`.
        value: String,
    },
    /// `keep-all` and a number contradict each other.
    #[error("keep-all=1 cannot be combined with {key}: write keep-all=1 alone, or leave it out")]
    KeepAllWithOthers {
        /// The first rule with a number.
        key: String,
    },
}

impl Rules {
    /// Parses a property string as PVE writes it, such as `keep-last=3,keep-daily=13`.
    ///
    /// As for [`Rules::from_counts`], `keep-last` defaults to 1, and all snapshots stay if no number is above 0.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let mut counts = KeepCounts::default();
        let mut keep_all: Option<bool> = None;
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let split = part.split_once('=');
            let (key, value) = split
                .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                .ok_or_else(|| RulesError::Part {
                    part: part.to_owned(),
                })?;
            let is_twice = if key == KEEP_ALL {
                let value = parse_bool(value).ok_or_else(|| RulesError::KeepAll {
                    value: value.to_owned(),
                })?;
                keep_all.replace(value).is_some()
            } else {
                let period = period(key)?;
                let count = parse_count(value).ok_or_else(|| RulesError::Number {
                    key: key.to_owned(),
                    value: value.to_owned(),
                })?;
                counts.get_mut(period).replace(count).is_some()
            };
            if is_twice {
                return Err(RulesError::Twice {
                    key: key.to_owned(),
                });
            }
        }
        let keeps = |period: &Period| counts.get(*period).is_some_and(|count| count > 0);
        match Period::ALL.into_iter().find(keeps) {
            None if keep_all == Some(true) => Ok(Self::keep_all()),
            Some(period) if keep_all == Some(true) => Err(RulesError::KeepAllWithOthers {
                key: period.key().to_owned(),
            }),
            None | Some(_) => Ok(Self::from_counts(counts)),
        }
    }
}

/// The valid property string that an invalid one was probably meant as: `keep-last=3,keep-daily=7` for
/// `last=3, daily=7`.
pub fn suggested_rules(text: &str) -> Option<String> {
    let is_separator =
        |character: char| character.is_whitespace() || matches!(character, ',' | ';' | '|');
    let parts: Vec<&str> = text
        .split(is_separator)
        .filter(|part| !part.is_empty())
        .collect();
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let rules = match parts[..] {
        // One number is that of `--keep`.
        [number] if is_number(number) => format!("keep-last={number}"),
        [] => return None,
        _ => {
            let rules = parts.iter().map(|part| suggested_rule(part));
            rules.collect::<Option<Vec<_>>>()?.join(",")
        }
    };
    Rules::parse(&rules).is_ok().then_some(rules)
}

fn suggested_rule(part: &str) -> Option<String> {
    let (key, value) = part.split_once(['=', ':'])?;
    let key = key.trim_start_matches('-').to_lowercase().replace('_', "-");
    let key = match key.as_str() {
        "keep" | "maxfiles" => "keep-last",
        other if known_keys().any(|known| known.strip_prefix("keep-") == Some(other)) => {
            return Some(format!("keep-{other}={value}"));
        }
        other => near_key(other)?,
    };
    Some(format!("{key}={value}"))
}

/// The keys of all rules.
fn known_keys() -> impl Iterator<Item = &'static str> {
    Period::ALL.into_iter().map(Period::key).chain([KEEP_ALL])
}

/// The key that is the same or nearly the same.
fn near_key(key: &str) -> Option<&'static str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, key);
    let near = known_keys().filter(|known| distance(known) <= 2);
    near.min_by_key(distance)
}

fn period(key: &str) -> Result<Period, RulesError> {
    let mut all = Period::ALL.into_iter();
    all.find(|period| period.key() == key)
        .ok_or_else(|| RulesError::Key {
            key: key.to_owned(),
        })
}

/// PVE's integers: digits with or without a sign, not below 0. There is no maximum.
fn parse_count(text: &str) -> Option<u32> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only a number of too many digits is not parsed.
    let count = digits.parse().unwrap_or(u32::MAX);
    (!is_negative || count == 0).then_some(count)
}

/// PVE's booleans (`parse_boolean` in `PVE/JSONSchema.pm`).
fn parse_bool(text: &str) -> Option<bool> {
    let is_any = |texts: [&str; 4]| texts.iter().any(|one| text.eq_ignore_ascii_case(one));
    if is_any(["1", "on", "yes", "true"]) {
        Some(true)
    } else if is_any(["0", "off", "no", "false"]) {
        Some(false)
    } else {
        None
    }
}

/// What to write instead of an unknown rule.
fn expected_keys(key: &str) -> String {
    let trimmed = key.trim();
    if trimmed != key && known_keys().any(|known| known == trimmed) {
        return format!("write {trimmed} without blanks around it");
    }
    match near_key(trimmed) {
        Some(known) => format!("did you mean {known}?"),
        None => format!(
            "expected one of {}",
            known_keys().collect::<Vec<_>>().join(", ")
        ),
    }
}
