// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots as `GET …/snapshot` lists them and as `POST …/snapshot` takes them
//! (`PVE/AbstractConfig.pm`, `PVE/API2/Qemu.pm`, `PVE/API2/LXC/Snapshot.pm`).

use serde::de::Error;
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
    /// The entries that could not be read, each as a short piece of its JSON. Any of them may be any
    /// snapshot.
    pub unreadable: Vec<String>,
    /// Whether the entry `current` was there, as in every listing of PVE.
    pub has_current: bool,
    /// Names that were listed more than once.
    pub repeated: Vec<String>,
}

impl SnapshotListing {
    /// Why this is not a listing of PVE: a name is repeated, or the entry `current` is missing
    /// (`snapshot_list` in `PVE/API2/Qemu.pm` and `PVE/API2/LXC/Snapshot.pm` always add it), so that the
    /// list may have been cut.
    pub(crate) fn flaw(&self) -> Option<String> {
        if let Some(name) = self.repeated.first() {
            return Some(format!("the reply lists '{name}' more than once"));
        }
        (!self.has_current)
            .then(|| format!("the reply lacks the entry '{CURRENT}', so it may be incomplete"))
    }

    /// The snapshot of this name.
    pub fn find(&self, name: &str) -> Option<&SnapshotEntry> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "loose::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    snaptime: Option<String>,
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
        let list = loose::List::<Entry>::deserialize(input)?;
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

/// A line of the listing.
enum Entry {
    Current {
        parent: Option<String>,
        running: Option<bool>,
    },
    Snapshot(SnapshotEntry),
}

impl<'de> Deserialize<'de> for Entry {
    /// Without a name, or with a time that is no number, it could be any snapshot.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(input)?;
        let name = wire.name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| D::Error::missing_field("name"))?;
        if loose::is_damaged(Some(&name)) {
            return Err(D::Error::custom("its name was damaged"));
        }
        if name == CURRENT {
            return Ok(Self::Current {
                parent: wire.parent,
                running: wire.running,
            });
        }
        let taken_at = match wire.snaptime.filter(|time| !time.is_empty()) {
            None => None,
            Some(time) => match loose::parse_signed(&time) {
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
        assert_eq!(listing.unreadable, [r#"{"snaptime":3}"#]);
        assert_eq!(listing.flaw(), None);
    }

    #[test]
    fn a_listing_with_a_repeated_name_or_without_current_is_none() {
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
            let flaw = listing.flaw().unwrap();
            assert!(flaw.contains(part), "{flaw}");
        }
    }

    #[test]
    fn a_time_that_is_no_number_makes_an_entry_unreadable() {
        let listing: SnapshotListing = serde_json::from_str(
            r#"[{"name":"a","snaptime":"soon"},{"name":"b","snaptime":null},{"name":"current"}]"#,
        )
        .unwrap();
        assert_eq!((listing.snapshots.len(), listing.unreadable.len()), (1, 1));
    }
}
