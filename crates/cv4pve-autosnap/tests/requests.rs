// SPDX-License-Identifier: GPL-3.0-only
//! How much a run asks of a cluster: the number of its requests as a formula, and how much of it
//! runs at once. All of it is read from the simulator's journal, after runs of the real program.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed preparation fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use pve_sim::generate::{GenerateOptions, generate};
use pve_sim::journal::{Request, Task};
use pve_sim::simulator::{Options, Simulator};
use serde_json::Value;

const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";

/// A cluster, and what is known of its guests.
struct Cluster {
    simulator: Simulator,
    world: Value,
}

/// The requests of a run by what they are for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// `/version` and `/cluster/resources`, once each.
    opening: usize,
    configs: usize,
    listings: usize,
    creations: usize,
    removals: usize,
    looks: usize,
    others: usize,
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

    /// Runs the program; what it printed.
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
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(out),
            String::from_utf8_lossy(err)
        );
        assert!(output.status.success(), "{words:?}: {said}");
        said
    }

    fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        let requests = self.simulator.journal().requests();
        for request in &requests {
            asked.count(request);
        }
        asked.listings -= listed_anew(&requests);
        asked
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

    /// The guests with a disk on the storage that all nodes share.
    fn on_shared_storage(&self) -> BTreeSet<u64> {
        let guests = self.world["guests"].as_array().unwrap().iter();
        let shared = guests.filter(|guest| guest["config"].to_string().contains("ceph-vm:"));
        shared
            .map(|guest| guest["vmid"].as_u64().unwrap())
            .collect()
    }
}

impl Asked {
    fn count(&mut self, request: &Request) {
        let path = request.path.split('?').next().unwrap();
        let parts: Vec<&str> = path.split('/').skip(3).collect();
        let place = match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["version"] | ["cluster", "resources"]) => &mut self.opening,
            ("GET", ["nodes", _, _, _, "config"]) => &mut self.configs,
            ("GET", ["nodes", _, _, _, "snapshot"]) => &mut self.listings,
            ("POST", ["nodes", _, _, _, "snapshot"]) => &mut self.creations,
            ("DELETE", ["nodes", _, _, _, "snapshot", _]) => &mut self.removals,
            ("GET", ["nodes", _, "tasks"] | ["nodes", _, "tasks", _, "status"]) => &mut self.looks,
            _ => &mut self.others,
        };
        *place += 1;
    }
}

/// How many listings repeat one that was too old for a removal, a second or more, as it may be on a
/// busy machine. Both come behind a write to the guest, with no other between them.
fn listed_anew(requests: &[Request]) -> usize {
    let mut last: BTreeMap<&str, Option<f64>> = BTreeMap::new();
    let mut anew = 0;
    for request in requests {
        let path = request.path.split('?').next().unwrap();
        let Some((guest, _)) = path.split_once("/snapshot") else {
            continue;
        };
        let at = request.moment.at;
        if request.method != "GET" {
            last.insert(guest, None);
        } else if let Some(listed) = last.get_mut(guest) {
            anew += usize::from(listed.is_some_and(|listed| at - listed > 0.9));
            *listed = Some(at);
        }
    }
    anew
}

fn guests(guests: u32, snapshots: u32) -> GenerateOptions {
    GenerateOptions {
        nodes: 3,
        guests,
        snapshots,
        templates: 0.0,
        // RAM is saved of those that run.
        stopped: 0.0,
        ..GenerateOptions::default()
    }
}

/// `docs/src/performance.md` names these formulas.
#[test]
fn a_run_asks_as_often_as_the_formula_says() {
    for (count, snapshots) in [(1, 0), (5, 2), (17, 3), (60, 7)] {
        let options = guests(count, snapshots);
        let n = count as usize;
        // Two stay: the new one and the newest of the old.
        let r = n * (snapshots as usize).saturating_sub(1);
        let cluster = Cluster::new(&options);
        cluster.run(&["snap", "--label=daily", "--keep=2"]);
        let asked = cluster.asked();
        let expected = Asked {
            opening: 2,
            configs: n,
            listings: n + r,
            creations: n,
            removals: r,
            looks: asked.looks,
            // How old the figures of a node are, one of its guests tells.
            others: cluster.nodes_with_guests(),
        };
        assert_eq!(asked, expected, "snap of {n} guests");
        let (most, least) = (asked.looks, (n + r).div_ceil(2));
        assert!(
            least <= most,
            "{most} looks, no more than two tasks at once on a node"
        );

        let cluster = Cluster::new(&options);
        cluster.run(&["snap", "--label=daily", "--keep=2", "--dry-run"]);
        let expected = Asked {
            opening: 2,
            configs: n,
            listings: n,
            // Whether the last snapshot took longer than the time-out, of guests with more than two.
            looks: if snapshots > 2 { n } else { 0 },
            // As for the run, and the permissions and the quorum.
            others: cluster.nodes_with_guests() + 2,
            ..Asked::default()
        };
        assert_eq!(cluster.asked(), expected, "snap --dry-run of {n} guests");

        let cluster = Cluster::new(&options);
        cluster.run(&["clean", "--label=daily", "--keep=1", "--dry-run"]);
        let expected = Asked {
            opening: 2,
            configs: if r > 0 { n } else { 0 },
            listings: n,
            others: if r > 0 { 2 } else { 0 },
            ..Asked::default()
        };
        assert_eq!(cluster.asked(), expected, "clean --dry-run of {n} guests");

        let cluster = Cluster::new(&options);
        cluster.run(&["clean", "--label=daily", "--keep=1"]);
        let asked = cluster.asked();
        let expected = Asked {
            opening: 2,
            // For the limit of the shared storages.
            configs: if r > 0 { n } else { 0 },
            listings: n + r,
            removals: r,
            looks: asked.looks,
            ..Asked::default()
        };
        assert_eq!(asked, expected, "clean of {n} guests");

        let cluster = Cluster::new(&options);
        cluster.run(&["status"]);
        let expected = Asked {
            opening: 2,
            listings: n,
            ..Asked::default()
        };
        assert_eq!(cluster.asked(), expected, "status of {n} guests");
    }
}

#[test]
fn tasks_without_duration_are_over_at_the_first_look() {
    let cluster = Cluster::new(&guests(12, 2));
    cluster.run(&["snap", "--label=daily", "--keep=2"]);
    // 24 tasks, two at a time on a node: one look may tell of both.
    assert!((12..=24).contains(&cluster.asked().looks));
}

#[test]
fn connections_are_no_more_than_requests_at_one_time() {
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

/// The largest number of these tasks that ran at the same time.
fn most_at_once<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> usize {
    let mut edges: Vec<(f64, i32)> = Vec::new();
    for task in tasks {
        let end = task.moment.at;
        edges.push((end - task.seconds, 1));
        edges.push((end, -1));
    }
    // At the same instant an end comes before a beginning.
    edges.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let running = edges.iter().scan(0, |running, (_, change)| {
        *running += change;
        Some(*running)
    });
    usize::try_from(running.max().unwrap_or(0)).unwrap()
}

#[test]
fn the_measure_of_the_limits_counts_overlaps() {
    let task = |at: f64, seconds: f64| {
        let json = format!(
            r#"{{"at":{at},"epoch":0,"upid":"u","node":"a","kind":"k","user":"u","started":0,"seconds":{seconds}}}"#
        );
        serde_json::from_str::<Task>(&json).unwrap()
    };
    assert_eq!(most_at_once(&[]), 0);
    assert_eq!(most_at_once(&[task(1.0, 1.0), task(2.0, 1.0)]), 1);
    assert_eq!(
        most_at_once(&[task(1.0, 1.0), task(2.0, 1.5), task(0.9, 0.2)]),
        3
    );
}

/// Whatever the limits, and whatever the cluster; the same ones in every run.
#[test]
fn no_limit_is_ever_passed() {
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
            within_limits(limits, ram, u64::from(seed));
            Ok(())
        })
        .unwrap();
}

fn within_limits(limits: (usize, usize, usize), ram: bool, seed: u64) {
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
    assert!(most_at_once(tasks) <= total);
    let mut nodes: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    let mut guests: BTreeMap<u32, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        nodes.entry(&task.node).or_default().push(task);
        guests.entry(task.vmid.unwrap()).or_default().push(task);
    }
    for (node, tasks) in nodes {
        let at_once = most_at_once(tasks.iter().copied());
        assert!(at_once <= per_node, "{at_once} on {node}");
        let with_ram = tasks
            .iter()
            .copied()
            .filter(|task| task.kind == "qmsnapshot");
        assert!(!ram || most_at_once(with_ram) <= 1, "RAM on {node}");
    }
    for (vmid, tasks) in guests {
        assert_eq!(most_at_once(tasks), 1, "guest {vmid}");
    }
    let shared = cluster.on_shared_storage();
    let on_storage = tasks
        .iter()
        .filter(|task| shared.contains(&u64::from(task.vmid.unwrap())));
    assert!(most_at_once(on_storage) <= per_storage);
}

#[test]
fn removals_beyond_their_time_are_left_to_the_next_run() {
    let cluster = Cluster::new(&guests(4, 3));
    let said = cluster.run(&["snap", "--label=daily", "--keep=2", "--removal-budget=0s"]);
    assert!(
        said.contains("Left to the next run: 2 removals, the time for removals was used up"),
        "{said}"
    );
    assert!(
        said.contains("8 removals are left to the next run"),
        "{said}"
    );
    assert!(said.contains("guests: 4 done, 0 skipped; took "), "{said}");
    let asked = cluster.asked();
    assert_eq!((asked.creations, asked.removals), (4, 0));

    cluster.run(&["clean", "--label=daily", "--keep=2", "--removal-budget=1h"]);
    assert_eq!(cluster.asked().removals, 8);
}
