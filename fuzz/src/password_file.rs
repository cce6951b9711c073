// SPDX-License-Identifier: GPL-3.0-only
//! Password files, in plain text or encrypted by one of the C# tools.

use cv4pve_autosnap::fuzzing::{password, password_file};
use secrecy::ExposeSecret;

/// Reads the file; a password must be the same after it is written and read again.
pub fn run(input: &[u8]) {
    let is_marked = input.starts_with(b"v2:");
    let Some((found, is_plain)) = password(input) else {
        // A zero byte indicates UTF-16 without a byte order mark.
        let is_not_text = std::str::from_utf8(input).is_err() || input.contains(&0);
        assert!(is_marked || is_not_text || has_hidden_mark(input));
        return;
    };
    assert!(
        !is_plain || !is_marked,
        "an encrypted file was read as plain text"
    );
    let text = found.expose_secret();
    assert!(!is_plain || !text.contains('\n'), "a password is one line");
    let mut iv = [0; 8];
    for (byte, other) in iv.iter_mut().zip(input) {
        *byte = *other;
    }
    let written = password_file(text, iv);
    assert!(written.starts_with("v2:") && !written.contains('\n'));
    let (again, is_plain) = password(written.as_bytes()).expect("a written file can be read");
    assert!(!is_plain && again.expose_secret() == text);
    assert!(text.is_empty() || !format!("{again:?}").contains(&format!("{text:?}")));
}

/// Whether the mark comes after a byte order mark or white space.
fn has_hidden_mark(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    text.strip_prefix('\u{feff}')
        .unwrap_or(&text)
        .trim()
        .starts_with("v2:")
}
