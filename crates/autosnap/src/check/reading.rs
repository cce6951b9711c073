// SPDX-License-Identifier: GPL-3.0-only
//! What `check` reads, and the reading itself. Nothing is decided here.
//!
//! Every host is asked by itself; the dry run and the rest go through a client for all of them, as
//! a run does. What a login may not see is absent, never an error: whether that matters is judged
//! later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autosnap_core::guest::{Guest, GuestConfig};
use autosnap_core::plan::{self, Decision, GuestPlan, Note, Refusal};
use autosnap_core::select::Inventory;
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use jiff::Zoned;
use pve_client::{
    Client, ClientOptions, ClusterIdentity, ClusterStatus, Credentials, Endpoint, Error,
    PeerCertificate, Permissions, ReplicationJob, TaskFilter, TaskSource, TaskStatus,
    fetch_certificate,
};

use super::Settings;
use super::dry_run::{self, DryRun};
use super::storages::{self, Unlisted};
use crate::concurrent::map_concurrent;
use crate::error::Error as LibraryError;
use crate::inventory;
use crate::settings::{GuestStates, Job, JobSettings};

/// How many hosts are asked at once.
const HOSTS_AT_ONCE: usize = 16;

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// The user or token.
    pub login: Login,
    /// The hosts, in the order given.
    pub hosts: Vec<HostReading>,
    /// Why a run could not sign on although a host accepted the login.
    pub not_connected: Option<Arc<LibraryError>>,
    /// The rest; `None` if a run could not sign on.
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
    /// What the run would do.
    pub dry_run: DryRun,
    /// Quorum and nodes; `None` without `Sys.Audit` on `/`.
    pub status: Option<ClusterStatus>,
    /// Whether the token's privileges are separated; `None` if PVE does not tell.
    pub separated: Option<bool>,
    /// The login's privileges; `None` if PVE does not tell.
    pub privileges: Option<Permissions>,
    /// What there is.
    pub inventory: Inventory,
    /// The selected guests, without those that `--only-running` leaves out.
    pub guests: Vec<GuestReading>,
    /// Storages with disks of these guests that PVE does not list, by name and node, each with why.
    pub unlisted: BTreeMap<(String, String), Unlisted>,
    /// The replication jobs.
    pub replication: Vec<ReplicationJob>,
}

/// What one guest said.
#[derive(Debug)]
pub struct GuestReading {
    /// The guest and what would be done to it.
    pub plan: GuestPlan,
    /// The rest; `None` if it was not asked for, or could not be read a second time.
    pub details: Option<Details>,
}

impl GuestReading {
    /// The guest, as the cluster listed it.
    pub fn guest(&self) -> &Guest {
        &self.plan.guest
    }
}

/// What is read of a guest that may be snapshotted, after the dry run.
#[derive(Debug, Clone)]
pub struct Details {
    /// The configuration.
    pub config: GuestConfig,
    /// `vmstatestorage` of the configuration.
    pub state_storage: Option<String>,
    /// The snapshots that were incomplete in the dry run and have got no further.
    pub half_made: Vec<Snapshot>,
    /// The kinds of the tasks that run on it now, as far as the login may see.
    pub running_tasks: Vec<String>,
}

/// Reads everything.
pub async fn read(settings: &Settings, options: ClientOptions, now: &Zoned) -> Reading {
    let login = login(&options.credentials);
    let endpoints = options.endpoints.clone();
    let are_several = endpoints.len() > 1;
    let asked = map_concurrent(HOSTS_AT_ONCE, endpoints, async |endpoint| {
        let options = ClientOptions {
            endpoints: vec![endpoint],
            ..options.clone()
        };
        ask_host(options, are_several).await
    });
    let mut reading = Reading {
        login,
        hosts: asked.await,
        not_connected: None,
        cluster: None,
    };
    let mut states = reading.hosts.iter().map(|host| &host.state);
    if states.any(|state| matches!(state, HostState::Ok { .. })) {
        match ask_cluster(settings, options, &reading.login, now).await {
            Ok(cluster) => reading.cluster = Some(cluster),
            Err(error) => reading.not_connected = Some(Arc::new(error.into())),
        }
    }
    reading
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

async fn ask_host(options: ClientOptions, are_several: bool) -> HostReading {
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

async fn ask_cluster(
    settings: &Settings,
    options: ClientOptions,
    login: &Login,
    now: &Zoned,
) -> Result<ClusterReading, Error> {
    let identity = options.credentials.identity();
    let client = Client::connect(options).await?;
    let dry_run = dry_run::run(&settings.job, &client, &identity, now.clone()).await;
    let plans = dry_run.guests().to_vec();
    let job = settings.job.job;
    let plans = plans
        .into_iter()
        .filter(|plan| !is_left_out(plan, &settings.job));
    let reads_at_once = settings.job.execution.reads_at_once;
    let guests = map_concurrent(reads_at_once, plans, async |plan: GuestPlan| {
        let details = if is_worth_reading(&plan) {
            ask_guest(&client, &plan).await.ok()
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
    // The dry run names what is wrong where this cannot be read.
    let inventory = inventory::read(&client).await.unwrap_or_default();
    let unlisted = match job {
        Job::Snap { .. } => storages::read_unlisted(&client, &inventory, &guests).await,
        Job::Clean => BTreeMap::new(),
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

/// Whether the guest is left out because only running guests are selected; templates never run.
fn is_left_out(plan: &GuestPlan, settings: &JobSettings) -> bool {
    let only_running = settings.job != Job::Clean && settings.states == GuestStates::Running;
    match &plan.decision {
        Decision::Skip(plan::Skip::NotRunning) => true,
        Decision::Skip(plan::Skip::Template) => only_running,
        Decision::Skip(plan::Skip::Unsupported { .. } | plan::Skip::NoSnapshots { .. })
        | Decision::Refuse(_)
        | Decision::Proceed(_) => false,
    }
}

/// Whether details of the guest are read. All other guests are judged by the plan alone. A guest on a
/// storage without snapshots is read because that storage may have been removed.
fn is_worth_reading(plan: &GuestPlan) -> bool {
    match &plan.decision {
        Decision::Skip(skip) => matches!(skip, plan::Skip::NoSnapshots { .. }),
        Decision::Refuse(refusal) => {
            !matches!(refusal, Refusal::NodeOffline | Refusal::Unreadable(_))
        }
        Decision::Proceed(_) => true,
    }
}

async fn ask_guest(client: &Client, plan: &GuestPlan) -> Result<Details, Error> {
    let guest = &plan.guest;
    let (kind, vmid) = (inventory::wire_kind(guest.kind), guest.vmid.get());
    let config = client.guest_config(&guest.node, kind, vmid).await?;
    let suspects: Vec<_> = half_made(plan).collect();
    // The tasks first: if one ends meanwhile, the snapshots show its effect. One that begins meanwhile
    // brings a snapshot into another state.
    let running_tasks = if config.lock().is_some() || !suspects.is_empty() {
        running_tasks(client, guest).await?
    } else {
        Vec::new()
    };
    let mut half_made = Vec::new();
    if !suspects.is_empty() {
        half_made = inventory::guest_snapshots(client, guest).await?;
        half_made.retain(|snapshot| suspects.contains(&(snapshot.name.as_str(), &snapshot.state)));
    }
    Ok(Details {
        state_storage: config.get("vmstatestorage").map(ToOwned::to_owned),
        config: GuestConfig::parse(guest.kind, config.iter()),
        half_made,
        running_tasks,
    })
}

/// The snapshots that were incomplete in the dry run, and how far each had got.
fn half_made(plan: &GuestPlan) -> impl Iterator<Item = (&str, &SnapshotState)> {
    plan.notes.iter().filter_map(|note| match note {
        Note::Incomplete { name, state } => Some((name.as_str(), state)),
        Note::AgentDisabled
        | Note::LimitNotChecked(_)
        | Note::AmbiguousNames { .. }
        | Note::ImpossibleTime { .. }
        | Note::RemovalsOverdue { .. }
        | Note::RemovalLimit { .. } => None,
    })
}

/// A refused listing counts as empty: tasks of other users are hidden anyway. A listing with an unreadable
/// entry is an error, as that entry may be the task.
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
