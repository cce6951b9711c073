// SPDX-License-Identifier: GPL-3.0-only
//! Files with options or secrets: only regular files and pipes of a limited size.
//!
//! Directories and devices are refused: reading a device may never end.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is a device or a socket.
    #[error("it is a device, not a file or a pipe")]
    Device,
    /// It is larger than the limit.
    #[error("it is too large")]
    TooLarge,
}

/// Reads a file or a pipe of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<(Zeroizing<Vec<u8>>, Metadata), ReadError> {
    // Checked before opening, which has side effects on some devices, and after.
    check(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    check(metadata.file_type())?;
    let mut content = Zeroizing::new(Vec::new());
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(ReadError::TooLarge);
    }
    Ok((content, metadata))
}

/// Whether a path names a pipe, as `/dev/stdin` and `<(…)` may.
pub fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| is_fifo(metadata.file_type()))
}

fn check(kind: FileType) -> Result<(), ReadError> {
    if kind.is_file() || is_fifo(kind) {
        Ok(())
    } else if kind.is_dir() {
        Err(ReadError::Directory)
    } else {
        Err(ReadError::Device)
    }
}

#[cfg(unix)]
fn is_fifo(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_fifo(_kind: FileType) -> bool {
    false
}

/// Whether the group or all users may read a file. Always `false` on Windows, which has no such mode, and
/// for pipes, which can be read only once.
#[cfg(unix)]
pub fn others_can_read(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    metadata.is_file() && metadata.permissions().mode() & 0o044 != 0
}

/// Whether the group or all users may read a file.
#[cfg(not(unix))]
pub fn others_can_read(_metadata: &Metadata) -> bool {
    false
}

/// Whether the group or all users may change a file. Always `false` on Windows.
#[cfg(unix)]
pub fn others_can_write(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
}

/// Whether the owner of a file is neither root nor this user: the owner can change it. Always `false` on Windows.
#[cfg(unix)]
pub fn has_foreign_owner(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let user = rustix::process::geteuid().as_raw();
    fs::metadata(path).is_ok_and(|metadata| ![0, user].contains(&metadata.uid()))
}

/// Whether the owner of a file is another user.
#[cfg(not(unix))]
pub fn has_foreign_owner(_path: &Path) -> bool {
    false
}

/// Whether the group or all users may change a file.
#[cfg(not(unix))]
pub fn others_can_write(_path: &Path) -> bool {
    false
}
