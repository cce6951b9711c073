// SPDX-License-Identifier: GPL-3.0-only
//! The program `cv4pve-autosnap`.

#![warn(clippy::wildcard_enum_match_arm)]

use std::process::ExitCode;

fn main() -> ExitCode {
    process::forbid_core_dumps();
    process::survive_file_size_limit();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    ExitCode::from(cv4pve_autosnap::cli::run(&arguments).code())
}

/// Settings of this process.
#[cfg(unix)]
mod process {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use tokio::signal::unix::{SignalKind, signal};

    /// Disables core dumps, which would contain the token or the password.
    ///
    /// The limit alone is not enough: a program that collects core dumps (`kernel.core_pattern` with
    /// a pipe, as systemd-coredump) ignores it. A process that is not dumpable has none at all.
    pub(super) fn forbid_core_dumps() {
        let none = Rlimit {
            current: Some(0),
            ..getrlimit(Resource::Core)
        };
        // If this fails, the system's setting stays.
        let _ = setrlimit(Resource::Core, none);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::process::{DumpableBehavior, set_dumpable_behavior};
            let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        }
    }

    /// Installs a handler for SIGXFSZ, so that writing beyond `ulimit -f` is a write error and does not end the
    /// process. Hooks do not inherit a handler.
    pub(super) fn survive_file_size_limit() {
        /// The signal's number on all supported systems.
        const SIGXFSZ: i32 = 25;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        if let Ok(runtime) = runtime {
            let _context = runtime.enter();
            // The handler stays after the receiver and the runtime are gone.
            let _ = signal(SignalKind::from_raw(SIGXFSZ));
        }
    }
}

/// Windows has neither core dumps nor file size limits.
#[cfg(not(unix))]
mod process {
    pub(super) fn forbid_core_dumps() {}
    pub(super) fn survive_file_size_limit() {}
}
