// SPDX-License-Identifier: GPL-3.0-only
//! The commands around the job (`check`, `setup`, `fingerprint`), and what surrounds a run: the
//! lock against overlapping ones, the notice about unchecked certificates.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use autosnap_core::outcome::ExitStatus;
use pve_client::{Client, Endpoint, Trust};

use super::{block_on, connection};
use crate::args::{CheckArgs, FingerprintArgs, JobArgs, RootArgs, SetupArgs};
use crate::fault::Fault;
use crate::overlap::{Entry, Held, Overlap};
use crate::report::{self, Console};
use crate::settings::JobSettings;
use crate::{check, fingerprint, logging, setup};

/// Whether a run may go on.
pub(super) enum Way {
    /// It may, for as long as the lock is held, if there is one.
    Go { _lock: Option<Held> },
    /// Another run is under way, and leaving is what was asked for.
    Leave,
}

/// `check`.
pub(super) fn check(args: &CheckArgs, arguments: &[OsString]) -> Result<ExitStatus, Fault> {
    let settings = check::Settings::read(args)?;
    let connection = connection(&args.root, arguments)?;
    let console = Console::default();
    block_on(async {
        let report = check::run(&settings, connection.options).await?;
        report::print_check(&console, &report, args.output)?;
        Ok(report.exit_status())
    })
}

/// `setup`. The file is written first: lines that speak of it are printed only if it is there.
pub(super) fn setup(args: &SetupArgs) -> Result<ExitStatus, Fault> {
    let plan = setup::Plan::read(args)?;
    if let Some(path) = &plan.write {
        setup::write_new(path, &setup::parameter_file(&plan))?;
    }
    Console::default().out(&setup::commands(&plan));
    Ok(ExitStatus::Success)
}

/// `fingerprint`.
pub(super) fn fingerprint(args: &FingerprintArgs) -> Result<ExitStatus, Fault> {
    if args.root.shows_debug() {
        logging::show_debug();
    }
    block_on(async {
        let shown = fingerprint::ask(&args.root.host).await?;
        report::print_fingerprints(&Console::default(), &shown);
        Ok(fingerprint::exit_status(&shown))
    })
}

/// Takes the lock of a run, waits for it or leaves. A dry run changes nothing and needs none.
pub(super) async fn enter(
    settings: &JobSettings,
    args: &JobArgs,
    selection: &str,
    hosts: &[Endpoint],
    console: &Console,
) -> Result<Way, Fault> {
    if settings.dry_run {
        return Ok(Way::Go { _lock: None });
    }
    let label = settings.label.as_str();
    let overlap = Overlap::new(
        args.on_overlap,
        args.overlap_timeout,
        label,
        selection,
        hosts,
    );
    let entry = overlap.enter(|holder| console.error(&format!("waiting: {holder}")));
    match entry.await {
        Entry::Go(held) => Ok(Way::Go { _lock: Some(held) }),
        Entry::Unprotected(reason) => {
            console.error(&format!(
                "WARNING: runs that overlap are not kept apart, as no lock file can be made: {reason}"
            ));
            Ok(Way::Go { _lock: None })
        }
        Entry::Skip(holder) => {
            console.error(&format!("nothing done: {holder}"));
            Ok(Way::Leave)
        }
        Entry::Fail(holder) => Err(Fault::failure(holder)
            .hint("--on-overlap=wait waits for it, --on-overlap=skip leaves without a failure")),
        Entry::TimedOut(holder) => Err(Fault::failure(format!(
            "{holder}; it has not ended within {} s",
            args.overlap_timeout.as_secs()
        ))
        .hint("end it, or give it more time with --overlap-timeout")),
    }
}

/// Says what accepting any certificate means, to somebody who is there to read it.
pub(super) fn tell_trust(trust: &Trust, client: &Client, root: &RootArgs, console: &Console) {
    let somebody_reads = root.shows_debug() || io::stderr().is_terminal();
    let endpoint = client.current_endpoint();
    let shown = client.peer_fingerprint();
    if let Some(text) = fingerprint::notice(trust, shown, &endpoint, somebody_reads) {
        console.error(&format!("NOTICE: {text}"));
    }
}
