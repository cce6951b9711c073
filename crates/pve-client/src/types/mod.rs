// SPDX-License-Identifier: GPL-3.0-only
//! The data in PVE's replies. Each type is parsed directly from the bytes of the reply; [`lenient`]
//! accepts the inconsistent JSON types that Perl sends.

mod cluster;
mod guest;
pub(crate) mod lenient;
mod listing;
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
