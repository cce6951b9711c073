// SPDX-License-Identifier: GPL-3.0-only
//! Messages are true, appear once, and say what to do: failures, hints, errors and the JSON report.

use serde_json::json;

use crate::harness::{Lab, UnusedPort};
use crate::world::{GIB, World, vm};

fn lab(faults: &str) -> Lab {
    Lab::with_faults(
        &World::new([vm(100, "web01").taken("daily", &[1, 2])]),
        faults,
    )
}

fn quiet_lab() -> Lab {
    lab(r#"{"requests": []}"#)
}

#[track_caller]
fn assert_once(text: &str, expected: &str) {
    assert_eq!(text.matches(expected).count(), 1, "'{expected}' in\n{text}");
}

#[test]
fn the_json_report_has_storage_figures_and_hints() {
    let full = json!({"storage": "full", "type": "zfspool", "content": ["images"],
        "total": 100 * GIB, "used": 97 * GIB});
    let world = World::new([
        vm(100, "web01").set("lock", "backup"),
        vm(101, "web02").set("scsi0", "full:vm-101-disk-0,size=8G"),
    ]);
    let lab = Lab::new(&world.storage(full));
    let args = "--vmid=@all snap --label=daily --keep=1";
    let report = lab.run(&format!("{args} -o Json")).json();
    let detail = "storage full on node pve1 is 97.0% full, the limit is 95%";
    assert_eq!(report["guests"][1]["detail"], detail);
    let hint = report["guests"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("--wait-locked"), "{hint}");
    lab.run(args)
        .assert_out(&format!("FAILED VM 101 web02 on pve1: {detail}\n"));
}

#[test]
fn a_run_that_cannot_start_has_a_json_report() {
    let lab = quiet_lab();
    let unused = UnusedPort::new();
    let host = format!("--host={}", unused.address());
    let args = [
        "--api-token=file:token",
        "--vmid=100",
        "snap",
        "--label=daily",
        "--keep=1",
        "--output=Json",
    ];
    let output = lab.bare([host.as_str()].into_iter().chain(args));
    let report = output.assert_status(3).json();
    assert_eq!(report["exit_status"], 3);
    assert_eq!(report["pve_version"], json!(null));
    assert_eq!(report["guests"], json!([]));
    let error = report["error"].as_str().unwrap();
    assert!(error.starts_with("cannot connect to "), "{error}");
}

#[test]
fn a_failed_remove_hook_skips_only_the_remaining_removals() {
    let lab = quiet_lab();
    lab.script(
        "hook.sh",
        "#!/bin/sh\n[ \"$CV4PVE_AUTOSNAP_PHASE\" = snap-remove-pre ] || exit 0\n[ -e once ] && exit 1\ntouch once\n",
    );
    let args = "--vmid=100 clean --label=daily --keep=0 --hook-failure=skip-guest --script=hook.sh";
    let output = lab.run(args);
    output
        .assert_status(1)
        .assert_out("\nError: removals left out: the hook failed\n")
        .assert_out("FAILED VM 100 web01 on pve1: removals left out: the hook failed\n");
    assert_eq!(lab.changes().len(), 1);
}

#[test]
fn every_skipped_guest_names_the_cause_that_ended_the_run() {
    let lab = Lab::new(&World::new([vm(100, "web01"), vm(101, "web02")]));
    lab.script(
        "hook.sh",
        "#!/bin/sh\n[ \"$CV4PVE_AUTOSNAP_PHASE\" != snap-create-pre ]\n",
    );
    let args = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1 --hook-failure=abort-run --script=hook.sh";
    let output = lab.run(args);
    output
        .assert_status(1)
        .assert_out("Error: left out: a hook aborted the run\n");
    output.assert_not_printed("the run was stopped");
    let report = lab.run(&format!("{args} -o Json")).json();
    assert_eq!(report["guests"][1]["reason"], "a hook aborted the run");
}

#[test]
fn an_unreachable_task_is_not_reported_as_a_timeout() {
    let world = World::new([vm(100, "web01").with("task_seconds", json!({"create": 600}))]);
    let lab = Lab::with_faults(
        &world,
        r#"{"requests": [{"method": "GET", "path": "/nodes/*/tasks/*/status", "effect": {"answer": {"status": 595, "reason": "No route to host"}}}]}"#,
    );
    let output = lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=1");
    output
        .assert_status(1)
        .assert_out("the end of the task was not seen within 1s: No route to host")
        .assert_out("  it is not known whether it was done\n");
    output.assert_not_printed("increase the timeout");
    output.assert_not_printed("--timeout");
}

#[test]
fn a_task_that_is_still_running_is_reported_once() {
    let world =
        World::new([vm(100, "web01").with("task_seconds", json!({"create": 600, "delete": 1}))]);
    let output = Lab::new(&world).run("--vmid=100 --timeout=1 snap --label=daily --keep=1");
    output
        .assert_status(1)
        .assert_out("Error task in run... increase the timeout! (the task has not ended within 1s)")
        .assert_out("hint: increase --timeout");
    assert_once(&output.stdout, "is still running in PVE");
    output.assert_not_printed("VM execution");
}

#[test]
fn the_permission_hint_appears_only_if_no_guest_is_visible() {
    for vmid in ["@all,-100:300", "wev01"] {
        let output = quiet_lab().run(&format!("--vmid={vmid} snap --label=daily --keep=1"));
        output
            .assert_status(1)
            .assert_out(&format!("----- VMs with '{vmid}' NOT FOUND -----"));
        output.assert_not_printed("POSSIBLE PROBLEM");
    }
}

#[test]
fn the_hint_for_an_existing_name_explains_a_coarse_format() {
    let lab = quiet_lab();
    let snap = "--vmid=100 snap --label=daily --keep=5 --timestamp-format=yyyyMMdd";
    lab.run(snap).assert_status(0);
    lab.run(snap).assert_status(1).assert_out(
        "hint: names repeat when --timestamp-format lacks the year, month, day, hour or minute",
    );
}

#[test]
fn a_lost_removal_is_reported_once() {
    let lab = lab(r#"{"requests": [{"method": "DELETE", "effect": "drop_before"}]}"#);
    let output = lab.run("--vmid=100 --timeout=1 clean --label=daily --keep=1");
    output
        .assert_status(1)
        .assert_out("; snapshot autodaily240101000000 is still there\n");
    assert_once(&output.stdout, "whether it was done");
    output.assert_not_printed("may have been carried out");
    output.assert_not_printed("no trace");
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let output = quiet_lab().run("--vmid=100 snap --label=daily --keep=101");
    output
        .assert_status(2)
        .assert_err("must be between 1 and 100");
    output.assert_not_printed("..=");
}

#[test]
fn an_untrusted_certificate_is_reported_with_its_fingerprint_once() {
    let lab = quiet_lab();
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    lab.file("other-ca.pem", certified.cert.pem());
    let output = lab.run("--vmid=100 --ca-file=other-ca.pem status");
    output
        .assert_status(3)
        .assert_err("it is not signed by a trusted authority");
    output.assert_not_printed("UnknownIssuer");
    assert_once(&output.stderr, "<fingerprint>");
    let output = lab.run("--vmid=100 --ca-file=missing.pem status");
    output
        .assert_status(2)
        .assert_err("missing.pem: file not found\n");
    output.assert_not_printed("os error");
}

#[test]
fn fingerprint_names_an_unreachable_host_once() {
    let lab = quiet_lab();
    let unused = UnusedPort::new();
    let host = format!("--host={}", unused.address());
    let output = lab.bare(["fingerprint", host.as_str()]);
    assert_once(&output.assert_status(3).stderr, "127.0.0.1:<port>");
}

#[test]
fn a_comment_after_an_option_is_explained() {
    let lab = quiet_lab();
    lab.file(
        "p.conf",
        "# a comment\n--vmid=100 --label=daily --keep=7 # not one\n",
    );
    lab.run("@p.conf snap --dry-run")
        .assert_status(2)
        .assert_err("unexpected argument in line 2 of p.conf")
        .assert_err("a comment must be on a separate line that begins with #");
}

#[test]
fn the_hint_for_a_long_name_does_not_propose_the_current_format() {
    let label = "a".repeat(30);
    let output = quiet_lab().run(&format!("--vmid=100 snap --label={label} --keep=1"));
    output
        .assert_status(2)
        .assert_err("shorten the label to at most 24 characters\n");
    output.assert_not_printed("--timestamp-format=");
}
