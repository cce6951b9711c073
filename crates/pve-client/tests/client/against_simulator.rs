// SPDX-License-Identifier: GPL-3.0-only
//! The client against the simulator, an independent implementation of the API whose journal records what
//! really happened.

use std::time::Duration;

use pve_client::{
    ApiToken, AuthenticationProblem, Certainty, Client, Credentials, Endpoint, Error, GuestKind,
    Resource, TaskExit, TaskFilter, TaskSource, Upid, WaitPolicy,
};
use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Simulator;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::simulated_cluster::{
    PASSWORD, TOKEN, connect, create, faults, options, password_user, start, token, user,
};

async fn finish(client: &Client, task: &Upid) -> TaskExit {
    let policy = WaitPolicy {
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(20),
        usual_duration: None,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let waited = client.wait_for_task(task, &policy, deadline).await;
    waited.unwrap().exit
}

async fn names(client: &Client) -> Vec<String> {
    let listing = client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap();
    listing
        .snapshots
        .into_iter()
        .map(|snapshot| snapshot.name)
        .collect()
}

/// How many tasks were started.
fn started(simulator: &Simulator) -> usize {
    simulator.world(|world| world.tasks.all().len())
}

#[tokio::test]
async fn a_snapshot_is_created_and_removed_over_one_connection() {
    let simulator = start(|_| {});
    for credentials in [token(), password_user()] {
        let client = connect(&simulator, credentials).await;
        let task = create(&client, "auto1").await.unwrap();
        assert_eq!(finish(&client, &task).await, TaskExit::Ok);
        let listing = client
            .snapshots("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap();
        let snapshot = listing.find("auto1").unwrap();
        assert_eq!(snapshot.description.trim_end(), "cv4pve-autosnap");
        assert!(snapshot.taken_at.is_some_and(|time| time > 1_700_000_000));
        assert_eq!(listing.current_parent.as_deref(), Some("auto1"));
        assert_eq!(
            client.task_log(&task, 0, 50).await.unwrap().last().unwrap(),
            "TASK OK"
        );
        let task = client
            .delete_snapshot("pve1", GuestKind::Qemu, 100, "auto1", false)
            .await
            .unwrap();
        assert_eq!(finish(&client, &task).await, TaskExit::Ok);
        assert!(names(&client).await.is_empty());
        assert_eq!(client.statistics().connections_opened, 1);
    }
    assert_eq!(simulator.journal().mutations().len(), 4);
}

#[tokio::test]
async fn the_inventory_is_read() {
    let simulator = start(|_| {});
    let client = connect(&simulator, token()).await;
    let resources = client.resources().await.unwrap();
    let guest = |id| {
        resources.iter().find_map(|resource| match resource {
            Resource::Guest(guest) if guest.vmid == id => Some(guest.clone()),
            _ => None,
        })
    };
    let web = guest(100).unwrap();
    assert_eq!(
        (web.node.as_str(), web.name.as_deref()),
        ("pve1", Some("web01"))
    );
    assert_eq!(web.tag_list().collect::<Vec<_>>(), ["prod", "web"]);
    let far = guest(120).unwrap();
    assert_eq!((far.status.as_str(), far.name), ("unknown", None));
    let config = client
        .guest_config("pve1", GuestKind::Qemu, 105)
        .await
        .unwrap();
    assert_eq!(config.lock(), Some("backup"));
    assert!(
        client
            .feature("pve1", GuestKind::Qemu, 100, "snapshot")
            .await
            .unwrap()
    );
    assert!(
        !client
            .feature("pve2", GuestKind::Qemu, 101, "snapshot")
            .await
            .unwrap()
    );
    let storages = client.node_storages("pve1").await.unwrap();
    assert!(
        storages
            .iter()
            .any(|storage| storage.storage == "local" && storage.total.is_some())
    );
    let status = client.cluster_status().await.unwrap();
    assert_eq!((status.quorate, status.nodes.len()), (Some(true), 3));
    assert!(
        client
            .permissions(None)
            .await
            .unwrap()
            .has_entry("/", "VM.Snapshot")
    );
    let far = client
        .guest_config("pve3", GuestKind::Qemu, 120)
        .await
        .unwrap_err();
    assert_eq!(
        (far.status(), far.reason()),
        (Some(595), Some("No route to host"))
    );
}

#[tokio::test]
async fn refusals_name_the_missing_object_or_privilege() {
    let simulator = start(|_| {});
    let unprivileged = connect(&simulator, user("nobody@pve", "x-nobody")).await;
    assert!(unprivileged.permissions(None).await.unwrap().is_empty());
    let missing = create(&unprivileged, "auto1")
        .await
        .unwrap_err()
        .missing_privilege()
        .unwrap();
    assert_eq!(
        (missing.path.as_str(), missing.privilege.as_str()),
        ("/vms/100", "VM.Snapshot")
    );
    let client = connect(&simulator, token()).await;
    let error = create(&client, "1-bad name").await.unwrap_err();
    let Error::Refused {
        status: 400,
        errors,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(errors.contains_key("snapname"), "{errors:?}");
    let missing = client
        .guest_config("pve1", GuestKind::Qemu, 999)
        .await
        .unwrap_err();
    assert!(missing.is_guest_missing(), "{missing}");
    assert_eq!(simulator.journal().mutations().len(), 0);
}

#[tokio::test]
async fn failed_logins_report_the_reason() {
    use AuthenticationProblem as Problem;
    let simulator = start(|_| {});
    let wrong_token = ApiToken::parse(&format!("backup@pve!auto={}", TOKEN.replace('2', "3")));
    for (credentials, expected) in [
        (user("backup@pve", "wrong"), Problem::WrongUserOrPassword),
        (user("whois@pve", PASSWORD), Problem::WrongUserOrPassword),
        (
            user("backup@nowhere", PASSWORD),
            Problem::WrongUserOrPassword,
        ),
        (user("totp@pve", "x-totp"), Problem::NeedsSecondFactor),
        (
            Credentials::Token(wrong_token.unwrap()),
            Problem::TokenRefused,
        ),
    ] {
        let identity = credentials.identity();
        let error = Client::connect(options(&simulator, credentials))
            .await
            .unwrap_err();
        let Error::Authentication { problem, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*problem, expected, "{identity}");
    }
}

#[tokio::test]
async fn an_expired_ticket_is_replaced() {
    let simulator = start(|_| {});
    let client = connect(&simulator, password_user()).await;
    simulator.advance(3.0 * 3600.0);
    let task = create(&client, "auto1").await.unwrap();
    assert_eq!(finish(&client, &task).await, TaskExit::Ok);
    assert_eq!(started(&simulator), 1);
}

#[tokio::test]
async fn every_end_of_a_task_is_reported() {
    let simulator = start(|options| {
        let tasks = json!([
            {"snapname": "warned", "effect": {"warn": 2}},
            {"snapname": "failed", "effect": {"fail": "no space left on device"}},
            {"snapname": "gone", "effect": "vanish"}]);
        options.faults = FaultPlan::parse(&json!({"tasks": tasks}).to_string()).unwrap();
    });
    let client = connect(&simulator, token()).await;
    for (name, expected) in [
        ("warned", TaskExit::Warnings(2)),
        ("failed", TaskExit::Failed("no space left on device".into())),
        ("gone", TaskExit::NoResult("unexpected status".into())),
    ] {
        let task = create(&client, name).await.unwrap();
        assert_eq!(finish(&client, &task).await, expected, "{name}");
    }
    let filter = TaskFilter {
        vmid: Some(100),
        source: TaskSource::All,
        ..TaskFilter::default()
    };
    let tasks = client.node_tasks("pve1", &filter).await.unwrap();
    assert_eq!(tasks.len(), 3, "{tasks:?}");
    let ids = tasks.iter().map(|task| task.upid.id()).collect::<Vec<_>>();
    assert_eq!(ids, ["100", "100", "100"]);
}

/// Creates a snapshot with this fault in its POST, and compares the certainty with what happened.
async fn check_fault(effect: Value, expected: Option<Certainty>, happened: bool) {
    let rule = json!([{"method": "POST", "path": "/nodes/**", "times": 1, "effect": effect}]);
    let simulator = start(|options| options.faults = faults(&rule));
    let mut options = options(&simulator, token());
    options.request_timeout = Duration::from_millis(500);
    let client = Client::connect(options).await.unwrap();
    let outcome = create(&client, "auto1").await;
    assert_eq!(
        outcome.as_ref().err().map(Error::certainty),
        expected,
        "{effect}: {outcome:?}"
    );
    assert_eq!(started(&simulator), usize::from(happened), "{effect}");
    let posts = simulator
        .journal()
        .requests()
        .iter()
        .filter(|one| one.method == "POST")
        .count();
    assert!(posts <= 1, "{effect}: written {posts} times");
    // Afterwards requests work again, and the effect can be read.
    assert_eq!(
        names(&client).await.len(),
        usize::from(happened),
        "{effect}"
    );
}

#[tokio::test]
async fn the_certainty_after_every_fault_of_a_write_is_right() {
    use Certainty::{Refused, Unknown};
    check_fault(json!("refuse"), Some(Unknown), false).await;
    check_fault(json!("drop_before"), Some(Unknown), false).await;
    check_fault(json!("drop_after"), Some(Unknown), true).await;
    check_fault(json!("cut_answer"), Some(Unknown), true).await;
    check_fault(json!({"stall": 30.0}), Some(Unknown), true).await;
    check_fault(json!({"delay": 0.05}), None, true).await;
    check_fault(json!("start_failed"), Some(Refused), false).await;
    for (status, certainty) in [
        (503, Refused),
        (595, Refused),
        (596, Unknown),
        (599, Unknown),
        (504, Unknown),
    ] {
        let answer = json!({"answer": {"status": status, "reason": "Broken pipe"}});
        check_fault(answer, Some(certainty), false).await;
    }
}

#[tokio::test]
async fn a_description_is_written_and_read_as_pve_stores_it() {
    let simulator = start(|_| {});
    let client = connect(&simulator, token()).await;
    let task = create(&client, "auto1").await.unwrap();
    finish(&client, &task).await;
    let (node, kind) = ("pve1", GuestKind::Qemu);
    for (sent, stored) in [
        ("two\nlines ä 100% &=+\n\n", Some("two\nlines ä 100% &=+")),
        ("  a\r\nb\tc ", Some("  a\r\nb\tc")),
        ("0", None),
        ("", None),
    ] {
        let change = client.set_snapshot_description(node, kind, 100, "auto1", sent);
        change.await.unwrap();
        let config = client.snapshot_config(node, kind, 100, "auto1").await;
        let config = config.unwrap();
        assert_eq!(config.get("description"), stored, "{sent:?}");
        assert!(config.get("snaptime").is_some());
        let listing = client.snapshots(node, kind, 100).await.unwrap();
        let listed = &listing.find("auto1").unwrap().description;
        assert_eq!(listed, stored.unwrap_or_default(), "{sent:?}");
    }
    for name in ["missing", "current"] {
        let change = client.set_snapshot_description(node, kind, 100, name, "x");
        let error = change.await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Refused, "{error}");
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
    let change = client.set_snapshot_description(node, kind, 105, "auto1", "x");
    let error = change.await.unwrap_err();
    assert_eq!(error.reason(), Some("VM is locked (backup)"));
}

#[tokio::test]
async fn reads_succeed_despite_every_transient_fault() {
    for effect in [
        json!("refuse"),
        json!("drop_before"),
        json!("drop_after"),
        json!("cut_answer"),
    ] {
        let rule = json!([{"method": "GET", "path": "/nodes/**", "times": 2, "effect": effect}]);
        let simulator = start(|options| options.faults = faults(&rule));
        let client = connect(&simulator, token()).await;
        assert!(names(&client).await.is_empty(), "{effect}");
    }
}

#[tokio::test]
async fn a_worker_start_failure_is_recognized() {
    let rule = json!([{"method": "POST", "path": "/nodes/**", "effect": "start_failed"}]);
    let simulator = start(|options| options.faults = faults(&rule));
    let client = connect(&simulator, token()).await;
    let error = create(&client, "auto1").await.unwrap_err();
    assert!(
        error.is_worker_start_failure() && error.is_transient(),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_client_fails_over_and_back() {
    let simulator = start(|options| options.listen_nodes = true);
    let mut options = options(&simulator, password_user());
    let online = simulator
        .node_addresses()
        .into_iter()
        .filter(|(node, _)| node != "pve3");
    options.endpoints = online
        .map(|(_, address)| Endpoint {
            host: address.ip().to_string(),
            port: address.port(),
        })
        .collect();
    let client = Client::connect(options.clone()).await.unwrap();
    assert_eq!(client.current_endpoint(), options.endpoints[0]);
    simulator.stop_listener("pve1");
    let task = create(&client, "auto1").await.unwrap();
    assert_eq!(client.current_endpoint(), options.endpoints[1]);
    simulator.start_listener("pve1").unwrap();
    simulator.stop_listener("pve2");
    assert_eq!(finish(&client, &task).await, TaskExit::Ok);
    assert_eq!(client.current_endpoint(), options.endpoints[0]);
    assert_eq!(started(&simulator), 1);
}

#[tokio::test]
async fn concurrent_requests_share_connections() {
    let simulator = start(|_| {});
    let client = connect(&simulator, token()).await;
    for _ in 0..5 {
        let mut in_flight = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let client = client.clone();
            in_flight.spawn(async move { client.snapshots("pve1", GuestKind::Qemu, 100).await });
        }
        for outcome in in_flight.join_all().await {
            outcome.unwrap();
        }
    }
    let statistics = client.statistics();
    assert_eq!(statistics.requests, 41);
    assert!(statistics.connections_opened <= 8, "{statistics:?}");
    let requests = simulator.journal().requests();
    assert_eq!(requests.len(), 41);
    let last = requests
        .iter()
        .map(|request| request.connection)
        .max()
        .unwrap();
    assert!(last <= 8, "{last} connections");
}
