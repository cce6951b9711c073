// SPDX-License-Identifier: GPL-3.0-only
//! The clusters of the cases: generated, seeded, written into files for the simulator.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pve_sim::generate::{GenerateOptions, generate};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a cluster is to be like.
#[derive(Debug, Clone)]
pub(crate) struct WorldOptions {
    /// Nodes.
    pub(crate) nodes: u32,
    /// Guests, dealt out evenly.
    pub(crate) guests: u32,
    /// Snapshots of each guest.
    pub(crate) snapshots: u32,
    /// Seconds that a snapshot task takes, drawn for each guest.
    pub(crate) task_seconds: RangeInclusive<f64>,
    /// Factor on the tasks of the second node.
    pub(crate) slowness_of_second_node: f64,
    /// How many nodes are offline.
    pub(crate) offline_nodes: u32,
}

/// A cluster in files.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    /// The guests that can be worked on, by their IDs.
    pub(crate) guests: BTreeMap<u32, Place>,
}

/// Where a guest is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its node.
    pub(crate) node: String,
    /// `qemu` or `lxc`.
    pub(crate) kind: String,
    /// The storage that holds its disk, if all nodes share it.
    pub(crate) shared_storage: Option<String>,
}

impl WorldOptions {
    /// So many nodes and guests with seven snapshots each, tasks of a tenth of a second.
    pub(crate) fn of_size(nodes: u32, guests: u32) -> Self {
        Self {
            nodes,
            guests,
            snapshots: 7,
            task_seconds: 0.1..=0.1,
            slowness_of_second_node: 1.0,
            offline_nodes: 0,
        }
    }

    /// Generates it and writes it down.
    pub(crate) fn build(&self) -> Result<World> {
        let options = GenerateOptions {
            nodes: self.nodes,
            guests: self.guests,
            snapshots: self.snapshots,
            task_seconds: Some(self.task_seconds.clone()),
            offline_nodes: self.offline_nodes,
            // Every guest can be worked on, so that guests and removals count alike.
            templates: 0.0,
            ..GenerateOptions::default()
        };
        let mut generated = generate(&options)?;
        if let Some(node) = generated.world["cluster"]["nodes"].get_mut(1) {
            node["slowness"] = json!(self.slowness_of_second_node);
        }
        let folder = TempDir::new().context("cannot make a folder for the world")?;
        let world = World {
            guests: places(&generated.world),
            folder,
        };
        fs::write(world.file(), generated.world.to_string())?;
        fs::write(world.credentials(), generated.credentials.to_string())?;
        Ok(world)
    }
}

impl World {
    /// The world's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("world.json")
    }

    /// The file with the secrets of its users.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.folder.path().join("credentials.json")
    }

    /// Where the simulator writes its journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.jsonl")
    }

    /// The first so many guests: one of each node before the second of any.
    pub(crate) fn sample(&self, count: usize) -> Vec<u32> {
        self.guests.keys().copied().take(count).collect()
    }
}

fn places(world: &Value) -> BTreeMap<u32, Place> {
    let empty = Vec::new();
    let guests = world["guests"].as_array().unwrap_or(&empty).iter();
    let online = guests.filter(|guest| guest["status"] != "unknown");
    let places = online.filter_map(|guest| {
        let vmid = u32::try_from(guest["vmid"].as_u64()?).ok()?;
        let text = |key: &str| guest[key].as_str().unwrap_or_default().to_owned();
        let disk = ["scsi0", "rootfs"]
            .iter()
            .find_map(|key| guest["config"][*key].as_str())?;
        let storage = disk.split(':').next()?;
        let place = Place {
            node: text("node"),
            kind: text("type"),
            shared_storage: (storage == "ceph-vm").then(|| storage.to_owned()),
        };
        Some((vmid, place))
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_what_was_ordered() {
        let options = WorldOptions {
            offline_nodes: 1,
            slowness_of_second_node: 10.0,
            ..WorldOptions::of_size(4, 40)
        };
        let world = options.build().unwrap();
        assert_eq!(
            world.guests.len(),
            30,
            "those of the offline node are left out"
        );
        let text = fs::read_to_string(world.file()).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["cluster"]["nodes"][1]["slowness"], 10.0);
        let nodes: Vec<&str> = world
            .sample(3)
            .iter()
            .map(|vmid| world.guests[vmid].node.as_str())
            .collect();
        assert_eq!(nodes, ["pve1", "pve2", "pve3"]);
        assert!(
            world
                .guests
                .values()
                .any(|place| place.shared_storage.is_some())
        );
        assert!(
            world
                .guests
                .values()
                .any(|place| place.shared_storage.is_none())
        );
    }
}
