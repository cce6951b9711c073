// SPDX-License-Identifier: GPL-3.0-only
//! Entry points for the fuzz targets (`fuzz/` in the project's root): parsers of files and of hook output.
//!
//! They are hidden from the documentation and not part of the interface. Fuzzing through files and processes would be a
//! thousand times slower.

use secrecy::SecretString;

use crate::password_file;
use crate::response_file::{self, Problem};
use autosnap::hook::capture::Capture;

/// Parses the content of a parameter file; `@FILE` arguments are not expanded.
pub fn arguments(content: &[u8]) -> Result<Vec<String>, Problem> {
    let text = response_file::decode(content)?;
    let words = response_file::split(&text)?.into_iter();
    Ok(words.map(|(_, word)| word).collect())
}

/// Parses the content of a password file: the password, and whether it is plain text.
pub fn password(content: &[u8]) -> Option<(SecretString, bool)> {
    password_file::decode(content).ok()
}

/// The content of a password file with this IV.
pub fn password_file(password: &str, iv: [u8; password_file::IV_LENGTH]) -> String {
    password_file::encode(password, iv)
}

/// The captured text of a hook's output that arrives in these chunks.
pub fn captured<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut capture = Capture::new(limit);
    for chunk in chunks {
        capture.push(chunk);
    }
    capture.into_text()
}
