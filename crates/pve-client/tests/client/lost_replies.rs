// SPDX-License-Identifier: GPL-3.0-only
//! Certainty after lost replies, against a server that cuts the connection at any byte.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use pve_client::{Certainty, Client, ClientOptions, Credentials, Endpoint, Error, GuestKind};

use crate::raw_server::{Reaction, Server, options, refusal, reply, short_timeout_options, token};
use crate::requests::{SNAPSHOTS, connect, create, server, upid_reply};

/// Checks that after a lost reply a GET is retried, and a POST is written once and its effect is unknown.
async fn check_lost(lose: fn() -> Reaction) {
    check_lost_with(options, lose).await;
}

/// Like [`check_lost`], with other options.
async fn check_lost_with(
    options: fn(Vec<Endpoint>, Credentials) -> ClientOptions,
    lose: fn() -> Reaction,
) {
    let gets = AtomicUsize::new(0);
    let server = server(move |request| {
        if request.line.starts_with("GET") && gets.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reaction::Reply(reply(SNAPSHOTS));
        }
        lose()
    })
    .await;
    let client = Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap();
    client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap();
    assert_eq!(server.count("GET /nodes"), 2);
    let error = create(&client).await.unwrap_err();
    assert!(matches!(error, Error::MaybeProcessed { .. }), "{error:?}");
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(server.count("POST"), 1, "{error}");
    let deletion = client
        .delete_snapshot("pve1", GuestKind::Qemu, 100, "old", false)
        .await;
    assert_eq!(deletion.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(server.count("DELETE"), 1);
    let change = client
        .set_snapshot_description("pve1", GuestKind::Qemu, 100, "old", "text")
        .await;
    assert_eq!(change.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(server.count("PUT"), 1);
}

#[tokio::test]
async fn a_reply_that_never_starts() {
    check_lost(|| Reaction::Close(Vec::new())).await;
}

#[tokio::test]
async fn a_reply_cut_in_its_status_line() {
    check_lost(|| Reaction::Close(b"HTTP/1.1 20".to_vec())).await;
}

#[tokio::test]
async fn a_reply_cut_in_its_headers() {
    check_lost(|| Reaction::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n".to_vec())).await;
}

#[tokio::test]
async fn a_reply_cut_in_its_body() {
    check_lost(|| {
        let whole = upid_reply();
        Reaction::Close(whole[..whole.len() - 5].to_vec())
    })
    .await;
}

#[tokio::test]
async fn a_timeout_before_the_reply() {
    check_lost_with(short_timeout_options, || Reaction::Hang(Vec::new())).await;
}

#[tokio::test]
async fn a_timeout_in_the_body() {
    check_lost_with(short_timeout_options, || {
        let whole = upid_reply();
        Reaction::Hang(whole[..whole.len() - 5].to_vec())
    })
    .await;
}

#[tokio::test]
async fn a_reply_lost_by_a_proxy() {
    check_lost(|| refusal("599 Too many redirections")).await;
    check_lost(|| refusal("596 Connection timed out")).await;
    check_lost(|| refusal("504 Gateway Timeout")).await;
}

#[tokio::test]
async fn a_read_fails_after_its_retries() {
    let server = server(|_| Reaction::Close(Vec::new())).await;
    let client = connect(&server).await;
    let error = client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(server.count("GET /nodes"), 4);
}

#[tokio::test]
async fn refusals_contain_the_reason_phrase_and_are_final() {
    let server = server(|request| {
        if request.line.starts_with("POST") {
            refusal("500 VM is locked (backup)")
        } else {
            refusal("403 Permission check failed (/vms/100, VM.Audit)")
        }
    })
    .await;
    let client = connect(&server).await;
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.reason(), Some("VM is locked (backup)"));
    assert_eq!(error.certainty(), Certainty::Refused);
    let error = client
        .guest_config("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap_err();
    let missing = error.missing_privilege().unwrap();
    assert_eq!(
        (missing.path.as_str(), missing.privilege.as_str()),
        ("/vms/100", "VM.Audit")
    );
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn only_reads_are_retried_while_a_daemon_restarts() {
    let refused = AtomicUsize::new(0);
    let server = server(move |request| {
        if request.line.starts_with("POST") || refused.fetch_add(1, Ordering::SeqCst) < 2 {
            refusal("595 Connection refused")
        } else {
            Reaction::Reply(reply(SNAPSHOTS))
        }
    })
    .await;
    let client = connect(&server).await;
    client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap();
    assert_eq!(server.count("GET /nodes"), 3);
    let error = create(&client).await.unwrap_err();
    assert_eq!(
        (error.status(), error.certainty()),
        (Some(595), Certainty::Refused)
    );
    assert_eq!(server.count("POST"), 1);
}

#[tokio::test]
async fn the_effect_is_unknown_after_a_reply_without_upid() {
    let server = server(|_| Reaction::Reply(reply(r#"{"data":null}"#))).await;
    let client = connect(&server).await;
    let error = create(&client).await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedReply { .. }), "{error:?}");
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(server.count("POST"), 1);
}

/// A server that replies to everything but `/version` with the bytes in the cell, and closes.
async fn cell_server() -> (Client, Arc<Mutex<Vec<u8>>>, Server) {
    let cell = Arc::new(Mutex::new(Vec::new()));
    let bytes = Arc::clone(&cell);
    let server = server(move |_| Reaction::Close(bytes.lock().unwrap().clone())).await;
    (connect(&server).await, cell, server)
}

#[tokio::test]
async fn a_write_is_not_retried_wherever_its_reply_is_cut() {
    let (client, cell, server) = cell_server().await;
    let whole = upid_reply();
    for length in 0..whole.len() {
        *cell.lock().unwrap() = whole[..length].to_vec();
        let error = create(&client).await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown, "{length}: {error}");
    }
    assert_eq!(server.count("POST"), whole.len());
    *cell.lock().unwrap() = whole;
    create(&client).await.unwrap();
}

#[test]
fn garbage_is_never_a_task_and_never_causes_a_retry() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (client, cell, server) = runtime.block_on(cell_server());
    let garbage = proptest::collection::vec(proptest::num::u8::ANY, 0..200);
    let head = proptest::sample::select(vec![
        "",
        "HTTP/1.1 ",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"data\":",
    ]);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(100));
    let outcome = runner.run(&(head, garbage), |(head, garbage)| {
        let before = server.count("POST");
        *cell.lock().unwrap() = [head.as_bytes(), &garbage].concat();
        let error = runtime.block_on(create(&client)).unwrap_err();
        prop_assert_eq!(error.certainty(), Certainty::Unknown);
        prop_assert_eq!(server.count("POST"), before + 1);
        Ok(())
    });
    outcome.unwrap();
}
