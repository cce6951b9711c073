// SPDX-License-Identifier: GPL-3.0-only
//! The options of `simulate`.

use clap::{Args, ValueEnum};
use jiff::Span;

use super::KeepArgs;
use crate::help::{OUTPUT, RETENTION};

/// `simulate`. It needs no cluster, and accepts a parameter file for its keep rules.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Keep rules: keep-last=3,keep-daily=7,keep-weekly=4.
    ///
    /// They replace the rules of a parameter file.
    #[arg(value_name = "RULES")]
    pub rules: Option<String>,
    /// When the job runs: hourly, 22:00, mon..fri 8..17:0/30.
    ///
    /// A calendar event as in the jobs of Proxmox VE.
    #[arg(long, value_name = "EXPR")]
    pub schedule: String,
    /// Simulated time: 90d, 26w, 6mo, 3y [default: 26w].
    #[arg(long = "for", value_name = "TIME", default_value = "26w", hide_default_value = true,
          value_parser = crate::settings::parse_span)]
    pub simulated_time: Span,
    /// Start, 2026-01-31 [default: the time ends now].
    ///
    /// A date (2026-01-31) or a date and time (2026-01-31T18:00, 2026-01-31T18:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub start: Option<String>,
    /// Snapshots to keep, including the new one.
    ///
    /// The newest snapshots stay. It cannot be combined with the keep rules.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 6,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub keep: Option<u32>,
    /// The keep rules and their guards.
    #[command(flatten)]
    pub keep_rules: KeepArgs,
    /// The output format.
    #[arg(help = "Format: Text|Json|JsonPretty|Page [default: Text]", long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true,
          default_value = "Text", hide_default_value = true, hide_possible_values = true)]
    pub output: SimulateOutput,
}

/// The output formats of `simulate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum SimulateOutput {
    /// A calendar of weeks.
    Text,
    /// A JSON object on one line.
    Json,
    /// A JSON object, indented.
    JsonPretty,
    /// An HTML page.
    Page,
}
