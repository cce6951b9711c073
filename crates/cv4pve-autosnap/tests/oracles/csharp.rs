// SPDX-License-Identifier: GPL-3.0-only
//! Command lines that the real C# tool 1.17.0 and 2.0.1 ran on the simulator, each on its own
//! cluster.
//!
//! A library in front of libc sets the clock of the program, as for the recorded cases; its source
//! is in the same folder as the cases.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pve_sim::faults::FaultPlan;
use pve_sim::journal::Action;
use pve_sim::simulator::{Options, Simulator};
use serde::Deserialize;
use serde_json::Value;

use crate::overruled::OVERRULED;
use crate::{lines, oracle};

const TOKEN: &str = "--api-token=backup@pve!auto=22222222-2222-4222-8222-222222222222";
/// How many runs are parallel: they mostly wait for the simulator.
const THREADS: usize = 4;
/// The time limit of a run.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);
/// The duration of the tasks with which the cases were recorded.
const TASK_SECONDS: f64 = 0.02;

/// A line of `cases.jsonl`; its members are explained in the README in the same folder.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    world: String,
    faults: Option<String>,
    start: Option<f64>,
    tz: String,
    args: Vec<String>,
    pub(crate) verdict: String,
    pub(crate) reason: String,
    want: Option<Wanted>,
}

/// The expected result.
#[derive(Debug, Deserialize)]
struct Wanted {
    created: Vec<u32>,
    removed: Vec<(u32, String)>,
    rows: Option<Vec<(u32, String)>>,
}

/// The result of the program.
#[derive(Debug)]
struct Done {
    created: Vec<u32>,
    removed: Vec<(u32, String)>,
    rows: BTreeSet<(u32, String)>,
    output: String,
}

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    let cases: Vec<Case> = lines("csharp/cases.jsonl");
    assert!(cases.len() > 600, "only {} cases", cases.len());
    cases
}

fn is_chosen(case: &Case) -> bool {
    std::env::var("ORACLE_CASES").map_or(true, |prefixes| {
        prefixes
            .split(',')
            .any(|prefix| case.id.starts_with(prefix))
    })
}

/// Runs each case and compares its changes and lists with the expected ones, except the cases in [`OVERRULED`].
#[test]
fn the_program_does_what_the_cases_of_the_csharp_tool_expect() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock(folder.path());
    let all = cases();
    let chosen: Vec<(&Case, &Wanted)> = all
        .iter()
        .filter(|case| is_chosen(case))
        .filter_map(|case| Some((case, case.want.as_ref()?)))
        .collect();
    let next = AtomicUsize::new(0);
    let differing = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((case, wanted)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = run(case, &clock);
                    if let Some(difference) = difference(wanted, &done) {
                        let mut differing =
                            differing.lock().unwrap_or_else(PoisonError::into_inner);
                        differing.push((case.id.clone(), describe(case, &done, &difference)));
                    }
                }
            });
        }
    });
    let differing = differing
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!("{} cases, {} differ", chosen.len(), differing.len());
    let mut wrong: Vec<String> = differing
        .iter()
        .filter(|(id, _)| rule_against(id).is_none())
        .map(|(_, described)| described.clone())
        .collect();
    for (case, _) in &chosen {
        if let Some(rule) = rule_against(&case.id)
            && !differing.iter().any(|(id, _)| *id == case.id)
        {
            wrong.push(format!(
                "{} is as wanted, but overruled by: {rule}",
                case.id
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every overruled case exists, and has an expected result.
#[test]
fn every_overruled_case_exists() {
    let cases = cases();
    for id in OVERRULED.iter().flat_map(|overruled| overruled.cases) {
        let case = cases.iter().find(|case| case.id == *id);
        assert!(case.is_some_and(|case| case.want.is_some()), "{id}");
    }
}

/// The rule that overrules a case.
fn rule_against(id: &str) -> Option<&'static str> {
    OVERRULED
        .iter()
        .find(|overruled| overruled.cases.contains(&id))
        .map(|overruled| overruled.rule)
}

/// Builds the library that shifts the clock of the program.
fn clock(folder: &Path) -> PathBuf {
    let library = folder.join("clock.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(oracle("csharp/clock.c"))
        .status()
        .unwrap();
    assert!(compiled.success(), "cc cannot compile clock.c");
    library
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn run(case: &Case, clock: &Path) -> Done {
    let worlds = oracle("csharp/worlds");
    let mut options = Options::new(
        json(&worlds.join(&case.world)),
        json(&oracle("../pve-recordings/credentials.example.json")),
    );
    options.timing.task_seconds = TASK_SECONDS;
    if let Some(start) = case.start {
        options.start = Some(start);
    }
    if let Some(faults) = &case.faults {
        options.faults = FaultPlan::read(&worlds.join(faults)).unwrap();
    }
    let simulator =
        Simulator::start(options).unwrap_or_else(|error| panic!("{}: {error}", case.id));
    let begin = SystemTime::now();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cv4pve-autosnap"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.path())
        .env("TZ", &case.tz)
        .env("NO_COLOR", "1")
        .current_dir(folder.path())
        .arg(format!("--host={}", simulator.addresses()[0]));
    if let Some(start) = case.start {
        let now = begin.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        command
            .env("LD_PRELOAD", clock)
            .env("FAKE_OFFSET", format!("{:.0}", (start - now).trunc()));
    }
    if !case.args.iter().any(|word| word.starts_with("--username")) {
        command.arg(TOKEN);
    }
    command.args(&case.args);
    let output = assert_cmd::Command::from_std(command)
        .timeout(RUN_TIMEOUT)
        .output()
        .unwrap();
    let mut done = Done {
        created: Vec::new(),
        removed: Vec::new(),
        rows: BTreeSet::new(),
        output: format!(
            "exit status {:?}\n{}{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    };
    for mutation in simulator.journal().mutations() {
        let name = mutation.snapshot.unwrap_or_default();
        match mutation.action {
            Action::Create => done.created.push(mutation.vmid),
            Action::Delete => done.removed.push((mutation.vmid, name)),
            Action::Update
            | Action::Rollback
            | Action::Start
            | Action::Stop
            | Action::Configure => {}
        }
    }
    done.created.sort_unstable();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    for row in listed.as_array().into_iter().flatten() {
        if let (Some(vmid), Some(name)) = (row["VM"].as_u64(), row["NAME"].as_str()) {
            done.rows
                .insert((u32::try_from(vmid).unwrap(), name.to_owned()));
        }
    }
    done
}

/// Whether a snapshot was created by the run itself: its name has the second of its creation.
fn is_new(name: &str) -> bool {
    name == "NEW" || (name.starts_with("auto") && name.ends_with("SS"))
}

fn difference(wanted: &Wanted, done: &Done) -> Option<String> {
    let mut text = String::new();
    if wanted.created != done.created {
        write!(
            text,
            "created {:?}, wanted {:?}; ",
            done.created, wanted.created
        )
        .unwrap();
    }
    let (mut expected, mut removed) = (wanted.removed.clone(), done.removed.clone());
    if expected.iter().any(|(_, name)| is_new(name)) {
        for (_, name) in expected.iter_mut().chain(&mut removed) {
            name.clear();
        }
    }
    expected.sort();
    removed.sort();
    if expected != removed {
        write!(text, "removed {removed:?}, wanted {expected:?}; ").unwrap();
    }
    if let Some(rows) = &wanted.rows {
        let rows: BTreeSet<_> = rows.iter().cloned().collect();
        if rows != done.rows {
            let more: Vec<_> = done.rows.difference(&rows).collect();
            let less: Vec<_> = rows.difference(&done.rows).collect();
            write!(text, "listed too much: {more:?}, not listed: {less:?}; ").unwrap();
        }
    }
    (!text.is_empty()).then_some(text)
}

fn describe(case: &Case, done: &Done, difference: &str) -> String {
    format!(
        "{} ({}: {}) {:?}\n    differs: {difference}\n{}",
        case.id, case.verdict, case.reason, case.args, done.output
    )
}
