// SPDX-License-Identifier: GPL-3.0-only
//! The clusters of a folder's jobs: one login for each distinct connection.

use std::ffi::OsString;
use std::time::Duration;

use autosnap::coverage::{self, ClusterCoverage, Depth, Login, NamedJob};
use pve_client::HostList;
use secrecy::{ExposeSecret, SecretString};

use super::{JobFolder, LoadedJob};
use crate::args::ConnectionArgs;
use crate::command_error::CommandError;
use crate::preflight;
use crate::report::{self, Console};
use crate::secret_source::Environment;
use crate::settings::Connection;

/// The timeout of tasks from which that of requests is derived, as for `--timeout=10m`.
const TASK_TIMEOUT: Duration = Duration::from_secs(600);

/// What was found out about a folder of jobs.
pub(crate) struct FolderReport {
    /// The folder and its files.
    pub(crate) folder: JobFolder,
    /// The clusters that were read.
    pub(crate) clusters: Vec<ClusterCoverage>,
    /// The connections that failed.
    pub(crate) failed: Vec<FailedConnection>,
}

/// A connection that failed.
pub(crate) struct FailedConnection {
    /// The names of the files that use it.
    pub(crate) files: Vec<String>,
    /// The error.
    pub(crate) error: CommandError,
}

/// Logs in once for each distinct connection, and reads the clusters.
pub(crate) async fn read(
    folder: JobFolder,
    depth: Depth,
    typed: &[OsString],
    console: &Console,
) -> FolderReport {
    let mut failed = Vec::new();
    let mut logins = Vec::new();
    for jobs in by_connection(&folder) {
        match log_in(&jobs, typed, console).await {
            Ok(login) => logins.push(login),
            Err(error) => failed.push(FailedConnection {
                files: jobs.iter().map(|(name, _)| (*name).to_owned()).collect(),
                error,
            }),
        }
    }
    let clusters = coverage::read(logins, depth).await;
    let unread = clusters.failed.into_iter().map(|login| FailedConnection {
        files: login.jobs,
        error: login.error.into(),
    });
    failed.extend(unread);
    FolderReport {
        clusters: clusters.read,
        failed,
        folder,
    }
}

/// The jobs in groups of equal connections.
fn by_connection(folder: &JobFolder) -> Vec<Vec<(&str, &LoadedJob)>> {
    let mut groups: Vec<(Key, Vec<(&str, &LoadedJob)>)> = Vec::new();
    for (name, job) in folder.jobs() {
        let key = Key::new(&job.connection);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, jobs)) => jobs.push((name, job)),
            None => groups.push((key, vec![(name, job)])),
        }
    }
    groups.into_iter().map(|(_, jobs)| jobs).collect()
}

/// The options of a connection, for comparison. They may hold secrets, so there is no `Debug`.
#[derive(PartialEq, Eq)]
struct Key<'a> {
    hosts: Vec<String>,
    api_token: Option<&'a str>,
    username: Option<&'a str>,
    password: Option<&'a str>,
    fingerprints: &'a [String],
    ca_file: Option<&'a std::path::Path>,
    validates: bool,
    without_proxy: bool,
}

impl<'a> Key<'a> {
    fn new(args: &'a ConnectionArgs) -> Self {
        let secret = |secret: &'a Option<SecretString>| {
            let secret = secret.as_ref().map(ExposeSecret::expose_secret);
            secret.filter(|secret| !secret.is_empty())
        };
        let mut hosts = match args.hosts.host.parse::<HostList>() {
            Ok(hosts) => hosts.endpoints().iter().map(ToString::to_string).collect(),
            // The login reports it.
            Err(_) => vec![args.hosts.host.clone()],
        };
        hosts.sort_unstable();
        Self {
            hosts,
            api_token: secret(&args.api_token),
            username: args.username.as_deref(),
            password: secret(&args.password),
            fingerprints: &args.fingerprint,
            ca_file: args.ca_file.as_deref(),
            validates: args.validate_certificate,
            without_proxy: args.proxy.no_proxy,
        }
    }
}

/// Logs in with the connection that the jobs share; there is at least one.
async fn log_in(
    jobs: &[(&str, &LoadedJob)],
    typed: &[OsString],
    console: &Console,
) -> Result<Login, CommandError> {
    let (_, first) = jobs[0];
    let environment = Environment::from_process();
    let connection = Connection::read(&first.connection, TASK_TIMEOUT, typed, &environment);
    let connection = connection.map_err(|error| first.redactions.apply(error))?;
    for notice in &connection.notices {
        console.notice(&format!("WARNING: {}", notice.message), false);
    }
    let hosts = connection.options.endpoints.clone();
    let (client, warning) = preflight::log_in(connection, console).await?;
    if let Some(warning) = warning {
        console.notice(&format!("WARNING: {}", report::warning(&warning)), false);
    }
    let jobs = jobs.iter().map(|(name, job)| NamedJob {
        name: (*name).to_owned(),
        settings: job.settings.clone(),
    });
    Ok(Login {
        client,
        hosts,
        jobs: jobs.collect(),
    })
}
