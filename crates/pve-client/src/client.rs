// SPDX-License-Identifier: GPL-3.0-only
//! The client: typed calls that read. Calls that start a task are in `client/tasks.rs`.
//!
//! [`crate::session`] signs on; [`crate::transport`] chooses hosts, keeps connections and repeats
//! reads.

mod certificate;
mod tasks;

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::call::{BodyLimit, Call};
use crate::certificate::PeerCertificate;
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::fingerprint::Fingerprint;
use crate::membership::ClusterIdentity;
use crate::options::ClientOptions;
use crate::reply;
use crate::session::Session;
use crate::transport::Deadline;
use crate::types::loose::{self, EXCERPTS, List};
use crate::types::{
    ClusterStatus, GuestConfig, GuestKind, Listing, NodeGuest, NodeStorage, Permissions,
    ReplicationJob, Resource, SnapshotListing, StorageDefinition, Version,
};
use crate::watch::Watch;

pub use certificate::{fetch_certificate, fetch_fingerprint};

/// What a listing of snapshots lists.
const SNAPSHOTS: &str = "the snapshots";

/// A signed-on connection to a cluster. Cloning is cheap and shares everything.
#[derive(Clone, Debug)]
pub struct Client {
    session: Arc<Session>,
    version: Arc<Version>,
    watch: Arc<Watch>,
    deadline: Deadline,
}

/// What was needed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests written to a connection, logins and repetitions included.
    pub requests: u64,
    /// Connections opened, each with its own TLS handshake.
    pub connections_opened: u64,
}

impl Client {
    /// Connects to the first host that answers, signs on, and proves it by `GET /version`.
    ///
    /// Hosts that do not answer within the connect time-out are passed over, in one round; with
    /// none left the error names each and what it did. With several hosts `GET /cluster/status`
    /// follows: where the login may read it (`Sys.Audit` on `/`), it tells the cluster's name, by
    /// which the other hosts are recognised as members of the same cluster.
    pub async fn connect(options: ClientOptions) -> Result<Self, Error> {
        let session = Arc::new(Session::open(options).await?);
        let version = Arc::new(ask_version(&session, None).await?);
        let client = Self {
            session,
            version,
            watch: Arc::default(),
            deadline: None,
        };
        tracing::debug!(
            endpoint = %client.current_endpoint(), version = client.version.version, "signed on"
        );
        if client.session.transport().host_count() > 1
            && let Err(error) = client.cluster_status().await
        {
            tracing::debug!(%error, "the name of the cluster is not known");
        }
        Ok(client)
    }

    /// The same client, whose requests end at this deadline, or earlier by their own time-out. Sign-on, hosts, connections and tasks that are waited for are shared.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// Whether the hosts have stopped answering: several requests in a row have timed out, without a
    /// single reply, and so will those that follow. A request that changes something is not sent
    /// any more, until a read is answered.
    pub fn is_server_lost(&self) -> bool {
        self.session.transport().is_silent()
    }

    /// The version that the host named when it was connected; costs no request.
    pub fn version_at_connect(&self) -> &Version {
        &self.version
    }

    /// `GET /version`; needs a valid sign-on and no privilege.
    pub async fn version(&self) -> Result<Version, Error> {
        ask_version(&self.session, self.deadline).await
    }

    /// `GET /cluster/resources`: everything the caller may audit, in one list.
    pub async fn resources(&self) -> Result<Listing<Resource>, Error> {
        let call = Call::new(Method::Get, &["cluster", "resources"]);
        let (List(entries, unreadable), endpoint) = self
            .session
            .ask(&call.at_most(BodyLimit::RESOURCES), self.deadline)
            .await?;
        let found = ClusterIdentity::from_resources(&entries);
        self.session.transport().learn(&endpoint, found)?;
        Ok(Listing {
            entries,
            unreadable,
        })
    }

    /// `GET /cluster/status`; needs `Sys.Audit` on `/`.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Error> {
        let call = Call::new(Method::Get, &["cluster", "status"]);
        let (status, endpoint) = self.session.ask(&call, self.deadline).await?;
        let found = ClusterIdentity::from_status(&status);
        self.session.transport().learn(&endpoint, found)?;
        Ok(status)
    }

    /// The cluster that the hosts belong to, by `GET /cluster/status`, or by `GET /nodes` where the
    /// login may not read that; every login may read `/nodes`.
    pub async fn cluster_identity(&self) -> Result<ClusterIdentity, Error> {
        if let Ok(status) = self.cluster_status().await {
            return Ok(ClusterIdentity::from_status(&status));
        }
        self.read(&Call::new(Method::Get, &["nodes"])).await
    }

    /// `GET /access/permissions`: the caller's privileges, on all paths or on one.
    pub async fn permissions(&self, path: Option<&str>) -> Result<Permissions, Error> {
        self.read(&Call::new(Method::Get, &["access", "permissions"]).with_some("path", path))
            .await
    }

    /// `GET /access/users/{user}/token/{token}`: whether the token has privileges of its own,
    /// which are cut down to those of its user, instead of all of its user's. PVE tells it the user
    /// and those with `User.Modify`, not the token itself (`PVE/API2/User.pm`).
    pub async fn is_token_separated(&self, user: &str, token: &str) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Token {
            #[serde(default, deserialize_with = "loose::optional_boolean")]
            privsep: Option<bool>,
        }
        let call = Call::new(Method::Get, &["access", "users", user, "token", token])
            .at_most(BodyLimit::SINGLE);
        // PVE's default is to separate.
        Ok(self.read::<Token>(&call).await?.privsep.unwrap_or(true))
    }

    /// `GET /cluster/replication`: the replication jobs of guests the caller may audit.
    pub async fn replication_jobs(&self) -> Result<Listing<ReplicationJob>, Error> {
        self.list(&Call::new(Method::Get, &["cluster", "replication"]))
            .await
    }

    /// `GET /nodes/{node}/storage`: storages with their usage.
    pub async fn node_storages(&self, node: &str) -> Result<Listing<NodeStorage>, Error> {
        self.list(&Call::new(Method::Get, &["nodes", node, "storage"]))
            .await
    }

    /// `GET /nodes/{node}/qemu` or `/lxc`: the present state of the node's guests of that kind that
    /// the caller may audit.
    pub async fn node_guests(
        &self,
        node: &str,
        kind: GuestKind,
    ) -> Result<Listing<NodeGuest>, Error> {
        self.list(&Call::new(Method::Get, &["nodes", node, kind.as_str()]))
            .await
    }

    /// `GET …/status/current`: the present state of a guest, which `/cluster/resources` may show up
    /// to ten seconds later.
    pub async fn guest_status(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<NodeGuest, Error> {
        let path = &["status", "current"];
        let call = guest_call(Method::Get, node, kind, vmid, path);
        self.read(&call.at_most(BodyLimit::SINGLE)).await
    }

    /// `GET /storage`: the definitions of the storages the caller may audit, disabled ones included.
    pub async fn storages(&self) -> Result<Listing<StorageDefinition>, Error> {
        self.list(&Call::new(Method::Get, &["storage"])).await
    }

    /// `GET …/config`: the guest's configuration, pending changes included.
    pub async fn guest_config(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<GuestConfig, Error> {
        self.read(&guest_call(Method::Get, node, kind, vmid, &["config"]))
            .await
    }

    /// `GET …/feature`: whether the guest can do `snapshot`, `clone` or `copy`.
    pub async fn feature(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        feature: &str,
    ) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Feature {
            #[serde(default, rename = "hasFeature", deserialize_with = "loose::boolean")]
            has_feature: bool,
        }
        let call = guest_call(Method::Get, node, kind, vmid, &["feature"])
            .with("feature", feature)
            .at_most(BodyLimit::SINGLE);
        Ok(self.read::<Feature>(&call).await?.has_feature)
    }

    /// `GET …/snapshot`: the guest's snapshots, all of them. A reply with an entry that cannot be read
    /// is [`Error::NotListed`]: that entry may be any snapshot.
    pub async fn snapshots(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<SnapshotListing, Error> {
        let call = guest_call(Method::Get, node, kind, vmid, &["snapshot"]);
        let (listing, endpoint) = self.listed(&call).await?;
        match listing.unreadable.as_slice() {
            [] => Ok(listing),
            all => Err(reply::not_listed(
                &call,
                endpoint,
                SNAPSHOTS,
                unreadable(all),
            )),
        }
    }

    /// As [`Self::snapshots`], but unreadable entries are no error: for display, never for deciding what is
    /// removed.
    pub async fn readable_snapshots(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
    ) -> Result<SnapshotListing, Error> {
        let call = guest_call(Method::Get, node, kind, vmid, &["snapshot"]);
        Ok(self.listed(&call).await?.0)
    }

    /// A listing of snapshots that can be complete.
    async fn listed(&self, call: &Call) -> Result<(SnapshotListing, Endpoint), Error> {
        let (listing, endpoint) = self
            .session
            .ask::<SnapshotListing>(call, self.deadline)
            .await?;
        match listing.flaw() {
            None => Ok((listing, endpoint)),
            Some(flaw) => Err(reply::not_listed(call, endpoint, SNAPSHOTS, flaw)),
        }
    }

    /// The tasks that are waited for through this client and its clones.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// How many requests and connections were needed so far.
    pub fn statistics(&self) -> Statistics {
        self.session.transport().statistics()
    }

    /// The host the next request goes to first.
    pub fn current_endpoint(&self) -> Endpoint {
        self.session.transport().current_endpoint()
    }

    /// The fingerprint of the certificate the current host showed last, whatever trusts it.
    pub fn peer_fingerprint(&self) -> Option<Fingerprint> {
        self.peer_certificate()
            .map(|certificate| certificate.fingerprint)
    }

    /// The certificate the current host showed last, whatever trusts it.
    pub fn peer_certificate(&self) -> Option<PeerCertificate> {
        self.session.transport().peer_certificate()
    }

    /// How many seconds the current host's clock is ahead of this machine's (less than zero:
    /// behind), from the `Date` of its last answer. Right to about a second and the time the
    /// answer took.
    pub fn clock_difference(&self) -> Option<i64> {
        self.session.transport().clock_difference()
    }

    async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        Ok(self.session.ask::<T>(call, self.deadline).await?.0)
    }

    async fn list<T: DeserializeOwned>(&self, call: &Call) -> Result<Listing<T>, Error> {
        let List(entries, unreadable) = self.read(call).await?;
        Ok(Listing {
            entries,
            unreadable,
        })
    }
}

async fn ask_version(session: &Session, deadline: Deadline) -> Result<Version, Error> {
    let call = Call::new(Method::Get, &["version"]).at_most(BodyLimit::SINGLE);
    let (version, endpoint) = session.ask::<Version>(&call, deadline).await?;
    if version.version.is_empty() {
        let what = "the answer to /version names no version".to_owned();
        return Err(reply::not_understood(
            &call,
            &endpoint,
            what,
            Certainty::Unknown,
        ));
    }
    Ok(version)
}

/// The message about these unreadable entries of a list.
fn unreadable(entries: &[String]) -> String {
    let first = entries.first().map_or("", String::as_str);
    match entries.len() {
        1 => format!("an entry cannot be read: {first}"),
        count if count > EXCERPTS => {
            format!("more than {EXCERPTS} entries cannot be read, such as {first}")
        }
        count => format!("{count} entries cannot be read, such as {first}"),
    }
}

fn guest_call(method: Method, node: &str, kind: GuestKind, vmid: u32, rest: &[&str]) -> Call {
    let vmid = vmid.to_string();
    let mut segments = vec!["nodes", node, kind.as_str(), &vmid];
    segments.extend(rest);
    Call::new(method, &segments)
}
