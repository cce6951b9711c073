// SPDX-License-Identifier: GPL-3.0-only
//! The identifier of a task: `UPID:node:pid:pstart:starttime:type:id:user:`
//! (`PVE/Tools.pm`, `upid_encode` and `upid_decode`).
//!
//! The text is kept and sent back to PVE unchanged.

use std::fmt;
use std::str::FromStr;

/// A unique process identifier, which identifies one task of one node.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upid {
    text: String,
    node_end: usize,
    process: u32,
    process_start: u64,
    started_at: i64,
    kind: (usize, usize),
    id: (usize, usize),
    user: (usize, usize),
}

/// The text is not a UPID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid UPID '{0}': expected UPID:node:pid:pstart:starttime:type:id:user:")]
pub struct UpidError(String);

const PREFIX: &str = "UPID:";

impl Upid {
    /// The text as PVE sent it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The node the task runs on.
    pub fn node(&self) -> &str {
        &self.text[PREFIX.len()..self.node_end]
    }

    /// The process ID of the worker.
    pub const fn process(&self) -> u32 {
        self.process
    }

    /// When the worker process started, in clock ticks of the kernel since the node's boot.
    pub const fn process_start(&self) -> u64 {
        self.process_start
    }

    /// When the task started, by the node's clock, in seconds since 1970.
    pub const fn started_at(&self) -> i64 {
        self.started_at
    }

    /// The type of the task: `qmsnapshot`, `vzdelsnapshot`, …
    pub fn kind(&self) -> &str {
        &self.text[self.kind.0..self.kind.1]
    }

    /// The object of the task, usually the guest's ID; may be empty.
    pub fn id(&self) -> &str {
        &self.text[self.id.0..self.id.1]
    }

    /// The user or token that started it, such as `root@pam` or `root@pam!backup`.
    pub fn user(&self) -> &str {
        &self.text[self.user.0..self.user.1]
    }

    /// Whether the task has this node, type, guest, and user or token.
    ///
    /// The case of letters in the user is ignored: realms that ignore it (LDAP, AD) put their own spelling
    /// into the UPID (`lookup_username` in `PVE/AccessControl.pm`).
    pub fn is_for(&self, node: &str, task_type: &str, vmid: u32, user: &str) -> bool {
        self.node() == node
            && self.kind() == task_type
            && self.id() == vmid.to_string()
            && self.user().to_lowercase() == user.to_lowercase()
    }
}

impl FromStr for Upid {
    type Err = UpidError;

    /// Parses the eight parts. The numbers may have any number of hexadecimal digits. Text after the last
    /// colon is removed: PVE's task list appends the end of the task there.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.trim()).ok_or_else(|| UpidError(text.chars().take(200).collect()))
    }
}

fn parse(text: &str) -> Option<Upid> {
    let rest = text.strip_prefix(PREFIX)?;
    let mut bounds = [(0, 0); 7];
    let mut start = PREFIX.len();
    let mut parts = rest.split(':');
    for bound in &mut bounds {
        let part = parts.next()?;
        *bound = (start, start + part.len());
        start += part.len() + 1;
    }
    // Without the colon after the user the text was truncated.
    parts.next()?;
    let [node, process, process_start, started_at, kind, id, user] = bounds;
    let part = |(from, to): (usize, usize)| &text[from..to];
    if [node, kind, user].map(part).contains(&"") || text.chars().any(char::is_control) {
        return None;
    }
    Some(Upid {
        node_end: node.1,
        process: u32::try_from(hexadecimal(part(process))?).ok()?,
        process_start: hexadecimal(part(process_start))?,
        started_at: i64::try_from(hexadecimal(part(started_at))?).ok()?,
        kind,
        id,
        user,
        text: text[..=user.1].to_owned(),
    })
}

fn hexadecimal(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

impl fmt::Display for Upid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Upid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_parts_are_parsed() {
        let text = "UPID:pve1:00004228:000620B9:6902CF35:qmsnapshot:100:backup@pve!auto:";
        let upid: Upid = text.parse().unwrap();
        assert_eq!(upid.to_string(), text);
        assert_eq!(
            (upid.node(), upid.kind(), upid.id()),
            ("pve1", "qmsnapshot", "100")
        );
        assert_eq!(upid.user(), "backup@pve!auto");
        assert_eq!(
            (upid.process(), upid.process_start()),
            (0x4228, 0x0006_20B9)
        );
        assert_eq!(upid.started_at(), 0x6902_CF35);
    }

    #[test]
    fn a_long_uptime_an_empty_id_and_a_trailing_end_are_accepted() {
        let upid: Upid = "UPID:n:0000A:123456789:6902CF35:startall::root@pam:6902CF40:OK"
            .parse()
            .unwrap();
        assert_eq!((upid.id(), upid.process_start()), ("", 0x1_2345_6789));
        assert_eq!(
            upid.as_str(),
            "UPID:n:0000A:123456789:6902CF35:startall::root@pam:"
        );
    }

    #[test]
    fn other_text_is_an_error() {
        for text in [
            "",
            "UPID",
            "OK",
            "UPID:pve1:00004228:000620B9:6902CF35:qmsnapshot:100:backup@pve",
            "UPID::00004228:000620B9:6902CF35:qmsnapshot:100:backup@pve:",
            "UPID:pve1:xyz:000620B9:6902CF35:qmsnapshot:100:backup@pve:",
            "UPID:pve1:100004228:000620B9:6902CF35:qmsnapshot:100:backup@pve:",
        ] {
            assert!(text.parse::<Upid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_pve_encodes_is_decoded(
            node in "[a-z][a-z0-9-]{0,20}", process: u32, start: u32, time in 0_u32..=0x7fff_ffff,
            kind in "[a-z]{2,16}", id in "[0-9]{0,9}", user in "[a-z]{1,9}@(pam|pve)(![a-z]{1,8})?",
        ) {
            let text = format!("UPID:{node}:{process:08X}:{start:08X}:{time:08X}:{kind}:{id}:{user}:");
            let upid: Upid = text.parse().unwrap();
            prop_assert_eq!(upid.to_string(), text);
            prop_assert_eq!(upid.node(), node);
            prop_assert_eq!(upid.kind(), kind);
            prop_assert_eq!(upid.id(), id);
            prop_assert_eq!(upid.user(), user);
            prop_assert_eq!(upid.started_at(), i64::from(time));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "(UPID:)?.{0,80}") {
            if let Ok(upid) = text.parse::<Upid>() {
                prop_assert_eq!(upid.to_string().parse::<Upid>().unwrap(), upid);
            }
        }
    }
}
