// SPDX-License-Identifier: GPL-3.0-only
//! Options turned into checked values.
//!
//! Every error that needs no server is found here; its message names the option and what to write
//! instead.

mod check;
mod connection;
mod duration;
mod keep;
mod names;
mod simulate;
mod time;

use std::fmt::Display;
use std::io::{self, IsTerminal};

use crate::command_error::CommandError;
use autosnap::hook::{self, Hook};
use autosnap::settings::{
    Execution, GuestStates, Invocation, JobKind, JobSettings, StatusSettings, exclusion_rule,
};
use autosnap_core::event::SerialReason;
use autosnap_core::name::{AmbiguousNames, FormatError, Label, Series, TimestampFormat};
use autosnap_core::plan::RemovalLimit;
use autosnap_core::retention::{Policy, Rules, StuckRemovals};
use autosnap_core::schedule::Limits;
use autosnap_core::select::{Selection, SelectionError};
use autosnap_core::storage::StorageLimit;
use autosnap_core::text::shell_word;
use jiff::Zoned;

use crate::args::{
    CheckArgs, CheckedCommand, CleanArgs, CommonArgs, FormatArgs, GuestArgs, JobArgs, KeepArgs,
    LimitArgs, PlanArgs, SnapArgs, StatusArgs, StatusOutput,
};

pub use check::{from_args as check_settings, refuse_unused};
pub use connection::{Connection, NewPassword, read_proxy};
pub use duration::{parse_age, parse_duration, parse_time_limit};
pub use keep::parse_time_zone;
pub use names::check_names;
pub use simulate::{SimulationSettings, from_simulate_args, parse_span};
pub use time::{DayEnd, parse_lifetime, parse_time, parse_time_from_now};

/// Reads the options of `snap`, and of `plan`, which has the same; `command` is its name in messages.
pub fn from_snap_args(args: &SnapArgs, command: &str) -> Result<JobSettings, CommandError> {
    let kind = JobKind::Snap {
        with_ram: args.state,
    };
    let rules = keep::read_rules(args.keep, &args.job.keep)?.ok_or_else(|| {
        CommandError::usage(format!(
            "{command} needs --keep, the number of snapshots to keep, or keep rules"
        ))
        .with_hint(
            "--keep=7 keeps the newest 7; rules: --keep-last=3 --keep-daily=7 --keep-weekly=4",
        )
    })?;
    let settings = read_job(kind, rules, &args.common, &args.job)?;
    Ok(JobSettings {
        states: read_states(args.only_running),
        marks: (&args.marks).into(),
        ..settings
    })
}

/// Reads the options of `clean`.
pub fn from_clean_args(args: &CleanArgs) -> Result<JobSettings, CommandError> {
    let rules = keep::read_rules(args.keep, &args.job.keep)?.ok_or_else(|| {
        CommandError::usage("clean needs --keep, the number of snapshots to keep")
            .with_hint("--keep=0 removes all snapshots of the label")
    })?;
    let settings = read_job(JobKind::Clean, rules, &args.common, &args.job)?;
    Ok(JobSettings {
        states: read_states(args.only_running),
        ..settings
    })
}

fn read_states(only_running: bool) -> GuestStates {
    if only_running {
        GuestStates::Running
    } else {
        GuestStates::Any
    }
}

/// Reads the options of `check` as options of the checked command. Without a rule one snapshot is kept.
pub fn from_check_args(args: &CheckArgs) -> Result<JobSettings, CommandError> {
    let (common, job) = (args.common.clone(), args.job.clone());
    let keep = match keep::read_rules(args.keep, &args.job.keep)? {
        Some(_) => args.keep,
        None => Some(1),
    };
    match args.command {
        CheckedCommand::Snap => from_snap_args(
            &SnapArgs {
                common,
                job,
                keep,
                state: args.state,
                marks: args.marks.clone(),
                only_running: args.only_running,
            },
            "snap",
        ),
        CheckedCommand::Clean => from_clean_args(&CleanArgs {
            common,
            job,
            keep,
            only_running: args.only_running,
        }),
    }
}

fn read_job(
    kind: JobKind,
    rules: Rules,
    common: &CommonArgs,
    args: &JobArgs,
) -> Result<JobSettings, CommandError> {
    let label =
        Label::parse(args.label.as_deref().unwrap_or_default()).map_err(wrong("--label"))?;
    let format = read_format(&common.formats)?;
    check_names(&label, &format).map_err(wrong("--label"))?;
    let series = Series::with_formats(label.clone(), format, read_also_formats(&common.formats)?)
        .with_adopted_labels(read_labels(&args.keep.adopt_labels)?);
    let hook_settings = hook::Settings {
        timeout: Some(args.hook_timeout),
        ..hook::Settings::default()
    };
    let hook = args
        .script
        .as_deref()
        .map(|path| Hook::new(path, hook_settings))
        .transpose();
    let selection = match kind {
        JobKind::Snap { .. } => read_selection(&common.selection)?,
        JobKind::Clean => read_selection_for_removal(&common.selection)?,
    };
    let defaults = JobSettings::new(kind, selection, label, rules);
    let policy = Policy {
        series,
        stuck: if args.retry_stuck_removal {
            StuckRemovals::Retry
        } else {
            StuckRemovals::Leave
        },
        ambiguous: if args.allow_ambiguous_names {
            AmbiguousNames::Count
        } else {
            defaults.policy.ambiguous
        },
        ..defaults.policy
    };
    Ok(JobSettings {
        exclusions: exclusion_rule(kind, args.selection.allow_unmatched_exclusions),
        strict: args.selection.strict,
        allow_empty: args.selection.allow_empty,
        policy,
        max_percent_storage: StorageLimit::new(common.selection.max_perc_storage)
            .map_err(wrong("--max-perc-storage"))?,
        hook: hook.map_err(wrong("--script"))?,
        hook_failure: args.hook_failure.into(),
        execution: read_execution(kind, common.limits, args),
        ..defaults
    })
}

/// Reads the options about the execution of a job.
fn read_execution(kind: JobKind, limits: LimitArgs, args: &JobArgs) -> Execution {
    let with_ram = matches!(kind, JobKind::Snap { with_ram: true });
    let reasons = [
        (args.script.is_some(), SerialReason::Hook),
        (with_ram, SerialReason::Ram),
    ];
    let reasons = reasons.into_iter().filter(|(applies, _)| *applies);
    let serial_reasons: Vec<SerialReason> = match limits.max_parallel {
        Some(_) => Vec::new(),
        None => reasons.map(|(_, reason)| reason).collect(),
    };
    let parallel = read_limits(limits);
    Execution {
        limits: Limits {
            total: if serial_reasons.is_empty() {
                parallel.total
            } else {
                1
            },
            ..parallel
        },
        serial_reasons,
        reads_at_once: parallel.total,
        timeout: limits.timeout,
        force_remove: args.force_remove,
        wait_locked: args.wait_locked,
        wait_snapshot_lock: Some(args.wait_snapshot_lock).filter(|wait| !wait.is_zero()),
        removal_budget: args.removal_budget,
        // The option parser accepts nothing smaller.
        removal_limit: RemovalLimit::new(args.max_removals_per_guest).unwrap_or_default(),
    }
}

/// Reads what belongs to one run of `snap` or `clean`.
pub fn read_invocation(common: &CommonArgs, keep: &KeepArgs, now: Zoned) -> Invocation {
    Invocation {
        now: in_time_zone(keep, now),
        dry_run: common.mode.dry_run,
        compare_with: None,
        debug: common.output.shows_debug(),
    }
}

/// The rules of `--compare`.
pub fn read_compared_rules(args: &PlanArgs) -> Result<Option<Rules>, CommandError> {
    let rules = args.compare.as_deref();
    rules
        .map(|rules| keep::parse_rules(rules, "--compare"))
        .transpose()
}

/// The time in the zone of `--timezone`.
pub fn in_time_zone(keep: &KeepArgs, now: Zoned) -> Zoned {
    match &keep.timezone {
        Some(zone) => now.with_time_zone(zone.clone()),
        None => now,
    }
}

/// Reads the options of `status`.
pub fn from_status_args(args: &StatusArgs) -> Result<StatusSettings, CommandError> {
    let label = args
        .label
        .as_deref()
        .filter(|label| !label.trim().is_empty());
    let label = label.map(Label::parse).transpose();
    let label = label.map_err(wrong("--label"))?;
    // A list does no harm, and C# takes any format there.
    let (format, invalid_format) = match parse_format(&args.common.formats.timestamp_format) {
        Ok(format) => (format, None),
        Err(error) => (TimestampFormat::default(), Some(error)),
    };
    let adopted = read_also_formats(&args.common.formats)?;
    let formats = std::iter::once(&format).chain(&adopted).cloned().collect();
    Ok(StatusSettings {
        selection: read_selection(&args.common.selection)?,
        series: label.map(|label| Series::with_formats(label, format, adopted)),
        formats,
        reads_at_once: read_limits(args.common.limits).total,
        only_running: args.only_running,
        invalid_format,
    })
}

/// Turns an error about the value of an option into an error of the command.
fn wrong<E: Display>(option: &'static str) -> impl Fn(E) -> CommandError {
    move |error| CommandError::usage(error).about(option)
}

/// The form of a list without `--output`: `Plain` on a terminal, the C# tool's table for scripts.
pub fn default_output() -> StatusOutput {
    if io::stdout().is_terminal() {
        StatusOutput::Plain
    } else {
        StatusOutput::Text
    }
}

fn read_selection(args: &GuestArgs) -> Result<Selection, CommandError> {
    Selection::parse(&args.vmid).map_err(|error| invalid_selection(&args.vmid, &error))
}

/// The selection of `clean`. It only removes snapshots, so it refuses terms that other commands ignore.
fn read_selection_for_removal(args: &GuestArgs) -> Result<Selection, CommandError> {
    let selection = read_selection(args)?;
    match selection.check_for_removal() {
        Ok(()) => Ok(selection),
        Err(error) => Err(invalid_selection(&args.vmid, &error)),
    }
}

/// The error about a selection, with the corrected option if there is a suggestion.
fn invalid_selection(vmid: &str, error: &SelectionError) -> CommandError {
    let error = CommandError::usage(format!("--vmid={vmid}: {error}")).about("--vmid");
    match Selection::suggestion(vmid) {
        Some(suggestion) if suggestion != vmid.trim() => {
            error.with_hint(format!("--vmid={}", shell_word(&suggestion, "GUESTS")))
        }
        Some(_) | None => error,
    }
}

/// The labels of `--adopt-labels`.
fn read_labels(labels: &[String]) -> Result<Vec<Label>, CommandError> {
    let labels = labels.iter().map(|label| label.trim());
    let labels = labels.filter(|label| !label.is_empty());
    labels
        .map(|label| {
            Label::parse(label)
                .map_err(|error| wrong("--adopt-labels")(format!("--adopt-labels: {error}")))
        })
        .collect()
}

/// The formats of `--also-format`.
fn read_also_formats(args: &FormatArgs) -> Result<Vec<TimestampFormat>, CommandError> {
    let formats = args.also_format.iter();
    formats
        .map(|format| TimestampFormat::parse(format).map_err(wrong("--also-format")))
        .collect()
}

fn read_format(args: &FormatArgs) -> Result<TimestampFormat, CommandError> {
    parse_format(&args.timestamp_format).map_err(wrong("--timestamp-format"))
}

/// Parses a timestamp format. As in the C# tool, white space means the default.
fn parse_format(format: &str) -> Result<TimestampFormat, FormatError> {
    if format.trim().is_empty() {
        return Ok(TimestampFormat::default());
    }
    TimestampFormat::parse(format)
}

fn read_limits(args: LimitArgs) -> Limits {
    let defaults = Limits::default();
    let total = args.max_parallel.map(usize::from);
    Limits {
        total: total.unwrap_or(defaults.total),
        per_node: args
            .max_parallel_per_node
            .map(usize::from)
            .or(total)
            .unwrap_or(defaults.per_node),
        per_storage: args
            .max_parallel_per_storage
            .map_or(defaults.per_storage, usize::from),
        ram_per_node: args
            .max_parallel_ram
            .map_or(defaults.ram_per_node, usize::from),
    }
}
