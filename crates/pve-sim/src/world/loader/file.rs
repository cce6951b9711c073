// SPDX-License-Identifier: GPL-3.0-only
//! Format of the world file and the credentials file. Unknown members are rejected, so that a typo
//! cannot go unnoticed. The member `note` is for comments.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::world::guest::{Config, ReplicationState};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorldFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) cluster: ClusterFile,
    #[serde(default)]
    pub(super) storages: Vec<StorageFile>,
    #[serde(default)]
    pub(super) guest_defaults: BTreeMap<String, Config>,
    #[serde(default)]
    pub(super) guests: Vec<GuestFile>,
    #[serde(default)]
    pub(super) pools: Vec<PoolFile>,
    #[serde(default)]
    pub(super) roles: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) users: Vec<UserFile>,
    #[serde(default)]
    pub(super) tokens: Vec<TokenFile>,
    #[serde(default)]
    pub(super) acl: Vec<AclFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default = "yes", deserialize_with = "flag")]
    pub(super) quorate: bool,
    #[serde(default)]
    pub(super) this_node: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    pub(super) nodes: Vec<NodeFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) name: String,
    #[serde(default)]
    pub(super) nodeid: u32,
    #[serde(default)]
    pub(super) ip: Option<String>,
    #[serde(default = "yes", deserialize_with = "flag")]
    pub(super) online: bool,
    #[serde(default)]
    pub(super) proxying_gives: Option<String>,
    #[serde(default)]
    pub(super) pvestatd_silent: Option<f64>,
    #[serde(default = "one")]
    pub(super) slowness: f64,
    #[serde(default)]
    pub(super) clock_offset: f64,
    #[serde(default)]
    pub(super) task_slots: Option<u32>,
    #[serde(default = "two")]
    pub(super) processors: u32,
    #[serde(default = "default_memory")]
    pub(super) memory: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) storage: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) content: Vec<String>,
    #[serde(default, deserialize_with = "flag")]
    pub(super) shared: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(super) disable: bool,
    #[serde(default)]
    pub(super) nodes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) is_mountpoint: Option<Value>,
    #[serde(default)]
    pub(super) mountpoint: Option<Value>,
    #[serde(default)]
    pub(super) server: Option<Value>,
    #[serde(default)]
    pub(super) export: Option<Value>,
    #[serde(default)]
    pub(super) share: Option<Value>,
    #[serde(default)]
    pub(super) pool: Option<Value>,
    #[serde(default)]
    pub(super) vgname: Option<Value>,
    #[serde(default)]
    pub(super) thinpool: Option<Value>,
    #[serde(default)]
    pub(super) datastore: Option<Value>,
    #[serde(default)]
    pub(super) username: Option<Value>,
    #[serde(default)]
    pub(super) monhost: Option<Value>,
    #[serde(default)]
    pub(super) krbd: Option<Value>,
    #[serde(default)]
    pub(super) sparse: Option<Value>,
    #[serde(default)]
    pub(super) portal: Option<Value>,
    #[serde(default)]
    pub(super) target: Option<Value>,
    #[serde(default, rename = "prune-backups")]
    pub(super) prune_backups: Option<Value>,
    #[serde(default, rename = "snapshot-as-volume-chain")]
    pub(super) snapshot_as_volume_chain: Option<Value>,
    #[serde(default)]
    pub(super) snapshots: Option<BTreeMap<String, bool>>,
    #[serde(default)]
    pub(super) total: Option<u64>,
    #[serde(default)]
    pub(super) used: Option<u64>,
    #[serde(default)]
    pub(super) usage: BTreeMap<String, UsageFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageFile {
    pub(super) total: u64,
    pub(super) used: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) vmid: u32,
    #[serde(rename = "type")]
    pub(super) kind: KindFile,
    pub(super) node: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) hostname: Option<String>,
    #[serde(default)]
    pub(super) status: Option<StatusFile>,
    /// For readers of the file only: the simulator uses the storages.
    #[serde(default, rename = "snapshots_possible")]
    _snapshots_possible: Option<bool>,
    #[serde(default)]
    pub(super) listed_status: Option<StatusFile>,
    #[serde(default)]
    pub(super) config: Config,
    #[serde(default)]
    pub(super) snapshots: Vec<SnapshotFile>,
    #[serde(default)]
    pub(super) parent: Option<String>,
    #[serde(default)]
    pub(super) task_seconds: TaskSecondsFile,
    #[serde(default)]
    pub(super) replication_job: Option<ReplicationFile>,
    #[serde(default, deserialize_with = "flag")]
    pub(super) agent_answers: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum KindFile {
    Qemu,
    Lxc,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum StatusFile {
    Running,
    Stopped,
    Unknown,
}

/// A job given by its ID has not run yet.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum ReplicationFile {
    Id(String),
    Job { id: String, state: ReplicationState },
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum SnapstateFile {
    Prepare,
    Delete,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskSecondsFile {
    #[serde(default)]
    pub(super) create: Option<f64>,
    #[serde(default)]
    pub(super) delete: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) name: String,
    #[serde(default)]
    pub(super) parent: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) snaptime: Option<i64>,
    #[serde(default)]
    pub(super) snapstate: Option<SnapstateFile>,
    #[serde(default)]
    pub(super) vmstate: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) poolid: String,
    #[serde(default)]
    pub(super) comment: Option<String>,
    #[serde(default)]
    pub(super) guests: BTreeSet<u32>,
    #[serde(default)]
    pub(super) storages: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) userid: String,
    #[serde(default)]
    pub(super) comment: Option<String>,
    /// The type of the second factor, for readers only; the secret is in the credentials file.
    #[serde(default, rename = "totp")]
    _totp: IgnoredAny,
    #[serde(default = "enabled")]
    pub(super) enable: u8,
    #[serde(default)]
    pub(super) expire: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) tokenid: String,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
    #[serde(default = "enabled")]
    pub(super) privsep: u8,
    #[serde(default)]
    pub(super) expire: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AclFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    pub(super) path: String,
    pub(super) who: String,
    pub(super) role: String,
    #[serde(default = "enabled")]
    pub(super) propagate: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsFile {
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    #[serde(default)]
    pub(super) passwords: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) totp: BTreeMap<String, String>,
}

/// A boolean, or 0 or 1 as in PVE's files.
fn flag<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match Value::deserialize(from)? {
        Value::Bool(value) => Ok(value),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        value @ (Value::Null
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            let text = format!("invalid value {value}: must be true, false, 1 or 0");
            Err(serde::de::Error::custom(text))
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn two() -> u32 {
    2
}

fn enabled() -> u8 {
    1
}

fn default_memory() -> u64 {
    24 << 30
}
