// SPDX-License-Identifier: GPL-3.0-only
//! The nearest existing name for one that does not exist.

use std::cmp::Reverse;

use crate::guest::Vmid;

use super::Inventory;
use super::term::{Matcher, Term};

/// How alike two names must be (Jaro-Winkler, 0 to 1) for one to be proposed for the other.
const ALIKE: f64 = 0.65;

/// The groups that a name follows, and the one that stands alone, without their `@`.
const NAMED_GROUPS: [&str; 3] = ["node", "pool", "tag"];
const ALL: &str = "all";

/// The nearest term that matches something in the inventory, if there is one near enough.
pub(super) fn nearest_term(term: &Term, inventory: &Inventory) -> Option<String> {
    let nearest = match &term.matcher {
        // Another ID is another guest, however alike the numbers look.
        Matcher::All | Matcher::Id(_) | Matcher::Range { .. } => None,
        Matcher::Name(name) => {
            meant_otherwise(name, inventory).or_else(|| nearest_name(name, inventory))
        }
        Matcher::NameStart(part) | Matcher::NameEnd(part) | Matcher::NamePart(part) => {
            nearest_name(part, inventory)
        }
        Matcher::Node(node) => {
            nearest(node, occupied_nodes(inventory)).map(|node| format!("@node-{node}"))
        }
        Matcher::Pool(pool) => {
            nearest(pool, occupied_pools(inventory)).map(|pool| format!("@pool-{pool}"))
        }
        Matcher::Tag(tag) => nearest(tag, tags(inventory)).map(|tag| format!("@tag-{tag}")),
    };
    let sign = if term.excludes { "-" } else { "" };
    nearest.map(|nearest| format!("{sign}{nearest}"))
}

/// The group that was meant by an `@` with a word that is none: `@pool-prod` for `@pol-prod`. What
/// exists plays no part, as the word is wrong in any cluster.
pub(super) fn nearest_group(term: &str) -> Option<String> {
    let word = term.strip_prefix('@')?;
    let near =
        |group: &&str, typed: &str| strsim::damerau_levenshtein(group, &typed.to_lowercase()) == 1;
    match word.split_once('-') {
        Some((typed, name)) if !name.is_empty() => NAMED_GROUPS
            .iter()
            .find(|group| near(group, typed))
            .map(|group| format!("@{group}-{name}")),
        Some(_) | None => near(&ALL, word).then(|| format!("@{ALL}")),
    }
}

/// How alike two names are, from 0 to 1. Jaro-Winkler sees no likeness in short names with two letters
/// changed round, as in `wbe` for `web`.
fn likeness(wanted: &str, existing: &str) -> f64 {
    let likeness = strsim::jaro_winkler(wanted, existing);
    let is_one_slip =
        wanted.chars().count() >= 3 && strsim::damerau_levenshtein(wanted, existing) == 1;
    if is_one_slip {
        likeness.max(ALIKE)
    } else {
        likeness
    }
}

/// The most alike of the existing names, the first in the alphabet of equally alike ones.
fn nearest<'a>(wanted: &str, existing: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    existing
        .map(|name| (likeness(wanted, &name.to_lowercase()), Reverse(name)))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)))
        .map(|(_, Reverse(name))| name)
}

fn nearest_name(name: &str, inventory: &Inventory) -> Option<String> {
    let names = inventory
        .guests
        .iter()
        .filter_map(|guest| guest.name.as_deref());
    let found = nearest(name, names)?;
    if matches!(Matcher::parse(found), Ok(Matcher::Name(_))) {
        return Some(found.to_owned());
    }
    // A guest called `all-in-one` or `110`: as a term its name means something else.
    let guest = inventory
        .guests
        .iter()
        .find(|guest| guest.name.as_deref() == Some(found))?;
    Some(guest.vmid.to_string())
}

/// What a name was probably meant for: a node, pool or tag without its prefix, or a range of IDs
/// written with `-` or `..`.
fn meant_otherwise(name: &str, inventory: &Inventory) -> Option<String> {
    let range = name.split_once("..").or_else(|| name.split_once('-'));
    if let Some((Ok(first), Ok(last))) = range.map(|(first, last)| (first.parse(), last.parse()))
        && ids(inventory).any(|vmid| (first..=last).contains(&vmid.get()))
    {
        return Some(format!("{first}:{last}"));
    }
    let same = |existing: &&str| existing.to_lowercase() == name;
    let node = occupied_nodes(inventory)
        .find(same)
        .map(|node| format!("@node-{node}"));
    let pool = || {
        occupied_pools(inventory)
            .find(same)
            .map(|pool| format!("@pool-{pool}"))
    };
    let tag = || tags(inventory).find(same).map(|tag| format!("@tag-{tag}"));
    node.or_else(pool).or_else(tag)
}

fn ids(inventory: &Inventory) -> impl Iterator<Item = Vmid> {
    inventory.guests.iter().map(|guest| guest.vmid)
}

fn occupied_nodes(inventory: &Inventory) -> impl Iterator<Item = &str> {
    inventory.guests.iter().map(|guest| guest.node.as_str())
}

fn occupied_pools(inventory: &Inventory) -> impl Iterator<Item = &str> {
    inventory
        .guests
        .iter()
        .filter_map(|guest| guest.pool.as_deref())
}

fn tags(inventory: &Inventory) -> impl Iterator<Item = &str> {
    inventory
        .guests
        .iter()
        .flat_map(|guest| &guest.tags)
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn one_slip_in_a_short_name_is_near_enough() {
        for (wanted, expected) in [
            ("wbe", Some("web")),
            ("bd", None),
            ("xeb", Some("web")),
            ("bew", None),
            ("zzz", None),
        ] {
            let found = nearest(wanted, ["db", "web"].into_iter());
            assert_eq!(found, expected, "{wanted}");
        }
    }
}
