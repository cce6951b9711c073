// SPDX-License-Identifier: GPL-3.0-only
//! A writer for a new file that only its owner can read.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::command_error::CommandError;

/// Writes a new file with mode 0600, and creates its folder. Fails if the path exists, even as a link.
pub fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    if let Some(folder) = path.parent() {
        // If this fails, opening the file reports the error.
        let _ = std::fs::create_dir_all(folder);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
    });
    written.map_err(|error| {
        let failure = CommandError::failure(format!(
            "cannot write parameter file {}: {error}",
            path.display()
        ));
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            failure.with_hint("it is not overwritten; remove it, or use another name")
        } else {
            failure
        }
    })
}
