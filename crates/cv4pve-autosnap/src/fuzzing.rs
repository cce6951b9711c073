// SPDX-License-Identifier: GPL-3.0-only
//! Doors for the fuzz targets (`fuzz/` in the project's root) to what reads files and the output of hooks.
//!
//! Hidden from the documentation and no part of the interface: through files and processes the same code would be tested a
//! thousand times slower.

use secrecy::SecretString;

use crate::password_file;
use crate::response_file::{self, Problem};
use autosnap::hook::capture::Capture;

/// The arguments in a parameter file with this content, files that it names left as they are.
pub fn arguments(content: &[u8]) -> Result<Vec<String>, Problem> {
    let text = response_file::decode(content)?;
    let words = response_file::split(&text)?.into_iter();
    Ok(words.map(|(_, word)| word).collect())
}

/// The password in a password file with this content, and whether it stood there in plain text.
pub fn password(content: &[u8]) -> Option<(SecretString, bool)> {
    password_file::decode(content).ok()
}

/// The content of a password file, given what is arbitrary in it.
pub fn password_file(password: &str, iv: [u8; password_file::IV_LENGTH]) -> String {
    password_file::encode(password, iv)
}

/// What is shown of a hook's output that comes in these chunks.
pub fn captured<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut capture = Capture::new(limit);
    for chunk in chunks {
        capture.push(chunk);
    }
    capture.into_text()
}
