// SPDX-License-Identifier: GPL-3.0-only
//! From the arguments to the exit status.

mod line_checks;
mod usage_error;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use jiff::Zoned;

use crate::args::{CleanArgs, Cli, Command, JobOutput, PlanArgs, SnapArgs};
use crate::clock::Clock;
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::exit_status::ExitStatus;
use crate::line::Line;
use crate::redactions::Redactions;
use crate::report::{self, Console};
use crate::{args, commands, help, normalize, response_file};

/// Runs the program with the arguments after its name, and returns its exit status.
///
/// Installers and monitoring ask for the version often, so it needs neither the option parser nor the
/// time zone.
pub fn run(arguments: &[OsString]) -> ExitStatus {
    let arguments = without_program_name(arguments);
    if arguments.is_empty() {
        Console::default().error_text(help::SHORT.trim_end());
        return ExitStatus::Usage;
    }
    if let [only] = arguments
        && (only == "--version" || only == "-V")
    {
        return conclude(&Console::default(), |console| {
            console.text(VERSION_LINE);
            Ok(ExitStatus::Success)
        });
    }
    run_by(arguments, &Clock::System)
}

/// The arguments without the name of the program as the first of them, as in `docker run IMAGE
/// cv4pve-autosnap …` with an image that starts the program itself.
fn without_program_name(arguments: &[OsString]) -> &[OsString] {
    let is_name = |word: &OsString| {
        let name = Path::new(word).file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.strip_suffix(".exe").unwrap_or(name) == help::PROGRAM)
    };
    match arguments.split_first() {
        Some((first, rest)) if is_name(first) => rest,
        _ => arguments,
    }
}

/// What clap would print.
const VERSION_LINE: &str = concat!("cv4pve-autosnap ", env!("CARGO_PKG_VERSION"), "\n");

/// The same at a given time, in the zone whose time goes into the names of snapshots.
pub fn run_at(arguments: &[OsString], now: &Zoned) -> ExitStatus {
    run_by(arguments, &Clock::Fixed(now.clone()))
}

fn run_by(arguments: &[OsString], clock: &Clock) -> ExitStatus {
    conclude(&Console::default(), |console| {
        match parse(arguments, console)? {
            Parsed::Run(command_line) => {
                console.repeat_errors_on_stdout(reports_in_text(&command_line.cli.command));
                let context = commands::Context {
                    clock,
                    console,
                    #[cfg(feature = "demo")]
                    run_line: run_at,
                };
                commands::execute(&command_line, &context)
                    .map_err(|error| command_line.redactions.apply(error))
            }
            Parsed::Shown(text) => {
                console.text(&text);
                Ok(ExitStatus::Success)
            }
        }
    })
}

/// Does the work of a command and prints its error, if any. A success whose output could not be
/// written becomes a failure; a worse exit status stays.
fn conclude(
    console: &Console,
    work: impl FnOnce(&Console) -> Result<ExitStatus, CommandError>,
) -> ExitStatus {
    let result = work(console).and_then(|status| if_written(console, status));
    result.unwrap_or_else(|error| {
        report::print_error(console, &error);
        error.exit
    })
}

/// Whether the command is a `snap`, `plan` or `clean` whose report is text.
fn reports_in_text(command: &Command) -> bool {
    match command {
        Command::Snap(SnapArgs { job, .. })
        | Command::Plan(PlanArgs {
            snap: SnapArgs { job, .. },
            ..
        })
        | Command::Clean(CleanArgs { job, .. }) => job.output == JobOutput::Text,
        Command::Status(_)
        | Command::Hold(_)
        | Command::Release(_)
        | Command::Expire(_)
        | Command::Note(_)
        | Command::Check(_)
        | Command::Jobs(_)
        | Command::Coverage(_)
        | Command::Simulate(_)
        | Command::Setup(_)
        | Command::Fingerprint(_)
        | Command::Completions(_)
        | Command::Complete
        | Command::Manual(_) => false,
        #[cfg(feature = "demo")]
        Command::Demo(_) => false,
    }
}

/// The same for words that could not be parsed as a command line, by their spelling.
fn seem_to_report_in_text<'a>(words: impl IntoIterator<Item = &'a OsString>) -> bool {
    let (mut is_job, mut is_json) = (false, false);
    for word in words {
        let word = word.to_string_lossy().to_lowercase();
        is_job |= ["snap", "plan", "clean"].contains(&word.as_str());
        let is_option = word.starts_with("-o") || word.starts_with("--output");
        is_json |=
            ["json", "jsonpretty"].contains(&word.as_str()) || is_option && word.contains("json");
    }
    is_job && !is_json
}

/// Parses the line of a job file, whose arguments are in `line`.
pub(crate) fn parse_job(line: &Line) -> Result<CommandLine, CommandError> {
    match parse_line(&[], line, args::command())? {
        Parsed::Run(command_line) => Ok(*command_line),
        Parsed::Shown(_) => Err(CommandError::usage("a job file cannot request help")),
    }
}

enum Parsed {
    Run(Box<CommandLine>),
    /// Help or version, to be printed.
    Shown(String),
}

fn parse(arguments: &[OsString], console: &Console) -> Result<Parsed, CommandError> {
    console.repeat_errors_on_stdout(seem_to_report_in_text(arguments));
    let expanded = response_file::expand(arguments.iter().cloned());
    let command = args::command();
    let line = expanded.or_else(|error| {
        // Help wins over mistakes in the files.
        let typed = Line::typed(arguments.iter().cloned());
        let helps = normalize::requests_help(&command, &typed);
        helps.then_some(typed).ok_or(error)
    });
    let line = line.map_err(CommandError::usage)?;
    let texts = line.words.iter().map(|word| &word.text);
    console.repeat_errors_on_stdout(seem_to_report_in_text(texts));
    parse_line(arguments, &line, command)
}

/// Parses a line whose parameter files are expanded.
fn parse_line(
    typed: &[OsString],
    line: &Line,
    mut command: clap::Command,
) -> Result<Parsed, CommandError> {
    let normalized = normalize::normalize(&command, line);
    let normalized = normalized.map_err(|refusal| refusal.into_command_error(line))?;
    if let Some(error) = usage_error::single_dash(&normalized, line) {
        return Err(error);
    }
    line_checks::check_home(&normalized, line)?;
    let mut words = normalized.texts();
    let all = args::replace_long_help(&mut words);
    if all {
        command = args::with_all_options_shown(command);
    }
    let name = words.first().and_then(|word| word.to_str());
    let notices = line_checks::notices(name.unwrap_or_default(), &normalized);
    let named = std::iter::once(OsString::from(command.get_name().to_owned())).chain(words);
    let parsed = command
        .try_get_matches_from(named)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Parsed::Run(Box::new(CommandLine {
            cli,
            typed: typed.to_vec(),
            notices,
            redactions: Redactions::new(&normalized, line),
            in_files: normalized.in_files,
        }))),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            let text = error.render().to_string();
            Ok(Parsed::Shown(if all {
                help::without_help_option(&text)
            } else {
                text
            }))
        }
        Err(error) => Err(usage_error::from_clap(&error, &normalized, line)),
    }
}

/// The exit status, unless something could not be written to stdout.
fn if_written(console: &Console, status: ExitStatus) -> Result<ExitStatus, CommandError> {
    let Some(error) = console.write_error() else {
        return Ok(status);
    };
    let error = CommandError::failure(format!("the report could not be written: {error}"));
    Err(if status == ExitStatus::Success {
        error
    } else {
        CommandError {
            exit: status,
            ..error
        }
    })
}

#[cfg(test)]
mod tests;
