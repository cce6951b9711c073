// SPDX-License-Identifier: GPL-3.0-only
//! Which certificates are trusted, and the errors for the others. Nothing may be sent to a host whose
//! certificate is not trusted.

use std::io::Write;

use pve_client::{Certainty, Client, Error, Fingerprint, ProxyRules, Trust};

use crate::raw_server::{Reaction, Received, Server, options, reply, token, version};

fn good(request: &Received) -> Reaction {
    version(request)
        .unwrap_or_else(|| Reaction::Reply(reply(r#"{"data":[{"type":"node","node":"pve1"}]}"#)))
}

async fn connect(servers: &[&Server], trust: Trust) -> Result<Client, Error> {
    let endpoints = servers.iter().map(|server| server.endpoint()).collect();
    let mut options = options(endpoints, token());
    options.trust = trust;
    Client::connect(options).await
}

/// Checks that the certificate is not trusted, that the error contains it, and that no request was sent.
async fn check_refused(server: &Server, trust: Trust) -> String {
    let error = connect(&[server], trust).await.unwrap_err();
    let Error::Certificate { fingerprint, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*fingerprint, Some(server.fingerprint()));
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(server.received().is_empty());
    error.to_string()
}

fn pem_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn any_certificate_is_accepted_and_its_fingerprint_is_known() {
    let server = Server::start(good).await;
    let client = connect(&[&server], Trust::AcceptAny).await.unwrap();
    assert_eq!(client.peer_fingerprint(), Some(server.fingerprint()));
}

#[tokio::test]
async fn a_pinned_certificate_is_accepted_another_is_not() {
    let server = Server::start(good).await;
    let other = Fingerprint::from_bytes([7; 32]);
    let pins = vec![other, server.fingerprint()];
    let client = connect(&[&server], Trust::Fingerprints(pins))
        .await
        .unwrap();
    assert_eq!(client.peer_fingerprint(), Some(server.fingerprint()));
    let refusing = Server::start(good).await;
    let text = check_refused(&refusing, Trust::Fingerprints(vec![other])).await;
    assert!(
        text.contains("not one of the trusted fingerprints"),
        "{text}"
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_not_in_the_system_store() {
    let server = Server::start(good).await;
    match connect(&[&server], Trust::SystemStore).await.unwrap_err() {
        Error::Certificate { .. } => assert!(server.received().is_empty()),
        // A machine without authorities cannot verify anything.
        Error::Configuration(text) => assert!(text.contains("ca-certificates"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_authority_from_a_file_is_accepted_only_for_the_right_name() {
    let server = Server::start(good).await;
    let file = pem_file(server.certificate());
    connect(&[&server], Trust::CaFile(file.path().into()))
        .await
        .unwrap();
    let other = Server::start(good).await;
    check_refused(&other, Trust::CaFile(file.path().into())).await;
    let mut endpoint = server.endpoint();
    endpoint.host = "127.0.0.2".into();
    let mut options = options(vec![endpoint], token());
    options.trust = Trust::CaFile(file.path().into());
    // On most systems no server listens there; if one does, the name is wrong.
    assert_eq!(
        Client::connect(options).await.unwrap_err().certainty(),
        Certainty::NotSent
    );
}

#[tokio::test]
async fn the_error_for_an_invalid_ca_file_names_it() {
    let server = Server::start(good).await;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "hello", broken] {
        let file = pem_file(text);
        let error = connect(&[&server], Trust::CaFile(file.path().into()))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Configuration(_)), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&file.path().display().to_string()),
            "{error}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn pins_are_checked_at_every_host() {
    let (first, second) = (Server::start(good).await, Server::start(good).await);
    let pins = Trust::Fingerprints(vec![first.fingerprint()]);
    let client = connect(&[&first, &second], pins).await.unwrap();
    first.stop().await;
    tokio::task::yield_now().await;
    let error = client.resources().await.unwrap_err();
    let Error::Certificate { fingerprint, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*fingerprint, Some(second.fingerprint()));
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn a_host_with_an_untrusted_certificate_is_skipped() {
    let (first, second) = (Server::start(good).await, Server::start(good).await);
    let pins = Trust::Fingerprints(vec![second.fingerprint()]);
    let client = connect(&[&first, &second], pins).await.unwrap();
    assert_eq!(client.current_endpoint(), second.endpoint());
    assert!(first.received().is_empty());
}

#[tokio::test]
async fn a_fingerprint_is_fetched_without_a_login() {
    let server = Server::start(good).await;
    let limit = std::time::Duration::from_secs(4);
    let found = pve_client::fetch_fingerprint(&server.endpoint(), &ProxyRules::default(), limit)
        .await
        .unwrap();
    assert_eq!(found, server.fingerprint());
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_restarting_pinned_host_is_retried_although_the_other_is_not_trusted() {
    let (first, second) = (Server::start(good).await, Server::start(good).await);
    let mut options = options(vec![first.endpoint(), second.endpoint()], token());
    options.trust = Trust::Fingerprints(vec![first.fingerprint()]);
    options.retry_pauses = vec![std::time::Duration::from_millis(5); 40];
    let client = Client::connect(options).await.unwrap();
    let identity = first.identity();
    let address = first.stop().await.to_string();
    let restart = Server::start_as(&identity, &address, good);
    let (outcome, first) = tokio::join!(client.resources(), restart);
    outcome.unwrap();
    assert_eq!(client.current_endpoint(), first.endpoint());
    assert!(second.received().is_empty());
}
