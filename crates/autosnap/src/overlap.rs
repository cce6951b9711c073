// SPDX-License-Identifier: GPL-3.0-only
//! The lock against overlapping runs of a job.
//!
//! A run of `snap` or `clean` holds an advisory lock on a file whose name depends on its label, guest selection and
//! hosts, so that a second run on this machine waits or does not start. The system releases the lock when the process
//! ends, for any reason. A run removes the file at its end, before it releases the lock: a process that then locks the
//! removed file tries again with a new one.
//!
//! A run that adopts labels holds the locks of these labels as well, because it removes their snapshots. Locks are
//! taken in the order of their names, so that two runs never wait for each other.
//!
//! Limits: the lock covers runs of the same user on the same machine with the same hosts and the same
//! text of the selection. The guests of a selection are unknown before the cluster is read, so the text is compared:
//! `100,101` and `101,100` are different, and so are selections that share a guest. Two lines of a
//! crontab with one label for different guests run in parallel, as with the C# tool. In these cases, and between
//! machines and users, PVE's own locks keep snapshots consistent.
//!
//! The files are in a folder of the user with mode 0700, in the first usable one of `/run/lock`,
//! `$XDG_RUNTIME_DIR` and the folder for temporary files. `/run/lock` comes first because cron jobs have no
//! `$XDG_RUNTIME_DIR` and must share the lock with runs from a login shell.

mod folder;
mod second;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use pve_client::Endpoint;
use tokio::time::{Instant, sleep};

pub use second::reserve_second;

/// How often a waiting run polls the lock. The standard library has no lock with a timeout.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The locks of a job. Runs that share a label, the guest selection and the hosts share a lock.
#[derive(Debug, Clone)]
pub struct JobLocks {
    /// The names of the lock files, sorted.
    pub names: Vec<String>,
}

/// The guard of held locks. Dropping it releases them.
#[derive(Debug)]
pub struct LockGuard {
    _files: Vec<LockedFile>,
}

/// A locked file. Dropping it removes the file and releases the lock.
#[derive(Debug)]
struct LockedFile {
    path: PathBuf,
    /// Locked; closed after the file is removed.
    _file: File,
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Fails on Windows, which does not remove open files. An old lock file does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The result of an attempt to lock.
#[derive(Debug)]
pub enum LockResult {
    /// The run may start.
    Acquired {
        /// The guard of the locks.
        guard: LockGuard,
        /// Whether the run waited for another one.
        waited: bool,
    },
    /// The run may start without protection: a lock file could not be created, for the reason given.
    Unprotected(String),
    /// This run still holds a lock.
    Busy(LockOwner),
}

/// The run that holds the lock, as recorded in the lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockOwner {
    /// Its process ID.
    pub pid: Option<u32>,
    /// When it got the lock.
    pub since: Option<Timestamp>,
}

impl LockOwner {
    /// Parses `process 17 since 2026-11-28T01:10:30Z`, the content of a lock file.
    fn parse(text: &str) -> Self {
        let rest = text.trim().strip_prefix("process ").unwrap_or_default();
        let (pid, since) = rest.split_once(" since ").unwrap_or((rest, ""));
        Self {
            pid: pid.parse().ok(),
            since: since.parse().ok(),
        }
    }
}

impl JobLocks {
    /// A lock for each of these labels, the text of a guest selection, and the hosts of a cluster in any order.
    pub fn new<'a>(
        labels: impl IntoIterator<Item = &'a str>,
        selection: &str,
        hosts: &[Endpoint],
    ) -> Self {
        let hosts = sorted_hosts(hosts);
        // Host names contain no line breaks.
        let identity = format!("{hosts}\n{}", selection.trim());
        let digest = digest(&identity);
        // A label contains only letters, digits, `-` and `_`.
        let names = labels
            .into_iter()
            .map(|label| format!("{label}-{digest:016x}.lock"));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        Self { names }
    }

    /// Locks the files; waits up to `timeout` in all while other runs hold a lock.
    ///
    /// Calls `on_wait` once, before the first pause.
    pub async fn lock(&self, timeout: Duration, on_wait: impl FnOnce(&LockOwner)) -> LockResult {
        match folder::find() {
            Ok(folder) => self.lock_in(&folder, timeout, on_wait).await,
            Err(reason) => LockResult::Unprotected(reason),
        }
    }

    async fn lock_in(
        &self,
        folder: &Path,
        timeout: Duration,
        on_wait: impl FnOnce(&LockOwner),
    ) -> LockResult {
        let deadline = Instant::now() + timeout;
        let mut on_wait = Some(on_wait);
        let mut files = Vec::new();
        for name in &self.names {
            match lock_file(&folder.join(name), deadline, &mut on_wait).await {
                Ok(file) => files.push(file),
                Err(result) => return result,
            }
        }
        LockResult::Acquired {
            guard: LockGuard { _files: files },
            waited: on_wait.is_none(),
        }
    }
}

/// Locks a file, and waits until the deadline while another run holds the lock.
async fn lock_file(
    path: &Path,
    deadline: Instant,
    on_wait: &mut Option<impl FnOnce(&LockOwner)>,
) -> Result<LockedFile, LockResult> {
    loop {
        let owner = match try_lock(path) {
            Ok(Ok(file)) => return Ok(file),
            Ok(Err(owner)) => owner,
            Err(error) => {
                let reason = format!("{}: {error}", path.display());
                return Err(LockResult::Unprotected(reason));
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LockResult::Busy(owner));
        }
        if let Some(on_wait) = on_wait.take() {
            on_wait(&owner);
        }
        sleep(POLL_INTERVAL.min(left)).await;
    }
}

/// The hosts of a cluster, sorted and without duplicates.
fn sorted_hosts(hosts: &[Endpoint]) -> String {
    let mut hosts: Vec<String> = hosts
        .iter()
        .map(|host| host.to_string().to_ascii_lowercase())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.join(",")
}

fn digest_of_hosts(hosts: &[Endpoint]) -> u64 {
    digest(&sorted_hosts(hosts))
}

/// The maximum number of attempts to lock the file while other runs remove it.
///
/// Usually the first attempt succeeds. The limit is for file systems with changing inode numbers, where none would.
const ATTEMPTS: usize = 100;

/// Locks the file at a path. The inner error is the run that holds the lock.
fn try_lock(path: &Path) -> io::Result<Result<LockedFile, LockOwner>> {
    try_lock_with(path, has_name)
}

fn try_lock_with(
    path: &Path,
    has_name: fn(&File, &Path) -> bool,
) -> io::Result<Result<LockedFile, LockOwner>> {
    for _ in 0..ATTEMPTS {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) if has_name(&file, path) => {
                // The owner is only for messages: a full disk must not stop the run.
                let _ = write_owner(&mut file);
                return Ok(Ok(LockedFile {
                    path: path.to_owned(),
                    _file: file,
                }));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(read_owner(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "it was replaced {ATTEMPTS} times while it was being locked"
    )))
}

/// Opens or creates a regular file. Does not follow links, and refuses pipes, which could block.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Whether the open file still has this name.
#[cfg(unix)]
fn has_name(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(opened), Ok(named)) => identity(opened) == identity(named),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Always true: Windows does not remove open files.
#[cfg(not(unix))]
fn has_name(_file: &File, _path: &Path) -> bool {
    true
}

fn write_owner(file: &mut File) -> io::Result<()> {
    let text = format!(
        "process {} since {:.0}\n",
        std::process::id(),
        Timestamp::now()
    );
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())
}

/// Reads the owner of the lock. It is unknown on Windows, where a locked file cannot be read.
fn read_owner(file: &mut File) -> LockOwner {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) => LockOwner::parse(&text),
        Err(_) => LockOwner::default(),
    }
}

/// The 64-bit FNV-1a hash of a text.
///
/// File names must be the same in every version of the program, which the standard library's hasher does not
/// guarantee. A collision affects only runs of the same user.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
