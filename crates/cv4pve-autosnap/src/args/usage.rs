// SPDX-License-Identifier: GPL-3.0-only
//! Which command uses which option.

use std::collections::HashSet;
use std::sync::LazyLock;

use clap::CommandFactory;

use super::Cli;
use super::definition::{SHARING, USING_CONNECTION, USING_KEEP_RULES};

/// What a command does with an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// The command uses it, or clap decides. `check` accepts all options, so that a line of `snap` can be pasted.
    Used,
    /// It has no effect, and is accepted because the C# tool accepts it on every command.
    Accepted,
    /// It has no effect. It is allowed in a parameter file shared with other commands, and refused on the
    /// command line.
    Ignored,
}

/// Root options of the C# tool that some commands accept without using them.
const ACCEPTED: [(&str, &[&str]); 2] = [
    ("clean", &["max_perc_storage"]),
    ("status", &["max_perc_storage", "timeout"]),
];

/// Options of a shared group that a command refuses.
const IGNORED: [(&str, &[&str]); 2] = [
    ("clean", &["max_parallel_ram"]),
    (
        "status",
        &[
            "max_parallel_per_node",
            "max_parallel_per_storage",
            "max_parallel_ram",
        ],
    ),
];

/// What a command does with an option, by its ID.
pub fn usage(command: &str, id: &str) -> Usage {
    let listed = |table: &[(&str, &[&str])]| {
        let mut rows = table.iter();
        rows.any(|(name, ids)| *name == command && ids.contains(&id))
    };
    let shared = [&SHARING[..], &USING_CONNECTION, &USING_KEEP_RULES];
    let is_shared = shared.iter().any(|commands| commands.contains(&command));
    if !is_shared || command == "check" {
        Usage::Used
    } else if listed(&IGNORED) {
        Usage::Ignored
    } else if listed(&ACCEPTED) {
        Usage::Accepted
    } else if OWN.contains(&(command.to_owned(), id.to_owned())) {
        Usage::Used
    } else {
        Usage::Ignored
    }
}

/// Commands with the IDs of the options in their own definition.
static OWN: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
    let definition = Cli::command();
    let parts = definition.get_subcommands();
    let options = parts.flat_map(|part| {
        let ids = part
            .get_arguments()
            .map(|option| option.get_id().to_string());
        ids.map(|id| (part.get_name().to_owned(), id))
    });
    options.collect()
});

/// The options set in parameter files that a command does not use: `--keep`, `--state`.
pub fn unused<'a>(command: &str, ids: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = ids
        .into_iter()
        .filter(|id| usage(command, id) != Usage::Used)
        .map(|id| format!("--{}", id.replace('_', "-")))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
