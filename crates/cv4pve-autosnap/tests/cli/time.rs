// SPDX-License-Identifier: GPL-3.0-only
//! Time jumps: clocks that are set during a run, the end of summer time, snapshots and nodes whose
//! clock is ahead, and tickets that expire.

use std::process::{Command, Stdio};

use pve_sim::journal::Action;
use pve_sim::simulator::Options;
use serde_json::json;

use crate::clock::Clock;
use crate::harness::{Lab, Output};
use crate::paused_run::{PausingHook, Run};
use crate::suspend::suspend;
use crate::world::{World, credentials, day, vm};

const SNAP: &str = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1";
/// Options are read from the last one, so these replace the token and the hook timeout of the
/// harness.
const WITH_PASSWORD: &str = "--username=backup@pve --password=example-backup --hook-timeout=86400";
const SNAP_SLOW_GUEST: &str = "--vmid=100 --timeout=600 snap --label=daily --keep=1";
const DAY: i64 = 86_400;

/// The statuses of the login replies so far.
fn logins(lab: &Lab) -> Vec<u16> {
    let requests = lab.simulator.journal().requests();
    let logins = requests
        .iter()
        .filter(|request| request.method == "POST" && request.path.ends_with("/access/ticket"));
    logins.filter_map(|request| request.status).collect()
}

/// How many requests were refused with 401.
fn refused(lab: &Lab) -> usize {
    let requests = lab.simulator.journal().requests();
    let refused = requests.iter().filter(|one| one.status == Some(401));
    refused.count()
}

fn two_guests() -> World {
    World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02").taken("daily", &[1]),
    ])
}

/// One guest, whose snapshot takes an hour.
fn slow_guest() -> World {
    let slow = json!({"create": 3600});
    World::new([vm(100, "web01").with("task_seconds", slow)])
}

/// A command that reads the time from the test clock.
fn command_with(clock: &Clock, lab: &Lab) -> Command {
    let mut command = lab.command();
    clock.apply_to(&mut command);
    command.stdout(Stdio::piped());
    command
}

/// Starts a run with a password login that reads the time from the test clock.
fn start<'a>(hook: &PausingHook, lab: &'a Lab, clock: &Clock, args: &str) -> Run<'a> {
    hook.start_as(lab, WITH_PASSWORD, args, command_with(clock, lab))
}

/// Stops the program for 50 minutes, in which the task goes on for so many seconds.
fn stop_for_50_minutes(run: &Run<'_>, lab: &Lab, clock: &Clock, task_goes_on: f64) {
    suspend(run);
    lab.simulator.advance(task_goes_on);
    clock.ahead(3000, 3000);
    run.signal("CONT");
}

#[test]
fn a_clock_that_is_set_during_a_run_is_harmless() {
    for jump in [3 * DAY, -3 * DAY] {
        let mut options = Options::new(two_guests().to_json(), credentials());
        options.timing.task_seconds = 0.3;
        let lab = Lab::with(options);
        let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
        let mut run = start(&hook, &lab, &clock, SNAP);
        run.go_to("snap-create-pre 100");
        clock.ahead(jump, 0);
        run.resume();
        run.go_to("snap-remove-pre 100");
        clock.ahead(-jump, 0);
        let output = run.finish();
        output
            .assert_status(0)
            .assert_out("\n2 snapshots created, 3 removed;");
        assert_eq!(lab.changes().len(), 5, "{jump}");
        assert_eq!(lab.writes().len(), 5, "{jump}");
        assert_eq!(logins(&lab), [200], "{jump}");
        let requests = lab.simulator.journal().requests();
        let polls = requests.iter().filter(|one| one.path.contains("/tasks/"));
        assert!(polls.count() < 60, "{jump}");
    }
}

/// After a lost reply, the task is searched by its start time.
#[test]
fn the_task_of_a_lost_reply_is_found_after_the_clock_was_set_back() {
    let lab = Lab::new(&slow_guest());
    let faults = r#"{"requests": [
        {"method": "POST", "times": 1, "effect": "drop_after"},
        {"method": "GET", "path": "/nodes/*/qemu/*/snapshot", "when": {"nth": 2}, "effect": "hold"}]}"#;
    lab.set_faults(faults);
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let args = "--vmid=100 --timeout=20 snap --label=daily --keep=1";
    let mut run = hook.start_with(&lab, args, command_with(&clock, &lab));
    run.go_to("snap-create-pre 100");
    run.resume();
    // The check for the effect has been sent, and is answered after the jump.
    lab.until_fault_applied(1);
    clock.ahead(-3600, 0);
    lab.simulator.release();
    let followed = |one: &pve_sim::journal::Request| one.path.ends_with("/status");
    lab.until_requested("the task is found", |one| {
        assert!(run.is_running(), "the task was not found");
        followed(one)
    });
    lab.simulator.advance(3600.0);
    run.finish()
        .assert_status(0)
        .assert_out("the answer was lost; PVE shows that it was done");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// After an hour on the monotonic clock the ticket is renewed with itself, before it expires.
#[test]
fn a_ticket_is_renewed_before_it_expires() {
    let lab = Lab::new(&two_guests());
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut run = start(&hook, &lab, &clock, SNAP);
    run.go_to("snap-create-pre 101");
    clock.ahead(3700, 3700);
    lab.simulator.advance(3700.0);
    run.finish().assert_status(0);
    assert_eq!(logins(&lab), [200, 200]);
    assert_eq!(refused(&lab), 0);
    assert_eq!(lab.writes().len(), 5);
}

/// On a suspended machine the monotonic clock is stopped, so the program does not know that its
/// ticket has expired.
#[test]
fn a_ticket_that_expired_while_the_machine_was_suspended_is_replaced() {
    let lab = Lab::new(&two_guests());
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut run = start(&hook, &lab, &clock, SNAP);
    run.go_to("snap-create-pre 101");
    clock.ahead(3 * 3600, 0);
    lab.simulator.advance(3.0 * 3600.0);
    run.finish().assert_status(0);
    assert_eq!(logins(&lab), [200, 200]);
    assert_eq!(refused(&lab), 1);
    assert_eq!(lab.changes().len(), 5);
}

/// A process that was stopped for longer than its timeout, on a running machine, polls the task
/// once more before it gives up.
#[test]
fn a_task_is_polled_once_more_after_the_program_was_stopped_beyond_the_timeout() {
    for (task_goes_on, status) in [(3600.0, 0), (60.0, 1)] {
        let lab = Lab::new(&slow_guest());
        let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
        let mut run = start(&hook, &lab, &clock, SNAP_SLOW_GUEST);
        run.go_to("snap-create-pre 100");
        run.resume();
        let is_poll = |one: &pve_sim::journal::Request| one.path.ends_with("/status");
        lab.until_requested("the task is polled", is_poll);
        stop_for_50_minutes(&run, &lab, &clock, task_goes_on);
        let output = run.finish();
        output.assert_status(status);
        if status == 1 {
            output.assert_out("<upid>");
        }
        assert_eq!(lab.writes().len(), 1, "nothing is sent twice");
    }
}

/// The same for a poll that was in flight when the process was stopped, and that timed out as well.
#[test]
fn a_poll_that_timed_out_while_the_program_was_stopped_is_repeated() {
    let lab = Lab::new(&slow_guest());
    let stall = r#"{"requests": [{"method": "GET", "path": "/nodes/*/tasks/**", "times": 1, "effect": {"stall": 900}}]}"#;
    lab.set_faults(stall);
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut run = start(&hook, &lab, &clock, SNAP_SLOW_GUEST);
    run.go_to("snap-create-pre 100");
    run.resume();
    lab.until_fault_applied(0);
    stop_for_50_minutes(&run, &lab, &clock, 3600.0);
    run.finish().assert_status(0);
    assert_eq!(lab.writes().len(), 1, "nothing is sent twice");
}

#[test]
fn a_token_that_is_refused_during_the_run_ends_it() {
    let lab = Lab::new(&two_guests());
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, SNAP);
    run.go_to("snap-create-pre 100");
    lab.simulator.world(|world| {
        let user = world.access.users.get_mut("backup@pve").unwrap();
        user.tokens.clear();
    });
    run.resume();
    assert_eq!(
        run.resume_to_the_end(),
        ["snap-create-abort 100", "snap-job-end"]
    );
    run.ended()
        .assert_status(3)
        .assert_out("login failed for 'backup@pve!auto' on 127.0.0.1:<port>: the API token is unknown, expired")
        .assert_out("Error: the server is lost; not reached: VM 101 web02\n");
    assert_eq!(lab.changes(), [] as [&str; 0]);
    assert_eq!(lab.writes().len(), 1);
}

/// 2026-10-25 01:30:20 UTC: the second 02:30:20 of this day in Berlin.
const SECOND_TIME: i64 = 1_792_891_820;

/// Runs the program in Berlin at the second 02:30. The zone is given as a POSIX rule, so that no
/// time zone database is needed.
fn in_the_repeated_hour(lab: &Lab, args: &str) -> Output {
    let clock = Clock::new(lab);
    clock.set(SECOND_TIME);
    let mut command = lab.command();
    clock.apply_to(&mut command);
    command
        .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        .arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(args.split_whitespace());
    lab.finish(command)
}

fn lab_in_the_repeated_hour(guest: crate::world::Guest) -> Lab {
    #[expect(clippy::cast_precision_loss, reason = "dates fit into the 53 bits")]
    let start = Some(SECOND_TIME as f64);
    Lab::with(Options {
        start,
        ..Options::new(World::new([guest]).to_json(), credentials())
    })
}

#[test]
fn a_name_from_the_first_hour_is_an_error_before_any_change() {
    let first = "autodaily2610250230";
    let guest = vm(100, "web01").snapshot(first, SECOND_TIME - 3600, "cv4pve-autosnap");
    let lab = lab_in_the_repeated_hour(guest);
    let args = "--vmid=100 snap --label=daily --keep=1 --timestamp-format=yyMMddHHmm";
    in_the_repeated_hour(&lab, args)
        .assert_status(1)
        .assert_out("already");
    lab.assert_unchanged();
}

#[test]
fn retention_in_the_repeated_hour_uses_the_snapshot_time() {
    let guest = vm(100, "web01")
        // 02:45 in summer time, then 02:15 in winter time: the names are not in the order of time.
        .snapshot(
            "autodaily261025024500",
            SECOND_TIME - 2_720,
            "cv4pve-autosnap",
        )
        .snapshot(
            "autodaily261025021500",
            SECOND_TIME - 920,
            "cv4pve-autosnap",
        );
    let lab = lab_in_the_repeated_hour(guest);
    in_the_repeated_hour(&lab, "--vmid=100 snap --label=daily --keep=2").assert_status(0);
    let names: Vec<String> = lab
        .simulator
        .world(|world| world.guests[&100].snapshots.keys().cloned().collect());
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], "autodaily261025021500");
    assert!(names[1].starts_with("autodaily2610250230"), "{names:?}");
}

/// Snapshots dated in the future do not count for `--keep`; only `clean --keep=0` removes them.
#[test]
fn future_snapshots_are_kept_and_not_counted() {
    let ahead = day(36_500);
    let guest = vm(100, "web01")
        .taken("daily", &[1, 2])
        .snapshot("autodaily991130000000", ahead, "cv4pve-autosnap")
        .snapshot("autodaily991201000000", ahead + DAY, "cv4pve-autosnap");
    let lab = Lab::new(&World::new([guest]));
    let output = lab.run("--vmid=100 snap --label=daily --keep=2");
    output.assert_status(0).assert_out(
        "Snapshot autodaily<now> is dated in the future (2123-12-07T00:00:00Z): it is kept",
    );
    let expected = [
        "create 100 autodaily<now>",
        "delete 100 autodaily240101000000",
    ];
    assert_eq!(lab.changes(), expected);
    let planned = lab.run("--vmid=100 --dry-run clean --label=daily --keep=1");
    planned.assert_out("(not counted: dated in the future)");
    lab.run("--vmid=100 clean --label=daily --keep=0")
        .assert_status(0);
    assert_eq!(lab.snapshots(100), [] as [&str; 0]);
}

/// A node whose clock was 1970 for a night dates a snapshot in 1970: it is not removed first.
#[test]
fn a_snapshot_dated_far_from_the_time_in_its_name_is_kept_and_not_counted() {
    let guest = vm(100, "web01").taken("daily", &[1, 2, 3]).snapshot(
        "autodaily240104000000",
        1234,
        "cv4pve-autosnap",
    );
    let lab = Lab::new(&World::new([guest]));
    let args = "--vmid=100 snap --label=daily --keep=3";
    for dry_run in ["--dry-run ", ""] {
        lab.run(&format!("{dry_run}{args}")).assert_status(0).assert_out(
            "Snapshot autodaily240104000000 is dated 1970-01-01T00:20:34Z by Proxmox VE, far from the time in its name",
        );
    }
    let expected = [
        "create 100 autodaily<now>",
        "delete 100 autodaily240101000000",
    ];
    assert_eq!(lab.changes(), expected);
}

/// A node with a wrong clock dates its snapshots by it. The new snapshot is always kept, and a
/// snapshot dated in the future stays until that time or until it is removed by hand.
#[test]
fn new_snapshots_on_nodes_with_wrong_clocks_are_kept() {
    let mut world = World::new([vm(100, "near"), vm(101, "far").on("pve2")]).to_json();
    world["cluster"]["nodes"][1]["clock_offset"] = json!(DAY);
    let lab = Lab::with(Options::new(world, credentials()));
    // In the second round the new snapshot is dated two days before the one it replaces.
    for (offset, left_over) in [(86_400.0, 0), (-86_400.0, 1), (0.0, 1)] {
        lab.simulator
            .world(|world| world.nodes.get_mut("pve2").unwrap().clock_offset = offset);
        let args = "--vmid=@all snap --label=daily --keep=1 --timestamp-format=yyyyMMddHHmmssfff";
        lab.run(args).assert_status(0);
        let mutations = lab.simulator.journal().mutations();
        let created = mutations
            .iter()
            .rfind(|one| one.vmid == 101 && one.action == Action::Create);
        let created = created.and_then(|one| one.snapshot.clone()).unwrap();
        let left: Vec<String> = lab
            .simulator
            .world(|world| world.guests[&101].snapshots.keys().cloned().collect());
        assert_eq!(left.last(), Some(&created), "{offset}");
        assert_eq!(left.len(), 1 + left_over, "{offset}");
    }
}

/// A node checks the ticket of forwarded requests by its own clock.
#[test]
fn a_node_with_a_wrong_clock_fails_only_its_own_guests() {
    let mut world = World::new([vm(100, "near"), vm(101, "far").on("pve2")]).to_json();
    world["cluster"]["nodes"][1]["clock_offset"] = json!(-3600);
    let lab = Lab::with(Options::new(world, credentials()));
    let host = format!("--host={}", lab.host());
    let arguments = WITH_PASSWORD.split(' ').chain(SNAP.split(' '));
    let output = lab.bare([host.as_str()].into_iter().chain(arguments));
    output
        .assert_status(1)
        .assert_out("----- VM 101")
        .assert_out("clock");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}
