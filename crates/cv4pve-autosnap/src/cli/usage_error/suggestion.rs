// SPDX-License-Identifier: GPL-3.0-only
//! Suggestions for unknown commands and options: similar names, and names from other tools.
//!
//! Hidden commands and options, and options that the command does not use, are never suggested.

use clap::{Arg, CommandFactory};

use crate::args::{Cli, Usage, usage};

/// Commands of other tools, each with a hint at its equivalent here. `create`, `destroy`, `enable` and `disable` are
/// commands of eve4pve-autosnap.
const COMMANDS: [(&[&str], &str); 12] = [
    (
        &[
            "delete", "del", "remove", "rm", "prune", "purge", "cleanup", "forget", "expire",
        ],
        "clean removes the snapshots of a label beyond --keep; to remove one by its name: qm delsnapshot VMID NAME, for a \
         container pct delsnapshot VMID NAME",
    ),
    (
        &["rollback", "restore", "revert"],
        "Proxmox VE rolls back: qm rollback VMID NAME, for a container pct rollback VMID NAME; status lists the names",
    ),
    (
        &[
            "list",
            "ls",
            "show",
            "listsnapshot",
            "snapshots",
            "get",
            "info",
        ],
        "status lists the snapshots",
    ),
    (&["version"], "write --version"),
    (
        &["protect", "pin", "keep", "lock", "preserve", "retain"],
        "hold keeps one snapshot: hold VMID SNAPSHOT",
    ),
    (
        &["unhold", "unprotect", "unpin", "unlock"],
        "release removes a hold: release VMID SNAPSHOT",
    ),
    (
        &["comment", "describe", "annotate"],
        "note writes a note on a snapshot: note VMID SNAPSHOT 'TEXT'",
    ),
    (
        &["man", "docs", "manpage"],
        "the manual pages: man cv4pve-autosnap, and man cv4pve-autosnap-snap for the command snap",
    ),
    (
        &["snapshot", "take", "backup", "run", "start", "autosnap"],
        "snap takes the snapshots",
    ),
    (
        &["create", "schedule", "enable", "install", "cron"],
        "snap takes the snapshots, and cron or a systemd timer calls it: man cv4pve-autosnap",
    ),
    (
        &["destroy", "disable", "stop", "uninstall"],
        "a job is a line in cron or a systemd timer: remove it there; clean --keep=0 removes the snapshots of a label",
    ),
    (
        &[
            "test", "verify", "validate", "doctor", "diagnose", "dry-run",
        ],
        "check finds the problems of a job, and plan shows what it would do",
    ),
];

/// Options of other tools, mostly eve4pve-autosnap, each with a hint at its equivalent here.
const OPTIONS: [(&[&str], &str); 8] = [
    (
        &["--syslog"],
        "under systemd the report is in the journal; elsewhere append: 2>&1 | logger --tag cv4pve-autosnap",
    ),
    (&["--vmstate", "--ram", "--memory"], "--state saves the RAM"),
    (
        &["--exclude", "--except", "--skip"],
        "a term of --vmid that begins with - excludes guests: --vmid=@all,-105",
    ),
    (&["--all"], "write --vmid=@all"),
    (
        &["--node", "--pool", "--tag"],
        "--vmid selects guests: @node-NAME, @pool-NAME, @tag-NAME",
    ),
    (
        &["--held", "--holds", "--marks"],
        "status shows marks in the column DESCRIPTION: status --output=Plain | grep 'held'",
    ),
    (
        &["--maxfiles", "--max-files", "--retention"],
        "--keep=7 keeps the newest 7; keep rules: --keep-last=3 --keep-daily=7",
    ),
    (&["--verbose", "--trace"], "--debug shows the requests"),
];

/// Whether the word is the name of a command.
pub(super) fn is_command(word: &str) -> bool {
    Cli::command().find_subcommand(word).is_some()
}

/// The hint for an unknown command: what the word probably means.
pub(super) fn for_command(word: &str) -> Option<String> {
    let word = word.to_lowercase();
    if let Some(hint) = listed(&COMMANDS, &word) {
        return Some(hint.to_owned());
    }
    let definition = Cli::command();
    let names = definition
        .get_subcommands()
        .filter(|part| !part.is_hide_set())
        .map(clap::Command::get_name);
    nearest(&word, names).map(|name| format!("did you mean {name}?"))
}

/// The hint for an unknown option: what it probably means. `name` includes the dashes.
pub(super) fn for_option(command: Option<&str>, name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    listed(&OPTIONS, &lower)
        .map(ToOwned::to_owned)
        .or_else(|| nearest_option(command, &lower).map(|name| format!("did you mean {name}?")))
}

/// The option with the same or a similar name, with its dashes.
pub(super) fn nearest_option(command: Option<&str>, name: &str) -> Option<String> {
    let definition = Cli::command();
    let is_meant = |part: &&clap::Command| command.is_none_or(|command| part.get_name() == command);
    let names: Vec<String> = definition
        .get_subcommands()
        .filter(|part| !part.is_hide_set())
        .filter(is_meant)
        .flat_map(|part| {
            part.get_arguments()
                .filter(move |option| is_usable(part, option))
        })
        .filter_map(|option| option.get_long().map(ToOwned::to_owned))
        .collect();
    let bare = name.trim_start_matches('-');
    let found = nearest(bare, names.iter().map(String::as_str));
    found.map(|name| format!("--{name}"))
}

fn is_usable(command: &clap::Command, option: &Arg) -> bool {
    let is_hidden = option.is_hide_set() || option.is_hide_long_help_set();
    !is_hidden && usage(command.get_name(), option.get_id().as_str()) == Usage::Used
}

fn listed<'a>(table: &[(&[&str], &'a str)], word: &str) -> Option<&'a str> {
    let row = table.iter().find(|(words, _)| words.contains(&word));
    row.map(|(_, hint)| *hint)
}

/// The most similar name: one or (for long names) two letters differ, or it is the only one that begins like the word.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let distance = |name: &str| strsim::damerau_levenshtein(word, name);
    let is_near = |name: &&str| {
        let limit = match name.len().max(word.len()) {
            0..=3 => 0,
            4..=6 => 1,
            _ => 2,
        };
        distance(name) <= limit
    };
    let near = names.iter().copied().filter(is_near);
    let near = near.min_by_key(|name| distance(name));
    let begun: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| word.len() >= 3 && name.starts_with(word))
        .collect();
    near.or(match begun[..] {
        [only] => Some(only),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        for (command, name, expected) in [
            (Some("snap"), "--lable", Some("--label")),
            (Some("snap"), "--hots", Some("--host")),
            (Some("snap"), "--dryrun", Some("--dry-run")),
            (Some("snap"), "--user", Some("--username")),
            (None, "--api-tokne", Some("--api-token")),
            (Some("snap"), "--foo", None),
            (Some("snap"), "--fo", None),
            // Of `check` alone.
            (Some("snap"), "--fro", None),
            // Hidden, or without effect.
            (Some("snap"), "--log-levle", None),
            (Some("status"), "--hookfailure", None),
            (Some("snap"), "--time", None),
            (Some("snap"), "--manual", None),
        ] {
            let found = nearest_option(command, name);
            assert_eq!(found.as_deref(), expected, "{command:?} {name}");
        }
    }

    #[test]
    fn commands_of_other_tools_are_explained() {
        for (word, expected) in [
            ("snpa", Some("did you mean snap?")),
            ("stauts", Some("did you mean status?")),
            ("clen", Some("did you mean clean?")),
            ("List", Some("status lists the snapshots")),
            ("manul", None),
            ("compelte", None),
            ("daily", None),
        ] {
            assert_eq!(for_command(word).as_deref(), expected, "{word}");
        }
        for word in [
            "delete", "rollback", "version", "create", "disable", "protect", "unhold", "comment",
            "man",
        ] {
            assert!(for_command(word).is_some(), "{word}");
        }
    }
}
