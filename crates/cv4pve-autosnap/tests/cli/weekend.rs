// SPDX-License-Identifier: GPL-3.0-only
//! A weekend of a small cluster, from Friday evening to Monday morning, with usual crontab lines:
//! once those for the C# tool, once those of our README.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use pve_sim::simulator::Options;
use serde_json::json;

use crate::clock::Clock;
use crate::harness::{Lab, TOKEN};
use crate::world::{GIB, World, credentials, ct, vm};

/// The start: Friday, 15 January 2027, 17:00 UTC.
const FRIDAY_EVENING: i32 = 1_800_000_000 + 9 * HOUR;
/// The number of hours until Monday, 08:00.
const HOURS: i32 = 63;
const HOUR: i32 = 3600;
/// Guests that get snapshots: neither the template nor the guest with a bind mount.
const COVERED: [u32; 7] = [100, 101, 102, 103, 200, 201, 202];

/// A line of a crontab.
struct Line {
    /// Whether it is due at this hour of the day, on this day of the week (Friday is 5).
    is_due: fn(hour: i32, weekday: i32) -> bool,
    args: &'static str,
}

/// Where the stdout of a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdout {
    /// To a log.
    Log,
    /// To cron, which mails it like stderr.
    Cron,
}

/// What the logs and the mailbox contain.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Hours after the start at which cron sent a mail.
    mails: Vec<i32>,
    /// Hours at which `grep -i error` finds a line of stdout.
    errors: Vec<i32>,
    /// Hours at which a job failed.
    failures: Vec<i32>,
}

fn lab() -> Lab {
    let world = World::new([
        vm(100, "web01"),
        vm(101, "db01").set("agent", 0),
        vm(102, "mail").on("pve2"),
        vm(103, "files").on("pve2").set("scsi0", "thin:vm-103-disk-0,size=8G"),
        vm(900, "template").set("template", 1).stopped(),
        ct(200, "proxy"),
        ct(201, "dns").on("pve2"),
        ct(202, "wiki"),
        ct(203, "media").set("mp0", "/srv/media,mp=/media"),
    ])
    .storage(json!({"storage": "thin", "type": "lvmthin", "content": ["images", "rootdir"], "total": 100 * GIB, "used": GIB}));
    let mut options = Options::new(world.to_json(), credentials());
    options.start = Some(f64::from(FRIDAY_EVENING));
    Lab::with(options)
}

/// Runs the lines as cron does. On Saturday from 03:00 to 05:00 a guest is locked by a backup; on
/// Sunday from 12:00 to 15:00 a storage is full.
fn weekend(lab: &Lab, stdout: Stdout, lines: &[Line]) -> Found {
    let clock = Clock::new(lab);
    let mut found = Found::default();
    for hour in 0..HOURS {
        let now = FRIDAY_EVENING + hour * HOUR;
        lab.simulator.world(|world| {
            let passed = world.now();
            world.clock.advance(f64::from(now) - passed);
            world.guests.get_mut(&101).unwrap().lock =
                matches!(hour, 10..12).then(|| "backup".to_owned());
            let thin = world.storages.get_mut("thin").unwrap();
            thin.usage_by_node.clear();
            thin.usage.used = if matches!(hour, 43..46) {
                99 * GIB
            } else {
                GIB
            };
        });
        clock.set(i64::from(now));
        let (of_day, weekday) = ((17 + hour) % 24, 5 + (17 + hour) / 24);
        let due = lines
            .iter()
            .filter(|line| (line.is_due)(of_day, weekday % 7));
        let running: Vec<_> = due
            .map(|line| {
                let mut command = cron(lab, line.args);
                clock.apply_to(&mut command);
                command.spawn().unwrap()
            })
            .collect();
        for run in running {
            let output = run.wait_with_output().unwrap();
            let log = std::str::from_utf8(&output.stdout).unwrap().to_lowercase();
            if !output.stderr.is_empty() || (stdout == Stdout::Cron && !log.is_empty()) {
                found.mails.push(hour);
            }
            if log.contains("error") {
                found.errors.push(hour);
            }
            if !output.status.success() {
                found.failures.push(hour);
            }
        }
    }
    found
}

/// The shell command that cron runs for the line.
fn cron(lab: &Lab, args: &str) -> Command {
    let line = args
        .replace("cv4pve-autosnap", env!("CARGO_BIN_EXE_cv4pve-autosnap"))
        .replace("HOST", &lab.host())
        .replace("TOKEN", TOKEN);
    let mut command = lab.command_of("/bin/sh");
    command
        .args(["-c", &line])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How many snapshots of each label every covered guest has; the other guests have none.
fn kept(lab: &Lab) -> BTreeMap<u32, [usize; 3]> {
    let count = |vmid, label: &str| {
        let names = lab.snapshots(vmid);
        let prefix = format!("auto{label}");
        names
            .iter()
            .filter(|name| name.starts_with(&prefix))
            .count()
    };
    for vmid in [203, 900] {
        assert_eq!(count(vmid, ""), 0, "guest {vmid}");
    }
    let counts = |vmid| {
        (
            vmid,
            ["hourly", "daily", "weekly"].map(|label| count(vmid, label)),
        )
    };
    COVERED.into_iter().map(counts).collect()
}

fn every_guest_has(counts: [usize; 3]) -> BTreeMap<u32, [usize; 3]> {
    COVERED.into_iter().map(|vmid| (vmid, counts)).collect()
}

const EVERY_HOUR: fn(i32, i32) -> bool = |_, _| true;
const AT_MIDNIGHT: fn(i32, i32) -> bool = |hour, _| hour == 0;
const SUNDAY_AT_MIDNIGHT: fn(i32, i32) -> bool = |hour, weekday| hour == 0 && weekday == 0;

/// The hours at which the guest is locked and then the storage is full.
const FAILURES: [i32; 5] = [10, 11, 43, 44, 45];

/// With the lines of the C# tool cron sends no mail, no guest is without snapshots, their number
/// does not grow, and `grep -i error` finds every failure.
#[test]
fn a_weekend_with_the_crontab_of_the_csharp_tool() {
    let lab = lab();
    let found = weekend(
        &lab,
        Stdout::Log,
        &[
            Line {
                is_due: EVERY_HOUR,
                args: "cv4pve-autosnap --host=HOST --api-token='TOKEN' --vmid=all snap --label=hourly --keep=24",
            },
            Line {
                is_due: AT_MIDNIGHT,
                args: "cv4pve-autosnap --host=HOST --username=backup@pve --password=example-backup --vmid=\"@all-pve1,@all-pve2\" snap --label='daily' --keep=7",
            },
            Line {
                is_due: SUNDAY_AT_MIDNIGHT,
                args: "cv4pve-autosnap --host=HOST --api-token TOKEN --vmid @all --timeout=30 snap --label weekly --keep 4",
            },
        ],
    );
    assert_eq!(
        found,
        Found {
            mails: Vec::new(),
            errors: FAILURES.to_vec(),
            failures: FAILURES.to_vec(),
        }
    );
    assert_eq!(kept(&lab), every_guest_has([24, 3, 1]));
}

/// With the lines of our README, which mail failures only.
#[test]
fn a_weekend_with_the_crontab_of_the_readme() {
    let lab = lab();
    lab.file(
        "daily.conf",
        format!(
            "--host={}\n--api-token=file:token\n--vmid=@all\n--label=daily\n--keep=7\n",
            lab.host()
        ),
    );
    let found = weekend(
        &lab,
        Stdout::Cron,
        &[
            Line {
                is_due: EVERY_HOUR,
                args: "cv4pve-autosnap @daily.conf snap --label=hourly --keep=24 --quiet",
            },
            Line {
                is_due: AT_MIDNIGHT,
                args: "cv4pve-autosnap @daily.conf snap --label=daily --keep=7 --quiet",
            },
            Line {
                is_due: SUNDAY_AT_MIDNIGHT,
                args: "cv4pve-autosnap @daily.conf snap --label=weekly --keep=4 --quiet",
            },
        ],
    );
    assert_eq!(
        found,
        Found {
            mails: FAILURES.to_vec(),
            errors: FAILURES.to_vec(),
            failures: FAILURES.to_vec(),
        }
    );
    assert_eq!(kept(&lab), every_guest_has([24, 3, 1]));
}
