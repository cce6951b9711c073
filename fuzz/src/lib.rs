// SPDX-License-Identifier: GPL-3.0-only
//! The fuzz targets: functions that pass any bytes to a parser of the program and check its result.
//!
//! libFuzzer calls them (`fuzz_targets/`). A test of the crate `cv4pve-autosnap` includes this file and replays the
//! committed corpora on every `cargo test`, so nothing here depends on libFuzzer.

pub mod addresses;
pub mod calendar;
pub mod certificate;
pub mod durations;
pub mod error_replies;
pub mod hook_output;
pub mod http_head;
pub mod marks;
pub mod names;
pub mod password_file;
pub mod proxy;
pub mod prune_strings;
pub mod replies;
pub mod response_file;
pub mod selection;
pub mod tokens;
pub mod upid;

/// A target: it must return for every input.
pub type Target = fn(&[u8]);

/// All targets by the names of their corpora.
pub const TARGETS: [(&str, Target); 17] = [
    ("addresses", addresses::run),
    ("calendar", calendar::run),
    ("certificate", certificate::run),
    ("durations", durations::run),
    ("error_replies", error_replies::run),
    ("hook_output", hook_output::run),
    ("http_head", http_head::run),
    ("marks", marks::run),
    ("names", names::run),
    ("password_file", password_file::run),
    ("proxy", proxy::run),
    ("prune_strings", prune_strings::run),
    ("replies", replies::run),
    ("response_file", response_file::run),
    ("selection", selection::run),
    ("tokens", tokens::run),
    ("upid", upid::run),
];
