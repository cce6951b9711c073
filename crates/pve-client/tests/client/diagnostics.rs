// SPDX-License-Identifier: GPL-3.0-only
//! Requests for diagnostics: certificate, token, replication.

use std::time::Duration;

use pve_client::{Client, ProxyRules, fetch_certificate};

use crate::raw_server::{Reaction, Received, Server, options, refusal, reply, token, version};

async fn connect(server: &Server) -> Client {
    Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_certificate_is_fetched_without_a_login() {
    let server = Server::start(|_| refusal("401 No ticket")).await;
    let limit = Duration::from_secs(4);
    let certificate = fetch_certificate(&server.endpoint(), &ProxyRules::default(), limit)
        .await
        .unwrap();
    assert_eq!(certificate.fingerprint, server.fingerprint());
    assert!(certificate.subject.is_some(), "{certificate:?}");
    assert!(certificate.not_before < certificate.not_after);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn fetching_a_certificate_from_a_host_that_is_off_fails() {
    let endpoint = Server::start(|_| refusal("401 No ticket"))
        .await
        .stop()
        .await;
    let error = fetch_certificate(&endpoint, &ProxyRules::default(), Duration::from_secs(4))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[tokio::test]
async fn token_and_replication_are_read() {
    let server = Server::start(|request: &Received| {
        version(request).unwrap_or_else(|| {
            Reaction::Reply(reply(match request.line.as_str() {
                "GET /access/users/backup@pve/token/full" => r#"{"data":{"privsep":0}}"#,
                "GET /access/users/backup@pve/token/auto" => r#"{"data":{"expire":0}}"#,
                _ => r#"{"data":[{"guest":"100","target":"pve2"}]}"#,
            }))
        })
    })
    .await;
    let client = connect(&server).await;
    let separated = async |token| {
        client
            .is_token_privilege_separated("backup@pve", token)
            .await
            .unwrap()
    };
    assert!(!separated("full").await);
    assert!(separated("auto").await);
    assert_eq!(client.replication_jobs().await.unwrap()[0].vmid, 100);
    assert_eq!(server.count("GET /cluster/replication"), 1);
}
