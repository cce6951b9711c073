// SPDX-License-Identifier: GPL-3.0-only
//! placeholder
use crate::args::DemoArgs;
use crate::fault::Fault;
use autosnap_core::outcome::ExitStatus;
pub fn run(args: &DemoArgs) -> Result<ExitStatus, Fault> {
    let _ = args.serve;
    Ok(ExitStatus::Success)
}
