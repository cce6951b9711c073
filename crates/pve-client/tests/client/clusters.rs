// SPDX-License-Identifier: GPL-3.0-only
//! Hosts of different clusters in one host list.

use pve_client::{Client, Error, GuestKind};

use crate::raw_server::{
    Reaction, Received, Server, options, password, refusal, reply, token, version,
};
use crate::requests::{create, upid_reply};

/// A server whose cluster has this one node and this name, which the login may read.
async fn member(node: &'static str, name: Option<&'static str>) -> Server {
    Server::start(move |request| react(request, node, name)).await
}

fn react(request: &Received, node: &str, name: Option<&str>) -> Reaction {
    let nodes = format!(r#"{{"data":[{{"type":"node","node":"{node}"}}]}}"#);
    let ticket = r#"{"data":{"ticket":"PVE:a::b","CSRFPreventionToken":"c"}}"#;
    version(request).unwrap_or_else(|| match (request.line.as_str(), name) {
        ("GET /nodes" | "GET /cluster/resources", _) => Reaction::Reply(reply(&nodes)),
        ("GET /cluster/status", Some(name)) => Reaction::Reply(reply(&format!(
            r#"{{"data":[{{"type":"cluster","name":"{name}","quorate":1}},{{"type":"node","name":"{node}"}}]}}"#
        ))),
        ("GET /cluster/status", None) => refusal("403 Permission check failed (/, Sys.Audit)"),
        ("POST /access/ticket", _) => Reaction::Reply(reply(ticket)),
        _ => Reaction::Reply(upid_reply()),
    })
}

fn lines(server: &Server) -> Vec<String> {
    let received = server.received().into_iter();
    received.map(|request| request.line).collect()
}

/// All concurrent requests fail, and the other host is queried once.
#[tokio::test]
async fn a_host_of_another_cluster_gets_no_request() {
    let (first, second) = (member("pve1", None).await, member("node7", None).await);
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::connect(options(endpoints.clone(), token()))
        .await
        .unwrap();
    client.resources().await.unwrap();
    first.stop().await;
    tokio::task::yield_now().await;
    let mut in_flight = tokio::task::JoinSet::new();
    for number in 0..20 {
        let client = client.clone();
        in_flight.spawn(async move {
            if number % 2 == 0 {
                create(&client).await.map(drop)
            } else {
                let listing = client.snapshots("pve1", GuestKind::Qemu, 100).await;
                listing.map(drop)
            }
        });
    }
    for outcome in in_flight.join_all().await {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::OtherCluster { .. }), "{error:?}");
        let text = error.to_string();
        for part in [
            endpoints[0].to_string().as_str(),
            endpoints[1].to_string().as_str(),
            "node pve1",
            "node node7",
            "connection refused",
        ] {
            assert!(text.contains(part), "no {part}: {text}");
        }
    }
    assert_eq!(lines(&second), ["GET /nodes"]);
}

/// A host of the same cluster costs one request.
#[tokio::test]
async fn a_host_of_the_same_cluster_is_queried_once() {
    for (name, query) in [(None, "GET /nodes"), (Some("lab"), "GET /cluster/status")] {
        let (first, second) = (member("pve1", name).await, member("pve1", name).await);
        let endpoints = vec![first.endpoint(), second.endpoint()];
        let client = Client::connect(options(endpoints, token())).await.unwrap();
        client.resources().await.unwrap();
        first.stop().await;
        tokio::task::yield_now().await;
        create(&client).await.unwrap();
        create(&client).await.unwrap();
        let post = "POST /nodes/pve1/qemu/100/snapshot";
        assert_eq!(lines(&second), [query, post, post]);
    }
}

/// Two clusters with the same node names are distinguished by their own names.
#[tokio::test]
async fn clusters_with_the_same_nodes_are_distinguished_by_name() {
    let (first, second) = (
        member("pve1", Some("lab")).await,
        member("pve1", Some("site")).await,
    );
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::connect(options(endpoints, token())).await.unwrap();
    first.stop().await;
    tokio::task::yield_now().await;
    let error = create(&client).await.unwrap_err();
    assert!(matches!(error, Error::OtherCluster { .. }), "{error:?}");
    assert_eq!(second.count("POST"), 0);
}

#[tokio::test]
async fn a_new_login_does_not_allow_requests_to_another_cluster() {
    let first = member("pve1", None).await;
    let refuses = std::sync::atomic::AtomicBool::new(true);
    let second = Server::start(move |request| {
        if request.line == "GET /nodes" && refuses.swap(false, std::sync::atomic::Ordering::SeqCst)
        {
            return refusal("401 permission denied - invalid PVE ticket");
        }
        react(request, "node7", None)
    })
    .await;
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::connect(options(endpoints, password()))
        .await
        .unwrap();
    client.resources().await.unwrap();
    first.stop().await;
    tokio::task::yield_now().await;
    let error = create(&client).await.unwrap_err();
    assert!(matches!(error, Error::OtherCluster { .. }), "{error:?}");
    assert_eq!(
        lines(&second),
        ["GET /nodes", "POST /access/ticket", "GET /nodes"]
    );
}

#[tokio::test]
async fn a_host_of_an_unknown_cluster_gets_no_request() {
    let replies: [fn() -> Reaction; 3] = [
        || refusal("501 Method 'GET /nodes' not implemented"),
        || Reaction::Reply(reply(r#"{"data":[]}"#)),
        || Reaction::Reply(reply(r#"{"data":"x"}"#)),
    ];
    for reply in replies {
        let first = member("pve1", None).await;
        let second = Server::start(move |_| reply()).await;
        let endpoints = vec![first.endpoint(), second.endpoint()];
        let client = Client::connect(options(endpoints, token())).await.unwrap();
        client.resources().await.unwrap();
        first.stop().await;
        tokio::task::yield_now().await;
        let error = create(&client).await.unwrap_err();
        assert!(matches!(error, Error::NotSent { .. }), "{error:?}");
        assert!(
            error.to_string().contains("cannot determine the cluster"),
            "{error}"
        );
        assert_eq!(second.count("POST"), 0);
    }
}
