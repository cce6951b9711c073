// SPDX-License-Identifier: GPL-3.0-only
//! The keep rules: one of `--keep`, `--keep-all`, the six keep options, and `--prune-backups`.

use autosnap_core::retention::{KeepCounts, Period, Rules, suggested_rules};
use jiff::tz::TimeZone;

use crate::args::KeepArgs;
use crate::command_error::CommandError;

/// The names of the options of the keep rules.
const OPTIONS: [(Period, &str); 6] = [
    (Period::Last, "--keep-last"),
    (Period::Hourly, "--keep-hourly"),
    (Period::Daily, "--keep-daily"),
    (Period::Weekly, "--keep-weekly"),
    (Period::Monthly, "--keep-monthly"),
    (Period::Yearly, "--keep-yearly"),
];

/// Reads the rules; `None` if there are none.
pub(super) fn read_rules(
    keep: Option<u32>,
    args: &KeepArgs,
) -> Result<Option<Rules>, CommandError> {
    if let Some(keep) = keep {
        return match other_than_keep(args) {
            Some(option) => Err(keep_with(option, keep, args)),
            None => Ok(Some(Rules::keep_last(keep))),
        };
    }
    let counts = read_counts(args);
    let given = OPTIONS
        .iter()
        .find(|(period, _)| counts.get(*period).is_some());
    let given = given.map(|(_, option)| *option);
    let within = args.keep_within.map(|_| "--keep-within");
    if args.keep_all
        && let Some(option) = given
            .or(within)
            .or(args.prune_backups.as_ref().map(|_| "--prune-backups"))
    {
        return Err(CommandError::usage(format!(
            "--keep-all and {option} exclude each other: --keep-all removes nothing"
        ))
        .about("--keep-all"));
    }
    let rules = match (&args.prune_backups, given) {
        (Some(_), Some(option)) => {
            return Err(CommandError::usage(format!(
                "--prune-backups and {option} exclude each other: --prune-backups has all rules"
            ))
            .about("--prune-backups")
            .with_hint(format!(
                "write {}=N in the value of --prune-backups",
                option.trim_start_matches("--")
            )));
        }
        (Some(rules), None) => parse_rules(rules, "--prune-backups")?,
        (None, _) if args.keep_all => Rules::keep_all(),
        (None, None) if within.is_none() => return Ok(None),
        (None, _) => Rules::from_counts(counts),
    };
    Ok(Some(with_guards(rules, args)))
}

/// Parses the rules in the value of an option; the hint has the option with the rules that were probably meant.
pub(super) fn parse_rules(rules: &str, option: &'static str) -> Result<Rules, CommandError> {
    Rules::parse(rules).map_err(|error| {
        let error = CommandError::usage(format!("{option}: {error}")).about(option);
        match suggested_rules(rules) {
            Some(meant) => error.with_hint(format!("{option}={meant}")),
            None => error,
        }
    })
}

/// Parses a name of a time zone.
pub fn parse_time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("unknown time zone '{name}': expected a name such as Europe/Vienna or UTC")
    })
}

fn read_counts(args: &KeepArgs) -> KeepCounts {
    KeepCounts {
        last: args.keep_last,
        hourly: args.keep_hourly,
        daily: args.keep_daily,
        weekly: args.keep_weekly,
        monthly: args.keep_monthly,
        yearly: args.keep_yearly,
    }
}

fn with_guards(rules: Rules, args: &KeepArgs) -> Rules {
    let rules = args.keep_within.map_or(rules, |age| rules.with_within(age));
    let rules = args.min_age.map_or(rules, |age| rules.with_min_age(age));
    args.keep_min
        .map_or(rules, |count| rules.with_keep_min(count))
}

/// An option that `--keep` cannot be combined with.
fn other_than_keep(args: &KeepArgs) -> Option<&'static str> {
    let counts = read_counts(args);
    let numbers = OPTIONS
        .iter()
        .filter(|(period, _)| counts.get(*period).is_some());
    let others = [
        (args.prune_backups.is_some(), "--prune-backups"),
        (args.keep_within.is_some(), "--keep-within"),
        (args.keep_all, "--keep-all"),
        (args.min_age.is_some(), "--min-age"),
        (args.keep_min.is_some(), "--keep-min"),
    ];
    let others = others
        .into_iter()
        .filter_map(|(given, option)| given.then_some(option));
    numbers.map(|(_, option)| *option).chain(others).next()
}

/// The error about `--keep` beside other rules, with what to write instead.
fn keep_with(option: &str, keep: u32, args: &KeepArgs) -> CommandError {
    let message = format!("--keep={keep} and {option} exclude each other");
    let hint = if args.keep_all {
        format!("write only one of --keep={keep} and --keep-all")
    } else if args.prune_backups.is_some() {
        format!("write keep-last={keep} in the value of --prune-backups instead of --keep={keep}")
    } else if args.keep_last.is_some() {
        format!("leave out --keep={keep}: --keep-last says how many of the newest stay")
    } else {
        format!("write --keep-last={keep} instead of --keep={keep}")
    };
    CommandError::usage(message).about("--keep").with_hint(hint)
}
