// SPDX-License-Identifier: GPL-3.0-only
//! Parser for fault files, with errors that name file, line, column, rule, member and the expected
//! values.
//!
//! The visitors are hand-written because derived code does not report the rule and member. Only the
//! first error is reported.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use super::{FaultPlan, RequestFault, RequestPattern, Rule, TaskFault, TaskPattern, When};

/// A fault file could not be read or parsed.
#[derive(Debug, Error)]
pub enum FaultFileError {
    /// The file cannot be read.
    #[error("cannot read the fault file '{file}': {source}")]
    File {
        /// The file's path.
        file: String,
        /// The system error.
        source: io::Error,
    },
    /// The content is not a valid fault plan; the text ends with line and column.
    #[error("invalid fault file '{file}': {source}")]
    Content {
        /// The file's path.
        file: String,
        /// The parse error.
        source: serde_json::Error,
    },
}

impl FaultPlan {
    /// Reads a fault file.
    pub fn read(path: &Path) -> Result<Self, FaultFileError> {
        let file = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| FaultFileError::File {
            file: file(),
            source,
        })?;
        Self::parse(&text).map_err(|source| FaultFileError::Content {
            file: file(),
            source,
        })
    }

    /// Parses a fault file. Errors name line, column, rule and member.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

/// A pattern whose members are stored in the rule, next to `when`, `times` and `effect`.
trait Pattern: Default {
    /// The name of the list of these rules, for error texts.
    const LIST: &'static str;
    /// The names of all members of a rule.
    const MEMBERS: &'static [&'static str];

    /// Reads the member's value, if the pattern has this member.
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

impl Pattern for RequestPattern {
    const LIST: &'static str = "requests";
    const MEMBERS: &'static [&'static str] = &[
        "method", "path", "node", "vmid", "snapname", "when", "times", "effect",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "method" => self.method = Some(value(name, map)?),
            "path" => self.path = Some(value(name, map)?),
            "node" => self.node = Some(value(name, map)?),
            "vmid" => self.vmid = Some(value(name, map)?),
            "snapname" => self.snapname = Some(value(name, map)?),
            unknown => return Err(A::Error::unknown_field(unknown, Self::MEMBERS)),
        }
        Ok(())
    }
}

impl Pattern for TaskPattern {
    const LIST: &'static str = "tasks";
    const MEMBERS: &'static [&'static str] = &[
        "kind", "node", "vmid", "snapname", "when", "times", "effect",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "kind" => self.kind = Some(value(name, map)?),
            "node" => self.node = Some(value(name, map)?),
            "vmid" => self.vmid = Some(value(name, map)?),
            "snapname" => self.snapname = Some(value(name, map)?),
            unknown => return Err(A::Error::unknown_field(unknown, Self::MEMBERS)),
        }
        Ok(())
    }
}

pub(super) fn request_rules<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Rule<RequestPattern, RequestFault>>, D::Error> {
    deserializer.deserialize_seq(RulesVisitor(PhantomData))
}

pub(super) fn task_rules<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Rule<TaskPattern, TaskFault>>, D::Error> {
    deserializer.deserialize_seq(RulesVisitor(PhantomData))
}

struct RulesVisitor<P, F>(PhantomData<(P, F)>);

impl<'de, P: Pattern, F: Deserialize<'de>> Visitor<'de> for RulesVisitor<P, F> {
    type Value = Vec<Rule<P, F>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of rules for '{}'", P::LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut rules = Vec::new();
        loop {
            let next = list.next_element::<ParsedRule<P, F>>().map_err(|error| {
                // Without line and column: serde_json adds those of the end of the text.
                A::Error::custom(format!(
                    "rule {} of '{}': {error}",
                    rules.len() + 1,
                    P::LIST
                ))
            })?;
            match next {
                Some(ParsedRule(rule)) => rules.push(rule),
                None => return Ok(rules),
            }
        }
    }
}

struct ParsedRule<P, F>(Rule<P, F>);

impl<'de, P: Pattern, F: Deserialize<'de>> Deserialize<'de> for ParsedRule<P, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(RuleVisitor(PhantomData))
            .map(ParsedRule)
    }
}

struct RuleVisitor<P, F>(PhantomData<(P, F)>);

impl<'de, P: Pattern, F: Deserialize<'de>> Visitor<'de> for RuleVisitor<P, F> {
    type Value = Rule<P, F>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a rule with at least the member 'effect'")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut pattern, mut effect) = (P::default(), None);
        let (mut when, mut times) = (When::default(), None);
        let mut seen = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format!("duplicate member '{name}'")));
            }
            match name.as_str() {
                "when" => when = value(&name, &mut map)?,
                "times" => times = Some(value(&name, &mut map)?),
                "effect" => effect = Some(value(&name, &mut map)?),
                other => pattern.read(other, &mut map)?,
            }
            seen.push(name);
        }
        let effect = effect.ok_or_else(|| A::Error::missing_field("effect"))?;
        Ok(Rule {
            pattern,
            when,
            times,
            effect,
        })
    }
}

/// Reads the value of a member; errors contain the member's name.
fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    name: &str,
    map: &mut A,
) -> Result<T, A::Error> {
    map.next_value()
        .map_err(|error| A::Error::custom(format!("member '{name}': {error}")))
}
