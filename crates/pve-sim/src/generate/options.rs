// SPDX-License-Identifier: GPL-3.0-only
//! What a generated world is to be like, and which wishes contradict each other.
//!
//! Limits: only what PVE would refuse is refused; that a world is plausible is up to the caller.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Guests are numbered from here, as PVE proposes.
pub(super) const FIRST_VMID: u32 = 100;

/// The highest number PVE allows.
const LAST_VMID: u32 = 999_999_999;

/// What [`generate`](super::generate) is to make. Shares go from 0 (none) to 1 (all).
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Number of nodes: `pve1`, `pve2`, …
    pub nodes: u32,
    /// Number of guests, templates included.
    pub guests: u32,
    /// Decides everything that is left open.
    pub seed: u64,
    /// The present in seconds since the Unix epoch; all snapshots are older.
    pub now: i64,
    /// Offset of local time, which snapshots' names are made of, in seconds.
    pub utc_offset_seconds: i32,
    /// Snapshots of each guest that is no template.
    pub snapshots: u32,
    /// Labels of the snapshots, which are dealt out evenly. `hourly`, `weekly` and `monthly` are
    /// apart as their names say, all others a day.
    pub labels: Vec<String>,
    /// Seconds that a guest's snapshot tasks take; none leaves that to the simulator.
    pub task_seconds: Option<RangeInclusive<f64>>,
    /// How many of the nodes, from the last on, are offline.
    pub offline_nodes: u32,
    /// How many of the nodes, from the second on, take five times as long.
    pub slow_nodes: u32,
    /// Share of containers.
    pub containers: f64,
    /// Share of templates.
    pub templates: f64,
    /// Share of stopped guests.
    pub stopped: f64,
    /// Share of guests with tags.
    pub tagged: f64,
    /// Share of guests in a pool.
    pub pooled: f64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            guests: 30,
            seed: 1,
            now: 1_767_225_600,
            utc_offset_seconds: 0,
            snapshots: 7,
            labels: vec!["daily".to_owned()],
            task_seconds: None,
            offline_nodes: 0,
            slow_nodes: 0,
            containers: 0.35,
            templates: 0.02,
            stopped: 0.12,
            tagged: 0.6,
            pooled: 0.5,
        }
    }
}

/// Options that contradict each other or PVE.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GenerateError {
    /// A cluster without nodes serves nothing.
    #[error("a cluster needs at least one node")]
    NoNodes,
    /// The node that answers must be online.
    #[error("{offline} of {nodes} nodes cannot be offline: the first one has to answer")]
    AllOffline {
        /// Nodes that were to be offline.
        offline: u32,
        /// All nodes.
        nodes: u32,
    },
    /// PVE's numbers do not suffice.
    #[error("{0} guests are more than PVE has numbers for")]
    TooManyGuests(u32),
    /// Snapshots need a label for their names.
    #[error("snapshots need at least one label")]
    NoLabel,
    /// PVE would refuse the snapshot's name.
    #[error("label '{0}' is not made of up to 24 letters, digits, '-' and '_'")]
    Label(String),
    /// A share is no share.
    #[error("the share of {what} is {share}, which is not between 0 and 1")]
    Share {
        /// What it is the share of.
        what: &'static str,
        /// What was given.
        share: f64,
    },
    /// The range of durations is empty or negative.
    #[error("task seconds go from {from} to {to}, which is not a range from 0 upwards")]
    TaskSeconds {
        /// Lower end.
        from: f64,
        /// Upper end.
        to: f64,
    },
}

impl GenerateOptions {
    /// Finds the first contradiction.
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        if self.nodes == 0 {
            return Err(GenerateError::NoNodes);
        }
        if self.offline_nodes >= self.nodes {
            let (offline, nodes) = (self.offline_nodes, self.nodes);
            return Err(GenerateError::AllOffline { offline, nodes });
        }
        if self.guests > LAST_VMID - FIRST_VMID + 1 {
            return Err(GenerateError::TooManyGuests(self.guests));
        }
        self.check_labels()?;
        for (what, share) in [
            ("containers", self.containers),
            ("templates", self.templates),
            ("stopped guests", self.stopped),
            ("tagged guests", self.tagged),
            ("pooled guests", self.pooled),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(GenerateError::Share { what, share });
            }
        }
        match self
            .task_seconds
            .as_ref()
            .map(|range| (*range.start(), *range.end()))
        {
            Some((from, to)) if !(0.0 <= from && from <= to && to.is_finite()) => {
                Err(GenerateError::TaskSeconds { from, to })
            }
            _ => Ok(()),
        }
    }

    /// `auto`, label and twelve digits have to make a name of at most 40 characters.
    fn check_labels(&self) -> Result<(), GenerateError> {
        if self.snapshots > 0 && self.labels.is_empty() {
            return Err(GenerateError::NoLabel);
        }
        let fits = |label: &String| {
            label.len() <= 24
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        match self.labels.iter().find(|label| !fits(label)) {
            Some(label) => Err(GenerateError::Label(label.clone())),
            None => Ok(()),
        }
    }

    /// Whether a node, counted from 1, is offline.
    pub(super) fn is_offline(&self, node: u32) -> bool {
        node > self.nodes - self.offline_nodes
    }
}
