// SPDX-License-Identifier: GPL-3.0-only
//! From the arguments to the exit status.

mod further;
mod local;
mod usage_error;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use autosnap_core::event::StopReason;
use autosnap_core::outcome::ExitStatus;
use clap::FromArgMatches;
use clap::error::ErrorKind;
use jiff::{Timestamp, Zoned};
use pve_client::ClientOptions;
use tokio::time::timeout;

use crate::args::{Cli, Command, JobArgs, JobOutput, RootArgs};
use crate::clock::Clock;
use crate::command_error::CommandError;
use crate::line::Line;
use crate::report::{self, Console, JsonReport, Progress, Reporter, Sink, Text, TextOptions};
use crate::secret_source::Environment;
use crate::settings::Connection;
use crate::{
    args, complete, completions, help, logging, manual, normalize, response_file, settings, signals,
};
use autosnap::cluster::Cluster;
use autosnap::coordinator::{Coordinator, RunHandle, RunRequest};
use autosnap::job;
use autosnap::notice::Notice;
use autosnap::settings::JobSettings;
use autosnap::{overlap, status};

use further::Way;
use local::Redactions;

/// Runs the program with the arguments behind its name, and says what to exit with.
///
/// The version is asked for by installers and monitoring far more often than anything else is done:
/// it needs neither the option parser nor the time zone.
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
            Parsed::Run(invocation) => {
                console.repeat_errors_on_stdout(reports_in_text(&invocation.cli.command));
                execute(&invocation, clock, console)
                    .map_err(|error| invocation.redactions.apply(error))
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

/// Whether it is a `snap` or `clean` whose report is text.
fn reports_in_text(command: &Command) -> bool {
    let output = match command {
        Command::Snap(args) => args.job.output,
        Command::Clean(args) => args.job.output,
        Command::Status(_)
        | Command::Check(_)
        | Command::Setup(_)
        | Command::Fingerprint(_)
        | Command::Completions(_)
        | Command::Complete
        | Command::Manual(_) => return false,
        #[cfg(feature = "demo")]
        Command::Demo(_) => return false,
    };
    output == JobOutput::Text
}

/// The same of words that could not be read as a command line.
fn seem_to_report_in_text<'a>(words: impl IntoIterator<Item = &'a OsString>) -> bool {
    let (mut is_job, mut is_json) = (false, false);
    for word in words {
        let word = word.to_string_lossy().to_lowercase();
        is_job |= ["snap", "clean"].contains(&word.as_str());
        let is_option = word.starts_with("-o") || word.starts_with("--output");
        is_json |=
            ["json", "jsonpretty"].contains(&word.as_str()) || is_option && word.contains("json");
    }
    is_job && !is_json
}

enum Parsed {
    Run(Box<Invocation>),
    /// Help or version, to be printed.
    Shown(String),
}

/// A command line that was read.
struct Invocation {
    cli: Cli,
    /// The arguments as `ps` shows them.
    typed: Vec<OsString>,
    /// Notices about the line and its parameter files.
    notices: Vec<Notice>,
    /// The IDs of the options that parameter files set.
    in_files: Vec<String>,
    /// The values that no error may quote.
    redactions: Redactions,
}

fn parse(arguments: &[OsString], console: &Console) -> Result<Parsed, CommandError> {
    console.repeat_errors_on_stdout(seem_to_report_in_text(arguments));
    let expanded = response_file::expand(arguments.iter().cloned());
    let mut command = args::command();
    let line = expanded.or_else(|error| {
        // Help wins over mistakes in the files.
        let typed = Line::typed(arguments.iter().cloned());
        let helps = normalize::asks_for_help(&command, &typed);
        helps.then_some(typed).ok_or(error)
    });
    let line = line.map_err(CommandError::usage)?;
    let texts = line.words.iter().map(|word| &word.text);
    console.repeat_errors_on_stdout(seem_to_report_in_text(texts));
    let normalized = normalize::normalize(&command, &line);
    let normalized = normalized.map_err(|refusal| refusal.into_command_error(&line))?;
    if let Some(error) = usage_error::single_dash(&normalized, &line) {
        return Err(error);
    }
    local::check_home(&normalized, &line)?;
    let mut words = normalized.texts();
    let all = args::asks_for_all(&mut words);
    if all {
        command = args::showing_all(command);
    }
    let name = words.first().and_then(|word| word.to_str());
    let notices = local::notices(name.unwrap_or_default(), &normalized);
    let named = std::iter::once(OsString::from(command.get_name().to_owned())).chain(words);
    let parsed = command
        .try_get_matches_from(named)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Parsed::Run(Box::new(Invocation {
            cli,
            typed: arguments.to_vec(),
            notices,
            redactions: Redactions::new(&normalized, &line),
            in_files: normalized.in_files,
        }))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let text = error.render().to_string();
                Ok(Parsed::Shown(if all {
                    help::complete(&text)
                } else {
                    text
                }))
            }
            _ => Err(usage_error::from_clap(&error, &normalized, &line)),
        },
    }
}

/// The exit status, unless something could not be written to stdout.
fn if_written(console: &Console, status: ExitStatus) -> Result<ExitStatus, CommandError> {
    let Some(error) = console.trouble() else {
        return Ok(status);
    };
    let error = CommandError::failure(format!("the report could not be written: {error}"));
    Err(match status {
        ExitStatus::Success => error,
        exit => CommandError { exit, ..error },
    })
}

fn execute(
    invocation: &Invocation,
    clock: &Clock,
    console: &Console,
) -> Result<ExitStatus, CommandError> {
    match &invocation.cli.command {
        Command::Snap(args) => run_job(
            &settings::from_snap_args(args)?,
            &args.root,
            &args.job,
            invocation,
            clock,
            console,
        ),
        Command::Clean(args) => run_job(
            &settings::from_clean_args(args)?,
            &args.root,
            &args.job,
            invocation,
            clock,
            console,
        ),
        Command::Status(args) => {
            let settings = settings::from_status_args(args)?;
            let output = args.output.unwrap_or_else(settings::usual_output);
            let connection = connection(&args.root, invocation, console)?;
            let now = clock.now();
            block_on(async {
                let trust = connection.options.trust.clone();
                let (client, warning) = further::sign_on(connection, console).await?;
                if let Some(warning) = warning {
                    console.notice(&format!("WARNING: {warning}"), args.root.shows_debug());
                }
                further::tell_trust(&trust, &client, &args.root, console);
                let status = status::read(&settings, &client, now.timestamp()).await?;
                for warning in &status.warnings {
                    let line = format!("WARNING: {warning}");
                    match status.exit_status() {
                        ExitStatus::Success => console.notice(&line, args.root.shows_debug()),
                        _ => console.error(&line),
                    }
                }
                // At a terminal alone: a run that succeeds writes nothing to stderr.
                for pools in &status.nested_pools {
                    let notice = format!("NOTICE: {pools}");
                    console.notice(&notice, args.root.shows_debug());
                }
                report::print_status(console, &status, output, now.time_zone())
                    .map_err(|error| CommandError::failure(format!("{error:#}")))?;
                Ok(status.exit_status())
            })
        }
        Command::Check(args) => further::check(args, invocation, &clock.now(), console),
        Command::Setup(args) => further::setup(args, console),
        Command::Fingerprint(args) => further::fingerprint(args, console),
        #[cfg(feature = "demo")]
        Command::Demo(args) => crate::demo::run(args, console),
        Command::Completions(args) => {
            console.document(&completions::script(args.shell));
            Ok(ExitStatus::Success)
        }
        Command::Complete => {
            let words = complete::words(std::io::stdin().lock());
            console.text(&complete::lines(&words));
            Ok(ExitStatus::Success)
        }
        Command::Manual(args) => {
            manual::write(&args.folder).map_err(|error| {
                let folder = args.folder.display();
                CommandError::failure(format!(
                    "cannot write the manual pages to {folder}: {error}"
                ))
            })?;
            Ok(ExitStatus::Success)
        }
    }
}

/// Reads how to connect, and prints the notices about the options and files.
fn connection(
    root: &RootArgs,
    invocation: &Invocation,
    console: &Console,
) -> Result<Connection, CommandError> {
    let connection = read_connection(root, invocation)?;
    let hook = local::hook_notice(&invocation.cli.command);
    let notices = invocation.notices.iter().chain(&connection.notices);
    for notice in notices.chain(&hook) {
        console.notice(&format!("WARNING: {}", notice.message), root.shows_debug());
    }
    Ok(connection)
}

fn read_connection(root: &RootArgs, invocation: &Invocation) -> Result<Connection, CommandError> {
    if root.shows_debug() {
        logging::show_debug();
    }
    Connection::read(root, &invocation.typed, &Environment::of_process())
}

/// How long the lock of a run is held while its report is not read. After that the next run may begin.
const LOCK_FOR_REPORT: Duration = Duration::from_secs(10);

fn run_job(
    settings: &JobSettings,
    root: &RootArgs,
    job: &JobArgs,
    invocation: &Invocation,
    clock: &Clock,
    console: &Console,
) -> Result<ExitStatus, CommandError> {
    let connection = connection(root, invocation, console)?;
    // A hook writes to our stderr, into the line of the bar.
    let bar = !settings.dry_run && !settings.debug && settings.hook.is_none();
    let console = console.with_bar(bar);
    let mut notes: Vec<String> = further::unknown_zone(&clock.now()).into_iter().collect();
    block_on(async {
        let ClientOptions {
            endpoints, trust, ..
        } = &connection.options;
        let trust = trust.clone();
        let identity = connection.options.credentials.identity();
        let unstarted = |notes: &[String], exit, message: &str| {
            let json = json_report(job, &console, clock.now().timestamp());
            let mut header = job::header(settings, "");
            header.warnings.extend_from_slice(notes);
            report::tell_unstarted(&console, json, header, exit, message);
        };
        let entered =
            further::enter(settings, job, &root.vmid, endpoints, &console, &mut notes).await;
        let way = match entered {
            Ok(Way::Leave(holder)) => {
                unstarted(&notes, ExitStatus::Success, &holder);
                return Ok(ExitStatus::Success);
            }
            other => other,
        };
        if let Ok(Way::Go { waited: true, .. }) = &way {
            clock.next_second().await;
        }
        // Read only now: a run that had to wait takes its names from the time it got the lock.
        let mut now = clock.now();
        if clock.is_system() && settings.takes_snapshots() {
            now = overlap::take_second(settings.series.label().as_str(), endpoints, now);
        }
        let signed_on = match way {
            Ok(way) => further::sign_on(connection, &console)
                .await
                .map(|(client, warning)| (way, client, warning)),
            Err(error) => Err(error),
        };
        let signed_on =
            signed_on.inspect_err(|error| unstarted(&notes, error.exit, &error.message));
        let (way, client, warning) = signed_on?;
        notes.extend(warning);
        further::tell_trust(&trust, &client, root, &console);
        let sinks = sinks(settings, job, &console, now.timestamp());
        let reporter = Reporter::start(sinks)
            .map_err(|error| CommandError::failure(format!("cannot start: {error}")))?;
        let cluster = Cluster::new(client, &identity, settings.limits);
        let request = RunRequest {
            job: settings.clone(),
            now,
            warnings: notes,
        };
        let run = Coordinator::new(cluster).spawn(request);
        report_run(run, reporter, &console, way).await
    })
}

/// Reports a run until its report is written. Other runs are kept out while `way` is held, but for no longer than
/// [`LOCK_FOR_REPORT`] by the report.
async fn report_run(
    mut run: RunHandle,
    reporter: Reporter,
    console: &Console,
    way: Way,
) -> Result<ExitStatus, CommandError> {
    let stop = run.stop_signal().clone();
    let listening = signals::listen(stop.clone(), run.tasks().clone(), console.clone());
    let receiver = run.events().expect("taken here only");
    let mut reporting = tokio::spawn(reporter.drive(receiver));
    let result = tokio::select! {
        result = run.join() => result,
        // The thread that receives signals exits the process.
        () = stop.abandoned() => std::future::pending().await,
    };
    drop(listening);
    if timeout(LOCK_FOR_REPORT, &mut reporting).await.is_err() {
        drop(way);
        // An error means a panic in the report thread, which has written what it could.
        let _ = reporting.await;
    }
    if let Some(error) = result.error {
        return Err(error.into());
    }
    match result.outcome.interruption {
        Some(StopReason::ServerLost) => Err(CommandError {
            exit: ExitStatus::Connection,
            ..CommandError::failure(
                "the server is lost: no host answers any more, or the login is no longer accepted",
            )
        }),
        _ => Ok(result.outcome.exit_status()),
    }
}

/// Who is told of a run.
fn sinks(
    settings: &JobSettings,
    job: &JobArgs,
    console: &Console,
    started: Timestamp,
) -> Vec<Box<dyn Sink + Send>> {
    let options = TextOptions {
        debug: settings.debug,
        one_at_a_time: settings.limits.total == 1,
        quiet: job.quiet,
    };
    let report: Box<dyn Sink + Send> = match json_report(job, console, started) {
        Some(report) => Box::new(report),
        None => Box::new(Text::new(console.clone(), options)),
    };
    let mut sinks = vec![
        report,
        Box::new(Progress::new(console)) as Box<dyn Sink + Send>,
    ];
    if let Some(journal) = console.journal() {
        sinks.push(Box::new(journal));
    }
    sinks
}

/// The report for programs, if that is what was asked for.
fn json_report(job: &JobArgs, console: &Console, started: Timestamp) -> Option<JsonReport> {
    let pretty = match job.output {
        JobOutput::Text => return None,
        JobOutput::Json => false,
        JobOutput::JsonPretty => true,
    };
    Some(JsonReport::new(console.clone(), pretty, started).quiet(job.quiet))
}

pub(crate) fn block_on<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| CommandError::failure(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests;
