// SPDX-License-Identifier: GPL-3.0-only
//! Where the API token or the password comes from.
//!
//! | order | token | password, for a user |
//! |---|---|---|
//! | 1 | `--api-token=VALUE`, `--api-token=file:PATH` | `--password=VALUE`, `--password=file:PATH` |
//! | 2 | variable `CV4PVE_API_TOKEN` | variable `CV4PVE_PASSWORD` |
//! | 3 | `$CREDENTIALS_DIRECTORY/api-token` (systemd's `LoadCredential=`) | `$CREDENTIALS_DIRECTORY/password` |
//! | 4 | | a question at the terminal |
//!
//! In each row the token wins, as in the C# tool. A password file that does not exist is to be written after asking, as there.
//! Everything from outside is handed in by the caller but the files; nothing is printed: hints come back as [`Resolved::notices`].
//! Whether a token has the right form is the client's to say.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

pub use autosnap::hook::{API_TOKEN_VARIABLE, PASSWORD_VARIABLE};
use pve_client::ProxyRules;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::password_file::{self, PasswordFileError};
use autosnap::notice::Notice;
use autosnap::sensitive;

/// Asks a person, who does not see what they type.
pub type Prompt = fn(question: &str) -> io::Result<SecretString>;

/// What was asked for on the command line. It may hold secrets, so it cannot be printed for debugging.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The value of `--api-token`.
    pub api_token: Option<&'a str>,
    /// The value of `--password`.
    pub password: Option<&'a str>,
    /// The value of `--username`. Without one, passwords that were not given as an option are not looked for.
    pub username: Option<&'a str>,
    /// The arguments as `ps` shows them, before parameter files are put in: what stands there is no secret any more.
    pub arguments: &'a [OsString],
}

/// What the process was started with. It may hold secrets, so it cannot be printed for debugging.
#[derive(Clone, Default)]
pub struct Environment {
    /// `CV4PVE_API_TOKEN`.
    pub api_token: Option<OsString>,
    /// `CV4PVE_PASSWORD`.
    pub password: Option<OsString>,
    /// `CREDENTIALS_DIRECTORY`, set by systemd.
    pub credentials_directory: Option<PathBuf>,
    /// How to ask; `None` if nobody is there.
    pub prompt: Option<Prompt>,
    /// The proxies that `HTTPS_PROXY` and its siblings name.
    pub proxy: ProxyRules,
}

impl Environment {
    /// That of this process. There is somebody to ask if stdin is a terminal, as in the C# tool; the question goes to
    /// the terminal, wherever stdout and stderr lead. No scheduler starts a job with a terminal.
    pub fn of_process() -> Self {
        let somebody = io::stdin().is_terminal();
        Self {
            api_token: std::env::var_os(API_TOKEN_VARIABLE),
            password: std::env::var_os(PASSWORD_VARIABLE),
            credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            proxy: ProxyRules::from_variables(|name| std::env::var(name).ok()),
            prompt: somebody.then_some(ask),
        }
    }
}

fn ask(question: &str) -> io::Result<SecretString> {
    rpassword::prompt_password(question).map(SecretString::from)
}

/// What to log in with.
#[derive(Debug)]
pub enum Secret {
    /// `USER@REALM!TOKENID=UUID`.
    ApiToken(SecretString),
    /// The password of the user.
    Password(SecretString),
}

/// A secret, and what the user should know about the way it came.
#[derive(Debug)]
pub struct Resolved {
    /// What to log in with.
    pub secret: Secret,
    /// What the user should know, without a secret in it.
    pub notices: Vec<Notice>,
    /// Where a password that was just typed is to be stored, once it has proved right.
    pub to_store: Option<PathBuf>,
}

/// Why there is no secret. Never contains one.
#[derive(Debug, Error)]
pub enum SecretError {
    /// Nothing was given at all.
    #[error("no login given; use --api-token=file:PATH, or --username with --password=file:PATH")]
    NothingGiven,
    /// A user without password, and nobody to ask.
    #[error(
        "no password given for {username}, and no terminal to ask at; use --password=file:PATH, {PASSWORD_VARIABLE} or an API token"
    )]
    NobodyToAsk {
        /// The value of `--username`.
        username: String,
    },
    /// A password file that is to be written first, and nobody to ask.
    #[error("password file {} does not exist, and there is no terminal to ask at; run the command once by hand, or write the password into the file", sensitive::displayed_path(.0))]
    NobodyToAskForFile(PathBuf),
    /// `--password=file:` or `--api-token=file:`.
    #[error("--{option}=file: names no file")]
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
    /// A variable with bytes that are no text.
    #[error("variable {0} is not UTF-8")]
    NotText(&'static str),
    /// The terminal went away.
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
                .ask_for(username)?
                .ok_or(SecretError::NobodyToAsk {
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
            Err(SecretError::File(PasswordFileError::Missing(_))) => self.ask_to_store(path),
            result => result,
        }
    }

    /// The C# tool cuts blanks off the value too (`GetPasswordFromOption`).
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
        let shows = |argument: &OsString| {
            argument
                .to_str()
                .is_some_and(|argument| argument.contains(value))
        };
        if self.request.arguments.iter().any(shows) {
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

    /// Whether systemd put the file there: its mode shows a group, but what grants access is a list for this service.
    fn is_credential(&self, path: &Path) -> bool {
        let directory = self.environment.credentials_directory.as_deref();
        directory.is_some_and(|directory| path.starts_with(directory))
    }

    /// A password that was mistyped must not be stored: nobody would be asked again.
    fn ask_to_store(&mut self, path: &Path) -> Result<SecretString, SecretError> {
        let username = self.request.username.unwrap_or("the user");
        let password = self
            .ask_for(username)?
            .ok_or_else(|| SecretError::NobodyToAskForFile(path.to_owned()))?;
        self.to_store = Some(path.to_owned());
        Ok(password)
    }

    fn ask_for(&self, username: &str) -> Result<Option<SecretString>, SecretError> {
        let Some(prompt) = self.environment.prompt else {
            return Ok(None);
        };
        // Scripts wait for the word `Password:`, which the C# tool prints.
        let password =
            prompt(&format!("({username}) Password: ")).map_err(SecretError::NoAnswer)?;
        if password.expose_secret().is_empty() {
            return Err(SecretError::Empty { what: "password" });
        }
        Ok(Some(password))
    }

    /// A file of systemd's, which only this service can read, whatever its mode says.
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

/// A variable that is empty counts as not set, as shells have no other way to take one back for a single command.
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
