// SPDX-License-Identifier: GPL-3.0-only
//! Every recorded reply of a real PVE to one of our requests, sent by the raw server with its own status line
//! and headers: a 200 is parsed, an error is reported with PVE's text.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pve_client::{
    Client, Error, GuestConfig, GuestKind, NewSnapshot, Resource, TaskFilter, TaskStatus, Upid,
};
use serde_json::Value;

use crate::raw_server::{Reaction, Server, options, token, version};

/// One recorded exchange.
struct Exchange {
    name: String,
    method: String,
    path: String,
    has_query: bool,
    status: u16,
    reason: String,
    bytes: Vec<u8>,
}

/// The recordings, with values for the masked parts of UPIDs.
fn exchanges() -> Vec<Exchange> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/pve-recordings/transcripts");
    let mut exchanges = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let text = text
            .replace("<PID>", "00004228")
            .replace("<PSTART>", "000620B9");
        let transcript: Value = serde_json::from_str(&text.replace("<TIME>", "6902CF35")).unwrap();
        exchanges.extend(
            transcript["exchanges"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(exchange),
        );
    }
    assert!(
        exchanges.len() > 500,
        "only {} recordings in {}",
        exchanges.len(),
        folder.display()
    );
    exchanges
}

fn exchange(recorded: &Value) -> Option<Exchange> {
    let (request, response) = (&recorded["request"], &recorded["response"]);
    let path = request["path"].as_str()?.strip_prefix("/api2/json")?;
    let status = u16::try_from(response["status"].as_u64()?)
        .ok()
        .filter(|status| *status > 0)?;
    let reason = response["reason"].as_str().unwrap_or_default();
    let body = match &response["body"] {
        Value::Null => response["body_text"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        // The client has one login, and checks that a task belongs to it.
        json if request["method"] != "GET" => json
            .to_string()
            .replace(":backup@pve:", ":backup@pve!auto:")
            .replace("!limited:", "!auto:"),
        json => json.to_string(),
    };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for header in response["headers"].as_array()? {
        let (name, value) = (header[0].as_str()?, header[1].as_str()?);
        if !name.eq_ignore_ascii_case("content-length") {
            head = format!("{head}{name}: {value}\r\n");
        }
    }
    Some(Exchange {
        name: recorded["name"].as_str()?.to_owned(),
        method: request["method"].as_str()?.to_owned(),
        path: path
            .replace("%3A", ":")
            .replace("%40", "@")
            .replace("%21", "!"),
        has_query: request["query"]
            .as_object()
            .is_some_and(|query| !query.is_empty()),
        status,
        reason: reason.to_owned(),
        bytes: format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes(),
    })
}

/// Sends the recorded request; `None` if the client has no such request.
async fn repeat(client: &Client, exchange: &Exchange) -> Option<Result<(), Error>> {
    let segments: Vec<&str> = exchange.path.split('/').skip(1).collect();
    if let ["nodes", node, kind @ ("qemu" | "lxc"), vmid, rest @ ..] = segments.as_slice() {
        let kind = if *kind == "qemu" {
            GuestKind::Qemu
        } else {
            GuestKind::Lxc
        };
        return repeat_guest(client, exchange, node, kind, vmid.parse().ok()?, rest).await;
    }
    Some(match (exchange.method.as_str(), segments.as_slice()) {
        ("GET", ["version"]) => client.version().await.map(drop),
        ("GET", ["cluster", "resources"]) => client.resources().await.map(|list| {
            assert_eq!(list.unreadable, [] as [&str; 0]);
            assert!(
                !list
                    .iter()
                    .any(|one| matches!(one, Resource::Other(kind) if kind != "sdn"))
            );
        }),
        ("GET", ["cluster", "status"]) => client.cluster_status().await.map(drop),
        ("GET", ["access", "permissions"]) => client.permissions(None).await.map(drop),
        ("GET", ["nodes", node, "storage"]) => client.node_storages(node).await.map(|list| {
            assert_eq!(list.unreadable, [] as [&str; 0]);
        }),
        ("GET", ["nodes", node, "tasks"]) => client
            .node_tasks(node, &TaskFilter::default())
            .await
            .map(drop),
        ("GET", ["nodes", _, "tasks", upid, what @ ("status" | "log")]) => {
            let task: Upid = upid.parse().ok()?;
            match *what {
                "status" => client.task_status(&task).await.map(drop),
                _ => client.task_log(&task, 0, 50).await.map(drop),
            }
        }
        _ => return None,
    })
}

async fn repeat_guest(
    client: &Client,
    exchange: &Exchange,
    node: &str,
    kind: GuestKind,
    vmid: u32,
    rest: &[&str],
) -> Option<Result<(), Error>> {
    Some(match (exchange.method.as_str(), rest) {
        ("GET", ["config"]) => client.guest_config(node, kind, vmid).await.map(|config| {
            assert_ne!(config, GuestConfig::default());
        }),
        ("GET", ["feature"]) => client.feature(node, kind, vmid, "snapshot").await.map(drop),
        ("GET", ["snapshot"]) => client.snapshots(node, kind, vmid).await.map(|listing| {
            assert!(listing.running.is_some());
        }),
        ("POST", ["snapshot"]) => {
            let snapshot = NewSnapshot {
                name: "x".into(),
                description: String::new(),
                with_memory: false,
            };
            client
                .create_snapshot(node, kind, vmid, &snapshot)
                .await
                .map(drop)
        }
        ("DELETE", ["snapshot", name]) => client
            .delete_snapshot(node, kind, vmid, name, exchange.has_query)
            .await
            .map(drop),
        _ => return None,
    })
}

/// A server that sends the queued replies, and a client without retries.
async fn replay() -> (Client, Arc<Mutex<VecDeque<Vec<u8>>>>, Server) {
    let answers = Arc::new(Mutex::new(VecDeque::<Vec<u8>>::new()));
    let queue = Arc::clone(&answers);
    let server = Server::start(move |request| match queue.lock().unwrap().pop_front() {
        Some(bytes) if closes(&bytes) => Reaction::Close(bytes),
        Some(bytes) => Reaction::Reply(bytes),
        None => version(request).unwrap(),
    })
    .await;
    let mut options = options(vec![server.endpoint()], token());
    options.retry_pauses.clear();
    (Client::connect(options).await.unwrap(), answers, server)
}

/// Whether PVE closes the connection, which it does after every error.
fn closes(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"HTTP/1.1 200")
}

fn check(exchange: &Exchange, outcome: Result<(), Error>) {
    let name = &exchange.name;
    match outcome {
        Ok(()) => assert_eq!(exchange.status, 200, "{name}"),
        Err(Error::Refused { status, reason, .. }) => {
            assert_eq!(status, exchange.status, "{name}");
            assert_eq!(
                reason.lines().next(),
                Some(exchange.reason.trim()),
                "{name}"
            );
        }
        Err(Error::Authentication { .. }) => assert_eq!(exchange.status, 401, "{name}"),
        Err(error) => panic!("{name}: {error:?}"),
    }
}

#[tokio::test]
async fn every_recorded_reply_is_parsed() {
    let (client, answers, server) = replay().await;
    let mut repeated = 0;
    for exchange in exchanges() {
        answers.lock().unwrap().push_back(exchange.bytes.clone());
        match repeat(&client, &exchange).await {
            Some(outcome) => {
                check(&exchange, outcome);
                repeated += 1;
            }
            None => answers.lock().unwrap().clear(),
        }
    }
    assert!(
        repeated > 400,
        "only {repeated} recordings were of our calls"
    );
    let errors = server.closed();
    assert!(
        server.connections() <= 1 + errors + repeated / 100 + 1,
        "{} connections for {repeated} calls of which {errors} closed theirs",
        server.connections()
    );
}

#[tokio::test]
async fn a_recorded_running_task_is_running() {
    let (client, answers, _server) = replay().await;
    let exchanges = exchanges();
    let found = exchanges
        .iter()
        .find(|exchange| exchange.name == "tasks.running.status")
        .unwrap();
    answers.lock().unwrap().push_back(found.bytes.clone());
    let task = "UPID:pve1:00004228:000620B9:6902CF35:qmsnapshot:110:backup@pve!auto:";
    assert_eq!(
        client.task_status(&task.parse().unwrap()).await.unwrap(),
        TaskStatus::Running
    );
}
