// SPDX-License-Identifier: GPL-3.0-only
//! What is fuzzed: every function here takes any bytes, gives them to what reads such bytes in the
//! program, and asserts what must hold for the result, whatever the bytes are.
//!
//! libFuzzer calls them (`fuzz_targets/`), and a test of the crate `autosnap` includes this file to
//! replay the committed corpora on every `cargo test`. Hence nothing here depends on libFuzzer.

pub mod addresses;
pub mod answers;
pub mod calendar;
pub mod certificate;
pub mod durations;
pub mod errors;
pub mod hook_output;
pub mod http_head;
pub mod marks;
pub mod names;
pub mod password_file;
pub mod proxy;
pub mod prune_strings;
pub mod response_file;
pub mod selection;
pub mod tokens;
pub mod upid;

/// A function that must come back, whatever it is given.
pub type Target = fn(&[u8]);

/// All targets by the names of their corpora.
pub const TARGETS: [(&str, Target); 17] = [
    ("addresses", addresses::run),
    ("answers", answers::run),
    ("calendar", calendar::run),
    ("certificate", certificate::run),
    ("durations", durations::run),
    ("errors", errors::run),
    ("hook_output", hook_output::run),
    ("http_head", http_head::run),
    ("marks", marks::run),
    ("names", names::run),
    ("password_file", password_file::run),
    ("proxy", proxy::run),
    ("prune_strings", prune_strings::run),
    ("response_file", response_file::run),
    ("selection", selection::run),
    ("tokens", tokens::run),
    ("upid", upid::run),
];
