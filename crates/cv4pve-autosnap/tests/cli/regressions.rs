// SPDX-License-Identifier: GPL-3.0-only
//! One test for each defect that was found and mended, named after what holds now. What belongs to a
//! topic with a file of its own is there.

use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Options;
use serde_json::{Value, json};

use crate::harness::{Lab, Output, until};
use crate::paused_run::PausingHook;
use crate::world::{World, credentials, ct, day, name, vm};

fn lab_with(world: &World, faults: &str) -> Lab {
    let lab = Lab::new(world);
    lab.simulator.set_faults(FaultPlan::parse(faults).unwrap());
    lab
}

/// A world whose token has less than its user, who is an administrator.
fn separated_token(acl: &[Value]) -> Lab {
    let mut world = World::of([vm(110, "web10")]).to_json();
    world["users"] = json!([{"userid": "admin@pve"}]);
    world["tokens"] = json!([{"tokenid": "admin@pve!sep", "privsep": 1}]);
    let mut entries = vec![
        json!({"path": "/", "who": "admin@pve", "role": "Administrator"}),
        json!({"path": "/", "who": "admin@pve!sep", "role": "PVEAuditor"}),
    ];
    entries.extend_from_slice(acl);
    world["acl"] = Value::Array(entries);
    world["roles"]["Autosnap"] = world["roles"]["SnapRunner"].clone();
    let secret = "22222222-2222-4222-8222-222222222222";
    let secrets =
        json!({"passwords": {"admin@pve": "example"}, "tokens": {"admin@pve!sep": secret}});
    let lab = Lab::with(Options::new(world, secrets));
    lab.file("sep", format!("admin@pve!sep={secret}"));
    lab
}

fn as_separated_token(lab: &Lab, words: &str) -> Output {
    let host = format!("--host={}", lab.host());
    let own = [host.as_str(), "--api-token=file:sep", "--vmid=110"];
    lab.bare(own.into_iter().chain(words.split(' ')))
}

#[test]
fn the_line_that_grants_a_privilege_names_the_token_and_takes_nothing_from_its_user() {
    let lab = separated_token(&[]);
    let line = "pveum acl modify /vms/110 --tokens 'admin@pve!sep' --roles Autosnap";
    let snap = as_separated_token(&lab, "snap --label=x --keep=1");
    snap.assert_status(1)
        .assert_out(line)
        .assert_out("takes the place of the roles inherited from above")
        .assert_out(
            "pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'",
        );
    let check = as_separated_token(&lab, "check");
    check
        .assert_status(1)
        .assert_out(line)
        .assert_out("takes the place of the roles inherited from above");
    for output in [&snap, &check] {
        let lines = output.stdout.lines();
        let mut for_the_user = lines.filter(|line| line.contains("modify /vms/110 --users"));
        assert!(
            for_the_user.all(|line| line.contains("if the user lacks it too")),
            "{output}"
        );
    }
    let granted = json!({"path": "/vms/110", "who": "admin@pve!sep", "role": "Autosnap"});
    as_separated_token(&separated_token(&[granted]), "snap --label=x --keep=1").assert_status(0);
}

#[test]
fn a_dry_run_says_would_wait_only_where_the_run_would() {
    let lab = Lab::new(&World::of([
        vm(105, "web05")
            .set("lock", "backup")
            .taken("daily", &[1, 2]),
        ct(203, "proxy")
            .set("lock", "backup")
            .taken("daily", &[1, 2, 3]),
    ]));
    let clean = "--vmid=105,203 clean --label=daily --dry-run";
    let output = lab.run(&format!("{clean} --keep=3"));
    output.assert_status(0).assert_not_said("Would wait");
    let output = lab.run(&format!("{clean} --keep=2"));
    output.assert_status(1).assert_not_said("Would wait");
    let output = lab.run(&format!("{clean} --keep=2 --wait-locked"));
    let waits = output.assert_status(0).lines("Would wait");
    assert_eq!(waits, ["Would wait: CT is locked (backup)"]);
}

fn half_removed(number: i64) -> Value {
    json!({"name": name("daily", number), "snaptime": day(number), "description": "cv4pve-autosnap",
        "snapstate": "delete"})
}

#[test]
fn a_stuck_removal_that_is_sent_again_is_not_said_to_stay() {
    let world = World::of([vm(100, "web01").snapshot_with(half_removed(1))]);
    let clean = "--vmid=100 clean --label=daily --keep=0";
    for dry_run in ["", " --dry-run"] {
        let lab = Lab::new(&world);
        let output = lab.run(&format!("{clean} --retry-stuck-removal{dry_run}"));
        output
            .assert_status(0)
            .assert_out("Remove snapshot: autodaily240101000000");
        output.assert_not_said("neither counted nor removed");
    }
    let lab = Lab::new(&world);
    lab.run(clean).assert_out("neither counted nor removed");
}

#[test]
fn half_made_snapshots_are_told_in_the_order_of_time() {
    let guest = [4, 1, 3, 2]
        .into_iter()
        .fold(vm(100, "web01"), |guest, number| {
            guest.snapshot_with(half_removed(number))
        });
    let lab = Lab::new(&World::of([guest]));
    let output = lab.run("--vmid=100 clean --label=daily --keep=0");
    let told = output.assert_status(0).lines("Snapshot ");
    let names: Vec<&str> = told
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let expected: Vec<String> = (1..=4).map(|number| name("daily", number)).collect();
    assert_eq!(names, expected);
}

#[test]
fn the_command_line_overrules_a_value_of_the_parameter_file_that_is_out_of_range() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    lab.file("p1.conf", "--vmid=100 --label=daily --keep=0 --timeout=0\n");
    lab.run("@p1.conf snap --keep=5 --timeout=30 --dry-run")
        .assert_status(0);
    lab.run("@p1.conf snap --keep 5 --dry-run")
        .assert_status(2)
        .assert_err("invalid value for '--timeout <TIME>' in line 1 of p1.conf");
}

#[test]
fn more_ram_snapshots_at_once_are_there_for_the_asking() {
    let lab = Lab::new(&World::of([vm(100, "web01"), vm(101, "web02")]));
    let hook = PausingHook::new(&lab);
    let words =
        "--vmid=@all snap --label=ram --keep=1 --state --max-parallel=2 --max-parallel-ram=2";
    let mut run = hook.start(&lab, words);
    assert_eq!(run.reached().trim_end(), "snap-job-start");
    run.go_on();
    // Neither hook has been let go when the other one is reached.
    let mut reached = [run.reached(), run.reached()];
    reached.sort_unstable();
    assert_eq!(reached, ["snap-create-pre 100", "snap-create-pre 101"]);
    run.go_on();
    run.finish().assert_status(0);
}

#[test]
fn a_name_that_may_be_that_of_a_guest_on_an_offline_node_is_a_failure() {
    let world = World::of([vm(100, "web01"), vm(120, "far-vm").on("pve3")]).offline_node("pve3");
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
    alone.assert_status(1).assert_not_said("POSSIBLE PROBLEM");
    // An exclusion takes away what would not be done anyway.
    lab.run("--vmid=web01,-far-vm --dry-run snap --label=hourly --keep=1")
        .assert_status(0);
    let online = Lab::new(&World::of([vm(100, "web01")]));
    online
        .run("--vmid=web01,far% snap --label=daily --keep=1")
        .assert_status(0);
}

#[test]
fn a_signal_while_reading_leaves_no_guest_unreported() {
    for (form, shown) in [("Json", false), ("Text", true)] {
        let lab = lab_with(
            &World::of([vm(100, "web01"), ct(200, "proxy")]),
            r#"{"requests": [{"path": "/nodes/*/*/*/config", "effect": {"stall": 900}}]}"#,
        );
        let hook = PausingHook::new(&lab);
        let words = format!("--vmid=@all snap --label=daily --keep=1 --output={form}");
        let mut run = hook.start(&lab, &words);
        assert_eq!(run.reached(), "snap-job-start");
        run.go_on();
        let asked = || {
            let requests = lab.simulator.journal().requests();
            requests
                .iter()
                .any(|one| one.path.ends_with("/cluster/resources"))
        };
        until("the guests are asked for", asked);
        run.signal("TERM");
        run.heard("asked to terminate");
        let output = run.finish();
        output.assert_status(143);
        if shown {
            output
                .assert_out("Error: asked to terminate; not reached: VM 100 web01, CT 200 proxy\n")
                .assert_out(
                    "----- VM 200 lxc running ----- proxy\nError: left out: the run was asked to stop\n",
                );
            continue;
        }
        let report = output.json();
        assert_eq!(report["error"], "asked to terminate");
        let guests = report["guests"].as_array().unwrap();
        let told: Vec<_> = guests
            .iter()
            .map(|guest| {
                (
                    guest["vmid"].as_u64().unwrap(),
                    guest["result"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, [(100, "not-reached"), (200, "not-reached")]);
    }
}

#[test]
fn all_hook_calls_are_shown_by_a_dry_run_with_debug() {
    let lab = Lab::new(&World::of([vm(100, "web01").set("lock", "backup")]));
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE\" >>phases\n",
    );
    for (command, status) in [("snap --keep=1", 1), ("clean --keep=1", 0)] {
        let words = format!("--vmid=100 {command} --label=daily --script=hook.sh");
        let dry = lab.run(&format!("{words} --dry-run --debug"));
        let shown: Vec<String> = dry
            .assert_status(status)
            .lines("  hook would be called: ")
            .iter()
            .filter_map(|line| line.rsplit(' ').next().map(ToOwned::to_owned))
            .collect();
        lab.run(&words).assert_status(status);
        let phases = std::fs::read_to_string(lab.folder().join("phases")).unwrap();
        assert_eq!(shown, phases.lines().collect::<Vec<_>>());
        std::fs::remove_file(lab.folder().join("phases")).unwrap();
    }
}

#[test]
fn a_powershell_hook_without_powershell_is_a_failed_hook() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    lab.file("hook.ps1", "exit 0\n");
    let mut command = lab.command();
    command
        .env("PATH", lab.folder())
        .arg(format!("--host={}", lab.host()))
        .args(["--api-token=file:token", "--vmid=100", "snap"])
        .args(["--label=daily", "--keep=1", "--script=hook.ps1"])
        .arg("--hook-failure=skip-guest");
    lab.finish(command)
        .assert_status(1)
        .assert_out("needs PowerShell: no pwsh in PATH");
    lab.assert_unchanged();
}

#[test]
fn vmstate_says_whether_the_ram_of_this_guest_is_saved() {
    let lab = Lab::new(&World::of([
        vm(100, "web01"),
        vm(101, "off").stopped(),
        ct(200, "proxy"),
    ]));
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE $CV4PVE_AUTOSNAP_VMID $CV4PVE_AUTOSNAP_VMSTATE\" >>phases\n",
    );
    lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1 --state --script=hook.sh")
        .assert_status(0);
    let phases = std::fs::read_to_string(lab.folder().join("phases")).unwrap();
    assert_eq!(
        phases.lines().collect::<Vec<_>>(),
        [
            "snap-job-start  1",
            "snap-create-pre 100 1",
            "snap-create-post 100 1",
            "snap-create-pre 101 0",
            "snap-create-post 101 0",
            "snap-create-pre 200 0",
            "snap-create-post 200 0",
            "snap-job-end  1",
        ]
    );
}

#[test]
fn the_demo_shows_the_guests_that_it_announces() {
    let lab = Lab::new(&World::of([]));
    lab.bare(["demo"])
        .assert_status(0)
        .assert_out("Error: VM 108 erp on pve2: VM is locked (backup)")
        .assert_out("not covered: 1 (CT 111 media)")
        .assert_out("before-upgrade");
}

#[test]
fn the_demo_waits_for_enter_on_a_terminal_and_ends_after_q() {
    let lab = Lab::new(&World::of([]));
    for (option, input, shown, missing) in [
        ("", "\n\nq\n", "2/5: ", "3/5: "),
        ("", "q\n", "[Enter: part 1 of 5", "1/5: "),
        ("--yes", "", "5/5: ", "[Enter: "),
    ] {
        let mut command = lab.command_of("script");
        let line = format!("'{}' demo {option}", env!("CARGO_BIN_EXE_cv4pve-autosnap"));
        command.args(["-qec", &line, "/dev/null"]);
        let mut command = assert_cmd::Command::from_std(command);
        let result = command.write_stdin(input).output().unwrap();
        let text = String::from_utf8_lossy(&result.stdout);
        assert!(result.status.success(), "{text}");
        assert!(text.contains(shown), "{text}");
        assert!(!text.contains(missing), "{text}");
    }
}

#[test]
fn a_login_without_permissions_selects_nothing_and_a_refused_one_is_another_matter() {
    let world = World::of([vm(100, "web01")]);
    let lab = Lab::with(Options::new(world.to_json(), credentials()));
    let host = format!("--host={}", lab.host());
    for (secret, status) in [
        ("nobody@pve!blind=77777777-7777-4777-8777-777777777777", 1),
        ("nobody@pve!blind=77777777-7777-4777-8777-000000000000", 3),
    ] {
        lab.file("login", secret);
        let words = ["--vmid=@all", "snap", "--label=daily", "--keep=1"];
        let own = [host.as_str(), "--api-token=file:login"];
        lab.bare(own.into_iter().chain(words)).assert_status(status);
    }
}
