// SPDX-License-Identifier: GPL-3.0-only
//! Random policies: keep rules, guards, zones and adopted labels, for the program and for the [`oracle`](crate::oracle);
//! and the random snapshots on which they are tried.

use std::collections::BTreeSet;

use autosnap::settings::{JobKind, JobSettings, NewMarks};
use autosnap_core::marks::MarkText;
use autosnap_core::name::Label;
use autosnap_core::plan::RemovalLimit;
use autosnap_core::retention::{KeepCounts, Period, Rules};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::marks;
use crate::oracle::{Keep, Policy};
use crate::random::Random;

/// The label of the job.
const LABEL: &str = "daily";

/// Zones with whole and half hours, with and without summer time; no machine lacks them.
const ZONES: [&str; 6] = [
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "<+0530>-5:30",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "<+14>-14",
];

/// The ages of guards, in seconds.
const AGES: [i64; 5] = [0, 1800, 3600, 86_400, 7 * 86_400];

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The policy of the schedules of the first issue: `--keep`, in UTC.
pub(crate) fn newest(keep: u32) -> Policy {
    Policy {
        labels: vec![LABEL],
        zone: TimeZone::UTC,
        keep: Keep::Newest(keep as usize),
        within: 0,
        min_age: 0,
        keep_min: 0,
    }
}

/// A random policy and its job.
pub(crate) fn random(random: &mut Random, job: &mut JobSettings) -> Policy {
    let (keep, rules) = keep(random, job.kind);
    let min_age = if matches!(keep, Keep::Counts(_)) {
        HOUR
    } else {
        0
    };
    let mut policy = Policy {
        labels: labels(random),
        zone: TimeZone::posix(random.pick::<&str>(&ZONES)).unwrap(),
        keep,
        within: 0,
        min_age,
        keep_min: 0,
    };
    job.policy.rules = guarded(random, rules, &mut policy);
    let adopted = policy.labels[1..].iter();
    let adopted = adopted.map(|label| Label::parse(label).unwrap());
    job.policy.series = job.policy.series.clone().with_adopted_labels(adopted);
    if random.percent(20) {
        let limit = RemovalLimit::new(2 + random.below(3));
        job.execution.removal_limit = limit.unwrap();
    }
    if random.percent(20) && matches!(job.kind, JobKind::Snap { .. }) {
        job.marks = new_marks(random);
    }
    policy
}

/// The rules with random guards; `--keep` has none.
fn guarded(random: &mut Random, rules: Rules, policy: &mut Policy) -> Rules {
    let mut rules = rules;
    if matches!(policy.keep, Keep::Newest(_)) {
        return rules;
    }
    if random.percent(25) {
        policy.within = *random.pick(&AGES);
        rules = rules.with_within(SignedDuration::from_secs(policy.within));
    }
    if random.percent(50) {
        policy.min_age = *random.pick(&AGES);
        rules = rules.with_min_age(SignedDuration::from_secs(policy.min_age));
    }
    if random.percent(30) {
        let keep_min = random.below(6);
        policy.keep_min = keep_min as usize;
        rules = rules.with_keep_min(keep_min);
    }
    rules
}

fn labels(random: &mut Random) -> Vec<&'static str> {
    match random.below(6) {
        0 => vec![LABEL, "hourly"],
        1 => vec![LABEL, "hourly", "weekly", "daily2"],
        _ => vec![LABEL],
    }
}

fn new_marks(random: &mut Random) -> NewMarks {
    NewMarks {
        hold: random.percent(40),
        expires_after: random
            .percent(60)
            .then(|| i64::from(random.below(9)).hours()),
        note: random
            .percent(30)
            .then(|| MarkText::parse("before the upgrade").unwrap()),
    }
}

fn keep(random: &mut Random, kind: JobKind) -> (Keep, Rules) {
    match random.below(20) {
        0 => (Keep::All, Rules::keep_all()),
        1 if kind == JobKind::Clean => (Keep::Newest(0), Rules::keep_last(0)),
        1..=4 => {
            let number = 1 + random.below(4);
            (Keep::Newest(number as usize), Rules::keep_last(number))
        }
        _ => {
            let counts = [0; 6].map(|_| random.percent(45).then(|| random.below(5)));
            let rules = if random.percent(50) {
                Rules::from_counts(keep_counts(counts))
            } else {
                Rules::parse(&prune_string(random, counts)).unwrap()
            };
            (Keep::Counts(counts), rules)
        }
    }
}

fn keep_counts(counts: [Option<u32>; 6]) -> KeepCounts {
    let mut all = KeepCounts::default();
    for (period, count) in Period::ALL.into_iter().zip(counts) {
        *all.get_mut(period) = count;
    }
    all
}

/// The rules as PVE accepts them: in any order, with empty parts.
fn prune_string(random: &mut Random, counts: [Option<u32>; 6]) -> String {
    let words = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
    let given = words.into_iter().zip(counts);
    let given = given.filter_map(|(word, count)| Some(format!("keep-{word}={}", count?)));
    let mut parts: Vec<String> = given.collect();
    if random.percent(20) {
        parts.push(" ".to_owned());
    }
    for index in (1..parts.len()).rev() {
        let other = random.below(u32::try_from(index + 1).unwrap());
        parts.swap(index, other as usize);
    }
    parts.join(",")
}

/// Replaces the snapshots of every guest by ones of random ages, labels, marks and states.
pub(crate) fn scatter_snapshots(random: &mut Random, world: &mut Value) {
    let now = Timestamp::now().as_second();
    for guest in world["guests"].as_array_mut().unwrap() {
        let is_locked = guest["config"].get("lock").is_some();
        guest["snapshots"] = json!(snapshots(random, now, is_locked));
    }
}

fn snapshots(random: &mut Random, now: i64, is_locked: bool) -> Vec<Value> {
    let mut ages: Vec<i64> = Vec::new();
    for _ in 0..random.below(14) {
        let unit = *random.pick(&[60, HOUR, HOUR, DAY, DAY, 7 * DAY, 30 * DAY, 365 * DAY]);
        let age = unit * i64::from(1 + random.below(9)) + i64::from(random.below(50));
        ages.push(match ages.last() {
            Some(last) if random.percent(10) => *last,
            Some(_) | None => age,
        });
    }
    if random.percent(5) {
        // Dated in the future.
        ages.push(-DAY);
    }
    ages.sort_unstable_by(|one, other| other.cmp(one));
    let mut names = BTreeSet::new();
    let mut snapshots = Vec::new();
    for age in ages {
        let label = *random.pick(&[LABEL, LABEL, LABEL, LABEL, "hourly", "weekly", "daily2"]);
        let taken_at = now - age;
        let named_at = if random.percent(4) {
            taken_at - 3 * DAY
        } else {
            taken_at
        };
        let time = Timestamp::from_second(named_at)
            .unwrap()
            .to_zoned(TimeZone::UTC);
        let name = format!("auto{label}{}", time.strftime("%y%m%d%H%M%S"));
        if !names.insert(name.clone()) {
            continue;
        }
        let description = marks::random_description(random, now);
        let mut snapshot = json!({"name": name, "snaptime": taken_at, "description": description});
        if random.percent(3) && !is_locked {
            snapshot["snapstate"] = json!(random.pick(&["prepare", "delete"]));
        }
        snapshots.push(snapshot);
    }
    snapshots
}
