// SPDX-License-Identifier: GPL-3.0-only
//! Placeholder of the first commit.

pub mod hook;
pub mod password_file;
pub mod response_file;
pub mod secret_source;
