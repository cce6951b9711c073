// SPDX-License-Identifier: GPL-3.0-only
//! Which value counts of an option that is given more than once.

use std::ffi::{OsStr, OsString};

use super::reading::{DRY_RUN, Given, Item, Reading, truth};
use super::refusal::Refusal;
use super::{Line, Shape};

/// The positions of the options that count. Of each option one does; of two different values in one
/// source none can, as nobody knows which was meant. Of an option that can be given several times all
/// of one source do.
pub(super) fn settle(line: &Line, reading: &Reading) -> Result<Vec<usize>, Refusal> {
    let given: Vec<(usize, &Given)> = reading
        .items
        .iter()
        .enumerate()
        .filter_map(|(position, item)| match item {
            Item::Option(given) => Some((position, given)),
            Item::Word(..) => None,
        })
        .collect();
    let mut settled = Vec::new();
    for (position, option) in &given {
        let same: Vec<(usize, &Given)> = given
            .iter()
            .filter(|(_, other)| other.id == option.id)
            .copied()
            .collect();
        if same.first().is_some_and(|(first, _)| first == position) {
            if option.repeatable {
                settled.extend(all_of_winner(line, &same));
            } else {
                settled.push(winner(line, &same)?);
            }
        }
    }
    Ok(settled)
}

/// The position of the one that counts.
fn winner(line: &Line, same: &[(usize, &Given)]) -> Result<usize, Refusal> {
    let (last, option) = same[same.len() - 1];
    if option.id == DRY_RUN {
        // A word that is neither true nor false is left for clap to refuse.
        let counts = |meaning: Option<bool>| {
            let found = same.iter().find(|(_, given)| flag(given) == meaning);
            found.map(|(position, _)| *position)
        };
        return Ok(counts(None).or(counts(Some(true))).unwrap_or(last));
    }
    for (_, one) in same {
        let differs =
            |other: &&Given| one.origin.same_source(other.origin) && meaning(one) != meaning(other);
        if let Some(other) = same.iter().map(|(_, given)| *given).find(differs) {
            return Err(conflict(one, other));
        }
    }
    Ok(all_of_winner(line, same).last().unwrap_or(last))
}

/// The positions of those in the source that overrides the others.
fn all_of_winner(line: &Line, same: &[(usize, &Given)]) -> impl Iterator<Item = usize> {
    let winner = line.winner(same.iter().map(|(_, given)| given.origin));
    let of_winner = same
        .iter()
        .filter(move |(_, given)| winner.is_some_and(|winner| winner.same_source(given.origin)));
    of_winner.map(|(position, _)| *position)
}

fn conflict(one: &Given, other: &Given) -> Refusal {
    let shown = |given: &Given| {
        let value = match (&given.value, given.shape) {
            (Some(value), _) => value.as_os_str(),
            (None, Shape::Flag) => OsStr::new("true"),
            (None, Shape::Value | Shape::OptionalValue) => return given.name.clone(),
        };
        format!("{}={}", given.name, value.to_string_lossy())
    };
    let quotable = one.origin.is_typed() && !one.sensitive && !other.sensitive;
    Refusal::Conflict {
        option: one.name.clone(),
        values: quotable.then(|| (shown(one), shown(other))),
        origins: (one.origin, other.origin),
    }
}

fn flag(given: &Given) -> Option<bool> {
    given.value.as_deref().map_or(Some(true), truth)
}

/// What is compared: `true` and `1` are the same truth; blanks around a value do not count.
fn meaning(given: &Given) -> (Option<bool>, Option<OsString>) {
    if given.shape == Shape::Flag {
        let truth = flag(given);
        return (truth, given.value.clone().filter(|_| truth.is_none()));
    }
    let trimmed = |value: &OsString| match value.to_str() {
        Some(text) => text.trim().into(),
        None => value.clone(),
    };
    (None, given.value.as_ref().map(trimmed))
}
