// SPDX-License-Identifier: GPL-3.0-only
//! The dry run of the command line that is checked.
//!
//! `check` performs the same dry run as `snap` or `clean`, and derives its findings from the record. So the two
//! agree: a finding is a problem if and only if the dry run fails because of it.

use std::sync::Arc;

use autosnap_core::event::EventKind;
use autosnap_core::guest::Vmid;
use autosnap_core::plan::{GuestPlan, Plan};
use autosnap_core::record::{RunRecord, RunResult};
use jiff::Zoned;
use pve_client::Client;

use crate::cluster::Cluster;
use crate::engine::RunningTasks;
use crate::error::Error;
use crate::events::Events;
use crate::job::{self, Context};
use crate::settings::{Invocation, JobSettings};
use crate::stop::StopSignal;

/// What a dry run reported.
#[derive(Debug)]
pub struct DryRun {
    /// The record of the run.
    pub record: Arc<RunRecord>,
    /// The error that ended it, if it ended early.
    pub error: Option<Arc<Error>>,
    /// The plan.
    pub plan: Option<Arc<Plan>>,
}

impl DryRun {
    /// The plan for each guest; none without a plan.
    pub fn guests(&self) -> &[GuestPlan] {
        self.plan.as_ref().map_or(&[], |plan| &plan.guests)
    }

    /// The result of the run.
    pub fn result(&self) -> RunResult {
        match &self.error {
            Some(error) => RunResult::Failed(error.kind()),
            None => self.record.result(),
        }
    }

    /// Whether the run would do everything that is requested.
    pub fn succeeds(&self) -> bool {
        self.result() == RunResult::Success
    }

    /// How many guests are selected.
    pub fn selected(&self) -> usize {
        self.record.guests.len()
    }

    /// Whether the skip of a guest is a failure (`--strict`).
    pub fn requires(&self, vmid: Vmid) -> bool {
        let guest = self.record.guest(vmid);
        guest.is_some_and(|guest| guest.is_required)
    }

    /// Whether storages are checked against the limit.
    pub fn checks_storages(&self) -> bool {
        self.record.storages.is_some()
    }
}

/// Performs the dry run of this job.
pub async fn run(settings: &JobSettings, client: &Client, identity: &str, now: Zoned) -> DryRun {
    let (events, mut receiver) = Events::channel();
    let context = Context {
        cluster: Cluster::new(client.clone(), identity, settings.execution.limits),
        invocation: Invocation {
            dry_run: true,
            ..Invocation::new(now)
        },
        events,
        stop: StopSignal::default(),
        tasks: RunningTasks::default(),
    };
    let working = async {
        let result = job::run(settings, &context).await;
        // Dropping the last sender ends the receiver.
        drop(context);
        result
    };
    let observing = async {
        let mut plan = None;
        while let Some(event) = receiver.recv().await {
            if let EventKind::Planned(planned) = event.kind {
                plan = Some(planned);
            }
        }
        plan
    };
    let (result, plan) = tokio::join!(working, observing);
    DryRun {
        record: receiver.record(),
        error: result.err().map(Arc::new),
        plan,
    }
}
