// SPDX-License-Identifier: GPL-3.0-only
//! One hook: a child process for a phase of the run, with a time limit and captured output.
//!
//! The environment is that of the C# tool (`PhaseEventArgs.cs`, `ShellCommands.cs`); how the script is started and
//! limited is not. The engine decides when a hook is called and what its failure means.

#[doc(hidden)]
pub mod capture;
mod context;
mod launch;
mod process;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::process::Command;

pub use context::{HookContext, HookGuest, Phase};
use launch::Launch;
pub use launch::{HookError, StartError};
pub use process::{NoHookStarts, end_all};

/// The variable with an API token.
pub const API_TOKEN_VARIABLE: &str = "CV4PVE_API_TOKEN";
/// The variable with a password.
pub const PASSWORD_VARIABLE: &str = "CV4PVE_PASSWORD";

/// Variables with secrets, which are removed from the environment of every hook.
const SECRET_VARIABLES: [&str; 2] = [API_TOKEN_VARIABLE, PASSWORD_VARIABLE];

/// The limits within which a hook runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a call may take; `None`: without limit, as in the C# tool.
    pub timeout: Option<Duration>,
    /// How long a hook may clean up after SIGTERM before it is killed.
    pub grace: Duration,
    /// How many bytes of its output are kept, half from the beginning and half from the end.
    pub output_limit: usize,
}

impl Default for Settings {
    /// Ten minutes, five seconds, 64 KiB.
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(600)),
            grace: Duration::from_secs(5),
            output_limit: 64 * 1024,
        }
    }
}

/// A script that is called in the phases of a run.
#[derive(Debug, Clone)]
pub struct Hook {
    path: PathBuf,
    settings: Settings,
}

impl Hook {
    /// Checks that `path` is a file. A relative path is taken from the working directory, never from `PATH`.
    ///
    /// Each call checks whether the file can be started, so that a hook that cannot is a failed hook and does not end
    /// the run.
    pub fn new(path: &Path, settings: Settings) -> Result<Self, HookError> {
        let path = std::path::absolute(path).map_err(|source| HookError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        launch::find(&path)?;
        Ok(Self { path, settings })
    }

    /// The script, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the script cannot be started now, if that is known without starting it.
    pub fn start_error(&self) -> Option<StartError> {
        Launch::resolve(&self.path).err()
    }

    /// Runs the script once and waits until it has ended and no process holds its stdout any more, at most for the time
    /// limit and the grace.
    ///
    /// It inherits stderr. Dropping the future sends SIGTERM to the script's process group and does not wait for it.
    /// Needs a tokio runtime with I/O and time enabled.
    pub async fn run(&self, context: &HookContext) -> HookResult {
        let started = Instant::now();
        let (status, output) = match Launch::resolve(&self.path) {
            Ok(launch) => process::run(command(&launch, context), &self.settings).await,
            Err(error) => {
                return HookResult {
                    status: HookStatus::CouldNotStart(error),
                    output: String::new(),
                    duration: started.elapsed(),
                };
            }
        };
        let status = status.unwrap_or_else(|source| {
            HookStatus::CouldNotStart(StartError::from_system(&self.path, source))
        });
        HookResult {
            status,
            output,
            duration: started.elapsed(),
        }
    }
}

fn command(launch: &Launch, context: &HookContext) -> Command {
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).envs(context.environment());
    for secret in SECRET_VARIABLES {
        command.env_remove(secret);
    }
    command
}

/// The result of one call.
#[derive(Debug)]
pub struct HookResult {
    /// How it ended.
    pub status: HookStatus,
    /// The stdout of the hook and its children. Output beyond the limit is replaced by a line with its size, invalid
    /// UTF-8 by `U+FFFD`.
    pub output: String,
    /// How long the call took, the grace included.
    pub duration: Duration,
}

impl HookResult {
    /// Whether the hook ran to its end and succeeded.
    pub fn succeeded(&self) -> bool {
        match self.status {
            HookStatus::Exited(code) => code == 0,
            HookStatus::Signalled(_)
            | HookStatus::TimedOut(_)
            | HookStatus::ChildStillRunning(_)
            | HookStatus::CouldNotStart(_) => false,
        }
    }
}

/// How a call of a hook ended. Displayed as a fragment that fits after "hook".
#[derive(Debug)]
pub enum HookStatus {
    /// The script exited with this code.
    Exited(i32),
    /// A signal that this process did not send killed it.
    Signalled(i32),
    /// This process stopped it, because it did not end within this time.
    TimedOut(Duration),
    /// With exit code 0, but a process that it started still held its stdout after this time. That process was not ended.
    ChildStillRunning(Duration),
    /// It could not be started, or its end could not be observed.
    CouldNotStart(StartError),
}

impl fmt::Display for HookStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(formatter, "ended with exit code {code}"),
            Self::Signalled(signal) => write!(formatter, "was ended by signal {signal}"),
            Self::TimedOut(limit) => {
                write!(formatter, "did not end within {limit:?} and was stopped")
            }
            Self::ChildStillRunning(limit) => write!(
                formatter,
                "ended, but a process that it started still held its output after {limit:?}"
            ),
            Self::CouldNotStart(error) => write!(formatter, "could not be started: {error}"),
        }
    }
}
