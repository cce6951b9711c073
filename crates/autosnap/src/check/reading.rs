// SPDX-License-Identifier: GPL-3.0-only
//! What `check` reads, and the reading itself. Nothing is decided here.
//!
//! Every host is asked by itself; the first that lets us in tells of the cluster. What a login may
//! not see is absent, never an error: whether that matters is judged later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use autosnap_core::guest::{Guest, GuestConfig, GuestStatus, Vmid};
use autosnap_core::plan::{self, Refusal};
use autosnap_core::select::{Inventory, SelectionWarning};
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use autosnap_core::storage::StorageUsage;
use pve_client::{
    Client, ClientOptions, ClusterIdentity, ClusterStatus, Credentials, Endpoint, Error,
    PeerCertificate, ReplicationJob, TaskFilter, TaskSource, TaskStatus, fetch_certificate,
};

use super::Settings;
use crate::fault::Fault;
use crate::inventory;

/// How many hosts are asked at once.
const HOSTS_AT_ONCE: usize = 16;

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// The user or token.
    pub login: Login,
    /// The hosts, in the order given.
    pub hosts: Vec<HostReading>,
    /// The rest; `None` if no host let us in.
    pub cluster: Option<ClusterReading>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `user@realm`.
    pub user: String,
    /// The token's ID without the user; `None` with a password.
    pub token: Option<String>,
}

/// What one host said.
#[derive(Debug)]
pub struct HostReading {
    /// The host.
    pub endpoint: Endpoint,
    /// The certificate it shows.
    pub certificate: Option<PeerCertificate>,
    /// What it said after signing on.
    pub state: HostState,
    /// The cluster it belongs to; `None` if it does not say, or is the only host.
    pub cluster: Option<ClusterIdentity>,
}

/// How asking a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostState {
    /// It let us in.
    Ok {
        /// The version of PVE.
        version: String,
        /// By how many seconds its clock is ahead of ours, if it says.
        clock_lead: Option<i64>,
    },
    /// It does not answer.
    Unreachable(String),
    /// It answers, but its certificate or our sign-on is refused.
    Refused(String),
}

/// What the cluster said.
#[derive(Debug)]
pub struct ClusterReading {
    /// Quorum and nodes; `None` without `Sys.Audit` on `/`.
    pub status: Option<ClusterStatus>,
    /// Whether the token's privileges are separated; `None` if PVE does not tell.
    pub separated: Option<bool>,
    /// Privileges by path, each with whether it holds below the path too; `None` if PVE does not
    /// tell.
    pub privileges: Option<Privileges>,
    /// What there is.
    pub inventory: Inventory,
    /// How many guests the selection selects.
    pub selected: usize,
    /// The selected guests, without those that `--only-running` leaves out.
    pub guests: Vec<GuestReading>,
    /// The terms that match nothing.
    pub warnings: Vec<SelectionWarning>,
    /// The IDs of the guests that are selected by ID or exact name.
    pub named: BTreeSet<Vmid>,
    /// The selected guests that `--only-running` leaves out.
    pub not_running: Vec<Guest>,
    /// The replication jobs.
    pub replication: Vec<ReplicationJob>,
}

/// Privileges by path, as `GET /access/permissions` lists them.
pub type Privileges = BTreeMap<String, BTreeMap<String, bool>>;

/// What one guest said.
#[derive(Debug)]
pub struct GuestReading {
    /// The guest, as the cluster listed it.
    pub guest: Guest,
    /// The rest, or why it could not be read; `None` if nobody asked, as its node is off or it is
    /// a template.
    pub details: Option<Result<Details, String>>,
}

/// What is read of a guest that may be snapshotted.
#[derive(Debug, Clone)]
pub struct Details {
    /// The configuration.
    pub config: GuestConfig,
    /// `vmstatestorage` of the configuration.
    pub state_storage: Option<String>,
    /// The snapshots.
    pub snapshots: Vec<Snapshot>,
    /// Whether PVE says that it can be snapshotted (`…/feature`), where the configuration and the
    /// storages do not tell.
    pub feature: Option<bool>,
    /// The kinds of the tasks that run on it now, as far as the login may see.
    pub running_tasks: Vec<String>,
}

/// Reads everything.
pub async fn read(settings: &Settings, options: ClientOptions) -> Result<Reading, Fault> {
    let login = login(&options.credentials);
    let endpoints = options.endpoints.clone();
    let are_several = endpoints.len() > 1;
    let asked = inventory::side_by_side(HOSTS_AT_ONCE, endpoints, async |endpoint| {
        let options = ClientOptions {
            endpoints: vec![endpoint],
            ..options.clone()
        };
        ask_host(options, are_several).await
    });
    let (hosts, clients): (Vec<HostReading>, Vec<Option<Client>>) = asked.await.into_iter().unzip();
    let cluster = match clients.into_iter().flatten().next() {
        Some(client) => Some(ask_cluster(settings, &client, &login).await?),
        None => None,
    };
    Ok(Reading {
        login,
        hosts,
        cluster,
    })
}

fn login(credentials: &Credentials) -> Login {
    let identity = credentials.identity();
    match identity.split_once('!') {
        Some((user, token)) => Login {
            user: user.to_owned(),
            token: Some(token.to_owned()),
        },
        None => Login {
            user: identity,
            token: None,
        },
    }
}

async fn ask_host(options: ClientOptions, are_several: bool) -> (HostReading, Option<Client>) {
    let endpoint = options.endpoints[0].clone();
    let limit: Duration = options.connect_timeout;
    let certificate = fetch_certificate(&endpoint, limit).await.ok();
    let connected = match Client::connect(options).await {
        Ok(client) => client.version().await.map(|version| (client, version)),
        Err(error) => Err(error),
    };
    let (state, client) = match connected {
        Ok((client, version)) => {
            let state = HostState::Ok {
                version: version.version,
                clock_lead: client.clock_difference(),
            };
            (state, Some(client))
        }
        Err(error) => (state_of(&error), None),
    };
    let cluster = match &client {
        Some(client) if are_several => client.cluster_identity().await.ok(),
        Some(_) | None => None,
    };
    let reading = HostReading {
        endpoint,
        certificate,
        state,
        cluster,
    };
    (reading, client)
}

fn state_of(error: &Error) -> HostState {
    match error {
        Error::NotSent { attempts, .. } => {
            let each = attempts
                .iter()
                .map(|(host, reason)| format!("{host}: {reason}"));
            HostState::Unreachable(each.collect::<Vec<_>>().join("; "))
        }
        Error::MaybeProcessed { .. } => HostState::Unreachable(error.to_string()),
        Error::Refused { .. }
        | Error::NotUnderstood { .. }
        | Error::Intercepted { .. }
        | Error::NotListed { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::OtherCluster { .. }
        | Error::Configuration(_) => HostState::Refused(error.to_string()),
    }
}

async fn ask_cluster(
    settings: &Settings,
    client: &Client,
    login: &Login,
) -> Result<ClusterReading, Fault> {
    let inventory = inventory::read(client).await?;
    let selected = settings.selection.evaluate(&inventory);
    let count = selected.guests.len();
    let readings = inventory::side_by_side(
        settings.reads_at_once,
        selected.guests,
        async |guest: Guest| match selected.unresolved.get(&guest.vmid) {
            Some(term) if plan::unreachable(&guest, &inventory).is_none() => Ok(GuestReading {
                details: Some(Err(plan::may_be_excluded(term))),
                guest,
            }),
            Some(_) | None => read_guest(settings, client, guest, &inventory).await,
        },
    );
    let (mut guests, mut not_running) = (Vec::new(), Vec::new());
    for reading in readings.await {
        match reading {
            Ok(reading) => guests.push(reading),
            Err(guest) => not_running.push(guest),
        }
    }
    let separated = match &login.token {
        Some(token) => client.is_token_separated(&login.user, token).await.ok(),
        None => None,
    };
    let privileges = client.permissions(None).await.ok().map(|permissions| {
        let owned = permissions.iter();
        owned
            .map(|(path, privileges)| (path.to_owned(), privileges.clone()))
            .collect()
    });
    Ok(ClusterReading {
        status: client.cluster_status().await.ok(),
        separated,
        privileges,
        inventory,
        selected: count,
        guests,
        warnings: selected.warnings,
        named: selected.named,
        not_running,
        replication: client.replication_jobs().await.unwrap_or_default().entries,
    })
}

/// Reads a guest; the guest itself if `--only-running` leaves it out. As the listing may be old, such a
/// guest is asked first.
async fn read_guest(
    settings: &Settings,
    client: &Client,
    mut guest: Guest,
    inventory: &Inventory,
) -> Result<GuestReading, Guest> {
    if settings.only_running && guest.status != GuestStatus::Running {
        if guest.template {
            return Err(guest);
        }
        if plan::unreachable(&guest, inventory).is_none() {
            if let Err(error) = inventory::refresh_status(client, &mut guest).await {
                let details = Some(Err(error.to_string()));
                return Ok(GuestReading { guest, details });
            }
            if guest.status != GuestStatus::Running {
                return Err(guest);
            }
        }
    }
    let details = read_details(client, &guest, inventory).await;
    Ok(GuestReading { guest, details })
}

/// What the guest says of itself; `None` if nobody is to ask.
async fn read_details(
    client: &Client,
    guest: &Guest,
    inventory: &Inventory,
) -> Option<Result<Details, String>> {
    if guest.template {
        return None;
    }
    match plan::unreachable(guest, inventory) {
        None => {}
        Some(Refusal::Unreadable(reason)) => return Some(Err(reason)),
        Some(_) => return None,
    }
    let details = ask_guest(client, guest, &inventory.storages).await;
    Some(details.map_err(|error| error.to_string()))
}

async fn ask_guest(
    client: &Client,
    guest: &Guest,
    storages: &[StorageUsage],
) -> Result<Details, Error> {
    let (kind, vmid) = (inventory::wire_kind(guest.kind), guest.vmid.get());
    let config = client.guest_config(&guest.node, kind, vmid).await?;
    let snapshots = inventory::guest_snapshots(client, guest).await?;
    let understood = GuestConfig::read(guest.kind, config.iter());
    let feature = inventory::can_snapshot(client, guest, &understood, storages).await?;
    let is_suspect = |snapshot: &Snapshot| snapshot.state != SnapshotState::Complete;
    let asked = config.lock().is_some() || snapshots.iter().any(is_suspect);
    let running_tasks = if asked {
        running_tasks(client, guest).await?
    } else {
        Vec::new()
    };
    Ok(Details {
        state_storage: config.get("vmstatestorage").map(ToOwned::to_owned),
        config: understood,
        snapshots,
        feature,
        running_tasks,
    })
}

/// A listing that is refused is as good as an empty one: tasks of others are hidden anyway. One with an
/// entry that cannot be read is an error, as that may be the task.
async fn running_tasks(client: &Client, guest: &Guest) -> Result<Vec<String>, Error> {
    let filter = TaskFilter {
        source: TaskSource::Active,
        vmid: Some(guest.vmid.get()),
        ..TaskFilter::default()
    };
    let tasks = match client.node_tasks(&guest.node, &filter).await {
        Err(error @ Error::NotListed { .. }) => return Err(error),
        other => other.unwrap_or_default(),
    };
    let running = tasks
        .into_iter()
        .filter(|task| task.status == TaskStatus::Running);
    Ok(running.map(|task| task.upid.kind().to_owned()).collect())
}
