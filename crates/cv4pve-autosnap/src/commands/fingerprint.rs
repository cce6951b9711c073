// SPDX-License-Identifier: GPL-3.0-only
//! `fingerprint`: shows the certificate fingerprints of the hosts, without a login.

use crate::exit_status::ExitStatus;
use autosnap::fingerprint;

use crate::args::FingerprintArgs;
use crate::command_error::CommandError;
use crate::report::{self, Console};
use crate::runtime::block_on;
use crate::secret_source::Environment;
use crate::{logging, settings};

/// Runs the command.
pub(super) fn run(args: &FingerprintArgs, console: &Console) -> Result<ExitStatus, CommandError> {
    if args.output.shows_debug() {
        logging::show_debug();
    }
    let proxy = settings::read_proxy(args.proxy, &Environment::from_process());
    block_on(async {
        let shown = fingerprint::read(&args.hosts.host, &proxy).await?;
        report::print_fingerprints(console, &shown);
        Ok(if fingerprint::is_complete(&shown) {
            ExitStatus::Success
        } else {
            ExitStatus::Connection
        })
    })
}
