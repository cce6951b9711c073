// SPDX-License-Identifier: GPL-3.0-only
//! A plan for people: the lines that the run would print, each with its reason.

use std::fmt::Write;

use autosnap_core::guest::Guest;
use autosnap_core::plan::{Decision, GuestPlan, Plan, Steps};
use autosnap_core::retention::Reason;

use super::words;

/// The whole plan; with `phases`, the hook phases that would be called as well.
pub(super) fn text(plan: &Plan, phases: bool) -> String {
    plan.guests
        .iter()
        .map(|guest| block(guest, phases))
        .collect()
}

/// The line that opens a guest's block.
pub(super) fn head(guest: &Guest) -> String {
    format!(
        "----- VM {} {} {} -----\n",
        guest.vmid, guest.kind, guest.status
    )
}

fn block(plan: &GuestPlan, phases: bool) -> String {
    let mut text = head(&plan.guest);
    for note in &plan.notes {
        _ = writeln!(text, "{}", words::note(plan.guest.vmid, note));
    }
    match &plan.decision {
        Decision::Skip(skip) => _ = writeln!(text, "{}", words::skip(skip)),
        Decision::Refuse(refusal) => {
            let (reason, more) = words::refusal(&plan.guest, refusal);
            _ = writeln!(text, "{reason}");
            if let Some(more) = more {
                _ = writeln!(text, "  {more}");
            }
        }
        Decision::Proceed(steps) => {
            if let Some(lock) = &plan.guest.lock {
                _ = writeln!(text, "Would wait: VM is locked ({lock})");
            }
            steps_to_take(&mut text, steps, phases);
        }
    }
    text
}

fn steps_to_take(text: &mut String, steps: &Steps, phases: bool) {
    let phase = |text: &mut String, name: &str| {
        if phases {
            _ = writeln!(text, "  hook would be called: {name}");
        }
    };
    if let Some(creation) = &steps.creation {
        phase(text, "snap-create-pre");
        let with_ram = if creation.with_ram { " (with RAM)" } else { "" };
        _ = writeln!(text, "Create snapshot: {}{with_ram}", creation.name);
    }
    for verdict in steps.verdicts.iter().rev() {
        let name = &verdict.snapshot.name;
        match &verdict.reason {
            Reason::Removed { .. } | Reason::RemovalRetried => {
                phase(text, "snap-remove-pre");
                _ = writeln!(text, "Remove snapshot: {name} ({})", verdict.reason);
                phase(text, "snap-remove-post");
            }
            Reason::Kept { .. } | Reason::KeptNew | Reason::Undated => {
                _ = writeln!(text, "Keep snapshot: {name} ({})", verdict.reason);
            }
            Reason::HalfMade(_) | Reason::NotOurs | Reason::OtherLabel => {}
        }
    }
    if steps.creation.is_some() {
        phase(text, "snap-create-post");
    }
}
