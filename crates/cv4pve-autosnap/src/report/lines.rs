// SPDX-License-Identifier: GPL-3.0-only
//! Lines of a report. All text in them is escaped here, and nowhere else.

use std::fmt::Display;

use autosnap_core::text;

/// Lines for stdout, made of our own text and of text from outside.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Lines(String);

impl Lines {
    /// Splits a text of this program into lines; line breaks and tabs stay.
    pub fn from_text(text: &str) -> Self {
        let mut lines = Self::default();
        lines.text(text);
        lines
    }

    /// Adds one line. Line breaks in it are escaped: they would forge another line.
    pub fn line(&mut self, line: impl Display) {
        self.0.push_str(&text::one_line(&line.to_string()));
        self.0.push('\n');
    }

    /// Adds text that may have several lines, such as the output of a hook.
    pub fn text(&mut self, text: &str) {
        self.0.push_str(&text::lines(text));
        if !self.0.is_empty() && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
    }

    /// Adds other lines.
    pub fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// All lines, with a line break after each.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
