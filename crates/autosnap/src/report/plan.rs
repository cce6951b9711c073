// SPDX-License-Identifier: GPL-3.0-only
//! A plan for people: the lines that the run would print, each with its reason.

use std::fmt::Write;

use autosnap_core::guest::Guest;
use autosnap_core::plan::{Action, Decision, GuestPlan, Plan, Steps};
use autosnap_core::retention::Reason;

use super::words;
use crate::hook::Phase;

/// The whole plan; with `phases`, the hook phases that would be called as well.
pub(super) fn text(plan: &Plan, phases: bool) -> String {
    plan.guests
        .iter()
        .map(|guest| block(guest, &plan.request.action, phases))
        .collect()
}

/// The line for a phase in which the hook would be called.
pub(super) fn phase(phase: Phase) -> String {
    format!("  hook would be called: {phase}\n")
}

/// The line that opens a guest's block.
pub(super) fn head(guest: &Guest) -> String {
    format!(
        "----- VM {} {} {} -----\n",
        guest.vmid, guest.kind, guest.status
    )
}

fn block(plan: &GuestPlan, action: &Action, phases: bool) -> String {
    let mut text = head(&plan.guest);
    for note in &plan.notes {
        _ = writeln!(text, "{}", words::note(plan.guest.vmid, note));
    }
    match &plan.decision {
        Decision::Skip(skip) => _ = writeln!(text, "{}", words::skip(skip)),
        Decision::Refuse(refusal) => {
            let calls = phases && refusal.counts_as_attempt() && matches!(action, Action::Snap(_));
            if calls {
                text.push_str(&phase(Phase::SnapCreatePre));
                text.push_str(&phase(Phase::SnapCreateAbort));
            }
            for line in words::refusal(&plan.guest, refusal).lines() {
                _ = writeln!(text, "{line}");
            }
        }
        Decision::Proceed(steps) => {
            if let Some(lock) = &steps.waits_for {
                let locked = words::locked(plan.guest.kind, lock);
                _ = writeln!(text, "Would wait: {locked}");
            }
            steps_to_take(&mut text, steps, phases);
        }
    }
    text
}

fn steps_to_take(text: &mut String, steps: &Steps, phases: bool) {
    let phase = |text: &mut String, called: Phase| {
        if phases {
            text.push_str(&phase(called));
        }
    };
    if let Some(creation) = &steps.creation {
        phase(text, Phase::SnapCreatePre);
        let with_ram = if creation.with_ram { " (with RAM)" } else { "" };
        _ = writeln!(text, "Create snapshot: {}{with_ram}", creation.name);
    }
    for verdict in steps.verdicts.iter().rev() {
        let name = &verdict.snapshot.name;
        match &verdict.reason {
            Reason::Removed { .. } | Reason::RemovalRetried => {
                phase(text, Phase::SnapRemovePre);
                _ = writeln!(text, "Remove snapshot: {name} ({})", verdict.reason);
                phase(text, Phase::SnapRemovePost);
            }
            Reason::Kept { .. } | Reason::KeptNew | Reason::Undated => {
                _ = writeln!(text, "Keep snapshot: {name} ({})", verdict.reason);
            }
            Reason::HalfMade(_) | Reason::NotOurs | Reason::OtherLabel => {}
        }
    }
    if steps.creation.is_some() {
        phase(text, Phase::SnapCreatePost);
    }
}
