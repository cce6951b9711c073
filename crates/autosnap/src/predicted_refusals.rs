// SPDX-License-Identifier: GPL-3.0-only
//! The prediction of PVE's refusals for a dry run, which sends no requests that PVE could refuse.
//!
//! A dry run reads the login's privileges and the quorum instead. If they cannot be read, no refusal is predicted.

use autosnap_core::plan::{Decision, GuestPlan, Plan, Refusal};
use pve_client::{Client, Permissions};

/// Refuses each guest of the plan whose steps PVE would refuse now.
pub(crate) async fn apply(client: &Client, plan: &mut Plan) {
    if !plan.guests.iter().any(would_change) {
        return;
    }
    let (privileges, status) = tokio::join!(client.permissions(None), client.cluster_status());
    let no_quorum = status.is_ok_and(|status| status.quorate == Some(false));
    for guest in plan.guests.iter_mut().filter(|guest| would_change(guest)) {
        let path = format!("/vms/{}", guest.guest.vmid);
        let lacks = |privileges: &Permissions| !privileges.holds(&path, "VM.Snapshot");
        if privileges.as_ref().is_ok_and(lacks) {
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
