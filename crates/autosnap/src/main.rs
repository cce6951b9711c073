// SPDX-License-Identifier: GPL-3.0-only
//! The program `cv4pve-autosnap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    leave_no_core_dump();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    ExitCode::from(autosnap::cli::run(&arguments).code())
}

/// A core dump would hold the token or password.
#[cfg(unix)]
fn leave_no_core_dump() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let none = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    // If the system does not let us, its own setting stands.
    let _ = setrlimit(Resource::Core, none);
}

#[cfg(not(unix))]
fn leave_no_core_dump() {}
