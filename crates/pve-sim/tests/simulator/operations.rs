// SPDX-License-Identifier: GPL-3.0-only
//! The simulator over HTTPS: guests, tasks, storages, permissions, and nodes that stop and restart.

use crate::common::{
    ADMIN, Connection, call, create_snapshot, credentials, data, exit_status, remove_snapshot,
    serve, snapshots, task, world,
};
use pve_sim::generate::{GenerateOptions, generate};
use pve_sim::journal::Action;
use pve_sim::simulator::{Options, Simulator};
use pve_sim::world::Reachability;
use serde_json::json;

const WEB: &str = "/nodes/pve1/qemu/100";
const FILES: &str = "/nodes/pve1/lxc/101";
const DB: &str = "/nodes/pve2/qemu/102";

#[test]
fn snapshots_are_created_listed_removed_and_recorded() {
    let simulator = serve(|_| {});
    assert_eq!(
        create_snapshot(&simulator, FILES, "snapname=one&description=first"),
        "OK"
    );
    assert_eq!(create_snapshot(&simulator, FILES, "snapname=two"), "OK");
    let list = data(&simulator, "GET", &format!("{FILES}/snapshot"), "");
    let one = list
        .as_array()
        .and_then(|list| list.iter().find(|entry| entry["name"] == "one"));
    assert_eq!(one.map(|one| &one["description"]), Some(&json!("first\n")));
    assert_eq!(remove_snapshot(&simulator, FILES, "one"), "OK");
    assert_eq!(snapshots(&simulator, FILES), [("two".to_owned(), None)]);
    let mutations = simulator.journal().mutations();
    let changes: Vec<_> = mutations
        .iter()
        .map(|one| (one.action, one.vmid, one.snapshot.as_deref()))
        .collect();
    assert_eq!(
        changes,
        [
            (Action::Create, 101, Some("one")),
            (Action::Create, 101, Some("two")),
            (Action::Delete, 101, Some("one")),
        ]
    );
    assert_eq!(mutations[0].description.as_deref(), Some("first\n"));
    assert_eq!(simulator.journal().tasks().len(), 3);
    let requests = simulator.journal().requests();
    assert!(
        requests
            .iter()
            .all(|one| one.user.as_deref() == Some("admin@pve!full"))
    );
}

#[test]
fn a_rollback_restores_the_saved_ram() {
    let simulator = serve(|_| {});
    let snapshot = format!("{WEB}/snapshot");
    assert_eq!(
        create_snapshot(&simulator, WEB, "snapname=ram&vmstate=1"),
        "OK"
    );
    let config = data(&simulator, "GET", &format!("{snapshot}/ram/config"), "");
    assert_eq!(config["vmstate"], "local:100/vm-100-state-ram.raw");
    assert_eq!(create_snapshot(&simulator, WEB, "snapname=disk"), "OK");
    let running =
        || data(&simulator, "GET", &format!("{WEB}/status/current"), "")["status"].clone();
    assert_eq!(
        task(&simulator, "POST", &format!("{snapshot}/disk/rollback"), ""),
        "OK"
    );
    assert_eq!(running(), "stopped");
    assert_eq!(
        task(&simulator, "POST", &format!("{snapshot}/ram/rollback"), ""),
        "OK"
    );
    assert_eq!(running(), "running");
}

#[test]
fn snapshots_change_the_usage_of_storages() {
    let simulator = serve(|_| {});
    let used = || {
        let status = data(&simulator, "GET", "/nodes/pve1/storage/local/status", "");
        status["used"].as_u64().expect("a number")
    };
    let before = used();
    assert_eq!(
        create_snapshot(&simulator, WEB, "snapname=one&vmstate=1"),
        "OK"
    );
    assert!(used() > before + (768 << 20), "disk and RAM");
    assert_eq!(remove_snapshot(&simulator, WEB, "one"), "OK");
    assert_eq!(used(), before);
}

#[test]
fn replication_prevents_removal_unless_forced() {
    let simulator = serve(|_| {});
    assert_eq!(create_snapshot(&simulator, DB, "snapname=one"), "OK");
    assert_eq!(
        remove_snapshot(&simulator, DB, "one"),
        "snapshot 'one' needed by replication job '102-0' - run replication first"
    );
    assert_eq!(
        task(
            &simulator,
            "DELETE",
            &format!("{DB}/snapshot/one?force=1"),
            ""
        ),
        "OK"
    );
}

#[test]
fn tasks_have_a_duration_and_wait_for_a_slot() {
    let simulator = serve(|options| options.timing.task_seconds = 100.0);
    let start = |name: &str| {
        let upid = data(
            &simulator,
            "POST",
            &format!("{WEB}/snapshot"),
            &format!("snapname={name}"),
        );
        upid.as_str().expect("a UPID").to_owned()
    };
    let first = start("one");
    // The guest is locked, so this task fails immediately and frees its slot.
    assert_eq!(
        exit_status(&simulator, &start("two")).as_deref(),
        Some("VM is locked (snapshot)")
    );
    let files = data(
        &simulator,
        "POST",
        &format!("{FILES}/snapshot"),
        "snapname=one",
    );
    let files = files.as_str().expect("a UPID").to_owned();
    let waiting = start("three");
    let exits = || [&first, &files, &waiting].map(|upid| exit_status(&simulator, upid));
    assert_eq!(exits(), [None, None, None]);
    assert_eq!(
        snapshots(&simulator, WEB),
        [("one".to_owned(), Some("prepare".to_owned()))]
    );
    simulator.advance(101.0);
    let ok = || Some("OK".to_owned());
    assert_eq!(
        exits(),
        [ok(), ok(), None],
        "the third began when a slot was free"
    );
    simulator.advance(101.0);
    assert_eq!(exits(), [ok(), ok(), ok()]);
    let seconds: Vec<f64> = simulator
        .journal()
        .tasks()
        .iter()
        .map(|task| task.seconds)
        .collect();
    assert!(
        seconds.last().is_some_and(|seconds| *seconds > 199.0),
        "{seconds:?}"
    );
}

#[test]
fn lock_files_have_the_timeout_of_pve() {
    let simulator = serve(|options| options.timing.delays = 1.0);
    let hold = |seconds: f64| {
        simulator.world(|world| {
            let until = world.now() + seconds;
            world.guests.get_mut(&100).expect("the guest").held_until = until;
        });
    };
    let start = || {
        let upid = data(
            &simulator,
            "POST",
            &format!("{WEB}/snapshot"),
            "snapname=one",
        );
        upid.as_str().expect("a UPID").to_owned()
    };
    hold(60.0);
    let late = start();
    assert_eq!(exit_status(&simulator, &late), None);
    simulator.advance(11.0);
    let text = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
    assert_eq!(exit_status(&simulator, &late).as_deref(), Some(text));
    hold(5.0);
    let in_time = start();
    simulator.advance(6.0);
    assert_eq!(exit_status(&simulator, &in_time).as_deref(), Some("OK"));
}

#[test]
fn a_separated_token_is_limited_to_its_pool() {
    let simulator = serve(|_| {});
    let auth = "Authorization: PVEAPIToken=admin@pve!pool=pool-secret";
    let request = |method: &str, path: &str, form: &str| {
        let mut connection =
            Connection::open(&simulator, simulator.addresses()[0]).expect("a connection");
        connection
            .call(method, path, auth, form)
            .expect("a response")
    };
    let response = request("GET", "/cluster/resources?type=vm", "").data();
    let ids: Vec<_> = response
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["vmid"].clone())
        .collect();
    assert_eq!(ids, [100]);
    assert_eq!(
        request("POST", &format!("{WEB}/snapshot"), "snapname=one").status,
        200
    );
    let refused = request("POST", &format!("{FILES}/snapshot"), "snapname=one");
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.reason,
        "Permission check failed (/vms/101, VM.Snapshot)"
    );
}

#[test]
fn tickets_expire_by_the_simulated_clock() {
    let simulator = serve(|_| {});
    let request = |method: &str, path: &str, auth: &str, form: &str| {
        let mut connection =
            Connection::open(&simulator, simulator.addresses()[0]).expect("a connection");
        connection
            .call(method, path, auth, form)
            .expect("a response")
    };
    let login = request(
        "POST",
        "/access/ticket",
        "X: y",
        "username=admin@pve&password=geheim",
    )
    .data();
    let cookie = format!(
        "Cookie: PVEAuthCookie={}",
        login["ticket"].as_str().expect("a ticket")
    );
    let csrf = login["CSRFPreventionToken"].as_str().expect("a token");
    assert_eq!(request("GET", "/version", &cookie, "").status, 200);
    let without = request("POST", &format!("{WEB}/snapshot"), &cookie, "snapname=one");
    assert_eq!(without.reason, "Permission denied - invalid csrf token");
    let both = format!("{cookie}\r\nCSRFPreventionToken: {csrf}");
    assert_eq!(
        request("POST", &format!("{WEB}/snapshot"), &both, "snapname=one").status,
        200
    );
    simulator.advance(7_300.0);
    assert_eq!(
        request("GET", "/version", &cookie, "").reason,
        "Authentication failed!"
    );
}

#[test]
fn a_connection_ends_after_a_hundred_responses() {
    let simulator = serve(|_| {});
    let auth = format!("Authorization: {ADMIN}");
    let mut connection =
        Connection::open(&simulator, simulator.addresses()[0]).expect("a connection");
    for number in 1..=100 {
        let path = if number == 2 {
            "/cluster/status"
        } else {
            "/version"
        };
        let response = connection.call("GET", path, &auth, "").expect("a response");
        let expected: &[&str] = match number {
            2 => &["close", "Keep-Alive"],
            100 => &["close"],
            _ => &["Keep-Alive"],
        };
        assert_eq!(response.headers("Connection"), expected, "{number}");
    }
    assert!(connection.call("GET", "/version", &auth, "").is_err());
    let requests = simulator.journal().requests();
    assert!(
        requests
            .iter()
            .all(|request| request.connection == requests[0].connection)
    );
}

#[test]
fn nodes_have_their_own_addresses_and_can_be_stopped() {
    let simulator = serve(|options| options.listen_nodes = true);
    let nodes = simulator.node_addresses();
    let [(first, one), (second, two)] = nodes.as_slice() else {
        panic!("two nodes, but {nodes:?}");
    };
    assert_eq!((first.as_str(), second.as_str()), ("pve1", "pve2"));
    let auth = format!("Authorization: {ADMIN}");
    let local = |address| {
        let mut connection = Connection::open(&simulator, address)?;
        let status = connection.call("GET", "/cluster/status", &auth, "")?.data();
        let local = status
            .as_array()
            .into_iter()
            .flatten()
            .find(|node| node["local"] == 1);
        std::io::Result::Ok(local.map(|node| node["name"].clone()))
    };
    assert_eq!(local(*one).expect("a response"), Some(json!("pve1")));
    assert_eq!(local(*two).expect("a response"), Some(json!("pve2")));
    simulator.stop_listener("pve2");
    assert_eq!(
        local(*two).expect_err("refused").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    simulator
        .start_listener("pve2")
        .expect("the port is still free");
    assert_eq!(local(*two).expect("a response"), Some(json!("pve2")));
}

#[test]
fn an_offline_node_is_unreachable_directly_and_by_proxy() {
    let simulator = serve(|options| options.listen_nodes = true);
    simulator.world(|world| {
        let node = world.nodes.get_mut("pve2").expect("the node");
        node.reach = Reachability::Offline("No route to host".to_owned());
    });
    let response = call(&simulator, "GET", &format!("{DB}/config"), "").expect("a response");
    assert_eq!(
        (response.status, response.reason.as_str()),
        (595, "No route to host")
    );
    assert!(response.body.is_empty());
    let resources = data(&simulator, "GET", "/cluster/resources?type=vm", "");
    let db = resources
        .as_array()
        .and_then(|list| list.iter().find(|one| one["vmid"] == 102));
    let db = db.expect("the guest is still listed");
    assert_eq!(
        (&db["status"], &db["node"]),
        (&json!("unknown"), &json!("pve2"))
    );
    assert!(db.get("name").is_none());
    let address = simulator.node_addresses()[1].1;
    let auth = format!("Authorization: {ADMIN}");
    let direct = Connection::open(&simulator, address)
        .and_then(|mut connection| connection.call("GET", "/version", &auth, ""));
    assert!(direct.is_err());
}

#[test]
fn control_commands_change_the_world() {
    let simulator = serve(|_| {});
    let send = |line: &str| {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        pve_sim::control::send(&simulator.url(), &arguments)
    };
    send("lock 100 backup").expect("the request succeeds");
    assert_eq!(
        create_snapshot(&simulator, WEB, "snapname=x1"),
        "VM is locked (backup)"
    );
    send("unlock 100").expect("the request succeeds");
    assert_eq!(create_snapshot(&simulator, WEB, "snapname=x1"), "OK");
    send("lose-quorum").expect("the request succeeds");
    let text = remove_snapshot(&simulator, WEB, "x1");
    assert!(
        text.starts_with("unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp."),
        "{text}"
    );
    assert!(
        send("ticket admin@pve 60")
            .expect("a ticket")
            .starts_with("PVE:admin@pve:")
    );
    assert_eq!(
        send("unlock 999").expect_err("refused").to_string(),
        "guest 999 not found"
    );
    assert!(
        send("frobnicate")
            .expect_err("refused")
            .to_string()
            .contains("unknown command")
    );
}

#[test]
fn a_generated_cluster_is_served_completely() {
    let options = GenerateOptions {
        nodes: 8,
        guests: 400,
        seed: 3,
        ..GenerateOptions::default()
    };
    let generated = generate(&options).expect("a world");
    let simulator =
        Simulator::start(Options::new(generated.world, generated.credentials)).expect("it starts");
    let auth = "Authorization: PVEAPIToken=backup@pve!auto=22222222-2222-4222-8222-222222222222";
    let mut connection =
        Connection::open(&simulator, simulator.addresses()[0]).expect("a connection");
    let response = connection
        .call("GET", "/cluster/resources?type=vm", auth, "")
        .expect("a response");
    assert_eq!(response.data().as_array().map(Vec::len), Some(400));
}

#[test]
fn errors_in_a_world_are_reported() {
    let mut wrong = world();
    wrong["guests"][0]["node"] = json!("pve9");
    let error = Simulator::start(Options::new(wrong, credentials()))
        .err()
        .expect("an error");
    assert_eq!(
        error.to_string(),
        "world: guests[0].node (guest 100): node 'pve9' not found"
    );
    let error = Simulator::start(Options::new(json!({}), json!({})))
        .err()
        .expect("an error");
    assert!(
        error.to_string().contains("missing field `cluster`"),
        "{error}"
    );
}
