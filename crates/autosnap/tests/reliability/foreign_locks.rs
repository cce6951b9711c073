// SPDX-License-Identifier: GPL-3.0-only
//! Locks of other programs, such as backups, that are set and released while a run waits. The
//! number of journal entries determines the moment, not the clock, so that the load of the machine
//! does not matter.

use std::time::Duration;

use pve_sim::simulator::Simulator;

use crate::random::Random;

/// The lock that is set and released.
const LOCK: &str = "backup";

/// The interval between two reads of the journal.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Changes during a run: each happens when the journal has this many more entries than at the
/// start.
pub(crate) struct ForeignLocks(Vec<(usize, u32, Change)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Lock,
    Unlock,
}

impl ForeignLocks {
    /// One or two backups, and the release of existing locks.
    pub(crate) fn random(random: &mut Random, simulator: &Simulator) -> Self {
        let (guests, locked) = simulator.world(|world| {
            let locked = world
                .guests
                .iter()
                .filter(|(_, guest)| guest.lock.is_some());
            let locked: Vec<u32> = locked.map(|(vmid, _)| *vmid).collect();
            (world.guests.keys().copied().collect::<Vec<u32>>(), locked)
        });
        let entries = |random: &mut Random, most| random.below(most) as usize;
        let mut changes = Vec::new();
        for vmid in locked {
            changes.push((entries(random, 40), vmid, Change::Unlock));
        }
        for _ in 0..=random.below(2) {
            let vmid = *random.pick(&guests);
            let begin = entries(random, 40);
            changes.push((begin, vmid, Change::Lock));
            changes.push((begin + 1 + entries(random, 20), vmid, Change::Unlock));
        }
        changes.sort_by_key(|(entries, ..)| *entries);
        Self(changes)
    }

    /// Makes the changes while a run is active; never returns.
    pub(crate) async fn run_forever(&self, simulator: &Simulator) -> ! {
        let begin = simulator.journal().len();
        for (entries, vmid, change) in &self.0 {
            while simulator.journal().len() < begin + entries {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
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

    /// Releases all of these locks.
    pub(crate) fn release_all(self, simulator: &Simulator) {
        drop(self.0);
        simulator.world(|world| {
            for guest in world.guests.values_mut() {
                guest.lock.take_if(|lock| lock == LOCK);
            }
        });
    }
}
