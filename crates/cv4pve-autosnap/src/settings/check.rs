// SPDX-License-Identifier: GPL-3.0-only
//! The settings of `check`: the settings of the checked command line, and findings about its options.

use std::path::Path;

use crate::command_error::CommandError;
use autosnap::check::finding::Finding;
use autosnap::check::settings::Settings;
use autosnap::hook::{self, Hook, HookError};
use autosnap::notice::Notice;
use autosnap_core::name::Label;

use super::keep::read_rules;
use super::{check_names, read_format};
use crate::args::{CheckArgs, CheckedCommand, KeepArgs, Usage, usage};

/// The label of the dry run if none or an invalid one is given.
const PLACEHOLDER_LABEL: &str = "check";

/// Reads the options of `check`. A label, format, number to keep or hook that a run would
/// refuse is a finding, not an error, so that the rest is checked too.
pub fn from_args(args: &CheckArgs) -> Result<Settings, CommandError> {
    let mut line = args.clone();
    let mut findings: Vec<Finding> = missing_options(args).into_iter().collect();
    if let Some(error) = name_error(args) {
        findings.push(Finding::InvalidName(error));
        line.job.label = None;
        line.common.formats.timestamp_format = String::new();
    }
    let format = read_format(&args.common.formats).ok();
    if let Some(warning) = format.and_then(|format| format.warning()) {
        findings.push(Finding::TimestampFormat(warning));
    }
    match args.job.script.as_deref().map(find_hook) {
        Some(Err(error)) => {
            findings.push(Finding::InvalidHook(error.to_string()));
            line.job.script = None;
        }
        Some(Ok(hook)) => {
            findings.extend(hook.start_error().map(|error| {
                Finding::Local(Notice::warning("hook-cannot-start", error.to_string()))
            }));
        }
        None => {}
    }
    if args.command == CheckedCommand::Snap && args.keep == Some(0) {
        findings.push(Finding::InvalidOption(
            "--keep=0 is for clean; snap keeps 1 to 100 snapshots, the new one included".to_owned(),
        ));
        line.keep = None;
    }
    if let Err(error) = read_rules(line.keep, &line.job.keep) {
        findings.push(Finding::InvalidOption(error.message));
        line.keep = None;
        line.job.keep = KeepArgs {
            adopt_labels: line.job.keep.adopt_labels,
            timezone: line.job.keep.timezone,
            ..KeepArgs::default()
        };
    }
    line.job
        .label
        .get_or_insert_with(|| PLACEHOLDER_LABEL.to_owned());
    Ok(Settings {
        job: super::from_check_args(&line)?,
        option_findings: findings,
    })
}

/// Adds findings for the options that the checked command refuses because it does not use them. `in_files` are
/// the IDs of those that parameter files set for several commands.
pub fn refuse_unused(settings: &mut Settings, args: &CheckArgs, in_files: &[String]) {
    let given = [
        ("state", args.state),
        ("hold", args.marks.hold),
        ("expires", args.marks.expires.is_some()),
        ("note", args.marks.note.is_some()),
        (
            "max_parallel_ram",
            args.common.limits.max_parallel_ram.is_some(),
        ),
    ];
    let command = settings.job.command();
    for (id, _) in given.iter().filter(|(_, given)| *given) {
        let typed = !in_files.iter().any(|in_file| in_file == id);
        if typed && usage(command, id) != Usage::Used {
            let option = id.replace('_', "-");
            let text = format!("{command} does not use --{option}");
            settings.option_findings.push(Finding::InvalidOption(text));
        }
    }
}

/// The required options of the checked command that are missing. This is only a note: a parameter file
/// may be checked without its label.
fn missing_options(args: &CheckArgs) -> Option<Finding> {
    let missing: Vec<&str> = [
        ("--label", args.job.label.is_none()),
        ("--keep", has_no_rules(args)),
    ]
    .into_iter()
    .filter_map(|(option, is_missing)| is_missing.then_some(option))
    .collect();
    let command = match args.command {
        CheckedCommand::Snap => "snap",
        CheckedCommand::Clean => "clean",
    };
    (!missing.is_empty()).then(|| Finding::MissingOption {
        command,
        options: missing.join(" and "),
    })
}

/// Whether nothing says how many snapshots stay. Invalid rules are a finding of their own.
fn has_no_rules(args: &CheckArgs) -> bool {
    matches!(read_rules(args.keep, &args.job.keep), Ok(None))
}

/// Why PVE would refuse the names.
fn name_error(args: &CheckArgs) -> Option<String> {
    let label = args.job.label.as_deref();
    let label = match Label::parse(label.unwrap_or(PLACEHOLDER_LABEL)) {
        Ok(label) => label,
        Err(error) => return Some(error.to_string()),
    };
    match read_format(&args.common.formats) {
        Err(error) => Some(error.message),
        Ok(format) => check_names(&label, &format).err(),
    }
}

/// The hook, by the rules of a run.
fn find_hook(path: &Path) -> Result<Hook, HookError> {
    Hook::new(path, hook::Settings::default())
}
