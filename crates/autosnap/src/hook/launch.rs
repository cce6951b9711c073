// SPDX-License-Identifier: GPL-3.0-only
//! Decides how a hook script is started, and refuses before the run what could not be.
//!
//! The C# tool hands the path to `/bin/bash -c`, which breaks on blanks and hides a missing execute permission until the
//! first phase. Here the file is looked at once, at the start of the run. Nothing is executed by this module.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use autosnap_core::text::shell_word;
use thiserror::Error;

use crate::sensitive;

/// Why a file cannot serve as a hook. Found before any request is sent.
#[derive(Debug, Error)]
pub enum HookError {
    /// There is no such file.
    #[error("hook script {} does not exist", sensitive::displayed_path(.0))]
    Missing(PathBuf),
    /// The path names a directory or something else that is not a regular file.
    #[error("hook script {} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The file or its folder cannot be looked at.
    #[error("hook script {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The script.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No execute permission for anybody.
    #[error("hook script {} is not executable; run: chmod +x {}", .0.display(), pasted(.0))]
    NotExecutable(PathBuf),
    /// The first line ends in a carriage return, which the kernel takes for a part of the interpreter's name.
    #[error("hook script {} has Windows line ends; run: sed -i 's/\\r$//' {}", .0.display(), pasted(.0))]
    WindowsLineEnds(PathBuf),
    /// The first line names an interpreter that is not there.
    #[error("hook script {} asks for the interpreter {}, which does not exist; correct its first line or install it", path.display(), interpreter.display())]
    NoInterpreter {
        /// The script.
        path: PathBuf,
        /// What its first line names.
        interpreter: PathBuf,
    },
    /// A `.ps1` without PowerShell.
    #[error("hook script {} needs PowerShell: no {program} in PATH; install it, or write the hook for /bin/sh", path.display())]
    NoPowerShell {
        /// The script.
        path: PathBuf,
        /// The program that is missing.
        program: &'static str,
    },
    /// A `.bat` or `.cmd` on a system without `cmd.exe`.
    #[error("hook script {} can be run on Windows only; write it for /bin/sh here", .0.display())]
    WindowsOnly(PathBuf),
}

/// The path as a shell reads it.
fn pasted(path: &Path) -> String {
    shell_word(&path.to_string_lossy(), "FILE").into_owned()
}

/// A program and the arguments it gets, the script among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
}

impl Launch {
    /// How to start `path`, which has to be absolute: a bare name would be searched for in `PATH`.
    pub(super) fn of(path: &Path) -> Result<Self, HookError> {
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => HookError::Missing(path.to_owned()),
            _ => HookError::Unreadable {
                path: path.to_owned(),
                source,
            },
        })?;
        if !metadata.is_file() {
            return Err(HookError::NotAFile(path.to_owned()));
        }
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("ps1") => Self::powershell(path),
            Some("bat" | "cmd") if cfg!(windows) => Ok(Self::direct(path)),
            Some("bat" | "cmd") => Err(HookError::WindowsOnly(path.to_owned())),
            Some(_) | None => Self::by_content(path, &metadata),
        }
    }

    fn direct(path: &Path) -> Self {
        Self {
            program: path.into(),
            arguments: Vec::new(),
        }
    }

    /// Windows has its own PowerShell, other systems the portable one. The execution policy is lifted for this call only:
    /// whoever may edit the job may edit the script.
    fn powershell(path: &Path) -> Result<Self, HookError> {
        let (program, options): (_, &[&str]) = if cfg!(windows) {
            (
                "powershell.exe",
                &[
                    "-NoProfile",
                    "-NonInteractive",
                    "-ExecutionPolicy",
                    "Bypass",
                    "-File",
                ],
            )
        } else {
            ("pwsh", &["-NoProfile", "-NonInteractive", "-File"])
        };
        if !is_in_path(program) {
            let path = path.to_owned();
            return Err(HookError::NoPowerShell { path, program });
        }
        let arguments = options
            .iter()
            .map(OsString::from)
            .chain([path.into()])
            .collect();
        Ok(Self {
            program: program.into(),
            arguments,
        })
    }

    #[cfg(windows)]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the counterpart for Unix can fail"
    )]
    fn by_content(path: &Path, _metadata: &fs::Metadata) -> Result<Self, HookError> {
        Ok(Self::direct(path))
    }

    /// A script without `#!` is for `/bin/sh`, as POSIX shells do when `execve` answers `ENOEXEC`.
    #[cfg(unix)]
    fn by_content(path: &Path, metadata: &fs::Metadata) -> Result<Self, HookError> {
        use std::os::unix::fs::PermissionsExt;

        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(HookError::NotExecutable(path.to_owned()));
        }
        let start = first_bytes(path).map_err(|source| HookError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        if let Some(line) = start.strip_prefix(b"#!") {
            check_interpreter(
                path,
                line.split(|byte| *byte == b'\n').next().unwrap_or_default(),
            )?;
            Ok(Self::direct(path))
        } else if start.contains(&0) {
            // Machine code of whatever kind: the kernel knows it or says so.
            Ok(Self::direct(path))
        } else {
            Ok(Self {
                program: "/bin/sh".into(),
                arguments: vec![path.into()],
            })
        }
    }
}

/// Whether a program of that name would be found when it is started.
fn is_in_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// As many bytes as Linux itself looks at (`BINPRM_BUF_SIZE`).
#[cfg(unix)]
fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;

    let mut start = Vec::new();
    fs::File::open(path)?.take(256).read_to_end(&mut start)?;
    Ok(start)
}

/// Without this the kernel would answer "No such file or directory", as if the script itself were missing.
#[cfg(unix)]
fn check_interpreter(path: &Path, line: &[u8]) -> Result<(), HookError> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    if line.ends_with(b"\r") {
        return Err(HookError::WindowsLineEnds(path.to_owned()));
    }
    let name = line
        .trim_ascii()
        .split(u8::is_ascii_whitespace)
        .next()
        .unwrap_or_default();
    let interpreter = Path::new(OsStr::from_bytes(name));
    if interpreter.is_absolute() && !interpreter.exists() {
        return Err(HookError::NoInterpreter {
            path: path.to_owned(),
            interpreter: interpreter.to_owned(),
        });
    }
    Ok(())
}
