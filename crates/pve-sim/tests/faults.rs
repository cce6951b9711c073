// SPDX-License-Identifier: GPL-3.0-only
//! Fault plans: file format, error messages, and reproducible decisions within their limits.

use proptest::prelude::*;
use serde_json::{Value, json};

use pve_sim::faults::{
    FaultPlan, Faults, RequestFacts, RequestFault, TaskFacts, TaskFault, TaskStep, When,
};

fn faults(plan: &Value) -> Faults {
    Faults::new(FaultPlan::parse(&plan.to_string()).expect("the plan is valid"))
}

fn on(vmid: u32) -> RequestFacts<'static> {
    RequestFacts {
        method: "POST",
        path: "/nodes/pve1/qemu/100/snapshot",
        node: Some("pve1"),
        vmid: Some(vmid),
        snapname: Some("autodaily1"),
    }
}

/// The numbers of the requests to which the only rule applies, counted from 1.
fn affected(plan: &Value, requests: u32) -> Vec<u32> {
    let mut faults = faults(plan);
    (1..=requests)
        .filter(|_| faults.for_request(&on(100)).is_some())
        .collect()
}

#[test]
fn a_rule_applies_when_it_is_due() {
    let check = |when: Value, times: Value, expected: &[u32]| {
        let mut rule = json!({"when": when, "effect": "refuse"});
        if !times.is_null() {
            rule["times"] = times;
        }
        assert_eq!(
            affected(&json!({"requests": [rule]}), 10),
            expected,
            "{rule}"
        );
    };
    check(
        json!("always"),
        Value::Null,
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    check(json!("always"), json!(2), &[1, 2]);
    check(json!("always"), json!(0), &[]);
    check(json!({"nth": 3}), Value::Null, &[3]);
    check(json!({"every": 4}), Value::Null, &[4, 8]);
    check(json!({"every": 4}), json!(1), &[4]);
    check(json!({"probability": 0}), Value::Null, &[]);
    check(json!({"probability": 1}), json!(3), &[1, 2, 3]);
}

#[test]
fn the_first_due_rule_wins_and_all_rules_count() {
    let mut faults = faults(&json!({"requests": [
        {"vmid": 100, "when": {"nth": 2}, "effect": "drop_before"},
        {"when": {"every": 2}, "effect": "drop_after"},
        {"vmid": 101, "effect": "start_failed"},
    ]}));
    let effects: Vec<_> = [100, 100, 101, 100, 102]
        .map(|vmid| faults.for_request(&on(vmid)))
        .into();
    let expected = [
        None,
        Some(RequestFault::DropBefore),
        Some(RequestFault::StartFailed),
        Some(RequestFault::DropAfter),
        None,
    ];
    assert_eq!(effects, expected);
    assert_eq!(faults.applied_to_requests(), [1, 1, 1]);
}

#[test]
fn every_effect_can_be_parsed() {
    let effects = json!([
        "refuse", "drop_before", "drop_after", "cut_answer", {"stall": 30}, {"delay": 0.5}, "hold",
        {"answer": {"status": 595, "reason": "No route to host"}},
        {"answer": {"status": 503, "reason": "busy", "body": {"data": null}}},
        {"lose_node": {"node": "pve2"}}, "expire_tickets", "start_failed",
        "other_task", {"listing": "doubled"}, {"listing": "truncated"}, {"listing": "empty"},
        {"edit": {"find": "web01", "with": "\u{ff}"}},
    ]);
    for effect in effects.as_array().into_iter().flatten() {
        let mut faults = faults(&json!({"requests": [{"effect": effect}]}));
        assert!(faults.for_request(&on(100)).is_some(), "{effect}");
    }
    let task = |effect: Value| {
        let rule = json!({"kind": "vzdelsnapshot", "vmid": 200, "node": "pve*", "effect": effect});
        let facts = TaskFacts {
            kind: "vzdelsnapshot",
            node: "pve3",
            vmid: Some(200),
            snapname: None,
        };
        faults(&json!({"tasks": [rule]})).for_task(&facts)
    };
    assert_eq!(
        task(json!({"fail": "disk full"})),
        Some(TaskFault::Fail("disk full".to_owned()))
    );
    assert_eq!(task(json!("vanish")), Some(TaskFault::Vanish));
    assert_eq!(
        task(json!({"abort_at": "volumes"})),
        Some(TaskFault::AbortAt(TaskStep::Volumes))
    );
    assert!(matches!(task(json!({"warn": 2})), Some(TaskFault::Warn(count)) if count.get() == 2));
    let duration = task(json!({"duration": 2.5}));
    assert!(
        matches!(duration, Some(TaskFault::Duration(seconds)) if (seconds.get() - 2.5).abs() < 1e-9)
    );
}

#[test]
fn an_empty_plan_does_nothing() {
    let plan = FaultPlan::parse("{}").expect("every member is optional");
    assert_eq!(plan, FaultPlan::default());
    assert_eq!(When::default(), When::Always);
    assert_eq!(Faults::new(plan).for_request(&on(100)), None);
}

#[test]
fn errors_name_location_rule_and_member() {
    let check = |text: &str, expected: &[&str]| {
        let error = FaultPlan::parse(text).expect_err(text).to_string();
        for part in expected {
            assert!(error.contains(part), "{text}\n{error}\nlacks: {part}");
        }
    };
    check("{", &["line 1 column 1"]);
    check(
        r#"{"rules": []}"#,
        &[
            "unknown field `rules`, expected one of `seed`, `requests`, `tasks`",
            "line 1",
        ],
    );
    check(
        r#"{"requests": {}}"#,
        &["expected a list of rules for 'requests'"],
    );
    check(
        "{\"requests\": [\n {\"effect\": \"refuse\"},\n {\"vmid\": \"abc\", \"effect\": \"refuse\"}]}",
        &[
            "rule 2 of 'requests': member 'vmid'",
            "expected u32",
            "line 3 column",
        ],
    );
    check(
        r#"{"requests": [{"effect": "explode"}]}"#,
        &[
            "rule 1 of 'requests': member 'effect'",
            "unknown variant `explode`",
            "`drop_before`",
            "line 1 column",
        ],
    );
    check(
        r#"{"requests": [{"mehtod": "GET", "effect": "refuse"}]}"#,
        &["rule 1 of 'requests'", "unknown field `mehtod`", "`method`"],
    );
    check(
        r#"{"requests": [{"method": "get", "effect": "refuse"}]}"#,
        &["member 'method'", "`GET`, `POST`"],
    );
    check(
        r#"{"tasks": [{"kind": "snapshot", "effect": "vanish"}]}"#,
        &["rule 1 of 'tasks': member 'kind'", "`qmsnapshot`"],
    );
    check(
        r#"{"tasks": [{"kind": "qmsnapshot"}]}"#,
        &["rule 1 of 'tasks'", "missing field `effect`"],
    );
    check(
        r#"{"tasks": [{"vmid": 1, "vmid": 2, "effect": "vanish"}]}"#,
        &["duplicate member 'vmid'"],
    );
    check(
        r#"{"requests": [{"when": {"probability": 2}, "effect": "refuse"}]}"#,
        &["member 'when'", "must be between 0 and 1"],
    );
    check(
        r#"{"requests": [{"when": {"nth": 0}, "effect": "refuse"}]}"#,
        &["member 'when'", "nonzero"],
    );
    check(
        r#"{"requests": [{"effect": {"delay": -1}}]}"#,
        &["member 'effect'", "invalid duration -1: must be between"],
    );
    check(
        r#"{"requests": [{"effect": {"answer": {"status": 7, "reason": ""}}}]}"#,
        &["invalid status 7: must be between 200 and 999"],
    );
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("faults.json");
    let error = FaultPlan::read(&path)
        .expect_err("there is no file")
        .to_string();
    assert!(
        error.contains("cannot read the fault file") && error.contains("faults.json"),
        "{error}"
    );
    std::fs::write(&path, "[").expect("writable");
    let error = FaultPlan::read(&path).expect_err("no plan").to_string();
    assert!(
        error.contains("faults.json': ") && error.contains("line 1"),
        "{error}"
    );
    std::fs::write(&path, r#"{"seed": 3}"#).expect("writable");
    assert_eq!(FaultPlan::read(&path).expect("a plan").seed, 3);
}

fn any_when() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("always")),
        (1..9_u32).prop_map(|number| json!({"nth": number})),
        (1..9_u32).prop_map(|number| json!({"every": number})),
        (0.0..=1.0_f64).prop_map(|probability| json!({"probability": probability})),
    ]
}

proptest! {
    #[test]
    fn a_rule_never_applies_more_often_than_allowed(when in any_when(), times in 0..5_u32, seed: u64) {
        let plan = json!({"seed": seed, "requests": [{"when": when, "times": times, "effect": "refuse"}]});
        prop_assert!(affected(&plan, 60).len() <= times as usize);
    }

    #[test]
    fn equal_seeds_give_equal_decisions(when in any_when(), seed: u64) {
        let plan = json!({"seed": seed, "requests": [{"when": when, "effect": "refuse"}]});
        prop_assert_eq!(affected(&plan, 60), affected(&plan, 60));
    }

    #[test]
    fn other_rules_and_requests_do_not_change_a_decision(seed: u64, noise in prop::collection::vec(101..110_u32, 0..40)) {
        let rule = json!({"vmid": 100, "when": {"probability": 0.5}, "effect": "refuse"});
        let alone = affected(&json!({"seed": seed, "requests": [rule]}), 40);
        let second = json!({"vmid": 105, "effect": "drop_after"});
        let mut faults = faults(&json!({"seed": seed, "requests": [rule, second]}));
        let mut among_others = Vec::new();
        for number in 1..=40 {
            if let Some(vmid) = noise.get(number as usize) {
                faults.for_request(&on(*vmid));
            }
            if faults.for_request(&on(100)).is_some() {
                among_others.push(number);
            }
        }
        prop_assert_eq!(alone, among_others);
    }
}

#[test]
fn different_seeds_differ_and_keep_the_probability() {
    let plan = |seed: u64| json!({"seed": seed, "requests": [{"when": {"probability": 0.25}, "effect": "refuse"}]});
    assert_ne!(affected(&plan(1), 200), affected(&plan(2), 200));
    let applied = affected(&plan(3), 4_000).len();
    assert!((850..1_150).contains(&applied), "{applied} of 4000");
}
