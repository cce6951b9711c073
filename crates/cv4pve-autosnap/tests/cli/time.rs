// SPDX-License-Identifier: GPL-3.0-only
//! Time that does not simply pass: clocks that are set during a run, summer time that ends,
//! snapshots and nodes that are ahead, tickets that grow old.

use pve_sim::faults::FaultPlan;
use pve_sim::journal::Action;
use pve_sim::simulator::Options;
use serde_json::json;

use crate::clock::Clock;
use crate::harness::{Lab, Output};
use crate::paused_run::{PausingHook, Run};
use crate::suspend::suspend;
use crate::world::{World, credentials, day, vm};

const SNAP: &str = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1";
/// The last options count: those of a user with a password, and a hook that may take its time.
const WITH_PASSWORD: &str = "--username=backup@pve --password=example-backup --hook-timeout=86400";
const DAY: i64 = 86_400;

/// The answers to the logins so far.
fn logins(lab: &Lab) -> Vec<u16> {
    let requests = lab.simulator.journal().requests();
    let logins = requests
        .iter()
        .filter(|request| request.method == "POST" && request.path.ends_with("/access/ticket"));
    logins.filter_map(|request| request.status).collect()
}

/// How many requests were refused for want of a sign-on.
fn refused(lab: &Lab) -> usize {
    let requests = lab.simulator.journal().requests();
    let refused = requests.iter().filter(|one| one.status == Some(401));
    refused.count()
}

fn two_guests() -> World {
    World::of([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02").taken("daily", &[1]),
    ])
}

/// Starts a run of a user with a password that takes its time from the clock.
fn start<'a>(hook: &PausingHook, lab: &'a Lab, clock: &Clock) -> Run<'a> {
    let mut command = lab.command();
    clock.give_to(&mut command);
    command.stdout(std::process::Stdio::piped());
    hook.start_as(lab, WITH_PASSWORD, SNAP, command)
}

#[test]
fn a_clock_that_is_set_during_a_run_disturbs_nothing() {
    for jump in [3 * DAY, -3 * DAY] {
        let mut options = Options::new(two_guests().to_json(), credentials());
        options.timing.task_seconds = 0.3;
        let lab = Lab::with(options);
        let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
        let mut run = start(&hook, &lab, &clock);
        run.go_to("snap-create-pre 100");
        clock.ahead(jump, 0);
        run.go_on();
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
        let looks = requests.iter().filter(|one| one.path.contains("/tasks/"));
        assert!(looks.count() < 60, "{jump}");
    }
}

/// A task is searched for by its date when the answer is lost.
#[test]
fn a_clock_that_is_set_back_does_not_hide_the_task_of_a_lost_answer() {
    let slow = json!({"create": 3600});
    let lab = Lab::new(&World::of([vm(100, "web01").with("task_seconds", slow)]));
    let faults = r#"{"requests": [
        {"method": "POST", "times": 1, "effect": "drop_after"},
        {"method": "GET", "path": "/nodes/*/qemu/*/snapshot", "when": {"nth": 2}, "effect": "hold"}]}"#;
    lab.simulator.set_faults(FaultPlan::parse(faults).unwrap());
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut command = lab.command();
    clock.give_to(&mut command);
    command.stdout(std::process::Stdio::piped());
    let words = "--vmid=100 --timeout=20 snap --label=daily --keep=1";
    let mut run = hook.start_with(&lab, words, command);
    run.go_to("snap-create-pre 100");
    run.go_on();
    // The look for the effect is under way: it was sent before, and is answered after the jump.
    lab.until_met(1);
    clock.ahead(-3600, 0);
    lab.simulator.release();
    let followed = |one: &pve_sim::journal::Request| one.path.ends_with("/status");
    lab.until_asked("the task is found", |one| {
        assert!(run.goes_on(), "the task was not found");
        followed(one)
    });
    lab.simulator.advance(3600.0);
    run.finish()
        .assert_status(0)
        .assert_out("the answer was lost; PVE shows that it was done");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// An hour by the monotonic clock: the ticket is renewed with itself, before anybody refuses it.
#[test]
fn a_ticket_is_renewed_before_it_ends() {
    let lab = Lab::new(&two_guests());
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut run = start(&hook, &lab, &clock);
    run.go_to("snap-create-pre 101");
    clock.ahead(3700, 3700);
    lab.simulator.advance(3700.0);
    run.finish().assert_status(0);
    assert_eq!(logins(&lab), [200, 200]);
    assert_eq!(refused(&lab), 0);
    assert_eq!(lab.writes().len(), 5);
}

/// A machine that slept does not see that its ticket is too old: its monotonic clock stood still.
#[test]
fn a_ticket_that_ended_while_the_machine_slept_is_replaced() {
    let lab = Lab::new(&two_guests());
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut run = start(&hook, &lab, &clock);
    run.go_to("snap-create-pre 101");
    clock.ahead(3 * 3600, 0);
    lab.simulator.advance(3.0 * 3600.0);
    run.finish().assert_status(0);
    assert_eq!(logins(&lab), [200, 200]);
    assert_eq!(refused(&lab), 1);
    assert_eq!(lab.changes().len(), 5);
}

/// A process that stood still, on a machine that was awake, for longer than it would have waited:
/// it looks once more before it gives up.
#[test]
fn a_time_out_that_passed_while_the_program_stood_still_is_followed_by_a_last_look() {
    for (task_goes_on, status) in [(3600.0, 0), (60.0, 1)] {
        let slow = json!({"create": 3600});
        let lab = Lab::new(&World::of([vm(100, "web01").with("task_seconds", slow)]));
        let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
        let mut command = lab.command();
        clock.give_to(&mut command);
        command.stdout(std::process::Stdio::piped());
        let words = "--vmid=100 --timeout=600 snap --label=daily --keep=1";
        let mut run = hook.start_as(&lab, WITH_PASSWORD, words, command);
        run.go_to("snap-create-pre 100");
        run.go_on();
        let looks = |one: &pve_sim::journal::Request| one.path.ends_with("/status");
        lab.until_asked("the task is looked at", looks);
        suspend(&run);
        lab.simulator.advance(task_goes_on);
        clock.ahead(3000, 3000);
        run.signal("CONT");
        let output = run.finish();
        output.assert_status(status);
        if status == 1 {
            output.assert_out("<upid>");
        }
        assert_eq!(lab.writes().len(), 1, "nothing is sent twice");
    }
}

/// The same in the middle of a look, whose own time is over as well.
#[test]
fn a_look_that_was_cut_off_while_the_program_stood_still_is_not_the_last() {
    let slow = json!({"create": 3600});
    let lab = Lab::new(&World::of([vm(100, "web01").with("task_seconds", slow)]));
    let stall = r#"{"requests": [{"method": "GET", "path": "/nodes/*/tasks/**", "times": 1, "effect": {"stall": 900}}]}"#;
    lab.simulator.set_faults(FaultPlan::parse(stall).unwrap());
    let (hook, clock) = (PausingHook::new(&lab), Clock::new(&lab));
    let mut command = lab.command();
    clock.give_to(&mut command);
    command.stdout(std::process::Stdio::piped());
    let words = "--vmid=100 --timeout=600 snap --label=daily --keep=1";
    let mut run = hook.start_as(&lab, WITH_PASSWORD, words, command);
    run.go_to("snap-create-pre 100");
    run.go_on();
    lab.until_met(0);
    suspend(&run);
    lab.simulator.advance(3600.0);
    clock.ahead(3000, 3000);
    run.signal("CONT");
    run.finish().assert_status(0);
    assert_eq!(lab.writes().len(), 1, "nothing is sent twice");
}

#[test]
fn a_token_that_is_refused_in_the_middle_ends_the_run() {
    let lab = Lab::new(&two_guests());
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, SNAP);
    run.go_to("snap-create-pre 100");
    lab.simulator.world(|world| {
        let user = world.access.users.get_mut("backup@pve").unwrap();
        user.tokens.clear();
    });
    run.go_on();
    assert_eq!(
        run.go_on_to_the_end(),
        ["snap-create-abort 100", "snap-job-end"]
    );
    run.ended()
        .assert_status(3)
        .assert_out("login failed for 'backup@pve!auto' on 127.0.0.1:<port>: the API token is unknown, expired")
        .assert_out("Error: the server is lost; not reached: VM 101 web02\n");
    assert_eq!(lab.changes(), [] as [&str; 0]);
    assert_eq!(lab.writes().len(), 1);
}

/// 2026-10-25 01:30:20 UTC: 02:30:20 for the second time in Berlin.
const SECOND_TIME: i64 = 1_792_891_820;

/// Calls the program in Berlin when it is 02:30 for the second time. The rule of the zone is given
/// as such, so that no data base of zones is needed.
fn in_the_repeated_hour(lab: &Lab, words: &str) -> Output {
    let clock = Clock::new(lab);
    clock.set(SECOND_TIME);
    let mut command = lab.command();
    clock.give_to(&mut command);
    command
        .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        .arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(words.split_whitespace());
    lab.finish(command)
}

fn lab_in_the_repeated_hour(guest: crate::world::Guest) -> Lab {
    #[expect(clippy::cast_precision_loss, reason = "dates fit into the 53 bits")]
    let start = Some(SECOND_TIME as f64);
    Lab::with(Options {
        start,
        ..Options::new(World::of([guest]).to_json(), credentials())
    })
}

#[test]
fn a_name_of_the_first_time_is_noticed_before_anything_is_done() {
    let first = "autodaily2610250230";
    let guest = vm(100, "web01").snapshot(first, SECOND_TIME - 3600, "cv4pve-autosnap");
    let lab = lab_in_the_repeated_hour(guest);
    let words = "--vmid=100 snap --label=daily --keep=1 --timestamp-format=yyMMddHHmm";
    in_the_repeated_hour(&lab, words)
        .assert_status(1)
        .assert_out("already");
    lab.assert_unchanged();
}

#[test]
fn retention_over_the_repeated_hour_goes_by_the_snapshots_time() {
    let guest = vm(100, "web01")
        // 02:45 in summer time, then 02:15 in winter time: the order of the names is the wrong one.
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

/// Dates of the future hold no places; only `clean --keep=0` removes such snapshots.
#[test]
fn snapshots_of_the_future_stay_and_take_no_place() {
    let ahead = day(36_500);
    let guest = vm(100, "web01")
        .taken("daily", &[1, 2])
        .snapshot("autodaily991130000000", ahead, "cv4pve-autosnap")
        .snapshot("autodaily991201000000", ahead + DAY, "cv4pve-autosnap");
    let lab = Lab::new(&World::of([guest]));
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

/// A node whose clock said 1970 for a night does not make yesterday's snapshot the first to go.
#[test]
fn a_snapshot_dated_far_from_the_time_in_its_name_stays_and_takes_no_place() {
    let guest = vm(100, "web01").taken("daily", &[1, 2, 3]).snapshot(
        "autodaily240104000000",
        1234,
        "cv4pve-autosnap",
    );
    let lab = Lab::new(&World::of([guest]));
    let words = "--vmid=100 snap --label=daily --keep=3";
    for dry_run in ["--dry-run ", ""] {
        lab.run(&format!("{dry_run}{words}")).assert_status(0).assert_out(
            "Snapshot autodaily240104000000 is dated 1970-01-01T00:20:34Z by Proxmox VE, far from the time in its name",
        );
    }
    let expected = [
        "create 100 autodaily<now>",
        "delete 100 autodaily240101000000",
    ];
    assert_eq!(lab.changes(), expected);
}

/// A node whose clock differs dates what is made on it accordingly. Its new snapshot is always kept, and
/// what it dated wrongly stays until its time has come or somebody removes it.
#[test]
fn nodes_whose_clocks_differ_keep_the_new_snapshots() {
    let mut world = World::of([vm(100, "near"), vm(101, "far").on("pve2")]).to_json();
    world["cluster"]["nodes"][1]["clock_offset"] = json!(DAY);
    let lab = Lab::with(Options::new(world, credentials()));
    // The second time the new snapshot is dated two days before the one it replaces.
    for (offset, left_over) in [(86_400.0, 0), (-86_400.0, 1), (0.0, 1)] {
        lab.simulator
            .world(|world| world.nodes.get_mut("pve2").unwrap().clock_offset = offset);
        let words = "--vmid=@all snap --label=daily --keep=1 --timestamp-format=yyyyMMddHHmmssfff";
        lab.run(words).assert_status(0);
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

/// The node to which requests are passed on checks the ticket by its own clock.
#[test]
fn a_node_whose_clock_is_off_fails_its_own_guests_only() {
    let mut world = World::of([vm(100, "near"), vm(101, "far").on("pve2")]).to_json();
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
