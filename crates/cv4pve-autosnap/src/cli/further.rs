// SPDX-License-Identifier: GPL-3.0-only
//! The commands around the job (`check`, `setup`, `fingerprint`), and what surrounds a run: the
//! lock against overlapping ones, the notices about unchecked certificates and unknown time zones.

use std::ffi::OsStr;

use autosnap_core::outcome::ExitStatus;
use autosnap_core::text;
use jiff::Zoned;
use pve_client::{Client, Endpoint, Trust};

use super::{Invocation, block_on, local, read_connection};
use crate::args::{CheckArgs, FingerprintArgs, JobArgs, JobOutput, RootArgs, SetupArgs};
use crate::command_error::CommandError;
use crate::report::{self, Console, Lines};
use crate::secret_source::Environment;
use crate::settings::{self, Connection, NewPassword};
use crate::{args, logging, other_program, setup};
use autosnap::notice::Notice;
use autosnap::overlap::{Entry, Held, Overlap};
use autosnap::settings::JobSettings;
use autosnap::{check, fingerprint};

/// Whether a run may go on.
pub(super) enum Way {
    /// It may, for as long as the lock is held, if there is one.
    Go {
        _lock: Option<Held>,
        /// It had to wait for another run.
        waited: bool,
    },
    /// Another run, which the text names, is under way, and leaving is what was asked for.
    Leave(String),
}

/// `check`.
pub(super) fn check(
    args: &CheckArgs,
    invocation: &Invocation,
    now: &Zoned,
    console: &Console,
) -> Result<ExitStatus, CommandError> {
    let mut settings = settings::check_settings(args)?;
    settings::refuse_unused(&mut settings, args, &invocation.in_files);
    let connection = read_connection(&args.root, invocation)?;
    let notices = [
        invocation.notices.clone(),
        connection.notices,
        local::hook_notice(&invocation.cli.command)
            .into_iter()
            .collect(),
        unused_options(invocation),
        other_program::notices(),
    ];
    block_on(async {
        let mut report = check::run(&settings, connection.options, now).await;
        report.add(notices.concat());
        if report.reading.cluster.is_some()
            && let Some(warning) = store(connection.to_store.as_ref(), console)
        {
            console.notice(&format!("WARNING: {warning}"), args.root.shows_debug());
        }
        report::print_check(console, &report, args.job.output)?;
        Ok(report.exit_status())
    })
}

/// What parameter files set for other commands than the one they are used with. `--keep` is in every job, and nobody
/// expects it to matter to `status`.
fn unused_options(invocation: &Invocation) -> Vec<Notice> {
    let unused = ["clean", "status"].into_iter().filter_map(|command| {
        let ids = invocation.in_files.iter().filter(|id| *id != "keep");
        let options = args::unused(command, ids);
        (!options.is_empty()).then(|| {
            let options = options.join(", ");
            let text = format!("{command} with this parameter file does not use {options}");
            Notice::note("unused-options", text)
        })
    });
    unused.collect()
}

/// `setup`. The file is written first: lines that speak of it are printed only if it is there.
pub(super) fn setup(args: &SetupArgs, console: &Console) -> Result<ExitStatus, CommandError> {
    let plan = setup::Plan::read(args)?;
    if let Some(file) = &plan.write {
        setup::write_new(&file.path, &setup::parameter_file(&plan, file))?;
    }
    console.text(&setup::commands(&plan));
    Ok(ExitStatus::Success)
}

/// `fingerprint`.
pub(super) fn fingerprint(
    args: &FingerprintArgs,
    console: &Console,
) -> Result<ExitStatus, CommandError> {
    if args.root.shows_debug() {
        logging::show_debug();
    }
    let proxy = settings::read_proxy(&args.root, &Environment::of_process());
    block_on(async {
        let shown = fingerprint::ask(&args.root.host, &proxy).await?;
        report::print_fingerprints(console, &shown);
        Ok(fingerprint::exit_status(&shown))
    })
}

/// Takes the lock of a run, waits for it or leaves. A dry run changes nothing and needs none. Lines about it that the
/// report must print are added to `notes`.
pub(super) async fn enter(
    settings: &JobSettings,
    args: &JobArgs,
    selection: &str,
    hosts: &[Endpoint],
    console: &Console,
    notes: &mut Vec<String>,
) -> Result<Way, CommandError> {
    if settings.dry_run {
        return Ok(Way::Go {
            _lock: None,
            waited: false,
        });
    }
    let label = settings.series.label().as_str();
    let overlap = Overlap::new(
        args.on_overlap.into(),
        args.overlap_timeout,
        label,
        selection,
        hosts,
    );
    let mut waited = false;
    let entry = overlap.enter(|holder| {
        waited = true;
        let line = format!("waiting: {holder}");
        if !print_before_run(&line, args, console) {
            notes.push(line);
        }
    });
    match entry.await {
        Entry::Go(held) => Ok(Way::Go {
            _lock: Some(held),
            waited,
        }),
        Entry::Unprotected(reason) => {
            notes.push(format!(
                "overlapping runs are not prevented: cannot create a lock file: {reason}"
            ));
            Ok(Way::Go {
                _lock: None,
                waited: false,
            })
        }
        Entry::Skip(holder) => {
            print_before_run(&format!("nothing done: {holder}"), args, console);
            Ok(Way::Leave(holder.to_string()))
        }
        Entry::Fail(holder) => Err(CommandError::failure(holder).with_hint(
            "--on-overlap=wait waits for it, --on-overlap=skip leaves without a failure",
        )),
        Entry::TimedOut(holder) => Err(CommandError::failure(format!(
            "{holder}; it has not ended within {}",
            text::duration(args.overlap_timeout)
        ))
        .with_hint("end it, or give it more time with --overlap-timeout")),
    }
}

/// Prints a line about a run that has not started: on stderr for a terminal and the journal, otherwise on stdout, as cron
/// mails stderr even if the run succeeds. Returns whether it was printed: a document for programs must
/// not be disturbed.
fn print_before_run(line: &str, args: &JobArgs, console: &Console) -> bool {
    if console.takes_notices(false) {
        console.error(line);
        return true;
    }
    let is_text = args.output == JobOutput::Text && !args.quiet;
    if is_text {
        let mut lines = Lines::default();
        lines.line(line);
        console.out(&lines);
    }
    is_text
}

/// Logs in. A password that was typed is stored only after the login, so that a mistyped one is asked for again. Returns
/// a warning beside the client if the password could not be stored.
pub(super) async fn sign_on(
    connection: Connection,
    console: &Console,
) -> Result<(Client, Option<String>), CommandError> {
    let Connection {
        options, to_store, ..
    } = connection;
    match (Client::connect(options).await, to_store) {
        (Ok(client), to_store) => {
            let warning = store(to_store.as_ref(), console);
            Ok((client, warning))
        }
        (Err(error @ pve_client::Error::Authentication { .. }), Some(new)) => {
            let path = new.path.display();
            Err(CommandError::from(error).with_hint(format!(
                "the password was not stored in {path}: the next run asks again"
            )))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// Stores a password that the host has accepted. The run does not need the file: returns a warning if that fails.
fn store(new: Option<&NewPassword>, console: &Console) -> Option<String> {
    let new = new?;
    let path = new.path.display();
    match new.store() {
        Ok(()) => {
            let text = format!("NOTICE: the password was stored in {path}, readable by you only");
            console.notice(&text, false);
            None
        }
        Err(error) => Some(format!("the password could not be stored: {error}")),
    }
}

/// Says what accepting any certificate means, to somebody who is there to read it.
pub(super) fn tell_trust(trust: &Trust, client: &Client, root: &RootArgs, console: &Console) {
    let somebody_reads = console.takes_notices(root.shows_debug());
    let endpoint = client.current_endpoint();
    let shown = client.peer_fingerprint();
    if let Some(text) = fingerprint::notice(trust, shown, &endpoint, somebody_reads) {
        console.error(&format!("NOTICE: {text}"));
    }
}

/// Names carry local time. Where the zone that was asked for is not known, as in a container without time zones, the
/// clock is that of UTC, and nothing else would show it.
pub(super) fn unknown_zone(now: &Zoned) -> Option<String> {
    let asked = std::env::var_os("TZ").filter(|zone| !zone.is_empty() && !is_utc(zone));
    let zone = asked.filter(|_| now.time_zone().is_unknown())?;
    Some(format!(
        "unknown time zone '{}' in the variable TZ, so names use UTC; install tzdata, or mount \
         /usr/share/zoneinfo",
        zone.display()
    ))
}

/// Whether a value of TZ asks for UTC in one of its names; without a description of the world's zones these are not
/// known either.
fn is_utc(zone: &OsStr) -> bool {
    let zone = zone.to_string_lossy().to_lowercase();
    let name = zone.trim_start_matches(':');
    let name = name.rsplit_once("zoneinfo/").map_or(name, |(_, name)| name);
    let name = name.trim_start_matches("etc/");
    ["utc", "gmt", "uct", "zulu", "universal", "greenwich"].contains(&name)
}

#[cfg(test)]
mod tests {
    use pve_client::{ClientOptions, Credentials};
    use pve_sim::generate::demo_world;
    use pve_sim::simulator::{Options, Simulator};
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn utc_is_recognised_where_no_zones_are_known() {
        for zone in [
            "UTC",
            "utc",
            ":UTC",
            "Etc/UTC",
            "GMT",
            ":/usr/share/zoneinfo/Etc/UTC",
        ] {
            assert!(is_utc(OsStr::new(zone)), "{zone}");
        }
        for zone in ["Europe/Rome", "UTC-3", "Etc/GMT+5", "/etc/localtime"] {
            assert!(!is_utc(OsStr::new(zone)), "{zone}");
        }
    }

    /// Signs on with that password, just typed for a file that does not exist, and says how that
    /// ended and what the file holds then.
    fn sign_on_with(password: &str) -> (Result<(), CommandError>, Option<String>) {
        let demo = demo_world(1_800_000_000, 0);
        let simulator = Simulator::start(Options::new(demo.world, demo.credentials)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let host: Endpoint = simulator.addresses()[0].to_string().parse().unwrap();
        let credentials = Credentials::Password {
            username: "admin@pve".to_owned(),
            password: password.into(),
        };
        let connection = Connection {
            options: ClientOptions::new(vec![host], credentials, Trust::AcceptAny),
            notices: Vec::new(),
            to_store: Some(NewPassword {
                path: path.clone(),
                password: password.into(),
            }),
        };
        let console = Console::default();
        let result = block_on(async { sign_on(connection, &console).await.map(|_| ()) });
        let stored = crate::password_file::read(&path).ok();
        let stored = stored.map(|file| file.password.expose_secret().to_owned());
        (result, stored)
    }

    #[test]
    fn a_typed_password_is_stored_only_when_it_has_proved_right() {
        let (result, stored) = sign_on_with("mistyped");
        let error = result.unwrap_err();
        assert_eq!(error.exit, ExitStatus::Connection);
        let hint = error.hint.unwrap();
        assert!(hint.ends_with("the next run asks again"), "{hint}");
        assert_eq!(stored, None);
        let (result, stored) = sign_on_with("example-admin");
        assert_eq!(result, Ok(()));
        assert_eq!(stored.as_deref(), Some("example-admin"));
    }
}
