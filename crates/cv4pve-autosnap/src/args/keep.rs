// SPDX-License-Identifier: GPL-3.0-only
//! The options of how many snapshots stay: the keep rules, with the names of Proxmox VE's backup retention, and
//! their guards.

use clap::Args;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::help::RETENTION;

/// The keep rules and their guards.
#[derive(Debug, Clone, Default, Args)]
pub struct KeepArgs {
    /// Keep the N newest snapshots [default: 1].
    ///
    /// The rules are those of Proxmox VE's backup retention. Each of them keeps N snapshots in addition to what the
    /// rules before it keep, and 0 switches a rule off. The default of 1 applies if another rule is given.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 0)]
    pub keep_last: Option<u32>,
    /// Keep the newest of each of the last N hours.
    ///
    /// Only hours that have snapshots count.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 1)]
    pub keep_hourly: Option<u32>,
    /// Keep the newest of each of the last N days.
    ///
    /// Only days that have snapshots count.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 2)]
    pub keep_daily: Option<u32>,
    /// Keep the newest of each of the last N weeks.
    ///
    /// Weeks begin on Monday. Only weeks that have snapshots count.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 3)]
    pub keep_weekly: Option<u32>,
    /// Keep the newest of each of the last N months.
    ///
    /// Only months that have snapshots count.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 4)]
    pub keep_monthly: Option<u32>,
    /// Keep the newest of each of the last N years.
    ///
    /// Only years that have snapshots count.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 5)]
    pub keep_yearly: Option<u32>,
    /// The rules in one: keep-last=3,keep-daily=13.
    ///
    /// The rules as Proxmox VE writes them in jobs.cfg and storage.cfg.
    #[arg(long, alias = "prune", value_name = "RULES", help_heading = RETENTION, display_order = 7)]
    pub prune_backups: Option<String>,
    /// Keep all that are younger than TIME: 12h, 7d.
    ///
    /// Beside the other rules. Alone it also keeps the newest snapshot.
    #[arg(long, value_name = "TIME", help_heading = RETENTION, display_order = 8, hide_short_help = true,
          value_parser = crate::settings::parse_age)]
    pub keep_within: Option<SignedDuration>,
    /// Remove no snapshot.
    #[arg(long, help_heading = RETENTION, display_order = 9, hide_short_help = true)]
    pub keep_all: bool,
    /// Remove none younger than TIME [default: 1h].
    ///
    /// A guard of the keep rules; 0 switches it off. It has no effect on --keep.
    #[arg(long, value_name = "TIME", help_heading = RETENTION, display_order = 10, hide_short_help = true,
          value_parser = crate::settings::parse_age)]
    pub min_age: Option<SignedDuration>,
    /// Leave at least N snapshots of each guest.
    ///
    /// A guard of the keep rules: the newest snapshots of the series stay if the rules keep fewer.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 11, hide_short_help = true)]
    pub keep_min: Option<u32>,
    /// Count snapshots of these labels, too.
    ///
    /// Comma-separated older labels: the rules decide about their snapshots together with those of --label. For the
    /// change from several jobs, each with a label of its own, to one job.
    #[arg(long, value_name = "LABELS", help_heading = RETENTION, display_order = 13, hide_short_help = true,
          value_delimiter = ',')]
    pub adopt_labels: Vec<String>,
    /// Zone of rules and names, Europe/Vienna.
    ///
    /// The time zone whose hours, days and weeks the keep rules count, and whose time is in snapshot names. The default
    /// is the zone of this machine.
    #[arg(long, value_name = "ZONE", help_heading = RETENTION, display_order = 14, hide_short_help = true,
          value_parser = crate::settings::parse_time_zone)]
    pub timezone: Option<TimeZone>,
}
