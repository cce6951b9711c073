// SPDX-License-Identifier: GPL-3.0-only
//! Random concurrent runs over one cluster: together they stay within the limits, no two operations on one guest
//! overlap, and every run ends as it would alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use autosnap::settings::{Execution, GuestStates, Invocation};
use autosnap::{
    ApiToken, ClientOptions, Cluster, Coordinator, Credentials, EventKind, JobKind, JobSettings,
    Label, Limits, Rules, RunHandle, RunRequest, Selection, Trust,
};
use jiff::Zoned;
use pve_sim::generate::{GenerateOptions, GeneratedWorld, generate};
use pve_sim::journal::{Entry, Task, peak_concurrency};
use pve_sim::simulator::{Options, Simulator};

use crate::random::Random;

/// The labels of the runs: each run has its own label, because equal labels create equal names.
const LABELS: [&str; 4] = ["daily", "weekly", "hourly", "monthly"];

/// The outcome of a run: the result of each guest, and the snapshots of its label.
#[derive(Debug, PartialEq, Eq)]
struct RunOutcome {
    results: BTreeMap<u32, String>,
    snapshots: BTreeSet<(u32, String)>,
}

/// Runs the case with this seed; the error names the broken invariant.
pub(crate) fn case(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let generated = world(&mut random, seed);
    let limits = limits(&mut random);
    let now = Zoned::now();
    let runs: Vec<RunRequest> = LABELS[..2 + random.below(3) as usize]
        .iter()
        .map(|label| RunRequest {
            job: Arc::new(job(&mut random, label)),
            invocation: Invocation::new(now.clone()),
            warnings: Vec::new(),
        })
        .collect();

    let together = start(&generated);
    let ended = execute(&together, limits, &runs);
    check_tasks(&together, limits)?;
    for (run, ended) in runs.into_iter().zip(ended) {
        let simulator = start(&generated);
        let alone = execute(&simulator, limits, std::slice::from_ref(&run));
        if alone[0] != ended {
            let job = &run.job;
            return Err(format!(
                "{} {}: {ended:?} with other runs, {:?} alone",
                job.command(),
                job.label(),
                alone[0]
            ));
        }
    }
    Ok(())
}

fn world(random: &mut Random, seed: u64) -> GeneratedWorld {
    let options = GenerateOptions {
        nodes: 1 + random.below(3),
        guests: 3 + random.below(8),
        seed,
        snapshots: random.below(6),
        labels: LABELS[..2].iter().map(ToString::to_string).collect(),
        task_seconds: Some(0.005..=0.04),
        templates: 0.1,
        ..GenerateOptions::default()
    };
    generate(&options).unwrap()
}

fn start(generated: &GeneratedWorld) -> Simulator {
    let GeneratedWorld { world, credentials } = generated.clone();
    Simulator::start(Options::new(world, credentials)).unwrap()
}

fn limits(random: &mut Random) -> Limits {
    let mut up_to = |most| 1 + random.below(most) as usize;
    Limits {
        total: up_to(6),
        per_node: up_to(3),
        per_storage: up_to(4),
        ram_per_node: 1,
    }
}

fn job(random: &mut Random, label: &str) -> JobSettings {
    let kind = if random.percent(70) {
        JobKind::Snap {
            with_ram: random.percent(30),
        }
    } else {
        JobKind::Clean
    };
    let selection = random.pick(&["@all", "@all", "@all-101", "100,102,103", "@node-pve1"]);
    let selection = Selection::parse(selection).unwrap();
    let keep = 1 + random.below(3);
    let states = if random.percent(30) {
        GuestStates::Running
    } else {
        GuestStates::Any
    };
    JobSettings {
        states,
        execution: Execution {
            limits: limits(random),
            ..Execution::default()
        },
        ..JobSettings::new(
            kind,
            selection,
            Label::parse(label).unwrap(),
            Rules::keep_last(keep),
        )
    }
}

/// Executes these runs concurrently over one cluster.
fn execute(simulator: &Simulator, limits: Limits, runs: &[RunRequest]) -> Vec<RunOutcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let results: Vec<BTreeMap<u32, String>> = runtime.block_on(async {
        let token = "backup@pve!auto=22222222-2222-4222-8222-222222222222";
        let login = Credentials::Token(ApiToken::parse(token).unwrap());
        let endpoint = simulator.addresses()[0].to_string().parse().unwrap();
        let options = ClientOptions::new(vec![endpoint], login, Trust::AcceptAny);
        let cluster = Cluster::connect(options, limits).await.unwrap();
        let coordinator = Coordinator::new(cluster);
        let spawn = |run: &RunRequest| coordinator.spawn(run.clone());
        let handles: Vec<RunHandle> = runs.iter().map(spawn).collect();
        let mut results = Vec::new();
        for handle in handles {
            results.push(guests(handle).await);
        }
        results
    });
    let ended = results
        .into_iter()
        .zip(runs)
        .map(|(results, run)| RunOutcome {
            results,
            snapshots: snapshots(simulator, run.job.label().as_str()),
        });
    ended.collect()
}

/// The result of each guest. Nothing else locks the guests, so that a guest that meets a lock is an error: another
/// run was working on it.
async fn guests(mut run: RunHandle) -> BTreeMap<u32, String> {
    let mut events = run.events().unwrap();
    let mut results = BTreeMap::new();
    while let Some(event) = events.recv().await {
        match event.kind {
            EventKind::GuestFinished { vmid, result, .. } => {
                let locked = results.remove(&vmid.get());
                results.insert(vmid.get(), locked.unwrap_or_else(|| format!("{result:?}")));
            }
            EventKind::GuestDeferred { vmid, cause } => {
                results.insert(vmid.get(), format!("deferred: {cause}"));
            }
            _ => {}
        }
    }
    if let Some(error) = run.join().await.error {
        results.insert(0, error.to_string());
    }
    results
}

fn snapshots(simulator: &Simulator, label: &str) -> BTreeSet<(u32, String)> {
    let prefix = format!("auto{label}");
    simulator.world(|world| {
        let guests = world.guests.iter();
        let names = guests.flat_map(|(vmid, guest)| {
            let names = guest.snapshots.keys();
            names.map(move |name| (*vmid, name.clone()))
        });
        names
            .filter(|(_, name)| name.starts_with(&prefix))
            .collect()
    })
}

/// Checks that the tasks of all runs keep the limits of the cluster, and that the tasks of one guest do not overlap.
fn check_tasks(simulator: &Simulator, limits: Limits) -> Result<(), String> {
    let entries = simulator.journal().entries();
    let tasks: Vec<&Task> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Task(task) => Some(task),
            Entry::Request(_) | Entry::Mutation(_) => None,
        })
        .collect();
    let check = |what: String, most: usize, tasks: &[&Task]| {
        let found = peak_concurrency(tasks.iter().copied());
        let text = format!("{found} parallel tasks {what}, the limit is {most}");
        if found > most { Err(text) } else { Ok(()) }
    };
    check("in all".to_owned(), limits.total, &tasks)?;
    let mut nodes: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    let mut guests: BTreeMap<Option<u32>, Vec<&Task>> = BTreeMap::new();
    for &task in &tasks {
        nodes.entry(&task.node).or_default().push(task);
        guests.entry(task.vmid).or_default().push(task);
    }
    for (node, tasks) in nodes {
        check(format!("on node {node}"), limits.per_node, &tasks)?;
    }
    for (vmid, tasks) in guests {
        check(format!("for guest {vmid:?}"), 1, &tasks)?;
    }
    Ok(())
}
