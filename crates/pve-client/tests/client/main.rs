// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the public interface, over TLS on the loopback interface.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is how a test fails"
)]

mod against_simulator;
mod captured_log;
mod certificates;
mod clusters;
mod concurrent_waits;
mod connections;
mod diagnostics;
mod hosts;
mod login;
mod lost_replies;
mod outages;
mod random_faults;
mod raw_server;
mod recordings;
mod requests;
mod simulated_cluster;
mod task_wait;
