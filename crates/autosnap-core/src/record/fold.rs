// SPDX-License-Identifier: GPL-3.0-only
//! Folds the events of a run into its record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;

use super::{
    CompletedStep, DroppedRemoval, FailedStep, GuestRecord, KeptCounts, PostponedRemovals,
    RunError, RunRecord, StorageRecord,
};
use crate::event::{Event, EventKind, GuestResult, HookRun};
use crate::guest::{Guest, Vmid};
use crate::plan::{Decision, GuestPlan, Plan, Steps};

/// How many bytes of the output of one hook call are recorded.
const MAX_HOOK_OUTPUT: usize = 8 * 1024;
/// The maximum number of recorded bytes of hook output per run: a run may have 10,000 guests.
const MAX_ALL_HOOK_OUTPUT: usize = 4 * 1024 * 1024;

/// The state of the fold that is not part of the record. It follows from the record, so that two records never differ
/// in it.
#[derive(Debug, Clone, Default)]
pub(super) struct FoldState {
    /// Where each guest is in the list.
    positions: HashMap<Vmid, usize>,
    /// How many bytes of hook output are recorded.
    hook_output: usize,
}

impl PartialEq for FoldState {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl FoldState {
    fn list(&mut self, guests: &[GuestRecord]) {
        let vmids = guests.iter().map(|guest| guest.vmid);
        self.positions = vmids.enumerate().map(|(at, vmid)| (vmid, at)).collect();
    }

    pub(super) fn position(&self, vmid: Vmid) -> Option<usize> {
        self.positions.get(&vmid).copied()
    }

    /// A hook call with as much of its output as may be recorded: the end of it, in which errors are.
    fn bounded(&mut self, run: &HookRun) -> HookRun {
        let left = MAX_ALL_HOOK_OUTPUT - self.hook_output;
        let start = run.output.len().saturating_sub(MAX_HOOK_OUTPUT.min(left));
        let start = (start..=run.output.len()).find(|&at| run.output.is_char_boundary(at));
        let output = &run.output[start.unwrap_or(run.output.len())..];
        self.hook_output += output.len();
        HookRun {
            vmid: run.vmid,
            phase: run.phase.clone(),
            end: run.end.clone(),
            output: output.to_owned(),
        }
    }
}

impl RunRecord {
    /// Updates the record with one event. The events must be passed in order.
    pub fn observe(&mut self, event: &Event) {
        self.started.get_or_insert(event.at);
        match &event.kind {
            EventKind::RunStarted(header) => {
                self.warnings.extend(header.warnings.iter().cloned());
                self.header = Some(header.as_ref().clone());
            }
            EventKind::Warned(warning) => self.warnings.push(warning.clone()),
            EventKind::Selected {
                guests,
                visible,
                required,
                nested_pools,
                tagged_off,
                may_be_empty,
            } => {
                self.visible_guests = Some(*visible);
                self.nested_pools = nested_pools.to_vec();
                self.tagged_off = tagged_off.to_vec();
                self.may_be_empty = *may_be_empty;
                self.select(guests, required);
            }
            EventKind::StoragesRead { storages, limit } => {
                self.storages = Some(StorageRecord {
                    storages: storages.clone(),
                    limit: *limit,
                });
            }
            EventKind::Planned(plan) => self.plan(plan),
            EventKind::RunSkipped { holder } => self.skipped_for = Some(holder.clone()),
            EventKind::RunFailed { kind, message } => {
                self.error = Some(RunError {
                    kind: *kind,
                    message: message.clone(),
                });
            }
            EventKind::Stopped(reason) => {
                self.stop_reason.get_or_insert(*reason);
            }
            EventKind::HookRan(run) => {
                let run = self.fold_state.bounded(run);
                match run.vmid.and_then(|vmid| self.guest_mut(vmid)) {
                    Some(guest) => guest.hooks.push(run),
                    None => self.hooks.push(run),
                }
            }
            EventKind::RunFinished { duration } => {
                self.ended = Some(event.at);
                self.duration = Some(*duration);
            }
            EventKind::CreationStarted { vmid, .. }
            | EventKind::Created { vmid, .. }
            | EventKind::MissingRam { vmid, .. }
            | EventKind::CreationFailed { vmid, .. }
            | EventKind::Removed { vmid, .. }
            | EventKind::RemovalFailed { vmid, .. }
            | EventKind::RemovalDropped { vmid, .. }
            | EventKind::RemovalsPostponed { vmid, .. }
            | EventKind::GuestFinished { vmid, .. } => {
                if let Some(guest) = self.guest_mut(*vmid) {
                    guest.observe(&event.kind);
                }
            }
            EventKind::StorageCheckUnsupported { .. }
            | EventKind::Compared(_)
            | EventKind::GuestStarted(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::RemovalStarted { .. } => {}
        }
    }

    fn guest_mut(&mut self, vmid: Vmid) -> Option<&mut GuestRecord> {
        let position = self.fold_state.position(vmid)?;
        self.guests.get_mut(position)
    }

    fn select(&mut self, guests: &[Guest], required: &[Vmid]) {
        let required: HashSet<Vmid> = required.iter().copied().collect();
        let guests = guests.iter();
        self.guests = guests
            .map(|guest| GuestRecord::new(guest, required.contains(&guest.vmid)))
            .collect();
        self.fold_state.list(&self.guests);
    }

    fn plan(&mut self, plan: &Plan) {
        let is_dry_run = self.is_dry_run();
        // The list of the selected guests is freed first: a run may have 10,000 guests.
        let required: HashSet<Vmid> = mem::take(&mut self.guests)
            .into_iter()
            .filter_map(|guest| guest.is_required.then_some(guest.vmid))
            .collect();
        let guests = plan.guests.iter().map(|plan| {
            let mut guest = GuestRecord::new(&plan.guest, required.contains(&plan.guest.vmid));
            guest.plan(plan, is_dry_run);
            guest
        });
        self.guests = guests.collect();
        self.fold_state.list(&self.guests);
        self.is_planned = true;
    }
}

/// Why the snapshots are removed, by their names.
fn removal_reasons(steps: &Steps) -> BTreeMap<String, String> {
    let verdicts = steps.verdicts.iter();
    let removals = verdicts.filter(|verdict| verdict.reason.is_removal());
    removals
        .map(|verdict| (verdict.snapshot.name.clone(), verdict.reason.to_string()))
        .collect()
}

impl GuestRecord {
    fn plan(&mut self, plan: &GuestPlan, is_dry_run: bool) {
        self.notes.clone_from(&plan.notes);
        self.ambiguous_names = plan.ambiguous_names();
        self.over_limit = plan.steps().map_or(0, Steps::left_to_next_runs);
        self.kept = plan.steps().map(KeptCounts::from_steps).unwrap_or_default();
        self.removal_reasons = plan.steps().map(removal_reasons).unwrap_or_default();
        let result = match &plan.decision {
            Decision::Proceed(steps) => {
                let creation = steps.creation.as_ref();
                self.planned_creation = creation.map(|creation| creation.name.to_string());
                let removals = steps.removals();
                self.planned_removals = removals.map(|snapshot| snapshot.name.clone()).collect();
                None
            }
            Decision::Skip(skip) => Some(GuestResult::Skipped(skip.clone())),
            Decision::Refuse(refusal) => Some(GuestResult::Refused(refusal.clone())),
        };
        // In a run, the event of the guest's end follows.
        self.result = result.filter(|_| is_dry_run);
    }

    fn observe(&mut self, event: &EventKind) {
        match event {
            EventKind::CreationStarted { snapshot, .. } => {
                self.planned_creation = Some(snapshot.name.to_string());
            }
            EventKind::Created { success, .. } => {
                let snapshot = self.planned_creation.clone().unwrap_or_default();
                self.created = Some(CompletedStep {
                    snapshot,
                    success: success.clone(),
                });
            }
            EventKind::MissingRam { .. } => self.is_ram_missing = true,
            EventKind::CreationFailed { failure, .. } => self.failures.push(FailedStep {
                removal_of: None,
                failure: failure.clone(),
            }),
            EventKind::Removed { name, success, .. } => self.removed.push(CompletedStep {
                snapshot: name.clone(),
                success: success.clone(),
            }),
            EventKind::RemovalFailed { name, failure, .. } => self.failures.push(FailedStep {
                removal_of: Some(name.clone()),
                failure: failure.clone(),
            }),
            EventKind::RemovalDropped { name, reason, .. } => self.dropped.push(DroppedRemoval {
                snapshot: name.clone(),
                reason: *reason,
            }),
            EventKind::RemovalsPostponed { count, reason, .. } => {
                self.postponed.push(PostponedRemovals {
                    count: *count,
                    reason: *reason,
                });
            }
            EventKind::GuestFinished {
                result, duration, ..
            } => {
                self.result = Some(result.clone());
                self.duration = *duration;
            }
            EventKind::RunStarted(_)
            | EventKind::Warned(_)
            | EventKind::Selected { .. }
            | EventKind::StoragesRead { .. }
            | EventKind::StorageCheckUnsupported { .. }
            | EventKind::Planned(_)
            | EventKind::Compared(_)
            | EventKind::HookRan(_)
            | EventKind::GuestStarted(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::Stopped(_)
            | EventKind::RunSkipped { .. }
            | EventKind::RunFailed { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }
}
