// SPDX-License-Identifier: GPL-3.0-only
//! The lock against overlapping runs: `--on-overlap`.
//!
//! A run of `snap` or `clean` holds an advisory lock on one file for its label, its selection of
//! guests and its hosts, so that a second one on this machine waits, leaves or fails. The system takes the lock away when the
//! process ends, however it ends. The file is removed at the end of a run, while it is still locked:
//! whoever gets the lock of a file that has lost its name meanwhile takes the next one.
//!
//! Limits: the lock knows runs of the same user on the same machine that name the same hosts and
//! write the same `--vmid`. What a selection stands for is not known before PVE is asked, so it counts
//! as it was typed: `100,101` and `101,100` do not meet, and neither do selections that share a guest;
//! two lines of a crontab with one label for different guests run side by side, as with the C# tool.
//! There, and between machines and users, PVE's own locks keep snapshots whole.
//!
//! The files lie in a folder of the user's own, mode 0700, in the first of these that works:
//! `/run/lock`, `$XDG_RUNTIME_DIR`, the folder for temporary files. `/run/lock` comes first because
//! cron jobs have no `$XDG_RUNTIME_DIR` and must still meet the runs of a login shell.

mod folder;
mod second;

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use pve_client::Endpoint;
use tokio::time::{Instant, sleep};

pub use second::take_second;

/// How often a waiting run looks again. A lock that is given back is noticed by polling, as the
/// standard library cannot wait for one with a time-out.
const PAUSE: Duration = Duration::from_millis(250);

/// What a run does while another one has the same label, guests and hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOverlap {
    /// Wait until it has ended, and fail if that takes too long.
    Wait,
    /// Leave at once; nothing is wrong with that.
    Skip,
    /// Leave at once, as a failure.
    Fail,
}

/// What is locked, and what happens when it is locked already.
#[derive(Debug, Clone)]
pub struct Overlap {
    /// What the second run does.
    pub action: OnOverlap,
    /// How long it waits.
    pub timeout: Duration,
    /// The file's name.
    pub name: String,
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// Locked; closed after the name is gone.
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A file that stays does no harm, and Windows does not remove what is open.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How the question for the lock ended.
#[derive(Debug)]
pub enum Entry {
    /// The run may go on.
    Go(Held),
    /// The run may go on, unprotected: the lock file could not be made, for this reason.
    Unprotected(String),
    /// The run leaves, well: another one is under way.
    Skip(Holder),
    /// The run leaves as a failure: another one is under way.
    Fail(Holder),
    /// The other run did not end in time.
    TimedOut(Holder),
}

/// The run that has the lock, as far as it said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(Option<String>);

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(who) => write!(
                formatter,
                "another run has this label, these guests and these hosts: {who}"
            ),
            None => formatter.write_str("another run has this label, these guests and these hosts"),
        }
    }
}

impl Overlap {
    /// The lock of a label and a selection of guests, as typed, on a cluster, told by its hosts in
    /// any order.
    pub fn new(
        action: OnOverlap,
        timeout: Duration,
        label: &str,
        selection: &str,
        hosts: &[Endpoint],
    ) -> Self {
        let hosts = list_of_hosts(hosts);
        // No host has a line break in its name.
        let identity = format!("{hosts}\n{}", selection.trim());
        Self {
            action,
            timeout,
            // A label has letters, digits, `-` and `_` only.
            name: format!("{label}-{:016x}.lock", digest(&identity)),
        }
    }

    /// Takes the lock, or does what was asked for if another run has it. `waiting` is told once,
    /// before the first pause.
    pub async fn enter(&self, waiting: impl FnOnce(&Holder)) -> Entry {
        match folder::find() {
            Ok(folder) => self.enter_at(&folder, waiting).await,
            Err(reason) => Entry::Unprotected(reason),
        }
    }

    async fn enter_at(&self, folder: &Path, waiting: impl FnOnce(&Holder)) -> Entry {
        let path = folder.join(&self.name);
        let deadline = Instant::now() + self.timeout;
        let mut waiting = Some(waiting);
        loop {
            let holder = match attempt(&path) {
                Ok(Ok(held)) => return Entry::Go(held),
                Ok(Err(holder)) => holder,
                Err(error) => return Entry::Unprotected(format!("{}: {error}", path.display())),
            };
            match self.action {
                OnOverlap::Skip => return Entry::Skip(holder),
                OnOverlap::Fail => return Entry::Fail(holder),
                OnOverlap::Wait if Instant::now() >= deadline => return Entry::TimedOut(holder),
                OnOverlap::Wait => {}
            }
            if let Some(tell) = waiting.take() {
                tell(&holder);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            sleep(PAUSE.min(left)).await;
        }
    }
}

/// The hosts of a cluster in one order, each once.
fn list_of_hosts(hosts: &[Endpoint]) -> String {
    let mut hosts: Vec<String> = hosts
        .iter()
        .map(|host| host.to_string().to_ascii_lowercase())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.join(",")
}

fn identity_of_hosts(hosts: &[Endpoint]) -> u64 {
    digest(&list_of_hosts(hosts))
}

/// How often a lock is taken of a file that has lost its name meanwhile. Each time another run must
/// have ended in that very moment; on a file system that shows a file under changing numbers it
/// would happen for ever.
const ATTEMPTS: usize = 100;

/// Tries until the file that is locked is the one that has the name. The inner error is the run
/// that has the lock.
fn attempt(path: &Path) -> io::Result<Result<Held, Holder>> {
    attempt_with(path, has_name)
}

fn attempt_with(
    path: &Path,
    has_name: fn(&File, &Path) -> bool,
) -> io::Result<Result<Held, Holder>> {
    for _ in 0..ATTEMPTS {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) if has_name(&file, path) => {
                // Only words for people: a disk that is full must not stop the run.
                let _ = sign(&mut file);
                return Ok(Ok(Held {
                    path: path.to_owned(),
                    _file: file,
                }));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(read_holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "it was replaced {ATTEMPTS} times while it was being locked"
    )))
}

/// Opens the file, or makes it. A link is not followed, and nothing but a regular file is taken: to
/// open or read a pipe could take for ever.
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

/// Whether the open file is the one of this name, or was removed since.
#[cfg(unix)]
fn has_name(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(opened), Ok(named)) => identity(opened) == identity(named),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Windows does not remove what is open.
#[cfg(not(unix))]
fn has_name(_file: &File, _path: &Path) -> bool {
    true
}

fn sign(file: &mut File) -> io::Result<()> {
    let text = format!(
        "process {} since {:.0}\n",
        std::process::id(),
        Timestamp::now()
    );
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())
}

/// On Windows a locked file cannot be read: then nobody is named.
fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.take(200).read_to_string(&mut text);
    let text = text.trim();
    Holder((read.is_ok() && !text.is_empty()).then(|| text.to_owned()))
}

/// FNV-1a, 64 bits: names must be the same in every version of the program, which the standard
/// library's hasher does not promise. Nobody gains by a collision in their own folder.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
