// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the commands besides `snap`, `clean` and `status`, of the journal and of overlapping
//! runs, with the binary and a simulated cluster.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is how a test fails"
)]

mod check;
#[cfg(unix)]
mod complete;
#[cfg(unix)]
mod coverage;
mod fingerprint;
#[cfg(unix)]
mod job_folder;
#[cfg(target_os = "linux")]
mod journal;
mod marked_runs;
mod marks;
#[cfg(unix)]
mod overlap;
#[cfg(unix)]
mod setup;
mod simulate;
mod support;
#[cfg(windows)]
mod windows;
