// SPDX-License-Identifier: GPL-3.0-only
//! Marks on single snapshots: a hold, an expiry and a note, kept in the snapshot's description.
//!
//! The first line of the description is exactly that of every snapshot of this tool; marks are lines below it:
//!
//! ```text
//! cv4pve-autosnap
//! autosnap: hold since=2026-11-28T18:00:00Z until=2027-01-31T00:00:00Z reason=before the audit
//! autosnap: expire at=2027-02-28T00:00:00Z
//! autosnap: note text=PostgreSQL 17, before the upgrade
//! ```
//!
//! - A mark begins with `autosnap: ` and one of the words `hold`, `expire`, `note`, and has its fields in this order,
//!   each after one blank. `since`, `until` and `reason` may be missing. Times are RFC 3339.
//! - A text is the last field and takes the rest of the line. Line breaks, tabs, backslashes, invisible characters and
//!   blanks at its ends are escaped ([`MarkText`]), so that a text is never read as another line.
//! - A line that is not such a mark, and a second mark of the same word, is [unreadable](Marks::unreadable): it is kept
//!   as it is and keeps the snapshot like a hold. Empty lines have no meaning.
//!
//! [`MarkedDescription`] changes one mark and leaves all other lines as they are. A description with marks is ours only if it
//! has at least one line that begins with `autosnap: `: text that was typed below our first line makes the snapshot
//! foreign, as it always did.

mod line;
mod text;

use std::fmt;

use jiff::Timestamp;

use crate::snapshot::{DESCRIPTION, FORMER_DESCRIPTION};
use line::{Content, Line};

pub use text::{MAX_TEXT_LENGTH, MarkText, MarkTextError};

/// How many characters of a line that is not a mark are printed in messages.
pub const LINE_EXCERPT: usize = 100;

/// What the marks of a snapshot say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Marks {
    /// The hold, even if its time has passed.
    pub hold: Option<Hold>,
    /// When the snapshot expires.
    pub expires: Option<Timestamp>,
    /// The note.
    pub note: Option<MarkText>,
    /// The lines that are not marks, unchanged. Each keeps the snapshot.
    pub unreadable: Vec<String>,
}

/// A mark that keeps a snapshot: it is not removed and not counted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hold {
    /// When it was set.
    pub since: Option<Timestamp>,
    /// When it ends; `None` for a hold without an end.
    pub until: Option<Timestamp>,
    /// Why the snapshot is held.
    pub reason: Option<MarkText>,
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The snapshot is kept and not counted.
    Hold(Hold),
    /// The snapshot is removed at this time, unless it is held.
    Expire(Timestamp),
    /// A text for people.
    Note(MarkText),
}

/// The kinds of marks; a description has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// [`Mark::Hold`].
    Hold,
    /// [`Mark::Expire`].
    Expire,
    /// [`Mark::Note`].
    Note,
}

impl Mark {
    /// The kind of the mark.
    pub const fn kind(&self) -> MarkKind {
        match self {
            Self::Hold(_) => MarkKind::Hold,
            Self::Expire(_) => MarkKind::Expire,
            Self::Note(_) => MarkKind::Note,
        }
    }
}

impl Hold {
    /// Whether it holds at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl Marks {
    /// Reads the marks in a description; `None` if the snapshot is not ours.
    pub fn parse(description: &str) -> Option<Self> {
        if is_unmarked(description) {
            return Some(Self::default());
        }
        MarkedDescription::parse(description).map(|description| description.marks())
    }

    /// Whether there is no mark and no unreadable line.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the snapshot is kept at this time, by a hold or by a line that cannot be read.
    pub fn is_held(&self, now: Timestamp) -> bool {
        !self.unreadable.is_empty() || self.hold.as_ref().is_some_and(|hold| hold.is_active(now))
    }

    /// When the snapshot expired, if it did and is not held.
    pub fn expired_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires
            .filter(|expires| *expires <= now && !self.is_held(now))
    }
}

/// The description of a snapshot of this tool, with its marks. Every line is kept as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedDescription {
    first: &'static str,
    lines: Vec<Line>,
}

impl Default for MarkedDescription {
    /// The description of a snapshot without marks.
    fn default() -> Self {
        Self {
            first: DESCRIPTION,
            lines: Vec::new(),
        }
    }
}

impl MarkedDescription {
    /// Reads a description; `None` if the snapshot is not ours.
    pub fn parse(description: &str) -> Option<Self> {
        if let Some(first) = unmarked(description) {
            return Some(Self {
                first,
                lines: Vec::new(),
            });
        }
        let (first, below) = split_marked(description)?;
        let mut lines: Vec<Line> = below.split('\n').map(Line::parse).collect();
        for kind in [MarkKind::Hold, MarkKind::Expire, MarkKind::Note] {
            let mut repeated = lines.iter_mut().filter(|line| line.is_of(kind)).skip(1);
            repeated.by_ref().for_each(Line::make_unreadable);
        }
        while lines.last().is_some_and(Line::is_blank) {
            lines.pop();
        }
        Some(Self { first, lines })
    }

    /// What the marks say.
    pub fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        for line in &self.lines {
            match line.content() {
                Content::Blank => {}
                Content::Mark(Mark::Hold(hold)) => marks.hold = Some(hold.clone()),
                Content::Mark(Mark::Expire(at)) => marks.expires = Some(*at),
                Content::Mark(Mark::Note(text)) => marks.note = Some(text.clone()),
                Content::Unreadable(_) => marks.unreadable.push(line.text().to_owned()),
            }
        }
        marks
    }

    /// Sets a mark. It replaces every line of its kind, those that cannot be read included.
    pub fn set(&mut self, mark: Mark) {
        let place = self.lines.iter().position(|line| line.is_of(mark.kind()));
        self.clear(mark.kind());
        let place = place.unwrap_or(usize::MAX).min(self.lines.len());
        self.lines.insert(place, Line::of(mark));
    }

    /// Removes every line of a kind, those that cannot be read included. Returns whether there was one.
    pub fn clear(&mut self, kind: MarkKind) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !line.is_of(kind));
        if self.lines.iter().all(Line::is_blank) {
            self.lines.clear();
        }
        before != self.lines.len()
    }
}

impl fmt::Display for MarkedDescription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.first)?;
        let mut lines = self.lines.iter();
        lines.try_for_each(|line| write!(formatter, "\n{}", line.text()))
    }
}

/// Whether a description is that of a snapshot of this tool, or of the C# tool, with or without marks.
pub(crate) fn is_ours(description: &str) -> bool {
    is_unmarked(description) || split_marked(description).is_some()
}

/// Whether a description is ours without any mark.
pub(crate) fn is_unmarked(description: &str) -> bool {
    unmarked(description).is_some()
}

/// Whether two descriptions are equal as PVE stores them: it cuts white space at the end of that of a VM and ends
/// that of a container with a newline.
pub fn is_stored_as(sent: &str, stored: &str) -> bool {
    sent.trim_end() == stored.trim_end()
}

/// The first line of a description without marks. Newlines are ignored, as in the C# tool, and nothing else.
fn unmarked(description: &str) -> Option<&'static str> {
    let without_newlines = description.bytes().filter(|byte| *byte != b'\n');
    [DESCRIPTION, FORMER_DESCRIPTION]
        .into_iter()
        .find(|first| without_newlines.clone().eq(first.bytes()))
}

/// The first line of a description with marks, and the lines below it.
fn split_marked(description: &str) -> Option<(&'static str, &str)> {
    let (first, below) = description.split_once('\n')?;
    let first = [DESCRIPTION, FORMER_DESCRIPTION]
        .into_iter()
        .find(|known| *known == first)?;
    let mut lines = below.split('\n');
    lines
        .any(|line| line.starts_with(line::PREFIX))
        .then_some((first, below))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
