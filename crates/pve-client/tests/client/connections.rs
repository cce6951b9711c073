// SPDX-License-Identifier: GPL-3.0-only
//! Connections: how many are opened, when they are kept, and the bytes of a request.

use pve_client::{GuestKind, NewSnapshot};

use crate::raw_server::{Reaction, Server, proxied_reply, reply, version, with_head};
use crate::requests::{SNAPSHOTS, UPID, connect, create, server, upid_reply, upid_reply_to};

#[tokio::test]
async fn one_connection_serves_all_requests_despite_close_of_pvedaemon() {
    let server = server(|request| match request.line.as_str() {
        "POST /nodes/pve1/qemu/100/snapshot" => Reaction::Reply(upid_reply()),
        _ => Reaction::Reply(proxied_reply(SNAPSHOTS)),
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
async fn a_close_without_keep_alive_closes_the_connection() {
    let server =
        server(|_| Reaction::Reply(with_head("200 OK", &["Connection: close"], SNAPSHOTS))).await;
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
async fn there_are_no_more_connections_than_concurrent_requests() {
    let server = server(|_| Reaction::Reply(proxied_reply(SNAPSHOTS))).await;
    let client = connect(&server).await;
    for _ in 0..4 {
        let mut in_flight = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let client = client.clone();
            in_flight.spawn(async move { client.snapshots("pve1", GuestKind::Qemu, 100).await });
        }
        for outcome in in_flight.join_all().await {
            outcome.unwrap();
        }
    }
    assert!(server.connections() <= 5, "{}", server.connections());
    assert_eq!(client.statistics().requests, 21);
}

#[tokio::test]
async fn a_connection_serves_a_hundred_requests() {
    let server = server(|_| Reaction::Reply(proxied_reply(SNAPSHOTS))).await;
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
async fn requests_have_the_form_that_pve_accepts() {
    let server = server(|request| {
        assert!(
            request
                .headers
                .contains("authorization: PVEAPIToken=backup@pve!auto=")
        );
        assert!(!request.headers.to_lowercase().contains("transfer-encoding"));
        Reaction::Reply(upid_reply_to(request))
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
async fn the_ram_state_is_requested_only_for_virtual_machines() {
    let server = server(|request| Reaction::Reply(upid_reply_to(request))).await;
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

#[tokio::test]
async fn a_closed_idle_connection_is_detected_before_writing() {
    // A worker of pveproxy retires: it closes the connection despite its keep-alive.
    let server = Server::start_apart(|request| {
        version(request).unwrap_or_else(|| match request.line.as_str() {
            "GET /cluster/resources" => Reaction::Close(reply(r#"{"data":[]}"#)),
            _ => Reaction::Reply(upid_reply()),
        })
    });
    let client = connect(&server).await;
    for round in 1..=20 {
        client.resources().await.unwrap();
        // The runtime cannot poll its sockets here: the end of the connection has arrived, but hyper does
        // not know it yet.
        while server.closed() < round {
            std::thread::yield_now();
        }
        create(&client).await.unwrap();
    }
    assert_eq!(server.count("POST"), 20);
}

#[tokio::test]
async fn chunked_replies_and_replies_without_length_are_read() {
    let server = server(|request| {
        if request.line.contains("/pve1/") {
            Reaction::Reply(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"dat\r\n6\r\na\":[]}\r\n0\r\n\r\n"
                    .to_vec(),
            )
        } else {
            Reaction::Close(b"HTTP/1.0 200 OK\r\n\r\n{\"data\":[]}".to_vec())
        }
    })
    .await;
    let client = connect(&server).await;
    client.node_storages("pve1").await.unwrap();
    client.node_storages("pve2").await.unwrap();
}

#[tokio::test]
async fn the_clock_difference_is_read_from_replies() {
    let server = server(|_| {
        let date = [
            "Connection: Keep-Alive",
            "Date: Mon, 23 Nov 2009 01:42:49 GMT",
        ];
        Reaction::Reply(with_head("200 OK", &date, SNAPSHOTS))
    })
    .await;
    let client = connect(&server).await;
    assert_eq!(client.clock_difference(), None);
    client
        .snapshots("pve1", GuestKind::Qemu, 100)
        .await
        .unwrap();
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let expected = 1_258_940_569 - i64::try_from(since).unwrap();
    let difference = client.clock_difference().unwrap();
    assert!(
        (difference - expected).abs() <= 2,
        "{difference} instead of {expected}"
    );
}
