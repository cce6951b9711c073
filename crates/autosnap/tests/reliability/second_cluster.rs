// SPDX-License-Identifier: GPL-3.0-only
//! A second cluster in the list of hosts, as after `--host=a,b` with hosts of two clusters.

use std::collections::BTreeSet;

use pve_sim::faults::FaultPlan;
use pve_sim::simulator::{Options, Simulator};
use serde_json::Value;

use crate::check::Cluster;
use crate::model::State;
use crate::random::Random;
use crate::world;

/// A second cluster in the list of hosts: a restored copy, or another one with the same guests.
pub(crate) struct SecondCluster {
    pub(crate) simulator: Simulator,
    state: State,
    /// Whether its nodes have other names, so that a run must use only one of the clusters.
    other_names: bool,
}

impl SecondCluster {
    pub(crate) fn start(
        random: &mut Random,
        world: &Value,
        task_seconds: f64,
        seed: u64,
    ) -> Result<Self, String> {
        let other_names = random.percent(40);
        let simulator = start(world::twin(world, other_names), task_seconds)?;
        simulator.set_faults(parsed(&world::refusals(seed))?);
        Ok(Self {
            state: State::from_simulator(&simulator),
            simulator,
            other_names,
        })
    }

    /// Whether a run may confuse it with the first cluster.
    pub(crate) fn is_copy(&self) -> bool {
        !self.other_names
    }

    /// The cluster for the checks, like the first one.
    pub(crate) fn as_cluster(&mut self, guests: BTreeSet<u32>) -> Cluster<'_> {
        Cluster {
            guests,
            state: &mut self.state,
            simulator: &self.simulator,
        }
    }
}

pub(crate) fn start(world: Value, task_seconds: f64) -> Result<Simulator, String> {
    let mut options = Options::new(world, world::credentials());
    options.timing.task_seconds = task_seconds;
    Simulator::start(options).map_err(|error| error.to_string())
}

pub(crate) fn parsed(faults: &Value) -> Result<FaultPlan, String> {
    FaultPlan::parse(&faults.to_string()).map_err(|error| error.to_string())
}
