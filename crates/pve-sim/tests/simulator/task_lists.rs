// SPDX-License-Identifier: GPL-3.0-only
//! A node's task list, its filters and task logs. The expected responses are recorded from a real
//! PVE or derived from its sources.

use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

use crate::common::{as_user, call, data, rejection, serve};

const WEB: &str = "/nodes/pve1/qemu/100";
const FILES: &str = "/nodes/pve1/lxc/101";

/// Ten tasks of the administrator's token; one of them is still running.
fn with_tasks() -> Simulator {
    let simulator = serve(|options| options.timing.task_seconds = 1.0);
    for number in 0..9 {
        let form = format!("snapname=s{number}");
        data(&simulator, "POST", &format!("{FILES}/snapshot"), &form);
        simulator.advance(1.0);
    }
    data(&simulator, "DELETE", &format!("{FILES}/snapshot/none"), "");
    simulator.advance(1.0);
    data(
        &simulator,
        "POST",
        &format!("{WEB}/snapshot"),
        "snapname=s9",
    );
    simulator
}

/// The number of entries, and `total`.
fn counted(simulator: &Simulator, query: &str) -> (usize, Value) {
    let path = format!("/nodes/pve1/tasks?{query}");
    let response = call(simulator, "GET", &path, "").expect("a response");
    assert_eq!(response.status, 200, "{query}: {}", response.reason);
    let body: Value = serde_json::from_slice(&response.body).expect("JSON");
    (
        body["data"].as_array().expect("a list").len(),
        body["total"].clone(),
    )
}

/// A limit of 0 returns no entries but the total.
#[test]
fn a_limit_of_zero_lists_nothing() {
    assert_eq!(counted(&with_tasks(), "limit=0"), (0, json!(10)));
}

/// The archive of tasks stores users without their tokens.
#[test]
fn tasks_are_filtered_by_user_without_token() {
    let simulator = with_tasks();
    assert_eq!(
        counted(&simulator, "userfilter=admin@pve!full"),
        (0, Value::Null)
    );
    assert_eq!(counted(&simulator, "userfilter=ADMIN@pve").0, 10);
    assert_eq!(
        counted(&simulator, "userfilter=admin@pve!full&source=active").0,
        1
    );
}

/// A running task has no status, status filters ignore case, `errors` wins, and an empty filter has
/// no effect.
#[test]
fn tasks_are_filtered_by_status() {
    let simulator = with_tasks();
    for (query, expected) in [
        ("source=all", 11),
        ("source=all&statusfilter=ok", 9),
        ("source=all&statusfilter=OK", 9),
        ("source=all&statusfilter=error", 1),
        ("source=active&statusfilter=ok", 0),
        ("source=active&statusfilter=unknown", 1),
        ("errors=1&statusfilter=ok", 1),
        ("typefilter=", 10),
        ("userfilter=", 10),
        ("typefilter=vzdelsnapshot", 1),
    ] {
        assert_eq!(counted(&simulator, query).0, expected, "{query}");
    }
}

/// Without the privilege to audit the node, running tasks are visible only with exactly the same
/// user ID.
#[test]
fn users_do_not_see_running_tasks_of_their_tokens() {
    let simulator = serve(|options| {
        options.timing.task_seconds = 1.0;
        options.world["tokens"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"tokenid": "eve@pve!t", "privsep": 0}));
        options.credentials["tokens"]["eve@pve!t"] = json!("eves");
        let acl = options.world["acl"].as_array_mut().expect("a list");
        acl.push(json!({"path": "/vms", "who": "eve@pve", "role": "PVEVMAdmin"}));
    });
    let token = "Authorization: PVEAPIToken=eve@pve!t=eves";
    let form = "username=eve@pve&password=eve";
    let ticket = as_user(&simulator, "X-Nothing: 1", "POST", "/access/ticket", form).data();
    let cookie = format!(
        "Cookie: PVEAuthCookie={}",
        ticket["ticket"].as_str().expect("a ticket")
    );
    as_user(
        &simulator,
        token,
        "POST",
        &format!("{WEB}/snapshot"),
        "snapname=one",
    );
    let visible = |auth: &str| {
        let list = as_user(&simulator, auth, "GET", "/nodes/pve1/tasks?source=all", "").data();
        list.as_array().expect("a list").len()
    };
    assert_eq!((visible(token), visible(&cookie)), (1, 0));
    simulator.advance(1.0);
    assert_eq!((visible(token), visible(&cookie)), (1, 1));
}

/// A task's log can be downloaded as a complete file.
#[test]
fn a_log_is_downloaded() {
    let simulator = serve(|_| {});
    let upid = data(
        &simulator,
        "POST",
        &format!("{WEB}/snapshot"),
        "snapname=one&vmstate=1",
    );
    let path = format!("/nodes/pve1/tasks/{}/log", upid.as_str().expect("a UPID"));
    let lines = data(&simulator, "GET", &format!("{path}?limit=0"), "");
    let lines = lines.as_array().expect("a list");
    let response = call(&simulator, "GET", &format!("{path}?download=1"), "").expect("a response");
    assert_eq!(response.headers("Content-Type"), ["text/plain"]);
    let disposition = response.headers("Content-Disposition")[0];
    assert!(
        disposition.starts_with("attachment; filename=\"task-pve1-qmsnapshot-2"),
        "{disposition}"
    );
    let text = String::from_utf8(response.body).expect("text");
    assert_eq!(text.lines().count(), lines.len());
    assert!(text.ends_with("TASK OK\n"), "{text}");
    let (status, reason, _) =
        rejection(&simulator, "GET", &format!("{path}?download=1&limit=5"), "");
    assert_eq!(status, 500);
    assert!(
        reason.starts_with("'download' cannot be used together"),
        "{reason}"
    );
}
