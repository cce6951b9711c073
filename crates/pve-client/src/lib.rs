// SPDX-License-Identifier: GPL-3.0-only
//! An asynchronous client for the parts of the Proxmox VE API that a snapshot tool needs.
//!
//! It handles logins (tickets and API tokens), TLS with certificate fingerprints, error texts in reason
//! phrases, Perl's JSON, failover between the hosts of a cluster, and waiting for tasks. Every error reports
//! whether the request may have been carried out ([`Error::certainty`]). It needs a Tokio runtime with time
//! and network enabled.
//!
//! ```
//! # use pve_sim::simulator::{Options, Simulator};
//! # use serde_json::json;
//! # let secret = "12345678-abcd-ef01-2345-6789abcdef01";
//! # let world = json!({
//! #     "cluster": {"name": "lab", "nodes": [{"name": "pve1", "nodeid": 1}]},
//! #     "guests": [{"vmid": 100, "type": "qemu", "node": "pve1", "name": "web01"}],
//! #     "users": [{"userid": "backup@pve"}],
//! #     "tokens": [{"tokenid": "backup@pve!auto", "privsep": 0}],
//! #     "acl": [{"path": "/", "who": "backup@pve", "role": "Administrator"}],
//! # });
//! # let credentials = json!({"tokens": {"backup@pve!auto": secret}});
//! # let simulator = Simulator::start(Options::new(world, credentials))?;
//! # let (hosts, fingerprint) = (simulator.addresses()[0].to_string(), simulator.fingerprint());
//! use std::time::Duration;
//!
//! use pve_client::{
//!     ApiToken, Client, ClientOptions, Credentials, GuestKind, HostList, NewSnapshot, Trust,
//!     WaitPolicy,
//! };
//! use tokio::time::Instant;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // hosts: "pve1,pve2.example.com:8006", fingerprint: "AA:BB:…"
//! let endpoints = hosts.parse::<HostList>()?.into_endpoints();
//! let login = Credentials::Token(ApiToken::parse(&format!("backup@pve!auto={secret}"))?);
//! let trust = Trust::Fingerprints(vec![fingerprint.parse()?]);
//! let client = Client::connect(ClientOptions::new(endpoints, login, trust)).await?;
//!
//! let snapshot = NewSnapshot {
//!     name: "before-update".to_owned(),
//!     description: "before the update of web01".to_owned(),
//!     with_memory: false,
//! };
//! let task = client.create_snapshot("pve1", GuestKind::Qemu, 100, &snapshot).await?;
//! let deadline = Instant::now() + Duration::from_secs(600);
//! let end = client.wait_for_task(&task, &WaitPolicy::default(), deadline).await?;
//! assert!(end.exit.is_success());
//!
//! let listing = client.snapshots("pve1", GuestKind::Qemu, 100).await?;
//! assert!(listing.find("before-update").is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source code: requests are in `client`, sending and retries in `transport`, authentication in `session`,
//! parsing of replies in `reply` and `types`. Only `transport::classification::may_retry` decides whether a
//! request is sent again after it was written.

#![warn(clippy::wildcard_enum_match_arm)]

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
