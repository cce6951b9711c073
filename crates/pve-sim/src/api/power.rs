// SPDX-License-Identifier: GPL-3.0-only
//! `…/status/start` and its like. The schema of the recordings leaves these
//! paths out, but snapshots of running guests need guests that run.

use crate::tasks::Work;
use crate::world::World;
use crate::world::guest::GuestKind;

use super::{Call, Failure, Reply, Via, check_privileges, place_on};

type Outcome = (Result<Reply, Failure>, Via);

/// The code behind `POST /nodes/{node}/{qemu,lxc}/{vmid}/status/{start,stop,shutdown}`.
pub(super) fn route<'a>(
    call: &Call<'_>,
    segments: &[&'a str],
) -> Option<impl FnOnce(&mut World, &Call<'_>) -> Outcome + use<'a>> {
    let parts: Vec<&str> = segments
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    let ["nodes", node, kind, vmid, "status", action] = parts.as_slice() else {
        return None;
    };
    let work = match *action {
        "start" => Work::Start,
        "stop" | "shutdown" => Work::Stop,
        _ => return None,
    };
    let kind = GuestKind::parse(kind)?;
    let vmid: u32 = vmid.parse().ok()?;
    let node = *node;
    (call.method == "POST").then_some(move |world: &mut World, call: &Call<'_>| {
        carry_out(world, call, node, kind, vmid, work)
    })
}

fn carry_out(
    world: &mut World,
    call: &Call<'_>,
    node: &str,
    kind: GuestKind,
    vmid: u32,
    work: Work,
) -> Outcome {
    let who = call.who.unwrap_or_default();
    let allowed = check_privileges(
        world,
        who,
        &format!("/vms/{vmid}"),
        &["VM.PowerMgmt"],
        false,
    );
    if let Err(failure) = allowed {
        return (Err(failure), Via::Proxy);
    }
    let via = match place_on(world, call.node, node, true) {
        Ok(via) => via,
        Err(failure) => return (Err(failure), Via::Proxy),
    };
    if let Err(text) = world.guest_on(kind, node, vmid) {
        return (Err(Failure::Died(text)), via);
    }
    (
        Ok(Reply::of(&world.start_task(kind, node, vmid, who, work))),
        via,
    )
}
