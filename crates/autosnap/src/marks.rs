// SPDX-License-Identifier: GPL-3.0-only
//! Changes of the marks of one snapshot: it is read, checked and written, once.
//!
//! PVE replaces the whole description and compares nothing, so the description is read again directly before it is
//! written. The write is sent at most once; if its reply is lost, the description shows whether it was carried out.

use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::marks::{
    Hold, LINE_EXCERPT, Mark, MarkKind, MarkText, MarkedDescription, Marks, is_stored_as,
};
use autosnap_core::remedy::Remedy;
use autosnap_core::snapshot::Snapshot;
use autosnap_core::text::excerpt;
use jiff::Timestamp;
use pve_client::{Certainty, Client};

use crate::inventory::{self, wire_kind};
use crate::{pve_messages, remedies};

/// A change of one mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkChange {
    /// Holds the snapshot. An earlier hold is replaced, but the time since when it is held stays.
    Hold {
        /// When the hold ends.
        until: Option<Timestamp>,
        /// Why the snapshot is held.
        reason: Option<MarkText>,
    },
    /// Removes the hold.
    Release,
    /// Sets when the snapshot expires; `None` removes the expiry.
    Expire(Option<Timestamp>),
    /// Sets the note; `None` removes it.
    Note(Option<MarkText>),
}

impl MarkChange {
    fn apply(&self, description: &mut MarkedDescription, now: Timestamp) {
        let (kind, mark) = match self {
            Self::Hold { until, reason } => {
                let earlier = description.marks().hold;
                let earlier = earlier.filter(|hold| hold.is_active(now));
                let hold = Hold {
                    since: earlier.map_or(Some(now), |hold| hold.since),
                    until: *until,
                    reason: reason.clone(),
                };
                (MarkKind::Hold, Some(Mark::Hold(hold)))
            }
            Self::Release => (MarkKind::Hold, None),
            Self::Expire(at) => (MarkKind::Expire, at.map(Mark::Expire)),
            Self::Note(text) => (MarkKind::Note, text.clone().map(Mark::Note)),
        };
        match mark {
            Some(mark) => description.set(mark),
            None => _ = description.clear(kind),
        }
    }
}

/// A snapshot whose marks have been changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedSnapshot {
    /// Its guest.
    pub guest: Guest,
    /// Its name.
    pub name: String,
    /// Its marks after the change.
    pub marks: Marks,
    /// Whether it was ours after the change; a line typed by hand without any mark makes it foreign.
    pub is_ours: bool,
    /// Whether the description differs from the one before.
    pub changed: bool,
}

impl MarkedSnapshot {
    /// The guest for messages: `VM 100 (web01)`.
    pub fn title(&self) -> String {
        title(&self.guest)
    }
}

/// Why the marks of a snapshot were not changed.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The login sees no such guest.
    #[error("there is no guest {0}, or this login may not see it")]
    GuestNotFound(Vmid),
    /// The guest has no such snapshot.
    #[error("{} has no snapshot '{name}'", title(.guest))]
    SnapshotNotFound {
        /// The guest.
        guest: Box<Guest>,
        /// The name.
        name: String,
        /// The names of its snapshots that are ours, newest first.
        ours: Vec<String>,
    },
    /// The snapshot was not taken by this tool.
    #[error(
        "snapshot '{name}' of {} was not taken by this tool: its description is '{}'",
        title(.guest), excerpt(.description, LINE_EXCERPT)
    )]
    NotOurs {
        /// The guest.
        guest: Box<Guest>,
        /// The name.
        name: String,
        /// Its description.
        description: String,
    },
    /// The snapshot changed between two reads.
    #[error("snapshot '{name}' of {} was changed by another program meanwhile; nothing was written", title(.guest))]
    Changed {
        /// The guest.
        guest: Box<Guest>,
        /// The name.
        name: String,
    },
    /// PVE refuses the change because the guest is locked.
    #[error("{} is busy: {reason}", title(.guest))]
    Locked {
        /// The guest.
        guest: Box<Guest>,
        /// PVE's text.
        reason: String,
    },
    /// The reply to the change is lost, and it does not show in the description.
    #[error("{error}; the description of snapshot '{name}' {state}")]
    Unconfirmed {
        /// The name.
        name: String,
        /// What the description showed afterwards.
        state: &'static str,
        /// The error.
        error: Box<pve_client::Error>,
    },
    /// A request has failed.
    #[error("{error}")]
    Api {
        /// The error.
        error: Box<pve_client::Error>,
        /// What an administrator can do about it.
        remedy: Option<Remedy>,
    },
}

/// `VM 100 (web01)`.
fn title(guest: &Guest) -> String {
    let name = guest.name.as_deref().map(|name| format!(" ({name})"));
    let kind = guest.kind.short_name();
    format!("{kind} {}{}", guest.vmid, name.unwrap_or_default())
}

/// Which mark of which snapshot is changed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The guest.
    pub vmid: Vmid,
    /// The name of the snapshot.
    pub snapshot: &'a str,
    /// The change.
    pub change: &'a MarkChange,
    /// Write nothing.
    pub dry_run: bool,
}

/// Changes a mark of a snapshot. `identity` is the user or token of the client, for the remedy of an error.
pub async fn change(
    client: &Client,
    identity: &str,
    request: &Request<'_>,
) -> Result<MarkedSnapshot, MarkError> {
    let (vmid, name) = (request.vmid, request.snapshot);
    let api = |error: pve_client::Error| MarkError::Api {
        remedy: remedies::for_error(&error, Some(identity)),
        error: Box::new(error),
    };
    let inventory = inventory::read(client).await.map_err(api)?;
    let guest = inventory
        .guests
        .into_iter()
        .find(|guest| guest.vmid == vmid);
    let guest = guest.ok_or(MarkError::GuestNotFound(vmid))?;
    let listed = inventory::guest_snapshots(client, &guest).await;
    let snapshot = find(&guest, name, listed.map_err(api)?)?;
    let Some(mut description) = MarkedDescription::parse(&snapshot.description) else {
        return Err(MarkError::NotOurs {
            guest: Box::new(guest),
            name: name.to_owned(),
            description: snapshot.description.into_owned(),
        });
    };
    let before = description.clone();
    request
        .change
        .apply(&mut description, inventory::server_time(client));
    let changed = description != before;
    let written = description.to_string();
    if changed && !request.dry_run {
        let target = Target {
            client,
            guest: &guest,
            snapshot: &snapshot,
        };
        if !target.shows(&snapshot.description).await.map_err(api)? {
            return Err(MarkError::Changed {
                guest: Box::new(guest),
                name: name.to_owned(),
            });
        }
        target.write(&written).await.map_err(|error| match error {
            WriteError::Refused(error) => refused(&guest, error, api),
            WriteError::Unconfirmed(error, state) => MarkError::Unconfirmed {
                name: name.to_owned(),
                state,
                error: Box::new(error),
            },
        })?;
    }
    Ok(MarkedSnapshot {
        guest,
        name: name.to_owned(),
        is_ours: Marks::parse(&written).is_some(),
        marks: description.marks(),
        changed,
    })
}

fn refused(
    guest: &Guest,
    error: pve_client::Error,
    api: impl Fn(pve_client::Error) -> MarkError,
) -> MarkError {
    match error
        .reason()
        .filter(|reason| pve_messages::is_lock(reason))
    {
        Some(reason) => MarkError::Locked {
            guest: Box::new(guest.clone()),
            reason: reason.to_owned(),
        },
        None => api(error),
    }
}

/// The snapshot with this name, or an error with the names that can be meant.
fn find(guest: &Guest, name: &str, listed: Vec<Snapshot>) -> Result<Snapshot, MarkError> {
    let mut listed = listed;
    if let Some(place) = listed.iter().position(|snapshot| snapshot.name == name) {
        return Ok(listed.swap_remove(place));
    }
    listed.retain(Snapshot::is_ours);
    listed.sort_by(|one, other| (other.taken_at, &other.name).cmp(&(one.taken_at, &one.name)));
    Err(MarkError::SnapshotNotFound {
        guest: Box::new(guest.clone()),
        name: name.to_owned(),
        ours: listed.into_iter().map(|snapshot| snapshot.name).collect(),
    })
}

/// A snapshot whose description is written.
struct Target<'a> {
    client: &'a Client,
    guest: &'a Guest,
    snapshot: &'a Snapshot,
}

/// Why a description was not written, or may not have been.
enum WriteError {
    Refused(pve_client::Error),
    Unconfirmed(pve_client::Error, &'static str),
}

impl Target<'_> {
    /// Whether the snapshot still exists and has this description.
    async fn shows(&self, description: &str) -> Result<bool, pve_client::Error> {
        let (node, kind) = (self.guest.node.as_str(), wire_kind(self.guest.kind));
        let (vmid, name) = (self.guest.vmid.get(), self.snapshot.name.as_str());
        let config = self.client.snapshot_config(node, kind, vmid, name).await?;
        let snaptime = config.get("snaptime").and_then(|time| time.parse().ok());
        let stored = config.get("description").unwrap_or_default();
        Ok(inventory::taken_at(snaptime) == self.snapshot.taken_at
            && is_stored_as(description, stored))
    }

    async fn write(&self, description: &str) -> Result<(), WriteError> {
        let (node, kind) = (self.guest.node.as_str(), wire_kind(self.guest.kind));
        let (vmid, name) = (self.guest.vmid.get(), self.snapshot.name.as_str());
        let client = self.client;
        let result = client.set_snapshot_description(node, kind, vmid, name, description);
        let error = match result.await {
            Ok(()) => return Ok(()),
            Err(error) if error.certainty() == Certainty::Unknown => error,
            Err(error) => return Err(WriteError::Refused(error)),
        };
        let state = match self.shows(description).await {
            Ok(true) => return Ok(()),
            Ok(false) => match self.shows(&self.snapshot.description).await {
                Ok(true) => "is unchanged so far",
                Ok(false) => "is another one now",
                Err(_) => "could not be read",
            },
            Err(_) => "could not be read",
        };
        Err(WriteError::Unconfirmed(error, state))
    }
}
