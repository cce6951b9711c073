// SPDX-License-Identifier: GPL-3.0-only
//! The policy of a schedule: keep rules, selection, marks and tags, and the changes of marks and tags between its runs.

use std::collections::BTreeSet;

use autosnap::settings::JobSettings;
use autosnap_core::select::{ExclusionRule, Selection};
use jiff::{Span, ToSpan};
use pve_sim::simulator::Simulator;
use serde_json::Value;

use crate::marks::{self, OtherUser};
use crate::oracle::Policy;
use crate::policy;
use crate::random::Random;
use crate::selection::{self, DrawnSelection};

/// The number that separates these random numbers from those of the rest of the schedule.
const STREAM: u64 = 0x0A07_05A9;

/// The policy of a schedule.
pub(crate) struct DrawnPolicy {
    random: Random,
    /// Whether it has keep rules and marks; otherwise it is `--keep` without marks.
    pub(crate) has_rules: bool,
    pub(crate) policy: Policy,
    /// `None` selects all guests.
    selection: Option<DrawnSelection>,
    pub(crate) other_user: Option<OtherUser>,
    /// How long after the run before it each later run follows.
    pub(crate) rounds: Vec<Span>,
}

impl DrawnPolicy {
    /// Draws a policy and changes the job and the world accordingly.
    pub(crate) fn random(seed: u64, job: &mut JobSettings, world: &mut Value) -> Self {
        let mut random = Random::new(seed ^ STREAM);
        let mut drawn = Self {
            has_rules: random.percent(75),
            policy: policy::newest(job.keep()),
            selection: None,
            other_user: None,
            rounds: Vec::new(),
            random: Random::new(seed ^ STREAM ^ 1),
        };
        if drawn.has_rules {
            drawn.policy = policy::random(&mut random, job);
            policy::scatter_snapshots(&mut random, world);
            drawn.other_user = random.percent(50).then(|| OtherUser::random(&mut random));
            let spans = [1.hour(), 5.hours(), 1.day(), 8.days(), 40.days()];
            drawn.rounds = (0..random.below(4)).map(|_| *random.pick(&spans)).collect();
        }
        if random.percent(50) {
            selection::scatter_tags(&mut random, world);
            let selection = DrawnSelection::random(&mut random, nodes(world));
            job.selection = Selection::parse(&selection.to_string()).unwrap();
            job.exclusions = ExclusionRule::MayBeUnmatched;
            drawn.selection = Some(selection);
        }
        drawn
    }

    /// The guests that a run selects now.
    pub(crate) fn guests(&self, simulator: &Simulator) -> BTreeSet<u32> {
        match &self.selection {
            Some(selection) => selection.guests(simulator),
            None => all_guests(simulator),
        }
    }

    /// Changes marks and tags between two runs.
    pub(crate) fn change_between_runs(&mut self, simulator: &Simulator) {
        if self.has_rules {
            marks::change_between_runs(&mut self.random, simulator);
        }
        if self.selection.is_some() {
            selection::change_tags(&mut self.random, simulator);
        }
    }
}

/// All guests of a cluster.
fn all_guests(simulator: &Simulator) -> BTreeSet<u32> {
    simulator.world(|world| world.guests.keys().copied().collect())
}

/// The number of nodes of a world.
fn nodes(world: &Value) -> u32 {
    let nodes = world["cluster"]["nodes"].as_array().unwrap();
    u32::try_from(nodes.len()).unwrap()
}
