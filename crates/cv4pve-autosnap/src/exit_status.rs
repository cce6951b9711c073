// SPDX-License-Identifier: GPL-3.0-only
//! The exit statuses of the program, one list for the code and the manual.

use autosnap_core::event::{FailureKind, StopReason};
use autosnap_core::record::RunResult;

/// The exit status of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything that was requested is done.
    Success,
    /// Something that was requested is not done.
    Failure,
    /// Wrong usage or configuration; nothing was tried.
    Usage,
    /// No connection, the login refused, or no permission for what the whole run needs.
    Connection,
    /// SIGINT or SIGHUP ended the run early.
    Interrupted,
    /// SIGTERM ended the run early.
    Terminated,
}

impl ExitStatus {
    /// All exit statuses, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Connection,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number for the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Connection => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The kind of failure with this exit status, of a command that did not start a run.
    pub fn failure_kind(self) -> FailureKind {
        match self {
            Self::Usage => FailureKind::Configuration,
            Self::Connection => FailureKind::Connection,
            Self::Success | Self::Failure | Self::Interrupted | Self::Terminated => {
                FailureKind::Overlap
            }
        }
    }

    /// The meaning of the status, as a text for manual pages.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Everything requested was done.",
            Self::Failure => {
                "Something requested was not done: no guest was selected, a guest, pool or node named in --vmid is \
                 not visible, a snapshot or removal failed, a guest was skipped because a storage is too full, the \
                 guest is locked or its node is offline, or a privilege on a guest is missing."
            }
            Self::Usage => {
                "Wrong usage or configuration, or an exclusion in --vmid that cannot be resolved. Nothing was tried."
            }
            Self::Connection => {
                "No connection, the login is refused, or Proxmox VE refuses a request that the whole run needs. \
                 If the login sees no guest, no guest is selected, and the exit status is 1."
            }
            Self::Interrupted => {
                "Ended early by SIGINT (Ctrl-C) or SIGHUP. The guests in progress were finished."
            }
            Self::Terminated => "Ended early by SIGTERM. The guests in progress were finished.",
        }
    }
}

impl From<RunResult> for ExitStatus {
    fn from(result: RunResult) -> Self {
        match result {
            RunResult::Success | RunResult::Skipped => Self::Success,
            RunResult::Incomplete => Self::Failure,
            RunResult::Stopped(reason) => reason.into(),
            RunResult::Failed(kind) => kind.into(),
        }
    }
}

impl From<StopReason> for ExitStatus {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::UserRequest | StopReason::TerminalClosed | StopReason::Cancelled => {
                Self::Interrupted
            }
            StopReason::Shutdown => Self::Terminated,
            StopReason::Hook => Self::Failure,
            StopReason::ServerLost => Self::Connection,
        }
    }
}

impl From<FailureKind> for ExitStatus {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Configuration => Self::Usage,
            FailureKind::Connection => Self::Connection,
            FailureKind::Overlap | FailureKind::Internal => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_has_its_exit_status() {
        let stopped = RunResult::Stopped;
        for (result, expected) in [
            (RunResult::Success, 0),
            (RunResult::Skipped, 0),
            (RunResult::Incomplete, 1),
            (RunResult::Failed(FailureKind::Overlap), 1),
            (RunResult::Failed(FailureKind::Internal), 1),
            (RunResult::Failed(FailureKind::Configuration), 2),
            (RunResult::Failed(FailureKind::Connection), 3),
            (stopped(StopReason::Hook), 1),
            (stopped(StopReason::ServerLost), 3),
            (stopped(StopReason::UserRequest), 130),
            (stopped(StopReason::TerminalClosed), 130),
            (stopped(StopReason::Cancelled), 130),
            (stopped(StopReason::Shutdown), 143),
        ] {
            assert_eq!(ExitStatus::from(result).code(), expected, "{result:?}");
        }
    }
}
