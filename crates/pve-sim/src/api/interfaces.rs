// SPDX-License-Identifier: GPL-3.0-only
//! The network interfaces of guests (`PVE/API2/Qemu/Agent.pm`, `PVE/API2/LXC.pm`). The addresses
//! are derived from the VMID.

use serde_json::{Value, json};

use crate::world::World;
use crate::world::guest::Guest;

use super::{Args, Failure, Reply, check_privileges};

/// `GET …/agent/network-get-interfaces`.
pub(super) fn qemu(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let path = format!("/vms/{}", args.vmid());
    let privileges: &[&str] = if world.major() >= 9 {
        &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]
    } else {
        &["VM.Monitor"]
    };
    check_privileges(world, args.who, &path, privileges, privileges.len() > 1)?;
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    let vmid = guest.vmid;
    let problem = match guest.running {
        _ if !guest.has_agent() => Some("No QEMU guest agent configured".to_owned()),
        None => Some(format!("VM {vmid} is not running")),
        Some(_) if !guest.agent_answers => Some("QEMU guest agent is not running".to_owned()),
        Some(_) => None,
    };
    match problem {
        Some(text) => Err(Failure::Died(text)),
        None => Ok(Reply::new(&json!({ "result": interfaces(guest) }))),
    }
}

/// `GET …/interfaces` of a container: null if it is not running.
pub(super) fn lxc(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    if guest.running.is_none() {
        return Ok(Reply::null());
    }
    let mut list = interfaces(guest);
    for entry in &mut list {
        let of_family = |family: &str| {
            let addresses = entry["ip-addresses"].as_array()?;
            let found = addresses
                .iter()
                .find(|one| one["ip-address-type"] == family)?;
            let address = found["ip-address"].as_str()?;
            Some(format!("{address}/{}", found["prefix"]))
        };
        let (inet, inet6) = (of_family("inet"), of_family("inet6"));
        entry["hwaddr"] = entry["hardware-address"].clone();
        for (key, address) in [("inet", inet), ("inet6", inet6)] {
            if let Some(address) = address {
                entry[key] = json!(address);
            }
        }
    }
    Ok(Reply::new(&list))
}

fn interfaces(guest: &Guest) -> Vec<Value> {
    use crate::world::guest::GuestKind::{Lxc, Qemu};
    let (four, six) = match guest.kind {
        Qemu => ("ipv4", "ipv6"),
        Lxc => ("inet", "inet6"),
    };
    let address = |kind: &str, text: &str, prefix: u8| json!({ "ip-address": text, "ip-address-type": kind, "prefix": prefix });
    let mut list = vec![json!({
        "name": "lo", "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [address(four, "127.0.0.1", 8), address(six, "::1", 128)],
    })];
    let lines = guest
        .config
        .iter()
        .filter(|(key, _)| key.starts_with("net"));
    for (number, (_, line)) in lines.enumerate() {
        let line = line.as_str().unwrap_or_default();
        let own = format!("198.51.100.{}", guest.vmid % 250 + 1);
        list.push(json!({
            "name": format!("eth{number}"), "hardware-address": hardware_address(line),
            "ip-addresses": [address(four, &own, 24)],
        }));
    }
    list
}

/// The first value that looks like a MAC address: `virtio=BC:24:11:00:01:00`, `hwaddr=…`.
fn hardware_address(line: &str) -> String {
    let values = line.split(',').filter_map(|part| part.split_once('='));
    let mut addresses = values.map(|(_, value)| value);
    let found = addresses.find(|value| value.len() == 17 && value.matches(':').count() == 5);
    found.map_or_else(|| "bc:24:11:00:00:00".to_owned(), str::to_lowercase)
}
