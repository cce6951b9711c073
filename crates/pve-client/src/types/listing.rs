// SPDX-License-Identifier: GPL-3.0-only
//! Lists in which some entries may be unreadable.

use std::ops::Deref;

/// A list: its valid entries, and excerpts of those that cannot be read.
///
/// It dereferences to the valid entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The valid entries.
    pub entries: Vec<T>,
    /// The beginning of the JSON of each other entry. The text comes from the server.
    pub unreadable: Vec<String>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl<T> Deref for Listing<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.entries
    }
}

impl<T> IntoIterator for Listing<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
