// SPDX-License-Identifier: GPL-3.0-only
//! An asynchronous client for the parts of the Proxmox VE API that a snapshot tool needs.
//!
//! It handles logins (tickets and API tokens), TLS with certificate fingerprints, error texts in reason
//! phrases, Perl's JSON, failover between the hosts of a cluster, and waiting for tasks. Every error reports
//! whether the request may have been carried out ([`Error::certainty`]). It needs a Tokio runtime with time
//! and network enabled.
//!
//! ```no_run
//! use pve_client::{ApiToken, Client, ClientOptions, Credentials, HostList, Resource, Trust};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let hosts: HostList = "pve1,pve2.example.com:8006".parse()?;
//! let token = ApiToken::parse("backup@pve!auto=12345678-abcd-ef01-2345-6789abcdef01")?;
//! let options =
//!     ClientOptions::new(hosts.into_endpoints(), Credentials::Token(token), Trust::SystemStore);
//! let client = Client::connect(options).await?;
//! for resource in client.resources().await? {
//!     if let Resource::Guest(guest) = resource {
//!         let listing = client.snapshots(&guest.node, guest.kind, guest.vmid).await?;
//!         assert!(listing.snapshots.iter().all(|snapshot| snapshot.name != "current"));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Source code: requests are in `client`, sending and retries in `transport`, authentication in `session`,
//! parsing of replies in `reply` and `types`. Only `transport::classification::may_retry` decides whether a
//! request is sent again after it was written.

mod certificate;
mod client;
mod cluster_identity;
mod connect_failure;
mod connection;
mod credentials;
mod dialer;
mod endpoint;
mod error;
mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod health;
mod host;
mod key_kind;
mod masking;
mod membership;
mod options;
mod pool;
mod proxy;
mod raw_reply;
mod reply;
mod request;
mod session;
mod task_wait;
mod task_watch;
mod tls;
mod tracked_stream;
mod transport;
mod types;
mod upid;

pub use certificate::PeerCertificate;
pub use client::{Client, fetch_certificate, fetch_fingerprint};
pub use cluster_identity::{ClusterIdentity, OtherCluster};
pub use connect_failure::{ConnectProblem, FailedAttempt};
pub use credentials::{ApiToken, Credentials, TokenError};
pub use endpoint::{DEFAULT_PORT, Endpoint, EndpointError, HostList};
pub use error::{
    AuthenticationProblem, Certainty, Error, Method, MissingPrivilege, is_guest_missing_text,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use options::{ClientOptions, Trust};
pub use proxy::{BYPASS_VARIABLES, PROXY_VARIABLES, ProxyRules};
pub use secrecy::SecretString;
pub use task_wait::{TaskEnd, WaitError, WaitPolicy};
pub use transport::Statistics;
pub use types::{
    ClusterNode, ClusterStatus, GuestConfig, GuestKind, GuestResource, Listing, NewSnapshot,
    NodeGuest, NodeResource, NodeStorage, Permissions, ReplicationJob, Resource, SnapshotEntry,
    SnapshotListing, StorageDefinition, StorageResource, TaskEntry, TaskExit, TaskFilter,
    TaskSource, TaskStatus, Version,
};
pub use upid::{Upid, UpidError};
