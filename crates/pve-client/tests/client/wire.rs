// SPDX-License-Identifier: GPL-3.0-only
//! Connections and the certainty of delivery, against a server that cuts the line wherever a test
//! wants it.

use std::sync::atomic::{AtomicUsize, Ordering};

use pve_client::{Certainty, Client, Error, GuestKind, NewSnapshot, Upid};

use crate::support::{
    Reaction, Received, Server, answer, options, proxied_answer, refusal, token, version, with_head,
};

const UPID: &str = "UPID:pve1:00004228:000620B9:6902CF35:qmsnapshot:100:backup@pve!auto:";
const SNAPSHOTS: &str = r#"{"data":[{"name":"a","snaptime":1795396341},{"name":"current"}]}"#;

fn upid_answer() -> Vec<u8> {
    proxied_answer(&format!(r#"{{"data":"{UPID}"}}"#))
}

async fn connect(server: &Server) -> Client {
    Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap()
}

async fn create(client: &Client) -> Result<Upid, Error> {
    let snapshot = NewSnapshot {
        name: "auto_daily".into(),
        description: "cv4pve-autosnap".into(),
        with_memory: false,
    };
    client
        .create_snapshot("pve1", GuestKind::Qemu, 100, &snapshot)
        .await
}

/// Starts a server that answers `/version` and otherwise does what `react` says.
async fn server(react: impl Fn(&Received) -> Reaction + Send + Sync + 'static) -> Server {
    Server::start(move |request| version(request).unwrap_or_else(|| react(request))).await
}

#[tokio::test]
async fn one_connection_serves_all_though_pvedaemon_says_close() {
    let server = server(|request| match request.line.as_str() {
        "POST /nodes/pve1/qemu/100/snapshot" => Reaction::Answer(upid_answer()),
        _ => Reaction::Answer(proxied_answer(SNAPSHOTS)),
    })
    .await;
    let client = connect(&server).await;
    for _ in 0..5 {
        assert_eq!(create(&client).await.unwrap().as_str(), UPID);
        let listing = client
            .snapshots("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap();
        assert_eq!(listing.snapshots.len(), 1);
    }
    assert_eq!(server.connections(), 1);
    let statistics = client.statistics();
    assert_eq!(
        (statistics.requests, statistics.connections_opened),
        (11, 1)
    );
}

#[tokio::test]
async fn a_close_that_is_meant_is_heeded() {
    let server =
        server(|_| Reaction::Answer(with_head("200 OK", &["Connection: close"], SNAPSHOTS))).await;
    let client = connect(&server).await;
    for _ in 0..3 {
        client
            .snapshots("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap();
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn no_more_connections_than_requests_in_flight() {
    let server = server(|_| Reaction::Answer(proxied_answer(SNAPSHOTS))).await;
    let client = connect(&server).await;
    for _ in 0..4 {
        let mut flying = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let client = client.clone();
            flying.spawn(async move { client.snapshots("pve1", GuestKind::Qemu, 100).await });
        }
        for outcome in flying.join_all().await {
            outcome.unwrap();
        }
    }
    assert!(server.connections() <= 5, "{}", server.connections());
    assert_eq!(client.statistics().requests, 21);
}

#[tokio::test]
async fn a_connection_is_left_after_a_hundred_requests() {
    let server = server(|_| Reaction::Answer(proxied_answer(SNAPSHOTS))).await;
    let client = connect(&server).await;
    for _ in 0..100 {
        client
            .snapshots("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap();
    }
    assert_eq!(server.connections(), 2);
    let on_first = server
        .received()
        .iter()
        .filter(|request| request.connection == 0)
        .count();
    assert_eq!(on_first, 100);
}

#[tokio::test]
async fn requests_look_as_pve_wants_them() {
    let server = server(|request| {
        assert!(
            request
                .headers
                .contains("authorization: PVEAPIToken=backup@pve!auto=")
        );
        assert!(!request.headers.to_lowercase().contains("transfer-encoding"));
        Reaction::Answer(upid_answer())
    })
    .await;
    let client = connect(&server).await;
    create(&client).await.unwrap();
    client
        .delete_snapshot("pve1", GuestKind::Lxc, 200, "old", true)
        .await
        .unwrap();
    client
        .delete_snapshot("pve1", GuestKind::Lxc, 200, "old", false)
        .await
        .unwrap();
    let received = server.received();
    assert_eq!(received[1].line, "POST /nodes/pve1/qemu/100/snapshot");
    assert_eq!(
        received[1].body,
        "snapname=auto_daily&description=cv4pve-autosnap"
    );
    let length = format!("content-length: {}", received[1].body.len());
    assert!(
        received[1].headers.contains(&length),
        "{}",
        received[1].headers
    );
    assert_eq!(
        received[2].line,
        "DELETE /nodes/pve1/lxc/200/snapshot/old?force=1"
    );
    assert_eq!(received[3].line, "DELETE /nodes/pve1/lxc/200/snapshot/old");
    for request in &received[2..] {
        assert_eq!(request.body, "");
        assert!(
            !request.headers.contains("content-type"),
            "{}",
            request.headers
        );
    }
}

#[tokio::test]
async fn memory_is_asked_for_with_virtual_machines_only() {
    let server = server(|_| Reaction::Answer(upid_answer())).await;
    let client = connect(&server).await;
    let snapshot = NewSnapshot {
        name: "ram".into(),
        description: String::new(),
        with_memory: true,
    };
    client
        .create_snapshot("pve1", GuestKind::Qemu, 100, &snapshot)
        .await
        .unwrap();
    client
        .create_snapshot("pve1", GuestKind::Lxc, 200, &snapshot)
        .await
        .unwrap();
    let received = server.received();
    assert_eq!(received[1].body, "snapname=ram&vmstate=1");
    assert_eq!(received[2].body, "snapname=ram");
}

/// Every way an answer can get lost: a GET is repeated, a POST is written once and left open.
async fn check_lost(lose: fn() -> Reaction) {
    let gets = AtomicUsize::new(0);
    let server = server(move |request| {
        if request.line.starts_with("GET") && gets.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reaction::Answer(answer(SNAPSHOTS));
        }
        lose()
    })
    .await;
    let client = connect(&server).await;
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
}

#[tokio::test]
async fn an_answer_that_never_starts() {
    check_lost(|| Reaction::Close(Vec::new())).await;
}

#[tokio::test]
async fn an_answer_cut_in_its_status_line() {
    check_lost(|| Reaction::Close(b"HTTP/1.1 20".to_vec())).await;
}

#[tokio::test]
async fn an_answer_cut_in_its_headers() {
    check_lost(|| Reaction::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n".to_vec())).await;
}

#[tokio::test]
async fn an_answer_cut_in_its_body() {
    check_lost(|| {
        let whole = upid_answer();
        Reaction::Close(whole[..whole.len() - 5].to_vec())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_hangs_before_it_starts() {
    check_lost(|| Reaction::Hang(Vec::new())).await;
}

#[tokio::test]
async fn an_answer_that_hangs_in_its_body() {
    check_lost(|| {
        let whole = upid_answer();
        Reaction::Hang(whole[..whole.len() - 5].to_vec())
    })
    .await;
}

#[tokio::test]
async fn an_answer_a_proxy_lost() {
    check_lost(|| refusal("599 Too many redirections")).await;
    check_lost(|| refusal("596 Connection timed out")).await;
    check_lost(|| refusal("504 Gateway Timeout")).await;
}

#[tokio::test]
async fn a_read_that_never_succeeds_ends_after_its_repetitions() {
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
async fn a_kept_connection_the_server_closed_is_noticed_before_writing() {
    // A worker of pveproxy retires: it closes although it promised to keep the connection.
    let server = server(|request| match request.line.as_str() {
        "GET /cluster/resources" => Reaction::Close(answer(r#"{"data":[]}"#)),
        _ => Reaction::Answer(upid_answer()),
    })
    .await;
    let client = connect(&server).await;
    for _ in 0..20 {
        client.resources().await.unwrap();
        // The server is on the same thread: it closes when it gets its turn.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        create(&client).await.unwrap();
    }
    assert_eq!(server.count("POST"), 20);
}

#[tokio::test]
async fn refusals_carry_the_reason_phrase_and_are_final() {
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
async fn a_daemon_that_restarts_is_waited_for_when_reading_only() {
    let refused = AtomicUsize::new(0);
    let server = server(move |request| {
        if request.line.starts_with("POST") || refused.fetch_add(1, Ordering::SeqCst) < 2 {
            refusal("595 Connection refused")
        } else {
            Reaction::Answer(answer(SNAPSHOTS))
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
async fn an_answer_without_a_upid_leaves_open_what_happened() {
    let server = server(|_| Reaction::Answer(answer(r#"{"data":null}"#))).await;
    let client = connect(&server).await;
    let error = create(&client).await.unwrap_err();
    assert!(matches!(error, Error::NotUnderstood { .. }), "{error:?}");
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(server.count("POST"), 1);
}

#[tokio::test]
async fn chunked_and_unbounded_answers_are_read_too() {
    let server = server(|request| {
        if request.line.contains("/100/") {
            Reaction::Answer(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"dat\r\n6\r\na\":[]}\r\n0\r\n\r\n"
                    .to_vec(),
            )
        } else {
            Reaction::Close(b"HTTP/1.0 200 OK\r\n\r\n{\"data\":[]}".to_vec())
        }
    })
    .await;
    let client = connect(&server).await;
    client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap();
    client
        .snapshots("pve1", GuestKind::Qemu, 101)
        .await
        .unwrap();
}
