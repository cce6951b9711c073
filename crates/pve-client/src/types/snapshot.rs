// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots, as `GET …/snapshot` lists them and `POST …/snapshot` creates them
//! (`PVE/AbstractConfig.pm`, `PVE/API2/Qemu.pm`, `PVE/API2/LXC/Snapshot.pm`).

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::lenient;

/// The name under which PVE lists the current state of the guest.
const CURRENT: &str = "current";

/// A snapshot to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name: a letter, then letters, digits, `_` and `-`, 2 to 40 characters.
    pub name: String,
    /// Its description; not sent if it is empty.
    pub description: String,
    /// Whether to save the RAM state of a running VM. PVE ignores it for stopped VMs and refuses it for
    /// containers, so it is not sent for them.
    pub with_memory: bool,
}

/// One snapshot of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Its name.
    pub name: String,
    /// When it was created, by the node's clock, in seconds since 1970.
    pub taken_at: Option<i64>,
    /// Its description as stored; PVE appends a newline to that of a container.
    pub description: String,
    /// The name of its parent snapshot.
    pub parent: Option<String>,
    /// Whether it contains the RAM state of a VM.
    pub has_memory: bool,
    /// `prepare` or `delete` while its task is running or after it was interrupted.
    pub state: Option<String>,
}

/// All snapshots of a guest; the entry `current` of PVE is kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotListing {
    /// The snapshots, in the order of PVE, which is random.
    pub snapshots: Vec<SnapshotEntry>,
    /// The parent snapshot of the current state.
    pub current_parent: Option<String>,
    /// Whether the guest is running.
    pub running: Option<bool>,
    /// The beginning of the JSON of each entry that cannot be read. It may be any snapshot.
    pub unreadable: Vec<String>,
    /// Whether there was an entry `current`, as in every list of PVE.
    pub has_current: bool,
    /// Names that were listed more than once.
    pub repeated: Vec<String>,
}

impl SnapshotListing {
    /// Why the list is invalid or incomplete: a name is repeated, or the entry `current` is missing, which
    /// PVE always adds (`snapshot_list` in `PVE/API2/Qemu.pm` and `PVE/API2/LXC/Snapshot.pm`).
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(name) = self.repeated.first() {
            return Some(format!("the reply lists '{name}' more than once"));
        }
        (!self.has_current)
            .then(|| format!("the reply lacks the entry '{CURRENT}', so it may be incomplete"))
    }

    /// The snapshot with this name.
    pub fn find(&self, name: &str) -> Option<&SnapshotEntry> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    snaptime: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    parent: Option<String>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    vmstate: bool,
    #[serde(default, deserialize_with = "lenient::text")]
    snapstate: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_boolean")]
    running: Option<bool>,
}

impl<'de> Deserialize<'de> for SnapshotListing {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let list = lenient::List::<Entry>::deserialize(input)?;
        let mut listing = Self {
            unreadable: list.1,
            ..Self::default()
        };
        for entry in list.0 {
            listing.add(entry);
        }
        Ok(listing)
    }
}

/// An entry of the list.
enum Entry {
    Current {
        parent: Option<String>,
        running: Option<bool>,
    },
    Snapshot(SnapshotEntry),
}

impl<'de> Deserialize<'de> for Entry {
    /// Without a name, or with an invalid time, it could be any snapshot.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(input)?;
        let name = wire.name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| D::Error::missing_field("name"))?;
        if lenient::is_damaged(Some(&name)) {
            return Err(D::Error::custom("its name contains invalid characters"));
        }
        if name == CURRENT {
            return Ok(Self::Current {
                parent: wire.parent,
                running: wire.running,
            });
        }
        let taken_at = match wire.snaptime.filter(|time| !time.is_empty()) {
            None => None,
            Some(time) => match lenient::parse_signed(&time) {
                Some(seconds) => Some(seconds),
                None => return Err(D::Error::custom("its time is not a number")),
            },
        };
        Ok(Self::Snapshot(SnapshotEntry {
            name,
            taken_at,
            description: wire.description.unwrap_or_default(),
            parent: wire.parent,
            has_memory: wire.vmstate,
            state: wire.snapstate.filter(|state| !state.is_empty()),
        }))
    }
}

impl SnapshotListing {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Current { .. } if self.has_current => self.repeated.push(CURRENT.to_owned()),
            Entry::Current { parent, running } => {
                self.has_current = true;
                self.current_parent = parent;
                self.running = running;
            }
            Entry::Snapshot(entry) => {
                if self.find(&entry.name).is_some() {
                    self.repeated.push(entry.name.clone());
                }
                self.snapshots.push(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_state_is_kept_apart() {
        let listing: SnapshotListing = serde_json::from_str(
            r#"[{"name":"b","snaptime":"1795396342","description":"","vmstate":0,"parent":"a"},
                {"vmstate":1,"description":"two\nlines","snaptime":1795396341,"name":"a"},
                {"name":"partial","snapstate":"prepare","snaptime":null}, {"snaptime":3},
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
            listing.find("partial").unwrap().state.as_deref(),
            Some("prepare")
        );
        assert_eq!(listing.find("current"), None);
        assert_eq!(listing.unreadable, [r#"{"snaptime":3}"#]);
        assert_eq!(listing.problem(), None);
    }

    #[test]
    fn a_repeated_name_or_a_missing_current_is_a_problem() {
        for (json, part) in [
            ("[]", "lacks the entry 'current'"),
            ("null", "lacks the entry 'current'"),
            (
                r#"[{"name":"a","snaptime":1}]"#,
                "lacks the entry 'current'",
            ),
            (
                r#"[{"name":"a"},{"name":"current"},{"name":"a"}]"#,
                "lists 'a' more than once",
            ),
            (
                r#"[{"name":"current"},{"name":"current"}]"#,
                "lists 'current' more than once",
            ),
        ] {
            let listing: SnapshotListing = serde_json::from_str(json).unwrap();
            let problem = listing.problem().unwrap();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn an_invalid_time_makes_an_entry_unreadable() {
        let listing: SnapshotListing = serde_json::from_str(
            r#"[{"name":"a","snaptime":"soon"},{"name":"b","snaptime":null},{"name":"current"}]"#,
        )
        .unwrap();
        assert_eq!((listing.snapshots.len(), listing.unreadable.len()), (1, 1));
    }
}
