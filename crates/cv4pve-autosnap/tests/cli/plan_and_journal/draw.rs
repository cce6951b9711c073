// SPDX-License-Identifier: GPL-3.0-only
//! Random cases: clusters, commands and faults, and the steps that the contract requires.

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::Lab;
use crate::world::{Guest, World, ct, day, name, vm};

/// A random snapshot: its day, label, description and state.
#[derive(Debug, Clone)]
pub(super) struct DrawnSnapshot {
    pub(super) day: i64,
    pub(super) label: &'static str,
    pub(super) description: &'static str,
    pub(super) state: Option<&'static str>,
}

/// A random guest.
#[derive(Debug, Clone)]
pub(super) struct DrawnGuest {
    pub(super) container: bool,
    pub(super) second_node: bool,
    pub(super) running: bool,
    pub(super) obstacle: Obstacle,
    pub(super) snapshots: Vec<DrawnSnapshot>,
}

/// What prevents a snapshot of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    None,
    Template,
    Locked,
    BindMount,
    FullStorage,
}

/// A complete case: the guests and the command.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) guests: Vec<DrawnGuest>,
    pub(super) snap: bool,
    pub(super) keep: usize,
    pub(super) only_running: bool,
    pub(super) limits: Limits,
}

/// Limits for parallel work; `None` is the default.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) total: Option<usize>,
    pub(super) per_node: Option<usize>,
    pub(super) per_storage: Option<usize>,
}

impl DrawnSnapshot {
    pub(super) fn is_ours(&self) -> bool {
        self.label == "daily" && self.description != "by hand" && self.state.is_none()
    }

    pub(super) fn name(&self) -> String {
        name(self.label, self.day)
    }
}

impl DrawnGuest {
    fn build(&self, vmid: u32) -> Guest {
        let mut guest = if self.container {
            ct(vmid, "c")
        } else {
            vm(vmid, "v")
        };
        if self.second_node {
            guest = guest.on("pve2");
        }
        if !self.running {
            guest = guest.stopped();
        }
        guest = match self.obstacle {
            Obstacle::None => guest,
            Obstacle::Template => guest.set("template", 1),
            Obstacle::Locked => guest.set("lock", "backup"),
            Obstacle::BindMount if self.container => guest.set("mp0", "/srv,mp=/srv"),
            Obstacle::BindMount => guest.set("scsi5", "/dev/sdz"),
            Obstacle::FullStorage if self.container => guest.set("mp1", "full:x,mp=/x,size=1G"),
            Obstacle::FullStorage => guest.set("scsi6", "full:x,size=1G"),
        };
        for drawn in &self.snapshots {
            let mut snapshot = json!({"name": drawn.name(), "snaptime": day(drawn.day), "description": drawn.description});
            if let Some(state) = drawn.state {
                snapshot["snapstate"] = json!(state);
            }
            guest = guest.snapshot_with(snapshot);
        }
        guest
    }

    /// The names of the series' snapshots, oldest first.
    pub(super) fn ours(&self) -> Vec<String> {
        let mut ours: Vec<&DrawnSnapshot> =
            self.snapshots.iter().filter(|one| one.is_ours()).collect();
        ours.sort_by_key(|one| one.day);
        ours.into_iter().map(DrawnSnapshot::name).collect()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            ("max-parallel", self.total),
            ("max-parallel-per-node", self.per_node),
            ("max-parallel-per-storage", self.per_storage),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                write!(formatter, "--{name}={value} ")?;
            }
        }
        Ok(())
    }
}

impl Case {
    pub(super) fn vmids(&self) -> impl Iterator<Item = (u32, &DrawnGuest)> {
        (100..).zip(&self.guests)
    }

    pub(super) fn lab(&self) -> Lab {
        let world = World::new(self.vmids().map(|(vmid, guest)| guest.build(vmid)));
        Lab::new(&world.storage(json!({"storage": "full", "type": "zfspool", "content": ["images", "rootdir"], "total": 100, "used": 99})))
    }

    pub(super) fn args(&self) -> String {
        let Self { keep, limits, .. } = self;
        let only_running = if self.only_running && self.snap {
            " --only-running"
        } else {
            ""
        };
        let command = if self.snap { "snap" } else { "clean" };
        format!(
            "--vmid=@all --timestamp-format=yyMMddHHmmssfff --also-format=yyMMddHHmmss {limits} {command} --label=daily --keep={keep}{only_running}"
        )
    }

    /// The steps that the contract requires for a guest.
    fn expected(&self, vmid: u32, guest: &DrawnGuest) -> Vec<String> {
        let may = match guest.obstacle {
            Obstacle::None => true,
            Obstacle::Template | Obstacle::Locked => false,
            Obstacle::BindMount | Obstacle::FullStorage => !self.snap,
        };
        let runs = guest.running || !(self.snap && self.only_running);
        if !may || !runs {
            return Vec::new();
        }
        let ours = guest.ours();
        let old_to_keep = self.keep - usize::from(self.snap);
        let removed = ours.iter().take(ours.len().saturating_sub(old_to_keep));
        let creation = self.snap.then(|| format!("create {vmid} autodaily<now>"));
        creation
            .into_iter()
            .chain(removed.map(|name| format!("delete {vmid} {name}")))
            .collect()
    }

    pub(super) fn all_expected(&self) -> BTreeMap<u32, Vec<String>> {
        self.vmids()
            .map(|(vmid, guest)| (vmid, self.expected(vmid, guest)))
            .collect()
    }
}

fn drawn_snapshots() -> impl Strategy<Value = Vec<DrawnSnapshot>> {
    let kinds = prop_oneof![
        6 => Just(("daily", "cv4pve-autosnap", None)),
        1 => Just(("daily", "eve4pve-autosnap", None)),
        1 => Just(("daily", "by hand", None)),
        1 => Just(("daily2", "cv4pve-autosnap", None)),
        1 => Just(("weekly", "cv4pve-autosnap", None)),
        1 => Just(("daily", "cv4pve-autosnap", Some("prepare"))),
        1 => Just(("daily", "cv4pve-autosnap", Some("delete"))),
    ];
    // The days are not in the order of the list.
    prop::collection::btree_map(1..28_i64, kinds, 0..7).prop_map(|drawn| {
        let all = drawn
            .into_iter()
            .map(|(day, (label, description, state))| DrawnSnapshot {
                day: day * 11 % 29,
                label,
                description,
                state,
            });
        all.collect()
    })
}

pub(super) fn cases(obstacles: bool) -> impl Strategy<Value = Case> {
    let obstacle = if obstacles {
        prop_oneof![
            6 => Just(Obstacle::None),
            1 => Just(Obstacle::Template),
            1 => Just(Obstacle::Locked),
            1 => Just(Obstacle::BindMount),
            1 => Just(Obstacle::FullStorage),
        ]
        .boxed()
    } else {
        Just(Obstacle::None).boxed()
    };
    let guest = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        obstacle,
        drawn_snapshots(),
    );
    let guest =
        guest.prop_map(
            |(container, second_node, running, obstacle, snapshots)| DrawnGuest {
                container,
                second_node,
                running,
                obstacle,
                snapshots,
            },
        );
    let command = (any::<bool>(), 1..5_usize, any::<bool>(), limits());
    (prop::collection::vec(guest, 1..6), command).prop_map(
        |(guests, (snap, keep, only_running, limits))| Case {
            guests,
            snap,
            keep,
            only_running,
            limits,
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || prop::option::of(1..6_usize);
    (limit(), limit(), limit()).prop_map(|(total, per_node, per_storage)| Limits {
        total,
        per_node,
        per_storage,
    })
}

/// Random faults of a cluster.
pub(super) fn faults() -> impl Strategy<Value = Value> {
    let when = prop_oneof![
        (1..6_u32).prop_map(|nth| json!({"nth": nth})),
        (1..4_u32).prop_map(|probability| json!({"probability": f64::from(probability) / 10.0})),
    ];
    let request = prop_oneof![
        Just(json!("refuse")),
        Just(json!("drop_before")),
        Just(json!("drop_after")),
        Just(json!("cut_answer")),
        Just(json!("start_failed")),
        Just(json!({"answer": {"status": 500, "reason": "got timeout"}})),
        Just(json!({"answer": {"status": 595, "reason": "No route to host"}})),
        Just(json!({"answer": {"status": 596, "reason": "Broken pipe"}})),
    ];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE")];
    let request = (method, when.clone(), request)
        .prop_map(|(method, when, effect)| json!({"method": method, "path": "/nodes/**", "when": when, "times": 3, "effect": effect}));
    let task = prop_oneof![
        Just(json!({"fail": "broken"})),
        Just(json!({"fail": "VM is locked (backup)"})),
        Just(json!({"warn": 1})),
        Just(json!("vanish")),
        Just(json!({"abort_at": "volumes"})),
        Just(json!({"abort_at": "lock"})),
    ];
    let task = (when, task).prop_map(|(when, effect)| json!({"when": when, "effect": effect}));
    (
        any::<u64>(),
        prop::collection::vec(request, 0..3),
        prop::collection::vec(task, 0..3),
    )
        .prop_map(
            |(seed, requests, tasks)| json!({"seed": seed, "requests": requests, "tasks": tasks}),
        )
}
