// SPDX-License-Identifier: GPL-3.0-only
//! The term to suggest for one that matches nothing: the most similar one that matches a guest.

use crate::guest::Vmid;

use super::inventory::Inventory;
use super::matcher::Matcher;
use super::similarity::nearest;

/// The most similar term that matches a guest of the inventory, if one is similar enough.
pub(super) fn nearest_term(matcher: &Matcher, inventory: &Inventory) -> Option<String> {
    match matcher {
        // A similar ID belongs to another guest.
        Matcher::All
        | Matcher::Id(_)
        | Matcher::Range { .. }
        | Matcher::Kind(_)
        | Matcher::Status(_) => None,
        Matcher::Name(name) => {
            with_syntax(name, inventory).or_else(|| nearest_name(name, inventory))
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
    }
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
    // As a term, the name of a guest called `all-in-one` or `110` selects other guests.
    let guest = inventory
        .guests
        .iter()
        .find(|guest| guest.name.as_deref() == Some(found))?;
    Some(guest.vmid.to_string())
}

/// The term for a name that lacks syntax: a node, pool or tag without its keyword, or a range of IDs
/// with `-` or `..`.
fn with_syntax(name: &str, inventory: &Inventory) -> Option<String> {
    let range = name.split_once("..").or_else(|| name.split_once('-'));
    if let Some((Ok(first), Ok(last))) = range.map(|(first, last)| (first.parse(), last.parse()))
        && ids(inventory).any(|vmid| (first..=last).contains(&vmid.get()))
    {
        return Some(format!("{first}:{last}"));
    }
    if let Some(group) = group_without_at(name, inventory) {
        return Some(group);
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

/// The group that lacks only its `@`, if a guest has this node, pool or tag: `@tag-web` for `tag-web`.
fn group_without_at(name: &str, inventory: &Inventory) -> Option<String> {
    let group = format!("@{name}");
    let is = |wanted: &str| {
        let wanted = wanted.to_lowercase();
        move |existing: &str| existing.to_lowercase() == wanted
    };
    let exists = match Matcher::parse(&group).ok()? {
        Matcher::Node(node) => occupied_nodes(inventory).any(is(&node)),
        Matcher::Pool(pool) => occupied_pools(inventory).any(is(&pool)),
        Matcher::Tag(tag) => tags(inventory).any(is(&tag)),
        Matcher::All
        | Matcher::Id(_)
        | Matcher::Range { .. }
        | Matcher::Name(_)
        | Matcher::NameStart(_)
        | Matcher::NameEnd(_)
        | Matcher::NamePart(_)
        | Matcher::Kind(_)
        | Matcher::Status(_) => false,
    };
    exists.then_some(group)
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
