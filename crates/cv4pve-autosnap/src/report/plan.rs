// SPDX-License-Identifier: GPL-3.0-only
//! A plan for people: the lines that the run would print, each with its reason.

use std::collections::HashSet;

use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::marks::Marks;
use autosnap_core::plan::{Action, Decision, GuestPlan, Steps};
use autosnap_core::retention::Reason;

use super::{Lines, messages};
use autosnap::hook::Phase;

/// The plans of these guests; with `phases`, also the hook phases that would be called.
pub(super) fn text(guests: &[GuestPlan], required: &HashSet<Vmid>, phases: bool) -> Lines {
    let mut lines = Lines::default();
    for guest in guests {
        let is_required = required.contains(&guest.guest.vmid);
        block(&mut lines, guest, is_required, phases);
    }
    lines
}

/// The line for a phase in which the hook would be called.
pub(super) fn phase(phase: Phase) -> String {
    format!("  hook would be called: {phase}")
}

/// The line that opens a guest's block: the words of the C# tool, then the name.
pub(super) fn head(guest: &Guest) -> String {
    let name = guest.name.as_deref().unwrap_or_default();
    let line = format!(
        "----- VM {} {} {} ----- {name}",
        guest.vmid, guest.kind, guest.status
    );
    line.trim_end().to_owned()
}

fn block(text: &mut Lines, plan: &GuestPlan, is_required: bool, phases: bool) {
    text.line(head(&plan.guest));
    for note in &plan.notes {
        text.line(crate::report::notes::note(plan.guest.vmid, note));
    }
    match &plan.decision {
        Decision::Skip(skip) => {
            for line in messages::skip_lines(plan.guest.kind, skip, is_required) {
                text.line(line);
            }
        }
        Decision::Refuse(refusal) => {
            if phases && refusal.counts_as_attempt() {
                let (before, instead) = match &plan.action {
                    Action::Snap(_) => (Phase::SnapCreatePre, Phase::SnapCreateAbort),
                    Action::Clean => (Phase::SnapRemovePre, Phase::SnapRemoveAbort),
                };
                text.line(phase(before));
                text.line(phase(instead));
            }
            for line in messages::refusal(&plan.guest, refusal).lines() {
                text.line(line);
            }
            if let Some(steps) = &plan.when_unlocked {
                text.line("  tried again after all other guests; if it is unlocked then:");
                let mut taken = Lines::default();
                steps_to_take(&mut taken, steps, false);
                for line in taken.as_str().lines() {
                    text.line(format_args!("    {line}"));
                }
            }
        }
        Decision::Proceed(steps) => {
            if let Some(lock) = &steps.waits_for {
                let locked = messages::locked(plan.guest.kind, lock);
                text.line(format_args!("Would wait: {locked}"));
            }
            steps_to_take(text, steps, phases);
        }
    }
}

fn steps_to_take(text: &mut Lines, steps: &Steps, phases: bool) {
    let phase = |text: &mut Lines, called: Phase| {
        if phases {
            text.line(phase(called));
        }
    };
    if let Some(creation) = &steps.creation {
        phase(text, Phase::SnapCreatePre);
        text.line(format_args!("Create snapshot: {}", creation.name));
        if creation.with_ram {
            text.line("  with RAM");
        }
        for mark in new_marks(&creation.description) {
            text.line(format_args!("  {mark}"));
        }
    }
    for verdict in steps.verdicts.iter().rev() {
        let name = &verdict.snapshot.name;
        match &verdict.reason {
            Reason::Removed { .. }
            | Reason::SamePeriod { .. }
            | Reason::NotReached
            | Reason::Expired { .. }
            | Reason::RemovalRetried => {
                phase(text, Phase::SnapRemovePre);
                text.line(format_args!("Remove snapshot: {name}"));
                text.line(format_args!("  {}", verdict.reason));
                phase(text, Phase::SnapRemovePost);
            }
            Reason::Kept { .. }
            | Reason::KeptBy(_)
            | Reason::KeptNew
            | Reason::Held { .. }
            | Reason::UnreadableMark { .. }
            | Reason::Undated
            | Reason::Ambiguous { .. }
            | Reason::FutureTime
            | Reason::WrongTime => {
                text.line(format_args!("Keep snapshot: {name} ({})", verdict.reason));
            }
            // A note has their number.
            Reason::LeftToNextRuns { .. }
            | Reason::Incomplete(_)
            | Reason::NotOurs
            | Reason::OtherLabel
            | Reason::OtherFormat { .. } => {}
        }
    }
    if steps.creation.is_some() {
        phase(text, Phase::SnapCreatePost);
    }
}

/// The marks of a snapshot that is created, a line for each.
fn new_marks(description: &str) -> Vec<String> {
    let marks = Marks::parse(description).unwrap_or_default();
    let hold = marks.hold.map(|_| "held".to_owned());
    let expires = marks.expires.map(|at| format!("expires {at}"));
    let note = marks.note.map(|note| format!("note: {note}"));
    [hold, expires, note].into_iter().flatten().collect()
}
