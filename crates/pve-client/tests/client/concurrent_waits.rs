// SPDX-License-Identifier: GPL-3.0-only
//! Concurrent waits for tasks of one node: they share the task list, and do not trust it alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use pve_client::{TaskExit, Upid, WaitError, WaitPolicy};
use serde_json::json;
use tokio::time::Instant;

use crate::raw_server::{Reaction, Server, proxied_reply, refusal, version};
use crate::requests::connect;

const POLICY: WaitPolicy = WaitPolicy {
    first_pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(40),
    usual_duration: None,
};
const LIMIT: Duration = Duration::from_secs(20);

fn upid(node: &str, number: u32) -> Upid {
    format!("UPID:{node}:0000{number}:000620B9:6902CF35:qmsnapshot:{number}:backup@pve!auto:")
        .parse()
        .unwrap()
}

/// How a server reports its tasks.
#[derive(Clone, Copy)]
struct Script {
    /// The state in a task list, by the number of the list and the task; `None`: not listed.
    in_list: fn(usize, &str) -> Option<&'static str>,
    /// The exit status of the task itself; `None`: it is running.
    status: fn(&str) -> Option<&'static str>,
    /// How requests for the task list are handled.
    list: List,
}

/// How a node handles requests for its task list.
#[derive(Clone, Copy)]
enum List {
    Sent,
    /// Refused with this status and text.
    Refused(&'static str),
    /// The list request gets no reply.
    Hanging,
}

async fn server(script: Script, tasks: Vec<Upid>) -> Server {
    let lists = AtomicUsize::new(0);
    Server::start(move |request| {
        if let Some(answer) = version(request) {
            return answer;
        }
        let target = request.line.strip_prefix("GET /nodes/").unwrap();
        let (node, rest) = target.split_once("/tasks").unwrap();
        if let Some(task) = rest.strip_suffix("/status") {
            let status = match (script.status)(task.trim_start_matches('/')) {
                Some(exit) => json!({"status": "stopped", "exitstatus": exit}),
                None => json!({"status": "running"}),
            };
            return Reaction::Reply(proxied_reply(&json!({"data": status}).to_string()));
        }
        assert!(
            rest.contains("source=all") && rest.contains("since="),
            "{rest}"
        );
        match script.list {
            List::Sent => {}
            List::Refused(line) => return refusal(line),
            List::Hanging => return Reaction::Hang(Vec::new()),
        }
        let number = lists.fetch_add(1, Ordering::Relaxed);
        let here = tasks.iter().filter(|task| task.node() == node);
        let entries: Vec<_> = here
            .filter_map(|task| {
                let status = (script.in_list)(number, task.as_str())?;
                let mut entry = json!({"upid": task.as_str(), "status": status});
                if status != "RUNNING" {
                    entry["endtime"] = json!(1_762_000_000);
                }
                Some(entry)
            })
            .collect();
        Reaction::Reply(proxied_reply(&json!({"data": entries}).to_string()))
    })
    .await
}

/// Waits for all tasks concurrently.
async fn wait(
    server: &Server,
    tasks: &[Upid],
    policy: WaitPolicy,
) -> Vec<Result<TaskExit, WaitError>> {
    let client = connect(server).await;
    let deadline = Instant::now() + LIMIT;
    let waits = tasks.iter().map(|task| async {
        let waited = client.wait_for_task(task, &policy, deadline).await;
        waited.map(|waited| waited.exit)
    });
    join_all(waits).await
}

fn exits(results: Vec<Result<TaskExit, WaitError>>) -> Vec<TaskExit> {
    results.into_iter().map(Result::unwrap).collect()
}

fn lists(server: &Server) -> usize {
    let received = server.received();
    let lines = received.iter().map(|request| request.line.as_str());
    lines.filter(|line| line.contains("/tasks?")).count()
}

#[tokio::test]
async fn one_list_serves_all_waits_of_a_node() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002), upid("pve1", 1003)];
    let script = Script {
        in_list: |number, task| match number {
            0 => Some("RUNNING"),
            _ if task.contains(":1002:") => Some("VM is locked (backup)"),
            _ if task.contains(":1003:") => Some("WARNINGS: 2"),
            _ => Some("OK"),
        },
        status: |_| panic!("no task needs to be polled itself"),
        list: List::Sent,
    };
    let server = server(script, tasks.clone()).await;
    let locked = TaskExit::Failed("VM is locked (backup)".to_owned());
    let expected = [TaskExit::Ok, locked, TaskExit::Warnings(2)];
    // Long enough for the lists to be trusted during the whole test.
    let policy = WaitPolicy {
        usual_duration: Some(Duration::from_secs(3_600)),
        ..POLICY
    };
    assert_eq!(exits(wait(&server, &tasks, policy).await), expected);
    assert_eq!(lists(&server), 2, "{:?}", server.received());
}

#[tokio::test]
async fn a_single_task_on_a_node_is_polled_itself() {
    let tasks = vec![upid("pve1", 1001), upid("pve2", 1002)];
    let script = Script {
        in_list: |_, _| panic!("a list is not useful for one task"),
        status: |_| Some("OK"),
        list: List::Sent,
    };
    let server = server(script, tasks.clone()).await;
    assert_eq!(
        exits(wait(&server, &tasks, POLICY).await),
        [TaskExit::Ok, TaskExit::Ok]
    );
}

/// The pvedaemon worker that started the task has retired, so the list does not show the end yet.
#[tokio::test]
async fn a_stale_list_is_not_trusted_for_long() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002)];
    let script = Script {
        in_list: |_, _| Some("RUNNING"),
        status: |_| Some("OK"),
        list: List::Sent,
    };
    let server = server(script, tasks.clone()).await;
    let began = Instant::now();
    assert_eq!(
        exits(wait(&server, &tasks, POLICY).await),
        [TaskExit::Ok, TaskExit::Ok]
    );
    assert!(began.elapsed() < LIMIT / 2);
    assert!(lists(&server) > 1);
}

#[tokio::test]
async fn a_task_that_is_not_listed_is_polled_itself() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002)];
    let script = Script {
        in_list: |_, task| task.contains(":1001:").then_some("OK"),
        status: |task| {
            assert!(task.contains(":1002:"), "{task}");
            Some("OK")
        },
        list: List::Sent,
    };
    let server = server(script, tasks.clone()).await;
    assert_eq!(
        exits(wait(&server, &tasks, POLICY).await),
        [TaskExit::Ok, TaskExit::Ok]
    );
}

#[tokio::test]
async fn a_forbidden_list_is_requested_once() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002), upid("pve1", 1003)];
    let script = Script {
        in_list: |_, _| None,
        status: |_| Some("OK"),
        list: List::Refused("400 Parameter verification failed."),
    };
    let server = server(script, tasks.clone()).await;
    assert_eq!(
        exits(wait(&server, &tasks, POLICY).await),
        vec![TaskExit::Ok; 3]
    );
    assert_eq!(lists(&server), 1);
}

/// The wait that has requested the list waits for it; the others poll their tasks.
#[tokio::test]
async fn a_list_without_reply_does_not_delay_other_waits() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002), upid("pve1", 1003)];
    let script = Script {
        in_list: |_, _| None,
        status: |_| Some("OK"),
        list: List::Hanging,
    };
    let server = server(script, tasks.clone()).await;
    let client = connect(&server).await;
    let policy = WaitPolicy {
        usual_duration: Some(Duration::from_secs(3_600)),
        ..POLICY
    };
    let mut waits = tokio::task::JoinSet::new();
    for task in tasks {
        let client = client.clone();
        let deadline = Instant::now() + LIMIT;
        waits.spawn(async move { client.wait_for_task(&task, &policy, deadline).await });
    }
    for _ in 0..2 {
        let waited = waits.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(waited.exit, TaskExit::Ok);
    }
    assert_eq!((lists(&server), waits.len()), (1, 1));
}

#[tokio::test]
async fn an_aborted_wait_does_not_affect_the_others() {
    let tasks = [upid("pve1", 1001), upid("pve1", 1002)];
    let script = Script {
        in_list: |_, _| Some("RUNNING"),
        status: |_| Some("OK"),
        list: List::Sent,
    };
    let server = server(script, tasks.to_vec()).await;
    let client = connect(&server).await;
    let [first, second] = tasks.map(|task| {
        let client = client.clone();
        let deadline = Instant::now() + LIMIT;
        tokio::spawn(async move { client.wait_for_task(&task, &POLICY, deadline).await })
    });
    while lists(&server) == 0 {
        tokio::task::yield_now().await;
    }
    // Perhaps while the list that this wait has requested is in flight.
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().exit, TaskExit::Ok);
}
