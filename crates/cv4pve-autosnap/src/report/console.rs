// SPDX-License-Identifier: GPL-3.0-only
//! The two output streams, and the progress bar, which is hidden while a line is written.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use autosnap_core::text;
use indicatif::ProgressBar;

use super::Lines;
use super::journal::{Entry, Journal, JournalReport, Priority};

/// The output streams of the program. Clones write to the same streams.
#[derive(Debug, Clone)]
pub struct Console {
    bar: Option<ProgressBar>,
    journal: Option<Journal>,
    write_error: Arc<Mutex<Option<io::Error>>>,
    /// Whether the error that stops a run is written to stdout, too.
    repeats_errors: Arc<AtomicBool>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            bar: None,
            journal: Journal::from_env(),
            write_error: Arc::default(),
            repeats_errors: Arc::default(),
        }
    }
}

impl Console {
    /// The same console with a progress bar on stderr, if that is a terminal.
    #[must_use]
    pub fn with_bar(&self, wanted: bool) -> Self {
        let visible =
            wanted && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            bar: visible.then(ProgressBar::no_length),
            ..self.clone()
        }
    }

    /// The sink for the journal, if stderr leads there.
    pub fn journal(&self) -> Option<JournalReport> {
        self.is_connected_to_journal()
            .then(|| JournalReport::new(self.clone()))
    }

    /// Whether stderr is connected to the journal.
    pub(super) fn is_connected_to_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// A console whose errors are sent to this journal.
    #[cfg(all(test, unix))]
    pub(super) fn to_journal(journal: Journal) -> Self {
        Self {
            bar: None,
            journal: Some(journal),
            write_error: Arc::default(),
            repeats_errors: Arc::default(),
        }
    }

    /// The bar, if there is one.
    pub(super) fn bar(&self) -> Option<&ProgressBar> {
        self.bar.as_ref()
    }

    /// Writes lines to stdout in one call, so that blocks are never mixed.
    pub fn out(&self, lines: &Lines) {
        self.document(lines.as_str());
    }

    /// Writes the program's own text to stdout, with its line breaks.
    pub fn text(&self, text: &str) {
        self.out(&Lines::from_text(text));
    }

    /// Writes a document for programs to stdout as it is. Its format escapes text from outside.
    pub fn document(&self, text: &str) {
        self.write(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        });
    }

    /// Writes a JSON document to stdout, with control characters escaped.
    pub fn json(&self, document: &str) {
        self.document(&text::json(document));
    }

    /// Lets `make` write a document to stdout, piece by piece.
    pub(super) fn stream(&self, make: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        self.write(|| {
            let mut stdout = BufWriter::new(io::stdout().lock());
            make(&mut stdout)?;
            stdout.flush()
        });
    }

    /// Writes one line to stderr, or to the journal with a priority if stderr is connected to it. An error of
    /// stderr is ignored: there is no other place to report it.
    pub fn error(&self, line: &str) {
        self.error_text(&text::one_line(line));
    }

    /// Like [`Self::error`], for the program's own messages, which may have several lines.
    pub fn error_text(&self, text: &str) {
        if self.is_connected_to_journal() {
            self.send(&Entry::new(Priority::from_line(text), text));
        } else {
            self.line(text);
        }
    }

    /// Whether the error that stops the run is written to stdout as well, where the C# tool writes it and
    /// log files and wrappers expect it. Applies to all clones.
    pub fn repeat_errors_on_stdout(&self, repeats: bool) {
        self.repeats_errors.store(repeats, Ordering::Relaxed);
    }

    /// Writes the error that stops the run to stdout, if it must be repeated there: not to a terminal, and
    /// not to a file that is stderr as well.
    pub fn repeat_error(&self, message: &str) {
        let is_wanted = self.repeats_errors.load(Ordering::Relaxed);
        if is_wanted && !io::stdout().is_terminal() && !platform::streams_are_one() {
            let lines = message.lines().map(str::trim);
            let parts: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            let mut line = Lines::default();
            line.line(parts.join(" "));
            self.out(&line);
        }
    }

    /// Writes one line for people: at a terminal, to the journal, and anywhere with `--debug`. A run
    /// from cron that succeeds leaves stderr empty, because cron mails all of it.
    pub fn notice(&self, line: &str, debug: bool) {
        if self.takes_notices(debug) {
            self.error(line);
        }
    }

    /// Whether notices are written.
    pub fn takes_notices(&self, debug: bool) -> bool {
        debug || self.is_connected_to_journal() || io::stderr().is_terminal()
    }

    /// Sends an entry to the journal, or writes its line to stderr if the journal does not accept it.
    pub(super) fn send(&self, entry: &Entry) {
        let sent = |journal: &Journal| journal.send(entry);
        if !self.journal.as_ref().is_some_and(sent) {
            self.line(entry.line());
        }
    }

    fn line(&self, line: &str) {
        self.above_bar(|| write_error_text(line));
    }

    /// The first error of stdout. A reader that has closed it (`| head`) is not an error.
    pub fn write_error(&self) -> Option<io::Error> {
        let error = self
            .write_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    fn write(&self, write: impl FnOnce() -> io::Result<()>) {
        if let Err(error) = self.above_bar(write) {
            self.write_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
        }
    }

    fn above_bar<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// Writes one line to stderr.
pub(super) fn write_error_line(line: &str) {
    write_error_text(&text::one_line(line));
}

fn write_error_text(text: &str) {
    // There is no other place to report a failure.
    let _ = writeln!(io::stderr().lock(), "{}", text::lines(text));
}

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    /// Whether stdout and stderr are the same file.
    pub(super) fn streams_are_one() -> bool {
        let stdout = identity(io::stdout());
        stdout.is_some() && stdout == identity(io::stderr())
    }

    fn identity(stream: impl AsFd) -> Option<(u64, u64)> {
        let file = stream.as_fd().try_clone_to_owned().map(File::from).ok()?;
        let metadata = file.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

#[cfg(not(unix))]
mod platform {
    /// Unknown here: a line printed twice is better than a missing line.
    pub(super) fn streams_are_one() -> bool {
        false
    }
}
