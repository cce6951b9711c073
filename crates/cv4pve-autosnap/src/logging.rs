// SPDX-License-Identifier: GPL-3.0-only
//! `--debug`: the trace of this project's crates, on stderr.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::report;

/// Prints debug messages of this project's crates. Other crates could print secrets, which these mask.
pub fn show_debug() {
    let own_crates = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target("autosnap", LevelFilter::DEBUG)
        .with_target("autosnap_core", LevelFilter::DEBUG)
        .with_target("pve_client", LevelFilter::DEBUG);
    let lines = fmt::layer().with_writer(|| DebugLine).with_ansi(false);
    // Fails on a second call, in tests that share a process; the first one stays in effect.
    let _ = tracing_subscriber::registry()
        .with(own_crates)
        .with(lines)
        .try_init();
}

/// A writer that passes each line to the report.
struct DebugLine;

impl io::Write for DebugLine {
    /// The subscriber writes whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        report::print_debug_line(line.strip_suffix('\n').unwrap_or(&line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
