// SPDX-License-Identifier: GPL-3.0-only
//! The guests of a run by their IDs: the selected ones, then those of the plan.

use std::collections::HashMap;
use std::sync::Arc;

use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::plan::{GuestPlan, Plan};

/// The guests that a report knows so far.
#[derive(Debug, Default)]
pub(super) struct Guests {
    positions: HashMap<Vmid, usize>,
    /// The selected guests, until there is a plan.
    selected: Arc<[Guest]>,
    plan: Option<Arc<Plan>>,
}

impl Guests {
    /// Stores the selected guests.
    pub(super) fn selected(&mut self, guests: &Arc<[Guest]>) {
        self.number(guests.iter().map(|guest| guest.vmid));
        self.selected = Arc::clone(guests);
    }

    /// Stores the plan, which replaces the selected guests.
    pub(super) fn planned(&mut self, plan: &Arc<Plan>) {
        self.number(plan.guests.iter().map(|plan| plan.guest.vmid));
        self.selected = Arc::default();
        self.plan = Some(Arc::clone(plan));
    }

    fn number(&mut self, vmids: impl Iterator<Item = Vmid>) {
        self.positions = vmids.enumerate().map(|(at, vmid)| (vmid, at)).collect();
    }

    /// Whether there is a plan.
    pub(super) fn are_planned(&self) -> bool {
        self.plan.is_some()
    }

    /// The guest, as the plan has it if there is one.
    pub(super) fn get(&self, vmid: Vmid) -> Option<&Guest> {
        let planned = self.plan(vmid).map(|plan| &plan.guest);
        planned.or_else(|| self.selected.get(*self.positions.get(&vmid)?))
    }

    /// The plan for the guest.
    pub(super) fn plan(&self, vmid: Vmid) -> Option<&GuestPlan> {
        let position = *self.positions.get(&vmid)?;
        self.plan.as_ref()?.guests.get(position)
    }
}
