// SPDX-License-Identifier: GPL-3.0-only
//! Patterns of fault rules, matched against requests and tasks.
//!
//! Limits: a pattern sees path and parameters, but not the raw body, the client or the user.

use std::fmt;

use serde::Deserialize;

/// A text with wildcards: `*` matches any characters except `/`, `**` matches any characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Glob(String);

impl From<String> for Glob {
    fn from(pattern: String) -> Self {
        Self(pattern)
    }
}

impl From<&str> for Glob {
    fn from(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Glob {
    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        fits(self.0.as_bytes(), text.as_bytes())
    }
}

/// Scans the text once; after a mismatch, returns to the last wildcard. A `*` that cannot continue
/// falls back to an earlier `**`, because only that may match a `/`.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        if pattern[at..].starts_with(b"**") {
            at += 2;
            (double, star) = (Some((at, read)), None);
        } else if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, read));
        } else if at == pattern.len() && read == text.len() {
            return true;
        } else if at < pattern.len() && pattern.get(at) == text.get(read) {
            (at, read) = (at + 1, read + 1);
        } else if let Some((after, from)) =
            star.filter(|(_, from)| text.get(*from).is_some_and(|byte| *byte != b'/'))
        {
            (at, read) = (after, from + 1);
            star = Some((at, read));
        } else if let Some((after, from)) = double.filter(|(_, from)| *from < text.len()) {
            (at, read) = (after, from + 1);
            (double, star) = (Some((at, read)), None);
        } else {
            return false;
        }
    }
}

/// The HTTP methods of PVE's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reading.
    Get,
    /// Creating.
    Post,
    /// Changing.
    Put,
    /// Removing.
    Delete,
}

impl Method {
    /// The method's name in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// The attributes of a request that patterns can match.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFacts<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The decoded path after `/api2/json`, without the query: `/nodes/pve1/qemu/100/snapshot`.
    pub path: &'a str,
    /// The node in the path, if any.
    pub node: Option<&'a str>,
    /// The VMID in the path, if any.
    pub vmid: Option<u32>,
    /// The parameter `snapname`, from path, query or body.
    pub snapname: Option<&'a str>,
}

/// Which requests a rule matches; `None` matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestPattern {
    /// The HTTP method.
    pub method: Option<Method>,
    /// The path after `/api2/json`.
    pub path: Option<Glob>,
    /// The node in the path.
    pub node: Option<Glob>,
    /// The guest in the path.
    pub vmid: Option<u32>,
    /// The snapshot's name.
    pub snapname: Option<Glob>,
}

impl RequestPattern {
    /// Whether all parts of the pattern match.
    pub fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        self.method
            .is_none_or(|method| method.as_str() == facts.method)
            && self
                .path
                .as_ref()
                .is_none_or(|glob| glob.matches(facts.path))
            && text_fits(self.node.as_ref(), facts.node)
            && self.vmid.is_none_or(|vmid| Some(vmid) == facts.vmid)
            && text_fits(self.snapname.as_ref(), facts.snapname)
    }
}

/// The worker types that a rule can match, as in a UPID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Snapshot of a virtual machine.
    QmSnapshot,
    /// Removal of a virtual machine's snapshot.
    QmDelSnapshot,
    /// Rollback of a virtual machine.
    QmRollback,
    /// Start of a virtual machine.
    QmStart,
    /// Stop of a virtual machine.
    QmStop,
    /// Snapshot of a container.
    VzSnapshot,
    /// Removal of a container's snapshot.
    VzDelSnapshot,
    /// Rollback of a container.
    VzRollback,
    /// Start of a container.
    VzStart,
    /// Stop of a container.
    VzStop,
}

impl TaskKind {
    /// The type in the UPID.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QmSnapshot => "qmsnapshot",
            Self::QmDelSnapshot => "qmdelsnapshot",
            Self::QmRollback => "qmrollback",
            Self::QmStart => "qmstart",
            Self::QmStop => "qmstop",
            Self::VzSnapshot => "vzsnapshot",
            Self::VzDelSnapshot => "vzdelsnapshot",
            Self::VzRollback => "vzrollback",
            Self::VzStart => "vzstart",
            Self::VzStop => "vzstop",
        }
    }
}

/// The attributes of a task that patterns can match.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskFacts<'a> {
    /// The worker type as in the UPID.
    pub kind: &'a str,
    /// The node it runs on.
    pub node: &'a str,
    /// The guest, where the task has one.
    pub vmid: Option<u32>,
    /// The guest, if the task has one.
    pub snapname: Option<&'a str>,
}

/// Which tasks a rule matches; `None` matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskPattern {
    /// The worker type.
    pub kind: Option<TaskKind>,
    /// The node it runs on.
    pub node: Option<Glob>,
    /// The guest.
    pub vmid: Option<u32>,
    /// The snapshot's name.
    pub snapname: Option<Glob>,
}

impl TaskPattern {
    /// Whether all parts of the pattern match.
    pub fn matches(&self, facts: &TaskFacts<'_>) -> bool {
        self.kind.is_none_or(|kind| kind.as_str() == facts.kind)
            && text_fits(self.node.as_ref(), Some(facts.node))
            && self.vmid.is_none_or(|vmid| Some(vmid) == facts.vmid)
            && text_fits(self.snapname.as_ref(), facts.snapname)
    }
}

fn text_fits(glob: Option<&Glob>, text: Option<&str>) -> bool {
    glob.is_none_or(|glob| text.is_some_and(|text| glob.matches(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_stop_at_slashes_unless_doubled() {
        let cases = [
            (
                "/nodes/*/qemu/*/snapshot",
                "/nodes/pve1/qemu/100/snapshot",
                true,
            ),
            ("/nodes/*/qemu", "/nodes/a/b/qemu", false),
            ("/nodes/**", "/nodes/a/b/qemu", true),
            ("**/snapshot/*", "/nodes/a/lxc/1/snapshot/x", true),
            ("**/snapshot/*", "/nodes/a/lxc/1/snapshot/x/config", false),
            ("auto*", "autodaily1", true),
            ("auto*", "manual", false),
            ("*a*b", "xaxxab", true),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("**/*a", "/ba/bb", false),
            ("**/a*c", "/ab/abc", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Glob::from(pattern).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    /// The definition, without any cleverness.
    fn matches_by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => {
                (0..=text.len()).any(|skip| matches_by_definition(rest, &text[skip..]))
            }
            [b'*', rest @ ..] => (0..=text.len())
                .take_while(|skip| !text[..*skip].contains(&b'/'))
                .any(|skip| matches_by_definition(rest, &text[skip..])),
            [byte, rest @ ..] => {
                text.first() == Some(byte) && matches_by_definition(rest, &text[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_simple_definition(pattern in "[ab/*]{0,8}", text in "[ab/]{0,10}") {
            let expected = matches_by_definition(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Glob(pattern).matches(&text), expected);
        }
    }

    #[test]
    fn every_part_of_a_pattern_must_fit() {
        let facts = RequestFacts {
            method: "POST",
            path: "/nodes/pve1/qemu/100/snapshot",
            node: Some("pve1"),
            vmid: Some(100),
            snapname: Some("autodaily1"),
        };
        let all = RequestPattern {
            method: Some(Method::Post),
            path: Some("/nodes/**".into()),
            node: Some("pve*".into()),
            vmid: Some(100),
            snapname: Some("auto*".into()),
        };
        assert!(all.matches(&facts) && RequestPattern::default().matches(&facts));
        let others = [
            RequestFacts {
                method: "GET",
                ..facts
            },
            RequestFacts {
                path: "/version",
                ..facts
            },
            RequestFacts {
                node: Some("node1"),
                ..facts
            },
            RequestFacts {
                node: None,
                ..facts
            },
            RequestFacts {
                vmid: Some(101),
                ..facts
            },
            RequestFacts {
                vmid: None,
                ..facts
            },
            RequestFacts {
                snapname: Some("manual"),
                ..facts
            },
        ];
        for other in others {
            assert!(!all.matches(&other), "{other:?}");
        }
    }
}
