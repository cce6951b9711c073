// SPDX-License-Identifier: GPL-3.0-only
//! The report for programs: `snap` and `clean` with `--output`.
//!
//! A versioned type of its own, so that the core can change without breaking anybody's script:
//! fields are added, never renamed or removed, while `version` stays 1.

use std::collections::HashMap;

use autosnap_core::event::{EventKind, Failure, GuestResult, Header};
use autosnap_core::guest::{Guest, GuestKind, Vmid};
use autosnap_core::outcome::Outcome;
use autosnap_core::plan::{Decision, GuestPlan, Plan, Refusal};
use autosnap_core::select::NestedPools;
use jiff::Timestamp;
use serde::Serialize;

use super::units::seconds;
use super::{Console, Sink, remedies, words};

/// Gathers a run and prints it as one JSON document at the end.
#[derive(Debug)]
pub struct JsonReport {
    console: Console,
    pretty: bool,
    /// Print nothing if the exit status is 0.
    quiet: bool,
    started: Timestamp,
    header: Option<Header>,
    warnings: Vec<String>,
    nested_pools: Vec<NestedPoolRecord>,
    outcome: Outcome,
    error: Option<String>,
    guests: Vec<GuestRecord>,
    positions: HashMap<u32, usize>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    version: u32,
    command: &'a str,
    dry_run: bool,
    started: String,
    seconds: f64,
    /// `null` if no host let us in.
    pve_version: Option<&'a str>,
    selection: &'a str,
    label: &'a str,
    keep: u32,
    exit_status: u8,
    created: usize,
    removed: usize,
    postponed: usize,
    /// Removals that are due and were not planned (`--max-removals-per-guest`).
    over_limit: usize,
    /// Guests that PVE cannot snapshot.
    not_covered: usize,
    warnings: &'a [String],
    /// The nested pools whose guests a term selects.
    nested_pools: &'a [NestedPoolRecord],
    /// What ended the run early.
    error: Option<&'a str>,
    guests: &'a [GuestRecord],
}

#[derive(Debug, Default, Serialize)]
struct GuestRecord {
    vmid: u32,
    node: String,
    r#type: &'static str,
    name: Option<String>,
    /// `done`, `skipped`, `refused`, `failed`, `vetoed`, `not-reached`, or `planned` in a dry run.
    result: &'static str,
    reason: Option<String>,
    /// The figures behind the reason.
    detail: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    seconds: f64,
    create: Option<String>,
    remove: Vec<String>,
    over_limit: usize,
    created: Option<String>,
    removed: Vec<String>,
    failures: Vec<FailureRecord>,
    hooks_failed: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct NestedPoolRecord {
    /// The term, such as `@pool-lab`.
    term: String,
    /// The nested pool.
    pool: String,
    /// How many of its guests are selected.
    guests: usize,
}

#[derive(Debug, Serialize)]
struct FailureRecord {
    /// `create` or `remove`.
    step: &'static str,
    snapshot: Option<String>,
    message: String,
    hint: Option<String>,
    /// `none`, `still-running`, `half-done`, `unknown`.
    effect: &'static str,
}

impl JsonReport {
    /// A report that began at `started`.
    pub fn new(console: Console, pretty: bool, started: Timestamp) -> Self {
        Self {
            console,
            pretty,
            quiet: false,
            started,
            header: None,
            warnings: Vec::new(),
            nested_pools: Vec::new(),
            outcome: Outcome::default(),
            error: None,
            guests: Vec::new(),
            positions: HashMap::new(),
        }
    }

    fn selected(&mut self, guests: &[Guest], nested_pools: &[NestedPools]) {
        let records = nested_pools.iter().flat_map(|nested| {
            let pools = nested.pools.iter();
            pools.map(|(pool, guests)| NestedPoolRecord {
                term: nested.term.clone(),
                pool: pool.clone(),
                guests: *guests,
            })
        });
        self.nested_pools = records.collect();
        self.list(guests.iter().map(GuestRecord::selected).collect());
    }

    /// With `quiet`, a run with exit status 0 prints nothing.
    #[must_use]
    pub fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    fn planned(&mut self, plan: &Plan) {
        let records = plan.guests.iter().map(|plan| {
            let mut record = GuestRecord::new(plan);
            if let Decision::Skip(skip) = &plan.decision
                && let end = GuestResult::Skipped(skip.clone())
                && self.outcome.is_failure(plan.guest.vmid, &end)
            {
                record.hint = Some(words::STRICT.to_owned());
            }
            record
        });
        self.list(records.collect());
    }

    fn list(&mut self, guests: Vec<GuestRecord>) {
        self.positions = guests
            .iter()
            .enumerate()
            .map(|(index, guest)| (guest.vmid, index))
            .collect();
        self.guests = guests;
    }

    fn guest(&mut self, vmid: Vmid) -> Option<&mut GuestRecord> {
        let position = *self.positions.get(&vmid.get())?;
        self.guests.get_mut(position)
    }

    fn failed(
        &mut self,
        vmid: Vmid,
        step: &'static str,
        snapshot: Option<&str>,
        failure: &Failure,
    ) {
        let record = FailureRecord {
            step,
            snapshot: snapshot.map(ToOwned::to_owned),
            message: words::failure(failure),
            hint: failure.remedy.as_ref().map(remedies::hint),
            effect: words::effect_id(failure.effect),
        };
        if let Some(guest) = self.guest(vmid) {
            guest.failures.push(record);
        }
    }

    fn finished(&mut self, vmid: Vmid, end: &GuestResult, duration: std::time::Duration) {
        let reason = match end {
            GuestResult::Done | GuestResult::Failed => None,
            GuestResult::Skipped(_) => self.guest(vmid).and_then(|guest| guest.reason.take()),
            GuestResult::Refused(refusal) => self
                .guest(vmid)
                .and_then(|guest| guest.refused_for(refusal)),
            GuestResult::Vetoed => {
                let begun = self
                    .guest(vmid)
                    .is_some_and(|guest| guest.created.is_some() || !guest.removed.is_empty());
                Some(words::vetoed(begun).to_owned())
            }
            GuestResult::NotReached => {
                let why = self.outcome.interruption.map(words::stopped);
                why.map(ToOwned::to_owned)
            }
        };
        if let Some(guest) = self.guest(vmid) {
            if !matches!(end, GuestResult::Refused(_)) && guest.result == "refused" {
                // It was locked in the plan and is no more.
                (guest.detail, guest.hint) = (None, None);
            }
            guest.seconds = seconds(duration);
            guest.end(words::result(end), reason);
        }
    }

    fn print(&self, duration: std::time::Duration) {
        let Some(header) = &self.header else { return };
        if self.quiet && self.outcome.is_success() {
            return;
        }
        let report = Report {
            version: 1,
            command: header.command,
            dry_run: header.dry_run,
            started: self.started.to_string(),
            seconds: seconds(duration),
            pve_version: Some(header.pve_version.as_str()).filter(|version| !version.is_empty()),
            selection: &header.selection,
            label: &header.label,
            keep: header.keep,
            exit_status: self.outcome.exit_status().code(),
            created: self.outcome.created,
            removed: self.outcome.removed,
            postponed: self.outcome.postponed,
            over_limit: self.outcome.over_limit,
            not_covered: self.outcome.not_covered.len(),
            warnings: &self.warnings,
            nested_pools: &self.nested_pools,
            error: self.error.as_deref(),
            guests: &self.guests,
        };
        let text = if self.pretty {
            serde_json::to_string_pretty(&report)
        } else {
            serde_json::to_string(&report)
        };
        self.console.json(
            &(text.expect("the report has no maps and no floats that are not numbers") + "\n"),
        );
    }
}

impl GuestRecord {
    /// What is true of a guest until there is a plan.
    fn selected(guest: &Guest) -> Self {
        Self {
            vmid: guest.vmid.get(),
            node: guest.node.clone(),
            r#type: guest.kind.as_str(),
            name: guest.name.clone(),
            result: "not-reached",
            ..Self::default()
        }
    }

    fn new(plan: &GuestPlan) -> Self {
        let mut record = Self {
            result: "planned",
            warnings: plan
                .notes
                .iter()
                .map(|note| autosnap::notes::note(plan.guest.vmid, note))
                .collect(),
            ..Self::selected(&plan.guest)
        };
        match &plan.decision {
            Decision::Skip(skip) => {
                record.end("skipped", Some(words::skip(plan.guest.kind, skip)));
            }
            Decision::Refuse(refusal) => {
                let refused = words::refusal(&plan.guest, refusal);
                record.end("refused", Some(refused.reason));
                record.detail = refused.detail;
                record.hint = refused.hint;
            }
            Decision::Proceed(steps) => {
                record.over_limit = steps.left_to_next_runs();
                record.create = steps
                    .creation
                    .as_ref()
                    .map(|creation| creation.name.to_string());
                record.remove = steps
                    .removals()
                    .map(|snapshot| snapshot.name.clone())
                    .collect();
            }
        }
        record
    }

    /// Why it was refused: for the reason of the plan, or for another lock by now.
    fn refused_for(&mut self, refusal: &Refusal) -> Option<String> {
        let planned = self.reason.take();
        match refusal {
            Refusal::Locked(lock) => {
                let kind = if self.r#type == GuestKind::Lxc.as_str() {
                    GuestKind::Lxc
                } else {
                    GuestKind::Qemu
                };
                Some(words::locked(kind, lock))
            }
            _ => planned,
        }
    }

    fn end(&mut self, result: &'static str, reason: Option<String>) {
        self.result = result;
        self.reason = reason;
    }
}

impl Sink for JsonReport {
    fn observe(&mut self, event: &EventKind) {
        self.outcome.observe(event);
        match event {
            EventKind::RunStarted(header) => {
                self.warnings.extend(header.warnings.iter().cloned());
                self.header = Some(header.clone());
            }
            EventKind::Selected {
                guests,
                nested_pools,
                ..
            } => {
                self.selected(guests, nested_pools);
            }
            EventKind::Warned(warning)
            | EventKind::NameNotKnown(warning)
            | EventKind::UnreadableEntry(warning)
            | EventKind::MissingObject(warning) => {
                self.warnings.push(warning.clone());
            }
            EventKind::Planned(plan) => self.planned(plan),
            EventKind::HookRan(run) if !run.end.is_success() => {
                match run.vmid.and_then(|vmid| self.guest(vmid)) {
                    Some(guest) => guest.hooks_failed.push(run.phase.to_owned()),
                    None => self
                        .warnings
                        .push(format!("hook failed in phase {}", run.phase)),
                }
            }
            // A guest that was locked has no snapshot in its plan.
            EventKind::CreationStarted { vmid, snapshot } => {
                if let Some(guest) = self.guest(*vmid) {
                    guest.create = Some(snapshot.name.to_string());
                }
            }
            EventKind::Created { vmid, success } => {
                let warnings = success.warnings;
                if let Some(guest) = self.guest(*vmid) {
                    guest.created = guest.create.clone();
                    guest.warnings.extend(
                        (warnings > 0).then(|| format!("creation ended with warnings: {warnings}")),
                    );
                }
            }
            EventKind::MissingRam { vmid, snapshot } => {
                if let Some(guest) = self.guest(*vmid) {
                    guest.warnings.push(words::ram_missing(snapshot));
                }
            }
            EventKind::Removed { vmid, name, .. } => {
                if let Some(guest) = self.guest(*vmid) {
                    guest.removed.push(name.clone());
                }
            }
            EventKind::CreationFailed { vmid, failure } => {
                self.failed(*vmid, "create", None, failure);
            }
            EventKind::RemovalFailed {
                vmid,
                name,
                failure,
            } => self.failed(*vmid, "remove", Some(name), failure),
            EventKind::GuestFinished {
                vmid,
                end,
                duration,
            } => self.finished(*vmid, end, *duration),
            // Whoever has pressed Ctrl-C wants to know that it was heard.
            EventKind::Interrupted(interruption) => {
                self.console.error(&words::interruption(*interruption));
                self.error
                    .get_or_insert_with(|| words::cause_of_end(*interruption).to_owned());
            }
            EventKind::RunBroken { message, .. } => self.error = Some(message.clone()),
            EventKind::RunFinished { duration } => self.print(*duration),
            EventKind::StoragesRead { .. }
            | EventKind::StoragesNotRead(_)
            | EventKind::HookRan(_)
            | EventKind::GuestStarted(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::RemovalDropped { .. }
            | EventKind::RemovalsPostponed { .. } => {}
        }
    }
}
