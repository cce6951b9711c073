// SPDX-License-Identifier: GPL-3.0-only
//! `hold`, `release`, `expire` and `note`: change the marks of one snapshot.

use std::time::Duration;

use autosnap::marks::{self, MarkChange, MarkError};
use autosnap_core::guest::Vmid;
use autosnap_core::marks::MarkText;
use autosnap_core::text;
use jiff::{Timestamp, Zoned};

use super::Context;
use crate::args::{ExpireArgs, HoldArgs, MarkTargetArgs, NoteArgs, ReleaseArgs};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::exit_status::ExitStatus;
use crate::report::{self, remedies};
use crate::runtime::block_on;
use crate::secret_source::Environment;
use crate::settings::{Connection, DayEnd, parse_time, parse_time_from_now};
use crate::{logging, preflight};

/// These commands start no task, so the timeout of tasks has no effect.
const TASK_TIMEOUT: Duration = Duration::from_secs(600);

/// How many of our snapshots an error names.
const NAMED_SNAPSHOTS: usize = 5;

/// Runs `hold`.
pub(super) fn hold(
    args: &HoldArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let now = context.clock.now();
    let until = args.until.as_deref();
    let until = until.map(|time| parse_time(time, &now, DayEnd::Last));
    let change = MarkChange::Hold {
        until: until.transpose().map_err(wrong("--until"))?,
        reason: read_text(args.reason.as_deref().unwrap_or_default(), "--reason")?,
    };
    run(&args.target, &change, &now, command_line, context)
}

/// Runs `release`.
pub(super) fn release(
    args: &ReleaseArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let now = context.clock.now();
    run(
        &args.target,
        &MarkChange::Release,
        &now,
        command_line,
        context,
    )
}

/// Runs `expire`.
pub(super) fn expire(
    args: &ExpireArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let now = context.clock.now();
    let change = MarkChange::Expire(read_expiry(args, &now)?);
    run(&args.target, &change, &now, command_line, context)
}

/// Runs `note`.
pub(super) fn note(
    args: &NoteArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let now = context.clock.now();
    let change = MarkChange::Note(read_text(&args.text, "TEXT")?);
    run(&args.target, &change, &now, command_line, context)
}

/// When the snapshot expires; `None` for never.
fn read_expiry(args: &ExpireArgs, now: &Zoned) -> Result<Option<Timestamp>, CommandError> {
    match (&args.at, &args.after, args.never) {
        (Some(at), None, false) => {
            let time = parse_time(at, now, DayEnd::First);
            time.map(Some).map_err(wrong("--at"))
        }
        (None, Some(after), false) => {
            let time = parse_time_from_now(after, now);
            time.map(Some).map_err(wrong("--in"))
        }
        (None, None, true) => Ok(None),
        (None, None, false) => Err(CommandError::usage(
            "expire needs a time: --at TIME or --in TIME, or --never to remove the expiry",
        )
        .with_hint("for example --in 14d")),
        _ => Err(CommandError::usage(
            "expire takes only one of --at, --in and --never",
        )),
    }
}

/// The text of a mark; an empty one is none.
fn read_text(text: &str, option: &'static str) -> Result<Option<MarkText>, CommandError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let text = MarkText::parse(text);
    text.map(Some)
        .map_err(|error| CommandError::usage(format!("{option}: {error}")))
}

/// Parses the ID of the guest; for a name the hint has the command that prints the ID.
fn read_vmid(guest: &str) -> Result<Vmid, CommandError> {
    guest.parse().map_err(|error| {
        let error = CommandError::usage(error);
        let is_name = guest.starts_with(|first: char| first.is_ascii_alphabetic())
            && guest
                .chars()
                .all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '.'));
        if is_name {
            error.with_hint(format!(
                "the ID is in: cv4pve-autosnap status --vmid={guest}"
            ))
        } else {
            error
        }
    })
}

/// Turns an error about the value of an option into an error of the command.
fn wrong(option: &'static str) -> impl Fn(String) -> CommandError {
    move |error| CommandError::usage(format!("{option}: {error}")).about(option)
}

fn run(
    target: &MarkTargetArgs,
    change: &MarkChange,
    now: &Zoned,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let console = context.console;
    let shows_debug = target.debug.shows_debug();
    if shows_debug {
        logging::show_debug();
    }
    let vmid = read_vmid(target.guest.trim())?;
    let connection = Connection::read(
        &target.connection,
        TASK_TIMEOUT,
        &command_line.typed,
        &Environment::from_process(),
    )?;
    for notice in command_line.notices.iter().chain(&connection.notices) {
        console.notice(&format!("WARNING: {}", notice.message), shows_debug);
    }
    let identity = connection.options.credentials.identity();
    let dry_run = target.mode.dry_run;
    block_on(async {
        let trust = connection.options.trust.clone();
        let (client, warning) = preflight::log_in(connection, console).await?;
        if let Some(warning) = warning {
            let line = format!("WARNING: {}", report::warning(&warning));
            console.notice(&line, shows_debug);
        }
        preflight::warn_about_unchecked_certificate(&trust, &client, shows_debug, console);
        let request = marks::Request {
            vmid,
            snapshot: &target.snapshot,
            change,
            dry_run,
        };
        let marked = marks::change(&client, &identity, &request).await;
        let marked = marked.map_err(|error| command_error(&error))?;
        report::print_marked(console, &marked, now, dry_run, target.output);
        if !marked.is_ours {
            console.error(
                "WARNING: the description has other text and no mark any more, so the snapshot no longer counts as \
                 taken by this tool: it is never removed",
            );
        }
        Ok(ExitStatus::Success)
    })
}

/// The error of the command, with what to do about it.
fn command_error(error: &MarkError) -> CommandError {
    let failure = CommandError::failure(error);
    let hint = match error {
        MarkError::GuestNotFound(_) => {
            "list the guests: cv4pve-autosnap status --vmid=@all".to_owned()
        }
        MarkError::SnapshotNotFound { ours, .. } => match ours.as_slice() {
            [] => "the guest has no snapshot of this tool".to_owned(),
            all => {
                let names: Vec<&str> = all
                    .iter()
                    .take(NAMED_SNAPSHOTS)
                    .map(String::as_str)
                    .collect();
                let more = all.len().saturating_sub(NAMED_SNAPSHOTS);
                let more = (more > 0).then(|| format!(" and {more} more"));
                format!(
                    "its snapshots of this tool: {}{}",
                    names.join(", "),
                    more.unwrap_or_default()
                )
            }
        },
        MarkError::NotOurs { .. } => {
            "only snapshots of this tool have marks; no run ever removes another snapshot"
                .to_owned()
        }
        MarkError::Changed { .. } => "repeat the command".to_owned(),
        MarkError::Locked { .. } => {
            "repeat the command when the task that locks the guest has ended".to_owned()
        }
        MarkError::Unconfirmed { .. } => {
            "repeat the command; it changes nothing if the mark is already set".to_owned()
        }
        MarkError::Api { error, remedy } => {
            let is_about_guest = matches!(**error, pve_client::Error::Refused { .. });
            return CommandError {
                exit: if is_about_guest {
                    ExitStatus::Failure
                } else {
                    ExitStatus::Connection
                },
                hint: remedy.as_ref().map(remedies::hint),
                ..failure
            };
        }
    };
    failure.with_hint(text::one_line(&hint))
}
