// SPDX-License-Identifier: GPL-3.0-only
//! Commands that change a running simulator's world: events that on a real cluster need root
//! access, a network failure or luck. They arrive over HTTPS from the same machine; [`send`] is the
//! client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::http::{Shared, insecure_client_config};
use crate::tasks::Upid;
use crate::world::guest::{Guest, GuestKind};
use crate::world::statistics::{ListedStatus, REMEMBERED};
use crate::world::{Reachability, World};

/// All commands with their arguments, for help texts.
pub const COMMANDS: &[(&str, &str)] = &[
    (
        "hold-lock qemu|lxc VMID SECONDS",
        "hold the configuration's lock file, as another process would",
    ),
    ("ticket USERID AGE", "print a ticket issued AGE seconds ago"),
    (
        "lose-disk-snapshot VMID NAME",
        "delete the disk snapshots of that name, behind PVE's back",
    ),
    ("hide-disk VMID", "make the guest's disk files unreadable"),
    (
        "show-disk VMID",
        "make the guest's disk files readable again",
    ),
    (
        "lock VMID LOCK",
        "set the lock in the guest's configuration",
    ),
    (
        "unlock VMID",
        "remove the lock from the guest's configuration",
    ),
    ("kill-task UPID", "kill the task's worker"),
    (
        "lose-quorum",
        "remove quorum: the configuration becomes read-only",
    ),
    ("regain-quorum", "restore quorum"),
    ("drop NODE", "drop all packets to the node"),
    ("undrop NODE", "restore the state before `drop`"),
    ("node-offline NODE", "switch the node off"),
    ("node-online NODE", "switch the node on"),
    (
        "pvestatd-silent NODE [SECONDS]",
        "stop the node's pvestatd, SECONDS ago (default 300): its figures are stale for 300 s, then unknown",
    ),
    ("pvestatd-works NODE", "restart the node's pvestatd"),
    (
        "listed-status VMID running|stopped|unknown|current",
        "set the status that /cluster/resources shows for the guest, as if it were stale",
    ),
    (
        "usage STORAGE NODE USED [TOTAL]",
        "set a storage's usage in bytes",
    ),
    (
        "storage-silent STORAGE NODE",
        "make the storage unresponsive on the node: unknown in /cluster/resources, inactive on the node",
    ),
    (
        "storage-works STORAGE NODE",
        "make the storage responsive on the node again",
    ),
    (
        "move-guest VMID NODE",
        "move the guest's configuration to the node, as after a migration",
    ),
    ("remove-guest VMID", "remove the guest"),
    ("expire-tickets", "invalidate all tickets"),
    ("advance SECONDS", "advance the simulated clock"),
    ("release", "continue all held requests"),
    (
        "journal",
        "print the journal entries kept in memory as JSON lines (see --journal-entries)",
    ),
];

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Unknown command or wrong arguments.
    #[error("unknown command or wrong arguments: {0}; see: pve-sim control --help")]
    Usage(String),
    /// A node, guest, storage or task does not exist.
    #[error("{0} not found")]
    Missing(String),
    /// No connection to the simulator.
    #[error("cannot connect to the simulator at {url}: {reason}")]
    Unreachable {
        /// Its address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The simulator refused the command.
    #[error("{0}")]
    Refused(String),
}

/// Executes a command and returns its output.
pub(crate) fn execute(shared: &Shared, arguments: &[String]) -> Result<String, ControlError> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut world = shared.world();
    world.run_due_steps();
    let output = match arguments.as_slice() {
        ["ticket", userid, age] => {
            let issued = world.now() - number(age)?;
            return Ok(world.signer.ticket(userid, issued));
        }
        ["journal"] => {
            let lines: Vec<String> = world.journal.view(|entries| {
                entries
                    .iter()
                    .filter_map(|entry| serde_json::to_string(entry).ok())
                    .collect()
            });
            return Ok(lines.join("\n"));
        }
        ["kill-task", upid] => {
            Upid::parse(upid).ok_or_else(|| ControlError::Usage((*upid).to_owned()))?;
            if !world.kill_task(upid) {
                return Err(ControlError::Missing(format!("task {upid}")));
            }
            String::new()
        }
        ["lose-quorum"] => set_flag(&mut world.quorate, false),
        ["regain-quorum"] => set_flag(&mut world.quorate, true),
        ["expire-tickets"] => {
            world.signer.expire_all();
            String::new()
        }
        ["release"] => {
            world.releases += 1;
            String::new()
        }
        ["advance", seconds] => {
            let seconds = number(seconds)?;
            world.clock.advance(seconds);
            world.run_due_steps();
            String::new()
        }
        ["usage", storage, node, used, rest @ ..] => {
            set_usage(&mut world, storage, node, used, rest.first().copied())?
        }
        ["storage-silent" | "storage-works", storage, node] => {
            set_storage(&mut world, storage, node, arguments[0] == "storage-works")?
        }
        ["move-guest", vmid, node] => {
            check_node(&world, node)?;
            (*node).clone_into(&mut guest(&mut world, vmid)?.node);
            String::new()
        }
        ["remove-guest", vmid] => {
            let vmid = guest(&mut world, vmid)?.vmid;
            world.guests.remove(&vmid);
            for pool in world.pools.values_mut() {
                pool.guests.remove(&vmid);
            }
            String::new()
        }
        ["pvestatd-silent", node, ago @ ..] if ago.len() < 2 => {
            let ago = ago.first().map_or(Ok(REMEMBERED), |ago| number(ago))?;
            check_node(&world, node)?;
            world.silence_pvestatd(node, ago);
            String::new()
        }
        ["pvestatd-works", node] => {
            check_node(&world, node)?;
            if let Some(node) = world.nodes.get_mut(*node) {
                node.last_broadcast = None;
            }
            String::new()
        }
        ["node-offline", node] if world.nodes.contains_key(*node) => {
            world.lose_node(node);
            String::new()
        }
        ["drop" | "undrop" | "node-offline" | "node-online", node] => {
            set_reach(&mut world, arguments[0], node)?
        }
        _ => change_guest(&mut world, &arguments)?,
    };
    drop(world);
    shared.changed.notify_waiters();
    Ok(output)
}

fn change_guest(world: &mut World, arguments: &[&str]) -> Result<String, ControlError> {
    let now = world.now();
    match arguments {
        ["hold-lock", kind, vmid, seconds] => {
            let kind = GuestKind::parse(kind).ok_or_else(|| usage(arguments))?;
            let guest = guest(world, vmid)?;
            if guest.kind != kind {
                return Err(ControlError::Missing(format!("{} {vmid}", kind.noun())));
            }
            guest.held_until = now + number(seconds)?;
        }
        ["lose-disk-snapshot", vmid, name] => {
            guest(world, vmid)?
                .lost_disk_snapshots
                .insert((*name).to_owned());
        }
        ["hide-disk", vmid] => guest(world, vmid)?.is_disk_unreadable = true,
        ["show-disk", vmid] => guest(world, vmid)?.is_disk_unreadable = false,
        ["lock", vmid, lock] => guest(world, vmid)?.lock = Some((*lock).to_owned()),
        ["unlock", vmid] => guest(world, vmid)?.lock = None,
        ["listed-status", vmid, status] => {
            let status = match (ListedStatus::parse(status), *status) {
                (None, "current") => None,
                (None, _) => return Err(usage(arguments)),
                (status, _) => status,
            };
            guest(world, vmid)?.listed_status = status;
        }
        _ => return Err(usage(arguments)),
    }
    Ok(String::new())
}

fn set_reach(world: &mut World, command: &str, name: &str) -> Result<String, ControlError> {
    let Some(node) = world.nodes.get_mut(name) else {
        return Err(ControlError::Missing(format!("node {name}")));
    };
    match command {
        "drop" => {
            // `undrop` restores this state.
            if node.reach != Reachability::Silent {
                node.before_silence = Some(node.reach.clone());
            }
            node.reach = Reachability::Silent;
        }
        "undrop" => {
            if let Some(before) = node.before_silence.take() {
                node.reach = before;
            }
        }
        _ => node.reach = Reachability::Online,
    }
    Ok(String::new())
}

fn set_usage(
    world: &mut World,
    storage: &str,
    node: &str,
    used: &str,
    total: Option<&str>,
) -> Result<String, ControlError> {
    let bytes = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| ControlError::Usage(text.to_owned()))
    };
    let Some(storage) = world.storages.get_mut(storage) else {
        return Err(ControlError::Missing(format!("storage {storage}")));
    };
    let usage = storage.usage_mut(node);
    if let Some(total) = total {
        usage.total = bytes(total)?;
    }
    usage.used = bytes(used)?.min(usage.total);
    Ok(String::new())
}

fn set_storage(
    world: &mut World,
    storage: &str,
    node: &str,
    works: bool,
) -> Result<String, ControlError> {
    check_node(world, node)?;
    let Some(storage) = world.storages.get_mut(storage) else {
        return Err(ControlError::Missing(format!("storage {storage}")));
    };
    if works {
        storage.unreachable_from.remove(node);
    } else {
        storage.unreachable_from.insert(node.to_owned());
    }
    Ok(String::new())
}

fn guest<'a>(world: &'a mut World, vmid: &str) -> Result<&'a mut Guest, ControlError> {
    let missing = || ControlError::Missing(format!("guest {vmid}"));
    let number = vmid.parse().map_err(|_| missing())?;
    world.guests.get_mut(&number).ok_or_else(missing)
}

fn check_node(world: &World, name: &str) -> Result<(), ControlError> {
    if world.nodes.contains_key(name) {
        Ok(())
    } else {
        Err(ControlError::Missing(format!("node {name}")))
    }
}

fn number(text: &str) -> Result<f64, ControlError> {
    let parsed = text.parse::<f64>().ok().filter(|number| number.is_finite());
    parsed.ok_or_else(|| ControlError::Usage(text.to_owned()))
}

fn usage(arguments: &[&str]) -> ControlError {
    ControlError::Usage(arguments.join(" "))
}

fn set_flag(flag: &mut bool, value: bool) -> String {
    *flag = value;
    String::new()
}

/// Sends a command to a running simulator and returns its output.
///
/// # Errors
///
/// If the simulator cannot be reached or refuses the command.
pub fn send(url: &str, arguments: &[String]) -> Result<String, ControlError> {
    let unreachable = |reason: String| ControlError::Unreachable {
        url: url.to_owned(),
        reason,
    };
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let authority = rest.split('/').next().unwrap_or(rest);
    let address: SocketAddr = authority
        .to_socket_addrs()
        .map_err(|error| unreachable(error.to_string()))?
        .next()
        .ok_or_else(|| unreachable("no address".to_owned()))?;
    let (status, body) =
        exchange(address, arguments).map_err(|error| unreachable(error.to_string()))?;
    if status == 200 {
        Ok(body)
    } else {
        Err(ControlError::Refused(body))
    }
}

fn exchange(address: SocketAddr, arguments: &[String]) -> std::io::Result<(u16, String)> {
    let config = insecure_client_config().map_err(std::io::Error::other)?;
    let name = ServerName::IpAddress(address.ip().into());
    let session = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    let body = serde_json::to_string(arguments)?;
    let length = body.len();
    let head = format!(
        "POST /sim/control HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}"
    );
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
    stream.flush()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Ok((status, body.to_owned()))
}
