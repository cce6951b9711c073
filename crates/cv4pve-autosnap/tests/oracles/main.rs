// SPDX-License-Identifier: GPL-3.0-only
//! What other programs did with the same input, read from `../shared/oracles`: the C# tool with the
//! same command lines ([`csharp`]), .NET with the same timestamp formats ([`dotnet_formats`]), and
//! PVE with the same keep rules ([`prune_marks`]) and calendar events ([`calendar_events`]).
//!
//! `ORACLE_CASES=select-b,flow-` runs only the cases whose IDs begin with one of these.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers as well"
)]

mod calendar_events;
mod csharp;
mod departures;
mod dotnet_formats;
mod overruled;
mod prune_marks;

use std::path::PathBuf;

/// A file or folder of the oracles.
fn oracle(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/oracles")
        .join(name)
}

/// The lines of a JSON Lines file.
fn lines<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(oracle(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
