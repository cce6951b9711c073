// SPDX-License-Identifier: GPL-3.0-only
//! A parsed command line with its notices.

use std::ffi::OsString;

use crate::args::Cli;
use crate::redactions::Redactions;
use autosnap::notice::Notice;

/// A parsed command line.
pub(crate) struct CommandLine {
    /// The command and its options.
    pub(crate) cli: Cli,
    /// The arguments as `ps` shows them.
    pub(crate) typed: Vec<OsString>,
    /// Notices about the line and its parameter files.
    pub(crate) notices: Vec<Notice>,
    /// The IDs of the options that parameter files set.
    pub(crate) in_files: Vec<String>,
    /// The values that no error may quote.
    pub(crate) redactions: Redactions,
}
