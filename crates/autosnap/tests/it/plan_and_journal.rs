// SPDX-License-Identifier: GPL-3.0-only
//! The property at the heart of it, through the binary and for clusters nobody thought of: without
//! faults the journal of the cluster is what the dry run printed; with faults it is a part of that,
//! and running again until nothing fails reaches the end that the policy asks for.
//!
//! The expectations come from the generated cluster itself, not from the program's own code. Cases
//! are the same in every run; a failing one is made smaller before it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use pve_sim::faults::FaultPlan;
use serde_json::{Value, json};

use crate::harness::{Lab, Output};
use crate::world::{Guest, World, ct, day, name, vm};

/// A snapshot as it was drawn: its day, its label, who made it, and whether it is half made.
#[derive(Debug, Clone)]
struct Drawn {
    day: i64,
    label: &'static str,
    description: &'static str,
    state: Option<&'static str>,
}

/// A guest as it was drawn.
#[derive(Debug, Clone)]
struct DrawnGuest {
    container: bool,
    second_node: bool,
    running: bool,
    obstacle: Obstacle,
    snapshots: Vec<Drawn>,
}

/// What keeps a guest from getting a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    None,
    Template,
    Locked,
    BindMount,
    FullStorage,
}

/// A whole case: the guests and the command.
#[derive(Debug, Clone)]
struct Case {
    guests: Vec<DrawnGuest>,
    snap: bool,
    keep: usize,
    only_running: bool,
    limits: Limits,
}

/// How much may run at once; what is not drawn has its default.
#[derive(Debug, Clone)]
struct Limits {
    total: Option<usize>,
    per_node: Option<usize>,
    per_storage: Option<usize>,
}

impl Drawn {
    fn is_ours(&self) -> bool {
        self.label == "daily" && self.description != "by hand" && self.state.is_none()
    }

    fn name(&self) -> String {
        name(self.label, self.day)
    }
}

impl DrawnGuest {
    fn build(&self, vmid: u32) -> Guest {
        let mut guest = if self.container {
            ct(vmid, "c")
        } else {
            vm(vmid, "v")
        };
        if self.second_node {
            guest = guest.on("pve2");
        }
        if !self.running {
            guest = guest.stopped();
        }
        guest = match self.obstacle {
            Obstacle::None => guest,
            Obstacle::Template => guest.set("template", 1),
            Obstacle::Locked => guest.set("lock", "backup"),
            Obstacle::BindMount if self.container => guest.set("mp0", "/srv,mp=/srv"),
            Obstacle::BindMount => guest.set("scsi5", "/dev/sdz"),
            Obstacle::FullStorage if self.container => guest.set("mp1", "full:x,mp=/x,size=1G"),
            Obstacle::FullStorage => guest.set("scsi6", "full:x,size=1G"),
        };
        for drawn in &self.snapshots {
            let mut snapshot = json!({"name": drawn.name(), "snaptime": day(drawn.day), "description": drawn.description});
            if let Some(state) = drawn.state {
                snapshot["snapstate"] = json!(state);
            }
            guest = guest.snapshot_with(snapshot);
        }
        guest
    }

    /// The names of ours, oldest first.
    fn ours(&self) -> Vec<String> {
        let mut ours: Vec<&Drawn> = self.snapshots.iter().filter(|one| one.is_ours()).collect();
        ours.sort_by_key(|one| one.day);
        ours.into_iter().map(Drawn::name).collect()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            ("max-parallel", self.total),
            ("max-parallel-per-node", self.per_node),
            ("max-parallel-per-storage", self.per_storage),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                write!(formatter, "--{name}={value} ")?;
            }
        }
        Ok(())
    }
}

impl Case {
    fn vmids(&self) -> impl Iterator<Item = (u32, &DrawnGuest)> {
        (100..).zip(&self.guests)
    }

    fn lab(&self) -> Lab {
        let world = World::of(self.vmids().map(|(vmid, guest)| guest.build(vmid)));
        Lab::new(&world.storage(json!({"storage": "full", "type": "zfspool", "content": ["images", "rootdir"], "total": 100, "used": 99})))
    }

    fn words(&self) -> String {
        let Self { keep, limits, .. } = self;
        let only_running = if self.only_running && self.snap {
            " --only-running"
        } else {
            ""
        };
        let command = if self.snap { "snap" } else { "clean" };
        format!(
            "--vmid=@all --timestamp-format=yyMMddHHmmssfff {limits} {command} --label=daily --keep={keep}{only_running}"
        )
    }

    /// What the contract asks to be done to a guest.
    fn expected(&self, vmid: u32, guest: &DrawnGuest) -> Vec<String> {
        let may = match guest.obstacle {
            Obstacle::None => true,
            Obstacle::Template | Obstacle::Locked => false,
            Obstacle::BindMount | Obstacle::FullStorage => !self.snap,
        };
        let runs = guest.running || !(self.snap && self.only_running);
        if !may || !runs {
            return Vec::new();
        }
        let ours = guest.ours();
        let old_to_keep = self.keep - usize::from(self.snap);
        let removed = ours.iter().take(ours.len().saturating_sub(old_to_keep));
        let creation = self.snap.then(|| format!("create {vmid} autodaily<now>"));
        creation
            .into_iter()
            .chain(removed.map(|name| format!("delete {vmid} {name}")))
            .collect()
    }

    fn all_expected(&self) -> BTreeMap<u32, Vec<String>> {
        self.vmids()
            .map(|(vmid, guest)| (vmid, self.expected(vmid, guest)))
            .collect()
    }
}

fn drawn_snapshots() -> impl Strategy<Value = Vec<Drawn>> {
    let kinds = prop_oneof![
        6 => Just(("daily", "cv4pve-autosnap", None)),
        1 => Just(("daily", "eve4pve-autosnap", None)),
        1 => Just(("daily", "by hand", None)),
        1 => Just(("daily2", "cv4pve-autosnap", None)),
        1 => Just(("weekly", "cv4pve-autosnap", None)),
        1 => Just(("daily", "cv4pve-autosnap", Some("prepare"))),
        1 => Just(("daily", "cv4pve-autosnap", Some("delete"))),
    ];
    // Days in any order: that of the list is not that of time.
    prop::collection::btree_map(1..28_i64, kinds, 0..7).prop_map(|drawn| {
        let all = drawn
            .into_iter()
            .map(|(day, (label, description, state))| Drawn {
                day: day * 11 % 29,
                label,
                description,
                state,
            });
        all.collect()
    })
}

fn cases(obstacles: bool) -> impl Strategy<Value = Case> {
    let obstacle = if obstacles {
        prop_oneof![
            6 => Just(Obstacle::None),
            1 => Just(Obstacle::Template),
            1 => Just(Obstacle::Locked),
            1 => Just(Obstacle::BindMount),
            1 => Just(Obstacle::FullStorage),
        ]
        .boxed()
    } else {
        Just(Obstacle::None).boxed()
    };
    let guest = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        obstacle,
        drawn_snapshots(),
    );
    let guest =
        guest.prop_map(
            |(container, second_node, running, obstacle, snapshots)| DrawnGuest {
                container,
                second_node,
                running,
                obstacle,
                snapshots,
            },
        );
    let command = (any::<bool>(), 1..5_usize, any::<bool>(), limits());
    (prop::collection::vec(guest, 1..6), command).prop_map(
        |(guests, (snap, keep, only_running, limits))| Case {
            guests,
            snap,
            keep,
            only_running,
            limits,
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || prop::option::of(1..6_usize);
    (limit(), limit(), limit()).prop_map(|(total, per_node, per_storage)| Limits {
        total,
        per_node,
        per_storage,
    })
}

/// The steps that a dry run printed, by guest: `create 100 autodaily<now>`.
fn printed(output: &Output) -> BTreeMap<u32, Vec<String>> {
    let mut plan: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut vmid = 0;
    for line in output.stdout.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["-----", "VM", number, ..] => {
                vmid = number.parse().unwrap();
                plan.insert(vmid, Vec::new());
            }
            [verb @ ("Create" | "Remove"), "snapshot:", name, ..] => {
                let verb = if *verb == "Create" {
                    "create"
                } else {
                    "delete"
                };
                plan.get_mut(&vmid)
                    .unwrap()
                    .push(format!("{verb} {vmid} {name}"));
            }
            _ => {}
        }
    }
    plan
}

fn journal(lab: &Lab, case: &Case) -> BTreeMap<u32, Vec<String>> {
    case.vmids()
        .map(|(vmid, _)| (vmid, lab.changes_of(vmid)))
        .collect()
}

/// Runs that many cases, the same in every run of the tests.
fn check<S: Strategy>(
    seed: u8,
    count: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    if let Err(error) = TestRunner::new_with_rng(config, random).run(&strategy, test) {
        panic!("{error}");
    }
}

/// The dry run prints what the contract asks for and changes nothing; the run does what was
/// printed, in that order, and reports the same.
fn the_journal_is_the_plan(case: &Case) -> Result<(), TestCaseError> {
    let lab = case.lab();
    let dry = lab.run(&format!("{} --dry-run", case.words()));
    prop_assert_eq!(printed(&dry), case.all_expected(), "{}", dry);
    prop_assert_eq!(lab.changes(), [] as [&str; 0]);
    prop_assert_eq!(lab.writes(), [] as [&str; 0]);
    let run = lab.run(&format!("{} --output=Json", case.words()));
    prop_assert_eq!(journal(&lab, case), printed(&dry), "{}", run);
    prop_assert_eq!(reported(&run), printed(&dry), "{}", run);
    prop_assert_eq!(run.status, dry.status, "{}{}", dry, run);
    Ok(())
}

/// What a run says it has done, in the form of the journal.
fn reported(output: &Output) -> BTreeMap<u32, Vec<String>> {
    let report = output.json();
    let guests = report["guests"].as_array().unwrap().iter();
    let done = guests.map(|guest| {
        let vmid = u32::try_from(guest["vmid"].as_u64().unwrap()).unwrap();
        let created = guest["created"]
            .as_str()
            .map(|name| format!("create {vmid} {name}"));
        let removed = guest["removed"].as_array().unwrap().iter();
        let removed = removed.map(|name| format!("delete {vmid} {}", name.as_str().unwrap()));
        (vmid, created.into_iter().chain(removed).collect())
    });
    done.collect()
}

#[test]
fn without_faults_the_journal_is_what_the_dry_run_printed() {
    check(1, 80, cases(true), |case| the_journal_is_the_plan(&case));
}

#[test]
fn without_faults_the_journal_is_what_the_dry_run_printed_of_other_clusters() {
    check(2, 80, cases(true), |case| the_journal_is_the_plan(&case));
}

fn faults() -> impl Strategy<Value = Value> {
    let when = prop_oneof![
        (1..6_u32).prop_map(|nth| json!({"nth": nth})),
        (1..4_u32).prop_map(|probability| json!({"probability": f64::from(probability) / 10.0})),
    ];
    let request = prop_oneof![
        Just(json!("refuse")),
        Just(json!("drop_before")),
        Just(json!("drop_after")),
        Just(json!("cut_answer")),
        Just(json!("start_failed")),
        Just(json!({"answer": {"status": 500, "reason": "got timeout"}})),
        Just(json!({"answer": {"status": 595, "reason": "No route to host"}})),
        Just(json!({"answer": {"status": 596, "reason": "Broken pipe"}})),
    ];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE")];
    let request = (method, when.clone(), request)
        .prop_map(|(method, when, effect)| json!({"method": method, "path": "/nodes/**", "when": when, "times": 3, "effect": effect}));
    let task = prop_oneof![
        Just(json!({"fail": "broken"})),
        Just(json!({"fail": "VM is locked (backup)"})),
        Just(json!({"warn": 1})),
        Just(json!("vanish")),
        Just(json!({"abort_at": "volumes"})),
        Just(json!({"abort_at": "lock"})),
    ];
    let task = (when, task).prop_map(|(when, effect)| json!({"when": when, "effect": effect}));
    (
        any::<u64>(),
        prop::collection::vec(request, 0..3),
        prop::collection::vec(task, 0..3),
    )
        .prop_map(
            |(seed, requests, tasks)| json!({"seed": seed, "requests": requests, "tasks": tasks}),
        )
}

/// What an administrator does about what PVE left half made and locked.
fn repair(lab: &Lab) {
    lab.simulator.set_faults(FaultPlan::default());
    lab.simulator.world(|world| {
        for guest in world.guests.values_mut() {
            guest.lock = None;
            guest
                .snapshots
                .retain(|_, snapshot| snapshot.state.is_none());
        }
    });
}

/// Whatever goes wrong, only what was planned is done, once, and in its order; success is said only
/// of all of it; and the next runs reach the end that the policy asks for.
fn the_journal_is_a_part_of_the_plan(case: &Case, faults: &Value) -> Result<(), TestCaseError> {
    let lab = case.lab();
    lab.simulator
        .set_faults(FaultPlan::parse(&faults.to_string()).unwrap());
    let run = lab.run(&format!("{} --timeout=1", case.words()));
    for (vmid, expected) in case.all_expected() {
        let mut changes = lab.changes_of(vmid);
        changes.retain(|change| !change.starts_with("Configure"));
        let mut left = expected.iter();
        let in_order = changes
            .iter()
            .all(|change| left.any(|planned| planned == change));
        prop_assert!(
            in_order,
            "{:?} is no part of {:?}\n{}",
            changes,
            expected,
            run
        );
        let created = changes
            .first()
            .is_some_and(|change| change.starts_with("create"));
        prop_assert!(
            created || !case.snap || changes.is_empty(),
            "removed without creation\n{}",
            run
        );
        prop_assert!(
            run.status != 0 || changes == expected,
            "success without all of {:?}\n{}",
            expected,
            run
        );
    }
    repair(&lab);
    let again = lab.run(&case.words());
    prop_assert_eq!(again.status, 0, "{}", again);
    for (vmid, guest) in case.vmids() {
        the_end_is_the_policys(&lab, case, vmid, guest)?;
    }
    Ok(())
}

/// Of all that ever was ours, the newest are there; of all else, everything that was complete.
fn the_end_is_the_policys(
    lab: &Lab,
    case: &Case,
    vmid: u32,
    guest: &DrawnGuest,
) -> Result<(), TestCaseError> {
    if case.snap && case.only_running && !guest.running {
        return Ok(());
    }
    let mutations = lab.simulator.journal().mutations();
    let created = mutations
        .into_iter()
        .filter(|one| one.vmid == vmid && one.action == pve_sim::journal::Action::Create);
    let mut ours: Vec<String> = guest.ours();
    ours.extend(created.filter_map(|mutation| mutation.snapshot));
    let newest = ours.iter().rev().take(case.keep).cloned();
    let foreign = guest
        .snapshots
        .iter()
        .filter(|one| !one.is_ours() && one.state.is_none())
        .map(Drawn::name);
    let expected: BTreeSet<String> = newest.chain(foreign).collect();
    let there = lab.simulator.world(|world| {
        world.guests[&vmid]
            .snapshots
            .keys()
            .cloned()
            .collect::<BTreeSet<String>>()
    });
    prop_assert_eq!(there, expected, "guest {}", vmid);
    Ok(())
}

fn check_with_faults(seed: u8) {
    let strategy = (cases(false), faults());
    check(seed, 10, strategy, |(case, faults)| {
        the_journal_is_a_part_of_the_plan(&case, &faults)
    });
}

#[test]
fn with_faults_the_journal_is_a_part_of_the_plan_1() {
    check_with_faults(11);
}

#[test]
fn with_faults_the_journal_is_a_part_of_the_plan_2() {
    check_with_faults(12);
}

#[test]
fn with_faults_the_journal_is_a_part_of_the_plan_3() {
    check_with_faults(13);
}

#[test]
fn with_faults_the_journal_is_a_part_of_the_plan_4() {
    check_with_faults(14);
}
