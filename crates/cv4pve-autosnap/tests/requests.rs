// SPDX-License-Identifier: GPL-3.0-only
//! The load of a run on a cluster: a formula for the number of its requests, and how many tasks run
//! in parallel, from the simulator's journal after runs of the real program.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed preparation fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use jiff::{Timestamp, Zoned};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use pve_sim::generate::{GenerateOptions, generate};
use pve_sim::journal::{Request, Task, peak_concurrency};
use pve_sim::simulator::{Options, Simulator};
use serde_json::{Value, json};

const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";

/// A cluster and its world file.
struct Cluster {
    simulator: Simulator,
    world: Value,
}

/// The requests of a run by purpose.
#[derive(Debug, Default, PartialEq, Eq)]
struct RequestCounts {
    /// `/version` and `/cluster/resources`, once each.
    opening: usize,
    configs: usize,
    listings: usize,
    creations: usize,
    removals: usize,
    polls: usize,
    other: usize,
}

impl Cluster {
    fn new(options: &GenerateOptions) -> Self {
        let generated = generate(options).unwrap();
        let options = Options::new(generated.world.clone(), generated.credentials);
        Self {
            simulator: Simulator::start(options).unwrap(),
            world: generated.world,
        }
    }

    /// Runs the program; returns its output.
    fn run(&self, words: &[&str]) -> String {
        let address = self.simulator.addresses()[0];
        let output = Command::new(env!("CARGO_BIN_EXE_cv4pve-autosnap"))
            .env_clear()
            .env("TZ", "UTC")
            .env("CV4PVE_API_TOKEN", TOKEN)
            .arg(format!("--host={address}"))
            .arg("--vmid=@all")
            .args(words)
            .output()
            .unwrap();
        let (out, err) = (&output.stdout, &output.stderr);
        let output_text = format!(
            "{}{}",
            String::from_utf8_lossy(out),
            String::from_utf8_lossy(err)
        );
        assert!(output.status.success(), "{words:?}: {output_text}");
        output_text
    }

    fn counts(&self) -> RequestCounts {
        let mut counts = RequestCounts::default();
        let requests = self.simulator.journal().requests();
        for request in &requests {
            counts.count(request);
        }
        counts.listings -= repeated_listings(&requests);
        counts
    }

    fn tasks(&self) -> Vec<Task> {
        self.simulator.journal().tasks()
    }

    fn nodes_with_guests(&self) -> usize {
        let guests = self.world["guests"].as_array().unwrap().iter();
        let nodes: BTreeSet<&str> = guests
            .map(|guest| guest["node"].as_str().unwrap())
            .collect();
        nodes.len()
    }

    /// The guests with a disk on the shared storage.
    fn on_shared_storage(&self) -> BTreeSet<u64> {
        let guests = self.world["guests"].as_array().unwrap().iter();
        let shared = guests.filter(|guest| guest["config"].to_string().contains("ceph-vm:"));
        shared
            .map(|guest| guest["vmid"].as_u64().unwrap())
            .collect()
    }
}

impl RequestCounts {
    fn count(&mut self, request: &Request) {
        let path = request.path.split('?').next().unwrap();
        let parts: Vec<&str> = path.split('/').skip(3).collect();
        let place = match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["version"] | ["cluster", "resources"]) => &mut self.opening,
            ("GET", ["nodes", _, _, _, "config"]) => &mut self.configs,
            ("GET", ["nodes", _, _, _, "snapshot"]) => &mut self.listings,
            ("POST", ["nodes", _, _, _, "snapshot"]) => &mut self.creations,
            ("DELETE", ["nodes", _, _, _, "snapshot", _]) => &mut self.removals,
            ("GET", ["nodes", _, "tasks"] | ["nodes", _, "tasks", _, "status"]) => &mut self.polls,
            _ => &mut self.other,
        };
        *place += 1;
    }
}

/// How many listings are repetitions because the last one was at least a second old before a
/// removal, as on a busy machine. No write to the guest is between the two listings.
fn repeated_listings(requests: &[Request]) -> usize {
    let mut last: BTreeMap<&str, Option<f64>> = BTreeMap::new();
    let mut repeated = 0;
    for request in requests {
        let path = request.path.split('?').next().unwrap();
        let Some((guest, _)) = path.split_once("/snapshot") else {
            continue;
        };
        let at = request.moment.at;
        if request.method != "GET" {
            last.insert(guest, None);
        } else if let Some(listed) = last.get_mut(guest) {
            repeated += usize::from(listed.is_some_and(|listed| at - listed > 0.9));
            *listed = Some(at);
        }
    }
    repeated
}

fn guests(guests: u32, snapshots: u32) -> GenerateOptions {
    GenerateOptions {
        nodes: 3,
        guests,
        snapshots,
        templates: 0.0,
        // RAM is saved only for running guests.
        stopped: 0.0,
        ..GenerateOptions::default()
    }
}

/// `docs/src/performance.md` documents these formulas.
#[test]
fn the_number_of_requests_is_that_of_the_formula() {
    for (count, snapshots) in [(1, 0), (5, 2), (17, 3), (60, 7)] {
        let options = guests(count, snapshots);
        let n = count as usize;
        // Two snapshots stay: the new one and the newest of the old ones.
        let r = n * (snapshots as usize).saturating_sub(1);
        let cluster = Cluster::new(&options);
        cluster.run(&["snap", "--label=daily", "--keep=2"]);
        let counts = cluster.counts();
        let expected = RequestCounts {
            opening: 2,
            configs: n,
            listings: n + r,
            creations: n,
            removals: r,
            polls: counts.polls,
            // One request per node shows how old its figures are.
            other: cluster.nodes_with_guests(),
        };
        assert_eq!(counts, expected, "snap of {n} guests");
        let (most, least) = (counts.polls, (n + r).div_ceil(2));
        assert!(
            least <= most,
            "{most} polls, no more than two parallel tasks on a node"
        );

        let cluster = Cluster::new(&options);
        cluster.run(&["snap", "--label=daily", "--keep=2", "--dry-run"]);
        let expected = RequestCounts {
            opening: 2,
            configs: n,
            listings: n,
            // For guests with more than two snapshots, whether the last creation was late.
            polls: if snapshots > 2 { n } else { 0 },
            // As for the run, and the permissions and the quorum.
            other: cluster.nodes_with_guests() + 2,
            ..RequestCounts::default()
        };
        assert_eq!(cluster.counts(), expected, "snap --dry-run of {n} guests");

        let cluster = Cluster::new(&options);
        cluster.run(&["clean", "--label=daily", "--keep=1", "--dry-run"]);
        let expected = RequestCounts {
            opening: 2,
            configs: if r > 0 { n } else { 0 },
            listings: n,
            other: if r > 0 { 2 } else { 0 },
            ..RequestCounts::default()
        };
        assert_eq!(cluster.counts(), expected, "clean --dry-run of {n} guests");

        let cluster = Cluster::new(&options);
        cluster.run(&["clean", "--label=daily", "--keep=1"]);
        let counts = cluster.counts();
        let expected = RequestCounts {
            opening: 2,
            // For the limit of the shared storages.
            configs: if r > 0 { n } else { 0 },
            listings: n + r,
            removals: r,
            polls: counts.polls,
            ..RequestCounts::default()
        };
        assert_eq!(counts, expected, "clean of {n} guests");

        let cluster = Cluster::new(&options);
        cluster.run(&["status"]);
        let expected = RequestCounts {
            opening: 2,
            listings: n,
            ..RequestCounts::default()
        };
        assert_eq!(cluster.counts(), expected, "status of {n} guests");
    }
}

/// Keep rules and guards cost no request of their own, nor do adopted labels and marks on the new snapshots.
#[test]
fn keep_rules_and_marks_need_as_many_requests_as_keep() {
    let simple: &[&str] = &["--keep=2"];
    let rules: [&[&str]; 4] = [
        &["--keep-last=2", "--min-age=0"],
        &[
            "--prune-backups=keep-last=2",
            "--min-age=0",
            "--timezone=UTC",
        ],
        &[
            "--keep-last=2",
            "--min-age=0",
            "--keep-min=1",
            "--adopt-labels=weekly",
        ],
        &["--keep=2", "--expires=14d", "--note=before the upgrade"],
    ];
    for command in [&["snap"][..], &["snap", "--dry-run"], &["clean"]] {
        let counts = |options: &[&str]| {
            let cluster = Cluster::new(&guests(9, 4));
            let words = [command, &["--label=daily"], options].concat();
            cluster.run(&words);
            let mut counts = cluster.counts();
            if !command.contains(&"--dry-run") {
                counts.polls = 0;
            }
            counts
        };
        let expected = counts(simple);
        assert!(command.contains(&"--dry-run") || expected.removals > 0);
        for options in rules {
            if command == ["clean"] && options.contains(&"--expires=14d") {
                continue;
            }
            assert_eq!(counts(options), expected, "{command:?} {options:?}");
        }
    }
}

/// Each run removes what has reached `min-age` since the run before, as is usual with keep rules.
#[test]
fn removals_that_min_age_has_delayed_need_no_more_requests() {
    let mut generated = generate(&guests(7, 0)).unwrap();
    let now = Zoned::now().timestamp().as_second();
    for guest in generated.world["guests"].as_array_mut().unwrap() {
        let taken = |age: i64| {
            let time = Timestamp::from_second(now - age).unwrap();
            let name = format!("autodaily{}", time.strftime("%y%m%d%H%M%S"));
            json!({"name": name, "snaptime": now - age, "description": "cv4pve-autosnap"})
        };
        guest["snapshots"] = json!([taken(6000), taken(3000)]);
    }
    let options = Options::new(generated.world.clone(), generated.credentials);
    let cluster = Cluster {
        simulator: Simulator::start(options).unwrap(),
        world: generated.world,
    };
    cluster.run(&["snap", "--label=daily", "--keep-last=1", "--dry-run"]);
    assert_eq!(cluster.counts().polls, 0, "no tasks are read");
    cluster.run(&["snap", "--label=daily", "--keep-last=1"]);
    let counts = cluster.counts();
    assert_eq!((counts.creations, counts.removals), (7, 7));
}

#[test]
fn tasks_without_duration_end_at_the_first_poll() {
    let cluster = Cluster::new(&guests(12, 2));
    cluster.run(&["snap", "--label=daily", "--keep=2"]);
    // 24 tasks, two at a time on a node: one poll may report both.
    assert!((12..=24).contains(&cluster.counts().polls));
}

#[test]
fn there_are_no_more_connections_than_parallel_requests() {
    for limit in [1, 4, 9] {
        let cluster = Cluster::new(&guests(30, 2));
        cluster.run(&[
            "snap",
            "--label=daily",
            "--keep=2",
            &format!("--max-parallel={limit}"),
        ]);
        let requests = cluster.simulator.journal().requests();
        let connections: BTreeSet<u64> = requests.iter().map(|one| one.connection).collect();
        // PVE closes a connection after a hundred requests.
        let worn_out = requests.len() / 100;
        assert!(
            connections.len() <= limit + 1 + worn_out,
            "{limit}: {} connections for {} requests",
            connections.len(),
            requests.len()
        );
    }
}

/// Random limits and clusters, the same ones in every test run.
#[test]
fn no_limit_is_exceeded() {
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let strategy = (
        (1..10_usize, 1..6_usize, 1..7_usize),
        any::<bool>(),
        any::<u16>(),
    );
    TestRunner::new_with_rng(config, random)
        .run(&strategy, |(limits, ram, seed)| {
            assert_within_limits(limits, ram, u64::from(seed));
            Ok(())
        })
        .unwrap();
}

fn assert_within_limits(limits: (usize, usize, usize), ram: bool, seed: u64) {
    let cluster = Cluster::new(&GenerateOptions {
        task_seconds: Some(0.0..=0.04),
        seed,
        ..guests(10, 3)
    });
    let (total, per_node, per_storage) = limits;
    let options = [
        format!("--max-parallel={total}"),
        format!("--max-parallel-per-node={per_node}"),
        format!("--max-parallel-per-storage={per_storage}"),
    ];
    let mut words = vec!["snap", "--label=daily", "--keep=2"];
    words.extend(options.iter().map(String::as_str));
    words.extend(ram.then_some("--state"));
    cluster.run(&words);
    let tasks = cluster.tasks();
    assert_eq!(tasks.len(), 10 * 3, "{words:?}");
    check_limits(&cluster, &tasks, limits, ram);
}

fn check_limits(
    cluster: &Cluster,
    tasks: &[Task],
    (total, per_node, per_storage): (usize, usize, usize),
    ram: bool,
) {
    assert!(peak_concurrency(tasks) <= total);
    let mut nodes: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    let mut guests: BTreeMap<u32, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        nodes.entry(&task.node).or_default().push(task);
        guests.entry(task.vmid.unwrap()).or_default().push(task);
    }
    for (node, tasks) in nodes {
        let at_once = peak_concurrency(tasks.iter().copied());
        assert!(at_once <= per_node, "{at_once} on {node}");
        let with_ram = tasks
            .iter()
            .copied()
            .filter(|task| task.kind == "qmsnapshot");
        assert!(!ram || peak_concurrency(with_ram) <= 1, "RAM on {node}");
    }
    for (vmid, tasks) in guests {
        assert_eq!(peak_concurrency(tasks), 1, "guest {vmid}");
    }
    let shared = cluster.on_shared_storage();
    let on_storage = tasks
        .iter()
        .filter(|task| shared.contains(&u64::from(task.vmid.unwrap())));
    assert!(peak_concurrency(on_storage) <= per_storage);
}

#[test]
fn removals_beyond_the_budget_are_left_to_the_next_run() {
    let cluster = Cluster::new(&guests(4, 3));
    let output_text = cluster.run(&["snap", "--label=daily", "--keep=2", "--removal-budget=0s"]);
    assert!(
        output_text.contains("Left to the next run: 2 removals, the time for removals was used up"),
        "{output_text}"
    );
    assert!(
        output_text.contains("8 removals are left to the next run"),
        "{output_text}"
    );
    assert!(
        output_text.contains("guests: 4 done, 0 skipped; took "),
        "{output_text}"
    );
    let counts = cluster.counts();
    assert_eq!((counts.creations, counts.removals), (4, 0));

    cluster.run(&["clean", "--label=daily", "--keep=2", "--removal-budget=1h"]);
    assert_eq!(cluster.counts().removals, 8);
}
