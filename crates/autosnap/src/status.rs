// SPDX-License-Identifier: GPL-3.0-only
//! `status`: the snapshots of the selected guests that this tool, or the C# tool, has taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use autosnap_core::guest::{Guest, GuestStatus};
use autosnap_core::name::{
    self, AmbiguousNames, FormatError, LabelSearch, Membership, OtherLabels, TimestampFormat,
};
use autosnap_core::select::{Inventory, NestedPools, SelectionWarning};
use autosnap_core::snapshot::Snapshot;
use autosnap_core::warning::Warning;
use jiff::Timestamp;
use pve_client::Client;

use crate::concurrent::map_concurrent;
use crate::error::Error;
use crate::guest_ref::GuestRef;
use crate::inventory;
use crate::job;
use crate::settings::StatusSettings;

/// The result of `status`.
#[derive(Debug, Default)]
pub struct Status {
    /// One row per snapshot, by node, guest and time.
    pub rows: Vec<Row>,
    /// Whether any guest is selected.
    pub has_guests: bool,
    /// The warnings, for example about guests that could not be read.
    pub warnings: Vec<StatusWarning>,
    /// The number of selected guests that could not be read.
    pub unreadable: usize,
    /// The number of entries of listings that could not be parsed.
    pub unreadable_entries: usize,
    /// Whether a guest, pool or node that the selection names is not visible, or a term can match nothing.
    pub has_missing_object: bool,
    /// The nested pools whose guests a term selects.
    pub nested_pools: Vec<NestedPools>,
}

/// A warning about the list of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusWarning {
    /// A warning that runs have, too.
    Run(Warning),
    /// The timestamp format is invalid, and the default one is used instead.
    InvalidFormat(FormatError),
    /// A snapshot of a guest cannot be parsed.
    UnreadableSnapshot {
        /// The guest.
        guest: GuestRef,
        /// The entry, and what is wrong with it.
        problem: String,
    },
    /// The snapshots of a guest could not be read.
    UnreadableGuest {
        /// The guest.
        guest: GuestRef,
        /// The error.
        error: String,
    },
    /// The node of a guest is offline.
    NodeOffline(GuestRef),
    /// The node of a guest sends no statistics and could not list its guests.
    Unlisted {
        /// The guest.
        guest: GuestRef,
        /// Why the node could not list its guests.
        reason: String,
    },
}

impl From<Warning> for StatusWarning {
    fn from(warning: Warning) -> Self {
        Self::Run(warning)
    }
}

/// One snapshot of one guest.
#[derive(Debug, Clone)]
pub struct Row {
    /// The guest, shared by its rows.
    pub guest: Arc<Guest>,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The label in its name, if the name can be split into label and timestamp.
    pub label: Option<String>,
    /// Seconds since it was taken; negative if its node's clock is ahead.
    pub age: Option<i64>,
}

impl Status {
    /// Whether every guest and every entry of a listing was read, and every guest, pool and node that the
    /// selection names is visible. As in the C# tool, everything else is a success.
    pub fn is_complete(&self) -> bool {
        self.unreadable == 0 && self.unreadable_entries == 0 && !self.has_missing_object
    }
}

/// Reads the snapshots of the selected guests.
pub async fn read(
    settings: &StatusSettings,
    client: &Client,
    now: Timestamp,
) -> Result<Status, Error> {
    let inventory = inventory::read(client).await?;
    let selected = settings.selection.evaluate(&inventory);
    let invalid_format = settings.invalid_format.clone();
    let mut status = Status {
        warnings: invalid_format
            .map(StatusWarning::InvalidFormat)
            .into_iter()
            .collect(),
        unreadable_entries: inventory.unreadable.len(),
        has_missing_object: selected
            .warnings
            .iter()
            .any(SelectionWarning::is_missing_object),
        has_guests: !selected.guests.is_empty(),
        ..Status::default()
    };
    let terms = selected.warnings.iter().cloned().map(Warning::Term);
    status.warnings.extend(terms.map(StatusWarning::from));
    let invalid_terms = settings.selection.invalid_terms();
    status.has_missing_object |= !invalid_terms.is_empty();
    let empty_exclusion = settings.selection.empty_exclusion();
    let of_terms = invalid_terms.iter().cloned().chain(empty_exclusion);
    let of_terms = of_terms.map(|error| Warning::InvalidTerm(error.to_string()));
    status.warnings.extend(of_terms.map(StatusWarning::from));
    let entries = inventory.unreadable.iter().cloned();
    let entries = entries.map(Warning::UnreadableEntry);
    status.warnings.extend(entries.map(StatusWarning::from));
    status.nested_pools.clone_from(&selected.nested_pools);
    let readable = set_aside_unreadable(&mut status, &inventory, selected.guests);
    let readable = readable
        .into_iter()
        .filter(|guest| !settings.only_running || guest.status == GuestStatus::Running);
    let reads_at_once = settings.reads_at_once;
    let listings = map_concurrent(reads_at_once, readable, async |guest: Guest| {
        let snapshots = inventory::readable_snapshots(client, &guest).await;
        (guest, snapshots)
    });
    let mut other_formats: BTreeMap<String, usize> = BTreeMap::new();
    let mut search = settings.series.as_ref().map(LabelSearch::new);
    for (guest, listing) in listings.await {
        match listing {
            Ok((snapshots, unreadable)) => {
                status.unreadable_entries += unreadable.len();
                let entries = unreadable.into_iter();
                status.warnings.extend(entries.map(|problem| {
                    let guest = GuestRef::from(&guest);
                    StatusWarning::UnreadableSnapshot { guest, problem }
                }));
                if let Some(search) = &mut search {
                    for snapshot in snapshots.iter().filter(|snapshot| snapshot.is_ours()) {
                        search.observe(&snapshot.name, snapshot.taken_at);
                    }
                }
                let wanted = only_wanted(settings, snapshots, &mut other_formats);
                status.rows.extend(rows(settings, guest, wanted, now));
            }
            Err(error) => {
                status.unreadable += 1;
                status.warnings.push(StatusWarning::UnreadableGuest {
                    guest: GuestRef::from(&guest),
                    error: error.to_string(),
                });
            }
        }
    }
    if let Some(series) = &settings.series {
        let counts = other_formats
            .iter()
            .map(|(format, count)| job::warnings::other_format(series.label(), format, *count));
        status.warnings.extend(counts.map(StatusWarning::from));
        let found = search.and_then(LabelSearch::finish);
        let warning = found.and_then(|found| job::warnings::unknown_label(series.label(), found));
        status.warnings.extend(warning.map(StatusWarning::from));
    }
    Ok(status)
}

/// The guests whose snapshots can be read. The others are counted as unreadable, each with a warning.
fn set_aside_unreadable(
    status: &mut Status,
    inventory: &Inventory,
    guests: Vec<Guest>,
) -> Vec<Guest> {
    let (offline, online): (Vec<Guest>, Vec<Guest>) = guests
        .into_iter()
        .partition(|guest| inventory.is_offline(&guest.node));
    status.unreadable += offline.len();
    let refs = offline.iter().map(GuestRef::from);
    status.warnings.extend(refs.map(StatusWarning::NodeOffline));
    let (unlisted, readable): (Vec<Guest>, Vec<Guest>) = online
        .into_iter()
        .partition(|guest| inventory.unlisted_reason(guest).is_some());
    status.unreadable += unlisted.len();
    let unlisted = unlisted.iter().map(|guest| StatusWarning::Unlisted {
        guest: GuestRef::from(guest),
        reason: inventory
            .unlisted_reason(guest)
            .unwrap_or_default()
            .to_owned(),
    });
    status.warnings.extend(unlisted);
    readable
}

/// Our snapshots, limited to the series if there is one. Counts snapshots of its label in other formats.
fn only_wanted(
    settings: &StatusSettings,
    snapshots: Vec<Snapshot>,
    other_formats: &mut BTreeMap<String, usize>,
) -> Vec<Snapshot> {
    let ours = snapshots.into_iter().filter(Snapshot::is_ours);
    let Some(series) = &settings.series else {
        return ours.collect();
    };
    // Names that can be read in two ways are shown for both.
    let classify = |snapshot: &Snapshot| {
        let others = OtherLabels::default();
        let counted = AmbiguousNames::Count;
        series.classify(&snapshot.name, snapshot.taken_at, counted, &others)
    };
    ours.filter(|snapshot| match classify(snapshot) {
        Membership::Member | Membership::WrongTime | Membership::Ambiguous { .. } => true,
        Membership::OtherFormat(format) => {
            *other_formats.entry(format).or_default() += 1;
            false
        }
        Membership::Other => false,
    })
    .collect()
}

fn rows(
    settings: &StatusSettings,
    guest: Guest,
    mut snapshots: Vec<Snapshot>,
    now: Timestamp,
) -> Vec<Row> {
    let guest = Arc::new(guest);
    let default = TimestampFormat::default();
    let formats: Vec<&TimestampFormat> = settings.formats.iter().chain([&default]).collect();
    snapshots.sort_by(|one, other| (one.taken_at, &one.name).cmp(&(other.taken_at, &other.name)));
    snapshots
        .into_iter()
        .map(|snapshot| Row {
            guest: Arc::clone(&guest),
            label: name::label_of(&snapshot.name, &formats).map(ToOwned::to_owned),
            age: snapshot
                .taken_at
                .map(|taken_at| now.as_second() - taken_at.as_second()),
            snapshot,
        })
        .collect()
}
