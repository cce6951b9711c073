// SPDX-License-Identifier: GPL-3.0-only
//! `coverage` and `jobs check`: read the clusters of several jobs and find out how their guests are protected.
//!
//! Each login reads its cluster once. Logins of one cluster are put together, because a guest that one login does not
//! see may be protected by the job of another one; each job is evaluated on what its own login sees, as in a run.
//! Which guests need attention is decided by [`autosnap_core::coverage`].
//!
//! Limits: two logins are in one cluster if they have a host in common, or if the cluster has the same name and a
//! common node. PVE shows the name only with `Sys.Audit` on `/`.

use std::collections::BTreeMap;

use autosnap_core::coverage::{self, Coverage, CoveringJob, SnapshotReading};
use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::select::{Inventory, Selected, UnreadableEntry};
use pve_client::{Client, ClusterIdentity, Endpoint};

use crate::concurrent::map_concurrent;
use crate::error::Error;
use crate::inventory;
use crate::settings::{JobKind, JobSettings};

/// A login with the jobs that use it.
#[derive(Debug)]
pub struct Login {
    /// Logged in.
    pub client: Client,
    /// Its hosts.
    pub hosts: Vec<Endpoint>,
    /// The jobs.
    pub jobs: Vec<NamedJob>,
}

/// A job with the name that texts use.
#[derive(Debug, Clone)]
pub struct NamedJob {
    /// The name.
    pub name: String,
    /// The options.
    pub settings: JobSettings,
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The guests of each cluster.
    Guests,
    /// The guests, and the snapshots of those on which a job may have left some.
    Snapshots {
        /// How many guests are read in parallel.
        reads_at_once: usize,
    },
}

/// The clusters that were read.
#[derive(Debug, Default)]
pub struct Clusters {
    /// One for each cluster.
    pub read: Vec<ClusterCoverage>,
    /// The logins whose cluster could not be read.
    pub failed: Vec<FailedLogin>,
}

/// A cluster, its jobs and the coverage of its guests.
#[derive(Debug)]
pub struct ClusterCoverage {
    /// Its name, if PVE shows it and several clusters had to be told apart.
    pub name: Option<String>,
    /// The hosts of its logins.
    pub hosts: Vec<Endpoint>,
    /// The jobs, in the order of [`CoveringJob`]s in the coverage.
    pub jobs: Vec<JobReading>,
    /// The coverage.
    pub coverage: Coverage,
    /// The entries of listings that could not be read: each may be a guest.
    pub unreadable: Vec<UnreadableEntry>,
}

/// A job and the guests that it selects.
#[derive(Debug)]
pub struct JobReading {
    /// The job.
    pub job: NamedJob,
    /// Its selection on what its login sees.
    pub selected: Selected,
}

/// A login whose cluster could not be read.
#[derive(Debug)]
pub struct FailedLogin {
    /// The names of its jobs.
    pub jobs: Vec<String>,
    /// The error.
    pub error: Error,
}

/// A login and what it sees.
struct View {
    login: Login,
    inventory: Inventory,
    identity: Option<ClusterIdentity>,
}

/// Reads the clusters of the logins.
pub async fn read(logins: Vec<Login>, depth: Depth) -> Clusters {
    let has_several = logins.len() > 1;
    let count = logins.len();
    let views = map_concurrent(count, logins, async |login: Login| {
        view(login, has_several).await
    });
    let mut clusters = Clusters::default();
    let mut groups: Vec<Vec<View>> = Vec::new();
    for view in views.await {
        match view {
            Ok(view) => add_to_group(&mut groups, view),
            Err(failed) => clusters.failed.push(failed),
        }
    }
    for group in groups {
        clusters.read.push(cluster(group, depth).await);
    }
    clusters
}

async fn view(login: Login, has_several: bool) -> Result<View, FailedLogin> {
    let inventory = match inventory::read(&login.client).await {
        Ok(inventory) => inventory,
        Err(error) => {
            return Err(FailedLogin {
                jobs: login.jobs.into_iter().map(|job| job.name).collect(),
                error: error.into(),
            });
        }
    };
    let identity = if has_several {
        login.client.cluster_identity().await.ok()
    } else {
        None
    };
    Ok(View {
        login,
        inventory,
        identity,
    })
}

/// Adds the view to those of its cluster. A view that connects two groups puts them together.
fn add_to_group(groups: &mut Vec<Vec<View>>, view: View) {
    let is_same = |group: &Vec<View>| group.iter().any(|other| same_cluster(other, &view));
    let (same, others): (Vec<_>, Vec<_>) = std::mem::take(groups).into_iter().partition(is_same);
    let mut group: Vec<View> = same.into_iter().flatten().collect();
    group.push(view);
    *groups = others;
    groups.push(group);
}

fn same_cluster(one: &View, other: &View) -> bool {
    let has_host = |host: &Endpoint| other.login.hosts.contains(host);
    let has_name = |identity: &&ClusterIdentity| identity.name.is_some();
    let identity = one.identity.as_ref().filter(has_name);
    let is_named_alike = identity
        .zip(other.identity.as_ref().filter(has_name))
        .is_some_and(|(one, other)| one.is_compatible_with(other));
    one.login.hosts.iter().any(has_host) || is_named_alike
}

async fn cluster(views: Vec<View>, depth: Depth) -> ClusterCoverage {
    let mut guests: BTreeMap<Vmid, (usize, Guest)> = BTreeMap::new();
    let mut jobs = Vec::new();
    let mut covering = Vec::new();
    for (
        position,
        View {
            login, inventory, ..
        },
    ) in views.iter().enumerate()
    {
        for guest in &inventory.guests {
            merge(&mut guests, position, guest);
        }
        for job in &login.jobs {
            let selected = job.settings.selection.evaluate_for_run(inventory);
            covering.push(covering_job(job, &selected));
            jobs.push(JobReading {
                job: job.clone(),
                selected,
            });
        }
    }
    let readings = match depth {
        Depth::Guests => BTreeMap::new(),
        Depth::Snapshots { reads_at_once } => {
            let needed = guests
                .values()
                .filter(|(_, guest)| coverage::needs_snapshots(guest, &covering));
            let needed: Vec<(usize, Guest)> = needed.cloned().collect();
            read_snapshots(&views, needed, reads_at_once).await
        }
    };
    let guests = guests.into_values().map(|(_, guest)| guest);
    let mut hosts: Vec<Endpoint> = Vec::new();
    for host in views.iter().flat_map(|view| &view.login.hosts) {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    let unreadable = views.iter().flat_map(|view| &view.inventory.unreadable);
    let mut identities = views.iter().filter_map(|view| view.identity.as_ref());
    ClusterCoverage {
        name: identities.find_map(|identity| identity.name.clone()),
        hosts,
        coverage: coverage::assess(guests, &covering, &readings),
        jobs,
        unreadable: unreadable.cloned().collect(),
    }
}

/// Adds a guest, or completes it with what another login sees of it.
fn merge(guests: &mut BTreeMap<Vmid, (usize, Guest)>, login: usize, guest: &Guest) {
    let (_, known) = guests
        .entry(guest.vmid)
        .or_insert_with(|| (login, guest.clone()));
    if known.pool.is_none() {
        known.pool.clone_from(&guest.pool);
    }
    if known.name.is_none() {
        known.name.clone_from(&guest.name);
    }
}

fn covering_job(job: &NamedJob, selected: &Selected) -> CoveringJob {
    let settings = &job.settings;
    CoveringJob {
        name: job.name.clone(),
        takes: match settings.kind {
            JobKind::Snap { .. } => true,
            JobKind::Clean => false,
        },
        series: settings.policy.series.clone(),
        tags: settings
            .selection
            .named_tags()
            .map(ToOwned::to_owned)
            .collect(),
        selected: selected.guests.iter().map(|guest| guest.vmid).collect(),
    }
}

/// Reads the snapshots of guests, each by the login with this position.
async fn read_snapshots(
    views: &[View],
    guests: Vec<(usize, Guest)>,
    reads_at_once: usize,
) -> BTreeMap<Vmid, SnapshotReading> {
    let readings = map_concurrent(
        reads_at_once,
        guests,
        async |(login, guest): (usize, Guest)| {
            let View {
                login, inventory, ..
            } = &views[login];
            let reading = match unreadable_reason(inventory, &guest) {
                Some(reason) => SnapshotReading::Failed(reason),
                None => match inventory::guest_snapshots(&login.client, &guest).await {
                    Ok(snapshots) => SnapshotReading::Listed(snapshots),
                    Err(error) => SnapshotReading::Failed(error.to_string()),
                },
            };
            (guest.vmid, reading)
        },
    );
    readings.await.into_iter().collect()
}

/// Why the snapshots of the guest cannot be read, if that is known without a request.
fn unreadable_reason(inventory: &Inventory, guest: &Guest) -> Option<String> {
    let node = &guest.node;
    if inventory.is_offline(node) {
        return Some(format!("node {node} is offline or not reachable"));
    }
    let reason = inventory.unlisted_reason(guest)?;
    Some(format!(
        "node {node} sends no statistics, and its guests could not be listed: {reason}"
    ))
}
