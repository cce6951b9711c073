// SPDX-License-Identifier: GPL-3.0-only
//! Builds a [`World`] from a world file and a credentials file.
//!
//! The format is that of `world.json` of the recordings, with optional further members; the crate's
//! README describes all of it. What PVE would not have either is refused, with its place in the
//! file; what PVE itself survives, such as a disk on a storage that was removed, is a warning.

mod check;
mod file;
mod guests;
mod parts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::access::ticket::Signer;
use crate::clock::{Clock, Seconds};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::release::Release;
use crate::tasks::TaskTable;

use file::{CredentialsFile, PoolFile, StorageFile, WorldFile};

use super::{Node, Timing, World};

/// One of the two files that make a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// The world file.
    World,
    /// The credentials file.
    Credentials,
}

impl fmt::Display for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::World => "world",
            Self::Credentials => "credentials",
        })
    }
}

/// Something that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub document: Document,
    /// Where in it: `guests[3].parent (guest 103)`.
    pub place: String,
    /// What is wrong there.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.text)
    }
}

/// A world that cannot be built: what is wrong with its files.
#[derive(Debug)]
pub struct LoadError {
    /// All that was found, at least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{}: {problem}", problem.document)?;
        }
        Ok(())
    }
}

/// Builds the world.
///
/// What PVE survives but a test hardly means is in [`World::warnings`].
///
/// # Errors
///
/// When one of the two values has a wrong form, or when its parts contradict each other.
pub fn world(
    world: &Value,
    credentials: &Value,
    release: Release,
    timing: Timing,
    start: Option<Seconds>,
) -> Result<World, LoadError> {
    let file: WorldFile = form(Document::World, world)?;
    let credentials: CredentialsFile = form(Document::Credentials, credentials)?;
    // A world that claims to be of PVE 9 behaves so.
    let of_9 = |version: &String| version.starts_with("9.");
    let release = match &file.cluster.version {
        Some(version) if of_9(version) => Release::V9,
        Some(_) | None => release,
    };
    let warnings = check::check(&file, &credentials, release)?;
    let clock = Clock::new(start);
    let boot = clock.now();
    let nodes: BTreeMap<String, Node> = file
        .cluster
        .nodes
        .iter()
        .map(|node| (node.name.clone(), node.build()))
        .collect();
    let this_node = match file.cluster.this_node {
        Some(name) => name,
        None => nodes.keys().next().cloned().unwrap_or_default(),
    };
    let mut built = World {
        clock,
        cluster_name: file.cluster.name,
        quorate: file.cluster.quorate,
        release,
        version: file.cluster.version,
        this_node,
        nodes,
        guests: BTreeMap::new(),
        storages: file.storages.into_iter().map(StorageFile::build).collect(),
        pools: file.pools.into_iter().map(PoolFile::build).collect(),
        datacenter: BTreeMap::new(),
        access: parts::access(
            release,
            file.users,
            file.tokens,
            file.roles,
            file.acl,
            &credentials,
        ),
        signer: Signer::new(),
        tasks: TaskTable::default(),
        timing,
        faults: Faults::default(),
        releases: 0,
        journal: Arc::new(Journal::in_memory()),
        turn: 0,
        warnings,
    };
    for guest in file.guests {
        let guest = guest.build(&file.guest_defaults, boot);
        built.guests.insert(guest.vmid, guest);
    }
    for (name, pool) in &built.pools {
        for vmid in &pool.guests {
            if let Some(guest) = built.guests.get_mut(vmid) {
                guest.pool = Some(name.clone());
            }
        }
    }
    for node in &file.cluster.nodes {
        if let Some(ago) = node.pvestatd_silent {
            built.silence_pvestatd(&node.name, ago);
        }
    }
    Ok(built)
}

/// Takes a file apart; the error says where it does not have its form.
fn form<'a, T: Deserialize<'a>>(document: Document, value: &'a Value) -> Result<T, LoadError> {
    if !value.is_object() {
        return Err(LoadError {
            problems: vec![Problem {
                document,
                place: ".".to_owned(),
                text: "expected an object".to_owned(),
            }],
        });
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = error.path().to_string();
        LoadError {
            problems: vec![Problem {
                document,
                place: check::named_place(value, &place),
                text: error.inner().to_string(),
            }],
        }
    })
}
