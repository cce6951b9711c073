// SPDX-License-Identifier: GPL-3.0-only
//! `snap` and `clean`: run a job and report it.

mod overlap;

use std::sync::Arc;
use std::time::Duration;

use autosnap::cluster::Cluster;
use autosnap::coordinator::{Coordinator, RunHandle, RunRequest};
use autosnap::job;
use autosnap::overlap::{JobLocks, LockGuard, LockResult, reserve_second};
use autosnap::settings::{Invocation, JobSettings};
use autosnap_core::event::StopReason;
use autosnap_core::record::RunResult;
use autosnap_core::retention::Rules;
use autosnap_core::warning::Warning;
use jiff::{Timestamp, Zoned};
use tokio::time::timeout;

use super::Context;
use crate::args::{CleanArgs, CommonArgs, JobArgs, JobOutput, PlanArgs, SnapArgs};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::exit_status::ExitStatus;
use crate::report::{
    self, Console, JsonReport, NotStarted, Progress, Reporter, Sink, Text, TextOptions,
};
use crate::runtime::block_on;
use crate::settings::Connection;
use crate::{preflight, settings, signals};
use overlap::Overlap;

/// How long the lock of a run is held while its report is not read. After that the next run may start.
const LOCK_FOR_REPORT: Duration = Duration::from_secs(10);

/// Runs `snap`.
pub(super) fn snap(
    args: &SnapArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let settings = settings::from_snap_args(args, "snap")?;
    run(
        settings,
        &args.common,
        &args.job,
        None,
        command_line,
        context,
    )
}

/// Runs `plan`: the dry run of `snap`, which may be compared with other rules.
pub(super) fn plan(
    args: &PlanArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let settings = settings::from_snap_args(&args.snap, "plan")?;
    let compare_with = settings::read_compared_rules(args)?;
    let mut common = args.snap.common.clone();
    common.mode.dry_run = true;
    run(
        settings,
        &common,
        &args.snap.job,
        compare_with,
        command_line,
        context,
    )
}

/// Runs `clean`.
pub(super) fn clean(
    args: &CleanArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let settings = settings::from_clean_args(args)?;
    run(
        settings,
        &args.common,
        &args.job,
        None,
        command_line,
        context,
    )
}

fn run(
    settings: JobSettings,
    common: &CommonArgs,
    args: &JobArgs,
    compare_with: Option<Rules>,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let connection = preflight::connection(common, command_line, context.console)?;
    // A hook writes to our stderr, into the line of the bar.
    let has_bar = !common.mode.dry_run && !common.output.shows_debug() && settings.hook.is_none();
    let command = JobCommand {
        settings: Arc::new(settings),
        common,
        args,
        compare_with,
        context,
        console: context.console.with_bar(has_bar),
    };
    block_on(command.run(connection))
}

/// A job of the command line.
struct JobCommand<'a> {
    settings: Arc<JobSettings>,
    common: &'a CommonArgs,
    args: &'a JobArgs,
    /// Other rules to compare the plan with.
    compare_with: Option<Rules>,
    context: &'a Context<'a>,
    console: Console,
}

impl JobCommand<'_> {
    /// Takes the lock, logs in and runs the job.
    async fn run(&self, connection: Connection) -> Result<ExitStatus, CommandError> {
        let clock = self.context.clock;
        let endpoints = connection.options.endpoints.clone();
        let trust = connection.options.trust.clone();
        let identity = connection.options.credentials.identity();
        let started = self.invocation(clock.now());
        let mut warnings: Vec<Warning> = self.unknown_zone(&started).into_iter().collect();
        let mut lock = None;
        if !started.dry_run {
            let overlap = Overlap {
                args: self.args,
                console: &self.console,
                now: &started.now,
            };
            let selection = &self.common.selection.vmid;
            let locks = JobLocks::new(self.settings.labels(), selection, &endpoints);
            match overlap.lock(&locks, &mut warnings).await {
                LockResult::Acquired { guard, waited } => {
                    lock = Some(guard);
                    if waited {
                        clock.next_second().await;
                    }
                }
                LockResult::Unprotected(reason) => warnings.push(Warning::NoOverlapLock(reason)),
                LockResult::Busy(owner) => {
                    return self.end_before_start(overlap.refuse(&owner), &warnings);
                }
            }
        }
        // Read after the wait: a run takes its names from the time it got the lock.
        let mut now = self.invocation(clock.now()).now;
        if clock.is_system() && self.settings.takes_snapshots() && !started.dry_run {
            let label = self.settings.label().as_str();
            now = reserve_second(label, &endpoints, now);
        }
        let (client, warning) = preflight::log_in(connection, &self.console)
            .await
            .inspect_err(|error| self.report_not_started(&warnings, NotStarted::from(error)))?;
        warnings.extend(warning);
        preflight::warn_about_unchecked_certificate(
            &trust,
            &client,
            self.common.output.shows_debug(),
            &self.console,
        );
        let reporter = Reporter::start(self.sinks(now.timestamp()))
            .map_err(|error| CommandError::failure(format!("cannot start: {error}")))?;
        let cluster = Cluster::new(client, &identity, self.settings.execution.limits);
        let run = Coordinator::new(cluster).spawn(RunRequest {
            job: Arc::clone(&self.settings),
            invocation: self.invocation(now),
            warnings,
        });
        self.report(run, reporter, lock).await
    }

    fn invocation(&self, now: Zoned) -> Invocation {
        Invocation {
            compare_with: self.compare_with,
            ..settings::read_invocation(self.common, &self.args.keep, now)
        }
    }

    /// A warning if the zone of this machine is unknown and used.
    fn unknown_zone(&self, started: &Invocation) -> Option<Warning> {
        let is_used = self.args.keep.timezone.is_none();
        preflight::unknown_zone(&started.now).filter(|_| is_used)
    }

    /// Reports a run until its report is written. `lock` keeps other runs out, but the report holds it for
    /// [`LOCK_FOR_REPORT`] at most.
    async fn report(
        &self,
        mut run: RunHandle,
        reporter: Reporter,
        lock: Option<LockGuard>,
    ) -> Result<ExitStatus, CommandError> {
        let stop = run.stop_signal().clone();
        let handling =
            signals::handle_signals(stop.clone(), run.tasks().clone(), self.console.clone());
        let receiver = run.events().expect("taken here only");
        let mut reporting = tokio::spawn(reporter.drive(receiver));
        let finished = tokio::select! {
            finished = run.join() => finished,
            // The thread that receives signals exits the process.
            () = stop.abandoned() => std::future::pending().await,
        };
        drop(handling);
        if timeout(LOCK_FOR_REPORT, &mut reporting).await.is_err() {
            drop(lock);
            // An error means that the report thread panicked; the report is incomplete.
            let _ = reporting.await;
        }
        if let Some(error) = finished.error {
            return Err(error.into());
        }
        let result = finished.record.result();
        if result == RunResult::Stopped(StopReason::ServerLost) {
            return Err(CommandError {
                exit: ExitStatus::Connection,
                ..CommandError::failure(
                    "the server is lost: no host replies any more, or the login is no longer accepted",
                )
            });
        }
        Ok(result.into())
    }

    /// Ends a run that does not start because of another one, which `refused` names if this one is skipped.
    fn end_before_start(
        &self,
        refused: Result<String, CommandError>,
        warnings: &[Warning],
    ) -> Result<ExitStatus, CommandError> {
        let (reason, result) = match refused {
            Ok(other) => (NotStarted::Skipped(other), Ok(ExitStatus::Success)),
            Err(error) => (NotStarted::from(&error), Err(error)),
        };
        self.report_not_started(warnings, reason);
        result
    }

    /// Reports a run that did not start to the sinks for programs.
    fn report_not_started(&self, warnings: &[Warning], reason: NotStarted) {
        let invocation = self.invocation(self.context.clock.now());
        let json = self.json_report(invocation.now.timestamp());
        let mut header = job::header(&self.settings, &invocation, "");
        header.warnings.extend_from_slice(warnings);
        report::report_not_started(&self.console, json, header, reason);
    }

    fn sinks(&self, started: Timestamp) -> Vec<Box<dyn Sink + Send>> {
        let options = TextOptions {
            debug: self.common.output.shows_debug(),
            one_at_a_time: self.settings.execution.limits.total == 1,
            compares: self.compare_with.is_some(),
            quiet: self.args.quiet,
        };
        let report: Box<dyn Sink + Send> = match self.json_report(started) {
            Some(report) => Box::new(report),
            None => Box::new(Text::new(self.console.clone(), options)),
        };
        let mut sinks = vec![
            report,
            Box::new(Progress::new(&self.console)) as Box<dyn Sink + Send>,
        ];
        if let Some(journal) = self.console.journal() {
            sinks.push(Box::new(journal));
        }
        sinks
    }

    /// The report in JSON, if `--output` selects it.
    fn json_report(&self, started: Timestamp) -> Option<JsonReport> {
        let pretty = match self.args.output {
            JobOutput::Text => return None,
            JobOutput::Json => false,
            JobOutput::JsonPretty => true,
        };
        let report = JsonReport::new(self.console.clone(), pretty, started);
        Some(report.quiet(self.args.quiet))
    }
}
