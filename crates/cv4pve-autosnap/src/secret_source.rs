// SPDX-License-Identifier: GPL-3.0-only
//! The sources of the API token or the password, in order of priority.
//!
//! | order | token | password, for a user |
//! |---|---|---|
//! | 1 | `--api-token=VALUE`, `--api-token=file:PATH` | `--password=VALUE`, `--password=file:PATH` |
//! | 2 | variable `CV4PVE_API_TOKEN` | variable `CV4PVE_PASSWORD` |
//! | 3 | `$CREDENTIALS_DIRECTORY/api-token` (systemd's `LoadCredential=`) | `$CREDENTIALS_DIRECTORY/password` |
//! | 4 | | a prompt at the terminal |
//!
//! In each row the token wins, as in the C# tool. A password file that does not exist is written after a prompt, as
//! in the C# tool. The caller passes in all inputs except files. Nothing is printed: warnings are returned as
//! [`Resolved::notices`]. The client validates the form of a token.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

pub use autosnap::hook::{API_TOKEN_VARIABLE, PASSWORD_VARIABLE};
use pve_client::ProxyRules;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::password_file::{self, PasswordFileError};
use crate::sensitive;
use autosnap::notice::Notice;

/// Prompts for a secret without echo.
pub type Prompt = fn(question: &str) -> io::Result<SecretString>;

/// The login options of the command line. They may hold secrets, so there is no `Debug`.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The value of `--api-token`.
    pub api_token: Option<&'a str>,
    /// The value of `--password`.
    pub password: Option<&'a str>,
    /// The value of `--username`. Without one, the only source of a password is the option.
    pub username: Option<&'a str>,
    /// The arguments as `ps` shows them, before parameter files are expanded.
    pub arguments: &'a [OsString],
}

/// The environment of the process. It may hold secrets, so there is no `Debug`.
#[derive(Clone, Default)]
pub struct Environment {
    /// `CV4PVE_API_TOKEN`.
    pub api_token: Option<OsString>,
    /// `CV4PVE_PASSWORD`.
    pub password: Option<OsString>,
    /// `CREDENTIALS_DIRECTORY`, set by systemd.
    pub credentials_directory: Option<PathBuf>,
    /// The prompt; `None` without a terminal.
    pub prompt: Option<Prompt>,
    /// The proxies of `HTTPS_PROXY` and its siblings.
    pub proxy: ProxyRules,
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// It can prompt if stdin is a terminal, as in the C# tool; stdout and stderr may be redirected. No scheduler
    /// starts a job with a terminal.
    pub fn from_process() -> Self {
        let has_terminal = io::stdin().is_terminal();
        Self {
            api_token: std::env::var_os(API_TOKEN_VARIABLE),
            password: std::env::var_os(PASSWORD_VARIABLE),
            credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            proxy: ProxyRules::from_variables(|name| std::env::var(name).ok()),
            prompt: has_terminal.then_some(prompt),
        }
    }
}

fn prompt(question: &str) -> io::Result<SecretString> {
    rpassword::prompt_password(question).map(SecretString::from)
}

/// A secret for the login.
#[derive(Debug)]
pub enum Secret {
    /// `USER@REALM!TOKENID=UUID`.
    ApiToken(SecretString),
    /// The password of the user.
    Password(SecretString),
}

/// A secret, with warnings about its source.
#[derive(Debug)]
pub struct Resolved {
    /// The secret.
    pub secret: Secret,
    /// Warnings about the source. They contain no secret.
    pub notices: Vec<Notice>,
    /// The file for a password from a prompt, to be written after a successful login.
    pub to_store: Option<PathBuf>,
}

/// Why no secret was found. Never contains one.
#[derive(Debug, Error)]
pub enum SecretError {
    /// No source was given.
    #[error("no login given; use --api-token=file:PATH, or --username with --password=file:PATH")]
    NothingGiven,
    /// A user without a password, and no terminal for a prompt.
    #[error(
        "no password given for {username}, and no terminal to ask at; use --password=file:PATH, {PASSWORD_VARIABLE} or an API token"
    )]
    NoTerminal {
        /// The value of `--username`.
        username: String,
    },
    /// A password file that does not exist, and no terminal for a prompt.
    #[error("password file {} does not exist, and there is no terminal to ask at; run the command once by hand, or write the password into the file", sensitive::displayed_path(.0))]
    NoTerminalForFile(PathBuf),
    /// `--password=file:` or `--api-token=file:`.
    #[error("missing path after '--{option}=file:'")]
    NoPath {
        /// The option, without dashes.
        option: &'static str,
    },
    /// An empty value or answer.
    #[error("the {what} is empty")]
    Empty {
        /// Which one.
        what: &'static str,
    },
    /// A variable that is not UTF-8.
    #[error("variable {0} is not UTF-8")]
    NotText(&'static str),
    /// The prompt failed, for example because the terminal was closed.
    #[error("cannot ask for the password: {0}")]
    NoAnswer(io::Error),
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] PasswordFileError),
}

/// Finds the secret to log in with.
pub fn resolve(request: &Request<'_>, environment: &Environment) -> Result<Resolved, SecretError> {
    let mut search = Search {
        request,
        environment,
        notices: Vec::new(),
        to_store: None,
    };
    let secret = search.run()?;
    Ok(Resolved {
        secret,
        notices: search.notices,
        to_store: search.to_store,
    })
}

struct Search<'a> {
    request: &'a Request<'a>,
    environment: &'a Environment,
    notices: Vec<Notice>,
    to_store: Option<PathBuf>,
}

impl Search<'_> {
    fn run(&mut self) -> Result<Secret, SecretError> {
        let Request {
            api_token,
            password,
            username,
            ..
        } = *self.request;
        if let Some(value) = api_token {
            if password.is_some() || username.is_some() {
                self.notices.push(Notice::warning(
                    "login-not-used",
                    "--username and --password are not used, because --api-token is given as well",
                ));
            }
            return self.token_option(value).map(Secret::ApiToken);
        }
        if let Some(value) = password {
            return self.password_option(value).map(Secret::Password);
        }
        if let Some(token) = variable(API_TOKEN_VARIABLE, self.environment.api_token.as_deref())? {
            return Ok(Secret::ApiToken(token));
        }
        let user_password = match username {
            Some(_) => variable(PASSWORD_VARIABLE, self.environment.password.as_deref())?,
            None => None,
        };
        if let Some(password) = user_password {
            return Ok(Secret::Password(password));
        }
        if let Some(token) = self.credential("api-token")? {
            return Ok(Secret::ApiToken(token));
        }
        let username = username.ok_or(SecretError::NothingGiven)?;
        match self.credential("password")? {
            Some(password) => Ok(Secret::Password(password)),
            None => self
                .prompt(username)?
                .ok_or(SecretError::NoTerminal {
                    username: username.into(),
                })
                .map(Secret::Password),
        }
    }

    fn token_option(&mut self, value: &str) -> Result<SecretString, SecretError> {
        match value.trim().strip_prefix("file:") {
            Some(path) => self.read(checked_path(path, "api-token")?),
            None => self.plain(value, "API token", "api-token"),
        }
    }

    fn password_option(&mut self, value: &str) -> Result<SecretString, SecretError> {
        let Some(path) = value.trim().strip_prefix("file:") else {
            return self.plain(value, "password", "password");
        };
        let path = checked_path(path, "password")?;
        match self.read(path) {
            Err(SecretError::File(PasswordFileError::Missing(_))) => self.prompt_to_store(path),
            result => result,
        }
    }

    /// A secret given as the value of an option. The C# tool also trims it (`GetPasswordFromOption`).
    fn plain(
        &mut self,
        value: &str,
        what: &'static str,
        option: &str,
    ) -> Result<SecretString, SecretError> {
        let value = value.trim();
        if value.is_empty() {
            return Err(SecretError::Empty { what });
        }
        let contains_it = |argument: &OsString| {
            argument
                .to_str()
                .is_some_and(|argument| argument.contains(value))
        };
        if self.request.arguments.iter().any(contains_it) {
            self.notices.push(Notice::warning("secret-on-command-line", format!(
                "the {what} on the command line can be seen by every user of this machine; use --{option}=file:PATH instead"
            )));
        }
        Ok(value.into())
    }

    fn read(&mut self, path: &Path) -> Result<SecretString, SecretError> {
        let stored = password_file::read(path)?;
        if stored.others_can_read && !self.is_credential(path) {
            let path = path.display();
            let quoted = path.to_string().replace('\'', r"'\''");
            self.notices.push(Notice::warning(
                "readable-secret-file",
                format!("secret file {path} can be read by other users; run: chmod 600 '{quoted}'"),
            ));
        }
        Ok(stored.password)
    }

    /// Whether systemd provides the file: its mode shows a group, but an access control list limits it to this service.
    fn is_credential(&self, path: &Path) -> bool {
        let directory = self.environment.credentials_directory.as_deref();
        directory.is_some_and(|directory| path.starts_with(directory))
    }

    /// Prompts for the password of a missing file. It is stored only after the login, because it may be mistyped.
    fn prompt_to_store(&mut self, path: &Path) -> Result<SecretString, SecretError> {
        let username = self.request.username.unwrap_or("the user");
        let password = self
            .prompt(username)?
            .ok_or_else(|| SecretError::NoTerminalForFile(path.to_owned()))?;
        self.to_store = Some(path.to_owned());
        Ok(password)
    }

    fn prompt(&self, username: &str) -> Result<Option<SecretString>, SecretError> {
        let Some(prompt) = self.environment.prompt else {
            return Ok(None);
        };
        // Scripts wait for `Password:`, the prompt of the C# tool.
        let password =
            prompt(&format!("({username}) Password: ")).map_err(SecretError::NoAnswer)?;
        if password.expose_secret().is_empty() {
            return Err(SecretError::Empty { what: "password" });
        }
        Ok(Some(password))
    }

    /// Reads a credential file from systemd; only this service can read it, so its mode is not checked.
    fn credential(&self, name: &str) -> Result<Option<SecretString>, SecretError> {
        let Some(directory) = &self.environment.credentials_directory else {
            return Ok(None);
        };
        match password_file::read(&directory.join(name)) {
            Ok(stored) => Ok(Some(stored.password)),
            Err(PasswordFileError::Missing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The value of a variable. An empty one counts as not set: a shell cannot unset a variable for a single command.
fn variable(
    name: &'static str,
    value: Option<&OsStr>,
) -> Result<Option<SecretString>, SecretError> {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => value
            .to_str()
            .map(|text| Some(text.into()))
            .ok_or(SecretError::NotText(name)),
        None => Ok(None),
    }
}

fn checked_path<'a>(path: &'a str, option: &'static str) -> Result<&'a Path, SecretError> {
    if path.is_empty() {
        Err(SecretError::NoPath { option })
    } else {
        Ok(Path::new(path))
    }
}

#[cfg(test)]
mod tests;
