// SPDX-License-Identifier: GPL-3.0-only
//! The clusters of the cases: generated from a seed and written to files for the simulator.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pve_sim::generate::{GenerateOptions, generate};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The properties of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct WorldOptions {
    /// Number of nodes.
    pub(crate) nodes: u32,
    /// Number of guests, distributed evenly.
    pub(crate) guests: u32,
    /// Snapshots per guest.
    pub(crate) snapshots: u32,
    /// Range for the duration of a guest's snapshot tasks, in seconds.
    pub(crate) task_seconds: RangeInclusive<f64>,
    /// Factor applied to the tasks of the second node.
    pub(crate) slowness_of_second_node: f64,
    /// Number of offline nodes.
    pub(crate) offline_nodes: u32,
}

/// A cluster, stored in files.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    /// The guests on online nodes, by VMID.
    pub(crate) guests: BTreeMap<u32, GuestLocation>,
}

/// The location of a guest.
#[derive(Debug, Clone)]
pub(crate) struct GuestLocation {
    /// Its node.
    pub(crate) node: String,
    /// `qemu` or `lxc`.
    pub(crate) kind: String,
    /// The storage of its disk, if all nodes share it.
    pub(crate) shared_storage: Option<String>,
}

impl WorldOptions {
    /// A cluster of this size with seven snapshots per guest and tasks of 0.1 seconds.
    pub(crate) fn with_size(nodes: u32, guests: u32) -> Self {
        Self {
            nodes,
            guests,
            snapshots: 7,
            task_seconds: 0.1..=0.1,
            slowness_of_second_node: 1.0,
            offline_nodes: 0,
        }
    }

    /// Generates the cluster and writes its files.
    pub(crate) fn build(&self) -> Result<World> {
        let options = GenerateOptions {
            nodes: self.nodes,
            guests: self.guests,
            snapshots: self.snapshots,
            task_seconds: Some(self.task_seconds.clone()),
            offline_nodes: self.offline_nodes,
            // No templates, so that every guest counts.
            templates: 0.0,
            ..GenerateOptions::default()
        };
        let mut generated = generate(&options)?;
        if let Some(node) = generated.world["cluster"]["nodes"].get_mut(1) {
            node["slowness"] = json!(self.slowness_of_second_node);
        }
        let folder = TempDir::new().context("cannot create a folder for the world")?;
        let world = World {
            guests: locations(&generated.world),
            folder,
        };
        fs::write(world.file(), generated.world.to_string())?;
        fs::write(world.credentials(), generated.credentials.to_string())?;
        Ok(world)
    }
}

impl World {
    /// The world file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("world.json")
    }

    /// The credentials file.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.folder.path().join("credentials.json")
    }

    /// The simulator's journal file.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.jsonl")
    }

    /// The first `count` guests, distributed over the nodes.
    pub(crate) fn sample(&self, count: usize) -> Vec<u32> {
        self.guests.keys().copied().take(count).collect()
    }
}

fn locations(world: &Value) -> BTreeMap<u32, GuestLocation> {
    let empty = Vec::new();
    let guests = world["guests"].as_array().unwrap_or(&empty).iter();
    let online = guests.filter(|guest| guest["status"] != "unknown");
    let locations = online.filter_map(|guest| {
        let vmid = u32::try_from(guest["vmid"].as_u64()?).ok()?;
        let text = |key: &str| guest[key].as_str().unwrap_or_default().to_owned();
        let disk = ["scsi0", "rootfs"]
            .iter()
            .find_map(|key| guest["config"][*key].as_str())?;
        let storage = disk.split(':').next()?;
        let location = GuestLocation {
            node: text("node"),
            kind: text("type"),
            shared_storage: (storage == "ceph-vm").then(|| storage.to_owned()),
        };
        Some((vmid, location))
    });
    locations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_matches_its_options() {
        let options = WorldOptions {
            offline_nodes: 1,
            slowness_of_second_node: 10.0,
            ..WorldOptions::with_size(4, 40)
        };
        let world = options.build().unwrap();
        assert_eq!(
            world.guests.len(),
            30,
            "without the guests of the offline node"
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
                .any(|location| location.shared_storage.is_some())
        );
        assert!(
            world
                .guests
                .values()
                .any(|location| location.shared_storage.is_none())
        );
    }
}
