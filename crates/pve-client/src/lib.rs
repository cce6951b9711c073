// SPDX-License-Identifier: GPL-3.0-only
//! A small asynchronous client for the Proxmox VE API, for what a snapshot tool needs.
//!
//! It knows how PVE speaks (tickets, tokens, reason phrases, Perl's JSON), which of its hosts is
//! alive, and what is certain about a request that failed. It knows nothing of labels, retention
//! or selection. Everything needs a Tokio runtime with time and network enabled.
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
//! Where to look: the calls are in `client`, the way of a request in `transport`, sign-on in
//! `session`, what PVE's answers mean in `reply` and `types`. What may be sent again after it was
//! written is decided in `transport::may_repeat` and nowhere else.

mod call;
mod certificate;
mod client;
mod connection;
mod credentials;
mod dial;
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
mod reply;
mod session;
mod tls;
mod transport;
mod types;
mod upid;
mod wait;
mod watch;
mod wire;

pub use certificate::PeerCertificate;
pub use client::{Client, Statistics, fetch_certificate, fetch_fingerprint};
pub use credentials::{ApiToken, Credentials, TokenError};
pub use endpoint::{DEFAULT_PORT, Endpoint, EndpointError, HostList};
pub use error::{
    AuthenticationProblem, Certainty, Error, Method, MissingPrivilege, says_guest_is_missing,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use membership::{ClusterIdentity, OtherCluster};
pub use options::{ClientOptions, Trust};
pub use proxy::{BYPASS_VARIABLES, PROXY_VARIABLES, ProxyRules};
pub use secrecy::SecretString;
pub use types::{
    ClusterNode, ClusterStatus, GuestConfig, GuestKind, GuestResource, Listing, NewSnapshot,
    NodeGuest, NodeResource, NodeStorage, Permissions, ReplicationJob, Resource, SnapshotEntry,
    SnapshotListing, StorageDefinition, StorageResource, TaskEntry, TaskExit, TaskFilter,
    TaskSource, TaskStatus, Version,
};
pub use upid::{Upid, UpidError};
pub use wait::{WaitError, WaitPolicy, Waited};
