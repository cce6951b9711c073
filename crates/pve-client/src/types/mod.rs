// SPDX-License-Identifier: GPL-3.0-only
//! What PVE's answers say, as compact types. Each is filled directly from the bytes; see [`loose`]
//! for how Perl's freedom with types is borne.

mod cluster;
mod guest;
mod listing;
pub(crate) mod loose;
mod node_guest;
pub(crate) mod repair;
mod replication;
mod resource;
mod snapshot;
mod storage;
mod task;

pub use cluster::{ClusterNode, ClusterStatus, Permissions, Version};
pub use guest::{GuestConfig, GuestKind};
pub use listing::Listing;
pub use node_guest::NodeGuest;
pub use replication::ReplicationJob;
pub use resource::{GuestResource, NodeResource, Resource, StorageResource};
pub use snapshot::{NewSnapshot, SnapshotEntry, SnapshotListing};
pub use storage::{NodeStorage, StorageDefinition};
pub use task::{TaskEntry, TaskExit, TaskFilter, TaskSource, TaskStatus};
