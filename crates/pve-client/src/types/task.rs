// SPDX-License-Identifier: GPL-3.0-only
//! Tasks: their state, how they ended, and the listing of a node's tasks (`PVE/API2/Tasks.pm`,
//! `PVE/Tools.pm` `upid_read_status`).

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::lenient;
use crate::upid::Upid;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskExit {
    /// `OK`.
    Ok,
    /// `WARNINGS: n`: successful, with warnings in the log.
    Warnings(u32),
    /// Failed with this error text.
    Failed(String),
    /// The task has ended without a result: its worker was killed or its log is missing. Its effect is
    /// unknown. Contains PVE's text, such as `unexpected status`.
    NoResult(String),
}

impl TaskExit {
    /// Whether the task was successful.
    pub const fn is_success(&self) -> bool {
        match self {
            Self::Ok | Self::Warnings(_) => true,
            Self::Failed(_) | Self::NoResult(_) => false,
        }
    }

    /// Parses PVE's exit status. The texts for a missing result are those of `upid_read_status`.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        let no_result = ["unexpected status", "unable to extract last line"].contains(&text)
            || text.starts_with("unable to read tail (got ")
            || text.starts_with("unable to open file - ");
        if text == "OK" {
            Self::Ok
        } else if no_result || text.is_empty() {
            Self::NoResult(text.to_owned())
        } else {
            text.strip_prefix("WARNINGS: ")
                .and_then(|count| count.parse().ok())
                .map_or_else(|| Self::Failed(text.to_owned()), Self::Warnings)
        }
    }
}

impl fmt::Display for TaskExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => formatter.write_str("OK"),
            Self::Warnings(count) => write!(formatter, "WARNINGS: {count}"),
            Self::Failed(text) => formatter.write_str(text),
            Self::NoResult(text) if text.is_empty() => {
                formatter.write_str("the task ended without a result")
            }
            Self::NoResult(text) => write!(formatter, "the task ended without a result ({text})"),
        }
    }
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// It is running.
    Running,
    /// It has ended.
    Stopped(TaskExit),
}

impl<'de> Deserialize<'de> for TaskStatus {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "lenient::text")]
            status: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            exitstatus: Option<String>,
        }
        let wire = Wire::deserialize(input)?;
        match (wire.status.as_deref(), wire.exitstatus) {
            (Some("stopped"), exit) => Ok(Self::Stopped(TaskExit::parse(
                exit.as_deref().unwrap_or_default(),
            ))),
            (Some("running"), _) => Ok(Self::Running),
            (Some(other), _) => Err(serde::de::Error::custom(format!(
                "unknown task status '{other}'"
            ))),
            (None, _) => Err(serde::de::Error::missing_field("status")),
        }
    }
}

/// Which tasks of a node are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskSource {
    /// Ended tasks in the archive; PVE's default.
    #[default]
    Archive,
    /// Running tasks, and those that ended a moment ago.
    Active,
    /// Both.
    All,
}

impl TaskSource {
    /// The value in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Active => "active",
            Self::All => "all",
        }
    }
}

/// A filter for the tasks of a node; by default the last 50 tasks of the archive, as in PVE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only tasks of this guest.
    pub vmid: Option<u32>,
    /// Running tasks, ended tasks, or both.
    pub source: TaskSource,
    /// Only tasks that started at or after this time, in seconds since 1970.
    pub since: Option<i64>,
    /// Only tasks of this type, such as `qmsnapshot`.
    pub kind: Option<String>,
    /// The maximum number of tasks.
    pub limit: Option<u32>,
}

/// A task in the list of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEntry {
    /// The task.
    pub upid: Upid,
    /// When it ended, by the node's clock, in seconds since 1970; absent while it is running.
    pub ended_at: Option<i64>,
    /// Whether it is running, or how it ended.
    pub status: TaskStatus,
}

impl<'de> Deserialize<'de> for TaskEntry {
    /// A running task has no `endtime`, and `source=active` calls its status `RUNNING`.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            upid: String,
            #[serde(default, deserialize_with = "lenient::signed")]
            endtime: Option<i64>,
            #[serde(default, deserialize_with = "lenient::text")]
            status: Option<String>,
        }
        let wire = Wire::deserialize(input)?;
        let upid = wire.upid.parse().map_err(serde::de::Error::custom)?;
        let status = match (wire.status.as_deref(), wire.endtime) {
            (Some("RUNNING") | None, None) => TaskStatus::Running,
            (text, _) => TaskStatus::Stopped(TaskExit::parse(text.unwrap_or_default())),
        };
        Ok(Self {
            upid,
            ended_at: wire.endtime,
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: &str) -> TaskStatus {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_exit_status_is_parsed() {
        assert_eq!(
            status(r#"{"status":"running","pid":"1"}"#),
            TaskStatus::Running
        );
        for (text, exit) in [
            ("OK", TaskExit::Ok),
            ("WARNINGS: 2", TaskExit::Warnings(2)),
            (
                "VM is locked (backup)",
                TaskExit::Failed("VM is locked (backup)".into()),
            ),
            (
                "snapshot failed ",
                TaskExit::Failed("snapshot failed".into()),
            ),
            (
                "unexpected status",
                TaskExit::NoResult("unexpected status".into()),
            ),
            (
                "unable to read tail (got 0 bytes)",
                TaskExit::NoResult("unable to read tail (got 0 bytes)".into()),
            ),
        ] {
            let json = format!(r#"{{"status":"stopped","exitstatus":"{text}"}}"#);
            let success = matches!(text, "OK" | "WARNINGS: 2");
            assert_eq!(exit.is_success(), success, "{text}");
            assert_eq!(status(&json), TaskStatus::Stopped(exit));
        }
        let silent = status(r#"{"status":"stopped"}"#);
        assert_eq!(
            silent,
            TaskStatus::Stopped(TaskExit::NoResult(String::new()))
        );
        assert!(serde_json::from_str::<TaskStatus>(r#"{"status":"other"}"#).is_err());
    }

    #[test]
    fn running_and_ended_tasks_are_listed() {
        let upid = "UPID:pve1:00004228:000620B9:6902CF35:qmsnapshot:110:backup@pve!auto:";
        let list: lenient::List<TaskEntry> = serde_json::from_str(&format!(
            r#"[{{"upid":"{upid}","status":"RUNNING","saved":"0"}},{{"upid":"{upid}"}},
                {{"upid":"{upid}","endtime":"1795396505","status":"OK"}},
                {{"upid":"{upid}","endtime":1795396505,"status":"unexpected status"}},
                {{"upid":"nonsense"}}]"#
        ))
        .unwrap();
        let states: Vec<_> = list.0.into_iter().map(|task| task.status).collect();
        assert_eq!(
            states,
            [
                TaskStatus::Running,
                TaskStatus::Running,
                TaskStatus::Stopped(TaskExit::Ok),
                TaskStatus::Stopped(TaskExit::NoResult("unexpected status".into())),
            ]
        );
    }
}
