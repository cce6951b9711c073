// SPDX-License-Identifier: GPL-3.0-only
//! A guest whose tasks always take longer than the timeout of a run: its snapshots must not pile
//! up, and nothing may be requested for it while its task runs.

use std::time::Duration;

use autosnap::settings::{Execution, JobKind, JobSettings};
use jiff::{ToSpan, Zoned};
use pve_sim::simulator::Simulator;
use serde_json::json;

use crate::check::{self, Cluster, Expectation};
use crate::drawn::DrawnPolicy;
use crate::model::State;
use crate::oracle::{Marks, Policy};
use crate::random::Random;
use crate::run::{Others, execute, settle};
use crate::second_cluster::parsed;

/// The timeout of a run, and the duration of the guest's tasks.
const TIMEOUT: Duration = Duration::from_secs(1);
const LATE: f64 = 1.5;

/// The guest with late tasks.
pub(crate) struct Late {
    vmid: u32,
    /// Whether only its creations are late, or its removals too.
    removals_too: bool,
    runs: u32,
}

impl Late {
    pub(crate) fn random(random: &mut Random, simulator: &Simulator) -> Self {
        let guests: Vec<u32> = simulator.world(|world| world.guests.keys().copied().collect());
        Self {
            vmid: *random.pick(&guests),
            removals_too: random.percent(50),
            runs: 2 + random.below(3),
        }
    }

    fn faults(&self) -> serde_json::Value {
        let rule = |kind: Option<&str>| {
            let mut rule = json!({"vmid": self.vmid, "effect": {"duration": LATE}});
            if let Some(kind) = kind {
                rule["kind"] = json!(kind);
            }
            rule
        };
        let rules = if self.removals_too {
            vec![rule(None)]
        } else {
            vec![rule(Some("qmsnapshot")), rule(Some("vzsnapshot"))]
        };
        json!({"tasks": rules})
    }

    /// Runs the job repeatedly, an hour apart; all tasks end between the runs. Returns the number
    /// of late tasks.
    pub(crate) fn check(
        &self,
        state: &mut State,
        simulator: &Simulator,
        (settings, drawn): (&JobSettings, &DrawnPolicy),
        begin: &Zoned,
    ) -> Result<usize, String> {
        let settings = JobSettings {
            hook: None,
            execution: Execution {
                timeout: TIMEOUT,
                wait_locked: None,
                ..settings.execution.clone()
            },
            ..settings.clone()
        };
        let guests = drawn.guests(simulator);
        simulator.set_faults(parsed(&self.faults())?);
        let keeps_new = usize::from(matches!(settings.kind, JobKind::Snap { .. }));
        let most =
            (settings.keep() as usize + keeps_new).max(count_of(state, &drawn.policy, self.vmid));
        let mut now = begin.clone();
        let mut late = 0;
        for _ in 0..self.runs {
            simulator.advance(3600.0);
            now = now.saturating_add(1.hour());
            let from = simulator.journal().tasks().len();
            let ran = execute(&[simulator], &settings, &now, None, &Others::default());
            settle(simulator);
            let mut cluster = [Cluster {
                state: &mut *state,
                simulator,
                guests: guests.clone(),
            }];
            let expected = Expectation {
                settings: &settings,
                policy: &drawn.policy,
                are_copies: false,
            };
            check::check_run(&mut cluster, &expected, &ran, None)?;
            let count = count_of(state, &drawn.policy, self.vmid);
            if count > most {
                return Err(format!(
                    "guest {} has {count} snapshots, keep is {}: its tasks are late",
                    self.vmid,
                    settings.keep()
                ));
            }
            let tasks = simulator.journal().tasks();
            let of_guest = tasks.iter().skip(from);
            let of_guest = of_guest.filter(|task| task.vmid == Some(self.vmid));
            for task in of_guest {
                let exit = task.exitstatus.as_deref().unwrap_or_default();
                if exit.contains("is locked (snapshot") {
                    return Err(format!("requested while another task ran: {}", task.upid));
                }
                late += usize::from(task.seconds > TIMEOUT.as_secs_f64());
            }
        }
        Ok(late)
    }
}

/// How many snapshots of the series a guest has.
fn count_of(state: &State, policy: &Policy, vmid: u32) -> usize {
    let of_guest = state.snapshots.get(&vmid).into_iter().flatten();
    let of_series = of_guest.filter(|(name, snapshot)| {
        policy.is_of_series(name) && Marks::read(&snapshot.description).is_some()
    });
    of_series.count()
}
