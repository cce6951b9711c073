// SPDX-License-Identifier: GPL-3.0-only
//! Endpoints for monitoring and inventory tools: free VMIDs, backup and replication jobs, members,
//! notifications (`PVE/API2/Cluster.pm`, `PVE/API2/Backup.pm`, `PVE/API2/ReplicationConfig.pm`,
//! `PVE/API2/ClusterConfig.pm`). There are no backup jobs.

use serde_json::{Value, json};

use crate::clock::whole;
use crate::world::World;
use crate::world::guest::{Guest, ReplicationJob, ReplicationState};

use super::{Args, Failure, Reply, parameter_error};

/// An empty list.
pub(super) fn empty_list(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(&json!([])))
}

/// `GET /cluster/nextid`: the lowest free VMID, as text.
pub(super) fn next_id(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let is_used = |vmid: &u32| world.guests.contains_key(vmid);
    if args.params.contains_key("vmid") {
        let vmid = args.vmid();
        return if is_used(&vmid) {
            let text = format!("VM {vmid} already exists");
            Err(parameter_error("vmid", &text))
        } else {
            Ok(Reply::new(&vmid.to_string()))
        };
    }
    let free = (100..1_000_000_000).find(|vmid| !is_used(vmid));
    match free {
        Some(vmid) => Ok(Reply::new(&vmid.to_string())),
        None => Err(Failure::Died("unable to get any free VMID".to_owned())),
    }
}

/// `GET /cluster/backup-info`.
pub(super) fn backup_info(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(&json!([{ "subdir": "not-backed-up" }])))
}

/// `GET /cluster/backup-info/not-backed-up`: all guests, because there are no backup jobs.
pub(super) fn not_backed_up(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let visible = world.visible_guests(args.who);
    let guests = world.guests.values().filter(|guest| visible.shows(guest));
    let entries: Vec<Value> = guests
        .map(|guest| {
            let mut entry = json!({ "vmid": guest.vmid, "type": guest.kind.as_str() });
            if let Some(name) = guest
                .config_text("name")
                .or_else(|| guest.config_text("hostname"))
            {
                entry["name"] = json!(name);
            }
            entry
        })
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /cluster/replication`.
pub(super) fn replication(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let entries: Vec<Value> = visible_jobs(world, args.who)
        .map(|(guest, job)| definition(world, guest, job))
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /nodes/{node}/replication`: the jobs of a node's guests, with their state.
pub(super) fn node_replication(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.node();
    let filter = args.number("guest");
    let now = whole(world.now());
    let entries: Vec<Value> = visible_jobs(world, args.who)
        .filter(|(guest, _)| guest.node == node)
        .filter(|(guest, _)| filter.is_none_or(|vmid| vmid == u64::from(guest.vmid)))
        .map(|(guest, job)| {
            let last = match job.state {
                ReplicationState::Pending => 0,
                ReplicationState::Running | ReplicationState::Synced => now - 600,
            };
            let mut entry = definition(world, guest, job);
            entry["vmtype"] = json!(guest.kind.as_str());
            entry["last_sync"] = json!(last);
            entry["last_try"] = json!(last);
            entry["next_sync"] = json!(now + 300);
            entry["fail_count"] = json!(0);
            entry["duration"] = json!(1.5);
            if job.state == ReplicationState::Running {
                entry["pid"] = json!(9_000 + guest.vmid);
            }
            entry
        })
        .collect();
    Ok(Reply::new(&entries))
}

fn visible_jobs<'a>(
    world: &'a World,
    who: &str,
) -> impl Iterator<Item = (&'a Guest, &'a ReplicationJob)> {
    let visible = world.visible_guests(who);
    let guests = world.guests.values();
    guests
        .filter(move |guest| visible.shows(guest))
        .filter_map(|guest| Some((guest, guest.replication_job.as_ref()?)))
}

/// The entry in `replication.cfg`; the target is the first other node.
fn definition(world: &World, guest: &Guest, job: &ReplicationJob) -> Value {
    let target = world.nodes.keys().find(|name| **name != guest.node);
    let number = job.id.rsplit_once('-').map_or("0", |(_, number)| number);
    json!({
        "id": job.id, "type": "local", "guest": guest.vmid,
        "jobnum": number.parse::<u32>().unwrap_or_default(),
        "source": guest.node, "target": target, "schedule": "*/15",
    })
}

/// `GET /cluster/config/nodes`: the members in the corosync configuration.
pub(super) fn members(world: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    if world.cluster_name.is_none() {
        return Ok(Reply::new(&json!([])));
    }
    let entries: Vec<Value> = world
        .nodes
        .values()
        .map(|node| {
            json!({
                "name": node.name, "node": node.name, "nodeid": node.id.to_string(),
                "ring0_addr": node.ip.as_ref().unwrap_or(&node.name), "quorum_votes": "1",
            })
        })
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /cluster/notifications/targets`: PVE's default target.
pub(super) fn notification_targets(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    check_notifications(world, args.who)?;
    Ok(Reply::new(&json!([{
        "name": "mail-to-root", "type": "sendmail", "origin": "builtin",
        "comment": "Send mails to root@pam's email address",
    }])))
}

/// `GET /cluster/notifications/matchers`.
pub(super) fn notification_matchers(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    check_notifications(world, args.who)?;
    Ok(Reply::new(&json!([{
        "name": "default-matcher", "mode": "all", "target": ["mail-to-root"], "origin": "builtin",
        "comment": "Route all notifications to mail-to-root",
    }])))
}

/// PVE checks three privileges, and its error names none of them.
fn check_notifications(world: &World, who: &str) -> Result<(), Failure> {
    let allowed = ["Mapping.Modify", "Mapping.Use", "Mapping.Audit"]
        .iter()
        .any(|privilege| world.allows(who, "/mapping/notifications", privilege));
    if allowed {
        Ok(())
    } else {
        Err(Failure::Forbidden("Permission check failed".to_owned()))
    }
}
