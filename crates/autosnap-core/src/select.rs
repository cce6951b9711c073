// SPDX-License-Identifier: GPL-3.0-only
//! The selection of guests: the expression of `--vmid`, parsed once, evaluated on an inventory.

use std::fmt;

use crate::guest::Guest;
use crate::storage::StorageUsage;

/// What is known of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All guests the login may see.
    pub guests: Vec<Guest>,
    /// All nodes.
    pub nodes: Vec<NodeInfo>,
    /// All pools the login may see, nested ones with their parents (`lab/nested`).
    pub pools: Vec<String>,
    /// The storages of all nodes.
    pub storages: Vec<StorageUsage>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Whether it belongs to the running part of the cluster.
    pub online: bool,
}

/// A parsed selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    text: String,
}

/// A selection that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No text at all.
    #[error("the selection of guests is empty")]
    Empty,
}

/// What a selection selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The guests, ordered by node, then ID; each once.
    pub guests: Vec<Guest>,
    /// The terms that selected nothing.
    pub warnings: Vec<SelectionWarning>,
}

/// A term that selected nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionWarning {
    /// The term as it was typed.
    pub term: String,
    /// The nearest term that would select something.
    pub nearest: Option<String>,
}

impl Selection {
    /// Understands an expression.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        if text.is_empty() {
            Err(SelectionError::Empty)
        } else {
            Ok(Self {
                text: text.to_owned(),
            })
        }
    }

    /// The expression as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Selects guests of an inventory.
    pub fn evaluate(&self, inventory: &Inventory) -> Selected {
        let _ = inventory;
        unimplemented!("follows in the next commit")
    }
}

impl fmt::Display for SelectionWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` selects no guest", self.term)
    }
}
