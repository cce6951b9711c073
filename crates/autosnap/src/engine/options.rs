// SPDX-License-Identifier: GPL-3.0-only
//! The options of a run that concern the steps of its guests.

use std::time::Duration;

use jiff::tz::TimeZone;

/// The options of a run that concern the steps of its guests.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How long to wait for each task.
    pub(crate) timeout: Duration,
    /// Remove with `force=1`.
    pub(crate) force_remove: bool,
    /// How long after the start locked guests are retried; `None`: they fail at once.
    pub(crate) wait_locked: Option<Duration>,
    /// How long a guest is retried while other snapshot tasks lock it, counted from the first attempt that
    /// met such a lock; `None`: it fails at once.
    pub(crate) wait_snapshot_lock: Option<Duration>,
    /// How long after the start removals are begun; `None`: without a limit.
    pub(crate) removal_budget: Option<Duration>,
    /// The user or token, as PVE writes it into the tasks of this login.
    pub(crate) identity: String,
    /// The shared storages of the cluster, which have a limit of their own.
    pub(crate) shared_storages: Vec<String>,
    /// The zone whose hours and days the keep rules count.
    pub(crate) zone: TimeZone,
}
