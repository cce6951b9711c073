// SPDX-License-Identifier: GPL-3.0-only
//! Unreachable and silent hosts, and transient errors.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pve_client::{Certainty, Client, Error, GuestKind, TaskFilter, TaskStatus};
use tokio::net::TcpListener;

use crate::raw_server::{
    Reaction, Server, options, refusal, reply, short_timeout_options, token, version,
};
use crate::requests::create;

/// After a read that reached no host, not every read tries again.
#[tokio::test]
async fn an_unreachable_host_is_not_tried_by_every_read() {
    let server = Server::start(|request| {
        version(request).unwrap_or_else(|| Reaction::Reply(reply(r#"{"data":[]}"#)))
    })
    .await;
    let client = Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap();
    let address = server.stop().await.to_string();
    let listener = TcpListener::bind(address).await.unwrap();
    let tried = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tried);
    let gone = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    for vmid in 100..300 {
        let error = client
            .snapshots("pve1", GuestKind::Qemu, vmid)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NotSent { .. }), "{error:?}");
    }
    let tried = tried.load(Ordering::SeqCst);
    // Four attempts of the first read; the others try once every two seconds.
    assert!((4..20).contains(&tried), "{tried} attempts");
    // A write makes all its attempts.
    create(&client).await.unwrap_err();
    gone.abort();
}

/// After five timeouts in a row no write is sent; a reply ends that.
#[tokio::test]
async fn a_host_is_silent_after_five_timeouts() {
    let silent = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&silent);
    let server = Server::start(move |request| {
        if flag.load(Ordering::SeqCst) {
            return Reaction::Hang(Vec::new());
        }
        version(request).unwrap_or_else(|| Reaction::Reply(reply(r#"{"data":[]}"#)))
    })
    .await;
    let client = Client::connect(short_timeout_options(vec![server.endpoint()], token()))
        .await
        .unwrap();
    silent.store(true, Ordering::SeqCst);
    for vmid in 100..110 {
        let error = client
            .snapshots("pve1", GuestKind::Qemu, vmid)
            .await
            .unwrap_err();
        assert_ne!(error.certainty(), Certainty::Refused, "{error}");
    }
    assert!(client.is_server_lost());
    assert_eq!(server.count("GET /nodes"), 5);
    let error = create(&client).await.unwrap_err();
    assert!(
        error.to_string().contains("no reply to the last"),
        "{error}"
    );
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_eq!(server.count("POST"), 0);
}

#[tokio::test]
async fn a_deadline_ends_a_read_and_its_retries() {
    let server =
        Server::start(|request| version(request).unwrap_or_else(|| Reaction::Hang(Vec::new())))
            .await;
    let client = Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap();
    let started = tokio::time::Instant::now();
    let soon = started + std::time::Duration::from_millis(100);
    let client = client.with_deadline(soon);
    let error = client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown, "{error}");
    // The timeout of one request is 20 s.
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(server.count("GET /nodes"), 1);
    assert!(!client.is_server_lost());
}

#[tokio::test]
async fn only_reads_are_retried_after_a_transient_error() {
    for status in [
        "500 got timeout",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "595 Connection timed out",
        "596 Broken pipe",
    ] {
        let met = Mutex::new(HashSet::new());
        let server = Server::start(move |request| {
            if request.line.starts_with("POST") || met.lock().unwrap().insert(request.line.clone())
            {
                return refusal(status);
            }
            let json = match request.line.as_str() {
                line if line.ends_with("/status") => r#"{"data":{"status":"running"}}"#,
                line if line.ends_with("/config") => r#"{"data":{"digest":"x"}}"#,
                line if line.ends_with("/snapshot") => {
                    r#"{"data":[{"name":"current","description":"You are here!"}]}"#
                }
                _ => r#"{"data":[]}"#,
            };
            version(request).unwrap_or_else(|| Reaction::Reply(reply(json)))
        })
        .await;
        let client = Client::connect(options(vec![server.endpoint()], token()))
            .await
            .unwrap();
        client.resources().await.unwrap();
        client.node_storages("pve1").await.unwrap();
        client
            .guest_config("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap();
        client
            .snapshots("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap();
        client
            .node_tasks("pve1", &TaskFilter::default())
            .await
            .unwrap();
        let upid = "UPID:pve1:0000A1B2:00C3D4E5:6553F100:qmsnapshot:100:backup@pve!auto:";
        let running = client.task_status(&upid.parse().unwrap()).await.unwrap();
        assert_eq!(running, TaskStatus::Running);
        create(&client).await.unwrap_err();
        assert_eq!(server.count("POST"), 1, "{status}");
    }
}

#[tokio::test]
async fn a_read_is_not_retried_after_a_final_error() {
    for status in [
        "500 Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist",
        "500 no such task",
        "403 Permission check failed (/vms/100, VM.Audit)",
    ] {
        let server =
            Server::start(move |request| version(request).unwrap_or_else(|| refusal(status))).await;
        let client = Client::connect(options(vec![server.endpoint()], token()))
            .await
            .unwrap();
        client
            .snapshots("pve1", GuestKind::Qemu, 100)
            .await
            .unwrap_err();
        assert_eq!(server.count("GET /nodes"), 1, "{status}");
    }
}
