// SPDX-License-Identifier: GPL-3.0-only
//! The connection: hosts, trust in their certificates, and the secret of the login.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use pve_client::{
    ApiToken, ClientOptions, Credentials, Endpoint, Fingerprint, HostList, ProxyRules, Trust,
};
use secrecy::{ExposeSecret, SecretString};

use crate::args::{ConnectionArgs, ProxyArgs};
use crate::command_error::CommandError;
use crate::password_file::{self, PasswordFileError};
use crate::secret_source::{self, Environment, Secret};
use autosnap::notice::Notice;

/// The options of a connection, with notices about the source of its secret.
#[derive(Debug)]
pub struct Connection {
    /// For the client.
    pub options: ClientOptions,
    /// Notices for the user.
    pub notices: Vec<Notice>,
    /// A typed password, to be stored after the login.
    pub to_store: Option<NewPassword>,
}

/// A typed password, and the file for it.
#[derive(Debug)]
pub struct NewPassword {
    /// The file, which does not exist yet.
    pub path: PathBuf,
    /// The password.
    pub password: SecretString,
}

impl NewPassword {
    /// Stores it, after a successful login.
    pub fn store(&self) -> Result<(), PasswordFileError> {
        password_file::write(&self.path, &self.password)
    }
}

impl Connection {
    /// Reads the options of the connection. `arguments` are those that `ps` shows. With a task timeout of one
    /// second, no request may take 40 seconds.
    pub fn read(
        args: &ConnectionArgs,
        task_timeout: Duration,
        arguments: &[OsString],
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let endpoints: Vec<Endpoint> = args
            .hosts
            .host
            .parse::<HostList>()
            .map_err(|error| CommandError::usage(error).about("--host"))?
            .into_endpoints();
        let trust = read_trust(args)?;
        let request = secret_source::Request {
            api_token: args.api_token.as_ref().map(ExposeSecret::expose_secret),
            password: args.password.as_ref().map(ExposeSecret::expose_secret),
            username: args.username.as_deref(),
            arguments,
        };
        let resolved = secret_source::resolve(&request, environment).map_err(|error| {
            let error = CommandError::usage(error);
            match (&args.api_token, &args.password) {
                (Some(_), _) => error.about("--api-token"),
                (None, Some(_)) => error.about("--password"),
                (None, None) => error,
            }
        })?;
        let to_store = match (&resolved.secret, resolved.to_store) {
            (Secret::Password(password), Some(path)) => Some(NewPassword {
                path,
                password: password.clone(),
            }),
            (Secret::Password(_) | Secret::ApiToken(_), _) => None,
        };
        let credentials = match resolved.secret {
            Secret::ApiToken(token) => {
                let token = unquoted(token.expose_secret());
                let token = ApiToken::parse(token).map_err(|error| {
                    let error = CommandError::usage(error).about("--api-token");
                    if token.starts_with('@') || token.contains(['/', '\\']) {
                        error.with_hint("to read the token from a file: --api-token=file:PATH")
                    } else {
                        error
                    }
                });
                Credentials::Token(token?)
            }
            Secret::Password(password) => {
                let Some(username) = args.username.as_deref().filter(|name| !name.is_empty())
                else {
                    return Err(CommandError::usage("--password needs --username")
                        .with_hint("an API token needs neither: --api-token"));
                };
                Credentials::Password {
                    username: with_realm(username),
                    password,
                }
            }
        };
        let defaults = ClientOptions::new(endpoints, credentials, trust);
        let request_timeout = defaults.request_timeout.min(task_timeout * 2);
        Ok(Self {
            options: ClientOptions {
                request_timeout,
                proxy: read_proxy(args.proxy, environment),
                ..defaults
            },
            notices: resolved.notices,
            to_store,
        })
    }
}

/// The proxies that the environment names, unless `--no-proxy` is given.
pub fn read_proxy(args: ProxyArgs, environment: &Environment) -> ProxyRules {
    if args.no_proxy {
        ProxyRules::default()
    } else {
        environment.proxy.clone()
    }
}

fn read_trust(args: &ConnectionArgs) -> Result<Trust, CommandError> {
    let fingerprints: Result<Vec<Fingerprint>, _> = args
        .fingerprint
        .iter()
        .map(|text| text.trim().parse())
        .collect();
    let fingerprints =
        fingerprints.map_err(|error| CommandError::usage(error).about("--fingerprint"))?;
    match (&args.ca_file, args.validate_certificate) {
        (Some(_), _) if !fingerprints.is_empty() => Err(CommandError::usage(
            "--fingerprint and --ca-file contradict each other",
        )
        .with_hint("a fingerprint needs no authority: give one of the two")),
        _ if !fingerprints.is_empty() => Ok(Trust::Fingerprints(fingerprints)),
        (Some(path), _) => Ok(Trust::CaFile(path.clone())),
        (None, true) => Ok(Trust::SystemStore),
        (None, false) => Ok(Trust::AcceptAny),
    }
}

/// A token without the quotation marks that it was copied with.
fn unquoted(token: &str) -> &str {
    let token = token.trim();
    let inner = ['"', '\''].iter().find_map(|mark| {
        let inner = token.strip_prefix(*mark)?;
        inner.strip_suffix(*mark)
    });
    inner.map_or(token, str::trim)
}

/// The C# tool adds `pam` to a user without a realm.
fn with_realm(username: &str) -> String {
    if username.contains('@') {
        username.to_owned()
    } else {
        format!("{username}@pam")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_realm_gets_pam() {
        assert_eq!(with_realm("root"), "root@pam");
        assert_eq!(with_realm("backup@pve"), "backup@pve");
    }
}
