// SPDX-License-Identifier: GPL-3.0-only
//! Placeholder of the first commit.

pub mod faults;
pub mod journal;
mod random;
pub mod schema;
