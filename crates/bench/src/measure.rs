// SPDX-License-Identifier: GPL-3.0-only
//! Costs of a child process: wall time, CPU time, peak memory.
//!
//! The kernel adds up these figures over all children of a process, so each measurement uses a
//! separate process with a single child. That process must be small: the peak memory of a child
//! includes its parent's memory at the time of the fork (`fs/exec.c`).

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

/// The costs of a process.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds from its start to its end.
    pub(crate) wall: f64,
    /// Seconds of CPU time, in user and kernel mode.
    pub(crate) cpu: f64,
    /// Peak memory in MiB.
    pub(crate) memory: f64,
    /// Its exit status; -1 after a signal.
    pub(crate) status: i32,
}

/// Runs a program as the only child of this process and discards its output.
pub(crate) fn run_and_measure(command_line: &[String]) -> Result<Cost> {
    let (program, arguments) = command_line.split_first().context("no program given")?;
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

/// Runs a program through a small process that measures it.
pub(crate) fn run(command_line: &[String], environment: &[(&str, &str)]) -> Result<Cost> {
    let output = Command::new(std::env::current_exe()?)
        .arg("measure")
        .arg("--")
        .args(command_line)
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let cost: Cost = serde_json::from_slice(&output.stdout)?;
    if !matches!(cost.status, 0 | 1) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "'{}' ended with {}: {stderr}",
            command_line.join(" "),
            cost.status
        );
    }
    Ok(cost)
}

/// The CPU time of this process so far, in seconds.
pub(crate) fn own_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn seconds(time: TimeVal) -> f64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
    (Duration::from_secs(seconds) + Duration::from_micros(micros)).as_secs_f64()
}

/// Linux reports KiB.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(kibibytes: i64) -> f64 {
    kibibytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_run_and_costs_something() {
        let command_line = ["sh", "-c", "exit 3"].map(str::to_owned);
        let cost = run_and_measure(&command_line).unwrap();
        assert_eq!(cost.status, 3);
        assert!(cost.wall > 0.0 && cost.memory > 0.0, "{cost:?}");
        assert!(run_and_measure(&["/nowhere/program".to_owned()]).is_err());
    }
}
