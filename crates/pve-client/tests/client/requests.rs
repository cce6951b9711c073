// SPDX-License-Identifier: GPL-3.0-only
//! Requests and replies that several test modules need.

use pve_client::{Client, Error, GuestKind, NewSnapshot, Upid};

use crate::raw_server::{Reaction, Received, Server, options, proxied_reply, token, version};

/// The UPID of a task.
pub(crate) const UPID: &str =
    "UPID:pve1:00004228:000620B9:6902CF35:qmsnapshot:100:backup@pve!auto:";
/// A list with one snapshot.
pub(crate) const SNAPSHOTS: &str =
    r#"{"data":[{"name":"a","snaptime":1795396341},{"name":"current"}]}"#;

/// The reply to a request that starts a task.
pub(crate) fn upid_reply() -> Vec<u8> {
    proxied_reply(&format!(r#"{{"data":"{UPID}"}}"#))
}

/// The reply to any request that creates or removes a snapshot, by token or ticket.
pub(crate) fn upid_reply_to(request: &Received) -> Vec<u8> {
    let parts: Vec<&str> = request.line.split(['/', ' ']).collect();
    let ["POST" | "DELETE", "", "nodes", node, kind, vmid, ..] = parts.as_slice() else {
        panic!("{}", request.line);
    };
    let prefix = if *kind == "qemu" { "qm" } else { "vz" };
    let action = if parts[0] == "POST" { "" } else { "del" };
    let by_ticket = request.headers.contains("PVEAuthCookie=");
    let user = if by_ticket {
        "backup@pve"
    } else {
        "backup@pve!auto"
    };
    let upid =
        format!("UPID:{node}:00004228:000620B9:6902CF35:{prefix}{action}snapshot:{vmid}:{user}:");
    proxied_reply(&format!(r#"{{"data":"{upid}"}}"#))
}

/// Connects with a token.
pub(crate) async fn connect(server: &Server) -> Client {
    Client::connect(options(vec![server.endpoint()], token()))
        .await
        .unwrap()
}

/// Starts a task that creates a snapshot.
pub(crate) async fn create(client: &Client) -> Result<Upid, Error> {
    let snapshot = NewSnapshot {
        name: "auto_daily".into(),
        description: "cv4pve-autosnap".into(),
        with_memory: false,
    };
    client
        .create_snapshot("pve1", GuestKind::Qemu, 100, &snapshot)
        .await
}

/// Starts a server that replies to `/version` and calls `react` for other requests.
pub(crate) async fn server(
    react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
) -> Server {
    Server::start(move |request| version(request).unwrap_or_else(|| react(request))).await
}
