// SPDX-License-Identifier: GPL-3.0-only
//! The simulator's journal: all requests, changes and tasks, in memory, in a file of JSON lines, or
//! both.
//!
//! Tests compare a client's actions with it, so entries hold only what happened. The journal has no
//! clock: the caller sets the time of each entry.
//!
//! Limits: every line is written without buffering, so that other programs can follow the file; the
//! file is not synced to disk. [`Journal::in_memory`] grows by about 0.5 kB per request for as long
//! as the simulator runs; [`Journal::bounded`] does not.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One entry; in the file, one line whose member `entry` holds the type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A request was answered, or its connection was closed.
    Request(Request),
    /// A guest or one of its snapshots changed.
    Mutation(Mutation),
    /// A task ended, or was still running when the simulator was stopped.
    Task(Task),
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds since the simulator's start, with fractions.
    pub at: f64,
    /// Simulated time in whole seconds since the Unix epoch, as PVE writes it into `snaptime`.
    pub epoch: i64,
}

/// A request as received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When its headers were complete.
    #[serde(flatten)]
    pub moment: Moment,
    /// The client's address and port.
    pub client: String,
    /// Number of the connection, starting at 1.
    pub connection: u64,
    /// The node whose listener accepted the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// Path and query; [`Journal::record`] masks secrets in it.
    pub path: String,
    /// User (`backup@pve`) or API token (`backup@pve!auto`), if the login was valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// HTTP status; `None` if the connection was closed without a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Reason phrase of the response; PVE puts its error text there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The injected fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// A note for readers, such as a path that exists in PVE but not in the simulator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Seconds until the response was ready.
    pub seconds: f64,
}

/// The type of a change to a guest or a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A snapshot was taken completely.
    Create,
    /// A snapshot was removed completely.
    Delete,
    /// A snapshot's description was changed.
    Update,
    /// A guest was rolled back to a snapshot.
    Rollback,
    /// A guest was started.
    Start,
    /// A guest was stopped.
    Stop,
    /// A guest's configuration or lock was changed, or an aborted task left changes in it.
    Configure,
}

/// A change that took effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mutation {
    /// When it took effect.
    #[serde(flatten)]
    pub moment: Moment,
    /// The type of change.
    pub action: Action,
    /// The guest's node.
    pub node: String,
    /// `qemu` or `lxc`.
    pub kind: String,
    /// The guest's VMID.
    pub vmid: u32,
    /// The snapshot, if one was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The snapshot's description, as PVE keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The task that made the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upid: Option<String>,
}

/// A task of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// When it ended.
    #[serde(flatten)]
    pub moment: Moment,
    /// Its UPID.
    pub upid: String,
    /// The node it ran on.
    pub node: String,
    /// The guest, if the task has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmid: Option<u32>,
    /// Its worker type: `qmsnapshot`, `vzdelsnapshot`, …
    pub kind: String,
    /// The user or token that started it.
    pub user: String,
    /// Simulated time of its start in seconds since the Unix epoch.
    pub started: i64,
    /// How long it ran.
    pub seconds: f64,
    /// `OK`, `WARNINGS: 1` or an error text; `None` while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exitstatus: Option<String>,
}

/// A journal file could not be created or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be created, opened or read.
    #[error("cannot {doing} the journal '{file}': {source}")]
    File {
        /// `create` or `read`.
        doing: &'static str,
        /// The file's path.
        file: String,
        /// The system error.
        source: io::Error,
    },
    /// A line is not a valid entry.
    #[error("invalid entry in line {line} of the journal '{file}': {source}")]
    Line {
        /// The file's path.
        file: String,
        /// Line number, starting at 1.
        line: usize,
        /// The parse error.
        source: serde_json::Error,
    },
}

/// Collects entries from all connections and tasks.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: Option<VecDeque<Entry>>,
    /// Maximum number of kept entries; `None`: no limit.
    bound: Option<usize>,
    file: Option<File>,
    line: Vec<u8>,
    failure: Option<String>,
}

impl Journal {
    /// Keeps all entries in memory.
    pub fn in_memory() -> Self {
        Self::new(Inner {
            kept: Some(VecDeque::new()),
            ..Inner::default()
        })
    }

    /// Keeps the latest entries in memory, up to this number.
    pub fn bounded(entries: usize) -> Self {
        Self::new(Inner {
            kept: Some(VecDeque::new()),
            bound: Some(entries),
            ..Inner::default()
        })
    }

    /// Writes the entries to a file, which is created or truncated first.
    pub fn to_file(path: &Path) -> Result<Self, JournalError> {
        Ok(Self::new(Inner {
            file: Some(create(path)?),
            ..Inner::default()
        }))
    }

    /// Keeps the entries in memory and writes them to a file.
    pub fn in_memory_and_to_file(path: &Path) -> Result<Self, JournalError> {
        Ok(Self::new(Inner {
            kept: Some(VecDeque::new()),
            file: Some(create(path)?),
            ..Inner::default()
        }))
    }

    /// Reads a journal file.
    pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
        let failed = |source| file_error("read", path, source);
        let reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut entries = Vec::new();
        for (index, line) in reader.lines().enumerate() {
            let entry = serde_json::from_str(&line.map_err(failed)?);
            entries.push(entry.map_err(|source| JournalError::Line {
                file: path.display().to_string(),
                line: index + 1,
                source,
            })?);
        }
        Ok(entries)
    }

    /// Adds an entry. A write error does not disturb the simulation: [`Journal::failure`] returns
    /// the first one, and the file is closed.
    pub fn record(&self, mut entry: Entry) {
        if let Entry::Request(request) = &mut entry
            && let Cow::Owned(masked) = without_secrets(&request.path)
        {
            request.path = masked;
        }
        let inner = &mut *self.lock();
        inner.write(&entry);
        if let Some(kept) = &mut inner.kept {
            kept.push_back(entry);
            if inner.bound.is_some_and(|bound| kept.len() > bound) {
                kept.pop_front();
            }
        }
    }

    /// Number of entries in memory.
    pub fn len(&self) -> usize {
        self.view(<[Entry]>::len)
    }

    /// Whether memory holds no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `read` with the entries in memory, oldest first, without copying. Blocks recording.
    pub fn view<T>(&self, read: impl FnOnce(&[Entry]) -> T) -> T {
        match &mut self.lock().kept {
            Some(kept) => read(kept.make_contiguous()),
            None => read(&[]),
        }
    }

    /// The entries in memory, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.view(<[Entry]>::to_vec)
    }

    /// The requests in memory, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.pick(|entry| match entry {
            Entry::Request(request) => Some(request),
            Entry::Mutation(_) | Entry::Task(_) => None,
        })
    }

    /// The changes in memory, oldest first.
    pub fn mutations(&self) -> Vec<Mutation> {
        self.pick(|entry| match entry {
            Entry::Mutation(mutation) => Some(mutation),
            Entry::Request(_) | Entry::Task(_) => None,
        })
    }

    /// The tasks in memory, by the time they ended.
    pub fn tasks(&self) -> Vec<Task> {
        self.pick(|entry| match entry {
            Entry::Task(task) => Some(task),
            Entry::Request(_) | Entry::Mutation(_) => None,
        })
    }

    /// The write error that made the file incomplete, if any.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn new(inner: Inner) -> Self {
        Self {
            inner: Mutex::new(inner),
        }
    }

    fn pick<T: Clone>(&self, select: impl Fn(&Entry) -> Option<&T>) -> Vec<T> {
        self.view(|entries| entries.iter().filter_map(select).cloned().collect())
    }

    /// A poisoned lock is usable: every entry is added completely.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, entry: &Entry) {
        let Some(file) = &mut self.file else {
            return;
        };
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, entry)
            .map_err(io::Error::from)
            .and_then(|()| {
                self.line.push(b'\n');
                // One write per line, so that readers never see half a line.
                file.write_all(&self.line)
            });
        if let Err(error) = written {
            self.failure = Some(error.to_string());
            self.file = None;
        }
    }
}

/// Path and query, with the values of secret parameters replaced by `***`.
///
/// Logins usually use the body or headers, which the journal does not hold, but PVE also accepts
/// `POST /access/ticket?password=…`.
pub fn without_secrets(path_and_query: &str) -> Cow<'_, str> {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return Cow::Borrowed(path_and_query);
    };
    if !query.split(['&', ';']).any(is_secret) {
        return Cow::Borrowed(path_and_query);
    }
    let mask = |part: &str| match part.split_once('=') {
        Some((name, _)) if is_secret(part) => format!("{name}=***"),
        _ => part.to_owned(),
    };
    let masked: Vec<String> = query.split(['&', ';']).map(mask).collect();
    Cow::Owned(format!("{path}?{}", masked.join("&")))
}

fn is_secret(part: &str) -> bool {
    const SECRETS: [&str; 7] = [
        "password",
        "confirmation-password",
        "otp",
        "tfa-challenge",
        "ticket",
        "CSRFPreventionToken",
        "secret",
    ];
    form_urlencoded::parse(part.as_bytes()).any(|(name, _)| {
        SECRETS
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret))
    })
}

fn create(path: &Path) -> Result<File, JournalError> {
    File::create(path).map_err(|source| file_error("create", path, source))
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::File {
        doing,
        file: path.display().to_string(),
        source,
    }
}

/// The largest number of these tasks that ran at the same time.
pub fn peak_concurrency<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> usize {
    let mut edges: Vec<(f64, i32)> = Vec::new();
    for task in tasks {
        let end = task.moment.at;
        edges.push((end - task.seconds, 1));
        edges.push((end, -1));
    }
    // At the same time, an end comes before a start.
    edges.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let running = edges.iter().scan(0, |running, (_, change)| {
        *running += change;
        Some(*running)
    });
    usize::try_from(running.max().unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_concurrency_counts_overlaps() {
        let task = |at: f64, seconds: f64| {
            let json = format!(
                r#"{{"at":{at},"epoch":0,"upid":"u","node":"a","kind":"k","user":"u","started":0,"seconds":{seconds}}}"#
            );
            serde_json::from_str::<Task>(&json).unwrap()
        };
        assert_eq!(peak_concurrency(&[]), 0);
        assert_eq!(peak_concurrency(&[task(1.0, 1.0), task(2.0, 1.0)]), 1);
        assert_eq!(
            peak_concurrency(&[task(1.0, 1.0), task(2.0, 1.5), task(0.9, 0.2)]),
            3
        );
    }
}
