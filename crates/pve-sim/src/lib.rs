// SPDX-License-Identifier: GPL-3.0-only
//! Placeholder of the first commit.

pub mod schema;
