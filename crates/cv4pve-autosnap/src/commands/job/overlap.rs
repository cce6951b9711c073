// SPDX-License-Identifier: GPL-3.0-only
//! The lock against overlapping runs of a job, and what a run does if it does not get it (`--on-overlap`).

use std::time::Duration;

use autosnap::overlap::{JobLocks, LockOwner, LockResult};
use autosnap_core::text;
use autosnap_core::warning::Warning;
use jiff::Zoned;
use jiff::civil::DateTime;

use crate::args::{JobArgs, JobOutput, OnOverlap};
use crate::command_error::CommandError;
use crate::report::{self, Console, Lines};

/// How a run handles another run of its job, and where it prints that.
pub(super) struct Overlap<'a> {
    pub(super) args: &'a JobArgs,
    pub(super) console: &'a Console,
    /// The time at which the run was started.
    pub(super) now: &'a Zoned,
}

impl Overlap<'_> {
    /// Takes the locks of the job, and waits for them with `--on-overlap=wait`. Adds warnings for the report to `warnings`.
    pub(super) async fn lock(&self, locks: &JobLocks, warnings: &mut Vec<Warning>) -> LockResult {
        let timeout = match self.args.on_overlap {
            OnOverlap::Wait => self.args.overlap_timeout,
            OnOverlap::Skip | OnOverlap::Fail => Duration::ZERO,
        };
        let on_wait = |owner: &LockOwner| {
            let warning = Warning::WaitedForRun {
                pid: owner.pid,
                since: self.local_start(owner),
                at: self.now.datetime(),
            };
            if !self.print(&report::warning(&warning)) {
                warnings.push(warning);
            }
        };
        locks.lock(timeout, on_wait).await
    }

    /// Handles a lock that another run holds: the text about that run if this one is skipped, otherwise an error.
    pub(super) fn refuse(&self, owner: &LockOwner) -> Result<String, CommandError> {
        let other = self.active_run(owner);
        match self.args.on_overlap {
            OnOverlap::Skip => {
                self.print(&format!("nothing done: {other}"));
                Ok(other)
            }
            OnOverlap::Fail => Err(CommandError::failure(other)
                .with_hint("--on-overlap=wait waits for it, --on-overlap=skip exits with 0")),
            OnOverlap::Wait => Err(CommandError::failure(format!(
                "{other}; it did not end within {}",
                text::duration(self.args.overlap_timeout)
            ))
            .with_hint("end it, or give it more time with --overlap-timeout")),
        }
    }

    fn active_run(&self, owner: &LockOwner) -> String {
        report::active_run(owner.pid, self.local_start(owner), self.now.datetime())
    }

    /// The local time at which the other run got the lock.
    fn local_start(&self, owner: &LockOwner) -> Option<DateTime> {
        let since = owner.since?.to_zoned(self.now.time_zone().clone());
        Some(since.datetime())
    }

    /// Prints a line about a run that has not started: on stderr for a terminal and the journal, otherwise on stdout, as
    /// cron mails stderr even if the run succeeds. Returns whether it was printed: JSON output must stay one document.
    fn print(&self, line: &str) -> bool {
        if self.console.takes_notices(false) {
            self.console.error(line);
            return true;
        }
        let is_text = self.args.output == JobOutput::Text && !self.args.quiet;
        if is_text {
            let mut lines = Lines::default();
            lines.line(line);
            self.console.out(&lines);
        }
        is_text
    }
}
