// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots as `GET …/snapshot` lists them and as `POST …/snapshot` takes them
//! (`PVE/AbstractConfig.pm`, `PVE/API2/Qemu.pm`, `PVE/API2/LXC/Snapshot.pm`).

use serde::{Deserialize, Deserializer};

use super::loose;

/// The name under which PVE lists the guest's present state.
const CURRENT: &str = "current";

/// A snapshot to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name: a letter, then letters, digits, `_` and `-`, 2 to 40 characters.
    pub name: String,
    /// Its description; nothing is sent for an empty one.
    pub description: String,
    /// Whether the memory of a running VM is saved too. PVE drops it for stopped VMs; containers
    /// refuse the parameter, so it is never sent for them.
    pub with_memory: bool,
}

/// One snapshot of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Its name.
    pub name: String,
    /// When it was taken by the node's clock, in seconds since 1970.
    pub taken_at: Option<i64>,
    /// Its description as stored; PVE appends a newline to a container's.
    pub description: String,
    /// The snapshot it was taken after.
    pub parent: Option<String>,
    /// Whether it holds the memory of a VM.
    pub has_memory: bool,
    /// `prepare` or `delete` while work is under way or was left unfinished.
    pub state: Option<String>,
}

/// All snapshots of a guest; what PVE lists as `current` is kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotListing {
    /// The snapshots in no particular order: PVE's is random.
    pub snapshots: Vec<SnapshotEntry>,
    /// The snapshot the present state descends from.
    pub current_parent: Option<String>,
    /// Whether the guest is running.
    pub running: Option<bool>,
}

impl SnapshotListing {
    /// The snapshot of this name.
    pub fn find(&self, name: &str) -> Option<&SnapshotEntry> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "loose::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "loose::signed")]
    snaptime: Option<i64>,
    #[serde(default, deserialize_with = "loose::text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    parent: Option<String>,
    #[serde(default, deserialize_with = "loose::boolean")]
    vmstate: bool,
    #[serde(default, deserialize_with = "loose::text")]
    snapstate: Option<String>,
    #[serde(default, deserialize_with = "loose::optional_boolean")]
    running: Option<bool>,
}

impl<'de> Deserialize<'de> for SnapshotListing {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut listing = Self::default();
        for wire in loose::List::<Wire>::deserialize(input)?.0 {
            listing.add(wire);
        }
        Ok(listing)
    }
}

impl SnapshotListing {
    fn add(&mut self, wire: Wire) {
        match wire.name {
            Some(name) if name == CURRENT => {
                self.current_parent = wire.parent;
                self.running = wire.running;
            }
            Some(name) => self.snapshots.push(SnapshotEntry {
                name,
                taken_at: wire.snaptime,
                description: wire.description.unwrap_or_default(),
                parent: wire.parent,
                has_memory: wire.vmstate,
                state: wire.snapstate.filter(|state| !state.is_empty()),
            }),
            None => tracing::warn!("a snapshot without a name was left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_state_is_kept_apart() {
        let listing: SnapshotListing = serde_json::from_str(
            r#"[{"name":"b","snaptime":"1795396342","description":"","vmstate":0,"parent":"a"},
                {"vmstate":1,"description":"two\nlines","snaptime":1795396341,"name":"a"},
                {"name":"half","snapstate":"prepare","snaptime":null}, {"snaptime":3},
                {"parent":"b","name":"current","description":"You are here!","running":0,"digest":"x"}]"#,
        )
        .unwrap();
        assert_eq!(listing.snapshots.len(), 3);
        assert_eq!(listing.current_parent.as_deref(), Some("b"));
        assert_eq!(listing.running, Some(false));
        let first = listing.find("a").unwrap();
        assert_eq!(
            (first.taken_at, first.has_memory),
            (Some(1_795_396_341), true)
        );
        assert_eq!(listing.find("b").unwrap().taken_at, Some(1_795_396_342));
        assert_eq!(
            listing.find("half").unwrap().state.as_deref(),
            Some("prepare")
        );
        assert_eq!(listing.find("current"), None);
    }
}
