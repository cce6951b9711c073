// SPDX-License-Identifier: GPL-3.0-only
//! Successful replies of the API: the first byte selects the call, the others are the body.
//!
//! For all types: an invalid element does not hide the others, and a number is the same as a string, because Perl may
//! send it as one.

use std::fmt::Debug;

use autosnap_core::guest::{GuestConfig as Guest, GuestKind};
use pve_client::fuzzing::Reply;
use pve_client::{
    ClusterStatus, GuestConfig, Method, NodeStorage, Permissions, ReplicationJob, Resource,
    SnapshotEntry, SnapshotListing, TaskEntry, TaskExit, TaskStatus, Upid, Version,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses the body as the reply to the call.
pub fn run(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    match kind {
        b'r' => list::<Resource>(body).iter().for_each(resource),
        b's' => list::<NodeStorage>(body).iter().for_each(storage),
        b't' => list::<TaskEntry>(body).iter().for_each(task),
        b'j' => drop(list::<ReplicationJob>(body)),
        b'n' => {
            let listing = one::<Snapshots>(body, 2);
            if let Ok(Some(complete)) = reply(body).snapshots() {
                let mut names: Vec<&str> = complete
                    .snapshots
                    .iter()
                    .map(|entry| entry.name.as_str())
                    .collect();
                assert!(!names.contains(&"current"), "{complete:?}");
                names.sort_unstable();
                assert!(
                    names.windows(2).all(|pair| pair[0] != pair[1]),
                    "{listing:?}"
                );
            }
        }
        b'f' => {
            let once = pve_client::fuzzing::repaired_json(body);
            assert_eq!(pve_client::fuzzing::repaired_json(once.as_bytes()), once);
            if let Ok(value) = serde_json::from_slice::<Value>(body) {
                assert_eq!(serde_json::from_str::<Value>(&once).ok(), Some(value));
            }
        }
        b'c' => config(&one::<GuestConfig>(body, 1).unwrap_or_default()),
        b'x' => {
            if let Some(TaskStatus::Stopped(exit)) = one(body, 1) {
                task_exit(&exit);
            }
        }
        b'l' => drop(one::<ClusterStatus>(body, 2)),
        b'p' => {
            let permissions = one::<Permissions>(body, 2).unwrap_or_default();
            for (path, privileges) in permissions.iter() {
                assert!(
                    privileges
                        .keys()
                        .all(|name| permissions.has_entry(path, name))
                );
            }
        }
        b'v' => {
            if let Some(version) = one::<Version>(body, 1) {
                let major = version.major();
                assert!(
                    major.is_none()
                        || version
                            .version
                            .starts_with(|c: char| c == '+' || c.is_ascii_digit())
                );
            }
        }
        b'u' => drop(
            reply(body)
                .data::<String>()
                .map(|text| text.parse::<Upid>()),
        ),
        _ => {}
    }
}

/// A listing of snapshots. Of unreadable entries only the number is compared.
#[derive(Debug, PartialEq)]
struct Snapshots(Vec<SnapshotEntry>, Option<String>, Option<bool>, usize);

impl<'de> serde::Deserialize<'de> for Snapshots {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let listing = SnapshotListing::deserialize(input)?;
        let unreadable = listing.unreadable.len();
        Ok(Self(
            listing.snapshots,
            listing.current_parent,
            listing.running,
            unreadable,
        ))
    }
}

fn reply(body: &[u8]) -> Reply<'_> {
    Reply {
        method: Method::Get,
        path: &["nodes", "pve1"],
        status: 200,
        phrase: "OK",
        media_type: "application/json",
        has_login_challenge: false,
        body,
    }
}

/// Parses a listing, and compares it with the same listing with invalid elements added.
fn list<T: DeserializeOwned + PartialEq + Debug>(body: &[u8]) -> Vec<T> {
    let elements: Vec<T> = reply(body).list().unwrap_or_default();
    let Some(data @ Value::Array(_)) = data(body) else {
        return elements;
    };
    let plain: Vec<T> = reply(&enveloped(&data)).list().expect("it is a list");
    let mut with_invalid = data.clone();
    if let Value::Array(values) = &mut with_invalid {
        values.insert(0, Value::from(7));
        values.push(Value::Bool(true));
    }
    let valid: Vec<T> = reply(&enveloped(&with_invalid))
        .list()
        .expect("it is a list");
    assert_eq!(valid, plain, "an invalid element hides others");
    let as_text: Vec<T> = reply(&enveloped(&texts(data, 2)))
        .list()
        .expect("it is a list");
    assert_eq!(as_text, plain, "a number as text is different");
    elements
}

/// Parses a reply that is not a listing and has numbers down to this level.
fn one<T: DeserializeOwned + PartialEq + Debug>(body: &[u8], levels: usize) -> Option<T> {
    let read = reply(body).data().ok();
    if let Some(data) = data(body) {
        let plain: Option<T> = reply(&enveloped(&data)).data().ok();
        let as_text: Option<T> = reply(&enveloped(&texts(data, levels))).data().ok();
        assert_eq!(as_text, plain, "a number as text is different");
    }
    read
}

fn data(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(body)
        .ok()?
        .get("data")
        .cloned()
}

fn enveloped(data: &Value) -> Vec<u8> {
    serde_json::json!({ "data": data }).to_string().into_bytes()
}

/// Converts whole numbers down to a level to strings.
fn texts(value: Value, levels: usize) -> Value {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Value::String(number.to_string())
        }
        Value::Array(values) if levels > 0 => {
            let values = values.into_iter();
            values.map(|value| texts(value, levels - 1)).collect()
        }
        Value::Object(members) if levels > 0 => {
            let members = members.into_iter();
            let texts = members.map(|(name, value)| (name, texts(value, levels - 1)));
            Value::Object(texts.collect())
        }
        other => other,
    }
}

fn resource(resource: &Resource) {
    match resource {
        Resource::Guest(guest) => {
            let present = [&guest.name, &guest.tags, &guest.lock, &guest.pool];
            assert!(
                present.iter().all(|text| text.as_deref() != Some("")),
                "{guest:?}"
            );
            let whole = |tag: &str| !tag.is_empty() && !tag.contains([';', ',', ' ']);
            assert!(guest.tag_list().all(whole), "{guest:?}");
        }
        Resource::Storage(storage) => {
            assert!(
                storage.content.iter().all(|kind| !kind.contains(',')),
                "{storage:?}"
            );
        }
        Resource::Node(node) => assert_eq!(node.is_offline(), node.status == "offline"),
        Resource::Pool(_) | Resource::Other(_) => {}
    }
}

fn storage(storage: &NodeStorage) {
    assert!(
        storage.content.iter().all(|kind| !kind.contains(',')),
        "{storage:?}"
    );
}

fn task(task: &TaskEntry) {
    assert_eq!(task.upid.as_str().parse().as_ref(), Ok(&task.upid));
    match &task.status {
        TaskStatus::Running => assert_eq!(task.ended_at, None, "{task:?}"),
        TaskStatus::Stopped(exit) => task_exit(exit),
    }
}

fn task_exit(exit: &TaskExit) {
    let text = exit.to_string();
    let is_success_text = text == "OK" || text.starts_with("WARNINGS: ");
    assert!(
        !text.is_empty() && (is_success_text || !exit.is_success()),
        "{exit:?}"
    );
}

/// Checks the parts of a configuration that snapshots need, for both kinds of guests.
fn config(config: &GuestConfig) {
    for kind in [GuestKind::Qemu, GuestKind::Lxc] {
        let guest = Guest::parse(kind, config.iter());
        assert!(
            guest.volumes.is_sorted_by_key(|volume| &volume.key),
            "{guest:?}"
        );
        assert_eq!(guest.lock.as_deref(), config.get("lock"));
        let storages: Vec<&str> = guest.storages().collect();
        assert!(
            storages.windows(2).all(|pair| pair[0] < pair[1]),
            "{guest:?}"
        );
        let unsupported = guest.unsupported_volumes().count();
        let on_storages = guest
            .volumes
            .iter()
            .filter_map(autosnap_core::guest::Volume::storage);
        let on_storages = on_storages.inspect(|storage| assert!(storages.contains(storage)));
        assert_eq!(on_storages.count() + unsupported, guest.volumes.len());
        for volume in &guest.volumes {
            assert!(volume.to_string().starts_with(&volume.key));
            assert!(config.get(&volume.key).is_some(), "{volume}");
        }
    }
}
