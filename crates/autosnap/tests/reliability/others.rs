// SPDX-License-Identifier: GPL-3.0-only
//! Somebody else at the same guests: locks, as of a backup, that come and go while a run waits.

use std::time::Duration;

use pve_sim::simulator::Simulator;

use crate::random::Random;

/// The lock that others hold.
const LOCK: &str = "backup";

/// What others do during a run, in the order of time.
pub(crate) struct Others(Vec<(Duration, u32, Change)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Lock,
    Unlock,
}

impl Others {
    /// One or two backups, and the end of those that run already.
    pub(crate) fn random(random: &mut Random, simulator: &Simulator) -> Self {
        let (guests, locked) = simulator.world(|world| {
            let locked = world
                .guests
                .iter()
                .filter(|(_, guest)| guest.lock.is_some());
            let locked: Vec<u32> = locked.map(|(vmid, _)| *vmid).collect();
            (world.guests.keys().copied().collect::<Vec<u32>>(), locked)
        });
        let millis = |random: &mut Random, most| Duration::from_millis(random.below(most).into());
        let mut changes = Vec::new();
        for vmid in locked {
            changes.push((millis(random, 1_500), vmid, Change::Unlock));
        }
        for _ in 0..=random.below(2) {
            let vmid = *random.pick(&guests);
            let begin = millis(random, 200);
            changes.push((begin, vmid, Change::Lock));
            changes.push((begin + millis(random, 1_500), vmid, Change::Unlock));
        }
        changes.sort_by_key(|(time, ..)| *time);
        Self(changes)
    }

    /// Does it. Never ends: it goes on beside a run until that ends.
    pub(crate) async fn go_on_beside(&self, simulator: &Simulator) -> ! {
        let begin = tokio::time::Instant::now();
        for (time, vmid, change) in &self.0 {
            tokio::time::sleep_until(begin + *time).await;
            simulator.world(|world| {
                let Some(guest) = world.guests.get_mut(vmid) else {
                    return;
                };
                match change {
                    Change::Lock if guest.lock.is_none() => guest.lock = Some(LOCK.to_owned()),
                    Change::Unlock if guest.lock.as_deref() == Some(LOCK) => guest.lock = None,
                    Change::Lock | Change::Unlock => {}
                }
            });
        }
        std::future::pending::<std::convert::Infallible>().await;
        unreachable!("it waits for ever")
    }

    /// All of them are done.
    pub(crate) fn leave(self, simulator: &Simulator) {
        drop(self.0);
        simulator.world(|world| {
            for guest in world.guests.values_mut() {
                guest.lock.take_if(|lock| lock == LOCK);
            }
        });
    }
}
