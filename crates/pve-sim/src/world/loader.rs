// SPDX-License-Identifier: GPL-3.0-only
//! Builds a [`World`] from a world file and a credentials file.
//!
//! The format is that of the recordings' `world.json`, with additional optional members; the
//! crate's README describes it. A world that PVE cannot have is rejected with its location in the
//! file. A state that PVE tolerates, such as a disk on a removed storage, is a warning.

mod file;
mod guests;
mod parts;
mod validation;

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

/// The two files that define a world.
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

/// An error or a warning about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub document: Document,
    /// Location in the file: `guests[3].parent (guest 103)`.
    pub location: String,
    /// The error text.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.location, self.text)
    }
}

/// The world could not be built.
#[derive(Debug)]
pub struct LoadError {
    /// All errors; at least one.
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
/// [`World::warnings`] lists what PVE tolerates but is probably a mistake in a test.
///
/// # Errors
///
/// If a value has the wrong format or the files contradict each other.
pub fn load(
    world: &Value,
    credentials: &Value,
    release: Release,
    timing: Timing,
    start: Option<Seconds>,
) -> Result<World, LoadError> {
    let file: WorldFile = form(Document::World, world)?;
    let credentials: CredentialsFile = form(Document::Credentials, credentials)?;
    // A world that declares version 9 behaves like PVE 9.
    let of_9 = |version: &String| version.starts_with("9.");
    let release = match &file.cluster.version {
        Some(version) if of_9(version) => Release::V9,
        Some(_) | None => release,
    };
    let warnings = validation::check(&file, &credentials, release)?;
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
        sequence: 0,
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

/// Deserializes a file; errors contain the location.
fn form<'a, T: Deserialize<'a>>(document: Document, value: &'a Value) -> Result<T, LoadError> {
    if !value.is_object() {
        return Err(LoadError {
            problems: vec![Problem {
                document,
                location: ".".to_owned(),
                text: "expected an object".to_owned(),
            }],
        });
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let location = error.path().to_string();
        LoadError {
            problems: vec![Problem {
                document,
                location: validation::describe_location(value, &location),
                text: error.inner().to_string(),
            }],
        }
    })
}
