// SPDX-License-Identifier: GPL-3.0-only
//! The texts of warnings that concern no single guest.

use autosnap::guest_ref::GuestRef;
use autosnap::status::StatusWarning;
use autosnap_core::name::TimestampFormat;
use autosnap_core::select::{OFF_TAG, UnreadableEntry};
use autosnap_core::text::{self, shell_word};
use autosnap_core::warning::{Uncertainty, Warning};
use jiff::civil::DateTime;

/// How many terms a warning names.
const MAX_TERMS: usize = 10;

/// The text of a warning of a run.
pub fn text(warning: &Warning) -> String {
    match warning {
        Warning::Term(term) => term.to_string(),
        Warning::Terms { terms, reason, .. } => {
            format!("{} match no guest: {reason}", listed(terms))
        }
        Warning::InvalidTerm(text) | Warning::EmptyExclusion(text) | Warning::Hook(text) => {
            text.clone()
        }
        Warning::UnreadableEntry(entry) => unreadable_entry(entry),
        Warning::TimestampFormat(warning) => warning.to_string(),
        Warning::NamedTaggedOff(guests) => {
            let named = guests
                .iter()
                .map(|(kind, vmid)| format!("{} {vmid}", kind.short_name()));
            format!(
                "tagged {OFF_TAG}, but not left out, because --vmid names the ID or the name: {}",
                limited(named)
            )
        }
        Warning::NothingIsRemoved => {
            "all keep rules are 0, which keeps all snapshots, as in Proxmox VE; --keep-all says the same".to_owned()
        }
        Warning::UncertainSelection(reason) => format!(
            "--allow-empty does not apply: it is not certain that no guest is meant, because {}",
            uncertainty(reason)
        ),
        Warning::Collision {
            label,
            format,
            other_label,
            other_format,
        } => format!(
            "label {label} with format {format} makes the same names as label {other_label} with format {other_format}: \
             their snapshots cannot be told apart; choose another label or format if both are in use"
        ),
        Warning::NoStatistics { node } => no_statistics(node),
        Warning::OldStatistics { node, age } => format!(
            "the figures of node {node} are {} old (its pvestatd sends none): how full its storages are may have changed",
            text::duration(*age)
        ),
        Warning::AmbiguousNames { label, count } => format!(
            "{count} not removable because ambiguous: the names of these snapshots can be read in two ways; if \
             all of them are of label {label}, --allow-ambiguous-names counts them"
        ),
        Warning::RemovalLimit { limit, guests } => {
            let left: usize = guests.iter().map(|(_, _, left)| left).sum();
            let snapshots = if left == 1 {
                "snapshot is"
            } else {
                "snapshots are"
            };
            let guests: Vec<String> = guests
                .iter()
                .map(|(kind, vmid, left)| format!("{} {vmid}: {left}", kind.short_name()))
                .collect();
            format!(
                "{left} {snapshots} left to the next runs, because a run removes at most {limit} of a guest ({}); \
                 --max-removals-per-guest=N removes more in one run",
                guests.join(", ")
            )
        }
        Warning::OtherFormat {
            label,
            format,
            count,
        } => other_format(label, format, *count, "not counted", "counts and removes"),
        Warning::UnknownLabel { label, found } => {
            let similar = found.typo_of(label);
            let similar = similar.map(|(similar, _)| format!("; did you mean {similar}?"));
            format!(
                "no snapshot of the selected guests has label {label}; the labels there are: {found}{}",
                similar.unwrap_or_default()
            )
        }
        Warning::SimilarLabel {
            label,
            similar,
            count,
        } => {
            let snapshots = if *count == 1 { "snapshot" } else { "snapshots" };
            format!(
                "label {label} is new to the selected guests, which have {count} {snapshots} of label {similar}: is it a typo?"
            )
        }
        Warning::UnknownTimeZone { zone } => format!(
            "unknown time zone '{zone}' in the variable TZ, so names use UTC; install tzdata, or mount /usr/share/zoneinfo"
        ),
        Warning::WaitedForRun { pid, since, at } => {
            format!("waiting: {}", active_run(*pid, *since, *at))
        }
        Warning::NoOverlapLock(reason) => {
            format!("overlapping runs are not prevented: cannot create a lock file: {reason}")
        }
        Warning::PasswordNotStored(reason) => format!("the password could not be stored: {reason}"),
    }
}

/// The text of a warning of `status`, which shows snapshots and removes none.
pub fn status_text(warning: &StatusWarning) -> String {
    match warning {
        StatusWarning::Run(Warning::OtherFormat {
            label,
            format,
            count,
        }) => other_format(label, format, *count, "not shown", "shows"),
        StatusWarning::Run(warning) => text(warning),
        StatusWarning::InvalidFormat(error) => {
            format!("{error}; the list uses `{}`", TimestampFormat::DEFAULT)
        }
        StatusWarning::UnreadableSnapshot { guest, problem } => format!(
            "a snapshot of guest {} on node {} cannot be read: {problem}",
            guest.vmid, guest.node
        ),
        StatusWarning::UnreadableGuest { guest, error } => {
            format!("{guest} cannot be read: {error}")
        }
        StatusWarning::NodeOffline(GuestRef { vmid, kind, node }) => format!(
            "{} {vmid} is not shown: node {node} is offline or not reachable",
            kind.short_name()
        ),
        StatusWarning::Unlisted { guest, reason } => format!(
            "guest {} on node {} cannot be read: the node sends no statistics, and its guests could not be listed: {reason}",
            guest.vmid, guest.node
        ),
    }
}

/// `another run of this job is active (pid 17, since 01:10)`; the date is given unless it is that of `now`.
pub fn active_run(pid: Option<u32>, since: Option<DateTime>, now: DateTime) -> String {
    let time = |since: DateTime| {
        let is_today = since.date() == now.date();
        since.strftime(if is_today { "%H:%M" } else { "%Y-%m-%d %H:%M" })
    };
    let details = match (pid, since) {
        (None, _) => String::new(),
        (Some(pid), None) => format!(" (pid {pid})"),
        (Some(pid), Some(since)) => format!(" (pid {pid}, since {})", time(since)),
    };
    format!("another run of this job is active{details}")
}

/// The text about an entry of a listing that cannot be used.
pub(super) fn unreadable_entry(entry: &UnreadableEntry) -> String {
    match entry {
        UnreadableEntry::Invalid { path, problem } => {
            format!("an entry of {path} cannot be read: {problem}")
        }
        UnreadableEntry::Repeated { vmid, is_left_out } => {
            let consequence = if *is_left_out {
                ", in different ways, and is left out"
            } else {
                ""
            };
            format!("guest {vmid} is listed more than once in /cluster/resources{consequence}")
        }
    }
}

/// The text about a node that sends no statistics.
pub(super) fn no_statistics(node: &str) -> String {
    format!(
        "node {node} sends no statistics (its pvestatd hangs, or it has just started): how full its storages are is not known, the limit is not checked there"
    )
}

/// The first names of a list, and the number of the others.
pub(super) fn limited(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MAX_TERMS);
    let first: Vec<String> = names.take(MAX_TERMS).collect();
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn listed(terms: &[String]) -> String {
    let named = &terms[..terms.len().min(MAX_TERMS)];
    let more = match terms.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more terms"),
    };
    format!("`{}`{more}", named.join("`, `"))
}

fn uncertainty(reason: &Uncertainty) -> String {
    match reason {
        Uncertainty::NoVisibleGuest => "this login sees no guest (VM.Audit)".to_owned(),
        Uncertainty::NodeOffline(node) => format!("node {node} is offline"),
        Uncertainty::NoStatistics(node) => format!("node {node} sends no statistics"),
    }
}

fn other_format(
    label: &str,
    format: &str,
    count: usize,
    consequence: &str,
    adoption: &str,
) -> String {
    let snapshots = match count {
        1 => "1 snapshot looks".to_owned(),
        count => format!("{count} snapshots look"),
    };
    format!(
        "{snapshots} like label {label} in another format ({format}): {consequence}; \
         --also-format={} {adoption} them too",
        shell_word(format, "FORMAT"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_run_is_named_with_its_local_time() {
        let now = "2026-11-28T03:00".parse().unwrap();
        let at = |time: &str| Some(time.parse().unwrap());
        for (pid, since, expected) in [
            (None, None, ""),
            (Some(17), None, " (pid 17)"),
            (
                Some(17),
                at("2026-11-28T01:10:30"),
                " (pid 17, since 01:10)",
            ),
            (
                Some(17),
                at("2026-11-27T23:10:30"),
                " (pid 17, since 2026-11-27 23:10)",
            ),
        ] {
            let text = active_run(pid, since, now);
            assert_eq!(text, format!("another run of this job is active{expected}"));
        }
    }
}
