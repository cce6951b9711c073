// SPDX-License-Identifier: GPL-3.0-only
//! The options of a run that concern the steps of its guests.

use jiff::tz::TimeZone;

use crate::settings::Execution;

/// The options of a run that concern the steps of its guests.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Timeouts, waits and limits.
    pub(crate) execution: Execution,
    /// The user or token, as PVE writes it into the tasks of this login.
    pub(crate) identity: String,
    /// The shared storages of the cluster, which have a limit of their own.
    pub(crate) shared_storages: Vec<String>,
    /// The zone whose hours and days the keep rules count.
    pub(crate) zone: TimeZone,
}
