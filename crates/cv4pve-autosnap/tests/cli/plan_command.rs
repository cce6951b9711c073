// SPDX-License-Identifier: GPL-3.0-only
//! `plan`, the dry run of `snap`, with `--compare`; and the adoption of older labels.

use serde_json::json;

use crate::harness::{Lab, Output};
use crate::world::{World, ct, name, vm};

/// A VM with snapshots of two older labels, a container with one snapshot, and a template.
fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01")
            .taken("daily", &[26, 27, 28, 29, 30, 31])
            .taken("weekly", &[7, 14, 21]),
        ct(200, "proxy").taken("daily", &[31]),
        vm(300, "golden").set("template", 1),
    ]))
}

fn run(lab: &Lab, args: &str) -> Output {
    lab.run(&format!("--vmid=@all --max-parallel=1 {args}"))
}

#[test]
fn plan_is_the_dry_run_of_snap() {
    let lab = lab();
    let options = "--label=daily --keep-daily=3";
    let plan = run(&lab, &format!("plan {options}"));
    plan.assert_status(0);
    let snap = run(&lab, &format!("snap {options} --dry-run"));
    assert_eq!(plan, snap);
    let keep = run(&lab, "plan --label=daily --keep=2 --output=Json").json();
    assert_eq!(
        (&keep["command"], &keep["dry_run"]),
        (&json!("snap"), &json!(true))
    );
    lab.assert_unchanged();
}

#[test]
fn a_comparison_shows_the_differences_of_each_guest() {
    let lab = lab();
    let output = run(
        &lab,
        "plan --label=daily --keep-daily=4 --compare=keep-daily=2,keep-weekly=1",
    );
    output.assert_status(0);
    let begin = output.stdout.find("Compared with:").unwrap();
    let end = output.stdout.find("Dry run:").unwrap();
    assert_eq!(
        output.stdout[begin..end],
        *"Compared with:    keep-last=1,keep-daily=2,keep-weekly=1\n\
          ----- VM 100 qemu running ----- web01\n\
          Removed only by the other: autodaily240129000000\n  \
          this policy: keep-daily 3\n  \
          the other: same week as autodaily240131000000, keep-weekly\n\
          No difference:    CT 200\n\
          Not compared:     VM 300\n\
          this policy: keep 5, remove 2; the other: keep 4, remove 3\n",
        "{output}"
    );
    lab.assert_unchanged();
}

/// More rules do not always keep more, so that the other policy can keep what this one removes.
#[test]
fn a_comparison_shows_what_only_the_other_policy_keeps() {
    let lab = lab();
    let output = run(
        &lab,
        "plan --label=daily --keep-last=2 --compare=keep-daily=6",
    );
    output.assert_status(0).assert_out(
        "Kept only by the other: autodaily240126000000\n  \
         this policy: not reached by any rule\n  the other: keep-daily 6\n",
    );
    let json = run(
        &lab,
        "plan --label=daily --keep-last=2 --compare=keep-daily=6 --output=Json",
    )
    .json();
    let comparison = &json["comparison"];
    assert_eq!(comparison["policy"], "keep-last=1,keep-daily=6");
    assert_eq!(comparison["own"], json!({"keep": 2, "remove": 5}));
    assert_eq!(comparison["other"], json!({"keep": 7, "remove": 0}));
    assert_eq!(comparison["not_compared"], json!([300]));
    let guest = &comparison["guests"][0];
    assert_eq!((&guest["vmid"], &guest["lost"]), (&json!(100), &json!([])));
    let gained = guest["gained"].as_array().unwrap();
    assert_eq!(gained.len(), 5);
    assert_eq!(
        gained[4],
        json!({"snapshot": name("daily", 26), "taken": "2024-01-26T00:00:00Z",
               "own": ["not reached by any rule"], "other": ["keep-daily 6"]})
    );
    lab.assert_unchanged();
}

#[test]
fn invalid_rules_to_compare_with_are_an_error() {
    let lab = lab();
    run(&lab, "plan --label=daily --keep=2 --compare=keep-daly=4")
        .assert_status(2)
        .assert_err("did you mean keep-daily?");
    run(&lab, "snap --label=daily --keep=2 --compare=keep-daily=4").assert_status(2);
    lab.assert_unchanged();
}

#[test]
fn adopted_labels_are_counted_and_removed_with_the_label_of_the_run() {
    let lab = lab();
    let line = "snap --label=prod --keep-daily=2 --keep-weekly=2 --adopt-labels=daily,weekly";
    let output = run(&lab, &format!("{line} --dry-run"));
    output
        .assert_status(0)
        .assert_out("Adopted labels:   owns the snapshots of labels daily, weekly\n")
        .assert_out("keep 5: 3 daily, 2 weekly; would remove 5\n");
    let json = run(&lab, &format!("{line} --dry-run --output=Json")).json();
    assert_eq!(json["adopted_labels"], json!(["daily", "weekly"]));
    run(&lab, line).assert_status(0);
    let expected = [
        name("daily", 28),
        name("daily", 30),
        name("daily", 31),
        "autoprod<now>".to_owned(),
        name("weekly", 21),
    ];
    assert_eq!(lab.snapshots(100), expected);
}

#[test]
fn labels_are_not_adopted_unless_the_option_names_them() {
    let lab = lab();
    run(
        &lab,
        "snap --label=prod --keep-daily=1 --adopt-labels=daily",
    )
    .assert_status(0)
    .assert_not_printed("autoweekly");
    assert!(lab.snapshots(100).contains(&name("weekly", 7)));
    run(
        &lab,
        "clean --label=daily --keep-daily=1 --adopt-labels=weakly",
    )
    .assert_status(0)
    .assert_out(
        "WARNING: no snapshot of the selected guests has label weakly; the labels there are: ",
    )
    .assert_out("did you mean weekly?");
}
