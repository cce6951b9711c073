// SPDX-License-Identifier: GPL-3.0-only
//! The client from outside, over real TLS on the loopback interface.

mod hosts;
mod sign_on;
mod support;
mod trust;
mod waiting;
mod wire;
