// SPDX-License-Identifier: GPL-3.0-only
//! The commands around the job, and what surrounds a run, through the binary against a simulated
//! cluster.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is how a test fails"
)]

mod check;
#[cfg(unix)]
mod complete;
mod fingerprint;
#[cfg(target_os = "linux")]
mod journal;
#[cfg(unix)]
mod overlap;
#[cfg(unix)]
mod setup;
mod support;
#[cfg(windows)]
mod windows;
