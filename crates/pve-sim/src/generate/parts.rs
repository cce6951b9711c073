// SPDX-License-Identifier: GPL-3.0-only
//! Building blocks shared by generated worlds and the demo's world.
//!
//! Configurations contain only what a snapshot client may read; the simulator adds PVE's own
//! options.

use std::collections::BTreeMap;

use crate::clock::Civil;
use serde_json::{Map, Value, json};

use super::GenerateOptions;
use super::names::POOLS;

/// One gibibyte in bytes.
pub(super) const GIB: u64 = 1 << 30;

/// The description that marks cv4pve-autosnap's snapshots.
pub(super) const OUR_DESCRIPTION: &str = "cv4pve-autosnap";

const DAY: i64 = 86_400;

/// A past run of the snapshot tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Name of the snapshots it took.
    pub(super) snapshot: String,
    /// When it started, in seconds since the epoch.
    pub(super) started: i64,
}

/// The runs whose snapshots still exist, oldest first.
pub(super) fn runs(options: &GenerateOptions) -> Vec<Run> {
    let labels = u32::try_from(options.labels.len()).unwrap_or(u32::MAX);
    let mut runs: Vec<Run> = (0..options.snapshots)
        .filter_map(|index| {
            let label = &options.labels[usize::try_from(index % labels).ok()?];
            let intervals_ago = i64::from(index / labels) + 1;
            Some(run(
                label,
                options.now,
                options.utc_offset_seconds,
                intervals_ago,
            ))
        })
        .collect();
    runs.sort_by_key(|run| run.started);
    runs
}

/// The run of a label `back` intervals ago. Runs start just after the beginning of the interval in
/// local time, as with cron.
pub(super) fn run(label: &str, now: i64, utc_offset_seconds: i32, back: i64) -> Run {
    let interval = interval_seconds(label);
    let offset = i64::from(utc_offset_seconds);
    let begin = (now + offset).div_euclid(interval) * interval - offset;
    let started = begin - back * interval + 2;
    Run {
        snapshot: format!("auto{label}{}", timestamp(started + offset)),
        started,
    }
}

fn interval_seconds(label: &str) -> i64 {
    match label {
        "hourly" => 3_600,
        "weekly" => 7 * DAY,
        "monthly" => 30 * DAY,
        _ => DAY,
    }
}

/// `yyMMddHHmmss`, the default format of cv4pve-autosnap.
pub(super) fn timestamp(local_seconds: i64) -> String {
    let local = Civil::from_epoch(local_seconds);
    format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}",
        local.year.rem_euclid(100),
        local.month,
        local.day,
        local.hour,
        local.minute,
        local.second
    )
}

/// A chain of snapshots, one per run, each taken `delay` seconds after the start of the run.
pub(super) fn snapshots(runs: &[Run], delay: i64) -> Value {
    let mut parent: Option<&str> = None;
    let chain = runs.iter().map(|run| {
        let entry = snapshot(&run.snapshot, run.started + delay, OUR_DESCRIPTION, parent);
        parent = Some(&run.snapshot);
        entry
    });
    Value::Array(chain.collect())
}

/// A snapshot in the format of the world file.
pub(super) fn snapshot(
    name: &str,
    taken_at: i64,
    description: &str,
    parent: Option<&str>,
) -> Value {
    let mut snapshot = Map::new();
    snapshot.insert("name".to_owned(), name.into());
    snapshot.insert("snaptime".to_owned(), taken_at.into());
    snapshot.insert("description".to_owned(), description.into());
    if let Some(parent) = parent {
        snapshot.insert("parent".to_owned(), parent.into());
    }
    Value::Object(snapshot)
}

/// `pve1` for 1.
pub(super) fn node_name(number: u32) -> String {
    format!("pve{number}")
}

/// Configuration of a virtual machine with one disk; `size` in GiB.
pub(super) fn machine_config(vmid: u32, storage: &str, size: u64, template: bool) -> Value {
    let prefix = if template { "base" } else { "vm" };
    let mut config = json!({
        "scsi0": format!("{storage}:{prefix}-{vmid}-disk-0,size={size}G"),
        "net0": format!("virtio={},bridge=vmbr0", mac_address(vmid)),
        "agent": "1",
        "onboot": 1,
        "boot": "order=scsi0;net0",
    });
    if template {
        config["template"] = json!(1);
    }
    config
}

/// Configuration of a container with one root volume; `size` in GiB.
pub(super) fn container_config(vmid: u32, storage: &str, size: u64, template: bool) -> Value {
    // ZFS stores containers in file systems, other types in images
    // (`PVE/Storage/ZFSPoolPlugin.pm`).
    let prefix = match (storage, template) {
        ("local-zfs", false) => "subvol",
        ("local-zfs", true) => "basevol",
        (_, false) => "vm",
        (_, true) => "base",
    };
    let mac = mac_address(vmid);
    let mut config = json!({
        "rootfs": format!("{storage}:{prefix}-{vmid}-disk-0,size={size}G"),
        "net0": format!("name=eth0,bridge=vmbr0,hwaddr={mac},ip=dhcp,type=veth"),
        "ostype": "debian",
        "unprivileged": 1,
        "onboot": 1,
    });
    if template {
        config["template"] = json!(1);
    }
    config
}

/// A MAC address with PVE's prefix for guests.
fn mac_address(vmid: u32) -> String {
    let [_, high, middle, low] = vmid.to_be_bytes();
    format!("BC:24:11:{high:02X}:{middle:02X}:{low:02X}")
}

/// Configuration options shared by all guests.
pub(super) fn guest_defaults() -> Value {
    json!({
        "qemu": {"memory": 2048, "cpu": "x86-64-v2-AES", "ostype": "l26", "scsihw": "virtio-scsi-single"},
        "lxc": {"arch": "amd64", "memory": 512, "swap": 512},
    })
}

/// A directory storage for ISO images and backups, on every node.
pub(super) fn local_folder() -> Value {
    json!({"storage": "local", "type": "dir", "path": "/var/lib/vz",
        "content": ["iso", "vztmpl", "snippets"], "total": 96 * GIB, "used": 21 * GIB})
}

/// A file server for backups, without guests.
pub(super) fn backup_share() -> Value {
    json!({"storage": "backup", "type": "nfs", "path": "/mnt/pve/backup",
        "server": "10.0.0.9", "export": "/srv/backup", "content": ["backup"],
        "shared": true, "total": 20_000 * GIB, "used": 13_700 * GIB})
}

/// A Ceph storage shared by all nodes.
pub(super) fn ceph(total: u64, used: u64) -> Value {
    json!({"storage": "ceph-vm", "type": "rbd", "pool": "vm", "content": ["images", "rootdir"],
        "shared": true, "total": total, "used": used})
}

/// A local ZFS storage on each node.
pub(super) fn local_zfs() -> Value {
    json!({"storage": "local-zfs", "type": "zfspool", "pool": "rpool/data",
        "content": ["images", "rootdir"]})
}

/// A local LVM-thin storage on each node.
pub(super) fn local_lvm() -> Value {
    json!({"storage": "local-lvm", "type": "lvmthin", "vgname": "pve", "thinpool": "data",
        "content": ["images", "rootdir"]})
}

/// Sets processors and memory of each node for its guests: one processor for four virtual ones, and
/// 25 % more memory than the guests need.
pub(super) fn size_nodes(world: &mut Value) {
    let mut load: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for guest in world["guests"].as_array().into_iter().flatten() {
        let default = &world["guest_defaults"][guest["type"].as_str().unwrap_or_default()];
        let number = |name: &str| {
            let own = guest["config"][name].as_u64();
            own.or_else(|| default[name].as_u64())
        };
        let node = guest["node"].as_str().unwrap_or_default().to_owned();
        let (cores, mebibytes) = load.entry(node).or_default();
        *cores += number("cores").unwrap_or(1);
        *mebibytes += number("memory").unwrap_or(512);
    }
    for node in world["cluster"]["nodes"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        let name = node["name"].as_str().unwrap_or_default();
        let (cores, mebibytes) = load.get(name).copied().unwrap_or_default();
        // Realistic sizes: even numbers of processors, multiples of 32 GiB.
        let processors = cores.div_ceil(4).next_multiple_of(2).max(4);
        let gibibytes = (mebibytes * 5 / 4).div_ceil(1024).next_multiple_of(32);
        node["processors"] = json!(processors);
        node["memory"] = json!(gibibytes.max(32) * GIB);
    }
}

/// The pools with their guests, and their parent pools.
pub(super) fn pools(guests: &BTreeMap<&str, Vec<u32>>) -> Value {
    let is_above = |pool: &str| {
        let prefix = format!("{pool}/");
        guests.keys().any(|name| name.starts_with(&prefix))
    };
    let used = POOLS
        .iter()
        .filter(|(pool, _)| guests.contains_key(pool) || is_above(pool));
    used.map(|(pool, comment)| {
        let members = guests.get(pool).cloned().unwrap_or_default();
        let mut pool = json!({"poolid": pool, "guests": members});
        if !comment.is_empty() {
            pool["comment"] = json!(comment);
        }
        pool
    })
    .collect()
}

/// The members `roles`, `users`, `tokens` and `acl` of a world, and the credentials: an
/// administrator, and a user with no more rights than taking snapshots needs.
pub(super) fn access() -> (Value, Value) {
    let world = json!({
        "roles": {"SnapRunner": ["Datastore.Audit", "Pool.Audit", "VM.Audit", "VM.Snapshot"]},
        "users": [
            {"userid": "admin@pve"},
            {"userid": "backup@pve", "comment": "snapshot runner"},
        ],
        "tokens": [
            {"tokenid": "admin@pve!full", "privsep": 0},
            {"tokenid": "backup@pve!auto", "privsep": 0, "comment": "nightly"},
        ],
        "acl": [
            {"path": "/", "who": "admin@pve", "role": "Administrator"},
            {"path": "/", "who": "backup@pve", "role": "SnapRunner"},
        ],
    });
    let credentials = json!({
        "passwords": {"admin@pve": "example-admin", "backup@pve": "example-backup"},
        "tokens": {
            "admin@pve!full": "11111111-1111-4111-8111-111111111111",
            "backup@pve!auto": "22222222-2222-4222-8222-222222222222",
        },
    });
    (world, credentials)
}

/// Adds the members of one object to another.
pub(super) fn merge(object: &mut Value, members: Value) {
    if let (Value::Object(object), Value::Object(members)) = (object, members) {
        object.extend(members);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_formatted_as_dates() {
        let cases = [
            (0, "700101000000"),
            (951_782_399, "000228235959"),
            (951_782_400, "000229000000"),
            (1_709_164_800, "240229000000"),
            (1_732_324_567, "241123011607"),
            (1_767_225_599, "251231235959"),
            (4_107_542_399, "000228235959"),
            (4_107_542_400, "000301000000"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(timestamp(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn runs_start_at_the_beginning_of_their_interval_in_local_time() {
        let now = 1_732_324_567;
        assert_eq!(run("daily", now, 0, 1).snapshot, "autodaily241122000002");
        let berlin = run("daily", now, 3_600, 0);
        assert_eq!(berlin.snapshot, "autodaily241123000002");
        assert_eq!(timestamp(berlin.started), "241122230002");
        assert_eq!(run("hourly", now, 0, 2).snapshot, "autohourly241122230002");
    }
}
