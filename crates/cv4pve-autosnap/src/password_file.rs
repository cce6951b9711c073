// SPDX-License-Identifier: GPL-3.0-only
//! Secret files: `--password=file:PATH` reads one, or writes it after a prompt, in the formats of the C# tool.
//!
//! The password is encrypted with 3DES under a key that is published in the C# sources (`StringHelper.cs` of its
//! library), so **only the file's mode protects it**. The format is kept so that both tools can read one file:
//!
//! | content | written by |
//! |---|---|
//! | `v2:` + base64(8 bytes IV ‖ CBC, PKCS7) | the newest C# releases, and this program |
//! | base64(8 bytes IV ‖ CBC, PKCS7) | some C# releases in between |
//! | base64(ECB, PKCS7) | older C# releases |
//! | anything else | an editor: the first line is the password |
//!
//! .NET begins the file with a byte order mark, PowerShell 5 writes UTF-16 with one; both are read. A format without
//! the prefix is recognised by decrypting: the padding must be valid and the result printable text. Files with an API
//! token are read in the same way, so error messages say "secret file". This module does not prompt and prints no
//! warnings.
//!
//! A file is replaced by renaming a new one. The crate `tempfile` is not used for this: it would not sync the file
//! before the rename, and the program would depend on two more crates to replace a dozen lines.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use des::TdesEde3;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::input_file::{self, ReadError};
use crate::response_file;
use crate::sensitive;

/// The key of the C# tool (`GetPasswordFromOption`). It is public.
const KEY: &[u8; 24] = b"012345678901234567890123";
/// The prefix of the newest format.
const PREFIX: &str = "v2:";
pub(crate) const IV_LENGTH: usize = 8;

/// The maximum size of a secret file.
const SIZE_LIMIT: u64 = 64 * 1024;

/// The password from a file, and how it is protected.
#[derive(Debug)]
pub struct Stored {
    /// The password.
    pub password: SecretString,
    /// Whether the file's group or all users may read it. Always `false` on Windows, which has no such mode.
    pub others_can_read: bool,
    /// Whether the file is plain text.
    pub plain_text: bool,
}

/// Why a secret file cannot be read or written. Never contains any of its content.
#[derive(Debug, Error)]
pub enum PasswordFileError {
    /// The file does not exist.
    #[error("secret file {} does not exist", sensitive::displayed_path(.0))]
    Missing(PathBuf),
    /// The operating system refused to read.
    #[error(
        "cannot read secret file {}: {source}",
        sensitive::displayed_path(path)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system, or the kind of the path if it is not a file.
        source: ReadError,
    },
    /// The operating system refused to write.
    #[error(
        "cannot write secret file {}: {source}",
        sensitive::displayed_path(path)
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has no password.
    #[error("secret file {} is empty; write the secret into it, or remove it", sensitive::displayed_path(.0))]
    Empty(PathBuf),
    /// Too large, not text, or encrypted and impossible to decrypt.
    #[error("secret file {} is damaged: it is neither text nor an encrypted password; write the secret into it again", sensitive::displayed_path(.0))]
    Damaged(PathBuf),
}

/// Reads a password in any of the formats.
pub fn read(path: &Path) -> Result<Stored, PasswordFileError> {
    let (content, metadata) =
        input_file::read(path, SIZE_LIMIT).map_err(|source| match source {
            ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                PasswordFileError::Missing(path.to_owned())
            }
            ReadError::TooLarge => PasswordFileError::Damaged(path.to_owned()),
            source @ (ReadError::Io(_) | ReadError::Directory | ReadError::Device) => {
                PasswordFileError::Unreadable {
                    path: path.to_owned(),
                    source,
                }
            }
        })?;
    let others_can_read = input_file::others_can_read(&metadata);
    match decode(&content) {
        Ok((password, _)) if password.expose_secret().is_empty() => {
            Err(PasswordFileError::Empty(path.to_owned()))
        }
        Ok((password, plain_text)) => Ok(Stored {
            password,
            others_can_read,
            plain_text,
        }),
        Err(NotAPassword) => Err(PasswordFileError::Damaged(path.to_owned())),
    }
}

/// Writes `password` in the newest format, to a file that only its owner can read.
///
/// An existing file is replaced as a whole, or left unchanged.
pub fn write(path: &Path, password: &SecretString) -> Result<(), PasswordFileError> {
    let unwritable = |source| PasswordFileError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let name = path
        .file_name()
        .ok_or_else(|| unwritable(io::ErrorKind::InvalidFilename.into()))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}", random_bits()));
    let temporary = path.with_file_name(temporary);
    let text = encode(password.expose_secret(), random_bits().to_le_bytes());
    create(&temporary, &text)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            // The first error is reported. If the temporary file cannot be removed, it still has mode 0600.
            let _ = fs::remove_file(&temporary);
            unwritable(error)
        })
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Eight bytes that differ from call to call, for the IV and a file name.
///
/// With a public key they need not be unpredictable, so the random seed of the standard library's hash maps is enough.
fn random_bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(crate) fn encode(password: &str, iv: [u8; IV_LENGTH]) -> String {
    let cipher = cbc::Encryptor::<TdesEde3>::new(KEY.into(), &iv.into());
    let mut bytes = iv.to_vec();
    bytes.extend(cipher.encrypt_padded_vec::<Pkcs7>(password.as_bytes()));
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// The content has none of the formats.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAPassword;

/// The password, and whether it was in plain text.
pub(crate) fn decode(content: &[u8]) -> Result<(SecretString, bool), NotAPassword> {
    let text = response_file::decode(content).map_err(|_| NotAPassword)?;
    let text = Zeroizing::new(text);
    let text = text.as_str();
    if let Some(encoded) = text.trim().strip_prefix(PREFIX) {
        let bytes = decode_base64(encoded).ok_or(NotAPassword)?;
        // The prefix proves that the rest is encrypted, so the password may contain control characters.
        return decrypt_cbc(&bytes)
            .and_then(|bytes| as_text(&bytes))
            .map(|password| (password, false))
            .ok_or(NotAPassword);
    }
    let decrypted = decode_base64(text).and_then(|bytes| {
        let from_ecb = decrypt_ecb(&bytes).and_then(|bytes| printable(&bytes));
        from_ecb.or_else(|| printable(&decrypt_cbc(&bytes)?))
    });
    Ok(match decrypted {
        Some(password) => (password, false),
        None => (text.lines().next().unwrap_or_default().into(), true),
    })
}

/// Decodes base64 as .NET does: white space anywhere is ignored.
fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let dense: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    STANDARD.decode(dense.as_bytes()).ok().map(Zeroizing::new)
}

fn decrypt_ecb(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = ecb::Decryptor::<TdesEde3>::new(KEY.into());
    let decrypted = cipher.decrypt_padded_vec::<Pkcs7>(bytes).ok()?;
    Some(Zeroizing::new(decrypted))
}

fn decrypt_cbc(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (iv, bytes) = bytes.split_first_chunk::<IV_LENGTH>()?;
    let cipher = cbc::Decryptor::<TdesEde3>::new(KEY.into(), iv.into());
    let decrypted = cipher.decrypt_padded_vec::<Pkcs7>(bytes).ok()?;
    Some(Zeroizing::new(decrypted))
}

/// The bytes as a secret, if they are UTF-8.
fn as_text(bytes: &[u8]) -> Option<SecretString> {
    Some(std::str::from_utf8(bytes).ok()?.into())
}

/// The bytes as a secret, if they are text without control characters: then the decryption was the right one.
fn printable(bytes: &[u8]) -> Option<SecretString> {
    as_text(bytes).filter(|text| !text.expose_secret().chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(content: &str, expected: &str, plain_text: bool) {
        let (password, plain) = decode(content.as_bytes()).unwrap();
        assert_eq!(
            (password.expose_secret(), plain),
            (expected, plain_text),
            "{content:?}"
        );
    }

    /// The encrypted texts come from OpenSSL 3.0, with the key in hexadecimal as K:
    /// `printf PASSWORD | openssl enc -des-ede3 -K $K | base64` and, with the IV before the result,
    /// `printf PASSWORD | openssl enc -des-ede3-cbc -K $K -iv IV`.
    #[test]
    fn every_format_is_read() {
        check("rq2UmV8oPTIghB7oq65OZQ==", "Pa$$w0rd", false);
        check("b95SrP7lkUHilPCP7vni7GURuWeX0b4Q", "Grüße aus Köln", false);
        check("v2:AAECAwQFBgeIpj6GI3hYgNG6a3zSqH30", "Pa$$w0rd", false);
        check(
            "v2:QUJDREVGR0h+xKfm6w5ykq48FEJSwx/QeOASRz73uZc=",
            "Grüße aus Köln",
            false,
        );
        check("AAECAwQFBgeIpj6GI3hYgNG6a3zSqH30", "Pa$$w0rd", false);
        check(
            "QUJDREVGR0h+xKfm6w5ykq48FEJSwx/QeOASRz73uZc=",
            "Grüße aus Köln",
            false,
        );
        check("Pa$$w0rd", "Pa$$w0rd", true);
    }

    #[test]
    fn byte_order_marks_and_line_breaks_are_ignored() {
        check("\u{feff}rq2UmV8oPTIghB7oq65OZQ==", "Pa$$w0rd", false);
        check(
            "\u{feff}v2:AAECAwQFBgeI\r\npj6GI3hYgNG6a3zSqH30\r\n",
            "Pa$$w0rd",
            false,
        );
        check("secret\r\n", "secret", true);
        check("secret \nsecond line\n", "secret ", true);
    }

    #[test]
    fn a_password_that_looks_like_base64_is_plain_text_unless_it_decrypts() {
        check("abcdefghijk=", "abcdefghijk=", true);
        check("Passwort", "Passwort", true);
    }

    #[test]
    fn an_invalid_text_after_the_prefix_is_damaged() {
        for content in [
            "v2:",
            "v2:AAAA",
            "v2:no base64!",
            "v2:AAECAwQFBgcICQoLDA0ODw==",
            "v2:AAECAwQFBgeIpj6GI3hYgNG6a3zSqH31",
        ] {
            assert_eq!(
                decode(content.as_bytes()).unwrap_err(),
                NotAPassword,
                "{content}"
            );
        }
        assert_eq!(decode(b"\xff\xfes\0e\0c").unwrap_err(), NotAPassword);
    }

    /// Found by fuzzing: the program could not read a file that it had written.
    #[test]
    fn a_password_with_a_tab_is_read_as_it_was_written() {
        let written = encode("pass\tword", [1; IV_LENGTH]);
        check(&written, "pass\tword", false);
    }

    #[test]
    fn a_written_file_equals_the_output_of_openssl() {
        assert_eq!(
            encode("Pa$$w0rd", [0, 1, 2, 3, 4, 5, 6, 7]),
            "v2:AAECAwQFBgeIpj6GI3hYgNG6a3zSqH30"
        );
    }

    #[test]
    fn a_written_file_is_for_its_owner_only_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "old and readable").unwrap();
        write(&path, &"Pa$$w0rd".into()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
                0o600
            );
        }
        let stored = read(&path).unwrap();
        assert_eq!(stored.password.expose_secret(), "Pa$$w0rd");
        assert!(!stored.others_can_read && !stored.plain_text);
        assert!(fs::read_to_string(&path).unwrap().starts_with(PREFIX));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!format!("{stored:?}").contains("Pa$$"), "{stored:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_detected() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "secret\n").unwrap();
        for (mode, expected) in [
            (0o600, false),
            (0o400, false),
            (0o640, true),
            (0o604, true),
            (0o644, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let stored = read(&path).unwrap();
            assert_eq!(stored.others_can_read, expected, "{mode:o}");
            assert!(stored.plain_text);
        }
    }

    #[test]
    fn errors_name_the_file_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, content: Option<&[u8]>, expected: &str| {
            let path = folder.path().join(name);
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let error = read(&path).unwrap_err().to_string();
            assert_eq!(error, expected.replace("PATH", &path.display().to_string()));
        };
        check("none", None, "secret file PATH does not exist");
        check(
            "empty",
            Some(b"\r\n"),
            "secret file PATH is empty; write the secret into it, or remove it",
        );
        check(
            "v2",
            Some(b"v2:secret"),
            "secret file PATH is damaged: it is neither text nor an encrypted password; write the secret into it again",
        );
        let large = vec![b'a'; 70_000];
        check(
            "large",
            Some(&large),
            "secret file PATH is damaged: it is neither text nor an encrypted password; write the secret into it again",
        );
        let error = write(&folder.path().join("no/folder"), &"secret".into()).unwrap_err();
        assert!(
            matches!(&error, PasswordFileError::Unwritable { .. }),
            "{error}"
        );
        assert!(matches!(
            read(folder.path()).unwrap_err(),
            PasswordFileError::Unreadable { .. }
        ));
    }

    proptest! {
        #[test]
        fn a_written_password_is_read_back(password in "(?s).{1,80}", iv in any::<[u8; 8]>()) {
            let (read, plain_text) = decode(encode(&password, iv).as_bytes()).unwrap();
            prop_assert_eq!(read.expose_secret(), &password);
            prop_assert!(!plain_text);
        }

        #[test]
        fn the_old_format_is_read(password in "[^\\p{Cc}]{1,80}") {
            let bytes = ecb::Encryptor::<TdesEde3>::new(KEY.into()).encrypt_padded_vec::<Pkcs7>(password.as_bytes());
            let (read, plain_text) = decode(STANDARD.encode(bytes).as_bytes()).unwrap();
            prop_assert_eq!(read.expose_secret(), &password);
            prop_assert!(!plain_text);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _any = decode(&content);
        }

        #[test]
        fn arbitrary_cipher_texts_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _any = decode(format!("{PREFIX}{}", STANDARD.encode(&bytes)).as_bytes());
            let _any = decode(STANDARD.encode(&bytes).as_bytes());
        }
    }
}
