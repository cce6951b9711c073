// SPDX-License-Identifier: GPL-3.0-only
//! Parameter files: an argument `@FILE` stands for the arguments in FILE.
//!
//! The rules are those of .NET's `System.CommandLine` (`StringExtensions.cs`, `CliParser.cs`), which the C# tool is built
//! on, because people's files were written for it:
//!
//! - Arguments are separated by blanks and line breaks. `"…"` keeps blanks in an argument; the quotes themselves go.
//!   A quote that opens an argument ends it when it closes: `"a b"c` is two arguments. There is no escape character.
//! - A line whose first character that is not blank is `#` is a comment.
//! - A file may name further files; all paths are relative to the working directory. After `--` there are no files.
//!
//! Three things differ on purpose: a missing closing quote is an error (there the rest of the line is lost silently),
//! files that include each other are (there the stack overflows), and a guest selection after `--vmid` is never a file.
//! This module knows nothing else about options. Files can hold secrets, so no error quotes from them.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::input_file::{self, ReadError};
use crate::line::{Line, Origin, Word};
use autosnap::sensitive;

/// How deep files may name files, for the case that one is reached under ever new names.
const DEPTH_LIMIT: usize = 16;
/// How many arguments files may hold together. Files that name others twice multiply.
const ARGUMENT_LIMIT: usize = 10_000;
/// How large a file may be. Whatever is larger, such as a device, was not meant.
const SIZE_LIMIT: u64 = 1024 * 1024;

/// A parameter file that cannot be used, and who named it.
#[derive(Debug, Error)]
#[error(
    "parameter file {}{} {problem}",
    sensitive::displayed_path(path),
    NamedBy(named_by)
)]
pub struct ResponseFileError {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The files that led to it, the one on the command line first, each with the line that names the next one.
    pub named_by: Vec<(PathBuf, usize)>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a parameter file. Displayed as the rest of a sentence that begins with the file.
#[derive(Debug, Error)]
pub enum Problem {
    /// There is no such file.
    #[error("does not exist")]
    Missing,
    /// There is no such file, and its path begins with `~`.
    #[error("does not exist: a shell does not replace ~ after @; write the whole path")]
    Home,
    /// It is there, and cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// A directory or a device.
    #[error("cannot be read: {0}")]
    NotAFile(ReadError),
    /// It holds an API token or an encrypted password instead of options.
    #[error(
        "holds a secret instead of options; write --api-token=file:PATH or --password=file:PATH"
    )]
    Secret,
    /// No text: a zero byte, or UTF-16 that is cut off.
    #[error("is not a text file; save it as UTF-8")]
    NotText,
    /// Bytes outside of comments that are not UTF-8.
    #[error("is not UTF-8 in line {line}; save it as UTF-8")]
    NotUtf8 {
        /// Counted from one.
        line: usize,
    },
    /// Larger than a megabyte.
    #[error("is too large to be a parameter file")]
    TooLarge,
    /// A quote is opened and not closed.
    #[error("has no closing quote in line {line}")]
    OpenQuote {
        /// Counted from one.
        line: usize,
    },
    /// It is being read already.
    #[error("includes itself")]
    Loop,
    /// Files name files, and so on.
    #[error("is nested too deeply")]
    TooDeep,
    /// More arguments than any command line has.
    #[error("leads to too many arguments")]
    TooMany,
}

struct NamedBy<'a>(&'a [(PathBuf, usize)]);

impl fmt::Display for NamedBy<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (path, line)) in self.0.iter().rev().enumerate() {
            let start = if position == 0 { " (" } else { ", " };
            let path = sensitive::displayed_path(path);
            write!(formatter, "{start}named in line {line} of {path}")?;
        }
        formatter.write_str(if self.0.is_empty() { "" } else { ")" })
    }
}

/// Replaces every `@FILE` in `arguments`, which do not include the program's name, by what the file holds.
///
/// Arguments that are not Unicode are passed on as they are.
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

/// A file being read: as it was named, and where it really is.
struct Open {
    path: PathBuf,
    real: PathBuf,
    /// The line that names it in the file before it in the chain.
    named_in: usize,
}

#[derive(Default)]
struct Expansion {
    result: Line,
    chain: Vec<Open>,
    /// How many arguments were read, those that name files included: a file without any other still costs time.
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

    /// Whether `argument` is what `--vmid`, the argument before it, expects. Other words remain files, for `--vmid @FILE`
    /// works in the C# tool.
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
        self.chain.push(Open {
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

    /// Whether the option before is one whose value is a secret: `--api-token @FILE` works in the C# tool.
    fn expects_secret(&self) -> bool {
        self.expects_value_of(&["--api-token", "--password"])
    }

    /// Whether the word before is one of these options with its value still to come: `--vmid`, `--vmid=` or `--vmid:`.
    fn expects_value_of(&self, options: &[&str]) -> bool {
        let before = self.result.words.last();
        let before = before.and_then(|word| word.text.to_str());
        before.is_some_and(|text| options.contains(&text.strip_suffix(['=', ':']).unwrap_or(text)))
    }

    fn check(&self, path: &Path) -> Result<PathBuf, Problem> {
        // A pipe has no other name, and is gone once it was read.
        let real = if input_file::is_pipe(path) {
            path.to_owned()
        } else {
            fs::canonicalize(path).map_err(|error| refused(path, error))?
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
        let named_by = paths.zip(lines).collect();
        ResponseFileError {
            path: path.to_owned(),
            named_by,
            problem,
        }
    }
}

fn refused(path: &Path, error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound if path.starts_with("~") => Problem::Home,
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error),
    }
}

/// The text of a parameter file, and whether others can read it.
fn read(path: &Path) -> Result<(String, bool), Problem> {
    let (bytes, metadata) = input_file::read(path, SIZE_LIMIT).map_err(|error| match error {
        ReadError::Io(error) => refused(path, error),
        ReadError::TooLarge => Problem::TooLarge,
        other @ (ReadError::Directory | ReadError::Device) => Problem::NotAFile(other),
    })?;
    Ok((decode(&bytes)?, input_file::others_can_read(&metadata)))
}

/// Whether a file, if it can be read, holds a secret instead of options.
pub fn holds_secret(path: &Path) -> bool {
    // A pipe would be empty afterwards, or keep us waiting.
    let words = (!input_file::is_pipe(path))
        .then(|| read(path).ok())
        .flatten()
        .and_then(|(text, _)| split(&text).ok());
    words.is_some_and(|words| is_secret(&words))
}

/// A file that holds a secret and nothing else was meant for `file:PATH`.
fn is_secret(words: &[(usize, String)]) -> bool {
    let [(_, word)] = words else { return false };
    // `api-token=…` is an option without its dashes.
    let name = word.split('=').next().unwrap_or_default();
    let is_option = !name.contains('!') && sensitive::names_secret(name);
    !word.starts_with(['-', '@']) && !is_option && sensitive::looks_like_secret(word)
}

/// The encodings that .NET recognises by a byte order mark, UTF-16 being what PowerShell 5 writes; else UTF-8.
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
    // A NUL can be in no argument; it means UTF-16 without its mark, or no text at all.
    text.filter(|text| !text.contains('\0'))
        .ok_or(Problem::NotText)
}

/// Text in UTF-8, in whose comments any bytes may stand: they are often in an older encoding.
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
        // The second half of a line end of Windows ends no other line.
        let is_rest = line == b"\n" && text.ends_with("\r\n");
        number += usize::from(!is_rest);
    }
    Ok(text)
}

/// The arguments, each with the number of its line, counted from one.
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

/// Where the first blank outside quotes is, or the end.
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
