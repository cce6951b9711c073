// SPDX-License-Identifier: GPL-3.0-only
//! Several runs over one cluster: each is started, followed, cancelled and joined by itself.
//!
//! All runs share the limits of the cluster and its leases, so that no two of them work on one guest at the same
//! time ([`autosnap_core::schedule`]). A run that is cancelled starts nothing new, finishes the started guests,
//! and calls its closing hooks.
//!
//! A panic is a bug in this program. It ends the guest whose steps have panicked: the guest has failed, its open
//! hooks are closed, and its slots and its lease are freed. A panic outside of a guest's steps ends its run: no more
//! guests are started, the started ones are finished, the others are not reached, and the closing hook of the job is
//! called. Both are reported as an internal error, and the run has failed. Other runs continue.

use std::sync::Arc;

use autosnap_core::event::{EventKind, StopReason};
use autosnap_core::record::{RunRecord, RunResult};
use autosnap_core::run_id::RunId;
use autosnap_core::warning::Warning;
use jiff::Zoned;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::engine::RunningTasks;
use crate::error::Error;
use crate::events::{EventReceiver, Events};
use crate::job::{self, Context};
use crate::panics;
use crate::settings::{Invocation, JobSettings};
use crate::stop::StopSignal;

/// The runs over one cluster. Clones share the cluster.
#[derive(Debug, Clone)]
pub struct Coordinator {
    cluster: Cluster,
}

/// A run to be started: the job, and what belongs to this run alone.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The job. Several runs can share it.
    pub job: Arc<JobSettings>,
    /// The time of the run, and whether it is a dry run.
    pub invocation: Invocation,
    /// Warnings to report before anything else.
    pub warnings: Vec<Warning>,
}

impl RunRequest {
    /// A run of this job now, in the zone of the machine.
    pub fn new(job: impl Into<Arc<JobSettings>>) -> Self {
        Self {
            job: job.into(),
            invocation: Invocation::new(Zoned::now()),
            warnings: Vec::new(),
        }
    }
}

impl Coordinator {
    /// A coordinator for the runs over this cluster.
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Starts a run, as a task of the current tokio runtime. The run continues if its handle is dropped.
    pub fn spawn(&self, request: RunRequest) -> RunHandle {
        let (events, receiver) = Events::channel();
        for warning in request.warnings {
            events.emit(EventKind::Warned(warning));
        }
        let context = Context {
            cluster: self.cluster.clone(),
            invocation: request.invocation,
            events,
            stop: StopSignal::default(),
            tasks: RunningTasks::default(),
        };
        RunHandle {
            run: context.events.run(),
            events: Some(receiver),
            stop: context.stop.clone(),
            tasks: context.tasks.clone(),
            task: tokio::spawn(run_unless_abandoned(request.job, context)),
        }
    }
}

/// Runs the job to its end, or until the run is abandoned: then it takes no further step and never returns.
async fn run_unless_abandoned(job: Arc<JobSettings>, context: Context) -> FinishedRun {
    let stop = context.stop.clone();
    // Not dropped when the run is abandoned: that would end its hooks, which the process that exits waits for.
    let mut working = Box::pin(run_to_end(job, context));
    tokio::select! {
        biased;
        () = stop.abandoned() => std::future::pending().await,
        result = &mut working => result,
    }
}

async fn run_to_end(job: Arc<JobSettings>, context: Context) -> FinishedRun {
    let started = Instant::now();
    let result = panics::catch(Box::pin(job::run(&job, &context))).await;
    let result = result.unwrap_or_else(|panic| {
        let error = panic.into();
        context.events.emit(job::failed(&error));
        job::finish_unreached(&context);
        let duration = started.elapsed();
        context.events.emit(EventKind::RunFinished { duration });
        Err(error)
    });
    FinishedRun {
        record: context.events.record(),
        error: result.err(),
    }
}

/// A run that was started.
#[derive(Debug)]
pub struct RunHandle {
    run: RunId,
    events: Option<EventReceiver>,
    stop: StopSignal,
    tasks: RunningTasks,
    task: JoinHandle<FinishedRun>,
}

impl RunHandle {
    /// The identifier of the run.
    pub fn id(&self) -> RunId {
        self.run
    }

    /// The events of the run, from its first one. They end when the run ends. `None` after the first call.
    pub fn events(&mut self) -> Option<EventReceiver> {
        self.events.take()
    }

    /// Requests a stop: the run starts nothing new, finishes the started guests and calls its closing hooks.
    pub fn cancel(&self) {
        self.stop.request(StopReason::Cancelled);
    }

    /// The stop signal of the run.
    pub fn stop_signal(&self) -> &StopSignal {
        &self.stop
    }

    /// The tasks in PVE that the run has started and not yet seen end.
    pub fn tasks(&self) -> &RunningTasks {
        &self.tasks
    }

    /// Whether the run has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end of the run.
    pub async fn join(self) -> FinishedRun {
        let run = self.run;
        self.task.await.unwrap_or_else(|error| FinishedRun {
            record: Arc::new(RunRecord::new(run)),
            error: Some(Error::Internal(format!("the run was dropped: {error}"))),
        })
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct FinishedRun {
    /// The record of the run.
    pub record: Arc<RunRecord>,
    /// The error that ended the run before all its guests were finished.
    pub error: Option<Error>,
}

impl FinishedRun {
    /// The result of the run.
    pub fn result(&self) -> RunResult {
        match &self.error {
            Some(error) => RunResult::Failed(error.kind()),
            None => self.record.result(),
        }
    }
}

#[cfg(test)]
mod tests;
