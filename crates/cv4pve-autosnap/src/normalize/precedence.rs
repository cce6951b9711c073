// SPDX-License-Identifier: GPL-3.0-only
//! The precedence of values if an option is given more than once.

use std::ffi::{OsStr, OsString};

use super::error::LineError;
use super::parser::{DRY_RUN, GivenOption, Item, ParsedLine, parse_bool};
use super::{Line, Shape};

/// The option that keeps a number of snapshots.
const KEEP: &str = "keep";
/// The keep rules, which exclude [`KEEP`].
const RULES: [&str; 9] = [
    "keep_last",
    "keep_hourly",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_yearly",
    "prune_backups",
    "keep_within",
    "keep_all",
];
/// The guards of the keep rules.
const GUARDS: [&str; 2] = ["min_age", "keep_min"];

/// The positions of the options that take effect: one of each option, or all from the overriding source
/// if the option is repeatable. Two different values in one source are an error.
pub(super) fn effective(line: &Line, parsed: &ParsedLine) -> Result<Vec<usize>, LineError> {
    let given: Vec<(usize, &GivenOption)> = parsed
        .items
        .iter()
        .enumerate()
        .filter_map(|(position, item)| match item {
            Item::Option(given) => Some((position, given)),
            Item::Word(..) => None,
        })
        .collect();
    let mut effective = Vec::new();
    for (position, option) in &given {
        let same: Vec<(usize, &GivenOption)> = given
            .iter()
            .filter(|(_, other)| other.id == option.id)
            .copied()
            .collect();
        if same.first().is_some_and(|(first, _)| first == position) {
            if option.repeatable {
                effective.extend(all_of_winner(line, &same));
            } else {
                effective.push(winner(line, &same)?);
            }
        }
    }
    drop_overridden_rules(line, &given, &mut effective);
    Ok(effective)
}

/// Drops `--keep` if an overriding source has keep rules, and the keep rules if an overriding source has `--keep`: they
/// exclude each other. Both in one source are left to the command, which refuses them.
fn drop_overridden_rules(line: &Line, given: &[(usize, &GivenOption)], effective: &mut Vec<usize>) {
    let is = |option: &GivenOption, ids: &[&str]| ids.contains(&&*option.id);
    let found = |ids: &[&str]| -> Vec<(usize, &GivenOption)> {
        let given = given.iter().copied();
        given
            .filter(|(position, option)| effective.contains(position) && is(option, ids))
            .collect()
    };
    let (keep, rules) = (found(&[KEEP]), found(&RULES));
    let origins = keep.iter().chain(&rules).map(|(_, option)| option.origin);
    let Some(winner) = line.winner(origins) else {
        return;
    };
    let wins = |options: &[(usize, &GivenOption)]| {
        let mut options = options.iter();
        options.any(|(_, option)| option.origin.same_source(winner))
    };
    let guards = found(&GUARDS).into_iter();
    let guards = guards.filter(|(_, option)| !option.origin.same_source(winner));
    let dropped = match (wins(&keep), wins(&rules)) {
        (true, false) => rules.into_iter().chain(guards).collect(),
        (false, true) => keep,
        (true, true) | (false, false) => return,
    };
    effective.retain(|position| !dropped.iter().any(|(other, _)| other == position));
}

/// The position of the value that takes effect.
fn winner(line: &Line, same: &[(usize, &GivenOption)]) -> Result<usize, LineError> {
    let (last, option) = same[same.len() - 1];
    if option.id == DRY_RUN {
        // An invalid boolean is left to clap, which refuses it.
        let counts = |meaning: Option<bool>| {
            let found = same.iter().find(|(_, given)| flag(given) == meaning);
            found.map(|(position, _)| *position)
        };
        return Ok(counts(None).or(counts(Some(true))).unwrap_or(last));
    }
    for (_, one) in same {
        let differs = |other: &&GivenOption| {
            one.origin.same_source(other.origin) && meaning(one) != meaning(other)
        };
        if let Some(other) = same.iter().map(|(_, given)| *given).find(differs) {
            return Err(conflict(one, other));
        }
    }
    Ok(all_of_winner(line, same).last().unwrap_or(last))
}

/// The positions of the values in the source that overrides the others.
fn all_of_winner(line: &Line, same: &[(usize, &GivenOption)]) -> impl Iterator<Item = usize> {
    let winner = line.winner(same.iter().map(|(_, given)| given.origin));
    let from_winner = same
        .iter()
        .filter(move |(_, given)| winner.is_some_and(|winner| winner.same_source(given.origin)));
    from_winner.map(|(position, _)| *position)
}

fn conflict(one: &GivenOption, other: &GivenOption) -> LineError {
    let shown = |given: &GivenOption| {
        let value = match (&given.value, given.shape) {
            (Some(value), _) => value.as_os_str(),
            (None, Shape::Flag) => OsStr::new("true"),
            (None, Shape::Value | Shape::OptionalValue) => return given.name.clone(),
        };
        format!("{}={}", given.name, value.to_string_lossy())
    };
    let may_quote = one.origin.is_typed() && !one.sensitive && !other.sensitive;
    LineError::Conflict {
        option: one.name.clone(),
        values: may_quote.then(|| (shown(one), shown(other))),
        origins: (one.origin, other.origin),
    }
}

fn flag(given: &GivenOption) -> Option<bool> {
    given.value.as_deref().map_or(Some(true), parse_bool)
}

/// The meaning of a value, for comparison: `true` and `1` are equal, white space around a value is ignored.
fn meaning(given: &GivenOption) -> (Option<bool>, Option<OsString>) {
    if given.shape == Shape::Flag {
        let value = flag(given);
        return (value, given.value.clone().filter(|_| value.is_none()));
    }
    let trimmed = |value: &OsString| match value.to_str() {
        Some(text) => text.trim().into(),
        None => value.clone(),
    };
    (None, given.value.as_ref().map(trimmed))
}
