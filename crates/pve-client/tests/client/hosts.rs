// SPDX-License-Identifier: GPL-3.0-only
//! Several hosts: which one is used, and hosts that are off, slow, or not PVE.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pve_client::{Certainty, Client, Endpoint, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::raw_server::{
    Reaction, Received, Server, options, refusal, reply, short_timeout_options, token,
    unused_endpoint, version,
};
use crate::requests::{create, upid_reply};

/// A cluster with one node, as in `/nodes` and `/cluster/resources`.
const NODES: &str = r#"{"data":[{"type":"node","node":"pve1","status":"online"}]}"#;

fn good(request: &Received) -> Reaction {
    version(request).unwrap_or_else(|| match request.line.split(' ').next() {
        Some("GET") => Reaction::Reply(reply(NODES)),
        _ => Reaction::Reply(upid_reply()),
    })
}

#[tokio::test]
async fn the_first_host_that_replies_is_used() {
    let (first, second) = (Server::start(good).await, Server::start(good).await);
    let endpoints = vec![unused_endpoint().await, first.endpoint(), second.endpoint()];
    let client = Client::connect(options(endpoints, token())).await.unwrap();
    assert_eq!(client.current_endpoint(), first.endpoint());
    assert_eq!(client.peer_fingerprint(), Some(first.fingerprint()));
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn the_error_names_every_unreachable_host() {
    let (first, second) = (unused_endpoint().await, unused_endpoint().await);
    let endpoints = vec![first.clone(), second.clone()];
    let error = Client::connect(options(endpoints, token()))
        .await
        .unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent);
    for text in [
        first.to_string(),
        second.to_string(),
        "connection refused".to_owned(),
    ] {
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_host_name_is_reported() {
    let mut endpoint = unused_endpoint().await;
    endpoint.host = "no-such-host.invalid".into();
    let error = Client::connect(options(vec![endpoint], token()))
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with(": host name not found"),
        "{error}"
    );
}

#[tokio::test]
async fn requests_fail_over_to_the_other_host_and_back() {
    let (first, second) = (Server::start(good).await, Server::start(good).await);
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::connect(options(endpoints, token())).await.unwrap();
    create(&client).await.unwrap();
    let first_endpoint = first.stop().await;
    // The idle connection is closed and nothing was written: the POST goes to the other host.
    tokio::task::yield_now().await;
    create(&client).await.unwrap();
    assert_eq!(client.current_endpoint(), second.endpoint());
    assert_eq!(second.count("POST"), 1);
    let first = Server::start_at(&first_endpoint.to_string(), good).await;
    client.resources().await.unwrap();
    assert_eq!(first.connections(), 0, "a working host stays current");
    second.stop().await;
    tokio::task::yield_now().await;
    create(&client).await.unwrap();
    assert_eq!(
        (client.current_endpoint(), first.count("POST")),
        (first_endpoint, 1)
    );
}

#[tokio::test]
async fn a_write_is_retried_until_a_host_is_back() {
    let first = Server::start(good).await;
    let mut options = options(vec![first.endpoint()], token());
    // During the pauses the server below starts; the test itself does not sleep.
    options.retry_pauses = vec![std::time::Duration::from_millis(5); 40];
    let client = Client::connect(options).await.unwrap();
    let address = first.stop().await.to_string();
    let (outcome, server) = tokio::join!(create(&client), Server::start_at(&address, good));
    outcome.unwrap();
    assert_eq!(server.count("POST"), 1);
}

#[tokio::test]
async fn after_a_timeout_the_next_host_is_used_and_reads_are_retried() {
    let hangs = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&hangs);
    let first = Server::start(move |request| {
        if flag.load(Ordering::SeqCst) {
            Reaction::Hang(Vec::new())
        } else {
            good(request)
        }
    })
    .await;
    let second = Server::start(good).await;
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::connect(short_timeout_options(endpoints, token()))
        .await
        .unwrap();
    client.resources().await.unwrap();
    hangs.store(true, Ordering::SeqCst);
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(
        (first.count("POST"), second.count("POST")),
        (1, 0),
        "never sent twice"
    );
    assert_eq!(client.current_endpoint(), second.endpoint());
    client.resources().await.unwrap();
    assert_eq!(second.count("GET /cluster/resources"), 1);
}

#[tokio::test]
async fn all_requests_in_flight_move_to_the_next_host() {
    let (first, second) = (Server::start(good).await, Server::start(good).await);
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::connect(options(endpoints, token())).await.unwrap();
    first.stop().await;
    let mut in_flight = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        in_flight.spawn(async move { client.resources().await });
    }
    for outcome in in_flight.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(second.count("GET /cluster/resources"), 20);
}

/// A server without TLS that sends this text after any request.
async fn plain_server(text: &'static str) -> pve_client::Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = socket.write_all(text.as_bytes()).await;
        }
    });
    pve_client::Endpoint {
        host: "127.0.0.1".into(),
        port,
    }
}

#[tokio::test]
async fn plain_http_is_recognized() {
    let endpoint = plain_server("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let error = Client::connect(options(vec![endpoint], token()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UnexpectedReply { .. }), "{error:?}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains("does not use TLS"), "{error}");
}

#[tokio::test]
async fn a_server_that_closes_the_connection_is_unreachable() {
    let endpoint = plain_server("").await;
    let error = Client::connect(options(vec![endpoint], token()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotSent { .. }), "{error:?}");
    assert!(
        error.to_string().contains("during the TLS handshake"),
        "{error}"
    );
}

#[tokio::test]
async fn a_handshake_without_reply_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let second = Server::start(good).await;
    let silent_endpoint = pve_client::Endpoint {
        host: "127.0.0.1".into(),
        port,
    };
    let mut options = options(vec![silent_endpoint, second.endpoint()], token());
    options.connect_timeout = std::time::Duration::from_millis(300);
    let client = Client::connect(options).await.unwrap();
    assert_eq!(client.current_endpoint(), second.endpoint());
}

/// Connects to a server that uses TLS and replies to `/version` with these bytes.
async fn check_foreign(bytes: &'static [u8], part: &str) {
    let server = Server::start(|_| Reaction::Close(bytes.to_vec())).await;
    let error = Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UnexpectedReply { .. }), "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
    assert_eq!(server.received().len(), 1, "{error}");
}

#[tokio::test]
async fn servers_that_are_not_pve_are_recognized() {
    check_foreign(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "404",
    )
    .await;
    check_foreign(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        "not the expected JSON",
    )
    .await;
    check_foreign(
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "302",
    )
    .await;
    check_foreign(b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n", "not HTTP").await;
    check_foreign(
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":{}}",
        "contains no version",
    )
    .await;
    check_foreign(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]",
        "not the expected JSON",
    )
    .await;
}

#[tokio::test]
async fn requests_to_a_busy_server_are_retried() {
    let answers = Mutex::new(vec!["503 Service Unavailable", "429 Too Many Requests"]);
    let server = Server::start(move |request| match answers.lock().unwrap().pop() {
        Some(status) => refusal(status),
        None => good(request),
    })
    .await;
    Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap();
    assert_eq!(server.count("GET /version"), 3);
}

/// A listener with a full backlog: the next connection is neither accepted nor refused.
async fn silent(address: SocketAddr) -> (TcpListener, Vec<tokio::task::JoinHandle<()>>) {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()
    } else {
        TcpSocket::new_v4()
    };
    let socket = socket.unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = (0..8).map(|_| {
        tokio::spawn(async move {
            let _connection = TcpStream::connect(address).await;
            std::future::pending::<()>().await;
        })
    });
    let connections = connections.collect();
    // Lets each task request its connection.
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
    (listener, connections)
}

/// If one address of a host does not respond, the other one is used, in whichever order the system returns them.
#[tokio::test]
async fn the_addresses_of_a_host_are_tried_in_parallel() {
    let found: Vec<SocketAddr> = tokio::net::lookup_host("localhost:0")
        .await
        .unwrap()
        .collect();
    // The machine must have both address families.
    if !["127.0.0.1:0", "[::1]:0"]
        .iter()
        .all(|address| found.contains(&address.parse().unwrap()))
    {
        return;
    }
    for (good_address, silent_address) in [("127.0.0.1:0", "[::1]:0"), ("[::1]:0", "127.0.0.1:0")] {
        let server = Server::start_at(good_address, good).await;
        let port = server.endpoint().port;
        let mut silent_address: SocketAddr = silent_address.parse().unwrap();
        silent_address.set_port(port);
        let _silent = silent(silent_address).await;
        let host = "localhost".to_owned();
        let mut options = options(vec![Endpoint { host, port }], token());
        // The test must not depend on this timeout.
        options.connect_timeout = Duration::from_secs(3600);
        let connected = Client::connect(options);
        let connected = tokio::time::timeout(Duration::from_secs(60), connected).await;
        assert!(connected.expect("one address answers").is_ok());
    }
}
