// SPDX-License-Identifier: GPL-3.0-only
//! A folder of jobs: parameter files `NAME.conf`, each parsed as `snap @FILE` would parse it.
//!
//! A file without `--vmid` and `--label` is no job: it holds options that other files include. A file that contains the
//! word `clean` is a job of `clean`. A file with an error does not stop the others.

mod clusters;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use autosnap::notice::Notice;
use autosnap::settings::JobSettings;
use secrecy::ExposeSecret;

use crate::args::{self, Command, CommonArgs, ConnectionArgs};
use crate::command_error::CommandError;
use crate::line::{Line, Origin, Word};
use crate::redactions::Redactions;
use crate::{cli, input_file, normalize, preflight, response_file, settings};

pub(crate) use clusters::{FolderReport, read};

/// The end of the names of job files.
const EXTENSION: &str = "conf";

/// A folder of job files.
pub(crate) struct JobFolder {
    /// The path, as it was typed.
    pub(crate) path: PathBuf,
    /// The files, by name.
    pub(crate) files: Vec<JobFile>,
}

/// A file of the folder.
pub(crate) struct JobFile {
    /// Its name in the folder.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) content: JobFileContent,
    /// Notices about the file, such as permissions that are too wide.
    pub(crate) notices: Vec<Notice>,
}

/// What a file of the folder holds.
pub(crate) enum JobFileContent {
    /// A job.
    Job(Box<LoadedJob>),
    /// Options for other files.
    Options,
    /// It cannot be read, or a run with it would refuse it.
    Invalid(CommandError),
}

/// A valid job file.
pub(crate) struct LoadedJob {
    /// The settings of its runs.
    pub(crate) settings: JobSettings,
    /// Its connection, with the options of the command line.
    connection: ConnectionArgs,
    /// The values that no error may quote.
    redactions: Redactions,
}

impl JobFolder {
    /// Reads the job files of a folder. The options of `connection` override those in the files.
    pub(crate) fn load(path: &Path, connection: &ConnectionArgs) -> Result<Self, CommandError> {
        let shown = path.display();
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(|error| {
            CommandError::usage(format!("cannot read the folder of jobs {shown}: {error}"))
        })?;
        let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        paths.retain(|path| is_job_file(path));
        paths.sort_unstable();
        let typed = connection_words(connection);
        let files = paths.iter().map(|path| JobFile::load(path, &typed));
        let files: Vec<JobFile> = files.collect();
        if files
            .iter()
            .all(|file| matches!(file.content, JobFileContent::Options))
        {
            return Err(CommandError::usage(format!(
                "no job in {shown}: no file NAME.{EXTENSION} has --vmid and --label"
            ))
            .with_hint("to write the first one: cv4pve-autosnap setup --host=HOSTS --write=FILE"));
        }
        Ok(Self {
            path: path.to_owned(),
            files,
        })
    }

    /// The valid jobs with the names of their files.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (&str, &LoadedJob)> {
        self.files.iter().filter_map(|file| match &file.content {
            JobFileContent::Job(job) => Some((file.name.as_str(), &**job)),
            JobFileContent::Options | JobFileContent::Invalid(_) => None,
        })
    }
}

fn is_job_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_conf = path.extension().is_some_and(|end| end == EXTENSION);
    is_conf && !name.starts_with('.') && !path.is_dir()
}

impl JobFile {
    fn load(path: &Path, typed: &[OsString]) -> Self {
        let name = path.file_name().unwrap_or_default().display().to_string();
        let mut notices = Vec::new();
        if input_file::others_can_write(path) {
            let path = path.display();
            notices.push(Notice::warning(
                "writable-job-file",
                format!("job file {path} can be changed by other users; run: chmod go-w '{path}'"),
            ));
        }
        if input_file::has_foreign_owner(path) {
            let path = path.display();
            notices.push(Notice::warning(
                "foreign-job-file",
                format!("job file {path} belongs to another user, who can change it; run: chown root '{path}'"),
            ));
        }
        let content = match load(path, typed, &mut notices) {
            Ok(content) => content,
            Err(error) => JobFileContent::Invalid(error),
        };
        Self {
            name,
            content,
            notices,
        }
    }
}

/// Parses a file with the typed options of the connection.
fn load(
    path: &Path,
    typed: &[OsString],
    notices: &mut Vec<Notice>,
) -> Result<JobFileContent, CommandError> {
    // Another program has to write to a pipe, so that opening it may never end.
    if input_file::is_pipe(path) {
        let path = path.display();
        return Err(CommandError::usage(format!(
            "job file {path} is a pipe, not a file"
        )));
    }
    let mut argument = OsString::from("@");
    argument.push(path);
    let words = std::iter::once(argument).chain(typed.iter().cloned());
    let mut line = response_file::expand(words).map_err(CommandError::usage)?;
    let definition = args::command();
    let normalized = normalize::normalize(&definition, &line)
        .map_err(|refusal| refusal.into_command_error(&line))?;
    let is_set = |id: &str| normalized.in_files.iter().any(|set| set == id);
    let word = normalized.arguments.first();
    let word = word.filter(|word| !word.text.to_string_lossy().starts_with('-'));
    match word.and_then(|word| word.text.to_str()) {
        Some("snap" | "clean") => {}
        // The line of another command.
        Some(name) if definition.find_subcommand(name).is_some() => {
            return Ok(JobFileContent::Options);
        }
        None if !is_set("vmid") && !is_set("label") => return Ok(JobFileContent::Options),
        // A word that is no command is an error of the job.
        Some(_) | None => add_command(&mut line),
    }
    let command_line = cli::parse_job(&line)?;
    notices.extend(command_line.notices.iter().cloned());
    notices.extend(preflight::hook_notice(&command_line.cli.command));
    let refused = |error| command_line.redactions.apply(error);
    let command = &command_line.cli.command;
    let (settings, common): (_, &CommonArgs) = if let Command::Snap(args) = command {
        (settings::from_snap_args(args, "snap"), &args.common)
    } else if let Command::Clean(args) = command {
        (settings::from_clean_args(args), &args.common)
    } else {
        return Ok(JobFileContent::Options);
    };
    let settings = settings.map_err(refused)?;
    let connection = common.connection.clone();
    Ok(JobFileContent::Job(Box::new(LoadedJob {
        settings,
        connection,
        redactions: command_line.redactions,
    })))
}

/// Adds the command that a file without one belongs to.
fn add_command(line: &mut Line) {
    let command = Word {
        text: OsString::from("snap"),
        origin: Origin::TYPED,
    };
    line.words.insert(0, command);
}

/// The given options of a connection as words of a line.
fn connection_words(args: &ConnectionArgs) -> Vec<OsString> {
    let secret = |secret: &secrecy::SecretString| OsString::from(secret.expose_secret());
    let fingerprints = (!args.fingerprint.is_empty()).then(|| args.fingerprint.join(","));
    let values: [(&str, Option<OsString>); 6] = [
        (
            "--host",
            Some(args.hosts.host.as_str())
                .filter(|host| !host.trim().is_empty())
                .map(OsString::from),
        ),
        ("--api-token", args.api_token.as_ref().map(secret)),
        ("--username", args.username.as_deref().map(OsString::from)),
        ("--password", args.password.as_ref().map(secret)),
        ("--fingerprint", fingerprints.map(OsString::from)),
        ("--ca-file", args.ca_file.as_deref().map(OsString::from)),
    ];
    let flags = [
        ("--validate-certificate", args.validate_certificate),
        ("--no-proxy", args.proxy.no_proxy),
    ];
    let values = values
        .into_iter()
        .filter_map(|(name, value)| Some(with_value(name, &value?)));
    let flags = flags.iter().filter(|(_, given)| *given);
    values
        .chain(flags.map(|(name, _)| OsString::from(name)))
        .collect()
}

fn with_value(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(name);
    word.push("=");
    word.push(value);
    word
}
