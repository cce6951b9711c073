// SPDX-License-Identifier: GPL-3.0-only
//! Options for generated worlds, and their validation.
//!
//! Only values that PVE would reject are errors; the caller must choose plausible ones.

use std::ops::RangeInclusive;

use thiserror::Error;

/// The first VMID, as PVE suggests.
pub(super) const FIRST_VMID: u32 = 100;

/// The highest VMID in PVE.
const LAST_VMID: u32 = 999_999_999;

/// Options for [`generate`](super::generate). Shares range from 0 (none) to 1 (all).
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Number of nodes: `pve1`, `pve2`, …
    pub nodes: u32,
    /// Number of guests, templates included.
    pub guests: u32,
    /// Determines everything else.
    pub seed: u64,
    /// The current time in seconds since the Unix epoch; all snapshots are older.
    pub now: i64,
    /// Offset of local time from UTC in seconds; snapshot names contain local time.
    pub utc_offset_seconds: i32,
    /// Snapshots per guest, except for templates.
    pub snapshots: u32,
    /// Labels of the snapshots, distributed evenly. `hourly`, `weekly` and `monthly` determine the
    /// interval; all other labels are daily.
    pub labels: Vec<String>,
    /// Range for the duration of a guest's snapshot tasks in seconds; `None`: the simulator's
    /// default.
    pub task_seconds: Option<RangeInclusive<f64>>,
    /// Number of offline nodes, counted from the last.
    pub offline_nodes: u32,
    /// Number of nodes that are five times slower, counted from the second.
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

/// Invalid options.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GenerateError {
    /// There is no node.
    #[error("a cluster needs at least one node")]
    NoNodes,
    /// The first node must be online.
    #[error("{offline} of {nodes} nodes cannot be offline: the first node must be online")]
    AllOffline {
        /// Requested number of offline nodes.
        offline: u32,
        /// Number of nodes.
        nodes: u32,
    },
    /// Not enough VMIDs.
    #[error("{0} guests exceed the number of VMIDs in PVE")]
    TooManyGuests(u32),
    /// Snapshot names need a label.
    #[error("snapshots need at least one label")]
    NoLabel,
    /// PVE would reject the snapshot name.
    #[error("invalid label '{0}': expected up to 24 letters, digits, '-' and '_'")]
    Label(String),
    /// A share is out of range.
    #[error("invalid share of {what}: {share}; must be between 0 and 1")]
    Share {
        /// The name of the share.
        what: &'static str,
        /// Its value.
        share: f64,
    },
    /// The range of durations is empty or negative.
    #[error("invalid range of task seconds: {from} to {to}")]
    TaskSeconds {
        /// Lower end.
        from: f64,
        /// Upper end.
        to: f64,
    },
}

impl GenerateOptions {
    /// Returns the first error.
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

    /// `auto`, label and twelve digits must not exceed 40 characters.
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

    /// Whether a node, numbered from 1, is offline.
    pub(super) fn is_offline(&self, node: u32) -> bool {
        node > self.nodes - self.offline_nodes
    }
}
