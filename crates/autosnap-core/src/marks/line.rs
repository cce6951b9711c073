// SPDX-License-Identifier: GPL-3.0-only
//! One line of a description below the first.

use std::fmt::Write;

use jiff::Timestamp;

use super::{Hold, Mark, MarkKind, MarkText};

/// How every mark begins.
pub(super) const PREFIX: &str = "autosnap: ";

/// A line as it was read or will be written, without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    content: Content,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Empty.
    Blank,
    /// A mark.
    Mark(Mark),
    /// A line that cannot be read; its kind if it begins like a mark.
    Unreadable(Option<MarkKind>),
}

impl Line {
    /// Reads a line.
    pub(super) fn parse(text: &str) -> Self {
        let content = match text.strip_prefix(PREFIX) {
            _ if text.is_empty() => Content::Blank,
            None => Content::Unreadable(None),
            Some(mark) => match parse_mark(mark) {
                Ok(mark) => Content::Mark(mark),
                Err(InvalidMark) => Content::Unreadable(kind_of(mark)),
            },
        };
        Self {
            text: text.to_owned(),
            content,
        }
    }

    /// The line of a mark.
    pub(super) fn of(mark: Mark) -> Self {
        Self {
            text: format!("{PREFIX}{}", written(&mark)),
            content: Content::Mark(mark),
        }
    }

    /// The text of the line.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What the line is.
    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Whether the line is empty.
    pub(super) fn is_blank(&self) -> bool {
        self.content == Content::Blank
    }

    /// Whether the line is a mark of this kind, or begins like one.
    pub(super) fn is_of(&self, kind: MarkKind) -> bool {
        match &self.content {
            Content::Blank => false,
            Content::Mark(mark) => mark.kind() == kind,
            Content::Unreadable(begins) => *begins == Some(kind),
        }
    }

    /// Declares the line unreadable: a mark of its kind stands before it.
    pub(super) fn make_unreadable(&mut self) {
        if let Content::Mark(mark) = &self.content {
            self.content = Content::Unreadable(Some(mark.kind()));
        }
    }
}

fn written(mark: &Mark) -> String {
    match mark {
        Mark::Hold(hold) => {
            let mut text = "hold".to_owned();
            let mut add = |field: &str, value: Option<String>| {
                if let Some(value) = value {
                    write!(text, " {field}={value}").expect("writing to a string cannot fail");
                }
            };
            add("since", hold.since.map(|time| time.to_string()));
            add("until", hold.until.map(|time| time.to_string()));
            add("reason", hold.reason.as_ref().map(MarkText::escaped));
            text
        }
        Mark::Expire(at) => format!("expire at={at}"),
        Mark::Note(text) => format!("note text={}", text.escaped()),
    }
}

fn kind_of(mark: &str) -> Option<MarkKind> {
    match mark.split(' ').next() {
        Some("hold") => Some(MarkKind::Hold),
        Some("expire") => Some(MarkKind::Expire),
        Some("note") => Some(MarkKind::Note),
        Some(_) | None => None,
    }
}

/// A line that begins like a mark and is none.
struct InvalidMark;

fn parse_mark(mark: &str) -> Result<Mark, InvalidMark> {
    let (word, _) = mark.split_once(' ').unwrap_or((mark, ""));
    let mut fields = Fields(&mark[word.len()..]);
    let mark = match kind_of(mark).ok_or(InvalidMark)? {
        MarkKind::Hold => Mark::Hold(Hold {
            since: fields.time(" since=")?,
            until: fields.time(" until=")?,
            reason: fields.text(" reason=")?,
        }),
        MarkKind::Expire => Mark::Expire(fields.time(" at=")?.ok_or(InvalidMark)?),
        MarkKind::Note => Mark::Note(fields.text(" text=")?.ok_or(InvalidMark)?),
    };
    if fields.0.is_empty() {
        Ok(mark)
    } else {
        Err(InvalidMark)
    }
}

/// The fields of a mark that are not read yet.
struct Fields<'a>(&'a str);

impl Fields<'_> {
    /// The time in the next field, if that is `field`.
    fn time(&mut self, field: &str) -> Result<Option<Timestamp>, InvalidMark> {
        let Some(rest) = self.0.strip_prefix(field) else {
            return Ok(None);
        };
        let end = rest.find(' ').unwrap_or(rest.len());
        let time = rest[..end].parse().map_err(|_| InvalidMark)?;
        self.0 = &rest[end..];
        Ok(Some(time))
    }

    /// The text in the last field, if that is `field`.
    fn text(&mut self, field: &str) -> Result<Option<MarkText>, InvalidMark> {
        let Some(text) = self.0.strip_prefix(field) else {
            return Ok(None);
        };
        self.0 = "";
        let text = MarkText::from_escaped(text);
        text.map(Some).ok_or(InvalidMark)
    }
}
