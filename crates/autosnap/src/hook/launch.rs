// SPDX-License-Identifier: GPL-3.0-only
//! The command that starts a hook script, or the reason why it cannot be started.
//!
//! The C# tool passes the path to `/bin/bash -c`, which splits it at spaces. Here the file is started directly; only a
//! script without `#!` needs a shell. Nothing is executed by this module.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use autosnap_core::text::shell_word;
use thiserror::Error;

use crate::sensitive;

/// Why a path cannot name a hook: an error of usage, found before any request is sent.
#[derive(Debug, Error)]
pub enum HookError {
    /// The file does not exist.
    #[error("hook script {} does not exist", sensitive::displayed_path(.0))]
    Missing(PathBuf),
    /// The path names a directory or something else that is not a regular file.
    #[error("hook script {} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The file or its folder cannot be read.
    #[error("hook script {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The script.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Why a hook cannot be started: a failure of this hook call, not of the run.
#[derive(Debug, Error)]
pub enum StartError {
    /// The file was removed since the run started.
    #[error(transparent)]
    File(#[from] HookError),
    /// No execute permission for any user.
    #[error("hook script {} is not executable; run: chmod +x {}", .0.display(), pasted(.0))]
    NotExecutable(PathBuf),
    /// It is executable, but not for this user or not on this file system.
    #[error(
        "hook script {} cannot be executed by this user; check the modes of the file, its folders and its interpreter, \
         and the mount options for 'noexec'",
        .0.display()
    )]
    NotPermitted(PathBuf),
    /// The first line ends in a carriage return, which the kernel reads as a part of the interpreter's name.
    #[error("hook script {} has Windows line ends; run: sed -i 's/\\r$//' {}", .0.display(), pasted(.0))]
    WindowsLineEnds(PathBuf),
    /// The first line names an interpreter that does not exist.
    #[error("hook script {} needs the interpreter {}, which does not exist; correct its first line or install it", path.display(), interpreter.display())]
    NoInterpreter {
        /// The script.
        path: PathBuf,
        /// The interpreter in its first line.
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
    /// The operating system refuses it for another reason.
    #[error("hook script {} cannot be started: {}", path.display(), reason(source))]
    System {
        /// The script.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl StartError {
    /// Explains an error that the operating system returned when `path` was started.
    pub(super) fn from_system(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::PermissionDenied {
            Self::NotPermitted(path.to_owned())
        } else {
            Self::System {
                path: path.to_owned(),
                source,
            }
        }
    }
}

/// The path, quoted for a shell.
fn pasted(path: &Path) -> String {
    shell_word(&path.to_string_lossy(), "FILE").into_owned()
}

/// The operating system's reason, without the number that the standard library appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Checks that `path` names a regular file.
pub(super) fn find(path: &Path) -> Result<fs::Metadata, HookError> {
    let metadata = fs::metadata(path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            HookError::Missing(path.to_owned())
        } else {
            HookError::Unreadable {
                path: path.to_owned(),
                source,
            }
        }
    })?;
    if !metadata.is_file() {
        return Err(HookError::NotAFile(path.to_owned()));
    }
    Ok(metadata)
}

/// The program to start and its arguments; one of them is the script, unless the script is the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
}

impl Launch {
    /// Finds the command for `path`, which must be absolute: a bare name would be looked up in `PATH`.
    pub(super) fn resolve(path: &Path) -> Result<Self, StartError> {
        let metadata = find(path)?;
        platform::resolve(path, &metadata)
    }

    fn direct(path: &Path) -> Self {
        Self {
            program: path.into(),
            arguments: Vec::new(),
        }
    }

    /// A call of PowerShell. The execution policy of Windows is bypassed for this call only: a user who can edit the
    /// job can edit the script.
    fn powershell(
        path: &Path,
        program: &'static str,
        options: &[&str],
    ) -> Result<Self, StartError> {
        if !is_in_path(program) {
            let path = path.to_owned();
            return Err(StartError::NoPowerShell { path, program });
        }
        let options = options.iter().map(OsString::from);
        Ok(Self {
            program: program.into(),
            arguments: options.chain([path.into()]).collect(),
        })
    }
}

fn is_powershell(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("ps1"))
}

/// Whether a program of that name is in `PATH`.
fn is_in_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

#[cfg(windows)]
mod platform {
    use super::{Launch, Path, StartError, fs, is_powershell};

    /// On Windows the suffix decides. The system itself starts `.bat` and `.cmd`.
    pub(super) fn resolve(path: &Path, _metadata: &fs::Metadata) -> Result<Launch, StartError> {
        if !is_powershell(path) {
            return Ok(Launch::direct(path));
        }
        let options = [
            "-NoProfile",
            "-NonInteractive",
            "-ExecutionPolicy",
            "Bypass",
            "-File",
        ];
        Launch::powershell(path, "powershell.exe", &options)
    }
}

#[cfg(unix)]
mod platform {
    use std::ffi::OsStr;
    use std::io::{self, Read};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{Access, access};

    use super::{Launch, Path, StartError, fs, is_powershell};

    /// A `#!` line has precedence over the suffix. Without it PowerShell runs a `.ps1`, which needs no execute
    /// permission, and bash any other text, as it starts all hooks of the C# tool.
    pub(super) fn resolve(path: &Path, metadata: &fs::Metadata) -> Result<Launch, StartError> {
        // Executing machine code needs no permission to read it.
        let start = first_bytes(path).unwrap_or_else(|_| vec![0]);
        let interpreter_line = start
            .strip_prefix(b"#!")
            .map(|line| line.split(|byte| *byte == b'\n').next().unwrap_or_default())
            .filter(|line| !line.trim_ascii().is_empty());
        if interpreter_line.is_none() && is_powershell(path) {
            return Launch::powershell(path, "pwsh", &["-NoProfile", "-NonInteractive", "-File"]);
        }
        check_permission(path, metadata)?;
        if let Some(line) = interpreter_line {
            check_interpreter(path, line)?;
        } else if !start.contains(&0) {
            return Ok(Launch {
                program: shell().into(),
                arguments: vec![path.into()],
            });
        }
        Ok(Launch::direct(path))
    }

    fn check_permission(path: &Path, metadata: &fs::Metadata) -> Result<(), StartError> {
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(StartError::NotExecutable(path.to_owned()));
        }
        access(path, Access::EXEC_OK).map_err(|_| StartError::NotPermitted(path.to_owned()))
    }

    fn shell() -> &'static str {
        if Path::new("/bin/bash").exists() {
            "/bin/bash"
        } else {
            "/bin/sh"
        }
    }

    /// Reads the beginning of a file: as many bytes as Linux does (`BINPRM_BUF_SIZE`).
    fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        fs::File::open(path)?.take(256).read_to_end(&mut start)?;
        Ok(start)
    }

    /// Finds a missing interpreter in advance: the kernel would report "No such file or directory", as if the script
    /// were missing.
    ///
    /// A carriage return after an argument is passed to the interpreter, and some (Perl) ignore it.
    fn check_interpreter(path: &Path, line: &[u8]) -> Result<(), StartError> {
        let mut words = line
            .trim_ascii_start()
            .split(|byte| matches!(byte, b' ' | b'\t'));
        let interpreter = words.next().unwrap_or_default();
        let arguments: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        let is_env = interpreter.ends_with(b"/env");
        if interpreter.ends_with(b"\r") || arguments == [b"\r"] || (is_env && line.ends_with(b"\r"))
        {
            return Err(StartError::WindowsLineEnds(path.to_owned()));
        }
        let interpreter = Path::new(OsStr::from_bytes(interpreter));
        if !interpreter.exists() {
            return Err(StartError::NoInterpreter {
                path: path.to_owned(),
                interpreter: interpreter.to_owned(),
            });
        }
        Ok(())
    }
}
