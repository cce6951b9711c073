// SPDX-License-Identifier: GPL-3.0-only
//! Waiting for one task: how it ends, which errors are tolerated, and which end the wait.

use std::sync::Mutex;
use std::time::Duration;

use pve_client::{Client, Error, TaskExit, Upid, WaitError, WaitPolicy};
use tokio::time::Instant;

use crate::raw_server::{
    Reaction, Received, Server, options, proxied_reply, refusal, reply, token, version,
};
use crate::requests::UPID;

const QUICK: WaitPolicy = WaitPolicy {
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(20),
    usual_duration: None,
};

fn running() -> Reaction {
    Reaction::Reply(proxied_reply(r#"{"data":{"status":"running","pid":1}}"#))
}

fn stopped(exit: &str) -> Reaction {
    let json = format!(r#"{{"data":{{"status":"stopped","exitstatus":"{exit}"}}}}"#);
    Reaction::Reply(proxied_reply(&json))
}

/// A server that replies to polls of the task with these reactions; the last one is repeated.
async fn task_server(reactions: Vec<fn() -> Reaction>) -> Server {
    let left = Mutex::new(reactions);
    let react = move |request: &Received| {
        assert_eq!(request.line, format!("GET /nodes/pve1/tasks/{UPID}/status"));
        let mut left = left.lock().unwrap();
        if left.len() > 1 {
            left.remove(0)()
        } else {
            left[0]()
        }
    };
    Server::start(move |request| version(request).unwrap_or_else(|| react(request))).await
}

async fn wait(server: &Server, limit: Duration) -> Result<TaskExit, WaitError> {
    let mut options = options(vec![server.endpoint()], token());
    options.retry_pauses.clear();
    let client = Client::connect(options).await.unwrap();
    let task: Upid = UPID.parse().unwrap();
    client
        .wait_for_task(&task, &QUICK, Instant::now() + limit)
        .await
        .map(|waited| waited.exit)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_task_is_polled_until_it_ends() {
    let server = task_server(vec![running, running, || stopped("OK")]).await;
    assert_eq!(wait(&server, LONG).await.unwrap(), TaskExit::Ok);
    assert_eq!(server.count("GET /nodes"), 3);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn every_exit_status_is_reported() {
    for (reaction, exit) in [
        (
            (|| stopped("WARNINGS: 1")) as fn() -> Reaction,
            TaskExit::Warnings(1),
        ),
        (
            || stopped("VM is locked (backup)"),
            TaskExit::Failed("VM is locked (backup)".into()),
        ),
        (
            || stopped("unexpected status"),
            TaskExit::NoResult("unexpected status".into()),
        ),
    ] {
        let server = task_server(vec![reaction]).await;
        assert_eq!(wait(&server, LONG).await.unwrap(), exit);
    }
}

#[tokio::test]
async fn transient_errors_do_not_end_the_wait() {
    let server = task_server(vec![
        || refusal("595 No route to host"),
        || Reaction::Close(Vec::new()),
        || refusal("596 Broken pipe"),
        running,
        || stopped("OK"),
    ])
    .await;
    assert_eq!(wait(&server, LONG).await.unwrap(), TaskExit::Ok);
}

#[tokio::test]
async fn a_task_that_runs_at_the_deadline_is_a_timeout() {
    let server = task_server(vec![running]).await;
    let error = wait(&server, Duration::from_millis(60)).await.unwrap_err();
    let WaitError::TimedOut {
        upid,
        last_error: None,
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(upid.as_str(), UPID);
    let text = error.to_string();
    assert!(
        text.contains("may still be running on node pve1") && text.contains(UPID),
        "{text}"
    );
    // There is a pause of 10 ms or more before each poll.
    assert!(
        (1..=6).contains(&server.count("GET /nodes")),
        "{:?}",
        server.received()
    );
}

#[tokio::test]
async fn a_deadline_in_the_past_allows_one_poll() {
    let server = task_server(vec![|| stopped("OK")]).await;
    assert_eq!(wait(&server, Duration::ZERO).await.unwrap(), TaskExit::Ok);
}

#[tokio::test]
async fn a_timeout_contains_the_last_error() {
    let server = task_server(vec![|| refusal("595 No route to host")]).await;
    let error = wait(&server, Duration::from_millis(40)).await.unwrap_err();
    assert!(
        matches!(
            &error,
            WaitError::TimedOut {
                last_error: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("No route to host"), "{error}");
}

#[tokio::test]
async fn a_refused_poll_ends_the_wait() {
    let server = task_server(vec![|| {
        refusal("403 Permission check failed (/nodes/pve1, Sys.Audit)")
    }])
    .await;
    let error = wait(&server, LONG).await.unwrap_err();
    let WaitError::Unreadable { error, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(**error, Error::Refused { status: 403, .. }),
        "{error:?}"
    );
    assert_eq!(server.count("GET /nodes"), 1);
}

#[tokio::test]
async fn the_log_has_lines_and_that_of_an_unknown_task_none() {
    let server = Server::start(|request| {
        version(request).unwrap_or_else(|| {
            let first = request.line.ends_with("/log?start=0&limit=50");
            Reaction::Reply(reply(if first {
                r#"{"total":2,"data":[{"n":1,"t":"trying to acquire lock..."},{"n":2,"t":"TASK OK"}]}"#
            } else {
                r#"{"total":1,"data":{"n":1,"t":"unable to open file - No such file or directory"}}"#
            }))
        })
    })
    .await;
    let client = Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap();
    let task: Upid = UPID.parse().unwrap();
    assert_eq!(
        client.task_log(&task, 0, 50).await.unwrap(),
        ["trying to acquire lock...", "TASK OK"]
    );
    assert!(client.task_log(&task, 50, 50).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_futures_are_send() {
    fn check<T: Send>(_future: T) {}
    let server = task_server(vec![running]).await;
    let options = options(vec![server.endpoint()], token());
    check(Client::connect(options.clone()));
    let client = Client::connect(options).await.unwrap();
    let task: Upid = UPID.parse().unwrap();
    check(client.wait_for_task(&task, &QUICK, Instant::now()));
    check(client.task_log(&task, 0, 1));
    check(crate::requests::create(&client));
    check(client.version());
}
