// SPDX-License-Identifier: GPL-3.0-only
//! Hosts of two clusters in one list, servers that are silent or slow, transient errors, and logins
//! that are revoked during a run.

use std::time::{Duration, Instant};

use pve_sim::simulator::{Options, Simulator};
use serde_json::{Value, json};

use crate::harness::{Lab, Output};
use crate::paused_run::PausingHook;
use crate::world::{World, credentials, vm};

/// Far longer than a run with `--timeout=1` takes on a busy machine, and far shorter than separate
/// timeouts of each request would take.
const SOON: Duration = Duration::from_secs(30);

const SILENT: &str = r#"{"requests": [{"effect": {"stall": 900}}]}"#;

fn world() -> World {
    World::new([vm(100, "web01").taken("daily", &[1, 2])])
}

/// A cluster that also has a guest 100, with nodes of these names.
fn other_cluster(name: &str, nodes: [&str; 2]) -> Value {
    let mut world = World::new([vm(100, "web01").on(nodes[0]).taken("daily", &[1, 2])]).to_json();
    world["cluster"]["name"] = json!(name);
    world["cluster"]["this_node"] = json!(nodes[0]);
    for (number, node) in nodes.into_iter().enumerate() {
        world["cluster"]["nodes"][number]["name"] = json!(node);
    }
    world
}

/// Lets the login read the name of the cluster.
fn with_name_readable(mut world: Value) -> Value {
    let entry = json!({"path": "/", "who": "backup@pve", "role": "PVEAuditor"});
    world["acl"].as_array_mut().unwrap().push(entry);
    world
}

/// Runs `snap` with the hosts of two clusters, and stops the first host right before the creation.
fn change_hosts(first: Value, second: Value) -> (Output, Lab, Simulator) {
    let lab = Lab::with(Options {
        listen_nodes: true,
        ..Options::new(first, credentials())
    });
    let other = Simulator::start(Options::new(second, credentials())).unwrap();
    let (_, address) = &lab.simulator.node_addresses()[0];
    let args = format!(
        "--host={address},{} --vmid=100 snap --label=daily --keep=1",
        other.addresses()[0]
    );
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, &args);
    run.go_to("snap-create-pre 100");
    lab.simulator.stop_listener("pve1");
    run.resume();
    (run.finish(), lab, other)
}

/// How many requests the fault that stalls all requests has matched.
fn stalled_requests(lab: &Lab) -> u32 {
    lab.simulator
        .world(|world| world.faults.applied_to_requests()[0])
}

fn requests(simulator: &Simulator) -> Vec<String> {
    let requests = simulator.journal().requests().into_iter();
    requests
        .map(|request| {
            format!(
                "{} {}",
                request.method,
                request.path.replace("/api2/json", "")
            )
        })
        .collect()
}

/// Nothing is sent to a host of another cluster, and the error names the nodes of both.
#[test]
fn a_run_does_not_switch_to_another_cluster() {
    let (output, lab, other) =
        change_hosts(world().to_json(), other_cluster("site", ["node7", "node8"]));
    output
        .assert_status(3)
        .assert_out("belong to different clusters")
        .assert_out("pve1 and pve2")
        .assert_out("node7 and node8");
    assert_eq!(lab.changes(), [] as [&str; 0]);
    assert_eq!(requests(&other), ["GET /nodes"]);
}

/// Clusters whose nodes have the same names are distinguished by cluster name, if the login may
/// read it.
#[test]
fn clusters_with_the_same_nodes_are_distinguished_by_name() {
    let (output, lab, other) = change_hosts(
        with_name_readable(world().to_json()),
        with_name_readable(other_cluster("site", ["pve1", "pve2"])),
    );
    output
        .assert_status(3)
        .assert_out("cluster 'lab'")
        .assert_out("cluster 'site'");
    assert_eq!(lab.changes(), [] as [&str; 0]);
    assert_eq!(requests(&other), ["GET /cluster/status"]);
}

#[test]
fn check_finds_hosts_of_different_clusters() {
    let lab = Lab::new(&world());
    let second = other_cluster("site", ["node7", "node8"]);
    let other = Simulator::start(Options::new(second, credentials())).unwrap();
    let hosts = format!("--host={},{}", lab.host(), other.addresses()[0]);
    let arguments = [
        hosts.as_str(),
        "--api-token=file:token",
        "--vmid=100",
        "check",
    ];
    lab.bare(arguments)
        .assert_status(1)
        .assert_out("belong to different clusters")
        .assert_out("node7 and node8");
}

/// With one host, or if no other host is used, the cluster is not identified and no request is
/// spent on it.
#[test]
fn a_single_host_costs_no_request_to_identify_its_cluster() {
    let lab = Lab::new(&world());
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0);
    let requests = requests(&lab.simulator);
    let extra = requests
        .iter()
        .filter(|request| ["GET /nodes", "GET /cluster/status"].contains(&request.as_str()));
    assert_eq!(extra.count(), 0, "{requests:?}");
}

/// A server that becomes silent before the first creation costs one timeout and one check for the
/// effect.
#[test]
fn a_run_of_one_guest_on_a_silent_server_ends_in_time() {
    let lab = Lab::new(&world());
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 --timeout=1 snap --label=daily --keep=1");
    run.go_to("snap-create-pre 100");
    lab.set_faults(SILENT);
    let started = Instant::now();
    run.resume();
    let output = run.finish();
    assert!(
        started.elapsed() < SOON,
        "{:?}\n{output}",
        started.elapsed()
    );
    output.assert_out("the guest's snapshots could not be listed");
    assert_ne!(output.status, 0);
    // The creation, and the requests until the timeout.
    assert!(
        stalled_requests(&lab) <= 4,
        "{} requests",
        stalled_requests(&lab)
    );
}

/// Reading a hundred guests of a silent server stops after the first timeouts.
#[test]
fn reading_from_a_silent_server_ends_the_run() {
    let guests = (100..200).map(|vmid| vm(vmid, &format!("web{vmid}")));
    let lab = Lab::with_faults(
        &World::new(guests),
        r#"{"requests": [{"path": "/nodes/**", "effect": {"stall": 900}}]}"#,
    );
    let started = Instant::now();
    lab.run("--vmid=@all --timeout=1 snap --label=daily --keep=1")
        .assert_status(3)
        .assert_err("no ");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(
        stalled_requests(&lab) < 60,
        "{} requests",
        stalled_requests(&lab)
    );
    lab.assert_unchanged();
}

/// After five timeouts in a row the run stops as "server lost", even if they were for different
/// guests.
#[test]
fn a_server_that_becomes_silent_during_the_run_is_lost() {
    let guests = (100..120).map(|vmid| vm(vmid, &format!("web{vmid}")));
    let lab = Lab::new(&World::new(guests));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(
        &lab,
        "--vmid=@all --timeout=1 --max-parallel=8 snap --label=daily --keep=1",
    );
    assert_eq!(run.reached(), "snap-job-start");
    let planned = |request: &pve_sim::journal::Request| request.path.ends_with("/119/snapshot");
    run.resume();
    lab.until_requested("the last guest is read", planned);
    lab.set_faults(SILENT);
    let started = Instant::now();
    let output = run.finish();
    assert!(
        started.elapsed() < SOON,
        "{:?}\n{output}",
        started.elapsed()
    );
    output.assert_status(3);
    assert!(
        stalled_requests(&lab) < 40,
        "{} requests",
        stalled_requests(&lab)
    );
}

/// Replies that take longer than the rest of the timeout do not make the task a failure.
#[test]
fn slow_replies_do_not_make_a_task_time_out() {
    let guest = vm(100, "web01").with("task_seconds", json!({"create": 0.1}));
    let lab = Lab::with_faults(
        &World::new([guest]),
        r#"{"requests": [{"method": "GET", "path": "/nodes/*/tasks/*/status", "effect": {"stall": 2.2}}]}"#,
    );
    lab.run("--vmid=100 --timeout=3 snap --label=daily --keep=5")
        .assert_status(0);
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// Each read of a run may fail once with a transient error.
#[test]
fn every_read_is_retried_after_a_transient_error() {
    let once = |path: &str| {
        json!({"method": "GET", "path": path, "times": 1,
               "effect": {"answer": {"status": 500, "reason": "got timeout"}}})
    };
    let paths = [
        "/version",
        "/cluster/resources",
        "/nodes/*/*/*/config",
        "/nodes/*/*/*/snapshot",
        "/nodes/*/tasks/*/status",
    ];
    let faults = json!({"requests": paths.map(once)});
    let lab = Lab::with_faults(&world(), &faults.to_string());
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(lab.changes().len(), 3);
    assert_eq!(lab.writes().len(), 3, "{:?}", lab.writes());
}

/// If the end of a task cannot be polled, the list of snapshots decides, as after a lost reply.
#[test]
fn the_snapshots_decide_if_the_task_cannot_be_polled() {
    for (reason, keep) in [("got timeout", 5), ("no such task", 2)] {
        let status = json!({"method": "GET", "path": "/nodes/*/tasks/*/status",
            "effect": {"answer": {"status": 500, "reason": reason}}});
        let lab = Lab::with_faults(&world(), &json!({"requests": [status]}).to_string());
        lab.run(&format!(
            "--vmid=100 --timeout=1 snap --label=daily --keep={keep}"
        ))
        .assert_status(0);
        let changes = [
            "create 100 autodaily<now>",
            "delete 100 autodaily240101000000",
        ];
        let expected = if keep == 2 {
            &changes[..]
        } else {
            &changes[..1]
        };
        assert_eq!(lab.changes(), expected, "{reason}");
        assert_eq!(lab.writes().len(), expected.len(), "{:?}", lab.writes());
    }
}

/// A token that is revoked during the last guest's task ends the run with 3, as one that is revoked
/// earlier.
#[test]
fn a_token_revoked_during_the_last_guest_ends_the_run_with_3() {
    for (path, keep) in [("/nodes/*/tasks/**", 5), ("/nodes/*/*/*/snapshot", 1)] {
        let lab = Lab::new(&world());
        let hook = PausingHook::new(&lab);
        let args = format!("--vmid=100 --timeout=1 snap --label=daily --keep={keep}");
        let mut run = hook.start(&lab, &args);
        run.go_to("snap-create-pre 100");
        let revoked = json!({"method": "GET", "path": path,
            "effect": {"answer": {"status": 401, "reason": "invalid token value!"}}});
        lab.set_faults(&json!({"requests": [revoked]}).to_string());
        run.resume();
        let output = run.finish();
        output.assert_status(3).assert_out("API token");
        assert_eq!(lab.writes().len(), 1, "{:?}", lab.writes());
    }
}

/// The first signal stops reading from a silent server immediately, before any guest is known.
#[test]
fn a_signal_stops_a_run_on_a_silent_server() {
    let lab = Lab::with_faults(
        &world(),
        r#"{"requests": [{"path": "/cluster/resources", "effect": {"stall": 900}}]}"#,
    );
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 snap --label=daily --keep=1");
    assert_eq!(run.reached(), "snap-job-start");
    let started = Instant::now();
    run.resume();
    run.signal("TERM");
    assert_eq!(run.reached(), "snap-job-end");
    run.resume();
    run.ended().assert_status(143);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    lab.assert_unchanged();
}

/// The second signal ends the run immediately while a creation hangs.
#[test]
fn a_second_signal_ends_a_run_on_a_silent_server_immediately() {
    let lab = Lab::new(&world());
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 snap --label=daily --keep=1");
    run.go_to("snap-create-pre 100");
    lab.set_faults(SILENT);
    run.resume();
    lab.until_fault_applied(0);
    run.signal("TERM");
    run.wait_for_stderr("nothing new is started");
    let started = Instant::now();
    run.signal("TERM");
    run.ended().assert_status(143);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}
