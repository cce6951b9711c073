// SPDX-License-Identifier: GPL-3.0-only
//! The preparation of a run: the connection options, the login, and notices about this machine.

use std::ffi::OsStr;

use autosnap::fingerprint;
use autosnap::notice::Notice;
use autosnap_core::warning::Warning;
use jiff::Zoned;
use pve_client::{Client, Trust};

use crate::args::{Command, CommonArgs};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::report::Console;
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

/// Logs in. A typed password is stored only after a successful login, so that the prompt appears again after a typing
/// error. Returns the client, and a warning if the password could not be stored.
pub(crate) async fn log_in(
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
    use pve_client::{ClientOptions, Credentials, Endpoint};
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
        let result = block_on(async { log_in(connection, &console).await.map(|_| ()) });
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
