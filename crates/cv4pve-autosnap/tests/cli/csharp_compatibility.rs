// SPDX-License-Identifier: GPL-3.0-only
//! The promises to people who swap the binary of the C# tool: their crontab lines, parameter files,
//! password files and snapshots keep working, and the text they grep for is there.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Lab, TOKEN};
use crate::world::{World, ct, vm};

fn two_guests() -> World {
    World::new([
        vm(100, "web01").taken("daily", &[1, 2, 3]),
        ct(200, "proxy").taken("daily", &[1]).taken("daily2", &[2]),
    ])
}

#[test]
fn a_crontab_line_of_the_c_sharp_tool_works_unchanged() {
    let lab = Lab::new(&two_guests());
    let host = format!("--host={}", lab.host());
    let output = lab.bare([
        host.as_str(),
        "--username=root@pam",
        "--password=example-root",
        "--vmid=100,200",
        "--max-parallel=1",
        "snap",
        "--label=daily",
        "--keep=2",
    ]);
    assert_snapshot!(output, @r#"
    exit status 0
    --- stdout ---
    ACTION Snap
    PVE Version:      8.4.21
    VMs:              100,200
    Label:            daily
    Keep:             2
    State:            False
    Only running:     False
    Timeout:          600 sec.
    Timestamp format: yyMMddHHmmss
    Max % Storage :   95%
                      Storage      Type     Valid   Used %    Disk Size  Disk Usage
               pve1/local-zfs   zfspool        Ok        25     1.07 TB   268.44 GB
    ----- VM 100 qemu running ----- web01
    Create snapshot: autodaily<now>
    Remove snapshot: autodaily240101000000
    Remove snapshot: autodaily240102000000
    VM execution <time>
    ----- VM 200 lxc running ----- proxy
    Create snapshot: autodaily<now>
    VM execution <time>
    2 snapshots created, 2 removed; guests: 2 done, 0 skipped; took <time>
    Total execution <time>
    "#);
    assert_snapshot!(lab.changes().join("\n"), @r#"
    create 100 autodaily<now>
    delete 100 autodaily240101000000
    delete 100 autodaily240102000000
    create 200 autodaily<now>
    "#);
}

#[test]
fn a_parameter_file_of_the_c_sharp_tool_works_unchanged() {
    let lab = Lab::new(&two_guests());
    let host = lab.host();
    lab.file(
        "autosnap.conf",
        format!(
            "# the nightly run\n  # indented\n--host {host} --api-token={TOKEN}\n\
             --vmid @all\n\"--timestamp-format=yyMMddHHmmss\"\nsnap --label:daily\n@more.conf\n"
        ),
    );
    lab.file("more.conf", "--keep 1\n# of each guest\n");
    lab.bare(["@autosnap.conf"]).assert_status(0);
    assert_eq!(
        lab.changes_of(100),
        [
            "create 100 autodaily<now>",
            "delete 100 autodaily240101000000",
            "delete 100 autodaily240102000000",
            "delete 100 autodaily240103000000",
        ]
    );
    assert_eq!(
        lab.snapshots(200),
        ["autodaily2240102000000", "autodaily<now>"]
    );
}

#[test]
fn clean_removes_the_oldest_beyond_keep_and_takes_none() {
    let lab = Lab::new(&two_guests());
    assert_snapshot!(lab.run("--vmid=@all --max-parallel=1 clean --label=daily --keep=1"), @r#"
    exit status 0
    --- stdout ---
    ACTION Clean
    PVE Version:      8.4.21
    VMs:              @all
    Label:            daily
    Keep:             1
    Timeout:          600 sec.
    Timestamp format: yyMMddHHmmss
    ----- VM 100 qemu running ----- web01
    Remove snapshot: autodaily240101000000
    Remove snapshot: autodaily240102000000
    VM execution <time>
    ----- VM 200 lxc running ----- proxy
    VM execution <time>
    0 snapshots created, 2 removed; guests: 2 done, 0 skipped; took <time>
    Total execution <time>
    "#);
    assert_eq!(
        lab.changes(),
        [
            "delete 100 autodaily240101000000",
            "delete 100 autodaily240102000000",
        ]
    );
}

#[test]
fn clean_with_keep_zero_removes_all_of_the_label() {
    let lab = Lab::new(&two_guests());
    lab.run("--vmid=@all clean --label=daily --keep=0")
        .assert_status(0);
    assert_eq!(lab.snapshots(100), [] as [&str; 0]);
    assert_eq!(lab.snapshots(200), ["autodaily2240102000000"]);
}

#[test]
fn only_snapshots_with_the_description_are_ours() {
    let world = World::new([vm(100, "web01")
        .snapshot("autodaily240101000000", 1, "made by hand")
        .snapshot("autodaily240102000000", 2, "")
        .snapshot("autodaily240103000000", 3, "cv4pve-autosnap, they say")
        .snapshot("autodaily240104000000", 4, "eve4pve-autosnap")
        .snapshot("autodaily240105000000", 5, "cv4pve-autosnap\n")
        .snapshot("before-upgrade", 6, "cv4pve-autosnap")]);
    let lab = Lab::new(&world);
    lab.run("--vmid=100 clean --label=daily --keep=0")
        .assert_status(0);
    assert_eq!(
        lab.changes(),
        [
            "delete 100 autodaily240104000000",
            "delete 100 autodaily240105000000",
        ]
    );
}

#[test]
fn the_description_is_exactly_the_one_of_the_c_sharp_tool() {
    let lab = Lab::new(&World::new([vm(100, "web01"), ct(200, "proxy")]));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0);
    lab.simulator.world(|world| {
        for guest in world.guests.values() {
            let described: Vec<_> = guest
                .snapshots
                .values()
                .map(|one| &one.description)
                .collect();
            let description = described[0].as_deref().unwrap().trim_end_matches('\n');
            assert_eq!((described.len(), description), (1, "cv4pve-autosnap"));
        }
    });
}

#[test]
fn removals_are_sent_without_force_unless_asked() {
    let lab = Lab::new(&two_guests());
    lab.run("--vmid=100 clean --label=daily --keep=2");
    lab.run("--vmid=100 clean --label=daily --keep=1 --force-remove");
    assert_snapshot!(lab.writes().join("\n"), @r#"
    DELETE /api2/json/nodes/pve1/qemu/100/snapshot/autodaily240101000000
    DELETE /api2/json/nodes/pve1/qemu/100/snapshot/autodaily240102000000?force=1
    "#);
}

#[test]
fn a_failed_creation_removes_nothing_and_stops_no_other_guest() {
    let lab = Lab::with_faults(
        &two_guests(),
        r#"{"tasks": [{"kind": "qmsnapshot", "effect": {"fail": "no space left on device"}}]}"#,
    );
    assert_snapshot!(lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1").report(), @r#"
    exit status 1
    --- stdout ---
    ----- VM 100 qemu running ----- web01
    Create snapshot: autodaily<now>
    Error in task: no space left on device
      hint: see the task's log in PVE: <upid>
    ----- VM 200 lxc running ----- proxy
    Create snapshot: autodaily<now>
    Remove snapshot: autodaily240101000000
    VM execution <time>
    1 snapshot created, 1 removed; guests: 1 done, 0 skipped, 1 with errors; took <time>
    FAILED VM 100 web01 on pve1: no space left on device
      hint: see the task's log in PVE: <upid>
    Total execution <time>
    "#);
    assert_eq!(
        lab.changes(),
        [
            "create 200 autodaily<now>",
            "delete 200 autodaily240101000000",
        ]
    );
}

#[test]
fn after_a_failed_removal_the_others_wait_for_the_next_run() {
    let lab = Lab::with_faults(
        &two_guests(),
        r#"{"tasks": [{"kind": "qmdelsnapshot", "when": {"nth": 2}, "effect": {"fail": "dataset is gone"}}]}"#,
    );
    assert_snapshot!(lab.run("--vmid=100 snap --label=daily --keep=1").report(), @r#"
    exit status 1
    --- stdout ---
    ----- VM 100 qemu running ----- web01
    Create snapshot: autodaily<now>
    Remove snapshot: autodaily240101000000
    Remove snapshot: autodaily240102000000
    Error in task: dataset is gone
      hint: see the task's log in PVE: <upid>
    Left to the next run: 1 removal, an earlier one failed
    1 snapshot created, 1 removed; guests: 0 done, 0 skipped, 1 with errors; took <time>
    1 removal is left to the next run
    FAILED VM 100 web01 on pve1: dataset is gone
      hint: see the task's log in PVE: <upid>
    Total execution <time>
    "#);
    assert_eq!(
        lab.changes(),
        [
            "create 100 autodaily<now>",
            "delete 100 autodaily240101000000",
        ]
    );
    lab.run("--vmid=100 clean --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(lab.snapshots(100), ["autodaily<now>"]);
}

#[test]
fn warnings_are_a_success_with_a_note() {
    let lab = Lab::with_faults(
        &two_guests(),
        r#"{"tasks": [{"kind": "qmsnapshot", "effect": {"warn": 2}}, {"kind": "qmdelsnapshot", "effect": {"warn": 1}}]}"#,
    );
    assert_snapshot!(lab.run("--vmid=100 snap --label=daily --keep=3").report(), @r#"
    exit status 0
    --- stdout ---
    ----- VM 100 qemu running ----- web01
    Create snapshot: autodaily<now>
      with warnings: 2
    Remove snapshot: autodaily240101000000
      with warnings: 1
    VM execution <time>
    1 snapshot created, 1 removed; guests: 1 done, 0 skipped; took <time>
    Total execution <time>
    "#);
}

#[test]
fn a_locked_guest_fails_with_the_text_of_pve() {
    let world = World::new([
        vm(100, "web01").set("lock", "backup"),
        ct(200, "proxy").set("lock", "backup"),
    ]);
    let lab = Lab::new(&world);
    assert_snapshot!(lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1").report(), @r#"
    exit status 1
    --- stdout ---
    ----- VM 100 qemu running ----- web01
    Error in task: VM is locked (backup)
      hint: retry when the lock is released, or let the run wait with --wait-locked
    ----- VM 200 lxc running ----- proxy
    Error in task: CT is locked (backup)
      hint: retry when the lock is released, or let the run wait with --wait-locked
    0 snapshots created, 0 removed; guests: 0 done, 0 skipped, 2 with errors; took <time>
    FAILED VM 100 web01 on pve1: VM is locked (backup)
      hint: retry when the lock is released, or let the run wait with --wait-locked
    FAILED CT 200 proxy on pve1: CT is locked (backup)
    Total execution <time>
    "#);
    assert_snapshot!(
        lab.run("--vmid=@all snap --label=daily --keep=1 --dry-run --wait-locked=1s").lines("Would").join("\n"),
        @r#"
    Would wait: VM is locked (backup)
    Would wait: CT is locked (backup)
    "#
    );
    lab.assert_unchanged();
}

#[test]
fn incomplete_snapshots_are_reported_and_neither_counted_nor_removed() {
    let half = json!({"name": "autodaily240102000000", "snaptime": 2, "description": "cv4pve-autosnap", "snapstate": "delete"});
    let world = World::new([vm(100, "web01")
        .taken("daily", &[1])
        .snapshot_with(half)
        .taken("daily", &[3])]);
    let lab = Lab::new(&world);
    let output = lab.run("--vmid=100 clean --label=daily --keep=1");
    output.assert_status(0).assert_out(
        "Snapshot autodaily240102000000 is not complete (snapstate delete): neither counted nor removed",
    );
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn retention_goes_by_time_and_then_by_name() {
    let world = World::new([vm(100, "web01")
        // The repeated hour: the later snapshot has the smaller name.
        .snapshot("autodaily241027025900", 1_729_990_740, "cv4pve-autosnap")
        .snapshot("autodaily241027020500", 1_729_991_100, "cv4pve-autosnap")
        .snapshot("autodaily241027030000", 1_729_991_100, "cv4pve-autosnap")]);
    let lab = Lab::new(&world);
    lab.run("--vmid=100 clean --label=daily --keep=0");
    assert_eq!(
        lab.changes(),
        [
            "delete 100 autodaily241027025900",
            "delete 100 autodaily241027020500",
            "delete 100 autodaily241027030000",
        ]
    );
}

#[test]
fn state_saves_the_ram_of_vms() {
    for (option, expected) in [("", false), ("--state", true), ("--state false", false)] {
        let lab = Lab::new(&World::new([vm(100, "web01"), ct(200, "proxy")]));
        lab.run(&format!("--vmid=@all snap --label=ram --keep=1 {option}"))
            .assert_status(0);
        let with_ram = lab.simulator.world(|world| {
            let guest = &world.guests[&100];
            guest.snapshots.values().any(|one| one.vmstate.is_some())
        });
        assert_eq!(with_ram, expected, "{option}");
        assert_eq!(lab.snapshots(200), ["autoram<now>"]);
    }
}

#[test]
fn skipped_guests_do_not_fail_a_run() {
    let world = World::new([
        vm(100, "web01").stopped(),
        vm(101, "template").stopped().set("template", 1),
        ct(200, "files").set("mp0", "/srv/files,mp=/mnt"),
        vm(102, "raw").set("scsi1", "/dev/sdb,size=8G"),
        vm(103, "web02"),
    ]);
    let lab = Lab::new(&world);
    assert_snapshot!(
        lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1 --only-running").report(), @r#"
    exit status 0
    --- stdout ---
    ----- VM 100 qemu stopped ----- web01
    Skip VM '--only-running' parameter used!
    ----- VM 101 qemu stopped ----- template
    Skip VM is template
    ----- VM 102 qemu running ----- raw
    Skip VM Proxmox VE cannot snapshot it, bind mount or device: scsi1
    ----- VM 103 qemu running ----- web02
    Create snapshot: autodaily<now>
    VM execution <time>
    ----- VM 200 lxc running ----- files
    Skip CT Proxmox VE cannot snapshot it, bind mount or device: mp0
    1 snapshot created, 0 removed; guests: 1 done, 4 skipped; took <time>
    not covered: 2 (VM 102 raw, CT 200 files)
    Total execution <time>
    "#
    );
    assert_eq!(lab.changes(), ["create 103 autodaily<now>"]);
}

#[test]
fn guests_of_an_offline_node_are_skipped_and_fail_the_run() {
    let world = World::new([
        vm(100, "web01"),
        vm(101, "far").on("pve3").with("status", "unknown"),
    ])
    .offline_node("pve3");
    let lab = Lab::new(&world);
    assert_snapshot!(lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1").report(), @r#"
    exit status 1
    --- stdout ---
    ----- VM 100 qemu running ----- web01
    Create snapshot: autodaily<now>
    VM execution <time>
    ----- VM 101 qemu unknown -----
    Skip VM status unknown
    Error: node pve3 is offline or not reachable
    1 snapshot created, 0 removed; guests: 1 done, 0 skipped, 1 with errors; took <time>
    FAILED node pve3 is offline or not reachable: VM 101
    Total execution <time>
    "#);
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

#[test]
fn a_guest_that_cannot_be_read_does_not_end_the_run() {
    let lab = Lab::with_faults(
        &two_guests(),
        r#"{"requests": [{"path": "/nodes/*/qemu/100/config", "effect": {"answer": {"status": 500, "reason": "broken"}}}]}"#,
    );
    let output = lab.run("--vmid=@all snap --label=daily --keep=1");
    output.assert_status(1).assert_out("broken");
    assert_eq!(lab.changes_of(100), [] as [&str; 0]);
    assert_eq!(lab.changes_of(200).len(), 2);
}

#[test]
fn no_selected_guest_is_a_failure_with_the_likely_causes() {
    let lab = Lab::new(&two_guests());
    let output = lab.run("--vmid=@pool-nowhere snap --label=daily --keep=1");
    output.assert_out(
        "WARNING: `@pool-nowhere` matches no guest: there is no such pool, or this login may not see it (Pool.Audit)",
    );
    assert_snapshot!(output.report(), @r#"
    exit status 1
    --- stdout ---
    ----- VMs with '@pool-nowhere' NOT FOUND -----
    ----- POSSIBLE PROBLEM PERMISSION 'Pool.Audit' -----
    0 snapshots created, 0 removed; guests: 0 done, 0 skipped; took <time>
    Error: no guest is selected
    Error: `@pool-nowhere` matches no guest: there is no such pool, or this login may not see it (Pool.Audit)
    Total execution <time>
    "#);
    lab.assert_unchanged();
}

#[test]
fn the_ticket_of_a_user_is_renewed_in_a_long_run() {
    let lab = Lab::with_faults(
        &two_guests(),
        r#"{"requests": [{"method": "POST", "path": "/nodes/**", "times": 1, "effect": "expire_tickets"}]}"#,
    );
    let host = format!("--host={}", lab.host());
    let output = lab.bare([
        host.as_str(),
        "--username=backup@pve",
        "--password=example-backup",
        "--vmid=100",
        "snap",
        "--label=daily",
        "--keep=1",
    ]);
    output.assert_status(0);
    assert_eq!(lab.changes().len(), 4);
}
