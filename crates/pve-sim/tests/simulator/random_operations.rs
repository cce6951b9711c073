// SPDX-License-Identifier: GPL-3.0-only
//! Property test with random operations and failures: a guest's snapshots remain a tree, its lock
//! matches its incomplete snapshots, and storages get back the space of removed snapshots.

use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};
use pve_sim::faults::{FaultPlan, Faults};
use pve_sim::release::Release;
use pve_sim::tasks::Work;
use pve_sim::world::guest::{Guest, GuestKind};
use pve_sim::world::{Timing, World, loader};
use serde_json::json;

use crate::common::{credentials, world};

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Delete(u8, bool),
    Rollback(u8),
    Advance(u8),
    Unlock,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(Step::Create),
        3 => (0..4_u8, prop::bool::ANY).prop_map(|(name, force)| Step::Delete(name, force)),
        1 => (0..4_u8).prop_map(Step::Rollback),
        4 => (1..9_u8).prop_map(Step::Advance),
        1 => Just(Step::Unlock),
    ];
    prop::collection::vec(step, 1..40)
}

fn execute(world: &mut World, step: &Step) {
    let name = |number: &u8| format!("s{number}");
    let work = match step {
        Step::Create(number) => Work::Create {
            name: name(number),
            description: None,
            vmstate: false,
        },
        Step::Delete(number, force) => Work::Delete {
            name: name(number),
            force: *force,
        },
        Step::Rollback(number) => Work::Rollback {
            name: name(number),
            start: false,
        },
        Step::Advance(seconds) => return world.clock.advance(f64::from(*seconds)),
        Step::Unlock => {
            world.run_due_steps();
            // Only removes locks left by failures: a running task owns its lock.
            if world.tasks.active("pve1").next().is_none() {
                world.guests.get_mut(&100).expect("the guest").lock = None;
            }
            return;
        }
    };
    world.start_task(GuestKind::Qemu, "pve1", 100, "admin@pve", work);
}

fn check(guest: &Guest) {
    let known = |name: &String| guest.snapshots.contains_key(name);
    assert!(
        guest.parent.as_ref().is_none_or(known),
        "{:?}",
        guest.parent
    );
    for (name, snapshot) in &guest.snapshots {
        assert!(
            snapshot.parent.as_ref().is_none_or(known),
            "parent of {name}"
        );
        let mut above = snapshot.parent.clone();
        for _ in 0..guest.snapshots.len() {
            above = above.and_then(|name| guest.snapshots[&name].parent.clone());
        }
        assert_eq!(above, None, "{name} is its own ancestor");
    }
}

proptest! {
    #[test]
    fn snapshots_remain_a_tree(steps in steps(), seed in 0..1_000_u64) {
        let plan = json!({"seed": seed, "tasks": [
            {"when": {"probability": 0.1}, "effect": {"abort_at": "volumes"}},
            {"when": {"probability": 0.1}, "effect": {"abort_at": "commit"}},
            {"when": {"probability": 0.1}, "effect": {"abort_at": "cleanup"}},
        ]});
        let timing = Timing { task_seconds: 3.0, delays: 0.0 };
        let mut world = loader::load(&world(), &credentials(), Release::V8, timing, None).expect("a world");
        world.faults = Faults::new(FaultPlan::parse(&plan.to_string()).expect("a plan"));
        let before = world.storages["local"].usage_on("pve1").used;
        for step in &steps {
            execute(&mut world, step);
            world.run_due_steps();
            check(&world.guests[&100]);
        }
        world.clock.advance(1_000.0);
        world.run_due_steps();
        let guest = &world.guests[&100];
        assert_eq!(world.tasks.active("pve1").count(), 0);
        let snapshot_bytes: u64 = guest.snapshots.values().flat_map(|one| one.bytes.values()).sum();
        assert_eq!(world.storages["local"].usage_on("pve1").used, before + snapshot_bytes);
        // Every incomplete snapshot has a lock, until `unlock`.
        let unlocked_by_hand = steps.iter().any(|step| matches!(step, Step::Unlock));
        if guest.lock.is_none() && !unlocked_by_hand {
            assert!(guest.snapshots.values().all(|one| one.state.is_none()));
        }
    }
}
