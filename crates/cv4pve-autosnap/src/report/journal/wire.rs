// SPDX-License-Identifier: GPL-3.0-only
//! Journald's native protocol: a datagram of `FIELD=value` lines, short enough to be written here.
//! The crates for it are made for logs and prefix the fields.
//!
//! Limits: after the first entry that the journal does not take, no other is sent, so that a stuck journal
//! delays a run once and not at every entry.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use autosnap_core::text;

use crate::help::PROGRAM;

/// Set by systemd: device and inode of the socket it has connected stdout or stderr to.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";
/// The variable that names another socket than journald's, for tests.
const SOCKET_VARIABLE: &str = "CV4PVE_JOURNAL_SOCKET";
const SOCKET: &str = "/run/systemd/journal/socket";
/// The maximum length of a value in bytes; a longer one is cut, because a datagram must fit into the socket's buffer.
const LONGEST_VALUE: usize = 8 * 1024;

/// The levels of syslog that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::report) enum Priority {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Information = 6,
}

impl Priority {
    /// The priority of a line on stderr, by its first word.
    pub(in crate::report) fn from_line(line: &str) -> Self {
        match line.split(':').next() {
            Some("ERROR") => Self::Error,
            Some("WARNING") => Self::Warning,
            Some("NOTICE" | "hint") => Self::Notice,
            _ => Self::Information,
        }
    }

    /// The first word of a line on stderr with this priority.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Error => Some("ERROR"),
            Self::Warning => Some("WARNING"),
            Self::Notice | Self::Information => None,
        }
    }
}

/// The socket of the journal.
#[derive(Debug, Clone)]
pub(in crate::report) struct Journal {
    socket: Arc<platform::Socket>,
    /// Whether an entry could not be sent. Shared by all clones.
    is_gone: Arc<AtomicBool>,
}

impl Journal {
    /// The journal, if stderr of this process leads there.
    pub(in crate::report) fn from_env() -> Option<Self> {
        let stream = std::env::var(STREAM_VARIABLE).ok()?;
        if !platform::stderr_is(&stream) {
            return None;
        }
        let path = std::env::var_os(SOCKET_VARIABLE);
        Self::at(path.as_deref().unwrap_or(OsStr::new(SOCKET)))
    }

    /// The journal with this socket.
    pub(super) fn at(path: &OsStr) -> Option<Self> {
        Some(Self {
            socket: Arc::new(platform::Socket::open(path)?),
            is_gone: Arc::default(),
        })
    }

    /// Sends an entry. Returns whether it was sent.
    pub(in crate::report) fn send(&self, entry: &Entry) -> bool {
        if self.is_gone.load(Ordering::Relaxed) {
            return false;
        }
        let sent = self.socket.send(&entry.bytes);
        if !sent {
            self.is_gone.store(true, Ordering::Relaxed);
        }
        sent
    }
}

/// One entry, encoded for the socket.
#[derive(Debug)]
pub(in crate::report) struct Entry {
    bytes: Vec<u8>,
    line: String,
}

impl Entry {
    /// Unprintable characters of the message and of all fields are escaped, line breaks stay.
    pub(in crate::report) fn new(priority: Priority, message: &str) -> Self {
        let line = match priority.word() {
            Some(word) if Priority::from_line(message) != priority => format!("{word}: {message}"),
            Some(_) | None => message.to_owned(),
        };
        let bytes = Vec::new();
        Self { bytes, line }
            .with("MESSAGE", message)
            .with("PRIORITY", &(priority as u8).to_string())
            .with("SYSLOG_IDENTIFIER", PROGRAM)
    }

    /// With a field. A value with line breaks is preceded by its length.
    pub(super) fn with(mut self, field: &str, value: &str) -> Self {
        let value = &*text::lines(value);
        let cut = (0..=LONGEST_VALUE.min(value.len())).rfind(|&at| value.is_char_boundary(at));
        let value = &value[..cut.unwrap_or(0)];
        self.bytes.extend(field.as_bytes());
        if value.contains('\n') {
            self.bytes.push(b'\n');
            self.bytes.extend((value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend(value.as_bytes());
        self.bytes.push(b'\n');
        self
    }

    /// The line for stderr if the journal does not take the entry.
    pub(in crate::report) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn with_some(self, field: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    /// How long an entry may take to be sent: a run must not wait for a stuck journal.
    const SEND_TIMEOUT: Duration = Duration::from_millis(200);

    #[derive(Debug)]
    pub(super) struct Socket {
        socket: UnixDatagram,
        path: OsString,
    }

    impl Socket {
        pub(super) fn open(path: &OsStr) -> Option<Self> {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_write_timeout(Some(SEND_TIMEOUT)).ok()?;
            Some(Self {
                socket,
                path: path.to_owned(),
            })
        }

        pub(super) fn send(&self, bytes: &[u8]) -> bool {
            self.socket.send_to(bytes, &self.path).is_ok()
        }
    }

    /// Whether stderr is the file `DEVICE:INODE`; it may have been redirected since.
    pub(super) fn stderr_is(stream: &str) -> bool {
        let stderr = std::io::stderr();
        let file = stderr.as_fd().try_clone_to_owned().map(File::from);
        let metadata = file.and_then(|file| file.metadata());
        metadata.is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
    }
}

/// Only systemd has this journal.
#[cfg(not(unix))]
mod platform {
    use std::ffi::OsStr;

    /// No socket exists.
    #[derive(Debug)]
    pub(super) enum Socket {}

    impl Socket {
        pub(super) fn open(_path: &OsStr) -> Option<Self> {
            None
        }

        pub(super) fn send(&self, _bytes: &[u8]) -> bool {
            match *self {}
        }
    }

    pub(super) fn stderr_is(_stream: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Entry {
        Entry {
            bytes: Vec::new(),
            line: String::new(),
        }
    }

    #[test]
    fn a_value_with_line_breaks_is_preceded_by_its_length() {
        let entry = empty().with("A", "one").with("B", "two\nlines");
        assert_eq!(entry.bytes, b"A=one\nB\n\x09\0\0\0\0\0\0\0two\nlines\n");
    }

    /// `journalctl` writes to terminals, too.
    #[test]
    fn control_characters_of_values_are_escaped() {
        let entry = Entry::new(Priority::Error, "a\u{1b}[2Jb").with("NAME", "x\u{202e}\ry");
        let text = String::from_utf8(entry.bytes.clone()).unwrap();
        assert!(text.starts_with("MESSAGE=a\\u{1b}[2Jb\n"), "{text:?}");
        assert!(text.ends_with("\nNAME=x\\u{202e}\\ry\n"), "{text:?}");
    }

    #[test]
    fn a_value_is_cut_between_letters() {
        let entry = empty().with("A", &"ä".repeat(LONGEST_VALUE));
        assert_eq!(entry.bytes.len(), LONGEST_VALUE + 3);
        let entry = empty().with("A", &format!("x{}", "ä".repeat(9000)));
        assert_eq!(entry.bytes.len(), LONGEST_VALUE - 1 + 3);
    }

    #[test]
    fn a_line_has_the_priority_of_its_first_word() {
        for (line, expected) in [
            ("ERROR: no", Priority::Error),
            ("WARNING: hm", Priority::Warning),
            ("hint: do", Priority::Notice),
            ("waiting: for another", Priority::Information),
        ] {
            assert_eq!(Priority::from_line(line), expected, "{line}");
        }
    }

    #[test]
    fn a_line_begins_with_the_word_of_its_priority() {
        for (priority, message, expected) in [
            (Priority::Error, "VM 100: locked", "ERROR: VM 100: locked"),
            (Priority::Error, "ERROR: no", "ERROR: no"),
            (Priority::Warning, "hook failed", "WARNING: hook failed"),
            (Priority::Information, "VM 100: done", "VM 100: done"),
        ] {
            assert_eq!(Entry::new(priority, message).line(), expected);
        }
    }
}
