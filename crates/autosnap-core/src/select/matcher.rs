// SPDX-License-Identifier: GPL-3.0-only
//! The matcher of a term: by ID, name, node, pool, tag, type or state.

use crate::guest::{Guest, GuestKind, GuestStatus, Vmid};

use super::error::SelectionError;
use super::similarity::{nearest_group, nearest_type};

/// The guests that a term matches. Texts are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    All,
    Id(Vmid),
    Range {
        first: u32,
        last: u32,
    },
    Name(String),
    NameStart(String),
    NameEnd(String),
    NamePart(String),
    Node(String),
    Pool(String),
    Tag(String),
    Kind(GuestKind),
    /// Running or stopped.
    Status(GuestStatus),
}

/// A guest with its texts in lower case.
pub(super) struct Candidate<'a> {
    guest: &'a Guest,
    name: Option<String>,
    node: String,
    pool: Option<String>,
    tags: Vec<String>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(guest: &'a Guest) -> Self {
        Self {
            guest,
            name: guest.name.as_deref().map(str::to_lowercase),
            node: guest.node.to_lowercase(),
            pool: guest.pool.as_deref().map(str::to_lowercase),
            tags: guest.tags.iter().map(|tag| tag.to_lowercase()).collect(),
        }
    }

    pub(super) fn guest(&self) -> &'a Guest {
        self.guest
    }

    /// Whether PVE lists no name of the guest.
    pub(super) fn is_nameless(&self) -> bool {
        self.name.is_none()
    }

    /// Whether it is unknown if the guest runs.
    pub(super) fn is_stateless(&self) -> bool {
        match self.guest.status {
            GuestStatus::Unknown | GuestStatus::Other(_) => true,
            GuestStatus::Running | GuestStatus::Stopped => false,
        }
    }

    /// Whether the guest is on the node, which is in lower case.
    pub(super) fn is_on(&self, node: &str) -> bool {
        self.node == node
    }
}

impl Matcher {
    /// Parses a term without its `-`.
    pub(super) fn parse(term: &str) -> Result<Self, SelectionError> {
        let lower = term.to_lowercase();
        if lower == "@all" || term == "all" {
            return Ok(Self::All);
        }
        match lower.as_str() {
            "@running" => return Ok(Self::Status(GuestStatus::Running)),
            "@stopped" => return Ok(Self::Status(GuestStatus::Stopped)),
            _ => {}
        }
        if let Some(kind) = lower.strip_prefix("@type-") {
            return parse_type(term, kind);
        }
        // A bare keyword in upper case is the name of a guest, as in the C# tool.
        let is_name =
            |group: &Group| !group.prefix.starts_with('@') && !term.starts_with(group.prefix);
        let group = GROUPS
            .iter()
            .filter(|group| !is_name(group))
            .find_map(|group| Some((group, lower.strip_prefix(group.prefix)?)));
        if let Some((group, name)) = group {
            return group.parse_name(name.trim(), term);
        }
        if lower.starts_with('@') {
            return Err(SelectionError::Group {
                term: term.to_owned(),
                nearest: nearest_group(term),
            });
        }
        if term.bytes().all(|byte| byte.is_ascii_digit()) {
            let error = |_| SelectionError::Id {
                term: term.to_owned(),
            };
            return term.parse().map(Self::Id).map_err(error);
        }
        match term.split_once(':') {
            Some((first, last)) => parse_range(term, first.trim(), last.trim()),
            None => parse_name(term, &lower),
        }
    }

    pub(super) fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let has_name = |test: &dyn Fn(&str) -> bool| candidate.name.as_deref().is_some_and(test);
        match self {
            Self::All => true,
            Self::Id(vmid) => candidate.guest.vmid == *vmid,
            Self::Range { first, last } => (*first..=*last).contains(&candidate.guest.vmid.get()),
            Self::Name(wanted) => has_name(&|name| name == wanted),
            Self::NameStart(start) => has_name(&|name| name.starts_with(start)),
            Self::NameEnd(end) => has_name(&|name| name.ends_with(end)),
            Self::NamePart(part) => has_name(&|name| name.contains(part)),
            Self::Node(node) => candidate.node == *node,
            Self::Pool(pool) => {
                let guest_pool = candidate.pool.as_deref();
                guest_pool.is_some_and(|guest_pool| is_within(guest_pool, pool))
            }
            Self::Tag(tag) => candidate.tags.contains(tag),
            Self::Kind(kind) => candidate.guest.kind == *kind,
            Self::Status(status) => candidate.guest.status == *status,
        }
    }

    /// Whether it is a part of a name, which any number of guests may have.
    pub(super) fn is_pattern(&self) -> bool {
        match self {
            Self::NameStart(_) | Self::NameEnd(_) | Self::NamePart(_) => true,
            Self::All
            | Self::Id(_)
            | Self::Range { .. }
            | Self::Name(_)
            | Self::Node(_)
            | Self::Pool(_)
            | Self::Tag(_)
            | Self::Kind(_)
            | Self::Status(_) => false,
        }
    }

    /// Whether it matches guests by name.
    pub(super) fn is_about_names(&self) -> bool {
        matches!(self, Self::Name(_)) || self.is_pattern()
    }

    /// Whether it matches guests by state.
    pub(super) fn is_about_states(&self) -> bool {
        matches!(self, Self::Status(_))
    }

    /// Whether it is a keyword with an `@`.
    pub(super) fn is_group(&self) -> bool {
        match self {
            Self::All
            | Self::Node(_)
            | Self::Pool(_)
            | Self::Tag(_)
            | Self::Kind(_)
            | Self::Status(_) => true,
            Self::Id(_)
            | Self::Range { .. }
            | Self::Name(_)
            | Self::NameStart(_)
            | Self::NameEnd(_)
            | Self::NamePart(_) => false,
        }
    }

    /// Whether it matches all guests of this pool.
    pub(super) fn includes_pool(&self, pool: &str) -> bool {
        self.pool()
            .is_some_and(|wanted| is_within(&pool.to_lowercase(), wanted))
    }

    /// Whether it matches guests of this pool only because the pool is nested in another one.
    pub(super) fn includes_nested_pool(&self, pool: &str) -> bool {
        self.includes_pool(pool) && self.pool() != Some(&pool.to_lowercase())
    }

    /// The tag that it matches, in lower case.
    pub(super) fn tag(&self) -> Option<&str> {
        if let Self::Tag(tag) = self {
            Some(tag)
        } else {
            None
        }
    }

    fn pool(&self) -> Option<&str> {
        if let Self::Pool(pool) = self {
            Some(pool)
        } else {
            None
        }
    }
}

/// A keyword that is followed by the name of a node, pool or tag.
pub(super) struct Group {
    /// The keyword with its `-`.
    pub(super) prefix: &'static str,
    /// What the name stands for, in messages.
    kind: &'static str,
    /// Creates the matcher from the name.
    matcher: fn(String) -> Matcher,
}

pub(super) const GROUPS: [Group; 5] = [
    Group {
        prefix: "@node-",
        kind: "node",
        matcher: Matcher::Node,
    },
    Group {
        prefix: "@all-",
        kind: "node",
        matcher: Matcher::Node,
    },
    Group {
        prefix: "all-",
        kind: "node",
        matcher: Matcher::Node,
    },
    Group {
        prefix: "@pool-",
        kind: "pool",
        matcher: Matcher::Pool,
    },
    Group {
        prefix: "@tag-",
        kind: "tag",
        matcher: Matcher::Tag,
    },
];

impl Group {
    fn parse_name(&self, name: &str, term: &str) -> Result<Matcher, SelectionError> {
        let term = term.to_owned();
        if name.is_empty() {
            Err(SelectionError::GroupName {
                term,
                kind: self.kind,
            })
        } else if name.contains('%') {
            Err(SelectionError::Wildcard { term })
        } else {
            Ok((self.matcher)(name.to_owned()))
        }
    }
}

/// Whether a pool is the other one or nested in it; PVE writes the parents of a pool before its
/// name (`PVE/API2/Pool.pm`).
pub(super) fn is_within(pool: &str, parent: &str) -> bool {
    pool.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Parses the type of `@type-vm` or `@type-ct`. `kind` is in lower case.
fn parse_type(term: &str, kind: &str) -> Result<Matcher, SelectionError> {
    match kind {
        "vm" => Ok(Matcher::Kind(GuestKind::Qemu)),
        "ct" => Ok(Matcher::Kind(GuestKind::Lxc)),
        other => Err(SelectionError::GuestType {
            term: term.to_owned(),
            nearest: nearest_type(other),
        }),
    }
}

fn parse_range(term: &str, first: &str, last: &str) -> Result<Matcher, SelectionError> {
    let number = |text: &str| {
        let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
        digits_only.then(|| text.parse::<u32>().ok()).flatten()
    };
    let correction = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => return Ok(Matcher::Range { first, last }),
        (Some(first), Some(last)) => Some(format!("{last}:{first}")),
        (None | Some(_), None) | (None, Some(_)) => None,
    };
    Err(SelectionError::Range {
        term: term.to_owned(),
        correction,
    })
}

/// Parses a name, or a part of a name with a `%` before or after it.
fn parse_name(term: &str, lower: &str) -> Result<Matcher, SelectionError> {
    let start = lower.strip_suffix('%');
    let end = lower.strip_prefix('%');
    let part = start.and_then(|start| start.strip_prefix('%'));
    let (matcher, wanted): (fn(String) -> Matcher, &str) = match (part, start, end) {
        (Some(part), _, _) => (Matcher::NamePart, part),
        (None, Some(start), _) => (Matcher::NameStart, start),
        (None, None, Some(end)) => (Matcher::NameEnd, end),
        (None, None, None) => (Matcher::Name, lower),
    };
    if wanted.is_empty() || wanted.contains('%') {
        return Err(SelectionError::Wildcard {
            term: term.to_owned(),
        });
    }
    Ok(matcher(wanted.to_owned()))
}
