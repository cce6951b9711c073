// SPDX-License-Identifier: GPL-3.0-only
//! Random marks, and another user who sets and removes marks while a run works and between two runs. The number of
//! journal entries determines the moment, not the clock, so that the load of the machine does not matter.

use std::time::Duration;

use jiff::Timestamp;
use pve_sim::clock::whole;
use pve_sim::journal::{Action, Entry, Moment, Mutation};
use pve_sim::simulator::Simulator;
use pve_sim::world::World;

use crate::random::Random;

/// The interval between two reads of the journal.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A description of a snapshot of ours, or of another program.
pub(crate) fn random_description(random: &mut Random, now: i64) -> String {
    match random.below(20) {
        0 => "made by hand".to_owned(),
        1 => "eve4pve-autosnap".to_owned(),
        2 => "cv4pve-autosnap\nkept by hand, without a mark".to_owned(),
        3..=6 => marked(random, now),
        _ => "cv4pve-autosnap".to_owned(),
    }
}

/// A description of ours with marks, some of which are unreadable.
fn marked(random: &mut Random, now: i64) -> String {
    let mut lines = vec!["cv4pve-autosnap".to_owned()];
    for _ in 0..=random.below(2) {
        lines.push(mark(random, now));
    }
    lines.join("\n")
}

fn mark(random: &mut Random, now: i64) -> String {
    let time = |seconds: i64| Timestamp::from_second(now + seconds).unwrap();
    match random.below(12) {
        0 => "autosnap: hold".to_owned(),
        1 => format!(
            "autosnap: hold since={} reason=audit, do not touch",
            time(-DAY)
        ),
        2 => format!("autosnap: hold until={}", time(90 * DAY)),
        3 => format!("autosnap: hold until={}", time(2 * HOUR + 1800)),
        4 => format!("autosnap: hold until={}", time(-DAY)),
        5 | 6 => format!("autosnap: expire at={}", time(-HOUR)),
        7 => format!("autosnap: expire at={}", time(HOUR + 1800)),
        8 => format!("autosnap: expire at={}", time(90 * DAY)),
        9 => "autosnap: note text=before the upgrade".to_owned(),
        10 => "autosnap: hold until=tomorrow".to_owned(),
        _ => "autosnap: hodl".to_owned(),
    }
}

/// Changes of descriptions during a run: each happens when the journal has this many more entries than at the start.
pub(crate) struct OtherUser(Vec<(usize, u64)>);

impl OtherUser {
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut changes: Vec<(usize, u64)> = (0..=random.below(6))
            .map(|_| (random.below(60) as usize, u64::from(random.below(u32::MAX))))
            .collect();
        changes.sort_unstable();
        Self(changes)
    }

    /// Makes the changes while a run is active; never returns.
    pub(crate) async fn run_forever(&self, simulator: &Simulator) -> ! {
        let begin = simulator.journal().len();
        for (entries, seed) in &self.0 {
            while simulator.journal().len() < begin + entries {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            simulator.world(|world| change_one(world, &mut Random::new(*seed)));
        }
        std::future::pending::<std::convert::Infallible>().await;
        unreachable!("it waits for ever")
    }
}

/// Changes a few descriptions between two runs.
pub(crate) fn change_between_runs(random: &mut Random, simulator: &Simulator) {
    for _ in 0..random.below(4) {
        simulator.world(|world| change_one(world, random));
    }
}

/// Changes the description of a snapshot as `PUT …/snapshot/NAME/config` does, which PVE refuses while the guest is
/// locked.
fn change_one(world: &mut World, random: &mut Random) {
    let free = world
        .guests
        .iter()
        .filter(|(_, guest)| guest.lock.is_none());
    let all =
        free.flat_map(|(vmid, guest)| guest.snapshots.keys().map(|name| (*vmid, name.clone())));
    let all: Vec<(u32, String)> = all.collect();
    if all.is_empty() {
        return;
    }
    let (vmid, name) = random.pick(&all).clone();
    let (now, start) = (world.clock.now(), world.clock.start());
    let guest = world.guests.get_mut(&vmid).unwrap();
    let snapshot = guest.snapshots.get_mut(&name).unwrap();
    let is_ours = snapshot
        .description
        .as_deref()
        .is_some_and(|text| text.starts_with("cv4pve-autosnap"));
    if snapshot.state.is_some() || !is_ours {
        return;
    }
    let description = if random.percent(30) {
        "cv4pve-autosnap".to_owned()
    } else {
        marked(random, whole(now))
    };
    snapshot.description = Some(description.clone());
    let mutation = Mutation {
        moment: Moment {
            at: now - start,
            epoch: whole(now),
        },
        action: Action::Update,
        node: guest.node.clone(),
        kind: guest.kind.as_str().to_owned(),
        vmid,
        snapshot: Some(name),
        description: Some(description),
        upid: None,
    };
    world.journal.record(Entry::Mutation(mutation));
}
