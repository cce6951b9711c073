// SPDX-License-Identifier: GPL-3.0-only
//! Unique process IDs: PVE's task IDs (`upid_encode` and `upid_decode` in `PVE/Tools.pm`).

/// The parts of `UPID:node:pid:pstart:starttime:type:id:user:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upid {
    /// The node that runs the task.
    pub node: String,
    /// The worker's process ID.
    pub pid: u32,
    /// Start of the process, in hundredths of a second since the node booted.
    pub pstart: u64,
    /// Start in seconds since the epoch.
    pub starttime: i64,
    /// `qmsnapshot`, `vzdelsnapshot`, ...
    pub kind: String,
    /// The VMID as text.
    pub id: String,
    /// The user or full token ID.
    pub user: String,
}

impl Upid {
    /// Parses a UPID.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [prefix, node, pid, pstart, starttime, kind, id, user, rest] = parts.as_slice() else {
            return None;
        };
        let hex = |text: &str, longest: usize| {
            let plain = (8..=longest).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        let node_ok = !node.is_empty()
            && !node.starts_with('-')
            && !node.ends_with('-')
            && node
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let words_ok = !kind.is_empty()
            && !user.is_empty()
            && ![kind, id, user]
                .iter()
                .any(|word| word.contains(char::is_whitespace));
        if *prefix != "UPID" || !rest.is_empty() || !node_ok || !words_ok {
            return None;
        }
        Some(Self {
            node: (*node).to_owned(),
            pid: u32::try_from(hex(pid, 8)?).ok()?,
            pstart: hex(pstart, 9)?,
            starttime: i64::try_from(hex(starttime, 8)?).ok()?,
            kind: (*kind).to_owned(),
            id: (*id).to_owned(),
            user: (*user).to_owned(),
        })
    }

    /// The user ID, and the token's short name if there is one.
    pub fn user_and_token(&self) -> (&str, Option<&str>) {
        match self.user.split_once('!') {
            Some((user, token)) => (user, Some(token)),
            None => (&self.user, None),
        }
    }

    /// Whether `who` owns the task: a token owns its own tasks, a user also those of its tokens
    /// (`check_task_user` in `PVE/API2/Tasks.pm`).
    pub fn belongs_to(&self, who: &str) -> bool {
        self.user == who || self.user_and_token().0 == who
    }
}

impl std::fmt::Display for Upid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            node,
            pid,
            pstart,
            starttime,
            kind,
            id,
            user,
        } = self;
        write!(
            formatter,
            "UPID:{node}:{pid:08X}:{pstart:08X}:{starttime:08X}:{kind}:{id}:{user}:"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_and_formatting_round_trips() {
        let text = "UPID:pve1:000042AB:0006273F:6B01F3E8:qmsnapshot:106:backup@pve!auto:";
        let upid = Upid::parse(text).expect("a valid one");
        assert_eq!(upid.to_string(), text);
        assert_eq!(upid.user_and_token(), ("backup@pve", Some("auto")));
        assert!(upid.belongs_to("backup@pve") && upid.belongs_to("backup@pve!auto"));
        assert!(!upid.belongs_to("backup@pve!limited"));
    }

    #[test]
    fn invalid_upids_are_rejected() {
        for text in [
            "garbage",
            "UPID:pve1:000042AB:0006273F:6B01F3E8:qmsnapshot:106:backup@pve!auto",
            "UPID:pve1:42AB:0006273F:6B01F3E8:qmsnapshot:106:backup@pve:",
            "UPID:-pve:000042AB:0006273F:6B01F3E8:qmsnapshot:106:backup@pve:",
            "UPID:pve1:000042AB:0006273F:6B01F3E8::106:backup@pve:",
        ] {
            assert_eq!(Upid::parse(text), None, "{text}");
        }
    }
}
