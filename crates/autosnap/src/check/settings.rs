// SPDX-License-Identifier: GPL-3.0-only
//! The settings of a `check`.

use super::finding::Finding;
use crate::settings::JobSettings;

/// The settings of a `check`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The job, of which a dry run is performed.
    pub job: JobSettings,
    /// Findings about the options, which need no connection.
    pub option_findings: Vec<Finding>,
}
