// SPDX-License-Identifier: GPL-3.0-only
//! Parameter files: an argument `@FILE` stands for the arguments in FILE.
//!
//! The rules are those of .NET's `System.CommandLine` (`StringExtensions.cs`, `CliParser.cs`), because existing files
//! were written for the C# tool, which uses it:
//!
//! - White space separates arguments. `"…"` keeps it in an argument; the quotes are removed. If an argument begins with
//!   a quote, the closing quote ends it: `"a b"c` is two arguments. There is no escape character.
//! - A line that begins with `#`, with or without white space before it, is a comment.
//! - A file may include other files; all paths are relative to the working directory. `@FILE` after `--` is not
//!   expanded.
//!
//! Three differences are intended: a missing closing quote is an error (.NET drops the rest of the line), a file that
//! includes itself is an error (.NET overflows its stack), and a guest selection after `--vmid` is never a file.
//! Files can hold secrets, so no error message quotes them.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::input_file::{self, ReadError};
use crate::line::{Line, Origin, Word};
use crate::sensitive;

/// The maximum nesting of files: a file could include itself under ever new names.
const DEPTH_LIMIT: usize = 16;
/// The maximum number of arguments in all files: files that include others twice multiply them.
const ARGUMENT_LIMIT: usize = 10_000;
/// The maximum size of a file.
const SIZE_LIMIT: u64 = 1024 * 1024;

/// An error in a parameter file, with the files that include it.
#[derive(Debug, Error)]
#[error(
    "parameter file {}{} {problem}",
    sensitive::displayed_path(path),
    IncludedBy(included_by)
)]
pub struct ResponseFileError {
    /// The path, as it is written.
    pub path: PathBuf,
    /// The files that include it, the one on the command line first, each with the line that names the next one.
    pub included_by: Vec<(PathBuf, usize)>,
    /// The problem.
    pub problem: Problem,
}

/// A problem with a parameter file. Displayed as the rest of a sentence that begins with the file.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file does not exist.
    #[error("does not exist")]
    Missing,
    /// The file does not exist, and its path begins with `~`.
    #[error("does not exist: a shell does not expand ~ after @; write the whole path")]
    Home,
    /// The operating system refused to read it.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// A directory or a device.
    #[error("cannot be read: {0}")]
    NotAFile(ReadError),
    /// It contains an API token or an encrypted password instead of options.
    #[error(
        "contains a secret instead of options; write --api-token=file:PATH or --password=file:PATH"
    )]
    Secret,
    /// Not text: it has a zero byte, or invalid UTF-16.
    #[error("is not a text file; save it as UTF-8")]
    NotText,
    /// Invalid UTF-8 outside of comments.
    #[error("is not UTF-8 in line {line}; save it as UTF-8")]
    NotUtf8 {
        /// Counted from one.
        line: usize,
    },
    /// Larger than a megabyte.
    #[error("is too large to be a parameter file")]
    TooLarge,
    /// A closing quote is missing.
    #[error("has no closing quote in line {line}")]
    OpenQuote {
        /// Counted from one.
        line: usize,
    },
    /// The file includes itself, directly or through others.
    #[error("includes itself")]
    Loop,
    /// Files include files more than `DEPTH_LIMIT` deep.
    #[error("is nested too deeply")]
    TooDeep,
    /// The files hold more than `ARGUMENT_LIMIT` arguments together.
    #[error("leads to too many arguments")]
    TooMany,
}

struct IncludedBy<'a>(&'a [(PathBuf, usize)]);

impl fmt::Display for IncludedBy<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (path, line)) in self.0.iter().rev().enumerate() {
            let start = if position == 0 { " (" } else { ", " };
            let path = sensitive::displayed_path(path);
            write!(formatter, "{start}named in line {line} of {path}")?;
        }
        formatter.write_str(if self.0.is_empty() { "" } else { ")" })
    }
}

/// Replaces every `@FILE` in `arguments`, without the program's name, by the arguments in the file.
///
/// Arguments that are not Unicode are kept.
pub fn expand(arguments: impl Iterator<Item = OsString>) -> Result<Line, ResponseFileError> {
    let mut expansion = Expansion::default();
    let mut only_values = false;
    for argument in arguments {
        only_values |= argument == "--";
        match argument.to_str() {
            Some(text) if !only_values => expansion.add(text, Origin::TYPED)?,
            Some(_) | None => expansion.push(argument, Origin::TYPED),
        }
    }
    Ok(expansion.result)
}

/// A file that is being expanded.
struct OpenFile {
    /// The path, as it is written.
    path: PathBuf,
    /// The canonical path.
    real: PathBuf,
    /// The line that names it in the file before it in the chain.
    named_in: usize,
}

#[derive(Default)]
struct Expansion {
    result: Line,
    /// The open files, each included by the one before.
    chain: Vec<OpenFile>,
    /// How many arguments were read, those that name files included.
    read: usize,
}

impl Expansion {
    fn add(&mut self, argument: &str, origin: Origin) -> Result<(), ResponseFileError> {
        match argument.strip_prefix('@') {
            Some(path) if !path.is_empty() && !self.is_selection(argument) => {
                self.add_file(Path::new(path), origin)
            }
            Some(_) | None => {
                self.push(argument.into(), origin);
                Ok(())
            }
        }
    }

    fn push(&mut self, text: OsString, origin: Origin) {
        self.result.words.push(Word { text, origin });
    }

    /// Whether `argument` is a guest selection after `--vmid`. Other words are files: `--vmid @FILE` works in the C#
    /// tool.
    fn is_selection(&self, argument: &str) -> bool {
        let first_term = argument
            .split(',')
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_lowercase();
        let selects = first_term == "@all"
            || ["@all-", "@node-", "@pool-", "@tag-"]
                .iter()
                .any(|prefix| first_term.starts_with(prefix));
        selects && self.expects_value_of(&["--vmid"])
    }

    fn add_file(&mut self, path: &Path, named_at: Origin) -> Result<(), ResponseFileError> {
        let real = self
            .check(path)
            .map_err(|problem| self.error(path, named_at, problem))?;
        let (text, others_can_read) =
            read(&real).map_err(|problem| self.error(path, named_at, problem))?;
        let words = split(&text).map_err(|problem| self.error(path, named_at, problem))?;
        if is_secret(&words) && !self.expects_secret() {
            return Err(self.error(path, named_at, Problem::Secret));
        }
        self.read += words.len();
        if self.read > ARGUMENT_LIMIT {
            return Err(self.error(path, named_at, Problem::TooMany));
        }
        self.chain.push(OpenFile {
            path: path.to_owned(),
            real,
            named_in: named_at.line(),
        });
        let start = self.result.open(path, named_at, others_can_read);
        for (line, word) in words {
            self.add(&word, start.at_line(line))?;
        }
        self.chain.pop();
        Ok(())
    }

    /// Whether the value of a secret option follows: `--api-token @FILE` works in the C# tool.
    fn expects_secret(&self) -> bool {
        self.expects_value_of(&["--api-token", "--password"])
    }

    /// Whether the last word is one of these options without its value: `--vmid`, `--vmid=` or `--vmid:`.
    fn expects_value_of(&self, options: &[&str]) -> bool {
        let before = self.result.words.last();
        let before = before.and_then(|word| word.text.to_str());
        before.is_some_and(|text| options.contains(&text.strip_suffix(['=', ':']).unwrap_or(text)))
    }

    /// Checks that the file may be included here, and returns its canonical path.
    fn check(&self, path: &Path) -> Result<PathBuf, Problem> {
        // A pipe has no canonical path.
        let real = if input_file::is_pipe(path) {
            path.to_owned()
        } else {
            fs::canonicalize(path).map_err(|error| io_problem(path, error))?
        };
        if self.chain.iter().any(|open| open.real == real) {
            return Err(Problem::Loop);
        }
        if self.chain.len() >= DEPTH_LIMIT {
            return Err(Problem::TooDeep);
        }
        Ok(real)
    }

    fn error(&self, path: &Path, named_at: Origin, problem: Problem) -> ResponseFileError {
        let next = self.chain.iter().skip(1).map(|open| open.named_in);
        let lines = next.chain([named_at.line()]);
        let paths = self.chain.iter().map(|open| open.path.clone());
        let included_by = paths.zip(lines).collect();
        ResponseFileError {
            path: path.to_owned(),
            included_by,
            problem,
        }
    }
}

fn io_problem(path: &Path, error: io::Error) -> Problem {
    if error.kind() != io::ErrorKind::NotFound {
        Problem::Unreadable(error)
    } else if path.starts_with("~") {
        Problem::Home
    } else {
        Problem::Missing
    }
}

/// Reads a parameter file; returns its text and whether other users can read it.
fn read(path: &Path) -> Result<(String, bool), Problem> {
    let (bytes, metadata) = input_file::read(path, SIZE_LIMIT).map_err(|error| match error {
        ReadError::Io(error) => io_problem(path, error),
        ReadError::TooLarge => Problem::TooLarge,
        other @ (ReadError::Directory | ReadError::Device) => Problem::NotAFile(other),
    })?;
    Ok((decode(&bytes)?, input_file::others_can_read(&metadata)))
}

/// Whether a file holds a secret instead of options; `false` if it cannot be read.
pub fn holds_secret(path: &Path) -> bool {
    // A pipe can be read only once, and reading may block.
    let words = (!input_file::is_pipe(path))
        .then(|| read(path).ok())
        .flatten()
        .and_then(|(text, _)| split(&text).ok());
    words.is_some_and(|words| is_secret(&words))
}

/// Whether the only word of a file is a secret: the file was meant for `file:PATH`.
fn is_secret(words: &[(usize, String)]) -> bool {
    let [(_, word)] = words else { return false };
    // `api-token=…` is an option without its dashes.
    let name = word.split('=').next().unwrap_or_default();
    let is_option = !name.contains('!') && sensitive::names_secret(name);
    !word.starts_with(['-', '@']) && !is_option && sensitive::looks_like_secret(word)
}

/// Decodes a file by its byte order mark, as .NET does; UTF-8 without one. PowerShell 5 writes UTF-16.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, Problem> {
    let units = |convert: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(convert).collect();
        rest.is_empty()
            .then(|| String::from_utf16(&units).ok())
            .flatten()
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => Some(decode_lines(rest)?),
        _ => Some(decode_lines(bytes)?),
    };
    // No argument contains NUL: the file is UTF-16 without a byte order mark, or not text.
    text.filter(|text| !text.contains('\0'))
        .ok_or(Problem::NotText)
}

/// Decodes UTF-8. Comments may contain any bytes, because they are often in an older encoding.
fn decode_lines(bytes: &[u8]) -> Result<String, Problem> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let mut text = String::new();
    let mut number = 1;
    for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        match std::str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) if line.trim_ascii_start().starts_with(b"#") => {
                text.push_str(&String::from_utf8_lossy(line));
            }
            Err(_) => return Err(Problem::NotUtf8 { line: number }),
        }
        // CR LF is one line end.
        let is_second_half = line == b"\n" && text.ends_with("\r\n");
        number += usize::from(!is_second_half);
    }
    Ok(text)
}

/// Splits a text into arguments, each with the number of its line, counted from one.
pub(crate) fn split(text: &str) -> Result<Vec<(usize, String)>, Problem> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut arguments = Vec::new();
    for (index, line) in text
        .split('\n')
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'))
    {
        let number = index + 1;
        let mut words = Vec::new();
        split_line(line, &mut words).map_err(|OpenQuote| Problem::OpenQuote { line: number })?;
        arguments.extend(words.into_iter().map(|word| (number, word)));
    }
    Ok(arguments)
}

struct OpenQuote;

fn split_line(line: &str, arguments: &mut Vec<String>) -> Result<(), OpenQuote> {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let length = match rest.strip_prefix('"') {
            Some(quoted) => 2 + quoted.find('"').ok_or(OpenQuote)?,
            None => end_of_word(rest)?,
        };
        let (word, after) = rest.split_at(length);
        // `""` is an empty argument, as in .NET.
        arguments.push(word.replace('"', ""));
        rest = after.trim_start();
    }
    Ok(())
}

/// The position of the first white space outside quotes, or the length of the text.
fn end_of_word(text: &str) -> Result<usize, OpenQuote> {
    let mut quoted = false;
    for (position, character) in text.char_indices() {
        quoted ^= character == '"';
        if !quoted && character.is_whitespace() {
            return Ok(position);
        }
    }
    if quoted {
        Err(OpenQuote)
    } else {
        Ok(text.len())
    }
}

#[cfg(test)]
mod tests;
