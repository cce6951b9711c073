// SPDX-License-Identifier: GPL-3.0-only
//! Commands that change the world from outside: what on a real cluster needs
//! root, a network cable or luck. They come as words over HTTPS from the same
//! machine; [`send`] is the client's side.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::http::{Shared, client_config};
use crate::tasks::Upid;
use crate::world::guest::{Guest, GuestKind};
use crate::world::statistics::{ListedStatus, REMEMBERED};
use crate::world::{Reach, World};

/// All commands, with their arguments, for help texts.
pub const COMMANDS: &[(&str, &str)] = &[
    (
        "hold-lock qemu|lxc VMID SECONDS",
        "another process holds the configuration's lock file",
    ),
    (
        "ticket USERID AGE",
        "print a ticket that was issued AGE seconds ago",
    ),
    (
        "lose-disk-snapshot VMID NAME",
        "the disk snapshots of that name vanish",
    ),
    ("hide-disk VMID", "the disk files cannot be opened"),
    ("show-disk VMID", "the disk files are back"),
    (
        "lock VMID LOCK",
        "set the lock in the guest's configuration",
    ),
    (
        "unlock VMID",
        "drop the lock from the guest's configuration",
    ),
    ("kill-task UPID", "kill the task's worker"),
    (
        "lose-quorum",
        "the cluster loses its majority: configuration is read-only",
    ),
    ("regain-quorum", "the majority is back"),
    ("drop NODE", "packets to the node vanish"),
    (
        "undrop NODE",
        "packets to the node arrive again, or are refused as before",
    ),
    ("node-offline NODE", "the node is switched off"),
    ("node-online NODE", "the node is back"),
    (
        "pvestatd-silent NODE [SECONDS]",
        "the node's pvestatd has hung for so long (default 300): up to 300 s the last figures stay, then all is unknown",
    ),
    (
        "pvestatd-works NODE",
        "the node's pvestatd sends figures again",
    ),
    (
        "listed-status VMID running|stopped|unknown|current",
        "what /cluster/resources shows of the guest, as if not up to date",
    ),
    (
        "usage STORAGE NODE USED [TOTAL]",
        "set a storage's usage in bytes",
    ),
    (
        "storage-silent STORAGE NODE",
        "the storage does not answer on the node: unknown in /cluster/resources, inactive on the node",
    ),
    (
        "storage-works STORAGE NODE",
        "the storage answers on the node again",
    ),
    (
        "move-guest VMID NODE",
        "the guest's configuration moves to the node, as after a migration",
    ),
    ("remove-guest VMID", "the guest is gone"),
    ("expire-tickets", "all tickets become invalid"),
    ("advance SECONDS", "move the simulated clock on"),
    ("release", "let the requests go on that are held now"),
    (
        "journal",
        "print the journal as JSON lines, as far as it is kept in memory: without --journal the latest 20,000 entries unless --journal-entries says otherwise",
    ),
];

/// A command that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such command, or it needs other arguments.
    #[error("unknown command or wrong arguments: {0}; 'pve-sim control --help' lists them")]
    Usage(String),
    /// It names something that is not there.
    #[error("there is no {0}")]
    Missing(String),
    /// The simulator cannot be reached.
    #[error("cannot talk to the simulator at {url}: {reason}")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The simulator refused.
    #[error("{0}")]
    Refused(String),
}

/// Carries a command out and gives back what it prints.
pub(crate) fn carry_out(shared: &Shared, words: &[String]) -> Result<String, ControlError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut world = shared.world();
    world.settle();
    let printed = match words.as_slice() {
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
        ["lose-quorum"] => set(&mut world.quorate, false),
        ["regain-quorum"] => set(&mut world.quorate, true),
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
            world.settle();
            String::new()
        }
        ["usage", storage, node, used, rest @ ..] => {
            set_usage(&mut world, storage, node, used, rest.first().copied())?
        }
        ["storage-silent" | "storage-works", storage, node] => {
            set_storage(&mut world, storage, node, words[0] == "storage-works")?
        }
        ["move-guest", vmid, node] => {
            known_node(&world, node)?;
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
            known_node(&world, node)?;
            world.silence_pvestatd(node, ago);
            String::new()
        }
        ["pvestatd-works", node] => {
            known_node(&world, node)?;
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
            set_reach(&mut world, words[0], node)?
        }
        _ => change_guest(&mut world, &words)?,
    };
    drop(world);
    shared.changed.notify_waiters();
    Ok(printed)
}

fn change_guest(world: &mut World, words: &[&str]) -> Result<String, ControlError> {
    let now = world.now();
    match words {
        ["hold-lock", kind, vmid, seconds] => {
            let kind = GuestKind::parse(kind).ok_or_else(|| usage(words))?;
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
        ["hide-disk", vmid] => guest(world, vmid)?.disk_hidden = true,
        ["show-disk", vmid] => guest(world, vmid)?.disk_hidden = false,
        ["lock", vmid, lock] => guest(world, vmid)?.lock = Some((*lock).to_owned()),
        ["unlock", vmid] => guest(world, vmid)?.lock = None,
        ["listed-status", vmid, shown] => {
            let status = match (ListedStatus::parse(shown), *shown) {
                (None, "current") => None,
                (None, _) => return Err(usage(words)),
                (status, _) => status,
            };
            guest(world, vmid)?.listed_status = status;
        }
        _ => return Err(usage(words)),
    }
    Ok(String::new())
}

fn set_reach(world: &mut World, verb: &str, name: &str) -> Result<String, ControlError> {
    let Some(node) = world.nodes.get_mut(name) else {
        return Err(ControlError::Missing(format!("node {name}")));
    };
    match verb {
        "drop" => {
            // What it was before comes back with `undrop`.
            if node.reach != Reach::Silent {
                node.before_silence = Some(node.reach.clone());
            }
            node.reach = Reach::Silent;
        }
        "undrop" => {
            if let Some(before) = node.before_silence.take() {
                node.reach = before;
            }
        }
        _ => node.reach = Reach::Online,
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
    known_node(world, node)?;
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

fn known_node(world: &World, name: &str) -> Result<(), ControlError> {
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

fn usage(words: &[&str]) -> ControlError {
    ControlError::Usage(words.join(" "))
}

fn set(flag: &mut bool, value: bool) -> String {
    *flag = value;
    String::new()
}

/// Sends a command to a running simulator and gives back what it prints.
///
/// # Errors
///
/// When the simulator cannot be reached or does not carry the command out.
pub fn send(url: &str, words: &[String]) -> Result<String, ControlError> {
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
        exchange(address, words).map_err(|error| unreachable(error.to_string()))?;
    if status == 200 {
        Ok(body)
    } else {
        Err(ControlError::Refused(body))
    }
}

fn exchange(address: SocketAddr, words: &[String]) -> std::io::Result<(u16, String)> {
    let config = client_config().map_err(std::io::Error::other)?;
    let name = ServerName::IpAddress(address.ip().into());
    let session = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    let body = serde_json::to_string(words)?;
    let length = body.len();
    let head = format!(
        "POST /sim/control HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}"
    );
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Ok((status, body.to_owned()))
}
