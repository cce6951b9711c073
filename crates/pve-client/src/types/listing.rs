// SPDX-License-Identifier: GPL-3.0-only
//! Listings in which some entries may be unreadable.

use std::ops::Deref;

/// A listing: its readable entries, and excerpts of the others.
///
/// It dereferences to its readable entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries that could be read.
    pub entries: Vec<T>,
    /// The others, each as a short piece of its JSON. The text is the server's.
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
