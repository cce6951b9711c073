// SPDX-License-Identifier: GPL-3.0-only
//! One run of `snap` or `clean`: read the cluster, make the plan, carry it out.
//!
//! A dry run is the same run, stopped after the plan was emitted.

mod empty_selection;
mod exclusions;
mod free_name;
mod nested_pools;
mod reading;
mod storages;
pub(crate) mod warnings;

use std::sync::Arc;
use std::time::Duration;

use autosnap_core::event::{Command, EventKind, GuestResult, Header, StopReason};
use autosnap_core::guest::Vmid;
use autosnap_core::name::SnapName;
use autosnap_core::plan::{
    self, Action, Comparison, Creation, GuestPlan, Intent, LockedGuests, Plan, StorageGuard,
};
use autosnap_core::record::RunResult;
use autosnap_core::retention::Policy;
use autosnap_core::select::{Inventory, Selected};
use autosnap_core::snapshot::Snapshot;
use autosnap_core::storage;
use autosnap_core::warning::Warning;
use jiff::Zoned;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::concurrent::try_map_concurrent;
use crate::engine::{Executor, HookCall, Options, RunContext, RunHook, RunningTasks};
use crate::error::Error;
use crate::events::Events;
use crate::hook::{Hook, Phase};
use crate::inventory;
use crate::panics;
use crate::predicted_refusals;
use crate::settings::{GuestStates, Invocation, JobKind, JobSettings};
use crate::statistics_age;
use crate::stop::StopSignal;
use exclusions::{check_before_hooks, check_exclusions};
use reading::Reader;
use storages::{emit_storages, storage_limit};

/// What a run needs in addition to its settings.
#[derive(Debug, Clone)]
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// The time of the run, and whether it is a dry run.
    pub invocation: Invocation,
    /// Where its events are emitted.
    pub events: Events,
    /// Its stop signal.
    pub stop: StopSignal,
    /// Its running tasks in PVE.
    pub tasks: RunningTasks,
}

/// Runs `snap` or `clean`. The results of guests are emitted as events; an error ends the run early.
pub async fn run(settings: &JobSettings, context: &Context) -> Result<(), Error> {
    let started = Instant::now();
    let version = context
        .cluster
        .client()
        .version_at_connect()
        .version
        .clone();
    let intent = intent(settings, &context.invocation.now)?;
    let header = header(settings, &context.invocation, &version);
    context.events.emit(EventKind::RunStarted(Box::new(header)));
    let series = &settings.policy.series;
    for collision in series.collisions() {
        warn(context, warnings::collision(series, collision));
    }
    if let Err(error) = check_before_hooks(settings, context).await {
        context.events.emit(failed(&error));
        context.events.emit(EventKind::RunFinished {
            duration: started.elapsed(),
        });
        return Err(error);
    }
    let hook = hook(settings, &context.invocation);
    let (opening, closing, is_snap) = match settings.kind {
        JobKind::Snap { .. } => (Phase::SnapJobStart, Phase::SnapJobEnd, true),
        JobKind::Clean => (Phase::CleanJobStart, Phase::CleanJobEnd, false),
    };
    // The C# tool opens a `clean` with STATE 0.
    call_job_hook(settings, context, &hook, (opening, is_snap, Duration::ZERO)).await;
    let working = Box::pin(read_and_carry_out(
        settings, context, &version, intent, &hook,
    ));
    // The closing hook is also called after a panic.
    let result = match panics::catch(working).await {
        Ok(result) => result,
        Err(panic) => Err(panic.into()),
    };
    if let Err(error) = &result {
        context.events.emit(failed(error));
        finish_unreached(context);
    }
    let success = context.events.result() == RunResult::Success;
    call_job_hook(
        settings,
        context,
        &hook,
        (closing, success, started.elapsed()),
    )
    .await;
    context.events.emit(EventKind::RunFinished {
        duration: started.elapsed(),
    });
    result
}

/// Calls the hook for the whole job, except in a dry run.
async fn call_job_hook(
    settings: &JobSettings,
    context: &Context,
    hook: &RunHook,
    (phase, state, duration): (Phase, bool, Duration),
) {
    if context.invocation.dry_run {
        return;
    }
    let with_ram = settings.saves_ram();
    let call = HookCall::for_job(phase, with_ram, state, duration);
    hook.call(&call, &context.events, &context.stop).await;
}

async fn read_and_carry_out(
    settings: &JobSettings,
    context: &Context,
    version: &str,
    mut intent: Intent,
    hook: &RunHook,
) -> Result<(), Error> {
    let reading = Box::pin(inventory::read(context.cluster.client()));
    let Some(inventory) = until_stopped(context, reading).await else {
        return Ok(());
    };
    let inventory = inventory?;
    // By the clock of the host that has just replied.
    intent.now = inventory::server_time(context.cluster.client())
        .to_zoned(context.invocation.now.time_zone().clone());
    for entry in &inventory.unreadable {
        warn(context, Warning::UnreadableEntry(entry.clone()));
    }
    let selected = selected(settings, context, &inventory).await?;
    let nodes: Vec<String> = selected
        .guests
        .iter()
        .map(|guest| guest.node.clone())
        .collect();
    let now = intent.now.clone();
    let limit = storage_limit(settings, context, version, &inventory, &nodes);
    let reading = async {
        if limit.is_some() {
            let (client, guests) = (context.cluster.client(), &selected.guests);
            for warning in statistics_age::warnings(client, &inventory, guests).await {
                warn(context, warning);
            }
        }
        let mut plan = plan_all(settings, context, intent, &inventory, selected, limit).await?;
        if context.invocation.dry_run {
            Box::pin(predicted_refusals::apply(
                context.cluster.client(),
                &mut plan,
            ))
            .await;
        }
        Ok::<_, Error>(plan)
    };
    let Some(plan) = until_stopped(context, Box::pin(reading)).await else {
        finish_unreached(context);
        return Ok(());
    };
    let plan = Arc::new(plan?);
    if let Some(limit) = limit {
        emit_storages(context, &inventory, &nodes, &plan, limit);
    }
    for warning in warnings::from_plan(&plan) {
        warn(context, warning);
    }
    context.events.emit(EventKind::Planned(Arc::clone(&plan)));
    if context.invocation.dry_run {
        if let Some(rules) = context.invocation.compare_with {
            let comparison = Comparison::new(&plan, rules, &now);
            context
                .events
                .emit(EventKind::Compared(Arc::new(comparison)));
        }
        return Ok(());
    }
    let shared = inventory.storages.iter().filter(|storage| storage.shared);
    let options = Options {
        execution: settings.execution.clone(),
        identity: context.cluster.identity().to_owned(),
        shared_storages: shared.map(|storage| storage.storage.clone()).collect(),
        zone: context.invocation.now.time_zone().clone(),
    };
    let guests = RunContext::new(
        context.cluster.client().clone(),
        Arc::clone(context.cluster.pace()),
        options,
        hook.clone(),
        context.events.clone(),
        context.stop.clone(),
        context.tasks.clone(),
    );
    Executor::new(
        guests,
        context.cluster.queue(),
        settings.execution.limits,
        &plan,
    )
    .carry_out()
    .await
    .map_err(Error::from)
}

/// Emits a warning.
fn warn(context: &Context, warning: Warning) {
    context.events.emit(EventKind::Warned(warning));
}

/// Selects the guests and reports them. Fails if an exclusion cannot be resolved.
async fn selected(
    settings: &JobSettings,
    context: &Context,
    inventory: &Inventory,
) -> Result<Selected, Error> {
    let mut selected = settings.selection.evaluate_for_run(inventory);
    check_exclusions(settings, &selected)?;
    nested_pools::check(settings, context.cluster.client(), inventory).await?;
    if settings.execution.limits.total == 1 {
        selected.sort_by_terms();
    }
    for error in settings.selection.invalid_terms() {
        warn(context, Warning::InvalidTerm(error.to_string()));
    }
    let empty_exclusion = settings.selection.empty_exclusion();
    let empty_exclusion = empty_exclusion.map(|error| Warning::EmptyExclusion(error.to_string()));
    for warning in empty_exclusion
        .into_iter()
        .chain(warnings::from_terms(&selected.warnings))
    {
        warn(context, warning);
    }
    if let Some(warning) = warnings::named_tagged_off(&selected.guests) {
        warn(context, warning);
    }
    let uncertainty = empty_selection::uncertainty(inventory);
    let may_be_empty = settings.allow_empty && uncertainty.is_none();
    if settings.allow_empty
        && selected.guests.is_empty()
        && let Some(uncertainty) = uncertainty
    {
        warn(context, Warning::UncertainSelection(uncertainty));
    }
    let named = selected.named.iter().copied();
    let required = named.filter(|_| settings.strict).collect();
    context.events.emit(EventKind::Selected {
        guests: selected.guests.as_slice().into(),
        visible: inventory.guests.len(),
        required,
        nested_pools: selected.nested_pools.as_slice().into(),
        tagged_off: selected.tagged_off.as_slice().into(),
        may_be_empty,
    });
    Ok(selected)
}

/// Reports each selected guest that has no result as not reached. In a dry run, the plan of a guest is its result.
pub(crate) fn finish_unreached(context: &Context) {
    let record = context.events.record();
    if context.invocation.dry_run && record.is_planned {
        return;
    }
    let guests = record.guests.iter().filter(|guest| guest.result.is_none());
    let vmids: Vec<Vmid> = guests.map(|guest| guest.vmid).collect();
    // An event that is emitted while the record is borrowed copies it.
    drop(record);
    for vmid in vmids {
        context.events.emit(EventKind::GuestFinished {
            vmid,
            result: GuestResult::NotReached,
            duration: Duration::ZERO,
        });
    }
}

pub(crate) fn failed(error: &Error) -> EventKind {
    EventKind::RunFailed {
        kind: error.kind(),
        message: error.to_string(),
    }
}

/// Waits for the work or for a stop signal, which is emitted. A stop by a hook is left to the engine, which reports
/// the guests that are not reached.
async fn until_stopped<T>(context: &Context, work: impl Future<Output = T>) -> Option<T> {
    if context.stop.requested() == Some(StopReason::Hook) {
        return Some(work.await);
    }
    tokio::select! {
        biased;
        reason = context.stop.wait() => {
            context.events.emit(EventKind::Stopped(reason));
            None
        }
        result = work => Some(result),
    }
}

fn intent(settings: &JobSettings, now: &Zoned) -> Result<Intent, Error> {
    let action = match settings.kind {
        JobKind::Snap { with_ram } => Action::Snap(Creation {
            name: SnapName::new(
                settings.label(),
                settings.policy.series.format(),
                &now.datetime(),
            )?,
            with_ram,
            only_running: settings.states == GuestStates::Running,
            description: settings.marks.description(now).to_string().into(),
        }),
        JobKind::Clean => Action::Clean,
    };
    let locked = if settings.execution.wait_locked.is_some() {
        LockedGuests::Wait
    } else if settings.execution.wait_snapshot_lock.is_some() {
        LockedGuests::WaitForSnapshotTasks
    } else {
        LockedGuests::Fail
    };
    Ok(Intent {
        action,
        policy: Arc::new(Policy {
            holds_new: settings.marks.hold,
            ..settings.policy.clone()
        }),
        locked,
        removal_limit: settings.execution.removal_limit,
        now: now.clone(),
    })
}

/// The header of a run.
pub fn header(settings: &JobSettings, invocation: &Invocation, version: &str) -> Header {
    Header {
        command: match settings.kind {
            JobKind::Snap { .. } => Command::Snap,
            JobKind::Clean => Command::Clean,
        },
        pve_version: version.to_owned(),
        selection: settings.selection.as_str().to_owned(),
        label: settings.label().as_str().to_owned(),
        keep: settings.policy.rules.is_simple(),
        policy: settings.policy_text(),
        has_default_keep_last: settings.policy.rules.has_default_keep_last(),
        timezone: zone_name(&invocation.now),
        adopted_labels: settings.labels().skip(1).map(ToOwned::to_owned).collect(),
        with_ram: settings.saves_ram(),
        only_running: settings.states == GuestStates::Running,
        timeout: settings.execution.timeout,
        timestamp_format: settings.policy.series.format().as_str().to_owned(),
        max_percent_storage: settings.max_percent_storage,
        serial_reasons: settings.execution.serial_reasons.clone(),
        dry_run: invocation.dry_run,
        warnings: option_warnings(settings),
    }
}

/// The name of the time zone, or its offset from UTC if it has no name.
fn zone_name(now: &Zoned) -> String {
    let name = now.time_zone().iana_name();
    name.map_or_else(|| now.offset().to_string(), ToOwned::to_owned)
}

fn option_warnings(settings: &JobSettings) -> Vec<Warning> {
    let format = settings.policy.series.format().warning();
    let hook = settings.hook.as_ref().and_then(Hook::start_error);
    let format = format.map(Warning::TimestampFormat);
    let rules = settings.policy.rules;
    let keeps_all = rules.counts().is_some() && rules.keeps_all();
    let keeps_all = keeps_all.then_some(Warning::NothingIsRemoved);
    let hook = hook.map(|error| Warning::Hook(error.to_string()));
    format.into_iter().chain(keeps_all).chain(hook).collect()
}

fn hook(settings: &JobSettings, invocation: &Invocation) -> RunHook {
    RunHook {
        script: settings.hook.clone(),
        on_failure: settings.hook_failure,
        label: settings.label().as_str().to_owned(),
        keep: settings.keep_text(),
        policy: settings.policy_text(),
        debug: invocation.debug,
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Reads the guests concurrently, and plans each. An error that would fail every guest, such as a refused token,
/// ends the run.
async fn plan_all(
    settings: &JobSettings,
    context: &Context,
    mut intent: Intent,
    inventory: &Inventory,
    selected: Selected,
    limit: Option<storage::StorageLimit>,
) -> Result<Plan, Error> {
    #[cfg(test)]
    assert_ne!(
        settings.label().as_str(),
        "panicreading",
        "requested by the test"
    );
    let reader = Reader {
        client: context.cluster.client(),
        intent: &intent,
        inventory,
        unresolved: &selected.unresolved,
        clean_only_running: settings.kind == JobKind::Clean
            && settings.states == GuestStates::Running,
        shared_storages: inventory.storages.iter().any(|storage| storage.shared),
        definitions: OnceCell::new(),
        timeout: settings.execution.timeout,
    };
    let readings = try_map_concurrent(
        settings.execution.reads_at_once,
        selected.guests,
        async |guest| reader.screen_or_read(guest).await,
    );
    let readings = readings.await?;
    let read = readings
        .iter()
        .filter_map(|(_, reading)| reading.as_ref().ok());
    for warning in warnings::from_labels(settings.kind, &intent.policy.series, &read) {
        warn(context, warning);
    }
    if let Action::Snap(creation) = &mut intent.action {
        let read = readings
            .iter()
            .filter_map(|(_, reading)| reading.as_ref().ok());
        let snapshots: Vec<&Snapshot> = read.flat_map(|reading| &reading.snapshots).collect();
        let series = &intent.policy.series;
        creation.name = free_name::next_free(
            creation.name.clone(),
            series,
            &context.invocation.now,
            intent.now.timestamp(),
            &snapshots,
        );
    }
    let guard = StorageGuard {
        storages: &inventory.storages,
        limit,
    };
    let mut guests = Vec::new();
    for reading in readings {
        guests.push(match reading {
            (guest, Ok(reading)) => plan::decide(guest, &reading, &intent, guard),
            (guest, Err(decision)) => GuestPlan::without_reading(guest, &intent, decision),
        });
    }
    Ok(Plan { guests })
}
