// SPDX-License-Identifier: GPL-3.0-only
//! What is read of a cluster, and its translation into the core's types.
//!
//! One `GET /cluster/resources` tells of all guests, nodes, pools and storages; a guest is asked
//! only for what the decision about it needs. Reads run side by side, within a limit.

use autosnap_core::guest::{Guest, GuestConfig, GuestKind, GuestStatus, Vmid};
use autosnap_core::select::{Inventory, NodeInfo};
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use autosnap_core::storage::StorageUsage;
use futures_util::stream::{self, StreamExt};
use pve_client::{
    Client, Error, GuestResource, Resource, SnapshotListing, StorageResource, TaskFilter,
    TaskSource, TaskStatus,
};

/// Reads what there is.
pub async fn read(client: &Client) -> Result<Inventory, Error> {
    let mut inventory = Inventory::default();
    for resource in client.resources().await? {
        match resource {
            Resource::Guest(resource) => inventory.guests.extend(guest(resource)),
            Resource::Node(node) => inventory.nodes.push(NodeInfo {
                online: node.is_online(),
                name: node.node,
            }),
            Resource::Storage(storage) => inventory.storages.push(storage_usage(storage)),
            Resource::Pool(pool) => inventory.pools.push(pool),
            Resource::Other(_) => {}
        }
    }
    Ok(inventory)
}

/// The node that has the guest now; `None` if it cannot be seen any more.
pub async fn node_of(client: &Client, vmid: Vmid) -> Result<Option<String>, Error> {
    let resources = client.resources().await?.into_iter();
    let mut nodes = resources.filter_map(|resource| match resource {
        Resource::Guest(guest) if guest.vmid == vmid.get() => Some(guest.node),
        Resource::Guest(_)
        | Resource::Node(_)
        | Resource::Storage(_)
        | Resource::Pool(_)
        | Resource::Other(_) => None,
    });
    Ok(nodes.next())
}

/// A guest's configuration, as far as it matters to snapshots.
pub async fn config(client: &Client, guest: &Guest) -> Result<GuestConfig, Error> {
    let config = client
        .guest_config(&guest.node, wire_kind(guest.kind), guest.vmid.get())
        .await?;
    Ok(GuestConfig::read(guest.kind, config.iter()))
}

/// A guest's snapshots.
pub async fn guest_snapshots(client: &Client, guest: &Guest) -> Result<Vec<Snapshot>, Error> {
    client
        .snapshots(&guest.node, wire_kind(guest.kind), guest.vmid.get())
        .await
        .map(snapshots)
}

/// Whether a task is seen to run for the guest.
pub async fn task_runs(client: &Client, guest: &Guest) -> Result<bool, Error> {
    let filter = TaskFilter {
        vmid: Some(guest.vmid.get()),
        source: TaskSource::Active,
        ..TaskFilter::default()
    };
    let tasks = client.node_tasks(&guest.node, &filter).await?;
    Ok(tasks.iter().any(|task| task.status == TaskStatus::Running))
}

/// A listing as the core knows it.
pub fn snapshots(listing: SnapshotListing) -> Vec<Snapshot> {
    let snapshots = listing.snapshots.into_iter().map(|entry| Snapshot {
        state: SnapshotState::read(entry.state.as_deref()),
        name: entry.name,
        taken_at: entry.taken_at,
        description: entry.description,
        parent: entry.parent,
        with_ram: entry.has_memory,
    });
    snapshots.collect()
}

/// The kind of a guest in the client's words.
pub fn wire_kind(kind: GuestKind) -> pve_client::GuestKind {
    match kind {
        GuestKind::Qemu => pve_client::GuestKind::Qemu,
        GuestKind::Lxc => pve_client::GuestKind::Lxc,
    }
}

/// The kind of a guest in the core's words.
pub fn kind(kind: pve_client::GuestKind) -> GuestKind {
    match kind {
        pve_client::GuestKind::Qemu => GuestKind::Qemu,
        pve_client::GuestKind::Lxc => GuestKind::Lxc,
    }
}

/// Runs one future per item, at most `limit` at a time; the results come in the order of the items.
pub async fn side_by_side<T, R, F: Future<Output = R>>(
    limit: usize,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Vec<R> {
    let numbered = items.into_iter().enumerate();
    let futures = numbered.map(|(index, item)| {
        let future = work(item);
        async move { (index, future.await) }
    });
    let mut results: Vec<(usize, R)> = stream::iter(futures)
        .buffer_unordered(limit.max(1))
        .collect()
        .await;
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
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
