// SPDX-License-Identifier: GPL-3.0-only
//! Clocks of the program under test that a test can set and move while it runs.
//!
//! The program takes its time from the system; it has no option for it, and one for tests only
//! would be found by users. A time namespace moves the monotonic clock alone and needs
//! privileges; `faketime` is often not installed. So the one C library function from which Rust
//! reads the time is replaced by a small library compiled with `cc`, which is also the linker of
//! this test and therefore installed. The program itself is unchanged.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::harness::Lab;

static LIBRARY: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("clock.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/clock.c"))
        .status()
        .expect("cc is installed: it has linked this test");
    assert!(compiled.success());
    (folder, library)
});

/// The clocks of one run.
pub(crate) struct Clock(PathBuf);

impl Clock {
    /// Clocks that show the system's time.
    pub(crate) fn new(lab: &Lab) -> Self {
        let clock = Self(lab.folder().join("clock"));
        clock.ahead(0, 0);
        clock
    }

    /// Makes the command read its time from these clocks.
    pub(crate) fn apply_to(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &LIBRARY.1)
            .env("TEST_CLOCK", &self.0);
    }

    /// Moves the wall clock and the monotonic clock this many seconds ahead of the system's. A
    /// concurrent reader sees both as before or both as after.
    pub(crate) fn ahead(&self, wall: i64, monotonic: i64) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{wall} {monotonic}\n")).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }

    /// Sets the wall clock to a time of the Unix epoch.
    pub(crate) fn set(&self, epoch: i64) {
        let now: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.ahead(epoch - i64::try_from(now.as_secs()).unwrap(), 0);
    }
}
