// SPDX-License-Identifier: GPL-3.0-only
//! Coverage: which jobs protect each guest of a cluster, and where jobs or tags contradict each other.
//!
//! A job is a set of guests and the series that it takes and removes. Which guests a job selects is evaluated before,
//! because jobs may have logins that see different parts of the cluster.
//!
//! Limits: whether a guest can be snapshotted is not decided here, and neither is whether a job ever runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::guest::{Guest, GuestStatus, Vmid};
use crate::name::{AmbiguousNames, Membership, OtherLabels, Series, TimestampFormat};
use crate::select::{OFF_TAG, is_policy_tag, is_tagged_off, nearest_policy_tag};
use crate::snapshot::Snapshot;

/// A job on a cluster.
#[derive(Clone, Debug)]
pub struct CoveringJob {
    /// Its name, which texts use.
    pub name: String,
    /// Whether it takes snapshots. A job that only removes them protects no guest.
    pub takes: bool,
    /// The series that it counts and removes, with those of adopted labels.
    pub series: Series,
    /// The tags that its selection names, exclusions included, in lower case.
    pub tags: BTreeSet<String>,
    /// The guests that it selects.
    pub selected: BTreeSet<Vmid>,
}

impl CoveringJob {
    /// The series of its label and of the adopted labels.
    fn owned(&self) -> impl Iterator<Item = &Series> {
        std::iter::once(&self.series).chain(self.series.adopted())
    }

    /// Whether it counts and removes some snapshots of the series: the same label in a common format.
    fn owns_any(&self, series: &Series) -> bool {
        self.formats_of(series)
            .any(|format| series.formats().contains(format))
    }

    /// Whether it counts and removes all snapshots of the series.
    fn owns_whole(&self, series: &Series) -> bool {
        let mut formats = series.formats().iter();
        formats.all(|format| self.formats_of(series).any(|own| own == format))
    }

    /// The formats in which it owns the label of the series.
    fn formats_of(&self, series: &Series) -> impl Iterator<Item = &TimestampFormat> {
        let label = series.label();
        let same = self.owned().filter(move |own| own.label() == label);
        same.flat_map(Series::formats)
    }
}

/// What is known of the snapshots of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotReading {
    /// Its snapshots.
    Listed(Vec<Snapshot>),
    /// They could not be read, for this reason.
    Failed(String),
}

/// The coverage of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each guest once, the states that need attention first, then by ID.
    pub guests: Vec<GuestCoverage>,
    /// The jobs that own one series on the same guests.
    pub conflicts: Vec<Conflict>,
}

/// The coverage of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestCoverage {
    /// The guest.
    pub guest: Guest,
    /// How it is protected.
    pub state: CoverageState,
    /// The jobs that select it and take snapshots, by their position.
    pub jobs: Vec<usize>,
    /// Its policy tags that no job names.
    pub unknown_tags: Vec<UnknownTag>,
    /// Its snapshots whose jobs do not select it any more.
    pub left: Vec<LeftSnapshots>,
    /// Why its snapshots could not be read, if they are needed.
    pub unread: Option<String>,
}

/// How a guest is protected, the states that need attention first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoverageState {
    /// No job selects it.
    Uncovered,
    /// No job selects it, but it has snapshots of a job: its policy tag was removed, or a rollback restored old tags.
    LostPolicy,
    /// It has a policy tag that no job names.
    UnknownTag,
    /// Two jobs own one series on it: each removes what the other one keeps.
    Conflict,
    /// No job selects it, and its name and state are not known, because its node sends no statistics.
    Unknown,
    /// At least one job takes its snapshots.
    Covered,
    /// It is left out on purpose, by the tag `autosnap-off`.
    Off,
    /// It is a template, of which PVE takes no snapshots.
    Template,
}

impl CoverageState {
    /// All states, in their order.
    pub const ALL: [Self; 8] = [
        Self::Uncovered,
        Self::LostPolicy,
        Self::UnknownTag,
        Self::Conflict,
        Self::Unknown,
        Self::Covered,
        Self::Off,
        Self::Template,
    ];
}

/// A policy tag that no job names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTag {
    /// The tag, as PVE lists it.
    pub tag: String,
    /// The most similar tag of the jobs.
    pub nearest: Option<String>,
}

/// Snapshots of a job that does not select their guest any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftSnapshots {
    /// The job, by its position.
    pub job: usize,
    /// How many snapshots.
    pub count: usize,
}

/// Two jobs that own one series on the same guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The jobs, by their positions.
    pub jobs: (usize, usize),
    /// The label of the series.
    pub label: String,
    /// The guests that both select.
    pub guests: BTreeSet<Vmid>,
}

/// Whether the snapshots of a guest must be read: some job that does not select it may have left snapshots on it.
pub fn needs_snapshots(guest: &Guest, jobs: &[CoveringJob]) -> bool {
    !guest.template && jobs.iter().any(|job| !owns_all(guest.vmid, job, jobs))
}

/// Decides how the guests are protected. Guests without a reading are treated as if they had no snapshots.
pub fn assess(
    guests: impl IntoIterator<Item = Guest>,
    jobs: &[CoveringJob],
    readings: &BTreeMap<Vmid, SnapshotReading>,
) -> Coverage {
    let guests: BTreeMap<Vmid, Guest> = guests
        .into_iter()
        .map(|guest| (guest.vmid, guest))
        .collect();
    let conflicts = conflicts(jobs, &guests);
    let known_tags: BTreeSet<&str> = jobs
        .iter()
        .flat_map(|job| job.tags.iter().map(String::as_str))
        .chain([OFF_TAG])
        .collect();
    let mut covered: Vec<GuestCoverage> = guests
        .into_values()
        .map(|guest| {
            let reading = readings
                .get(&guest.vmid)
                .filter(|_| needs_snapshots(&guest, jobs));
            let left = match reading {
                Some(SnapshotReading::Listed(snapshots)) => left(guest.vmid, snapshots, jobs),
                Some(SnapshotReading::Failed(_)) | None => Vec::new(),
            };
            let unread = match reading {
                Some(SnapshotReading::Failed(reason)) => Some(reason.clone()),
                Some(SnapshotReading::Listed(_)) | None => None,
            };
            let mut coverage = GuestCoverage {
                state: CoverageState::Uncovered,
                jobs: taking(guest.vmid, jobs),
                unknown_tags: unknown_tags(&guest, &known_tags),
                left,
                unread,
                guest,
            };
            coverage.state = state(&coverage, &conflicts);
            coverage
        })
        .collect();
    covered.sort_by_key(|one| (one.state, one.guest.vmid));
    Coverage {
        guests: covered,
        conflicts,
    }
}

fn state(coverage: &GuestCoverage, conflicts: &[Conflict]) -> CoverageState {
    let guest = &coverage.guest;
    let conflicts_on = |vmid| conflicts.iter().any(|one| one.guests.contains(&vmid));
    if guest.template {
        CoverageState::Template
    } else if conflicts_on(guest.vmid) {
        CoverageState::Conflict
    } else if !coverage.unknown_tags.is_empty() {
        CoverageState::UnknownTag
    } else if !coverage.jobs.is_empty() {
        CoverageState::Covered
    } else if is_tagged_off(guest) {
        CoverageState::Off
    } else if !coverage.left.is_empty() {
        CoverageState::LostPolicy
    } else if guest.status == GuestStatus::Unknown && guest.name.is_none() {
        CoverageState::Unknown
    } else {
        CoverageState::Uncovered
    }
}

/// The jobs that select the guest and take snapshots.
fn taking(vmid: Vmid, jobs: &[CoveringJob]) -> Vec<usize> {
    let positions = jobs.iter().enumerate();
    positions
        .filter(|(_, job)| job.takes && job.selected.contains(&vmid))
        .map(|(position, _)| position)
        .collect()
}

fn unknown_tags(guest: &Guest, known: &BTreeSet<&str>) -> Vec<UnknownTag> {
    let unknown = guest.tags.iter().filter_map(|tag| {
        let lower = tag.to_lowercase();
        let is_unknown = is_policy_tag(&lower) && !known.contains(lower.as_str());
        is_unknown.then(|| UnknownTag {
            tag: tag.clone(),
            nearest: nearest_policy_tag(&lower, known.iter().copied()),
        })
    });
    unknown.collect()
}

/// The pairs of jobs that own one series on the same guests. Templates have no snapshots.
fn conflicts(jobs: &[CoveringJob], known: &BTreeMap<Vmid, Guest>) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (first, one) in jobs.iter().enumerate() {
        for (second, other) in jobs.iter().enumerate().skip(first + 1) {
            let shared = one.owned().find(|series| other.owns_any(series));
            let both = one.selected.intersection(&other.selected).copied();
            let has_snapshots = |vmid: &Vmid| known.get(vmid).is_some_and(|guest| !guest.template);
            let guests: BTreeSet<Vmid> = both.filter(has_snapshots).collect();
            if let Some(series) = shared
                && !guests.is_empty()
            {
                found.push(Conflict {
                    jobs: (first, second),
                    label: series.label().as_str().to_owned(),
                    guests,
                });
            }
        }
    }
    found
}

/// Whether jobs that select the guest own all series of this job: then it has left no snapshots there.
fn owns_all(vmid: Vmid, job: &CoveringJob, jobs: &[CoveringJob]) -> bool {
    let selecting = || jobs.iter().filter(|other| other.selected.contains(&vmid));
    let mut owned = job.owned();
    owned.all(|series| selecting().any(|other| other.owns_whole(series)))
}

/// The snapshots of jobs that do not select the guest. A snapshot of a job that selects it is not left.
fn left(vmid: Vmid, snapshots: &[Snapshot], jobs: &[CoveringJob]) -> Vec<LeftSnapshots> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.is_ours()) {
        let owners = jobs.iter().enumerate();
        let owners = owners.filter(|(_, job)| is_member(&job.series, snapshot));
        let owners: Vec<(usize, &CoveringJob)> = owners.collect();
        let is_selected = owners.iter().any(|(_, job)| job.selected.contains(&vmid));
        if let Some((first, _)) = owners.first().filter(|_| !is_selected) {
            *counts.entry(*first).or_default() += 1;
        }
    }
    let left = counts.into_iter();
    left.map(|(job, count)| LeftSnapshots { job, count })
        .collect()
}

/// Whether a snapshot has the label and a format of the series. A name that can be read in two ways counts.
fn is_member(series: &Series, snapshot: &Snapshot) -> bool {
    let (counted, others) = (AmbiguousNames::Count, OtherLabels::default());
    match series.classify(&snapshot.name, snapshot.taken_at, counted, &others) {
        Membership::Member | Membership::WrongTime | Membership::Ambiguous { .. } => true,
        Membership::OtherFormat(_) | Membership::Other => false,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
