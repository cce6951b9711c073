// SPDX-License-Identifier: GPL-3.0-only
//! A small asynchronous client for the Proxmox VE API, for what a snapshot tool needs.
//!
//! It knows how PVE speaks (tickets, tokens, reason phrases, Perl's JSON), which of its hosts is
//! alive, and what is certain about a request that failed. It knows nothing of labels, retention
//! or selection. Everything needs a Tokio runtime with time and network enabled.

mod call;
mod client;
mod connection;
mod credentials;
mod endpoint;
mod error;
mod fingerprint;
mod options;
mod pool;
mod reply;
mod session;
mod tls;
mod transport;
mod types;
mod upid;
mod wait;
mod wire;

pub use client::{Client, Statistics};
pub use credentials::{ApiToken, Credentials, TokenError};
pub use endpoint::{DEFAULT_PORT, Endpoint, EndpointError, HostList};
pub use error::{AuthenticationProblem, Certainty, Error, Method, MissingPrivilege};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use options::{ClientOptions, Trust};
pub use secrecy::SecretString;
pub use types::{
    ClusterNode, ClusterStatus, GuestConfig, GuestKind, GuestResource, NewSnapshot, NodeResource,
    NodeStorage, Permissions, Resource, SnapshotEntry, SnapshotListing, StorageResource, TaskEntry,
    TaskExit, TaskFilter, TaskSource, TaskStatus, Version,
};
pub use upid::{Upid, UpidError};
pub use wait::{WaitError, WaitPolicy};
