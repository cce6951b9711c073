// SPDX-License-Identifier: GPL-3.0-only
//! What a dry run adds to the plan: refusals that a run would only meet when it tries.
//!
//! A run sends its requests and reports what Proxmox VE refuses. A dry run sends none, so that it
//! asks for the login's privileges and for the quorum instead; what cannot be read refuses nothing.

use autosnap_core::plan::{Decision, GuestPlan, Plan, Refusal};
use pve_client::Client;

use crate::privileges::Privileges;

/// Refuses the guests whose steps Proxmox VE would refuse now.
pub async fn apply(client: &Client, plan: &mut Plan) {
    if !plan.guests.iter().any(would_change) {
        return;
    }
    let (privileges, status) = tokio::join!(Privileges::read(client), client.cluster_status());
    let no_quorum = status.is_ok_and(|status| status.quorate == Some(false));
    for guest in plan.guests.iter_mut().filter(|guest| would_change(guest)) {
        let path = format!("/vms/{}", guest.guest.vmid);
        let lacks = |privileges: &Privileges| !privileges.holds(&path, "VM.Snapshot");
        if privileges.as_ref().is_some_and(lacks) {
            guest.decision = Decision::Refuse(Refusal::NotPermitted { path });
        } else if no_quorum {
            guest.decision = Decision::Refuse(Refusal::NoQuorum);
        }
    }
}

fn would_change(guest: &GuestPlan) -> bool {
    match &guest.decision {
        Decision::Proceed(steps) => steps.change_anything(),
        Decision::Skip(_) | Decision::Refuse(_) => false,
    }
}
