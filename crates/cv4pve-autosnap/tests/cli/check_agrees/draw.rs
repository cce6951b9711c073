// SPDX-License-Identifier: GPL-3.0-only
//! The cases: clusters with all kinds of obstacles, and lines with all kinds of options.

use proptest::prelude::*;
use proptest::sample::select;
use pve_sim::simulator::Options;
use serde_json::json;

use crate::harness::{Lab, UnusedPort};
use crate::world::{Guest, World, credentials, ct, day, name, vm};

/// What is unusual about a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trait {
    Ordinary,
    Template,
    LockedByBackup,
    StuckCreation,
    StuckRemoval,
    LockWithoutSnapshot,
    Incomplete,
    BindMount,
    RawOnDirectory,
    QcowOnDirectory,
    OnFullStorage,
    OnHiddenStorage,
    OnDisabledStorage,
    OnRemovedStorage,
    NameTaken,
    SnapshotForbidden,
    InPool,
    OffNode,
}

/// A guest as it was drawn.
#[derive(Debug, Clone)]
struct DrawnGuest {
    container: bool,
    second_node: bool,
    running: bool,
    unusual: Trait,
    old: usize,
}

/// A cluster as it was drawn.
#[derive(Debug, Clone)]
struct Cluster {
    guests: Vec<DrawnGuest>,
    version: Option<&'static str>,
    quorate: bool,
    /// The login has `Sys.Audit`.
    sees_all: bool,
    /// The login has `Pool.Audit`.
    sees_pools: bool,
}

/// A command line as it was drawn.
#[derive(Debug, Clone)]
struct Line {
    login: &'static str,
    host: &'static str,
    snap: bool,
    selection: &'static str,
    label: &'static str,
    format: &'static str,
    keep: u32,
    options: Vec<&'static str>,
}

/// A whole case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    cluster: Cluster,
    line: Line,
}

impl DrawnGuest {
    fn build(&self, vmid: u32) -> Guest {
        let mut guest = if self.container {
            ct(vmid, "web01")
        } else {
            vm(vmid, "web01").set("memory", 4096)
        };
        if self.second_node {
            guest = guest.on("pve2");
        }
        if !self.running {
            guest = guest.stopped();
        }
        let days: Vec<i64> = (1..).take(self.old).collect();
        guest = guest.taken("daily", &days);
        let disk = if self.container { "mp1" } else { "scsi6" };
        let place = if self.container { ",mp=/x" } else { "" };
        let volume = |text: &str| format!("{text}{place},size=1G");
        let incomplete = |state: &str| {
            json!({"name": name("daily", 20), "snaptime": day(20), "description": "cv4pve-autosnap",
                   "snapstate": state})
        };
        match self.unusual {
            Trait::Ordinary | Trait::SnapshotForbidden | Trait::InPool => guest,
            Trait::Template => guest.set("template", 1),
            Trait::LockedByBackup => guest.set("lock", "backup"),
            Trait::StuckCreation => guest
                .set("lock", "snapshot")
                .snapshot_with(incomplete("prepare")),
            Trait::StuckRemoval => guest
                .set("lock", "snapshot-delete")
                .snapshot_with(incomplete("delete")),
            Trait::LockWithoutSnapshot => guest.set("lock", "snapshot"),
            Trait::Incomplete => guest.snapshot_with(incomplete("delete")),
            Trait::BindMount if self.container => guest.set("mp0", "/srv,mp=/srv"),
            Trait::BindMount => guest.set("scsi5", "/dev/sdz"),
            Trait::RawOnDirectory => guest.set(disk, volume(&format!("files:{vmid}/x.raw"))),
            Trait::QcowOnDirectory => guest.set(disk, volume(&format!("files:{vmid}/x.qcow2"))),
            Trait::OnFullStorage => guest.set(disk, volume("full:x")),
            Trait::OnHiddenStorage => guest.set(disk, volume("hidden:x")),
            Trait::OnDisabledStorage => guest.set(disk, volume("disabled:x")),
            Trait::OnRemovedStorage => guest.set(disk, volume("removed:x")),
            // Of today and tomorrow, so that midnight changes nothing.
            Trait::NameTaken => [0, 1].into_iter().fold(guest, |guest, later| {
                let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
                let date = today.saturating_add(jiff::Span::new().days(later));
                let name = format!("autodaily{}", date.strftime("%Y%m%d"));
                guest.snapshot(&name, day(25), "made by hand")
            }),
            Trait::OffNode => guest.on("pve3"),
        }
    }
}

impl Cluster {
    fn lab(&self) -> Lab {
        let storage = |name: &str, kind: &str, used: u32| json!({"storage": name, "type": kind, "content": ["images", "rootdir"], "total": 100, "used": used});
        let mut disabled = storage("disabled", "zfspool", 10);
        disabled["disable"] = json!(true);
        let guests = (100..).zip(&self.guests);
        let pool: Vec<u32> = guests
            .clone()
            .filter(|(_, guest)| guest.unusual == Trait::InPool)
            .map(|(vmid, _)| vmid)
            .collect();
        let mut world = World::new(guests.clone().map(|(vmid, guest)| guest.build(vmid)))
            .offline_node("pve3")
            .storage(storage("files", "dir", 93))
            .storage(storage("full", "zfspool", 99))
            .storage(storage("hidden", "zfspool", 10))
            .storage(disabled)
            .pool("lab", &pool)
            .pool("empty", &[]);
        if let Some(version) = self.version {
            world = world.version(version);
        }
        let mut world = world.to_json();
        world["cluster"]["quorate"] = json!(self.quorate);
        let mut role = vec!["VM.Audit", "VM.Snapshot", "Datastore.Audit"];
        role.extend(self.sees_all.then_some("Sys.Audit"));
        role.extend(self.sees_pools.then_some("Pool.Audit"));
        world["roles"]["SnapRunner"] = json!(role);
        let entries = world["acl"].as_array_mut().unwrap();
        let mut entry = |path: String, role: &str| {
            entries.push(json!({"path": path, "who": "backup@pve", "role": role}));
        };
        entry("/storage/hidden".to_owned(), "NoAccess");
        for (vmid, guest) in guests {
            if guest.unusual == Trait::SnapshotForbidden {
                entry(format!("/vms/{vmid}"), "PVEAuditor");
            }
        }
        let lab = Lab::with(Options::new(world, credentials()));
        lab.script("hook.sh", "#!/bin/sh\nexit 0\n");
        lab
    }
}

impl Line {
    fn args(&self, check: bool, lab: &Lab, off: &UnusedPort) -> Vec<String> {
        let host = self
            .host
            .replace("HERE", &lab.host())
            .replace("OFF", &off.address());
        let command = match (check, self.snap) {
            (false, true) => &["snap"][..],
            (false, false) => &["clean"],
            (true, true) => &["check"],
            (true, false) => &["check", "--for=clean"],
        };
        let mut args = vec![
            format!("--host={host}"),
            format!("--api-token={}", self.login),
            format!("--vmid={}", self.selection),
        ];
        args.extend(command.iter().map(ToString::to_string));
        args.push(format!("--label={}", self.label));
        args.push(format!("--keep={}", self.keep));
        if !self.format.is_empty() {
            args.push(format!("--timestamp-format={}", self.format));
        }
        args.extend(self.options.iter().map(ToString::to_string));
        args
    }
}

impl Case {
    pub(super) fn is_snap(&self) -> bool {
        self.line.snap
    }

    pub(super) fn lab(&self) -> Lab {
        self.cluster.lab()
    }

    /// The line, for the program or, with the word for the command replaced, for `check`.
    pub(super) fn args(&self, check: bool, lab: &Lab, off: &UnusedPort) -> Vec<String> {
        self.line.args(check, lab, off)
    }
}

fn guests() -> impl Strategy<Value = Vec<DrawnGuest>> {
    let unusual = prop_oneof![
        10 => Just(Trait::Ordinary),
        10 => select(vec![
            Trait::Template, Trait::LockedByBackup, Trait::StuckCreation, Trait::StuckRemoval,
            Trait::LockWithoutSnapshot, Trait::Incomplete, Trait::BindMount, Trait::RawOnDirectory,
            Trait::QcowOnDirectory, Trait::OnFullStorage, Trait::OnHiddenStorage, Trait::OnDisabledStorage,
            Trait::OnRemovedStorage, Trait::NameTaken, Trait::SnapshotForbidden, Trait::InPool,
        ]),
        1 => Just(Trait::OffNode),
    ];
    let guest = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.7),
        unusual,
        0..4_usize,
    );
    let guest = guest.prop_map(
        |(container, second_node, running, unusual, old)| DrawnGuest {
            container,
            second_node,
            running,
            unusual,
            old,
        },
    );
    prop::collection::vec(guest, 0..4)
}

/// Mostly the first, sometimes one of the others.
fn usually(
    usual: &'static str,
    others: &[&'static str],
) -> impl Strategy<Value = &'static str> + use<> {
    prop_oneof![9 => Just(usual), 1 => select(others.to_vec())]
}

fn options() -> impl Strategy<Value = Vec<&'static str>> {
    let both = vec![
        "--wait-locked",
        "--wait-locked=5m",
        "--max-perc-storage=50",
        "--max-perc-storage=99",
        "--force-remove",
        "--retry-stuck-removal",
        "--script=hook.sh",
        "--hook-failure=abort-run",
        "--timeout=5",
        "--max-parallel=2",
        "--on-overlap=fail",
        "--removal-budget=10m",
        "--strict",
        "--allow-unmatched-exclusions",
    ];
    let wrong = vec![
        "--script=missing.sh",
        "--removal-budget=soon",
        "--max-perc-storage=0",
    ];
    let right = prop::sample::subsequence(both, 0..4);
    (right, prop::option::weighted(0.1, select(wrong))).prop_map(|(mut options, wrong)| {
        options.extend(wrong);
        options
    })
}

fn clusters() -> impl Strategy<Value = Cluster> {
    (
        guests(),
        prop_oneof![19 => Just(None), 1 => Just(Some("5.4-15"))],
        prop::bool::weighted(0.9),
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(guests, version, quorate, sees_all, sees_pools)| Cluster {
            guests,
            version,
            quorate,
            sees_all,
            sees_pools,
        })
}

const SELECTIONS: &[&str] = &[
    "100",
    "100,101",
    "100,999",
    "web01",
    "nosuch",
    "web%",
    "none%",
    "@pool-lab",
    "@pool-empty",
    "@pool-nosuch",
    "@all,-@pool-lab",
    "@all,-@pool-nosuch",
    "@all,-100",
    "@all,-999",
    "@all,-nosuch",
    "@tag-nobody",
    "@all,-@tag-nobody",
    "@node-pve2",
    "@node-pve3",
    "@node-nosuch",
    "@all,-@node-nosuch",
    "100:101",
    "110:105",
    "-100",
    "",
    "100,,101",
    "@storage-x",
];

const LOGINS: &[&str] = &[
    "auditor@pve!look=66666666-6666-4666-8666-666666666666",
    "nobody@pve!blind=77777777-7777-4777-8777-777777777777",
    "backup@pve!auto=99999999-9999-4999-8999-999999999999",
];

fn lines() -> impl Strategy<Value = Line> {
    let names = (
        usually(
            "daily",
            &[
                "weekly",
                "a b",
                "much_too_long_for_the_name_of_a_snapshot",
                "",
                "daily20",
            ],
        ),
        usually(
            "",
            &[
                "yyyyMMdd",
                "yyyyMMdd",
                "yyyy/MM/dd",
                "yyMMddHHmmssfff",
                "H-mm",
            ],
        ),
    );
    (
        usually("file:token", LOGINS),
        usually("HERE", &["OFF,HERE", "HERE,OFF", "OFF", "not a host"]),
        (
            prop::bool::weighted(0.7),
            prop::bool::weighted(0.3),
            any::<bool>(),
        ),
        prop_oneof![1 => Just("@all"), 1 => select(SELECTIONS)],
        names,
        prop_oneof![1 => Just(0_u32), 9 => 1..4_u32],
        options(),
    )
        .prop_map(
            |(
                login,
                host,
                (snap, state, only_running),
                selection,
                (label, format),
                keep,
                mut options,
            )| {
                options.extend(state.then_some("--state"));
                options.extend(only_running.then_some("--only-running"));
                Line {
                    login,
                    host,
                    snap,
                    selection,
                    label,
                    format,
                    keep,
                    options,
                }
            },
        )
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    (clusters(), lines()).prop_map(|(cluster, line)| Case { cluster, line })
}
