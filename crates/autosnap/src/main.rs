// SPDX-License-Identifier: GPL-3.0-only
//! The program `cv4pve-autosnap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    ExitCode::from(autosnap::cli::run(&arguments).code())
}
