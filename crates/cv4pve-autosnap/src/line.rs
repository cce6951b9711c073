// SPDX-License-Identifier: GPL-3.0-only
//! The words of a command line after parameter files are expanded, each with its origin.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A word and its origin.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// The word. It may be a secret, so there is no `Debug`.
    pub text: OsString,
    /// Its origin.
    pub origin: Origin,
}

/// Where a word is written: on the command line, or in a line of a parameter file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    source: usize,
    line: usize,
}

impl Origin {
    /// The command line itself.
    pub const TYPED: Self = Self { source: 0, line: 0 };

    /// Another line of the same source, counted from one.
    #[must_use]
    pub fn at_line(self, line: usize) -> Self {
        Self { line, ..self }
    }

    /// The number of the line in its file, counted from one.
    pub fn line(self) -> usize {
        self.line
    }

    /// Whether the word was typed on the command line.
    pub fn is_typed(self) -> bool {
        self.source == 0
    }

    /// Whether both words are in the same file, or both on the command line. A file that is
    /// included twice counts as two.
    pub fn same_source(self, other: Self) -> bool {
        self.source == other.source
    }
}

/// A parameter file and the source that includes it.
#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    parent: usize,
    others_can_read: bool,
}

/// A whole command line.
#[derive(Clone, Default)]
pub struct Line {
    /// The words, without the name of the program.
    pub words: Vec<Word>,
    /// The parameter files in the order in which they were opened; the first has the number 1.
    files: Vec<Source>,
}

impl Line {
    /// A line without parameter files.
    pub fn typed(words: impl IntoIterator<Item = OsString>) -> Self {
        let words = words.into_iter().map(|text| Word {
            text,
            origin: Origin::TYPED,
        });
        Self {
            words: words.collect(),
            files: Vec::new(),
        }
    }

    /// Adds a parameter file and returns the origin of its first line.
    pub fn open(&mut self, path: &Path, included_from: Origin, others_can_read: bool) -> Origin {
        self.files.push(Source {
            path: path.to_owned(),
            parent: included_from.source,
            others_can_read,
        });
        Origin {
            source: self.files.len(),
            line: 1,
        }
    }

    /// The file of an origin, if other users can read it.
    pub fn readable_file(&self, origin: Origin) -> Option<&Path> {
        let file = self.files.get(origin.source.checked_sub(1)?)?;
        file.others_can_read.then_some(file.path.as_path())
    }

    /// The file of an origin; `None` for the command line.
    pub fn file(&self, origin: Origin) -> Option<&Path> {
        let index = origin.source.checked_sub(1)?;
        self.files.get(index).map(|file| file.path.as_path())
    }

    /// The location as `line 3 of job.conf`; `None` for the command line.
    pub fn location(&self, origin: Origin) -> Option<String> {
        let file = self.file(origin)?;
        Some(format!("line {} of {}", origin.line, file.display()))
    }

    /// ` in line 3 of job.conf`, to be appended to a message; empty for the command line.
    pub fn location_suffix(&self, origin: Origin) -> String {
        self.location(origin)
            .map(|location| format!(" in {location}"))
            .unwrap_or_default()
    }

    /// The origin whose value takes effect. The command line overrides every file, a file overrides those
    /// that it includes, and of two files in one source the later one wins.
    pub fn winner(&self, origins: impl IntoIterator<Item = Origin>) -> Option<Origin> {
        // The numbers of the files from the command line to the word, and MAX at the end: where one path is
        // the beginning of the other, the outer source is greater.
        let key = |origin: &Origin| {
            let mut path = vec![usize::MAX];
            let mut source = origin.source;
            while let Some(index) = source.checked_sub(1) {
                path.push(source);
                source = self.files.get(index).map_or(0, |file| file.parent);
            }
            path.reverse();
            path
        };
        origins.into_iter().max_by_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_sources_and_later_files_win() {
        let mut line = Line::typed([]);
        let first = line.open(Path::new("first"), Origin::TYPED, false);
        let inner = line.open(Path::new("inner"), first, false);
        let second = line.open(Path::new("second"), Origin::TYPED, false);
        for (origins, expected) in [
            ([Origin::TYPED, second], Origin::TYPED),
            ([second, Origin::TYPED], Origin::TYPED),
            ([first, inner], first),
            ([inner, second], second),
            ([first, second], second),
        ] {
            assert_eq!(line.winner(origins), Some(expected), "{origins:?}");
        }
        assert_eq!(line.winner([]), None);
        assert_eq!(line.location(inner.at_line(7)).unwrap(), "line 7 of inner");
    }
}
