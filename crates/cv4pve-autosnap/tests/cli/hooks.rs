// SPDX-License-Identifier: GPL-3.0-only
//! Hooks as real scripts: the variables of each phase, the order of the phases when steps fail, and
//! the effect of failing hooks.

use insta::assert_snapshot;
use regex_lite::Regex;

use crate::harness::{Lab, Output};
use crate::paused_run::PausingHook;
use crate::world::{World, ct, vm};

/// Records all variables, and fails if a file `fail-PHASE` exists.
const RECORDER: &str = "#!/bin/sh
echo \"$CV4PVE_AUTOSNAP_PHASE vm='$CV4PVE_AUTOSNAP_VMID $CV4PVE_AUTOSNAP_VMNAME $CV4PVE_AUTOSNAP_VMTYPE' \
  label=$CV4PVE_AUTOSNAP_LABEL keep=$CV4PVE_AUTOSNAP_KEEP name=$CV4PVE_AUTOSNAP_SNAP_NAME \
  vmstate=$CV4PVE_AUTOSNAP_VMSTATE duration=$CV4PVE_AUTOSNAP_DURATION state=$CV4PVE_AUTOSNAP_STATE \
  debug=$CV4PVE_AUTOSNAP_DEBUG dry=$CV4PVE_AUTOSNAP_DRY_RUN\" >> phases.log
[ ! -e \"fail-$CV4PVE_AUTOSNAP_PHASE\" ] || exit 3
";

/// Two guests with an old snapshot each, and the recorder.
fn lab() -> Lab {
    let world = World::new([
        vm(100, "web01").taken("daily", &[1]),
        ct(200, "proxy").taken("daily", &[2]),
    ]);
    recorded(&world)
}

fn recorded(world: &World) -> Lab {
    let lab = Lab::new(world);
    lab.script("hook.sh", RECORDER);
    lab
}

fn run(lab: &Lab, args: &str) -> Output {
    lab.run(&format!(
        "--vmid=@all --max-parallel=1 --label=daily --script=hook.sh {args}"
    ))
}

/// The recorded variables, with durations replaced where they are not zero.
fn recorded_variables(lab: &Lab) -> String {
    let log = std::fs::read(lab.folder().join("phases.log")).unwrap_or_default();
    let durations = Regex::new(r"duration=(0\.[0-9]+|[1-9][0-9.]*)").unwrap();
    durations
        .replace_all(&lab.normalized(&log), "duration=<time>")
        .into_owned()
}

/// The phases, with guest and state: `snap-create-post 100 1`.
fn phases(lab: &Lab) -> Vec<String> {
    let line = Regex::new(r"^(\S+) vm='(\d*).* state=(\d)").unwrap();
    let recorded = recorded_variables(lab);
    recorded
        .lines()
        .map(|text| {
            let found = line.captures(text).unwrap();
            format!("{} {} {}", &found[1], &found[2], &found[3]).replace("  ", " ")
        })
        .collect()
}

fn fail_task(lab: &Lab, kind: &str, number: u32) {
    let plan = format!(
        r#"{{"tasks": [{{"kind": "{kind}", "when": {{"nth": {number}}}, "effect": {{"fail": "broken"}}}}]}}"#
    );
    lab.set_faults(&plan);
}

#[test]
fn every_phase_of_snap_has_all_variables() {
    let lab = lab();
    run(&lab, "snap --keep=1 --state").assert_status(0);
    assert_snapshot!(recorded_variables(&lab), @r#"
    snap-job-start vm='  ' label=daily keep=1 name= vmstate=1 duration=0 state=1 debug=0 dry=0
    snap-create-pre vm='100 web01 qemu' label=daily keep=1 name=autodaily<now> vmstate=1 duration=0 state=1 debug=0 dry=0
    snap-remove-pre vm='100 web01 qemu' label=daily keep=1 name=autodaily240101000000 vmstate=0 duration=0 state=0 debug=0 dry=0
    snap-remove-post vm='100 web01 qemu' label=daily keep=1 name=autodaily240101000000 vmstate=0 duration=<time> state=1 debug=0 dry=0
    snap-create-post vm='100 web01 qemu' label=daily keep=1 name=autodaily<now> vmstate=1 duration=<time> state=1 debug=0 dry=0
    snap-create-pre vm='200 proxy lxc' label=daily keep=1 name=autodaily<now> vmstate=0 duration=0 state=1 debug=0 dry=0
    snap-remove-pre vm='200 proxy lxc' label=daily keep=1 name=autodaily240102000000 vmstate=0 duration=0 state=0 debug=0 dry=0
    snap-remove-post vm='200 proxy lxc' label=daily keep=1 name=autodaily240102000000 vmstate=0 duration=<time> state=1 debug=0 dry=0
    snap-create-post vm='200 proxy lxc' label=daily keep=1 name=autodaily<now> vmstate=0 duration=<time> state=1 debug=0 dry=0
    snap-job-end vm='  ' label=daily keep=1 name= vmstate=1 duration=<time> state=1 debug=0 dry=0
    "#);
}

#[test]
fn every_phase_of_clean_has_all_variables() {
    let lab = lab();
    run(&lab, "clean --keep=0 --debug").assert_status(0);
    assert_snapshot!(recorded_variables(&lab), @r#"
    clean-job-start vm='  ' label=daily keep=0 name= vmstate=0 duration=0 state=0 debug=1 dry=0
    snap-remove-pre vm='100 web01 qemu' label=daily keep=0 name=autodaily240101000000 vmstate=0 duration=0 state=0 debug=1 dry=0
    snap-remove-post vm='100 web01 qemu' label=daily keep=0 name=autodaily240101000000 vmstate=0 duration=<time> state=1 debug=1 dry=0
    snap-remove-pre vm='200 proxy lxc' label=daily keep=0 name=autodaily240102000000 vmstate=0 duration=0 state=0 debug=1 dry=0
    snap-remove-post vm='200 proxy lxc' label=daily keep=0 name=autodaily240102000000 vmstate=0 duration=<time> state=1 debug=1 dry=0
    clean-job-end vm='  ' label=daily keep=0 name= vmstate=0 duration=<time> state=1 debug=1 dry=0
    "#);
}

#[test]
fn a_failed_creation_is_closed_by_abort() {
    let lab = lab();
    fail_task(&lab, "qmsnapshot", 1);
    run(&lab, "snap --keep=1").assert_status(1);
    assert_snapshot!(phases(&lab).join("\n"), @r#"
    snap-job-start 1
    snap-create-pre 100 1
    snap-create-abort 100 0
    snap-create-pre 200 1
    snap-remove-pre 200 0
    snap-remove-post 200 1
    snap-create-post 200 1
    snap-job-end 0
    "#);
}

#[test]
fn a_failed_removal_is_closed_and_so_is_the_guest() {
    for failing in [1, 2] {
        let lab = recorded(&World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]));
        fail_task(&lab, "qmdelsnapshot", failing);
        run(&lab, "snap --keep=1").assert_status(1);
        let done = ["snap-remove-pre 100 0", "snap-remove-post 100 1"];
        let mut expected = vec!["snap-job-start 1", "snap-create-pre 100 1"];
        expected.extend(done.repeat(failing as usize - 1));
        expected.extend(["snap-remove-pre 100 0", "snap-remove-abort 100 0"]);
        expected.extend(["snap-create-post 100 0", "snap-job-end 0"]);
        assert_eq!(phases(&lab), expected);
    }
}

#[test]
fn skipped_guests_have_no_phase_and_locked_ones_have_both() {
    let world = World::new([
        vm(100, "template").set("template", 1),
        vm(101, "locked").set("lock", "backup"),
        ct(200, "bind").set("mp0", "/srv,mp=/srv"),
        vm(300, "full").set("scsi1", "missing:x,size=1G").stopped(),
    ]);
    let lab = recorded(&world);
    run(&lab, "snap --keep=1 --only-running").assert_status(1);
    assert_eq!(
        phases(&lab),
        [
            "snap-job-start 1",
            "snap-create-pre 101 1",
            "snap-create-abort 101 0",
            "snap-job-end 0"
        ]
    );
}

#[test]
fn the_job_is_closed_when_a_fault_ends_it() {
    let lab = lab();
    let fault = r#"{"requests": [{"path": "/cluster/resources", "effect": {"answer": {"status": 500, "reason": "broken"}}}]}"#;
    lab.set_faults(fault);
    run(&lab, "snap --keep=1")
        .assert_status(3)
        .assert_err("ERROR: broken");
    assert_eq!(phases(&lab), ["snap-job-start 1", "snap-job-end 0"]);
}

#[test]
fn a_dry_run_runs_no_hook_and_shows_them_with_debug() {
    let lab = lab();
    run(&lab, "snap --keep=1 --dry-run").assert_status(0);
    let output = run(&lab, "snap --keep=1 --dry-run --debug");
    assert_eq!(phases(&lab), [] as [&str; 0]);
    lab.assert_unchanged();
    assert_snapshot!(Output { stderr: String::new(), ..output }.report(), @r#"
    exit status 0
    --- stdout ---
    ----- VM 100 qemu running ----- web01
      hook would be called: snap-create-pre
    Create snapshot: autodaily<now>
      hook would be called: snap-remove-pre
    Remove snapshot: autodaily240101000000
      2nd newest, keep 1
      hook would be called: snap-remove-post
      hook would be called: snap-create-post
    ----- VM 200 lxc running ----- proxy
      hook would be called: snap-create-pre
    Create snapshot: autodaily<now>
      hook would be called: snap-remove-pre
    Remove snapshot: autodaily240102000000
      2nd newest, keep 1
      hook would be called: snap-remove-post
      hook would be called: snap-create-post
      hook would be called: snap-job-end
    Dry run: nothing was changed; would create 2, remove 2; 0 skipped, 0 would fail
    Total execution <time>
    "#);
}

/// Runs with a hook that fails in this phase.
fn with_failing_hook(phase: &str, policy: &str) -> (i32, Vec<String>, Vec<String>) {
    let lab = lab();
    lab.file(&format!("fail-{phase}"), "");
    let output = run(&lab, &format!("snap --keep=1 --hook-failure={policy}"));
    if phase != "never" {
        output.assert_out("Script return code: 3\n");
    }
    (output.status, phases(&lab), lab.changes())
}

#[test]
fn a_failing_hook_is_ignored_by_default_and_after_a_change() {
    let undisturbed = with_failing_hook("never", "ignore");
    assert_eq!((undisturbed.0, undisturbed.2.len()), (0, 4));
    for phase in ["snap-job-start", "snap-create-pre", "snap-remove-pre"] {
        assert_eq!(with_failing_hook(phase, "ignore"), undisturbed, "{phase}");
    }
    for phase in ["snap-remove-post", "snap-create-post", "snap-job-end"] {
        for policy in ["ignore", "skip-guest", "abort-run"] {
            assert_eq!(
                with_failing_hook(phase, policy),
                undisturbed,
                "{phase} {policy}"
            );
        }
    }
}

#[test]
fn a_failing_hook_before_a_change_skips_or_aborts_as_set() {
    let mut table = String::new();
    for phase in ["snap-job-start", "snap-create-pre", "snap-remove-pre"] {
        for policy in ["skip-guest", "abort-run"] {
            let (status, phases, changes) = with_failing_hook(phase, policy);
            let (phases, changes) = (phases.join("\n  "), changes.join(", "));
            let line = format!("{phase} {policy}: exit status {status}\n  {phases}\n  = {changes}");
            table.push_str(line.trim_end());
            table.push('\n');
        }
    }
    assert_snapshot!(table, @r#"
    snap-job-start skip-guest: exit status 1
      snap-job-start 1
      snap-job-end 0
      =
    snap-job-start abort-run: exit status 1
      snap-job-start 1
      snap-job-end 0
      =
    snap-create-pre skip-guest: exit status 1
      snap-job-start 1
      snap-create-pre 100 1
      snap-create-abort 100 0
      snap-create-pre 200 1
      snap-create-abort 200 0
      snap-job-end 0
      =
    snap-create-pre abort-run: exit status 1
      snap-job-start 1
      snap-create-pre 100 1
      snap-create-abort 100 0
      snap-job-end 0
      =
    snap-remove-pre skip-guest: exit status 1
      snap-job-start 1
      snap-create-pre 100 1
      snap-remove-pre 100 0
      snap-remove-abort 100 0
      snap-create-post 100 0
      snap-create-pre 200 1
      snap-remove-pre 200 0
      snap-remove-abort 200 0
      snap-create-post 200 0
      snap-job-end 0
      = create 100 autodaily<now>, create 200 autodaily<now>
    snap-remove-pre abort-run: exit status 1
      snap-job-start 1
      snap-create-pre 100 1
      snap-remove-pre 100 0
      snap-remove-abort 100 0
      snap-create-post 100 0
      snap-job-end 0
      = create 100 autodaily<now>
    "#);
}

#[test]
fn a_hook_that_fails_while_something_else_has_failed_changes_nothing() {
    for policy in ["ignore", "skip-guest", "abort-run"] {
        let lab = lab();
        lab.file("fail-snap-create-abort", "");
        fail_task(&lab, "qmsnapshot", 1);
        run(&lab, &format!("snap --keep=1 --hook-failure={policy}")).assert_status(1);
        assert_eq!(lab.changes().len(), 2, "{policy}: the other guest is done");
        let lab = lab_with_failing_removal();
        run(&lab, &format!("snap --keep=1 --hook-failure={policy}")).assert_status(1);
        assert_eq!(lab.changes().len(), 3, "{policy}: the other guest is done");
    }
}

fn lab_with_failing_removal() -> Lab {
    let lab = lab();
    lab.file("fail-snap-remove-abort", "");
    fail_task(&lab, "qmdelsnapshot", 1);
    lab
}

#[test]
fn a_failing_hook_before_removals_does_not_prevent_the_snapshot() {
    let lab = lab();
    lab.file("fail-snap-remove-pre", "");
    let command = "snap --keep=1 --hook-failure=skip-guest";
    let output = run(&lab, command);
    output
        .assert_status(1)
        .assert_out("Error: removals left out: the hook failed\n")
        .assert_out("web01 on pve1: removals left out: the hook failed\n");
    assert!(!output.stdout.contains("\nError: left out"), "{output}");
    let output = run(
        &lab,
        &format!(
            "{command} --output=Json --timestamp-format=yyyyMMddHHmmssfff --also-format=yyMMddHHmmss"
        ),
    );
    output
        .assert_status(1)
        .assert_out(r#""result":"vetoed","reason":"removals left out: the hook failed""#);
}

#[test]
fn a_hanging_hook_is_killed() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.script(
        "hang.sh",
        "#!/bin/sh\n[ $CV4PVE_AUTOSNAP_PHASE != snap-create-pre ] || exec tail -f /dev/null\n",
    );
    let output = lab.run("--vmid=100 snap --label=x --keep=1 --script=hang.sh --hook-timeout=1 --hook-failure=skip-guest");
    output
        .assert_status(1)
        .assert_out("Script was ended: it ran longer than --hook-timeout allows\n")
        .assert_out("Error: left out: the hook failed\n")
        .assert_out("web01 on pve1: left out: the hook failed\n");
    assert_eq!(lab.changes(), [] as [&str; 0]);
}

#[test]
fn a_killed_hook_is_reported_and_counts_as_failed() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.script("die.sh", "#!/bin/sh\nkill -9 $$\n");
    let args = "--vmid=100 snap --label=x --keep=1 --script=die.sh";
    lab.run(args)
        .assert_status(0)
        .assert_out("Script was ended by a signal\n");
    lab.run(&format!("{args} --hook-failure=skip-guest"))
        .assert_status(1);
    assert_eq!(lab.changes().len(), 1);
}

#[test]
fn scripts_without_shebang_and_with_spaces_in_their_path_run() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    std::fs::create_dir(lab.folder().join("my hooks")).unwrap();
    let path = lab.script("my hooks/no $hebang", "echo \"here I am\"\n");
    for path in ["my hooks/no $hebang", path.to_str().unwrap()] {
        let script = format!("--script={path}");
        let output = lab.call(["--vmid=100", "clean", "--label=x", "--keep=1", &script]);
        output.assert_status(0);
        assert_eq!(output.lines("here I am").len(), 2, "{output}");
    }
}

#[test]
fn output_of_a_hook_stands_in_the_block_of_its_guest() {
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &[1])]));
    lab.script(
        "talk.sh",
        "#!/bin/sh\nprintf \"$CV4PVE_AUTOSNAP_PHASE says hello\"\nexit 1\n",
    );
    assert_snapshot!(lab.run("--vmid=100 snap --label=daily --keep=1 --script=talk.sh"), @r#"
    exit status 0
    --- stdout ---
    ACTION Snap
    PVE Version:      8.4.21
    VMs:              100
    Label:            daily
    Keep:             1
    State:            False
    Only running:     False
    Timeout:          600 sec.
    Timestamp format: yyMMddHHmmss
    Max % Storage :   95%
    One at a time:    for --script; more with --max-parallel
    snap-job-start says hello
    Script return code: 1
                      Storage      Type     Valid   Used %    Disk Size  Disk Usage
               pve1/local-zfs   zfspool        Ok        25     1.07 TB   268.44 GB
    ----- VM 100 qemu running ----- web01
    snap-create-pre says hello
    Script return code: 1
    Create snapshot: autodaily<now>
    snap-remove-pre says hello
    Script return code: 1
    Remove snapshot: autodaily240101000000
    snap-remove-post says hello
    Script return code: 1
    snap-create-post says hello
    Script return code: 1
    VM execution <time>
    snap-job-end says hello
    Script return code: 1
    1 snapshot created, 1 removed; guests: 1 done, 0 skipped; took <time>
    Total execution <time>
    "#);
}

#[test]
fn hooks_get_neither_secrets_nor_a_terminal() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.script("env.sh", "#!/bin/sh\nenv; cat\n");
    let mut command = lab.command();
    command
        .env("CV4PVE_API_TOKEN", crate::harness::TOKEN)
        .env("CV4PVE_PASSWORD", "example-backup")
        .env("OWN_VARIABLE", "kept")
        .arg(format!("--host={}", lab.host()))
        .args([
            "--vmid=100",
            "snap",
            "--label=x",
            "--keep=1",
            "--script=env.sh",
        ]);
    let output = lab.finish(command);
    output.assert_status(0).assert_out("OWN_VARIABLE=kept");
    for secret in [
        "22222222",
        "example-backup",
        "CV4PVE_API_TOKEN",
        "CV4PVE_PASSWORD",
    ] {
        assert!(!output.stdout.contains(secret), "{output}");
    }
}

#[test]
fn a_removal_that_is_locked_until_the_end_is_closed() {
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2])]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(
        &lab,
        "--vmid=100 snap --label=daily --keep=1 --wait-locked=1s",
    );
    run.go_to("snap-remove-pre 100");
    lab.simulator
        .world(|world| world.guests.get_mut(&100).unwrap().lock = Some("backup".to_owned()));
    run.resume();
    let mut rest = Vec::new();
    loop {
        match run.reached() {
            end if end == "ended" => break,
            phase => rest.push(phase),
        }
        run.resume();
    }
    assert_eq!(
        rest,
        [
            "snap-remove-abort 100",
            "snap-create-post 100",
            "snap-job-end"
        ]
    );
    let output = run.ended();
    output
        .assert_status(1)
        .assert_out("Error in task: VM is locked (backup)")
        .assert_out("Left to the next run: 1 removal");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}
