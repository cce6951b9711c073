// SPDX-License-Identifier: GPL-3.0-only
//! What one child process costs: wall time, CPU time, peak memory.
//!
//! The kernel keeps these figures for all children of a process together, so each measurement is
//! made by a process of its own that has a single child. That process must be small itself: a
//! child's peak memory counts from what its parent used before the new program was loaded
//! (`fs/exec.c`).

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

/// What a process has cost.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds from its start to its end.
    pub(crate) wall: f64,
    /// Seconds of CPU, in its own code and in the kernel.
    pub(crate) cpu: f64,
    /// Peak of its memory in MiB.
    pub(crate) memory: f64,
    /// Its exit status; -1 after a signal.
    pub(crate) status: i32,
}

/// Runs a program as the only child of this process; its output is thrown away.
pub(crate) fn run_here(words: &[String]) -> Result<Cost> {
    let (program, arguments) = words.split_first().context("no program was given")?;
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run '{program}'"))?;
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(Cost {
        wall,
        cpu: seconds(usage.user_time()) + seconds(usage.system_time()),
        memory: mebibytes(usage.max_rss()),
        status: status.code().unwrap_or(-1),
    })
}

/// Runs a program by way of a small process that measures it.
pub(crate) fn run(words: &[String], environment: &[(&str, &str)]) -> Result<Cost> {
    let output = Command::new(std::env::current_exe()?)
        .arg("measure")
        .arg("--")
        .args(words)
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let cost: Cost = serde_json::from_slice(&output.stdout)?;
    if !matches!(cost.status, 0 | 1) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("'{}' ended with {}: {said}", words.join(" "), cost.status);
    }
    Ok(cost)
}

fn seconds(time: TimeVal) -> f64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
    (Duration::from_secs(seconds) + Duration::from_micros(micros)).as_secs_f64()
}

/// Linux counts in KiB.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(kibibytes: i64) -> f64 {
    kibibytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_run_and_costs_something() {
        let words = ["sh", "-c", "exit 3"].map(str::to_owned);
        let cost = run_here(&words).unwrap();
        assert_eq!(cost.status, 3);
        assert!(cost.wall > 0.0 && cost.memory > 0.0, "{cost:?}");
        assert!(run_here(&["/nowhere/program".to_owned()]).is_err());
    }
}
