// SPDX-License-Identifier: GPL-3.0-only
//! One schedule: the run with faults, the repair, and the run without faults.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use autosnap::Error;
use autosnap::cluster::Cluster;
use autosnap::engine::RunningTasks;
use autosnap::events::Events;
use autosnap::job::{self, Context};
use autosnap::settings::{Execution, GuestStates, Invocation, JobKind, JobSettings};
use autosnap::stop::StopSignal;
use autosnap_core::event::EventKind;
use autosnap_core::name::Label;
use autosnap_core::retention::Rules;
use autosnap_core::schedule::Limits;
use autosnap_core::select::Selection;
use jiff::{Span, ToSpan, Zoned};
use pve_client::{ApiToken, ClientOptions, Credentials, Trust};
use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Simulator;

use crate::check::{self, Expectation, RunTrace};
use crate::drawn::DrawnPolicy;
use crate::final_state;
use crate::foreign_locks::ForeignLocks;
use crate::hooks::RecordingHook;
use crate::late::Late;
use crate::marks::OtherUser;
use crate::model::State;
use crate::random::Random;
use crate::second_cluster::{SecondCluster, parsed, start};
use crate::world;

/// Counts over many schedules.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    fn count(&mut self, what: &'static str, count: usize) {
        *self.0.entry(what).or_default() += count;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(what, count)| writeln!(formatter, "{count:>8} {what}"))
    }
}

/// Runs the schedule with this seed; the error names the broken invariant.
pub(crate) fn schedule(seed: u64) -> Result<(), String> {
    counted(seed).map(drop)
}

/// Runs the schedule with this seed; returns counts of what happened.
pub(crate) fn counted(seed: u64) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let mut world = world::world(&mut random);
    let task_seconds = f64::from(random.below(40)) / 1000.0;
    let mut settings = settings(&mut random);
    // Drawn from numbers of its own, so that the schedules without it stay the same.
    let drawn = DrawnPolicy::random(seed, &mut settings, &mut world);
    let simulator = start(world.clone(), task_seconds)?;
    let mut second_cluster = None;
    if random.percent(12) {
        let started = SecondCluster::start(&mut random, &world, task_seconds, seed);
        second_cluster = Some(started?);
    }
    let plan = parsed(&world::faults(&mut random, seed, second_cluster.is_some()))?;
    let kill = random
        .percent(35)
        .then(|| Duration::from_millis(random.below(250).into()));
    let state = State::from_simulator(&simulator);
    // These are drawn last, so that the schedules without them stay the same.
    let hook = (cfg!(unix) && random.percent(20)).then(|| RecordingHook::random(&mut random));
    let foreign_locks = random
        .percent(10)
        .then(|| ForeignLocks::random(&mut random, &simulator));
    // These cases are few because they take time.
    let late = random
        .percent(5)
        .then(|| Late::random(&mut random, &simulator));
    if let Some(hook) = &hook {
        settings.hook = Some(hook.disturbed());
        settings.hook_failure = hook.on_failure;
    }
    if foreign_locks.is_some() {
        settings.execution.wait_locked =
            Some(Duration::from_millis(500 + u64::from(random.below(2_000))));
    }
    let mut schedule = Schedule {
        simulator,
        state,
        settings,
        now: Zoned::now().with_time_zone(drawn.policy.zone.clone()),
        drawn,
        hook,
        tally: Tally::default(),
    };
    let disturbed = schedule.run_disturbed(plan, kill, foreign_locks, second_cluster)?;
    schedule.run_undisturbed(&disturbed)?;
    schedule.run_later_rounds()?;
    if let Some(late) = late.filter(|_| !schedule.drawn.has_rules) {
        let count = late.check(
            &mut schedule.state,
            &schedule.simulator,
            (&schedule.settings, &schedule.drawn),
            &schedule.now,
        )?;
        schedule.tally.count("tasks longer than the timeout", count);
    }
    count_all(&mut schedule.tally, &schedule.state, &disturbed);
    Ok(schedule.tally)
}

/// A schedule with its cluster.
struct Schedule {
    simulator: Simulator,
    state: State,
    settings: JobSettings,
    drawn: DrawnPolicy,
    hook: Option<RecordingHook>,
    now: Zoned,
    tally: Tally,
}

impl Schedule {
    /// The run with faults, and the repair by the administrator.
    fn run_disturbed(
        &mut self,
        faults: FaultPlan,
        kill: Option<Duration>,
        foreign_locks: Option<ForeignLocks>,
        mut second_cluster: Option<SecondCluster>,
    ) -> Result<RunTrace, String> {
        let is_copied = second_cluster.as_ref().is_some_and(SecondCluster::is_copy);
        // Of two copies a run may read one and change the other.
        let other_user = self.drawn.other_user.take().filter(|_| !is_copied);
        self.simulator.set_faults(faults);
        let guests = self.drawn.guests(&self.simulator);
        let second = second_cluster.as_ref().map(|second| &second.simulator);
        let guests_of_second = second.map(|second| self.drawn.guests(second));
        let mut hosts = vec![&self.simulator];
        hosts.extend(second_cluster.as_ref().map(|second| &second.simulator));
        let others = Others {
            foreign_locks: foreign_locks.as_ref(),
            other_user: other_user.as_ref(),
        };
        let disturbed = execute(&hosts, &self.settings, &self.now, kill, &others);
        let simulator = &self.simulator;
        let faults = applied_faults(simulator);
        simulator.set_faults(FaultPlan::default());
        settle(simulator);
        if let Some(foreign_locks) = foreign_locks {
            foreign_locks.release_all(simulator);
        }
        let mut clusters = vec![check::Cluster {
            state: &mut self.state,
            simulator,
            guests,
        }];
        if let Some(second_cluster) = &mut second_cluster {
            settle(&second_cluster.simulator);
            self.tally.count("schedules with a second cluster", 1);
            if !is_copied {
                check::check_only_one_cluster_changed(simulator, &second_cluster.simulator)?;
            }
            clusters.push(second_cluster.as_cluster(guests_of_second.unwrap_or_default()));
        }
        let expected = Expectation {
            settings: &self.settings,
            policy: &self.drawn.policy,
            are_copies: is_copied,
        };
        check::check_run(&mut clusters, &expected, &disturbed, None)?;
        if let Some(hook) = &self.hook {
            let at_once = self.settings.execution.limits.total;
            let calls = hook.after_disturbed(simulator, &disturbed, at_once)?;
            self.tally.count("hooks called", calls);
            self.settings.hook = Some(hook.repaired());
        }
        let repaired = check::repair(&mut self.state, simulator, &disturbed, is_copied)?;
        let faults = usize::try_from(faults).unwrap_or(usize::MAX);
        self.tally.count("requests and tasks with faults", faults);
        self.tally
            .count("guests repaired by the administrator", repaired);
        Ok(disturbed)
    }

    /// Runs without faults, an hour apart, until no request of the killed run is left.
    fn run_undisturbed(&mut self, disturbed: &RunTrace) -> Result<(), String> {
        // Without faults a run succeeds even on a busy machine.
        self.settings.execution.timeout = Duration::from_secs(30);
        self.drawn.change_between_runs(&self.simulator);
        while !self.run_again(1.hour(), Some(disturbed))? {}
        Ok(())
    }

    /// Runs without faults after longer times, with other marks and tags.
    fn run_later_rounds(&mut self) -> Result<(), String> {
        for later in std::mem::take(&mut self.drawn.rounds) {
            self.drawn.change_between_runs(&self.simulator);
            self.run_again(later, None)?;
            self.tally.count("later runs", 1);
        }
        Ok(())
    }

    /// Runs without faults. Returns whether the result could be checked, which a late request of an earlier run
    /// prevents.
    fn run_again(&mut self, later: Span, earlier: Option<&RunTrace>) -> Result<bool, String> {
        let before = self.now.clone();
        self.now = self.now.saturating_add(later);
        let advance = self.now.duration_since(&before).as_secs_f64();
        let simulator = &self.simulator;
        simulator.advance(advance);
        let guests = self.drawn.guests(simulator);
        let nobody = Others::default();
        let undisturbed = execute(&[simulator], &self.settings, &self.now, None, &nobody);
        if let Some(hook) = &self.hook {
            let calls = hook.after_repaired(&undisturbed)?;
            self.tally.count("hooks called", calls);
        }
        // A removal that the killed run has sent may have begun during this run and may still be running.
        let is_busy = has_running_tasks(simulator);
        let expected = Expectation {
            settings: &self.settings,
            policy: &self.drawn.policy,
            are_copies: false,
        };
        let mut cluster = [check::Cluster {
            state: &mut self.state,
            simulator,
            guests,
        }];
        let has_late_requests = check::check_run(&mut cluster, &expected, &undisturbed, earlier)?;
        if has_late_requests || is_busy {
            return Ok(false);
        }
        let failed: Vec<_> = undisturbed.record.failed().collect();
        final_state::check(&cluster[0], &expected, &undisturbed)
            .map_err(|broken| format!("{broken}; {failed:?}"))?;
        Ok(true)
    }
}

/// How many requests and tasks were faulty so far.
fn applied_faults(simulator: &Simulator) -> u32 {
    simulator.world(|world| {
        let requests = world.faults.applied_to_requests();
        let tasks = world.faults.applied_to_tasks();
        requests.iter().chain(&tasks).sum()
    })
}

/// Counts what has happened in a schedule.
fn count_all(tally: &mut Tally, state: &State, disturbed: &RunTrace) {
    tally.count("schedules", 1);
    tally.count("runs killed", usize::from(disturbed.killed));
    tally.count("snapshots created", state.created);
    tally.count("snapshots removed", state.removed);
    tally.count("steps reported as unknown", check::unknown_steps(disturbed));
    let put_back = |event: &&EventKind| matches!(event, EventKind::GuestDeferred { .. });
    tally.count(
        "times a guest was put back for a lock",
        disturbed.events.iter().filter(put_back).count(),
    );
}

fn settings(random: &mut Random) -> JobSettings {
    let kind = if random.percent(80) {
        JobKind::Snap {
            with_ram: random.percent(20),
        }
    } else {
        JobKind::Clean
    };
    let one_to = |random: &mut Random, most| 1 + random.below(most) as usize;
    let keep = 1 + random.below(4);
    let selection = Selection::parse("@all").unwrap();
    let states = if random.percent(10) {
        GuestStates::Running
    } else {
        GuestStates::Any
    };
    JobSettings {
        states,
        execution: Execution {
            limits: Limits {
                total: one_to(random, 6),
                per_node: one_to(random, 3),
                per_storage: one_to(random, 3),
                ram_per_node: 1,
            },
            timeout: Duration::from_millis(500),
            wait_snapshot_lock: Some(Duration::from_millis(500)),
            ..Execution::default()
        },
        ..JobSettings::new(
            kind,
            selection,
            Label::parse("daily").unwrap(),
            Rules::keep_last(keep),
        )
    }
}

/// A run in this process, with these hosts; dropped after `kill`, as if the process had been killed.
pub(crate) fn execute(
    hosts: &[&Simulator],
    settings: &JobSettings,
    now: &Zoned,
    kill: Option<Duration>,
    others: &Others<'_>,
) -> RunTrace {
    let simulator = hosts[0];
    let from = simulator.journal().len();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (events, mut receiver) = Events::channel();
        let work = work(hosts, settings, now, events.clone());
        let work = with_others(others, simulator, work);
        let result: Option<Result<(), Error>> = match kill {
            Some(after) => tokio::time::timeout(after, work).await.ok(),
            None => Some(work.await),
        };
        drop(events);
        let mut events: Vec<EventKind> = Vec::new();
        while let Some(event) = receiver.try_recv() {
            events.push(event.kind);
        }
        if std::env::var_os("RELIABILITY_SHOW").is_some() {
            for event in events
                .iter()
                .filter(|event| !matches!(event, EventKind::Planned(_)))
            {
                println!("{event:?}");
            }
        }
        RunTrace {
            from,
            killed: result.is_none(),
            error: result.and_then(Result::err),
            record: receiver.record(),
            events,
        }
    })
}

/// Other programs and users that change the cluster during a run.
#[derive(Default)]
pub(crate) struct Others<'a> {
    foreign_locks: Option<&'a ForeignLocks>,
    other_user: Option<&'a OtherUser>,
}

/// Runs the work while others change the cluster.
async fn with_others<T>(
    others: &Others<'_>,
    simulator: &Simulator,
    work: impl Future<Output = T>,
) -> T {
    let locking = async {
        match others.foreign_locks {
            Some(foreign_locks) => foreign_locks.run_forever(simulator).await,
            None => std::future::pending().await,
        }
    };
    let marking = async {
        match others.other_user {
            Some(other_user) => other_user.run_forever(simulator).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = work => result,
        never = locking => never,
        never = marking => never,
    }
}

async fn work(
    hosts: &[&Simulator],
    settings: &JobSettings,
    now: &Zoned,
    events: Events,
) -> Result<(), Error> {
    let token = ApiToken::parse("backup@pve!auto=22222222-2222-4222-8222-222222222222").unwrap();
    let endpoint = |host: &&Simulator| host.addresses()[0].to_string().parse().unwrap();
    let endpoints = hosts.iter().map(endpoint).collect();
    let mut options = ClientOptions::new(endpoints, Credentials::Token(token), Trust::AcceptAny);
    options.request_timeout = settings.execution.timeout * 3 / 5;
    options.retry_pauses = [5, 10, 20].map(Duration::from_millis).to_vec();
    let context = Context {
        cluster: Cluster::connect(options, settings.execution.limits).await?,
        invocation: Invocation::new(now.clone()),
        events,
        stop: StopSignal::default(),
        tasks: RunningTasks::default(),
    };
    job::run(settings, &context).await
}

fn has_running_tasks(simulator: &Simulator) -> bool {
    simulator.world(|world| {
        let mut nodes = world.nodes.keys();
        nodes.any(|node| world.tasks.active(node).next().is_some())
    })
}

/// Advances the clock of the simulator, so that all running tasks end.
pub(crate) fn settle(simulator: &Simulator) {
    simulator.advance(60.0);
    simulator.world(|_| ());
}
