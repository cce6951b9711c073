// SPDX-License-Identifier: GPL-3.0-only
//! The client from outside, over real TLS on the loopback interface.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is how a test fails"
)]

mod calls;
mod clusters;
mod delivery;
mod hosts;
mod inspect;
mod lab;
mod log;
mod outages;
mod random_faults;
mod recordings;
mod sign_on;
mod simulator;
mod support;
mod together;
mod trust;
mod waiting;
mod wire;
