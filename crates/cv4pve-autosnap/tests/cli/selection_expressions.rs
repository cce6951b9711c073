// SPDX-License-Identifier: GPL-3.0-only
//! `--vmid`: intersections, parentheses, types and states, and the tag `autosnap-off`.

use pve_sim::simulator::Options;
use serde_json::json;

use crate::harness::{Lab, Output};
use crate::world::{World, credentials, ct, vm};

fn world() -> World {
    World::new([
        vm(100, "web01")
            .set("tags", "prod;web")
            .taken("daily", &[1, 2]),
        vm(101, "web02")
            .set("tags", "test;web")
            .on("pve2")
            .taken("daily", &[1, 2]),
        vm(102, "db01")
            .set("tags", "prod")
            .stopped()
            .taken("daily", &[1, 2]),
        ct(105, "dns").taken("daily", &[1, 2]),
        ct(200, "db02")
            .set("tags", "test")
            .on("pve2")
            .taken("daily", &[1, 2]),
    ])
    .pool("web", &[100, 101])
    .pool("web/inner", &[105])
}

fn lab() -> Lab {
    Lab::new(&world())
}

/// A lab with a login that sees no pools.
fn lab_without_pools() -> Lab {
    let mut world = world().to_json();
    world["roles"]["SnapRunner"] = json!(["Datastore.Audit", "VM.Audit", "VM.Snapshot"]);
    Lab::with(Options::new(world, credentials()))
}

fn run(lab: &Lab, selection: &str, command: &str) -> Output {
    let vmid = format!("--vmid={selection}");
    lab.call([vmid.as_str()].into_iter().chain(command.split(' ')))
}

fn vmids(output: &Output) -> Vec<u64> {
    let report = output.json();
    let guests = report["guests"].as_array().unwrap();
    guests
        .iter()
        .map(|guest| guest["vmid"].as_u64().unwrap())
        .collect()
}

const SNAP: &str = "snap --label=new --keep=1";
const PLAN: &str = "snap --label=new --keep=1 --dry-run --output=Json";
const CLEAN: &str = "clean --label=daily --keep=1";

#[test]
fn expressions_select_the_documented_guests() {
    let lab = lab();
    for (selection, expected) in [
        ("@tag-prod&@tag-web", [100].as_slice()),
        ("@pool-web&@node-pve1", &[100, 105]),
        ("(web%|db%)&-@tag-test", &[100, 102]),
        ("(web%|db%)&-@tag-test,105", &[100, 102, 105]),
        ("@all,-(@tag-test&@type-ct)", &[100, 102, 105, 101]),
        ("@all&-(@pool-web|@stopped)", &[200]),
        ("@type-ct", &[105, 200]),
        ("@type-vm&@node-pve2", &[101]),
        ("@stopped", &[102]),
        ("@running&@tag-prod", &[100]),
        (" ( 100 | web02 ) & @running ", &[100, 101]),
    ] {
        assert_eq!(vmids(&run(&lab, selection, PLAN)), expected, "{selection}");
    }
    lab.assert_unchanged();
}

/// In a parameter file an expression needs no quotes.
#[test]
fn an_expression_may_be_in_a_parameter_file() {
    let lab = lab();
    lab.script("job.conf", "--vmid=(web%|db%)&-@tag-test\n");
    let output = lab.run(&format!("@job.conf {PLAN}"));
    assert_eq!(vmids(&output), [100, 102]);
}

/// As with any other term: the rest is done, or the command does nothing if the expression may exclude.
#[test]
fn an_invalid_expression_is_reported_with_its_position_and_a_correction() {
    for (term, message) in [
        ("web%&@typ-vm", "invalid group `@typ-vm`: expected `@all`, "),
        (
            "web%&",
            "invalid term `web%&`: expected a term (character 6)",
        ),
        (
            "(web%",
            "invalid term `(web%`: this `(` is not closed; in parentheses terms are separated by `|`, not by commas \
             (character 1)",
        ),
    ] {
        let lab = lab();
        let selection = format!("105,{term}");
        run(&lab, &selection, SNAP)
            .assert_status(1)
            .assert_out(&format!("WARNING: {message}"));
        assert_eq!(lab.changes().len(), 1, "{term}");
        run(&lab, &selection, CLEAN)
            .assert_status(2)
            .assert_err(&format!("ERROR: --vmid={selection}: {message}"));
        assert_eq!(lab.changes().len(), 1, "{term}");
    }
    let lab = lab();
    for (selection, hint) in [
        ("(web%,db%)&-@tag-test", "--vmid='(web%|db%)&-@tag-test'"),
        ("web%&-@typ-ct", "--vmid='web%&-@type-ct'"),
        ("web%&&@tag-prod", "--vmid='web%&@tag-prod'"),
        ("@type-lxc", "--vmid=@type-ct"),
    ] {
        run(&lab, selection, SNAP)
            .assert_status(2)
            .assert_err(&format!("hint: {hint}\n"));
    }
    let nested = format!("{}100{}", "(".repeat(5000), ")".repeat(5000));
    run(&lab, &nested, SNAP)
        .assert_status(2)
        .assert_err("parentheses must not be nested deeper than 32 levels (character 33)");
    lab.assert_unchanged();
}

/// A pool under a `-` that the login may not see never adds guests.
#[test]
fn an_expression_with_a_hidden_pool_selects_no_guest() {
    let lab = lab_without_pools();
    for selection in ["@all&-@pool-web", "@all,-(@pool-web&web%)"] {
        for command in [SNAP, CLEAN] {
            run(&lab, selection, command)
                .assert_status(2)
                .assert_err("ERROR: nothing was done, because an exclusion cannot be resolved: ")
                .assert_err("@pool-web` matches no guest: there is no such pool, or this login may not see it");
        }
    }
    for command in [SNAP, CLEAN] {
        run(
            &lab,
            "@all&-@pool-web",
            &format!("{command} --allow-unmatched-exclusions"),
        )
        .assert_status(1)
        .assert_out("WARNING: `-@pool-web` matches no guest: there is no such pool")
        .assert_out("----- VMs with '@all&-@pool-web' NOT FOUND -----");
    }
    run(&lab, "@all&@pool-web,105", SNAP)
        .assert_status(1)
        .assert_out("WARNING: `@pool-web` matches no guest: there is no such pool");
    assert_eq!(lab.changes().len(), 1);
}

#[test]
fn a_part_without_a_guest_is_a_warning_and_stops_clean_if_it_excludes() {
    let lab = lab();
    run(&lab, "105,@tag-prod&@tag-test", &format!("{SNAP} --dry-run"))
        .assert_status(0)
        .assert_out(
            "WARNING: `@tag-prod&@tag-test` matches no guest: no guest is known to match all of its parts",
        );
    run(&lab, "@all&-@tag-tset", &format!("{SNAP} --dry-run"))
        .assert_status(0)
        .assert_out("did you mean `-@tag-test`?");
    run(&lab, "@all&-@tag-tset", CLEAN)
        .assert_status(2)
        .assert_err("ERROR: nothing was done")
        .assert_err("did you mean `-@tag-test`?");
    lab.assert_unchanged();
}

/// `--strict` counts a skipped guest that an expression names by its ID or name.
#[test]
fn a_guest_that_an_expression_names_is_required_with_strict() {
    for (selection, status) in [("(100|golden)&@node-pve1", 1), ("@all&@node-pve1", 0)] {
        let lab = Lab::new(&World::new([
            vm(100, "web01"),
            vm(110, "golden").set("template", 1).stopped(),
        ]));
        run(&lab, selection, &format!("{SNAP} --strict")).assert_status(status);
    }
}

fn lab_with_guests_off() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02")
            .set("tags", "prod;AutoSnap-Off")
            .taken("daily", &[1, 2]),
        ct(105, "dns")
            .set("tags", "autosnap-off")
            .taken("daily", &[1, 2]),
    ]))
}

/// Every job leaves the guest out, and the report says how many.
#[test]
fn guests_with_the_tag_autosnap_off_are_left_out() {
    let line = "\nTag autosnap-off: 2 guests left out (101, 105)\n";
    for command in [SNAP, CLEAN] {
        let lab = lab_with_guests_off();
        for form in [
            "--dry-run",
            "--quiet --dry-run --output=Json",
            "--output=Json",
        ] {
            let output = run(&lab, "@all", &format!("{command} {form}"));
            output.assert_status(0);
            if form == "--dry-run" {
                output.assert_out(line);
            } else if form == "--output=Json" {
                assert_eq!(output.json()["tagged_off"], json!([101, 105]));
                assert_eq!(vmids(&output), [100]);
            }
        }
        let changes = lab.changes();
        assert!(
            !changes.is_empty() && changes.iter().all(|change| change.contains(" 100")),
            "{changes:?}"
        );
    }
    let lab = lab_with_guests_off();
    for (selection, left_out) in [
        ("@node-pve1", "2 guests left out (101, 105)"),
        ("@tag-prod", "1 guest left out (101)"),
        ("@type-ct", "1 guest left out (105)"),
        ("@tag-autosnap-off", "2 guests left out (101, 105)"),
        ("@all,-105", "1 guest left out (101)"),
        ("web%", "1 guest left out (101)"),
        ("100:110", "2 guests left out (101, 105)"),
    ] {
        run(&lab, selection, &format!("{SNAP} --dry-run"))
            .assert_out(&format!("\nTag autosnap-off: {left_out}\n"));
    }
    run(&lab, "100", &format!("{SNAP} --dry-run"))
        .assert_status(0)
        .assert_not_printed("autosnap-off");
    lab.assert_unchanged();
}

/// Without other guests the selection is empty: exit status 1, or 0 with `--allow-empty`.
#[test]
fn a_selection_of_guests_that_are_left_out_is_empty() {
    let lab = lab_with_guests_off();
    run(&lab, "@type-ct", SNAP)
        .assert_status(1)
        .assert_out("Tag autosnap-off: 1 guest left out (105)")
        .assert_out("----- VMs with '@type-ct' NOT FOUND -----");
    run(&lab, "@type-ct", &format!("{SNAP} --allow-empty")).assert_status(0);
    lab.assert_unchanged();
}

/// A guest that is named by ID or name is not left out: somebody wants this snapshot.
#[test]
fn a_guest_that_is_tagged_off_and_named_is_selected_with_a_warning() {
    for selection in ["101", "WEB02", "web02,100", "101&@running"] {
        let lab = lab_with_guests_off();
        run(&lab, selection, SNAP)
            .assert_status(0)
            .assert_out(
                "WARNING: tagged autosnap-off, but not left out, because --vmid names the ID or the name: VM 101\n",
            )
            .assert_not_printed("left out (");
        let changes = lab.changes();
        assert!(
            changes
                .iter()
                .any(|change| change.starts_with("create 101")),
            "{selection}: {changes:?}"
        );
    }
    let lab = lab_with_guests_off();
    run(&lab, "101,@all", &format!("{SNAP} --dry-run"))
        .assert_out("Tag autosnap-off: 1 guest left out (105)");
    lab.run("--vmid=101 check --label=new --keep=1")
        .assert_out("tagged autosnap-off, but not left out");
}

/// `status` lists what exists, also of guests that are left out.
#[test]
fn status_lists_guests_with_the_tag_autosnap_off() {
    let lab = lab_with_guests_off();
    let status = lab.run("--vmid=@all status --output=Json");
    assert_eq!(status.assert_status(0).json().as_array().unwrap().len(), 6);
}
