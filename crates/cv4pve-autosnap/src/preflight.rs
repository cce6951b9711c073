// SPDX-License-Identifier: GPL-3.0-only
//! What comes before a run: the connection options, the lock against overlapping runs, the login, and
//! notices about this machine.

use std::ffi::OsStr;

use autosnap::fingerprint;
use autosnap::notice::Notice;
use autosnap::overlap::{LockGuard, LockOwner, LockResult, Overlap};
use autosnap::settings::{Invocation, JobSettings};
use autosnap_core::text;
use autosnap_core::warning::Warning;
use jiff::Zoned;
use jiff::civil::DateTime;
use pve_client::{Client, Endpoint, Trust};

use crate::args::{Command, CommonArgs, JobArgs, JobOutput};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::report::{self, Console, Lines};
use crate::secret_source::Environment;
use crate::settings::{Connection, NewPassword};
use crate::{input_file, logging};

/// Reads the connection options, and prints the notices about options and files.
pub(crate) fn connection(
    common: &CommonArgs,
    command_line: &CommandLine,
    console: &Console,
) -> Result<Connection, CommandError> {
    let connection = read_connection(common, command_line)?;
    let hook = hook_notice(&command_line.cli.command);
    let notices = command_line.notices.iter().chain(&connection.notices);
    for notice in notices.chain(&hook) {
        let line = format!("WARNING: {}", notice.message);
        console.notice(&line, common.output.shows_debug());
    }
    Ok(connection)
}

/// Reads the connection options.
pub(crate) fn read_connection(
    common: &CommonArgs,
    command_line: &CommandLine,
) -> Result<Connection, CommandError> {
    if common.output.shows_debug() {
        logging::show_debug();
    }
    Connection::read(
        &common.connection,
        common.limits.timeout,
        &command_line.typed,
        &Environment::from_process(),
    )
}

/// A notice if other users can change the hook, which runs with the rights of this user.
pub(crate) fn hook_notice(command: &Command) -> Option<Notice> {
    let script = command.job()?.script.as_deref();
    let script = script.filter(|script| input_file::others_can_write(script))?;
    let path = script.display();
    Some(Notice::warning(
        "writable-hook",
        format!("hook script {path} can be changed by other users; run: chmod go-w '{path}'"),
    ))
}

/// Whether a run may start.
pub(crate) enum Admission {
    /// It may, and holds the lock until its end.
    Granted {
        /// The lock; a dry run needs none.
        lock: Option<LockGuard>,
        /// Whether it had to wait for another run.
        waited: bool,
    },
    /// Another run of the job is active, which the text names, and `--on-overlap=skip` is given.
    Skipped(String),
}

/// Takes the lock of a run, or handles the overlap according to `--on-overlap`. Adds warnings for the report to
/// `warnings`.
pub(crate) async fn admit(
    settings: &JobSettings,
    args: &JobArgs,
    selection: &str,
    hosts: &[Endpoint],
    console: &Console,
    invocation: &Invocation,
    warnings: &mut Vec<Warning>,
) -> Result<Admission, CommandError> {
    if invocation.dry_run {
        return Ok(Admission::Granted {
            lock: None,
            waited: false,
        });
    }
    let now = &invocation.now;
    let overlap = Overlap::new(
        args.on_overlap.into(),
        args.overlap_timeout,
        settings.labels(),
        selection,
        hosts,
    );
    let mut waited = false;
    let result = overlap.lock(|owner| {
        waited = true;
        let warning = Warning::WaitedForRun {
            pid: owner.pid,
            since: local_time(owner, now),
            at: now.datetime(),
        };
        if !print_before_run(&report::warning(&warning), args, console) {
            warnings.push(warning);
        }
    });
    match result.await {
        LockResult::Acquired(lock) => Ok(Admission::Granted {
            lock: Some(lock),
            waited,
        }),
        LockResult::Unprotected(reason) => {
            warnings.push(Warning::NoOverlapLock(reason));
            Ok(Admission::Granted {
                lock: None,
                waited: false,
            })
        }
        LockResult::Skipped(owner) => {
            let owner = active_run(&owner, now);
            print_before_run(&format!("nothing done: {owner}"), args, console);
            Ok(Admission::Skipped(owner))
        }
        LockResult::Failed(owner) => Err(CommandError::failure(active_run(&owner, now))
            .with_hint("--on-overlap=wait waits for it, --on-overlap=skip exits with 0")),
        LockResult::TimedOut(owner) => Err(CommandError::failure(format!(
            "{}; it did not end within {}",
            active_run(&owner, now),
            text::duration(args.overlap_timeout)
        ))
        .with_hint("end it, or give it more time with --overlap-timeout")),
    }
}

/// The text about the run that holds the lock.
fn active_run(owner: &LockOwner, now: &Zoned) -> String {
    report::active_run(owner.pid, local_time(owner, now), now.datetime())
}

/// The time at which a run got the lock, in the zone of `now`.
fn local_time(owner: &LockOwner, now: &Zoned) -> Option<DateTime> {
    let since = owner.since?;
    Some(since.to_zoned(now.time_zone().clone()).datetime())
}

/// Prints a line about a run that has not started: on stderr for a terminal and the journal, otherwise on stdout, as cron
/// mails stderr even if the run succeeds. Returns whether it was printed: JSON output must stay one
/// document.
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

/// Logs in. A typed password is stored after the login only, so that the prompt appears again after a typing error. Returns
/// a warning beside the client if the password could not be stored.
pub(crate) async fn sign_on(
    connection: Connection,
    console: &Console,
) -> Result<(Client, Option<Warning>), CommandError> {
    let Connection {
        options, to_store, ..
    } = connection;
    match (Client::connect(options).await, to_store) {
        (Ok(client), to_store) => {
            let warning = store_password(to_store.as_ref(), console);
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

/// Stores a password that the host has accepted. Returns a warning if that fails: the run does not need the file.
pub(crate) fn store_password(new: Option<&NewPassword>, console: &Console) -> Option<Warning> {
    let new = new?;
    let path = new.path.display();
    match new.store() {
        Ok(()) => {
            let text = format!("NOTICE: the password was stored in {path}, readable by you only");
            console.notice(&text, false);
            None
        }
        Err(error) => Some(Warning::PasswordNotStored(error.to_string())),
    }
}

/// Prints a notice if any certificate is accepted, on a terminal, in the journal or with `--debug`.
pub(crate) fn warn_about_unchecked_certificate(
    trust: &Trust,
    client: &Client,
    shows_debug: bool,
    console: &Console,
) {
    let is_visible = console.takes_notices(shows_debug);
    let endpoint = client.current_endpoint();
    let shown = client.peer_fingerprint();
    if let Some(fingerprint) = fingerprint::to_pin(trust, shown).filter(|_| is_visible) {
        console.error(&format!("NOTICE: any certificate is accepted, so another server in place of {endpoint} would receive the password or token; compare the fingerprint with PVE's, then pin it: --fingerprint={fingerprint}"));
    }
}

/// A warning if the zone of the variable TZ is unknown, as in a container without time zones. Snapshot names then
/// have the time in UTC, and nothing else would show it.
pub(crate) fn unknown_zone(now: &Zoned) -> Option<Warning> {
    let configured = std::env::var_os("TZ").filter(|zone| !zone.is_empty() && !is_utc(zone));
    let zone = configured.filter(|_| now.time_zone().is_unknown())?;
    Some(Warning::UnknownTimeZone {
        zone: zone.display().to_string(),
    })
}

/// Whether a value of TZ is a name of UTC. Without a zone database these names are unknown, too.
fn is_utc(zone: &OsStr) -> bool {
    let zone = zone.to_string_lossy().to_lowercase();
    let name = zone.trim_start_matches(':');
    let name = name.rsplit_once("zoneinfo/").map_or(name, |(_, name)| name);
    let name = name.trim_start_matches("etc/");
    ["utc", "gmt", "uct", "zulu", "universal", "greenwich"].contains(&name)
}

#[cfg(test)]
mod tests {
    use crate::exit_status::ExitStatus;
    use jiff::Timestamp;
    use pve_client::{ClientOptions, Credentials};
    use pve_sim::generate::demo_world;
    use pve_sim::simulator::{Options, Simulator};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::runtime::block_on;

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

    #[test]
    fn the_active_run_is_named_with_its_local_time() {
        let now: Zoned = "2026-11-28T03:00[Europe/Rome]".parse().unwrap();
        let at = |time: &str| Some(time.parse::<Timestamp>().unwrap());
        for (pid, since, expected) in [
            (None, None, ""),
            (Some(17), None, " (pid 17)"),
            (
                Some(17),
                at("2026-11-28T00:10:30Z"),
                " (pid 17, since 01:10)",
            ),
            (
                Some(17),
                at("2026-11-27T22:10:30Z"),
                " (pid 17, since 2026-11-27 23:10)",
            ),
        ] {
            let text = active_run(&LockOwner { pid, since }, &now);
            assert_eq!(text, format!("another run of this job is active{expected}"));
        }
    }

    /// Logs in with a password, as typed for a file that does not exist. Returns the result and the content of
    /// the file.
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
    fn a_typed_password_is_stored_after_a_successful_login_only() {
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
