// SPDX-License-Identifier: GPL-3.0-only
//! Terms of `--vmid` that match nothing visible: an unresolved exclusion stops the run, and a
//! missing guest, pool or node is a failure.

use pve_sim::simulator::Options;
use serde_json::json;

use crate::harness::{Lab, Output};
use crate::world::{World, credentials, ct, vm};

fn world() -> World {
    World::new([
        vm(100, "web01").taken("daily", &[1, 2]).set("tags", "web"),
        vm(101, "db01").taken("daily", &[1, 2]).on("pve2"),
        ct(105, "dns").taken("daily", &[1, 2]),
        vm(110, "golden").set("template", 1).stopped(),
    ])
    .pool("keepme", &[101])
    .pool("empty", &[])
    .offline_node("pve3")
}

/// A cluster with a login that has only these privileges.
fn lab_with(privileges: &[&str]) -> Lab {
    let mut world = world().to_json();
    world["roles"]["SnapRunner"] = json!(privileges);
    Lab::with(Options::new(world, credentials()))
}

fn lab() -> Lab {
    Lab::new(&world())
}

/// Writes a hook that logs its phase to the file `calls`; returns the option.
fn with_hook(lab: &Lab) -> String {
    let calls = lab.folder().join("calls");
    let script = format!(
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE\" >>'{}'\n",
        calls.display()
    );
    lab.script("hook.sh", &script);
    "--script=hook.sh".to_owned()
}

/// Runs a command without `--dry-run` with the hook.
fn run_with_hook(lab: &Lab, selection: &str, command: &str) -> Output {
    let hook = with_hook(lab);
    lab.run(&format!("--vmid={selection} {command} {hook}"))
}

#[track_caller]
fn assert_no_hook_called(lab: &Lab) {
    assert!(!lab.folder().join("calls").exists());
}

const CLEAN: &str = "clean --label=daily --keep=0";
const SNAP: &str = "snap --label=daily --keep=3";

/// The token has lost `Pool.Audit`, so the excluded pool is not visible.
#[test]
fn clean_refuses_to_run_if_the_excluded_pool_is_not_visible() {
    let lab = lab_with(&["Datastore.Audit", "VM.Audit", "VM.Snapshot"]);
    run_with_hook(&lab, "@all,-@pool-keepme", CLEAN)
        .assert_status(2)
        .assert_err("ERROR: nothing was done, because an exclusion cannot be resolved: `-@pool-keepme` matches no guest: there is no such pool, or this login may not see it (Pool.Audit)")
        .assert_err("hint: correct or remove the exclusion, or accept it with --allow-unmatched-exclusions");
    lab.assert_unchanged();
    assert_no_hook_called(&lab);
}

/// A cluster with nested pools, and a login with privileges on these paths.
fn lab_of_nested_pools(entries: &[(&str, u8)]) -> Lab {
    let world = World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "db01").taken("daily", &[1, 2]),
        vm(102, "db02").taken("daily", &[1, 2]),
    ])
    .pool("keepme", &[101])
    .pool("keepme/inner", &[102]);
    let mut world = world.to_json();
    world["roles"] = json!({
        "Snap": ["Datastore.Audit", "VM.Audit", "VM.Snapshot"], "Pools": ["Pool.Audit"],
    });
    let mut acl = vec![json!({"path": "/", "who": "backup@pve", "role": "Snap"})];
    acl.extend(entries.iter().flat_map(|(path, propagate)| {
        ["Snap", "Pools"].map(
            |role| json!({"path": path, "who": "backup@pve", "role": role, "propagate": propagate}),
        )
    }));
    world["acl"] = json!(acl);
    Lab::with(Options::new(world, credentials()))
}

/// An exclusion is unresolved if the login sees only a part of the pool.
#[test]
fn clean_refuses_to_run_if_a_part_of_an_excluded_pool_is_hidden() {
    for (entries, reason) in [
        (
            [("/pool/keepme", 0)],
            "this login may not see the pools nested in `keepme` (Pool.Audit on /pool/keepme is not propagated)",
        ),
        (
            [("/pool/keepme/inner", 1)],
            "`-@pool-keepme` may match more guests than this login can see: only pools nested in it are visible",
        ),
    ] {
        let lab = lab_of_nested_pools(&entries);
        run_with_hook(&lab, "@all,-@pool-keepme", CLEAN)
            .assert_status(2)
            .assert_err("ERROR: nothing was done, because an exclusion cannot be resolved: ")
            .assert_err(reason);
        lab.assert_unchanged();
        assert_no_hook_called(&lab);
    }
    let lab = lab_of_nested_pools(&[("/pool/keepme", 1)]);
    lab.run(&format!("--vmid=@all,-@pool-keepme {CLEAN}"))
        .assert_status(0);
    assert_eq!(lab.changes().len(), 2);
}

/// Every kind of exclusion that matches no visible guest stops `clean`, with and without
/// `--dry-run`.
#[test]
fn clean_refuses_every_exclusion_that_matches_no_guest() {
    let lab = lab();
    for (exclusion, nearest) in [
        ("-web09", "did you mean `-web01`?"),
        ("-999", ""),
        ("-300:310", ""),
        ("-zzz%", ""),
        ("-@tag-webb", "did you mean `-@tag-web`?"),
        ("-@pool-kepme", "did you mean `-@pool-keepme`?"),
        ("-@pool-empty", "or this login may not see them (VM.Audit)"),
        ("-@node-pve9", "there is no such node"),
        ("-@node-pve3", "or this login may not see them (VM.Audit)"),
    ] {
        for dry_run in ["", " --dry-run"] {
            let selection = format!("@all,{exclusion}");
            run_with_hook(&lab, &selection, &format!("{CLEAN}{dry_run}"))
                .assert_status(2)
                .assert_err("ERROR: nothing was done")
                .assert_err(&format!("`{exclusion}` matches no guest"))
                .assert_err(nearest);
        }
    }
    lab.assert_unchanged();
    assert_no_hook_called(&lab);
}

/// A valid exclusion does not make up for an unresolved one, and all unresolved ones are reported
/// together.
#[test]
fn every_unresolved_exclusion_is_reported() {
    let lab = lab();
    lab.run("--vmid=@all,-100,-@pool-none,-web99 clean --label=daily --keep=0")
        .assert_status(2)
        .assert_err("`-@pool-none` matches no guest")
        .assert_err("; and `-web99` matches no guest")
        .assert_not_printed("`-100`");
    lab.assert_unchanged();
}

#[test]
fn an_unresolved_exclusion_is_in_the_json_report() {
    let lab = lab();
    for dry_run in ["", " --dry-run"] {
        let line = format!("--vmid=@all,-web99 {CLEAN} --output=Json{dry_run}");
        let output = lab.run(&line);
        output.assert_status(2);
        let report = output.json();
        assert_eq!(report["exit_status"], 2);
        let error = report["error"].as_str().unwrap();
        assert!(error.contains("`-web99` matches no guest"), "{error}");
        assert_eq!(report["guests"], json!([]));
    }
    lab.assert_unchanged();
}

/// `--allow-unmatched-exclusions` turns the error into a warning.
#[test]
fn allow_unmatched_exclusions_accepts_unmatched_exclusions() {
    let lab = lab();
    let accept = "--allow-unmatched-exclusions";
    lab.run(&format!(
        "--vmid=100,-@pool-none,-web99 clean --label=daily --keep=0 {accept}"
    ))
    .assert_status(0)
    .assert_out("WARNING: `-@pool-none` matches no guest")
    .assert_out("WARNING: `-web99` matches no guest");
    assert_eq!(lab.changes().len(), 2);
    lab.run(&format!("--vmid=100,-@node-none {SNAP} {accept}"))
        .assert_status(0)
        .assert_out("WARNING: `-@node-none` matches no guest");
    assert_eq!(lab.changes().len(), 3);
}

/// Names, VMIDs, tags and patterns that match no guest yet are accepted, so that old crontab lines
/// keep working.
#[test]
fn snap_refuses_only_pools_and_nodes_that_do_not_exist() {
    let lab = lab();
    for exclusion in ["-@pool-kepme", "-@node-pve9", "-all-pve9"] {
        for dry_run in ["", " --dry-run"] {
            let selection = format!("100,{exclusion}");
            run_with_hook(&lab, &selection, &format!("{SNAP}{dry_run}"))
                .assert_status(2)
                .assert_err("ERROR: nothing was done")
                .assert_err(&format!("`{exclusion}` matches no guest"));
        }
    }
    lab.assert_unchanged();
    assert_no_hook_called(&lab);
    for (number, exclusion) in [
        "-web09",
        "-999",
        "-300:310",
        "-zzz%",
        "-@tag-none",
        "-@pool-empty",
        "-@node-pve3",
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("--vmid=100,{exclusion} snap --label=l{number} --keep=3");
        lab.run(&line).assert_status(0);
    }
    assert_eq!(lab.changes().len(), 7);
}

/// A resolved exclusion is excluded, and the hook is called.
#[test]
fn a_resolved_exclusion_is_not_changed() {
    let lab = lab();
    run_with_hook(&lab, "@all,-@pool-keepme", CLEAN).assert_status(0);
    assert_eq!(lab.changes_of(101), [] as [&str; 0]);
    assert_eq!(lab.changes().len(), 4);
    let calls = std::fs::read_to_string(lab.folder().join("calls")).unwrap();
    assert!(calls.starts_with("clean-job-start\n"), "{calls}");
    assert!(calls.ends_with("clean-job-end\n"), "{calls}");
}

/// A guest with an unknown name may match an exclusion by name.
#[test]
fn a_guest_with_an_unknown_name_fails_if_names_are_excluded() {
    let world = World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "sub01")
            .taken("daily", &[1, 2])
            .with("listed_status", "unknown"),
    ]);
    let faults = r#"{"requests": [{"path": "/nodes/pve1/qemu", "effect": {"listing": "empty"}}]}"#;
    let lab = Lab::with_faults(&world, faults);
    for line in [
        "--vmid=@all,-%b01 clean --label=daily --keep=0",
        "--vmid=@all,-web01 snap --label=daily --keep=1",
    ] {
        lab.run(line)
            .assert_status(1)
            .assert_out("its name is unknown and may match the exclusion `-");
        lab.assert_unchanged();
    }
    lab.run("--vmid=@all,-%b01 check")
        .assert_status(1)
        .assert_out("its name is unknown and may match the exclusion `-%b01`");
    lab.run("--vmid=@all,-100 clean --label=daily --keep=0")
        .assert_status(0);
    assert_eq!(lab.changes().len(), 2);
}

/// The other guests are worked on, and the exit status is 1.
#[test]
fn a_selected_guest_pool_or_node_that_is_not_visible_is_a_failure() {
    for (missing, text) in [
        ("999", "no guest has this ID"),
        ("web09", "no guest has this name"),
        ("@pool-kepme", "there is no such pool"),
        ("@node-pve9", "there is no such node"),
    ] {
        let lab = lab();
        let selection = format!("100,{missing}");
        lab.run(&format!("--vmid={selection} {SNAP} --dry-run"))
            .assert_status(1)
            .assert_out(text);
        lab.assert_unchanged();
        lab.run(&format!("--vmid={selection} {SNAP}"))
            .assert_status(1)
            .assert_out(text);
        assert_eq!(lab.changes().len(), 1, "{missing}");
        let report = lab.run(&format!("--vmid={selection} {CLEAN} --output=Json"));
        assert_eq!(report.assert_status(1).json()["exit_status"], 1);
        assert_eq!(lab.changes().len(), 4, "{missing}");
        lab.run(&format!("--vmid={selection} status"))
            .assert_status(1);
        lab.run(&format!("--vmid={selection} check"))
            .assert_status(1)
            .assert_out(text);
    }
}

/// A term that may be empty is only a warning.
#[test]
fn an_unmatched_tag_or_pattern_or_an_empty_pool_is_a_warning() {
    let lab = lab();
    for term in ["@tag-none", "zzz%", "300:310", "@pool-empty", "@node-pve3"] {
        lab.run(&format!("--vmid=100,{term} {SNAP} --dry-run"))
            .assert_status(0)
            .assert_out(&format!("WARNING: `{term}` matches no guest"));
    }
}

fn skips() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01"),
        vm(101, "stopped").stopped(),
        vm(110, "golden").set("template", 1).stopped(),
        ct(120, "bind").set("mp0", "/srv/data,mp=/data"),
    ]))
}

/// `snap --strict && upgrade` does not continue without a snapshot of a named guest.
#[test]
fn with_strict_a_skipped_named_guest_is_a_failure() {
    for (term, reason, line) in [
        (
            "110",
            "Skip VM is template",
            "FAILED VM 110 golden on pve1: ",
        ),
        (
            "GOLDEN",
            "Skip VM is template",
            "FAILED VM 110 golden on pve1: ",
        ),
        (
            "stopped",
            "Skip VM '--only-running'",
            "FAILED VM 101 stopped on pve1: ",
        ),
        (
            "120",
            "Skip CT Proxmox VE cannot snapshot it",
            "FAILED CT 120 bind on pve1: ",
        ),
    ] {
        let lab = skips();
        let line_of = |options: &str| format!("--vmid=100,{term} {SNAP} --only-running {options}");
        lab.run(&line_of("--dry-run")).assert_status(0);
        lab.run(&line_of("--dry-run --strict"))
            .assert_status(1)
            .assert_out(&format!("{line}{reason}"));
        lab.run(&format!("--vmid=100,{term} check --only-running"))
            .assert_status(0);
        lab.run(&format!("--vmid=100,{term} check --only-running --strict"))
            .assert_status(1)
            .assert_out("which --strict counts as a failure");
        lab.assert_unchanged();
        lab.run(&line_of("--strict"))
            .assert_status(1)
            .assert_out(&format!("{line}{reason}"));
        assert_eq!(lab.changes().len(), 1, "{term}");
        let report = lab.run(&line_of("--dry-run --strict --output=Json")).json();
        let skipped = &report["guests"][1];
        assert_eq!(report["exit_status"], 1);
        assert_eq!(skipped["result"], "skipped");
        assert!(skipped["hint"].as_str().unwrap().contains("--strict"));
    }
}

/// A guest that is selected by another kind of term may be skipped, also with `--strict`.
#[test]
fn with_strict_other_guests_may_be_skipped() {
    let lab = skips();
    for selection in ["@all", "100,1%", "100:120", "100,@node-pve1", "@all,-110"] {
        lab.run(&format!(
            "--vmid={selection} {SNAP} --only-running --strict --dry-run"
        ))
        .assert_status(0);
    }
    lab.run(&format!(
        "--vmid=110,@all,-110 {SNAP} --only-running --strict --dry-run"
    ))
    .assert_status(0);
}

/// With `Pool.Audit` and without `VM.Audit` a pool that seems empty may have members.
#[test]
fn a_pool_with_invisible_guests_is_not_reported_as_empty() {
    let lab = lab_with(&["Pool.Audit"]);
    lab.run(&format!("--vmid=@pool-keepme {SNAP}"))
        .assert_status(1)
        .assert_out("WARNING: `@pool-keepme` matches no guest: there are no guests in this pool, or this login may not see them (VM.Audit)");
    for (term, text) in [
        (
            "@node-pve1",
            "there are no guests on this node, or this login may not see them (VM.Audit)",
        ),
        (
            "@tag-web",
            "no guest has this tag, or this login may not see it (VM.Audit)",
        ),
        (
            "100:110",
            "no guest has an ID in this range, or this login may not see it (VM.Audit)",
        ),
        (
            "web01",
            "no guest has this name, or this login may not see it (VM.Audit)",
        ),
    ] {
        lab.run(&format!("--vmid={term} {SNAP}"))
            .assert_status(1)
            .assert_out(text);
    }
    lab.run(&format!("--vmid=@all,-@pool-keepme {CLEAN}"))
        .assert_status(2)
        .assert_err("or this login may not see them (VM.Audit)");
}

/// A similar VMID is another guest.
#[test]
fn no_other_vmid_is_proposed_for_a_vmid() {
    let lab = lab();
    lab.run(&format!("--vmid=100,102,111:120 {SNAP} --dry-run"))
        .assert_status(1)
        .assert_out("`102` matches no guest")
        .assert_not_printed("nearest");
}

#[test]
fn a_term_that_may_match_a_guest_on_an_offline_node_is_a_failure() {
    let world = World::new([vm(100, "web01"), vm(120, "far-vm").on("pve3")]).offline_node("pve3");
    let lab = Lab::new(&world);
    for (vmid, command) in [
        ("web01,far-vm", "snap"),
        ("web01,far%", "clean"),
        ("web%", "snap"),
        ("%01", "clean"),
    ] {
        lab.run(&format!("--vmid={vmid} {command} --label=daily --keep=1"))
            .assert_status(1)
            .assert_out("the name of 1 guest on an offline node is not known, use the ID instead");
    }
    let alone = lab.run("--vmid=far-vm snap --label=daily --keep=1");
    alone
        .assert_status(1)
        .assert_not_printed("POSSIBLE PROBLEM");
    // An excluded name cannot be missed: no guest of the offline node is selected.
    lab.run("--vmid=web01,-far-vm --dry-run snap --label=hourly --keep=1")
        .assert_status(0);
    let online = Lab::new(&World::new([vm(100, "web01")]));
    online
        .run("--vmid=web01,far% snap --label=daily --keep=1")
        .assert_status(0);
}
