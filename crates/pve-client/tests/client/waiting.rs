// SPDX-License-Identifier: GPL-3.0-only
//! Waiting for tasks: how they end, what is survived, and what ends the waiting.

use std::sync::Mutex;
use std::time::Duration;

use pve_client::{Client, Error, TaskExit, Upid, WaitError, WaitPolicy};
use tokio::time::Instant;

use crate::calls::UPID;
use crate::support::{
    Reaction, Received, Server, answer, options, proxied_answer, refusal, token, version,
};

const QUICK: WaitPolicy = WaitPolicy {
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(20),
    usual: None,
};

fn running() -> Reaction {
    Reaction::Answer(proxied_answer(r#"{"data":{"status":"running","pid":1}}"#))
}

fn stopped(exit: &str) -> Reaction {
    let json = format!(r#"{{"data":{{"status":"stopped","exitstatus":"{exit}"}}}}"#);
    Reaction::Answer(proxied_answer(&json))
}

/// A server that answers looks at the task by these reactions, the last one for ever.
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
    options.repeat_pauses.clear();
    let client = Client::connect(options).await.unwrap();
    let task: Upid = UPID.parse().unwrap();
    client
        .wait_for_task(&task, &QUICK, Instant::now() + limit)
        .await
        .map(|waited| waited.exit)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_task_is_followed_to_its_end() {
    let server = task_server(vec![running, running, || stopped("OK")]).await;
    assert_eq!(wait(&server, LONG).await.unwrap(), TaskExit::Ok);
    assert_eq!(server.count("GET /nodes"), 3);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn every_end_is_reported_as_what_it_is() {
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
            TaskExit::Vanished("unexpected status".into()),
        ),
    ] {
        let server = task_server(vec![reaction]).await;
        assert_eq!(wait(&server, LONG).await.unwrap(), exit);
    }
}

#[tokio::test]
async fn passing_failures_of_a_look_are_survived() {
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
async fn a_task_that_outlives_the_deadline_is_said_to_run_on() {
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
    // There is never a look without a pause of 10 ms or more before it.
    assert!(
        (1..=6).contains(&server.count("GET /nodes")),
        "{:?}",
        server.received()
    );
}

#[tokio::test]
async fn a_deadline_in_the_past_still_gets_one_look() {
    let server = task_server(vec![|| stopped("OK")]).await;
    assert_eq!(wait(&server, Duration::ZERO).await.unwrap(), TaskExit::Ok);
}

#[tokio::test]
async fn the_last_failure_is_told_with_the_time_out() {
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
async fn a_task_we_may_not_see_ends_the_waiting() {
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
async fn the_log_is_read_in_lines_and_an_unknown_task_has_none() {
    let server = Server::start(|request| {
        version(request).unwrap_or_else(|| {
            let first = request.line.ends_with("/log?start=0&limit=50");
            Reaction::Answer(answer(if first {
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
async fn every_call_can_run_on_a_task_of_its_own() {
    fn check<T: Send>(_future: T) {}
    let server = task_server(vec![running]).await;
    let options = options(vec![server.endpoint()], token());
    check(Client::connect(options.clone()));
    let client = Client::connect(options).await.unwrap();
    let task: Upid = UPID.parse().unwrap();
    check(client.wait_for_task(&task, &QUICK, Instant::now()));
    check(client.task_log(&task, 0, 1));
    check(crate::calls::create(&client));
    check(client.version());
}
