// SPDX-License-Identifier: GPL-3.0-only
//! The candidates for the values of options, from their definitions, files and the cluster.

use std::ffi::OsString;

use autosnap_core::guest::{Guest, GuestKind, GuestStatus};
use autosnap_core::select::Inventory;
use clap::{Arg, ValueHint};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Candidate, cluster, files, prefixed};
use crate::commands::completions::suggestions;
use crate::report::marks_text;

/// The keywords of a selection without a cluster, with their descriptions.
const GROUPS: [(&str, &str); 8] = [
    ("@all", "every guest"),
    ("@node-", "guests of a node"),
    ("@pool-", "guests of a pool"),
    ("@tag-", "guests with a tag"),
    ("@type-vm", "virtual machines"),
    ("@type-ct", "containers"),
    ("@running", "running guests"),
    ("@stopped", "stopped guests"),
];

/// The characters after which a term of a selection begins.
const TERM_ENDS: [char; 4] = [',', '&', '|', '('];

/// The candidates for the value of an option. `line` is the rest of the line, which may name a cluster.
pub(super) fn for_option(option: &Arg, typed: &str, line: &[OsString]) -> Vec<Candidate> {
    let listed = |values: fn(&str, &[OsString]) -> Vec<Candidate>| {
        let (lead, term) = typed.rsplit_once(',').map_or(("", typed), |(_, term)| {
            (&typed[..typed.len() - term.len()], term)
        });
        prefixed(lead, values(term, line))
    };
    match option.get_id().as_str() {
        "vmid" => {
            let start = typed.rfind(TERM_ENDS).map_or(0, |end| end + 1);
            let (lead, term) = typed.split_at(start);
            prefixed(lead, guests(term, line))
        }
        "guest" => guest_ids(typed, line),
        "host" => listed(hosts),
        "label" => labels(typed, line),
        "adopt_labels" => listed(labels),
        "timezone" => time_zones(typed),
        "api_token" | "password" => secrets(typed),
        "path" => listed(paths),
        id => {
            let possible: Vec<Candidate> = option
                .get_possible_values()
                .iter()
                .filter(|value| !value.is_hide_set())
                .map(|value| {
                    let help = value.get_help().map(ToString::to_string);
                    Candidate::new(value.get_name(), help.unwrap_or_default())
                })
                .chain(
                    suggestions(id)
                        .iter()
                        .map(|value| Candidate::new(*value, "")),
                )
                .collect();
            let hint = option.get_value_hint();
            if matches!(hint, ValueHint::FilePath | ValueHint::DirPath) {
                files::paths(typed)
            } else {
                starting_with(typed, possible)
            }
        }
    }
}

fn starting_with(typed: &str, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let typed = typed.to_lowercase();
    let mut candidates = candidates;
    candidates.retain(|candidate| candidate.word.to_lowercase().starts_with(&typed));
    candidates
}

/// The candidates for one term of `--vmid`.
fn guests(typed: &str, line: &[OsString]) -> Vec<Candidate> {
    let (lead, term) = match typed.strip_prefix('-') {
        Some(term) => ("-", term),
        None => ("", typed),
    };
    let found = match cluster::inventory(line) {
        Some(inventory) => terms(term, &inventory),
        None => GROUPS
            .map(|(word, help)| Candidate::new(word, help))
            .to_vec(),
    };
    prefixed(lead, starting_with(term, found))
}

/// The IDs of the guests.
fn guest_ids(typed: &str, line: &[OsString]) -> Vec<Candidate> {
    let mut guests = cluster::inventory(line).map_or_else(Vec::new, |inventory| inventory.guests);
    guests.sort_by_key(|guest| guest.vmid);
    let found = guests.iter().map(|guest| {
        let name = guest.name.as_deref().unwrap_or_default();
        Candidate::new(guest.vmid.to_string(), format!("{name} on {}", guest.node))
    });
    starting_with(typed, found.collect())
}

/// Our snapshots of a guest, newest first.
pub(super) fn snapshots(vmid: &str, typed: &str, line: &[OsString]) -> Vec<Candidate> {
    let snapshots = cluster::snapshots(vmid, line).unwrap_or_default();
    let now = Timestamp::now();
    let zone = TimeZone::system();
    let found = snapshots.into_iter().map(|snapshot| {
        let marks = marks_text(&snapshot.marks(), now, &zone);
        Candidate::new(snapshot.name, marks.unwrap_or_default())
    });
    starting_with(typed, found.collect())
}

/// Every term that selects a guest. Names are offered only after a letter is typed, because each guest has an ID.
fn terms(term: &str, inventory: &Inventory) -> Vec<Candidate> {
    let count = |matches: &dyn Fn(&Guest) -> bool| {
        let count = inventory
            .guests
            .iter()
            .filter(|guest| matches(guest))
            .count();
        format!("{count} guest{}", if count == 1 { "" } else { "s" })
    };
    let mut found = vec![Candidate::new("@all", count(&|_| true))];
    found.extend(inventory.nodes.iter().map(|node| {
        let help = count(&|guest| guest.node == node.name);
        Candidate::new(format!("@node-{}", node.name), help)
    }));
    found.extend(inventory.pools.iter().map(|pool| {
        let nested = format!("{pool}/");
        let is_in = |guest: &Guest| {
            let own = guest.pool.as_ref();
            own.is_some_and(|own| own == pool || own.starts_with(&nested))
        };
        Candidate::new(format!("@pool-{pool}"), count(&is_in))
    }));
    let mut tags: Vec<&String> = inventory
        .guests
        .iter()
        .flat_map(|guest| &guest.tags)
        .collect();
    tags.sort_unstable();
    tags.dedup();
    found.extend(tags.into_iter().map(|tag| {
        let help = count(&|guest| guest.tags.contains(tag));
        Candidate::new(format!("@tag-{tag}"), help)
    }));
    found.extend(
        [
            ("@type-vm", count(&|guest| guest.kind == GuestKind::Qemu)),
            ("@type-ct", count(&|guest| guest.kind == GuestKind::Lxc)),
            (
                "@running",
                count(&|guest| guest.status == GuestStatus::Running),
            ),
            (
                "@stopped",
                count(&|guest| guest.status == GuestStatus::Stopped),
            ),
        ]
        .map(|(word, help)| Candidate::new(word, help)),
    );
    let mut guests: Vec<&Guest> = inventory.guests.iter().collect();
    guests.sort_by_key(|guest| guest.vmid);
    found.extend(guests.iter().map(|guest| {
        let name = guest.name.as_deref().unwrap_or_default();
        Candidate::new(guest.vmid.to_string(), format!("{name} on {}", guest.node))
    }));
    if !term.is_empty() {
        found.extend(guests.iter().filter_map(|guest| {
            let name = guest.name.as_deref()?;
            Some(Candidate::new(
                name,
                format!("{} on {}", guest.vmid, guest.node),
            ))
        }));
    }
    found
}

/// Labels from parameter files, labels with snapshots, then common labels.
fn labels(typed: &str, line: &[OsString]) -> Vec<Candidate> {
    let in_files = files::values("--label");
    let mut found: Vec<Candidate> = in_files
        .into_iter()
        .map(|(label, file)| Candidate::new(label, format!("in {file}")))
        .collect();
    let with_snapshots = cluster::labels(line).into_iter();
    found.extend(with_snapshots.map(|label| Candidate::new(label, "has snapshots")));
    let common = suggestions("label").iter();
    found.extend(common.map(|label| Candidate::new(*label, "")));
    starting_with(typed, found)
}

/// The names of time zones.
fn time_zones(typed: &str) -> Vec<Candidate> {
    let names = jiff::tz::db().available();
    let zones = names.map(|zone| Candidate::new(zone.to_string(), ""));
    starting_with(typed, zones.collect())
}

/// The hosts in parameter files, for one entry of `--host`.
fn hosts(typed: &str, _line: &[OsString]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (hosts, file) in files::values("--host") {
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty());
        found.extend(hosts.map(|host| Candidate::new(host, format!("in {file}"))));
    }
    starting_with(typed, found)
}

/// Secret files. A secret itself must not be on a command line.
fn secrets(typed: &str) -> Vec<Candidate> {
    match typed.strip_prefix("file:") {
        Some(path) => prefixed("file:", files::paths(path)),
        None => starting_with(
            typed,
            vec![Candidate::new("file:", "a file with the secret")],
        ),
    }
}

/// The permission paths that a role can be granted on.
fn paths(typed: &str, _line: &[OsString]) -> Vec<Candidate> {
    let known = [
        ("/", "everything"),
        ("/vms/", "a guest"),
        ("/pool/", "a pool"),
        ("/storage/", "a storage"),
    ];
    starting_with(
        typed,
        known
            .map(|(word, help)| Candidate::new(word, help))
            .to_vec(),
    )
}
