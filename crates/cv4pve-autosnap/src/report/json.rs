// SPDX-License-Identifier: GPL-3.0-only
//! The report for programs: `snap` and `clean` with `--output`. A view of the run's record.
//!
//! It has types of its own, so that the record can change without breaking scripts: fields are added,
//! never renamed or removed, while `version` stays 1.

mod comparison;

use std::collections::HashMap;
use std::sync::Arc;

use autosnap_core::event::{Command, Event, EventKind, GuestResult};
use autosnap_core::guest::{NamedGuest, Vmid};
use autosnap_core::plan::{self, GuestPlan, Plan, Steps};
use autosnap_core::record::{FailedStep, GuestRecord, KeptCounts, RunRecord};
use autosnap_core::retention::Reason;
use autosnap_core::select::NestedPools;
use jiff::Timestamp;
use serde::Serialize;

use super::units::seconds;
use super::{Console, Sink, messages, remedies, warnings};
use crate::exit_status::ExitStatus;

/// Prints the record of a run as one JSON document at the end.
#[derive(Debug)]
pub struct JsonReport {
    console: Console,
    pretty: bool,
    /// Print nothing if the exit status is 0.
    quiet: bool,
    started: Timestamp,
    plan: Option<Arc<Plan>>,
    comparison: Option<Arc<plan::Comparison>>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    version: u32,
    command: Command,
    dry_run: bool,
    started: String,
    seconds: f64,
    /// `null` if no host let us in.
    pve_version: Option<&'a str>,
    selection: &'a str,
    label: &'a str,
    /// The number of `--keep`; `null` for other rules.
    keep: Option<u32>,
    /// The keep rules, such as `keep-last=3,keep-daily=13`.
    policy: &'a str,
    timezone: &'a str,
    adopted_labels: &'a [String],
    exit_status: u8,
    created: usize,
    removed: usize,
    postponed: usize,
    /// Removals that are due and were not planned (`--max-removals-per-guest`).
    over_limit: usize,
    /// Guests that PVE cannot snapshot.
    not_covered: usize,
    /// How many snapshots stay by each keep rule; `null` with `--keep`.
    kept: Option<Kept>,
    warnings: Vec<String>,
    /// The nested pools whose guests a term selects.
    nested_pools: Vec<NestedPool<'a>>,
    /// The IDs of the guests that are left out because of their tag.
    tagged_off: Vec<u32>,
    /// What ended the run early.
    error: Option<&'a str>,
    guests: Vec<Guest<'a>>,
    /// The comparison with other rules, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<comparison::Comparison<'a>>,
}

#[derive(Debug, Serialize)]
struct Guest<'a> {
    vmid: u32,
    node: &'a str,
    r#type: &'static str,
    name: Option<&'a str>,
    /// `done`, `skipped`, `refused`, `failed`, `vetoed`, `not-reached`, or `planned` in a dry run.
    result: &'static str,
    reason: Option<String>,
    /// The figures behind the reason.
    detail: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    seconds: f64,
    create: Option<&'a str>,
    remove: &'a [String],
    over_limit: usize,
    /// Of all snapshots in a dry run; of those to remove in a run.
    verdicts: Vec<JudgedSnapshot<'a>>,
    created: Option<&'a str>,
    removed: Vec<&'a str>,
    failures: Vec<Failure<'a>>,
    hooks_failed: Vec<&'a str>,
    warnings: Vec<String>,
}

/// The verdict on one snapshot.
#[derive(Debug, Serialize)]
struct JudgedSnapshot<'a> {
    snapshot: &'a str,
    /// RFC 3339, UTC; `null` if PVE reports no time.
    taken: Option<String>,
    /// `keep`, `remove`, or `later` if the limit leaves the removal to the next runs.
    verdict: &'static str,
    /// Each rule that holds it, or why it is removed.
    reasons: Vec<String>,
}

/// How many snapshots stay by each keep rule.
#[derive(Debug, Serialize)]
struct Kept {
    total: usize,
    last: usize,
    hourly: usize,
    daily: usize,
    weekly: usize,
    monthly: usize,
    yearly: usize,
    all: usize,
    guarded: usize,
    held: usize,
}

impl From<KeptCounts> for Kept {
    fn from(counts: KeptCounts) -> Self {
        Self {
            total: counts.total(),
            last: counts.last,
            hourly: counts.hourly,
            daily: counts.daily,
            weekly: counts.weekly,
            monthly: counts.monthly,
            yearly: counts.yearly,
            all: counts.all,
            guarded: counts.guarded,
            held: counts.held,
        }
    }
}

#[derive(Debug, Serialize)]
struct NestedPool<'a> {
    /// The term, such as `@pool-lab`.
    term: &'a str,
    /// The nested pool.
    pool: &'a str,
    /// How many of its guests are selected.
    guests: usize,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    /// `create` or `remove`.
    step: &'static str,
    snapshot: Option<&'a str>,
    message: String,
    hint: Option<String>,
    /// `none`, `still-running`, `half-done`, `unknown`.
    effect: &'static str,
}

impl JsonReport {
    /// A report of a run that began at `started`.
    pub fn new(console: Console, pretty: bool, started: Timestamp) -> Self {
        Self {
            console,
            pretty,
            quiet: false,
            started,
            plan: None,
            comparison: None,
        }
    }

    fn guests<'a>(&'a self, record: &'a RunRecord) -> Vec<Guest<'a>> {
        let plans = self.plan.iter().flat_map(|plan| &plan.guests);
        let plans: HashMap<Vmid, &GuestPlan> = plans.map(|plan| (plan.guest.vmid, plan)).collect();
        let guests = record.guests.iter().map(|one| Guest {
            verdicts: match plans.get(&one.vmid).and_then(|plan| plan.steps()) {
                Some(steps) => verdicts(steps, record.is_dry_run()),
                None => Vec::new(),
            },
            ..guest(one, record)
        });
        guests.collect()
    }

    /// With `quiet`, a run with exit status 0 prints nothing.
    #[must_use]
    pub fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }
}

impl Sink for JsonReport {
    fn observe(&mut self, event: &Event) {
        // After Ctrl-C the user must see that the signal was received.
        if let EventKind::Stopped(reason) = &event.kind {
            self.console.error(&messages::stopped(*reason));
        }
        if let EventKind::Planned(plan) = &event.kind {
            self.plan = Some(Arc::clone(plan));
        }
        if let EventKind::Compared(comparison) = &event.kind {
            self.comparison = Some(Arc::clone(comparison));
        }
    }

    fn finish(&mut self, record: &RunRecord) {
        let Some(header) = &record.header else { return };
        let exit = ExitStatus::from(record.result());
        if self.quiet && exit == ExitStatus::Success {
            return;
        }
        let totals = record.totals();
        let report = Report {
            version: 1,
            command: header.command,
            dry_run: header.dry_run,
            started: self.started.to_string(),
            seconds: seconds(record.duration.unwrap_or_default()),
            pve_version: Some(header.pve_version.as_str()).filter(|version| !version.is_empty()),
            selection: &header.selection,
            label: &header.label,
            keep: header.keep,
            policy: &header.policy,
            timezone: &header.timezone,
            adopted_labels: &header.adopted_labels,
            exit_status: exit.code(),
            created: totals.created,
            removed: totals.removed,
            postponed: totals.postponed,
            over_limit: totals.over_limit,
            not_covered: totals.not_covered,
            kept: header.keep.is_none().then(|| Kept::from(record.kept())),
            warnings: run_warnings(record),
            nested_pools: record.nested_pools.iter().flat_map(nested_pools).collect(),
            tagged_off: record.tagged_off.iter().map(|vmid| vmid.get()).collect(),
            error: messages::end_of_run(record),
            guests: self.guests(record),
            comparison: self.comparison.as_deref().map(comparison::Comparison::from),
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

/// The warnings about the run, then the hooks of the whole job that failed.
fn run_warnings(record: &RunRecord) -> Vec<String> {
    let warnings = record.warnings.iter().map(warnings::text);
    let failed = record.hooks.iter().filter(|run| !run.end.is_success());
    let failed = failed.map(|run| format!("hook failed in phase {}", run.phase));
    warnings.chain(failed).collect()
}

fn nested_pools(nested: &NestedPools) -> impl Iterator<Item = NestedPool<'_>> {
    nested.pools.iter().map(|(pool, guests)| NestedPool {
        term: &nested.term,
        pool,
        guests: *guests,
    })
}

fn guest<'a>(guest: &'a GuestRecord, record: &RunRecord) -> Guest<'a> {
    let failed_hooks = guest.hooks.iter().filter(|run| !run.end.is_success());
    let (reason, detail, hint) = explanation(guest, record);
    Guest {
        vmid: guest.vmid.get(),
        node: &guest.node,
        r#type: guest.kind.as_str(),
        name: guest.name.as_deref(),
        result: match &guest.result {
            Some(result) => messages::result(result),
            None if record.is_planned => "planned",
            None => "not-reached",
        },
        reason,
        detail,
        hint,
        seconds: seconds(guest.duration),
        create: guest.planned_creation.as_deref(),
        remove: &guest.planned_removals,
        over_limit: guest.over_limit,
        verdicts: Vec::new(),
        created: guest.created.as_ref().map(|step| step.snapshot.as_str()),
        removed: guest
            .removed
            .iter()
            .map(|step| step.snapshot.as_str())
            .collect(),
        failures: guest.failures.iter().map(failure).collect(),
        hooks_failed: failed_hooks.map(|run| &*run.phase).collect(),
        warnings: guest_warnings(guest),
    }
}

/// The verdicts on all snapshots, or only on those to remove.
fn verdicts(steps: &Steps, are_all: bool) -> Vec<JudgedSnapshot<'_>> {
    let verdicts = steps.verdicts.iter();
    let shown = verdicts.filter(|verdict| are_all || verdict.reason.is_removal());
    shown
        .map(|verdict| JudgedSnapshot {
            snapshot: &verdict.snapshot.name,
            taken: verdict.snapshot.taken_at.map(|time| time.to_string()),
            verdict: if matches!(verdict.reason, Reason::LeftToNextRuns { .. }) {
                "later"
            } else if verdict.reason.is_removal() {
                "remove"
            } else {
                "keep"
            },
            reasons: reasons(&verdict.reason),
        })
        .collect()
}

/// Each rule that holds a snapshot, or why it is removed.
pub(super) fn reasons(reason: &Reason) -> Vec<String> {
    if let Reason::KeptBy(holds) = reason {
        holds.iter().map(|hold| hold.to_string()).collect()
    } else {
        vec![reason.to_string()]
    }
}

/// Why a guest has its result, the figures behind it, and what to do about it.
fn explanation(
    guest: &GuestRecord,
    record: &RunRecord,
) -> (Option<String>, Option<String>, Option<String>) {
    match &guest.result {
        Some(GuestResult::Skipped(skip)) => {
            let hint = guest.is_required.then(|| messages::STRICT.to_owned());
            (Some(messages::skip(guest.kind, skip)), None, hint)
        }
        Some(GuestResult::Refused(refusal)) => {
            let refused = messages::refusal(NamedGuest::from(guest), refusal);
            (Some(refused.reason), refused.detail, refused.hint)
        }
        Some(GuestResult::StoppedByHook) => {
            let reason = messages::stopped_by_hook(guest.has_changed());
            (Some(reason.to_owned()), None, None)
        }
        Some(GuestResult::NotReached) => {
            let reason = record.stop_reason.map(messages::stop_reason);
            (reason.map(ToOwned::to_owned), None, None)
        }
        Some(GuestResult::Done | GuestResult::Failed) | None => (None, None, None),
    }
}

fn failure(step: &FailedStep) -> Failure<'_> {
    let FailedStep {
        removal_of,
        failure,
    } = step;
    Failure {
        step: if removal_of.is_some() {
            "remove"
        } else {
            "create"
        },
        snapshot: removal_of.as_deref(),
        message: messages::failure(failure),
        hint: failure.remedy.as_ref().map(remedies::hint),
        effect: messages::effect_id(failure.effect),
    }
}

/// The notes of the plan, and the note about the new snapshot.
fn guest_warnings(guest: &GuestRecord) -> Vec<String> {
    let notes = guest.notes.iter();
    let mut warnings: Vec<String> = notes
        .map(|note| crate::report::notes::note(guest.vmid, note))
        .collect();
    if let Some(created) = &guest.created {
        let count = created.success.warnings;
        warnings.extend((count > 0).then(|| format!("creation ended with warnings: {count}")));
        warnings.extend(
            guest
                .is_ram_missing
                .then(|| messages::ram_missing(&created.snapshot)),
        );
    }
    warnings
}
