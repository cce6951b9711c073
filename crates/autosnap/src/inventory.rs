// SPDX-License-Identifier: GPL-3.0-only
//! Reads of the cluster and its guests, in the types of the core.
//!
//! One `GET /cluster/resources` lists all guests, nodes, pools and storages. Only the input of the plan is read for
//! each guest.
//!
//! An online node that sends no statistics (`status: unknown`) lists its guests itself: one request for
//! its VMs, one for its containers, if there are any without statistics.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use autosnap_core::guest::{Guest, GuestConfig, GuestKind, GuestStatus, Vmid};
use autosnap_core::select::{Inventory, NodeInfo, UnlistedGuests, UnreadableEntry};
use autosnap_core::snapshot::{Snapshot, SnapshotState, stored_description};
use autosnap_core::snapshot_support::SnapshotBlockers;
use autosnap_core::storage::StorageUsage;
use jiff::Timestamp;
use pve_client::{
    Client, Error, GuestResource, Listing, NodeGuest, NodeResource, Resource, SnapshotListing,
    StorageResource, TaskFilter, TaskSource, TaskStatus,
};

use crate::concurrent::map_concurrent;
use crate::fatal_errors::is_fatal_for_run;

/// How long a node without statistics may take to list its guests. pveproxy gives up on another node
/// after 30 s (`PVE/APIServer/AnyEvent.pm`).
const LISTING_LIMIT: Duration = Duration::from_secs(35);

/// How many nodes without statistics list their guests in parallel.
const LISTINGS_AT_ONCE: usize = 16;

/// Reads the inventory.
pub async fn read(client: &Client) -> Result<Inventory, Error> {
    read_within(client, LISTING_LIMIT).await
}

/// Reads the inventory; `limit` is the time for a node without statistics to list its guests.
pub async fn read_within(client: &Client, limit: Duration) -> Result<Inventory, Error> {
    let resources = client.resources().await?;
    let unreadable = resources.unreadable.iter();
    let mut inventory = Inventory {
        unreadable: unreadable
            .map(|entry| invalid("/cluster/resources", entry.clone()))
            .collect(),
        ..Inventory::default()
    };
    for resource in resources {
        match resource {
            Resource::Guest(resource) => {
                let (kind, vmid, uptime) = (resource.kind, resource.vmid, resource.uptime);
                match guest(resource) {
                    Some(guest) => {
                        if uptime > 0 {
                            inventory.listed_uptimes.insert(guest.vmid, uptime);
                        }
                        inventory.guests.push(guest);
                    }
                    None => inventory.unreadable.push(invalid(
                        "/cluster/resources",
                        format!("{kind}/{vmid}: invalid guest ID"),
                    )),
                }
            }
            Resource::Node(node) => add_node(&mut inventory, node),
            Resource::Storage(storage) => inventory.storages.push(storage_usage(storage)),
            Resource::Pool(pool) => inventory.pools.push(pool),
            Resource::Other(_) => {}
        }
    }
    remove_duplicates(&mut inventory);
    complete_unknown(client, &mut inventory, limit).await?;
    Ok(inventory)
}

fn add_node(inventory: &mut Inventory, node: NodeResource) {
    if !node.is_offline() && node.status != "online" {
        inventory.nodes_without_statistics.push(node.node.clone());
    }
    inventory.nodes.push(NodeInfo {
        online: !node.is_offline(),
        name: node.node,
    });
}

/// Reads the guests without statistics from their own nodes. A node that fails is recorded; only a failure
/// of all requests is an error.
async fn complete_unknown(
    client: &Client,
    inventory: &mut Inventory,
    limit: Duration,
) -> Result<(), Error> {
    let unknown = inventory
        .guests
        .iter()
        .filter(|guest| guest.status == GuestStatus::Unknown)
        .filter(|guest| !inventory.is_offline(&guest.node));
    let to_ask: BTreeSet<(String, GuestKind)> = unknown
        .map(|guest| (guest.node.clone(), guest.kind))
        .collect();
    let listings = map_concurrent(LISTINGS_AT_ONCE, to_ask, async |(node, kind)| {
        let listing = client.node_guests(&node, wire_kind(kind));
        let listing = tokio::time::timeout(limit, listing).await;
        (node, kind, listing)
    });
    for (node, kind, listing) in listings.await {
        let reason = match listing {
            Ok(Ok(listed)) => {
                let path = format!("/nodes/{node}/{kind}");
                let entries = listed.unreadable.iter();
                let entries = entries.map(|entry| invalid(&path, entry.clone()));
                inventory.unreadable.extend(entries);
                merge(&mut inventory.guests, &node, kind, listed);
                continue;
            }
            Ok(Err(error)) if is_fatal_for_run(&error) => return Err(error),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no reply within {} s", limit.as_secs_f64()),
        };
        inventory
            .unlisted
            .push(UnlistedGuests { node, kind, reason });
    }
    Ok(())
}

/// Completes guests with the listing of their own node, which does not contain their pools.
fn merge(guests: &mut [Guest], node: &str, kind: GuestKind, listed: Listing<NodeGuest>) {
    let listed: HashMap<u32, NodeGuest> = listed
        .into_iter()
        .map(|listed| (listed.vmid, listed))
        .collect();
    let unknown = guests.iter_mut().filter(|guest| {
        guest.node == node && guest.kind == kind && guest.status == GuestStatus::Unknown
    });
    for guest in unknown {
        let Some(listed) = listed.get(&guest.vmid.get()) else {
            continue;
        };
        guest.status = GuestStatus::from(listed.status.as_str());
        guest.template = listed.template;
        guest.name.clone_from(&listed.name);
        guest.lock.clone_from(&listed.lock);
        guest.tags = listed.tag_list().map(ToOwned::to_owned).collect();
    }
}

/// Removes duplicate entries. A guest with equal entries is kept once; one with different entries is removed, because
/// it is unknown which entry is right.
fn remove_duplicates(inventory: &mut Inventory) {
    let mut known: BTreeMap<Vmid, Guest> = BTreeMap::new();
    let mut contradictory = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    inventory
        .guests
        .retain(|guest| match known.entry(guest.vmid) {
            Entry::Vacant(entry) => {
                entry.insert(guest.clone());
                true
            }
            Entry::Occupied(first) => {
                repeated.insert(guest.vmid);
                if first.get() != guest {
                    contradictory.insert(guest.vmid);
                }
                false
            }
        });
    let is_consistent = |guest: &Guest| !contradictory.contains(&guest.vmid);
    inventory.guests.retain(is_consistent);
    let repeated = repeated.into_iter().map(|vmid| UnreadableEntry::Repeated {
        vmid,
        is_left_out: contradictory.contains(&vmid),
    });
    inventory.unreadable.extend(repeated);
}

fn invalid(path: &str, problem: String) -> UnreadableEntry {
    UnreadableEntry::Invalid {
        path: path.to_owned(),
        problem,
    }
}

/// The current node of the guest; `None` if the guest is not listed. Fails if an entry cannot be parsed: it may be the
/// guest.
pub async fn node_of(client: &Client, vmid: Vmid) -> Result<Option<String>, Error> {
    let resources = client.resources().await?;
    let unreadable = resources.unreadable.first().cloned();
    let mut nodes = resources.into_iter().filter_map(|resource| match resource {
        Resource::Guest(guest) if guest.vmid == vmid.get() => Some(guest.node),
        Resource::Guest(_)
        | Resource::Node(_)
        | Resource::Storage(_)
        | Resource::Pool(_)
        | Resource::Other(_) => None,
    });
    match (nodes.next(), unreadable) {
        (None, Some(entry)) => Err(Error::InvalidListing {
            subject: "the guests",
            path: "/cluster/resources".to_owned(),
            endpoint: client.current_endpoint(),
            problem: format!("an entry cannot be read: {entry}"),
        }),
        (node, _) => Ok(node),
    }
}

/// The guest's current status, which the cluster may list up to ten seconds later.
pub async fn current_status(client: &Client, guest: &Guest) -> Result<GuestStatus, Error> {
    let (kind, vmid) = (wire_kind(guest.kind), guest.vmid.get());
    let current = client.guest_status(&guest.node, kind, vmid).await?;
    Ok(GuestStatus::from(current.status.as_str()))
}

/// PVE's reply to whether it can snapshot a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotReply {
    /// PVE's reply.
    Known(bool),
    /// A storage of its disks does not exist; PVE's text.
    StorageMissing(String),
    /// No query was needed, or it failed.
    Unknown,
}

/// Queries whether PVE can snapshot the guest, unless the configuration and the types of the storages decide. For a
/// removed storage PVE replies with an error (`storage_config` in `PVE/Storage.pm`), as for a creation.
pub async fn can_snapshot(
    client: &Client,
    guest: &Guest,
    config: &GuestConfig,
    storages: &[StorageUsage],
) -> Result<SnapshotReply, Error> {
    let is_certain = config.unsupported_volumes().next().is_some()
        || !SnapshotBlockers::new(config, storages).needs_query();
    if is_certain {
        return Ok(SnapshotReply::Unknown);
    }
    let (kind, vmid) = (wire_kind(guest.kind), guest.vmid.get());
    match client.feature(&guest.node, kind, vmid, "snapshot").await {
        Ok(reply) => Ok(SnapshotReply::Known(reply)),
        Err(error) if is_fatal_for_run(&error) || error.is_guest_missing() => Err(error),
        Err(error) => {
            let is_missing =
                |text: &&str| text.starts_with("storage '") && text.ends_with("' does not exist");
            if let Some(text) = error.reason().map(str::trim).filter(is_missing) {
                return Ok(SnapshotReply::StorageMissing(text.to_owned()));
            }
            tracing::debug!(vmid, %error, "unknown whether the guest can be snapshotted");
            Ok(SnapshotReply::Unknown)
        }
    }
}

/// The parts of a guest's configuration that matter to snapshots, and its lock.
pub async fn config(client: &Client, guest: &Guest) -> Result<(GuestConfig, Option<Lock>), Error> {
    let config = client
        .guest_config(&guest.node, wire_kind(guest.kind), guest.vmid.get())
        .await?;
    let read = GuestConfig::parse(guest.kind, config.iter());
    Ok((read, Lock::of(&config)))
}

/// The lock of a guest. Two equal reads show that the guest has not changed between them: if no running task was listed
/// in between, no task holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The name of the lock, such as `snapshot`.
    pub name: String,
    /// PVE's hash of the whole configuration, snapshots included: it differs for two
    /// tasks that set the same lock one after the other.
    digest: Option<String>,
}

impl Lock {
    /// The lock in this configuration, if there is one.
    pub fn of(config: &pve_client::GuestConfig) -> Option<Self> {
        config.lock().map(|name| Self {
            name: name.to_owned(),
            digest: config.get("digest").map(ToOwned::to_owned),
        })
    }
}

/// A guest's readable snapshots and the unreadable entries: for display only.
pub async fn readable_snapshots(
    client: &Client,
    guest: &Guest,
) -> Result<(Vec<Snapshot>, Vec<String>), Error> {
    let (node, kind) = (guest.node.as_str(), wire_kind(guest.kind));
    let listing = client.readable_snapshots(node, kind, guest.vmid.get());
    let mut listing = listing.await?;
    let unreadable = std::mem::take(&mut listing.unreadable);
    Ok((snapshots(listing), unreadable))
}

/// A guest's snapshots, all of them.
pub async fn guest_snapshots(client: &Client, guest: &Guest) -> Result<Vec<Snapshot>, Error> {
    client
        .snapshots(&guest.node, wire_kind(guest.kind), guest.vmid.get())
        .await
        .map(snapshots)
}

/// Whether a running task is listed for the guest. A task that has ended since the lock was read is not
/// listed: a lock is known to be stale only if a second read finds an equal [`Lock`].
pub async fn task_runs(client: &Client, node: &str, vmid: Vmid) -> Result<bool, Error> {
    let filter = TaskFilter {
        vmid: Some(vmid.get()),
        source: TaskSource::Active,
        ..TaskFilter::default()
    };
    let tasks = client.node_tasks(node, &filter).await?;
    Ok(tasks.iter().any(|task| task.status == TaskStatus::Running))
}

/// How long after the start of its task a snapshot may be dated, in seconds: PVE dates it when it has checked
/// the guest's disks.
const DATED_AFTER: i64 = 60;

/// Whether the task of this snapshot is listed with a duration of more than `limit`. PVE keeps about the last thousand
/// tasks of a node; `false` for an older one, or one of another user.
pub async fn took_longer(
    client: &Client,
    guest: &Guest,
    snapshot: &Snapshot,
    limit: Duration,
) -> bool {
    let Some(taken_at) = snapshot.taken_at else {
        return false;
    };
    let (kind, vmid) = (wire_kind(guest.kind), guest.vmid.get());
    let taken_at = taken_at.as_second();
    let since = taken_at - DATED_AFTER;
    let filter = TaskFilter {
        vmid: Some(vmid),
        source: TaskSource::All,
        since: Some(since),
        kind: Some(kind.creation_task_type().to_owned()),
        limit: Some(50),
    };
    let Ok(tasks) = client.node_tasks(&guest.node, &filter).await else {
        return false;
    };
    let limit = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    tasks.iter().any(|task| {
        let started = task.upid.started_at();
        task.upid.id() == vmid.to_string()
            && (since..=taken_at).contains(&started)
            && task.ended_at.is_some_and(|ended| ended - started >= limit)
    })
}

/// The time of the host that replied last, to the second; the time of this machine if that is unknown.
pub fn server_time(client: &Client) -> Timestamp {
    let lead = client.clock_difference().unwrap_or(0);
    timestamp(Timestamp::now().as_second().saturating_add(lead))
}

/// A time in seconds since the epoch, limited to the range of the calendar.
pub fn timestamp(seconds: i64) -> Timestamp {
    let last = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(seconds).unwrap_or(last)
}

/// A `snaptime` as the core represents it. PVE lists `snaptime: 0` for an unknown time.
pub fn taken_at(snaptime: Option<i64>) -> Option<Timestamp> {
    snaptime.filter(|seconds| *seconds > 0).map(timestamp)
}

/// A listing as the core represents it.
pub fn snapshots(listing: SnapshotListing) -> Vec<Snapshot> {
    let snapshots = listing.snapshots.into_iter().map(|entry| Snapshot {
        state: SnapshotState::parse(entry.state.as_deref()),
        name: entry.name,
        taken_at: taken_at(entry.taken_at),
        description: stored_description(entry.description),
        parent: entry.parent.map(String::into_boxed_str),
        with_ram: entry.has_memory,
    });
    snapshots.collect()
}

/// The client's type for the kind of a guest.
pub fn wire_kind(kind: GuestKind) -> pve_client::GuestKind {
    match kind {
        GuestKind::Qemu => pve_client::GuestKind::Qemu,
        GuestKind::Lxc => pve_client::GuestKind::Lxc,
    }
}

/// The core's type for the kind of a guest.
pub fn kind(kind: pve_client::GuestKind) -> GuestKind {
    match kind {
        pve_client::GuestKind::Qemu => GuestKind::Qemu,
        pve_client::GuestKind::Lxc => GuestKind::Lxc,
    }
}

fn guest(resource: GuestResource) -> Option<Guest> {
    let tags = resource.tag_list().map(ToOwned::to_owned).collect();
    Some(Guest {
        vmid: Vmid::new(resource.vmid).ok()?,
        kind: kind(resource.kind),
        node: resource.node,
        name: resource.name,
        status: GuestStatus::from(resource.status.as_str()),
        template: resource.template,
        tags,
        pool: resource.pool,
        lock: resource.lock,
    })
}

fn storage_usage(resource: StorageResource) -> StorageUsage {
    StorageUsage {
        node: resource.node,
        storage: resource.storage,
        kind: resource.plugin.unwrap_or_default(),
        shared: resource.shared,
        content: resource.content,
        total: resource.total.unwrap_or(0),
        used: resource.used.unwrap_or(0),
        status: resource.status,
    }
}
