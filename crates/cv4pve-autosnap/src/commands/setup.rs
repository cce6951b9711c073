// SPDX-License-Identifier: GPL-3.0-only
//! `setup`: `pveum` commands for a role, a user and an API token with the least privileges, and a parameter file
//! that uses them.
//!
//! The commands are only printed: the administrator reads them and pastes them into a shell of a node. They are the
//! same for PVE 8 and 9 (`PVE/CLI/pveum.pm`, `PVE/API2/ACL.pm`); the privilege that PVE 9 removed (`VM.Monitor`) is
//! not needed. The C# tool's manual lists the same privileges since it needs `Pool.Audit` for pools.
//!
//! Limits: it does not know whether the user or the role exists; then `pveum` prints an error and the next commands
//! still work.

mod policy_tags;
mod text;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::exit_status::ExitStatus;
use autosnap_core::guest::Vmid;
use autosnap_core::name::{Label, TimestampFormat};
use pve_client::HostList;

use crate::args::SetupArgs;
use crate::command_error::CommandError;
use crate::report::Console;
use crate::settings::check_names;

pub use text::{commands, parameter_file};
pub use write::write_new;

/// The folder from which the packages' timers read parameter files and the token.
const FOLDER: &str = "/etc/cv4pve-autosnap";
/// The name of the file with the token.
const TOKEN_NAME: &str = "token";

/// The validated parts of the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `name@realm`.
    pub user: String,
    /// The token's ID, without the user.
    pub token_id: String,
    /// The role.
    pub role: String,
    /// The paths that the role is granted on.
    pub paths: Vec<AclPath>,
    /// Hosts for the parameter file, as typed.
    pub hosts: Option<String>,
    /// The file that will hold the token.
    pub token_file: PathBuf,
    /// The parameter file to be written.
    pub write: Option<JobFile>,
}

/// A parameter file to be written, for one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFile {
    /// The absolute path of the file: a timer has another working directory.
    pub path: PathBuf,
    /// The label of its snapshots: the name of the file without its suffix.
    pub label: Label,
}

impl JobFile {
    fn new(path: &Path) -> Result<Self, CommandError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let refused = |error: &dyn fmt::Display| {
            CommandError::usage(format!(
                "--write={}: the name of the file is the label of its snapshots: {error}",
                path.display()
            ))
            .with_hint("give the file another name, such as daily.conf")
        };
        let label = Label::parse(&name).map_err(|error| refused(&error))?;
        check_names(&label, &TimestampFormat::default()).map_err(|error| refused(&error))?;
        Ok(Self {
            path: absolute(path)?,
            label,
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path).map_err(|error| {
        CommandError::usage(format!("the path '{}' is invalid: {error}", path.display()))
    })
}

/// A permission path of PVE that matters to a snapshot tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclPath(String);

impl AclPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pool of the path.
    pub fn pool(&self) -> Option<&str> {
        self.0.strip_prefix("/pool/")
    }

    /// The guest of the path.
    pub fn vmid(&self) -> Option<&str> {
        self.0.strip_prefix("/vms/")
    }

    /// Whether the path covers all storages, so that their usage is visible.
    fn covers_storages(&self) -> bool {
        self.0 == "/" || self.0 == "/storage"
    }
}

impl FromStr for AclPath {
    type Err = String;

    /// Parses `/`, `/vms`, `/vms/ID`, `/pool/NAME`, `/storage` or `/storage/NAME`.
    ///
    /// `check_path` in `PVE/AccessControl.pm` accepts more paths, which a snapshot tool does not need.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_id =
            |id: &str| !id.is_empty() && id.chars().all(|sign| is_word(sign) || sign == '.');
        let valid = match text.trim_start_matches('/').split_once('/') {
            _ if !text.starts_with('/') => false,
            None => matches!(text, "/" | "/vms" | "/storage" | "/pool"),
            Some(("vms", id)) => id.parse::<Vmid>().is_ok() && !id.starts_with('0'),
            Some(("storage", id)) => is_id(id),
            // Pools may be nested, three levels deep.
            Some(("pool", id)) => id.split('/').all(is_id),
            Some(_) => false,
        };
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "'{text}' is not a permission path of guests or storages: use /, /vms/100, /pool/NAME or /storage/NAME"
            ))
        }
    }
}

/// Runs the command. The file is written first, so that the commands are printed only if it exists.
pub(super) fn run(args: &SetupArgs, console: &Console) -> Result<ExitStatus, CommandError> {
    if !args.policy_tags.is_empty() {
        let tags = policy_tags::policy_tags(&args.policy_tags)?;
        console.text(&policy_tags::commands(&tags));
        return Ok(ExitStatus::Success);
    }
    let plan = Plan::read(args)?;
    if let Some(file) = &plan.write {
        write_new(&file.path, &parameter_file(&plan, file))?;
    }
    console.text(&commands(&plan));
    Ok(ExitStatus::Success)
}

impl Plan {
    /// Reads the options of `setup`.
    pub fn read(args: &SetupArgs) -> Result<Self, CommandError> {
        let paths: Result<Vec<AclPath>, String> =
            args.path.iter().map(|path| path.parse()).collect();
        if let Some(hosts) = &args.host {
            hosts.parse::<HostList>().map_err(CommandError::usage)?;
        } else if args.write.is_some() {
            return Err(CommandError::usage("--write needs --host")
                .with_hint("the parameter file needs the hosts of the cluster"));
        }
        let write = args.write.as_deref().map(JobFile::new).transpose()?;
        let token_file = match (&args.token_file, &write) {
            (Some(path), _) => absolute(path)?,
            (None, Some(file)) => file.path.with_file_name(TOKEN_NAME),
            (None, None) => Path::new(FOLDER).join(TOKEN_NAME),
        };
        Ok(Self {
            user: checked("user", &args.user, is_user)?,
            token_id: checked("token ID", &args.token_id, is_token_id)?,
            role: checked("role", &args.role, is_role)?,
            paths: paths.map_err(CommandError::usage)?,
            hosts: args.host.clone(),
            token_file,
            write,
        })
    }

    /// The full token ID, `USER@REALM!TOKENID`.
    pub fn token(&self) -> String {
        format!("{}!{}", self.user, self.token_id)
    }
}

fn checked(what: &str, text: &str, is_valid: fn(&str) -> bool) -> Result<String, CommandError> {
    let text = text.trim();
    if is_valid(text) {
        Ok(text.to_owned())
    } else {
        Err(
            CommandError::usage(format!("invalid {what} '{text}'")).with_hint(
                "letters, digits, '.', '-' and '_'; a user is NAME@REALM, such as autosnap@pve",
            ),
        )
    }
}

fn is_word(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_')
}

/// Whether a user name is valid and safe in every shell; `verify_username` in `PVE/AccessControl.pm` accepts more.
fn is_user(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, realm)| {
        let plain =
            |part: &str| !part.is_empty() && part.chars().all(|sign| is_word(sign) || sign == '.');
        plain(name) && plain(realm) && realm.starts_with(|sign: char| sign.is_ascii_alphabetic())
    })
}

/// Whether a token ID is valid (`$token_subid_regex` in `PVE/AccessControl.pm`).
fn is_token_id(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|sign: char| sign.is_ascii_alphabetic())
        && text.chars().all(|sign| is_word(sign) || sign == '.')
}

/// Whether a role name is valid (`verify_rolename` in `PVE/AccessControl.pm`). PVE reserves names that begin with
/// `PVE` in any case (`PVE/API2/Role.pm`).
fn is_role(text: &str) -> bool {
    !text.is_empty()
        && !text.to_ascii_uppercase().starts_with("PVE")
        && text.chars().all(|sign| is_word(sign) || sign == '.')
}

#[cfg(test)]
mod tests;
