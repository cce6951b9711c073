// SPDX-License-Identifier: GPL-3.0-only
//! The client: typed requests that read. Requests that start a task are in `client/tasks.rs`, those about one snapshot in
//! `client/snapshot_config.rs`.
//!
//! [`crate::session`] authenticates; [`crate::transport`] chooses hosts, keeps connections and retries
//! reads.

mod fetch_certificate;
mod snapshot_config;
mod tasks;

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::certificate::PeerCertificate;
use crate::cluster_identity::ClusterIdentity;
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::fingerprint::Fingerprint;
use crate::options::ClientOptions;
use crate::reply;
use crate::request::{ApiRequest, BodyLimit};
use crate::session::Session;
use crate::task_watch::TaskWatch;
use crate::transport::{Deadline, Statistics};
use crate::types::lenient::{self, EXCERPTS, List};
use crate::types::{
    ClusterStatus, GuestConfig, GuestKind, Listing, NodeGuest, NodeStorage, Permissions,
    ReplicationJob, Resource, SnapshotListing, StorageDefinition, Version,
};

pub use fetch_certificate::{fetch_certificate, fetch_fingerprint};

/// The subject of a snapshot listing, for error messages.
const SNAPSHOTS: &str = "the snapshots";

/// A client of one cluster, logged in as one user or token.
///
/// Clones are cheap and share the login, the connections and the state of the hosts.
#[derive(Clone, Debug)]
pub struct Client {
    session: Arc<Session>,
    version: Arc<Version>,
    task_watch: Arc<TaskWatch>,
    deadline: Deadline,
}

impl Client {
    /// Connects to the first host that replies, logs in, and checks the login with `GET /version`.
    ///
    /// Hosts that do not reply within the connect timeout are skipped; the hosts are tried once, and if
    /// none replies the error names each with its reason. With several hosts `GET /cluster/status`
    /// follows: if the login may read it (`Sys.Audit` on `/`), the name of the cluster is known, and the
    /// other hosts must belong to a cluster of the same name.
    pub async fn connect(options: ClientOptions) -> Result<Self, Error> {
        let session = Arc::new(Session::open(options).await?);
        let version = Arc::new(request_version(&session, None).await?);
        let client = Self {
            session,
            version,
            task_watch: Arc::default(),
            deadline: None,
        };
        tracing::debug!(
            endpoint = %client.current_endpoint(), version = client.version.version, "logged in"
        );
        if client.session.transport().host_count() > 1
            && let Err(error) = client.cluster_status().await
        {
            tracing::debug!(%error, "the name of the cluster is unknown");
        }
        Ok(client)
    }

    /// A clone whose requests fail at this deadline, or earlier by their own timeout.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// Whether the hosts have stopped replying: five requests in a row have timed out.
    ///
    /// Requests that change something are then not sent until a read gets a reply.
    pub fn is_server_lost(&self) -> bool {
        self.session.transport().is_silent()
    }

    /// The version that the host reported when the client connected; sends no request.
    pub fn version_at_connect(&self) -> &Version {
        &self.version
    }

    /// `GET /version`: the version of PVE. It needs a login without any privilege.
    pub async fn version(&self) -> Result<Version, Error> {
        request_version(&self.session, self.deadline).await
    }

    /// `GET /cluster/resources`: all guests, nodes, storages and pools that the login may audit.
    ///
    /// The list may be up to ten seconds old.
    pub async fn resources(&self) -> Result<Listing<Resource>, Error> {
        let request = ApiRequest::new(Method::Get, &["cluster", "resources"]);
        let (List(entries, unreadable), endpoint) = self
            .session
            .send(&request.at_most(BodyLimit::RESOURCES), self.deadline)
            .await?;
        let found = ClusterIdentity::from_resources(&entries);
        self.session.transport().record_cluster(&endpoint, found)?;
        Ok(Listing {
            entries,
            unreadable,
        })
    }

    /// `GET /cluster/status`: name, quorum and nodes of the cluster. It needs `Sys.Audit` on `/`.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Error> {
        let request = ApiRequest::new(Method::Get, &["cluster", "status"]);
        let (status, endpoint) = self.session.send(&request, self.deadline).await?;
        let found = ClusterIdentity::from_status(&status);
        self.session.transport().record_cluster(&endpoint, found)?;
        Ok(status)
    }

    /// The identity of the cluster, from `GET /cluster/status`, or from `GET /nodes` if the login may not
    /// read the status. Every login may read `/nodes`.
    pub async fn cluster_identity(&self) -> Result<ClusterIdentity, Error> {
        if let Ok(status) = self.cluster_status().await {
            return Ok(ClusterIdentity::from_status(&status));
        }
        self.read(&ApiRequest::new(Method::Get, &["nodes"])).await
    }

    /// `GET /access/permissions`: the privileges of the login, on all paths or on one.
    pub async fn permissions(&self, path: Option<&str>) -> Result<Permissions, Error> {
        self.read(&ApiRequest::new(Method::Get, &["access", "permissions"]).with_some("path", path))
            .await
    }

    /// `GET /access/users/{user}/token/{token}`: whether privilege separation is on for the token, which
    /// then needs privileges of its own.
    ///
    /// The user itself and logins with `User.Modify` may read it, the token may not
    /// (`PVE/API2/User.pm`).
    pub async fn is_token_privilege_separated(
        &self,
        user: &str,
        token: &str,
    ) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Token {
            #[serde(default, deserialize_with = "lenient::optional_boolean")]
            privsep: Option<bool>,
        }
        let request = ApiRequest::new(Method::Get, &["access", "users", user, "token", token])
            .at_most(BodyLimit::SINGLE);
        // Privilege separation is PVE's default.
        Ok(self.read::<Token>(&request).await?.privsep.unwrap_or(true))
    }

    /// `GET /cluster/replication`: the replication jobs of guests that the login may audit.
    pub async fn replication_jobs(&self) -> Result<Listing<ReplicationJob>, Error> {
        self.list(&ApiRequest::new(Method::Get, &["cluster", "replication"]))
            .await
    }

    /// `GET /nodes/{node}/storage`: the storages of the node with their usage.
    pub async fn node_storages(&self, node: &str) -> Result<Listing<NodeStorage>, Error> {
        self.list(&ApiRequest::new(Method::Get, &["nodes", node, "storage"]))
            .await
    }

    /// `GET /nodes/{node}/qemu` or `/lxc`: the current state of the node's guests of that kind that the
    /// login may audit.
    pub async fn node_guests(
        &self,
        node: &str,
        kind: GuestKind,
    ) -> Result<Listing<NodeGuest>, Error> {
        self.list(&ApiRequest::new(
            Method::Get,
            &["nodes", node, kind.as_str()],
        ))
        .await
    }

    /// `GET …/status/current`: the current state of a guest, which `/cluster/resources` may show up to ten
    /// seconds later.
    pub async fn guest_status(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<NodeGuest, Error> {
        let path = &["status", "current"];
        let request = guest_request(Method::Get, node, kind, vmid, path);
        self.read(&request.at_most(BodyLimit::SINGLE)).await
    }

    /// `GET /storage`: the configuration of the storages that the login may audit, disabled ones included.
    pub async fn storages(&self) -> Result<Listing<StorageDefinition>, Error> {
        self.list(&ApiRequest::new(Method::Get, &["storage"])).await
    }

    /// `GET …/config`: the guest's configuration, with pending changes.
    pub async fn guest_config(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<GuestConfig, Error> {
        self.read(&guest_request(Method::Get, node, kind, vmid, &["config"]))
            .await
    }

    /// `GET …/feature`: whether the guest supports the feature: `snapshot`, `clone` or `copy`.
    pub async fn feature(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        feature: &str,
    ) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Feature {
            #[serde(default, rename = "hasFeature", deserialize_with = "lenient::boolean")]
            has_feature: bool,
        }
        let request = guest_request(Method::Get, node, kind, vmid, &["feature"])
            .with("feature", feature)
            .at_most(BodyLimit::SINGLE);
        Ok(self.read::<Feature>(&request).await?.has_feature)
    }

    /// `GET …/snapshot`: all snapshots of the guest.
    ///
    /// A reply with an entry that cannot be read is an [`Error::InvalidListing`]: that entry may be any
    /// snapshot.
    pub async fn snapshots(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<SnapshotListing, Error> {
        let request = guest_request(Method::Get, node, kind, vmid, &["snapshot"]);
        let (listing, endpoint) = self.snapshot_listing(&request).await?;
        match listing.unreadable.as_slice() {
            [] => Ok(listing),
            all => Err(reply::invalid_listing(
                &request,
                endpoint,
                SNAPSHOTS,
                unreadable_text(all),
            )),
        }
    }

    /// Like [`Self::snapshots`], but unreadable entries are not an error. Use it for display, never to
    /// decide what is removed.
    pub async fn readable_snapshots(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<SnapshotListing, Error> {
        let request = guest_request(Method::Get, node, kind, vmid, &["snapshot"]);
        Ok(self.snapshot_listing(&request).await?.0)
    }

    /// The snapshot listing, if it can be complete.
    async fn snapshot_listing(
        &self,
        request: &ApiRequest,
    ) -> Result<(SnapshotListing, Endpoint), Error> {
        let (listing, endpoint) = self
            .session
            .send::<SnapshotListing>(request, self.deadline)
            .await?;
        match listing.problem() {
            None => Ok((listing, endpoint)),
            Some(problem) => Err(reply::invalid_listing(
                request, endpoint, SNAPSHOTS, problem,
            )),
        }
    }

    /// The tasks that this client and its clones wait for.
    pub(crate) fn task_watch(&self) -> &TaskWatch {
        &self.task_watch
    }

    /// How many requests and connections this client and its clones have needed so far.
    pub fn statistics(&self) -> Statistics {
        self.session.transport().statistics()
    }

    /// The host to which the next request is sent first.
    pub fn current_endpoint(&self) -> Endpoint {
        self.session.transport().current_endpoint()
    }

    /// The fingerprint of the certificate of the current host, from the last connection.
    pub fn peer_fingerprint(&self) -> Option<Fingerprint> {
        self.peer_certificate()
            .map(|certificate| certificate.fingerprint)
    }

    /// The certificate of the current host, from the last connection.
    pub fn peer_certificate(&self) -> Option<PeerCertificate> {
        self.session.transport().peer_certificate()
    }

    /// How many seconds the clock of the current host is ahead of this machine's; negative if it is
    /// behind.
    ///
    /// It comes from the `Date` of the last reply, so its error is about one second plus the duration of
    /// that request.
    pub fn clock_difference(&self) -> Option<i64> {
        self.session.transport().clock_difference()
    }

    async fn read<T: DeserializeOwned>(&self, request: &ApiRequest) -> Result<T, Error> {
        Ok(self.session.send::<T>(request, self.deadline).await?.0)
    }

    async fn list<T: DeserializeOwned>(&self, request: &ApiRequest) -> Result<Listing<T>, Error> {
        let List(entries, unreadable) = self.read(request).await?;
        Ok(Listing {
            entries,
            unreadable,
        })
    }
}

async fn request_version(session: &Session, deadline: Deadline) -> Result<Version, Error> {
    let request = ApiRequest::new(Method::Get, &["version"]).at_most(BodyLimit::SINGLE);
    let (version, endpoint) = session.send::<Version>(&request, deadline).await?;
    if version.version.is_empty() {
        let problem = "the reply to /version contains no version".to_owned();
        return Err(reply::unexpected_reply(
            &request,
            &endpoint,
            problem,
            Certainty::Unknown,
        ));
    }
    Ok(version)
}

/// The message about list entries that cannot be read.
fn unreadable_text(entries: &[String]) -> String {
    let first = entries.first().map_or("", String::as_str);
    match entries.len() {
        1 => format!("an entry cannot be read: {first}"),
        count if count > EXCERPTS => {
            format!("more than {EXCERPTS} entries cannot be read, such as {first}")
        }
        count => format!("{count} entries cannot be read, such as {first}"),
    }
}

fn guest_request(
    method: Method,
    node: &str,
    kind: GuestKind,
    vmid: u32,
    rest: &[&str],
) -> ApiRequest {
    let vmid = vmid.to_string();
    let mut segments = vec!["nodes", node, kind.as_str(), &vmid];
    segments.extend(rest);
    ApiRequest::new(method, &segments)
}
