// SPDX-License-Identifier: GPL-3.0-only
//! Random clusters, faults and kills of a run, then the same run again without faults.
//!
//! Each schedule follows from its number. It builds a cluster and disturbs a run with faults of the simulator; some
//! have a second cluster in the list of hosts ([`second_cluster`]), nodes and guests whose state is listed late or not
//! at all, a hook that fails in some phases ([`hooks`]), locks of other programs ([`foreign_locks`]), or a guest whose
//! tasks always take longer than the timeout ([`late`]); some drop the run in the middle, as `kill -9` does. Then an
//! administrator repairs the reported leftovers, the run is repeated without faults, and the simulator's journal is
//! checked ([`check`]).
//!
//! Most schedules have keep rules, guards, a time zone and adopted labels ([`policy`]), marks that another user sets and
//! removes while a run works ([`marks`]), and a selection by tags that change between runs ([`selection`]). A second
//! implementation of the rules ([`oracle`]) judges every removal by the list that the run had read, and the snapshots
//! that are left after each run without faults ([`removals`], [`final_state`]).
//!
//! [`concurrent`] runs several jobs over one cluster at the same time.
//!
//! `RELIABILITY_SCHEDULES=10000 cargo test -p autosnap --test reliability` runs many;
//! `RELIABILITY_SEED=n` repeats one, and `RELIABILITY_SHOW=1` with it prints the events of the runs.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking, in its helpers as well, and print its tally"
)]

mod check;
mod concurrent;
mod confirmation;
mod decisions;
mod drawn;
mod final_state;
mod foreign_locks;
mod hooks;
mod late;
mod marks;
mod model;
mod oracle;
mod policy;
mod random;
mod removals;
mod run;
mod second_cluster;
mod selection;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many schedules an ordinary test run tries.
const USUAL_SCHEDULES: u64 = 240;
/// Schedules mostly wait for the simulator, so more of them run in parallel than there are processors.
/// `RELIABILITY_THREADS` changes the number.
const THREADS: u64 = 8;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn no_schedule_of_faults_and_kills_breaks_an_invariant() {
    if let Some(seed) = number("RELIABILITY_SEED") {
        return run::schedule(seed).unwrap_or_else(|broken| panic!("schedule {seed}: {broken}"));
    }
    let schedules = number("RELIABILITY_SCHEDULES").unwrap_or(USUAL_SCHEDULES);
    let next = AtomicU64::new(0);
    let tally = std::sync::Mutex::new(run::Tally::default());
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..number("RELIABILITY_THREADS").unwrap_or(THREADS) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= schedules {
                        break;
                    }
                    match run::counted(seed) {
                        Ok(counts) => tally.lock().unwrap().add(&counts),
                        Err(broken) => failures.lock().unwrap().push(format!(
                            "schedule {seed}: {broken}\nrepeat it with RELIABILITY_SEED={seed}"
                        )),
                    }
                }
            });
        }
    });
    println!("{}", tally.into_inner().unwrap());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The maximum number of cases of concurrent runs in an ordinary test run.
const CONCURRENT_CASES: u64 = 60;
/// The time after which no further case starts.
const CONCURRENT_TIME: Duration = Duration::from_secs(12);

/// `CONCURRENT_SEED=n` repeats one case.
#[test]
fn concurrent_runs_share_the_limits_and_end_as_they_would_alone() {
    if let Some(seed) = number("CONCURRENT_SEED") {
        return concurrent::case(seed).unwrap_or_else(|broken| panic!("case {seed}: {broken}"));
    }
    let (started, next) = (Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while started.elapsed() < CONCURRENT_TIME {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= CONCURRENT_CASES {
                        break;
                    }
                    if let Err(broken) = concurrent::case(seed) {
                        panic!("case {seed}: {broken}\nrepeat it with CONCURRENT_SEED={seed}");
                    }
                }
            });
        }
    });
}
