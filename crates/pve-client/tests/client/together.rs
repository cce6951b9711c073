// SPDX-License-Identifier: GPL-3.0-only
//! Waiting for several tasks of one node at once: one list tells of all, and is not the only thing
//! that is believed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use pve_client::{TaskExit, Upid, WaitError, WaitPolicy};
use serde_json::json;
use tokio::time::Instant;

use crate::calls::connect;
use crate::support::{Reaction, Server, proxied_answer, refusal, version};

const POLICY: WaitPolicy = WaitPolicy {
    first_pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(40),
    usual: None,
};
const LIMIT: Duration = Duration::from_secs(20);

fn upid(node: &str, number: u32) -> Upid {
    format!("UPID:{node}:0000{number}:000620B9:6902CF35:qmsnapshot:{number}:backup@pve!auto:")
        .parse()
        .unwrap()
}

/// What a server says of its tasks.
#[derive(Clone, Copy)]
struct Says {
    /// The state in a list, by the number of the list and the task; `None`: not in it.
    in_list: fn(usize, &str) -> Option<&'static str>,
    /// Exit status when the task itself is asked; `None`: it runs.
    itself: fn(&str) -> Option<&'static str>,
    /// The list is refused with this.
    refuses: Option<&'static str>,
}

async fn server(says: Says, tasks: Vec<Upid>) -> Server {
    let lists = AtomicUsize::new(0);
    Server::start(move |request| {
        if let Some(answer) = version(request) {
            return answer;
        }
        let target = request.line.strip_prefix("GET /nodes/").unwrap();
        let (node, rest) = target.split_once("/tasks").unwrap();
        if let Some(task) = rest.strip_suffix("/status") {
            let status = match (says.itself)(task.trim_start_matches('/')) {
                Some(exit) => json!({"status": "stopped", "exitstatus": exit}),
                None => json!({"status": "running"}),
            };
            return Reaction::Answer(proxied_answer(&json!({"data": status}).to_string()));
        }
        assert!(
            rest.contains("source=all") && rest.contains("since="),
            "{rest}"
        );
        if let Some(line) = says.refuses {
            return refusal(line);
        }
        let number = lists.fetch_add(1, Ordering::Relaxed);
        let here = tasks.iter().filter(|task| task.node() == node);
        let entries: Vec<_> = here
            .filter_map(|task| {
                let status = (says.in_list)(number, task.as_str())?;
                let mut entry = json!({"upid": task.as_str(), "status": status});
                if status != "RUNNING" {
                    entry["endtime"] = json!(1_762_000_000);
                }
                Some(entry)
            })
            .collect();
        Reaction::Answer(proxied_answer(&json!({"data": entries}).to_string()))
    })
    .await
}

/// Waits for all of them at once.
async fn wait(server: &Server, tasks: &[Upid]) -> Vec<Result<TaskExit, WaitError>> {
    wait_with(POLICY, server, tasks).await
}

async fn wait_with(
    policy: WaitPolicy,
    server: &Server,
    tasks: &[Upid],
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
async fn one_list_tells_of_all_tasks_of_a_node() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002), upid("pve1", 1003)];
    let says = Says {
        in_list: |number, task| match number {
            0 => Some("RUNNING"),
            _ if task.contains(":1002:") => Some("VM is locked (backup)"),
            _ if task.contains(":1003:") => Some("WARNINGS: 2"),
            _ => Some("OK"),
        },
        itself: |_| panic!("nobody needs to ask a task itself"),
        refuses: None,
    };
    let server = server(says, tasks.clone()).await;
    let locked = TaskExit::Failed("VM is locked (backup)".to_owned());
    let expected = [TaskExit::Ok, locked, TaskExit::Warnings(2)];
    // They are known to take long, so that nobody asks them before that, however slow this machine is.
    let policy = WaitPolicy {
        usual: Some(Duration::from_secs(3_600)),
        ..POLICY
    };
    let waited = wait_with(policy, &server, &tasks).await;
    assert_eq!(exits(waited), expected);
    assert_eq!(lists(&server), 2, "{:?}", server.received());
}

#[tokio::test]
async fn a_task_alone_on_its_node_is_asked_itself() {
    let tasks = vec![upid("pve1", 1001), upid("pve2", 1002)];
    let says = Says {
        in_list: |_, _| panic!("a list tells no more than the task"),
        itself: |_| Some("OK"),
        refuses: None,
    };
    let server = server(says, tasks.clone()).await;
    assert_eq!(
        exits(wait(&server, &tasks).await),
        [TaskExit::Ok, TaskExit::Ok]
    );
}

/// The worker that started the task has retired, so that nobody has noticed its end yet.
#[tokio::test]
async fn a_list_that_lags_is_not_believed_for_long() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002)];
    let says = Says {
        in_list: |_, _| Some("RUNNING"),
        itself: |_| Some("OK"),
        refuses: None,
    };
    let server = server(says, tasks.clone()).await;
    let began = Instant::now();
    assert_eq!(
        exits(wait(&server, &tasks).await),
        [TaskExit::Ok, TaskExit::Ok]
    );
    assert!(began.elapsed() < LIMIT / 2);
    assert!(lists(&server) > 1);
}

#[tokio::test]
async fn a_task_that_is_not_in_the_list_is_asked_itself() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002)];
    let says = Says {
        in_list: |_, task| task.contains(":1001:").then_some("OK"),
        itself: |task| {
            assert!(task.contains(":1002:"), "{task}");
            Some("OK")
        },
        refuses: None,
    };
    let server = server(says, tasks.clone()).await;
    assert_eq!(
        exits(wait(&server, &tasks).await),
        [TaskExit::Ok, TaskExit::Ok]
    );
}

#[tokio::test]
async fn a_node_that_gives_no_list_is_asked_for_it_once() {
    let tasks = vec![upid("pve1", 1001), upid("pve1", 1002), upid("pve1", 1003)];
    let says = Says {
        in_list: |_, _| None,
        itself: |_| Some("OK"),
        refuses: Some("400 Parameter verification failed."),
    };
    let server = server(says, tasks.clone()).await;
    assert_eq!(exits(wait(&server, &tasks).await), vec![TaskExit::Ok; 3]);
    assert_eq!(lists(&server), 1);
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_the_others_undisturbed() {
    let tasks = [upid("pve1", 1001), upid("pve1", 1002)];
    let says = Says {
        in_list: |_, _| Some("RUNNING"),
        itself: |_| Some("OK"),
        refuses: None,
    };
    let server = server(says, tasks.to_vec()).await;
    let client = connect(&server).await;
    let [first, second] = tasks.map(|task| {
        let client = client.clone();
        let deadline = Instant::now() + LIMIT;
        tokio::spawn(async move { client.wait_for_task(&task, &POLICY, deadline).await })
    });
    while lists(&server) == 0 {
        tokio::task::yield_now().await;
    }
    // Perhaps in the middle of the list that this one has asked for.
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().exit, TaskExit::Ok);
}
