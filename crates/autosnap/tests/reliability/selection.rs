// SPDX-License-Identifier: GPL-3.0-only
//! Random selections with a second evaluation, which calls no code of the program, and tags that change between runs.

use std::collections::BTreeSet;
use std::fmt;

use pve_sim::simulator::Simulator;
use pve_sim::world::World;
use pve_sim::world::guest::{Guest, GuestKind};
use serde_json::{Value, json};

use crate::random::Random;

const TAGS: [&str; 4] = ["prod", "db", "autosnap-gold", "autosnap-off"];
const POOLS: [&str; 2] = ["web", "lab"];

/// A selection: expressions that select, and expressions that exclude (`true`).
#[derive(Debug, Clone)]
pub(crate) struct DrawnSelection(Vec<(bool, Expression)>);

#[derive(Debug, Clone)]
enum Expression {
    Term(Term),
    /// The operands of `&`; `true`: not.
    And(Vec<(bool, Expression)>),
    Or(Vec<Expression>),
}

#[derive(Debug, Clone)]
enum Term {
    All,
    Id(u32),
    Range(u32, u32),
    Name(String),
    NameStart(String),
    NameEnd(String),
    Tag(&'static str),
    Pool(&'static str),
    Node(String),
    Kind(GuestKind),
    Running(bool),
}

/// Gives the guests of a world tags and pools.
pub(crate) fn scatter_tags(random: &mut Random, world: &mut Value) {
    let mut pools = POOLS.map(|pool| (pool, Vec::new()));
    for guest in world["guests"].as_array_mut().unwrap() {
        guest["config"]["tags"] = json!(tags(random));
        if random.percent(50) {
            let index = random.below(2) as usize;
            pools[index].1.push(guest["vmid"].clone());
        }
    }
    let pools = pools.map(|(pool, guests)| json!({"poolid": pool, "guests": guests}));
    world["pools"] = json!(pools);
}

fn tags(random: &mut Random) -> String {
    let mut tags = Vec::new();
    for tag in TAGS {
        if random.percent(if tag == "autosnap-off" { 12 } else { 40 }) {
            tags.push(tag);
        }
    }
    tags.join(";")
}

/// Changes the tags of some guests between two runs.
pub(crate) fn change_tags(random: &mut Random, simulator: &Simulator) {
    simulator.world(|world| {
        let guests: Vec<u32> = world.guests.keys().copied().collect();
        for vmid in guests {
            if random.percent(25) {
                let tags = tags(random);
                world.set_config(vmid, "tags", json!(tags));
            }
        }
    });
}

impl DrawnSelection {
    /// A selection for a cluster of so many nodes: what does not exist is not drawn, because an unknown node or pool
    /// may have any guest.
    pub(crate) fn random(random: &mut Random, nodes: u32) -> Self {
        let mut items = vec![(false, expression(random, nodes, 0))];
        for _ in 0..random.below(3) {
            let excludes = random.percent(40);
            let item = match expression(random, nodes, 0) {
                // `-A&B` is ambiguous, so that it is written `-(A&B)`.
                Expression::And(operands) if excludes => {
                    Expression::Or(vec![Expression::And(operands)])
                }
                other => other,
            };
            items.push((excludes, item));
        }
        Self(items)
    }

    /// The guests of a run: all that an expression selects and none excludes, without those that have the tag
    /// `autosnap-off` and are not named.
    pub(crate) fn guests(&self, simulator: &Simulator) -> BTreeSet<u32> {
        simulator.world(|world| {
            let guests = world.guests.values();
            let selected = guests.filter(|guest| self.selects(world, guest));
            selected.map(|guest| guest.vmid).collect()
        })
    }

    fn selects(&self, world: &World, guest: &Guest) -> bool {
        let matches = |excluding: bool| {
            let items = self
                .0
                .iter()
                .filter(move |(excludes, _)| *excludes == excluding);
            items
                .map(|(_, item)| item)
                .filter(|item| item.matches(world, guest))
        };
        if matches(true).next().is_some() {
            return false;
        }
        let is_off = tags_of(guest).contains(&"autosnap-off");
        let mut selecting = matches(false).peekable();
        selecting.peek().is_some() && (!is_off || selecting.any(|item| item.names(world, guest)))
    }
}

fn expression(random: &mut Random, nodes: u32, depth: u32) -> Expression {
    if depth == 2 || random.percent(55) {
        return Expression::Term(term(random, nodes));
    }
    let count = 2 + random.below(2);
    if random.percent(60) {
        let operands = (0..count).map(|index| {
            let excludes = index > 0 && random.percent(40);
            let operand = match expression(random, nodes, depth + 1) {
                Expression::And(operands) => Expression::Or(vec![Expression::And(operands)]),
                other => other,
            };
            (excludes, operand)
        });
        Expression::And(operands.collect())
    } else {
        Expression::Or(
            (0..count)
                .map(|_| expression(random, nodes, depth + 1))
                .collect(),
        )
    }
}

fn term(random: &mut Random, nodes: u32) -> Term {
    match random.below(16) {
        0..=4 => Term::All,
        5 => Term::Id(100 + random.below(6)),
        6 => {
            let first = 100 + random.below(4);
            Term::Range(first, first + random.below(4))
        }
        7 => Term::Name(format!("g{}", 100 + random.below(6))),
        8 => Term::NameStart("g10".to_owned()),
        9 => Term::NameEnd(format!("0{}", random.below(5))),
        10 | 11 => Term::Tag(random.pick::<&str>(&TAGS)),
        12 => Term::Pool(random.pick::<&str>(&POOLS)),
        13 => Term::Node(format!("pve{}", 1 + random.below(nodes))),
        14 => Term::Kind(*random.pick(&[GuestKind::Qemu, GuestKind::Lxc])),
        _ => Term::Running(random.percent(60)),
    }
}

impl Expression {
    fn matches(&self, world: &World, guest: &Guest) -> bool {
        match self {
            Self::Term(term) => term.matches(world, guest),
            Self::Or(parts) => parts.iter().any(|part| part.matches(world, guest)),
            Self::And(operands) => {
                let mut operands = operands.iter();
                operands.all(|(excludes, operand)| operand.matches(world, guest) != *excludes)
            }
        }
    }

    /// Whether a term that does not exclude names the guest by ID or exact name.
    fn names(&self, world: &World, guest: &Guest) -> bool {
        match self {
            Self::Term(Term::Id(_) | Term::Name(_)) => self.matches(world, guest),
            Self::Term(_) => false,
            Self::Or(parts) => parts.iter().any(|part| part.names(world, guest)),
            Self::And(operands) => {
                let mut operands = operands.iter();
                operands.any(|(excludes, operand)| !excludes && operand.names(world, guest))
            }
        }
    }
}

impl Term {
    fn matches(&self, world: &World, guest: &Guest) -> bool {
        let name = format!("g{}", guest.vmid);
        match self {
            Self::All => true,
            Self::Id(vmid) => guest.vmid == *vmid,
            Self::Range(first, last) => (*first..=*last).contains(&guest.vmid),
            Self::Name(text) => name == *text,
            Self::NameStart(text) => name.starts_with(text),
            Self::NameEnd(text) => name.ends_with(text),
            Self::Tag(tag) => tags_of(guest).contains(tag),
            Self::Pool(pool) => world
                .pools
                .get(*pool)
                .is_some_and(|pool| pool.guests.contains(&guest.vmid)),
            Self::Node(node) => guest.node == *node,
            Self::Kind(kind) => guest.kind == *kind,
            Self::Running(runs) => is_listed_as_running(world, guest) == *runs,
        }
    }
}

/// Whether the guest runs by the cluster's list, or by that of its node if the cluster does not know it.
fn is_listed_as_running(world: &World, guest: &Guest) -> bool {
    let known = world.known_guest(guest);
    let running = known.map_or(guest.running, |known| known.running);
    running.is_some()
}

fn tags_of(guest: &Guest) -> Vec<&str> {
    let tags = guest.config.get("tags").and_then(Value::as_str);
    tags.unwrap_or_default().split(';').collect()
}

impl fmt::Display for DrawnSelection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (excludes, item)) in self.0.iter().enumerate() {
            formatter.write_str(if index > 0 { "," } else { "" })?;
            write!(formatter, "{}{item}", if *excludes { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => term.fmt(formatter),
            Self::And(operands) => {
                for (index, (excludes, operand)) in operands.iter().enumerate() {
                    formatter.write_str(if index > 0 { "&" } else { "" })?;
                    write!(formatter, "{}{operand}", if *excludes { "-" } else { "" })?;
                }
                Ok(())
            }
            Self::Or(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    write!(formatter, "{}{part}", if index > 0 { "|" } else { "(" })?;
                }
                formatter.write_str(")")
            }
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("@all"),
            Self::Id(vmid) => write!(formatter, "{vmid}"),
            Self::Range(first, last) => write!(formatter, "{first}:{last}"),
            Self::Name(name) => formatter.write_str(name),
            Self::NameStart(text) => write!(formatter, "{text}%"),
            Self::NameEnd(text) => write!(formatter, "%{text}"),
            Self::Tag(tag) => write!(formatter, "@tag-{tag}"),
            Self::Pool(pool) => write!(formatter, "@pool-{pool}"),
            Self::Node(node) => write!(formatter, "@node-{node}"),
            Self::Kind(GuestKind::Qemu) => formatter.write_str("@type-vm"),
            Self::Kind(GuestKind::Lxc) => formatter.write_str("@type-ct"),
            Self::Running(true) => formatter.write_str("@running"),
            Self::Running(false) => formatter.write_str("@stopped"),
        }
    }
}
