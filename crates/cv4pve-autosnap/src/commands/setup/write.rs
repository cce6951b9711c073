// SPDX-License-Identifier: GPL-3.0-only
//! Writing a file that must not exist yet and that only its owner can read.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::command_error::CommandError;

/// Writes a new file, mode 0600, and the folder for it if there is none. Whatever exists under the name, a link included,
/// stays as it is and is a failure.
pub fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    if let Some(folder) = path.parent() {
        // If it fails, so does the file.
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
            "the parameter file {} cannot be written: {error}",
            path.display()
        ));
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                failure.with_hint("it is not overwritten; remove it, or use another name")
            }
            _ => failure,
        }
    })
}
