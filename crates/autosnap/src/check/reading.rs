// SPDX-License-Identifier: GPL-3.0-only
//! The data that `check` reads, and the requests for it. Nothing is decided here.
//!
//! Every host is checked separately. The dry run and all other reads use one client for all hosts, as a run does.
//! Data that the login may not read is absent, never an error: `check::rules` decide whether it matters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autosnap_core::guest::{Guest, GuestConfig};
use autosnap_core::plan::{self, Decision, GuestPlan, Note, Refusal};
use autosnap_core::select::Inventory;
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use jiff::Zoned;
use pve_client::{
    Client, ClientOptions, ClusterIdentity, ClusterStatus, Endpoint, Error, PeerCertificate,
    Permissions, ReplicationJob, TaskFilter, TaskSource, TaskStatus, fetch_certificate,
};

use super::dry_run::{self, DryRun};
use super::login::Login;
use super::settings::Settings;
use super::storages::{self, Unlisted};
use crate::concurrent::map_concurrent;
use crate::error::Error as LibraryError;
use crate::inventory;
use crate::settings::{GuestStates, JobKind, JobSettings};

/// How many hosts are connected to in parallel.
const PARALLEL_HOSTS: usize = 16;

/// Everything that was read.
#[derive(Debug)]
pub struct Reading {
    /// The user or token.
    pub login: Login,
    /// The hosts, in the order given.
    pub hosts: Vec<HostReading>,
    /// Why a run could not connect, although one host accepted the login.
    pub not_connected: Option<Arc<LibraryError>>,
    /// The cluster; `None` if a run could not connect.
    pub cluster: Option<ClusterReading>,
}

/// The result of connecting to one host.
#[derive(Debug)]
pub struct HostReading {
    /// The host.
    pub endpoint: Endpoint,
    /// Its certificate, if it could be read.
    pub certificate: Option<PeerCertificate>,
    /// Whether the login succeeded.
    pub state: HostState,
    /// The cluster that it belongs to; `None` if that cannot be read, or it is the only host.
    pub cluster: Option<ClusterIdentity>,
}

/// Whether a host can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostState {
    /// The login succeeded.
    Ok {
        /// The version of PVE.
        version: String,
        /// How many seconds its clock is ahead of the clock of this machine, if known.
        clock_lead: Option<i64>,
    },
    /// No reply; the errors of the connection attempts.
    Unreachable(String),
    /// Its certificate is not trusted, the login failed, or the reply is not usable; the error.
    Refused(String),
}

/// The data of the cluster.
#[derive(Debug)]
pub struct ClusterReading {
    /// The dry run.
    pub dry_run: DryRun,
    /// Quorum and nodes; `None` without `Sys.Audit` on `/`.
    pub status: Option<ClusterStatus>,
    /// Whether the token's privileges are separated; `None` if that cannot be read.
    pub separated: Option<bool>,
    /// The login's privileges; `None` if that cannot be read.
    pub privileges: Option<Permissions>,
    /// The guests, nodes, pools and storages.
    pub inventory: Inventory,
    /// The selected guests, without those that `--only-running` leaves out.
    pub guests: Vec<GuestReading>,
    /// Storages with disks of these guests that PVE does not list, by name and node, with the reason.
    pub unlisted: BTreeMap<(String, String), Unlisted>,
    /// The replication jobs.
    pub replication: Vec<ReplicationJob>,
}

/// The data of one guest.
#[derive(Debug)]
pub struct GuestReading {
    /// The plan of the dry run for the guest.
    pub plan: GuestPlan,
    /// The details; `None` if they are not needed or could not be read.
    pub details: Option<Details>,
}

impl GuestReading {
    /// The guest, as the cluster listed it.
    pub fn guest(&self) -> &Guest {
        &self.plan.guest
    }

    /// The storages with its disks, each with the node of the guest.
    fn storages(&self) -> impl Iterator<Item = (&str, &str)> {
        let node = self.guest().node.as_str();
        let storages = self.details.iter();
        let storages = storages.flat_map(|details| details.config.storages());
        storages.map(move |storage| (storage, node))
    }
}

/// Details of a guest that may be snapshotted, read after the dry run.
#[derive(Debug, Clone)]
pub struct Details {
    /// The configuration.
    pub config: GuestConfig,
    /// `vmstatestorage` of the configuration.
    pub state_storage: Option<String>,
    /// The snapshots that were incomplete in the dry run and are still in the same state.
    pub incomplete: Vec<Snapshot>,
    /// The types of the tasks that are running for it, of those that the login may see.
    pub running_tasks: Vec<String>,
}

/// Reads everything.
pub async fn read(settings: &Settings, options: ClientOptions, now: &Zoned) -> Reading {
    let login = Login::new(&options.credentials);
    let endpoints = options.endpoints.clone();
    let are_several = endpoints.len() > 1;
    let checks = map_concurrent(PARALLEL_HOSTS, endpoints, async |endpoint| {
        let options = ClientOptions {
            endpoints: vec![endpoint],
            ..options.clone()
        };
        read_host(options, are_several).await
    });
    let mut reading = Reading {
        login,
        hosts: checks.await,
        not_connected: None,
        cluster: None,
    };
    let mut states = reading.hosts.iter().map(|host| &host.state);
    if states.any(|state| matches!(state, HostState::Ok { .. })) {
        match read_cluster(settings, options, &reading.login, now).await {
            Ok(cluster) => reading.cluster = Some(cluster),
            Err(error) => reading.not_connected = Some(Arc::new(error.into())),
        }
    }
    reading
}

async fn read_host(options: ClientOptions, are_several: bool) -> HostReading {
    let endpoint = options.endpoints[0].clone();
    let limit: Duration = options.connect_timeout;
    let certificate = fetch_certificate(&endpoint, &options.proxy, limit)
        .await
        .ok();
    let connected = match Client::connect(options).await {
        Ok(client) => client.version().await.map(|version| (client, version)),
        Err(error) => Err(error),
    };
    let mut cluster = None;
    let state = match connected {
        Ok((client, version)) => {
            if are_several {
                cluster = client.cluster_identity().await.ok();
            }
            HostState::Ok {
                version: version.version,
                clock_lead: client.clock_difference(),
            }
        }
        Err(error) => state_of(&error),
    };
    HostReading {
        endpoint,
        certificate,
        state,
        cluster,
    }
}

fn state_of(error: &Error) -> HostState {
    match error {
        Error::NotSent { attempts, .. } => {
            let each = attempts.iter().map(ToString::to_string);
            HostState::Unreachable(each.collect::<Vec<_>>().join("; "))
        }
        Error::MaybeProcessed { .. } => HostState::Unreachable(error.to_string()),
        Error::Refused { .. }
        | Error::UnexpectedReply { .. }
        | Error::Intercepted { .. }
        | Error::InvalidListing { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::OtherCluster { .. }
        | Error::Configuration(_) => HostState::Refused(error.to_string()),
    }
}

async fn read_cluster(
    settings: &Settings,
    options: ClientOptions,
    login: &Login,
    now: &Zoned,
) -> Result<ClusterReading, Error> {
    let identity = options.credentials.identity();
    let client = Client::connect(options).await?;
    let dry_run = dry_run::run(&settings.job, &client, &identity, now.clone()).await;
    let plans = dry_run.guests().to_vec();
    let kind = settings.job.kind;
    let plans = plans
        .into_iter()
        .filter(|plan| !is_excluded(plan, &settings.job));
    let reads_at_once = settings.job.execution.reads_at_once;
    let guests = map_concurrent(reads_at_once, plans, async |plan: GuestPlan| {
        let details = if needs_details(&plan) {
            read_details(&client, &plan).await.ok()
        } else {
            None
        };
        GuestReading { plan, details }
    });
    let guests = guests.await;
    let separated = match &login.token {
        Some(token) => client
            .is_token_privilege_separated(&login.user, token)
            .await
            .ok(),
        None => None,
    };
    // If this fails, the dry run has reported the reason.
    let inventory = inventory::read(&client).await.unwrap_or_default();
    let unlisted = match kind {
        JobKind::Snap { .. } => {
            let used = guests.iter().flat_map(GuestReading::storages);
            storages::read_unlisted(&client, &inventory, used).await
        }
        JobKind::Clean => BTreeMap::new(),
    };
    Ok(ClusterReading {
        dry_run,
        status: client.cluster_status().await.ok(),
        separated,
        privileges: client.permissions(None).await.ok(),
        inventory,
        guests,
        unlisted,
        replication: client.replication_jobs().await.unwrap_or_default().entries,
    })
}

/// Whether the guest is skipped because only running guests are selected; templates never run.
fn is_excluded(plan: &GuestPlan, settings: &JobSettings) -> bool {
    let only_running = settings.kind != JobKind::Clean && settings.states == GuestStates::Running;
    match &plan.decision {
        Decision::Skip(plan::Skip::NotRunning) => true,
        Decision::Skip(plan::Skip::Template) => only_running,
        Decision::Skip(plan::Skip::Unsupported { .. } | plan::Skip::NoSnapshots { .. })
        | Decision::Refuse(_)
        | Decision::Proceed(_) => false,
    }
}

/// Whether details of the guest are needed: for all other guests the plan is enough. They are needed for a guest on a
/// storage without snapshots, because that storage may have been removed.
fn needs_details(plan: &GuestPlan) -> bool {
    match &plan.decision {
        Decision::Skip(skip) => matches!(skip, plan::Skip::NoSnapshots { .. }),
        Decision::Refuse(refusal) => {
            !matches!(refusal, Refusal::NodeOffline | Refusal::Unreadable(_))
        }
        Decision::Proceed(_) => true,
    }
}

async fn read_details(client: &Client, plan: &GuestPlan) -> Result<Details, Error> {
    let guest = &plan.guest;
    let (kind, vmid) = (inventory::wire_kind(guest.kind), guest.vmid.get());
    let config = client.guest_config(&guest.node, kind, vmid).await?;
    let candidates: Vec<_> = incomplete_in(plan).collect();
    // The tasks are read first: if one ends before the snapshots are read, they show its effect. A task that starts
    // in between changes the state of a snapshot.
    let running_tasks = if config.lock().is_some() || !candidates.is_empty() {
        running_tasks(client, guest).await?
    } else {
        Vec::new()
    };
    let mut incomplete = Vec::new();
    if !candidates.is_empty() {
        incomplete = inventory::guest_snapshots(client, guest).await?;
        incomplete
            .retain(|snapshot| candidates.contains(&(snapshot.name.as_str(), &snapshot.state)));
    }
    Ok(Details {
        state_storage: config.get("vmstatestorage").map(ToOwned::to_owned),
        config: GuestConfig::parse(guest.kind, config.iter()),
        incomplete,
        running_tasks,
    })
}

/// The snapshots that were incomplete in the dry run, with their states.
fn incomplete_in(plan: &GuestPlan) -> impl Iterator<Item = (&str, &SnapshotState)> {
    plan.notes.iter().filter_map(|note| match note {
        Note::Incomplete { name, state } => Some((name.as_str(), state)),
        Note::AgentDisabled
        | Note::LimitNotChecked(_)
        | Note::AmbiguousNames { .. }
        | Note::ImpossibleTime { .. }
        | Note::Held { .. }
        | Note::OldHold { .. }
        | Note::UnreadableMark { .. }
        | Note::RemovalsOverdue { .. }
        | Note::RemovalLimit { .. } => None,
    })
}

/// The types of the guest's running tasks. A refused listing counts as empty: tasks of other users are hidden anyway. A
/// listing with an unreadable entry is an error, as that entry may be the task.
async fn running_tasks(client: &Client, guest: &Guest) -> Result<Vec<String>, Error> {
    let filter = TaskFilter {
        source: TaskSource::Active,
        vmid: Some(guest.vmid.get()),
        ..TaskFilter::default()
    };
    let tasks = match client.node_tasks(&guest.node, &filter).await {
        Err(error @ Error::InvalidListing { .. }) => return Err(error),
        other => other.unwrap_or_default(),
    };
    let running = tasks
        .into_iter()
        .filter(|task| task.status == TaskStatus::Running);
    Ok(running.map(|task| task.upid.kind().to_owned()).collect())
}
