// SPDX-License-Identifier: GPL-3.0-only
//! Tickets and tokens: login, renewal, failures, and that no secret is printed.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pve_client::{AuthenticationProblem, Client, Error, GuestKind};

use crate::captured_log;
use crate::raw_server::{
    Reaction, Received, SECRET, Server, options, password, proxied_reply, refusal, reply, token,
    unused_endpoint, version, with_head,
};
use crate::requests::{create, upid_reply_to};

/// A ticket as PVE creates it, with characters that must be encoded in a cookie.
fn ticket(number: usize) -> String {
    format!("PVE:backup@pve:6902CF35::s1gn+/{number}==")
}

/// The reply to login number `number`.
fn grant(number: usize) -> Reaction {
    let ticket = ticket(number);
    Reaction::Reply(proxied_reply(&format!(
        r#"{{"data":{{"ticket":"{ticket}","CSRFPreventionToken":"6902CF35:csrf{number}","username":"backup@pve"}}}}"#
    )))
}

/// Whether a request has that ticket, and the CSRF token if needed.
fn carries(request: &Received, number: usize) -> bool {
    let cookie = format!(
        "cookie: PVEAuthCookie=PVE%3Abackup%40pve%3A6902CF35%3A%3As1gn%2B%2F{number}%3D%3D"
    );
    let csrf = format!("csrfpreventiontoken: 6902CF35:csrf{number}");
    request.headers.contains(&cookie)
        && request.headers.contains(&csrf) != request.line.starts_with("GET")
}

/// A server that issues a new ticket for each login and calls `accepts` to check requests.
async fn ticket_server(
    accepts: impl Fn(&Received, usize) -> bool + Send + Sync + 'static,
) -> Server {
    let logins = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.line == "POST /access/ticket" {
            return grant(logins.fetch_add(1, Ordering::SeqCst) + 1);
        }
        if !accepts(request, logins.load(Ordering::SeqCst)) {
            return refusal("401 Authentication failed!");
        }
        version(request).unwrap_or_else(|| match request.line.split(' ').next() {
            Some("GET") => Reaction::Reply(reply(r#"{"data":[{"type":"node","node":"pve1"}]}"#)),
            _ => Reaction::Reply(upid_reply_to(request)),
        })
    })
    .await
}

#[tokio::test]
async fn a_ticket_is_used_for_all_requests() {
    let server = ticket_server(|request, _| carries(request, 1)).await;
    let client = Client::connect(options(vec![server.endpoint()], password()))
        .await
        .unwrap();
    create(&client).await.unwrap();
    client
        .delete_snapshot("pve1", GuestKind::Qemu, 100, "a", false)
        .await
        .unwrap();
    let received = server.received();
    assert_eq!(received[0].line, "POST /access/ticket");
    assert_eq!(
        received[0].body,
        "username=backup%40pve&password=hunter2+%26%C3%A4"
    );
    assert_eq!(server.count("POST /access/ticket"), 1);
    assert_eq!((server.connections(), received.len()), (1, 4));
}

#[tokio::test]
async fn an_old_ticket_is_renewed_with_itself() {
    let server = ticket_server(carries).await;
    let mut options = options(vec![server.endpoint()], password());
    options.ticket_lifetime = Duration::ZERO;
    let client = Client::connect(options).await.unwrap();
    client.resources().await.unwrap();
    let renewal = server
        .received()
        .into_iter()
        .filter(|request| request.line == "POST /access/ticket");
    let bodies: Vec<String> = renewal.map(|request| request.body).collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[1].contains("password=PVE%3Abackup%40pve%3A6902CF35%3A%3As1gn%2B%2F1%3D%3D"));
}

#[tokio::test]
async fn a_rejected_ticket_is_replaced_and_the_request_sent_again() {
    let refused = AtomicUsize::new(0);
    // The first ticket is rejected for the first request that changes something.
    let server = ticket_server(move |request, logins| {
        let dies = request.line.starts_with("POST /nodes") && logins == 1;
        refused.fetch_add(usize::from(dies), Ordering::SeqCst);
        !dies && carries(request, logins)
    })
    .await;
    let client = Client::connect(options(vec![server.endpoint()], password()))
        .await
        .unwrap();
    create(&client).await.unwrap();
    assert_eq!(server.count("POST /access/ticket"), 2);
    assert_eq!(server.count("POST /nodes"), 2);
    let last = server.received().pop().unwrap();
    assert!(carries(&last, 2), "{last:?}");
}

#[tokio::test]
async fn concurrent_requests_with_a_rejected_ticket_log_in_once() {
    let server = ticket_server(|request, logins| {
        request.line == "GET /version" || (logins > 1 && carries(request, logins))
    })
    .await;
    let client = Client::connect(options(vec![server.endpoint()], password()))
        .await
        .unwrap();
    let mut in_flight = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        in_flight.spawn(async move { client.resources().await });
    }
    for outcome in in_flight.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(server.count("POST /access/ticket"), 2);
}

/// Checks that connecting fails with this problem.
async fn check_problem(
    credentials: pve_client::Credentials,
    react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    expected: AuthenticationProblem,
) {
    let server = Server::start(react).await;
    let error = Client::connect(options(vec![server.endpoint()], credentials))
        .await
        .unwrap_err();
    let Error::Authentication {
        problem, endpoint, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((*problem, endpoint), (expected, &server.endpoint()));
    assert!(error.to_string().contains("backup@pve"), "{error}");
}

#[tokio::test]
async fn the_reason_of_a_failed_login_is_reported() {
    use AuthenticationProblem as Problem;
    check_problem(
        password(),
        |_| refusal("401 authentication failure"),
        Problem::WrongUserOrPassword,
    )
    .await;
    check_problem(
        token(),
        |_| refusal("401 Authentication failed!"),
        Problem::TokenRefused,
    )
    .await;
    check_problem(token(), |_| refusal("401 No ticket"), Problem::NoTicket).await;
    let challenge = r#"{"data":{"NeedTFA":1,"ticket":"PVE:!tfa!%7B%22totp%22%3Atrue%7D:6902CF35::x","username":"totp@pve","CSRFPreventionToken":"a:b"}}"#;
    check_problem(
        password(),
        |_| Reaction::Reply(reply(challenge)),
        Problem::NeedsSecondFactor,
    )
    .await;
    check_problem(
        password(),
        |request| match request.line.as_str() {
            "POST /access/ticket" => grant(1),
            _ => refusal("401 Authentication failed!"),
        },
        Problem::TicketRefused,
    )
    .await;
}

#[tokio::test]
async fn an_empty_401_of_pve_is_recognized() {
    // PVE sends neither body nor length, and closes the connection.
    let bytes = b"HTTP/1.1 401 Authentication failed!\r\nConnection: close\r\n\r\n";
    check_problem(
        token(),
        |_| Reaction::Close(bytes.to_vec()),
        AuthenticationProblem::TokenRefused,
    )
    .await;
}

#[tokio::test]
async fn a_login_without_reply_is_retried() {
    let logins = AtomicUsize::new(0);
    let server = Server::start(move |request| match request.line.as_str() {
        "POST /access/ticket" if logins.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reaction::Close(Vec::new())
        }
        "POST /access/ticket" => grant(1),
        _ => version(request).unwrap_or_else(|| refusal("500 unexpected")),
    })
    .await;
    Client::connect(options(vec![server.endpoint()], password()))
        .await
        .unwrap();
    assert_eq!(server.count("POST /access/ticket"), 2);
}

#[tokio::test]
async fn logs_errors_and_debug_output_contain_no_secret() {
    captured_log::collect();
    let server = ticket_server(|request, logins| {
        request.line == "GET /version" || (logins > 1 && carries(request, logins))
    })
    .await;
    let endpoints = vec![unused_endpoint().await, server.endpoint()];
    let options = options(endpoints, password());
    let mut seen = format!("{options:?}");
    let client = Client::connect(options).await.unwrap();
    create(&client).await.unwrap();
    client.resources().await.unwrap();
    let _ = write!(seen, "{client:?}");
    let refusing = Server::start(|request| {
        // A server that echoes the request must not put its secrets into our output.
        let mirror = format!(
            r#"{{"data":null,"message":"no","x":{:?}}}"#,
            request.headers
        );
        Reaction::Close(with_head("401 Authentication failed!", &[], &mirror))
    })
    .await;
    for credentials in [token(), password()] {
        let options = crate::raw_server::options(vec![refusing.endpoint()], credentials);
        let _ = write!(seen, "{options:?}");
        let error = Client::connect(options).await.unwrap_err();
        let _ = write!(seen, "{error} {error:?}");
    }
    seen += &captured_log::collected();
    assert!(
        seen.contains("POST /api2/json/access/ticket"),
        "the log is empty: {seen}"
    );
    for secret in [SECRET, "hunter2", "s1gn", "csrf1", "csrf2"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}
