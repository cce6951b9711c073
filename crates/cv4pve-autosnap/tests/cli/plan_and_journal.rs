// SPDX-License-Identifier: GPL-3.0-only
//! Property tests with the binary and random clusters: without faults the journal of the cluster is
//! the plan that the dry run printed; with faults it is a part of the plan, and the next runs reach
//! the result of the policy.
//!
//! The expectations come from the generated cluster, not from the program's own code. The cases are
//! the same in every run; a failing case is shrunk before it is printed.

mod draw;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use pve_sim::faults::FaultPlan;
use serde_json::Value;

use crate::harness::{Lab, Output};
use draw::{Case, DrawnGuest, DrawnSnapshot, cases, faults};

/// The steps that a dry run printed, by guest: `create 100 autodaily<now>`.
fn printed(output: &Output) -> BTreeMap<u32, Vec<String>> {
    let mut plan: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut vmid = 0;
    for line in output.stdout.lines() {
        let args: Vec<&str> = line.split(' ').collect();
        match args.as_slice() {
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

/// Runs this many cases, the same in every test run.
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

/// The dry run prints what the contract requires and changes nothing; the run executes the printed
/// steps, in that order, and reports them.
fn the_journal_is_the_plan(case: &Case) -> Result<(), TestCaseError> {
    let lab = case.lab();
    let dry = lab.run(&format!("{} --dry-run", case.args()));
    prop_assert_eq!(printed(&dry), case.all_expected(), "{}", dry);
    errors_are_on_stdout(&dry)?;
    prop_assert_eq!(lab.changes(), [] as [&str; 0]);
    prop_assert_eq!(lab.writes(), [] as [&str; 0]);
    let run = lab.run(&format!("{} --output=Json", case.args()));
    prop_assert_eq!(journal(&lab, case), printed(&dry), "{}", run);
    prop_assert_eq!(reported(&run), printed(&dry), "{}", run);
    prop_assert_eq!(run.status, dry.status, "{}{}", dry, run);
    Ok(())
}

/// stdout contains `error` exactly if the exit status is not 0, and stderr is empty after a
/// success.
fn errors_are_on_stdout(run: &Output) -> Result<(), TestCaseError> {
    let has_error = run.stdout.to_lowercase().contains("error");
    prop_assert_eq!(run.status != 0, has_error, "{}", run);
    prop_assert!(run.status != 0 || run.stderr.is_empty(), "{}", run);
    let is_total = run.stdout.contains("\nTotal execution ");
    prop_assert_eq!(
        is_total,
        !run.stdout.contains("\nBroken off after "),
        "{}",
        run
    );
    Ok(())
}

/// The changes in a run's JSON report, in the format of the journal.
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
fn without_faults_the_journal_is_the_plan_of_the_dry_run_1() {
    check(1, 80, cases(true), |case| the_journal_is_the_plan(&case));
}

#[test]
fn without_faults_the_journal_is_the_plan_of_the_dry_run_2() {
    check(2, 80, cases(true), |case| the_journal_is_the_plan(&case));
}

/// Removes incomplete snapshots and locks, as an administrator would.
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

/// With any fault only planned steps are done, once, and in order; success is reported only if all
/// are done; and the next runs reach the result of the policy.
fn the_journal_is_a_part_of_the_plan(case: &Case, faults: &Value) -> Result<(), TestCaseError> {
    let lab = case.lab();
    lab.set_faults(&faults.to_string());
    let run = lab.run(&format!("{} --timeout=1", case.args()));
    errors_are_on_stdout(&run)?;
    for (vmid, expected) in case.all_expected() {
        let mut changes = lab.changes_of(vmid);
        changes.retain(|change| !change.starts_with("Configure"));
        let mut left = expected.iter();
        let in_order = changes
            .iter()
            .all(|change| left.any(|planned| planned == change));
        prop_assert!(in_order, "{:?} is not in {:?}\n{}", changes, expected, run);
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
    let again = lab.run(&case.args());
    prop_assert_eq!(again.status, 0, "{}", again);
    for (vmid, guest) in case.vmids() {
        assert_result_of_policy(&lab, case, vmid, guest)?;
    }
    Ok(())
}

/// The newest snapshots of the series exist, and all other snapshots that were complete.
fn assert_result_of_policy(
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
        .map(DrawnSnapshot::name);
    let expected: BTreeSet<String> = newest.chain(foreign).collect();
    let remaining = lab.simulator.world(|world| {
        world.guests[&vmid]
            .snapshots
            .keys()
            .cloned()
            .collect::<BTreeSet<String>>()
    });
    prop_assert_eq!(remaining, expected, "guest {}", vmid);
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
