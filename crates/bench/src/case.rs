// SPDX-License-Identifier: GPL-3.0-only
//! Benchmark cases: world, command and limits.

use anyhow::{Result, bail};

use crate::world::WorldOptions;

/// A benchmark case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Its name on the command line and in the table.
    pub(crate) name: String,
    /// The cluster; `None`: the program needs no server.
    pub(crate) world: Option<WorldOptions>,
    /// The command and its options, without the connection options.
    pub(crate) command: Vec<&'static str>,
    /// Whether to compare it with one guest at a time and with the C# pattern.
    pub(crate) compared: bool,
    /// Number of guests for that comparison; the time is scaled to all guests.
    pub(crate) sample: usize,
}

/// The cases with these names. Without names: all except the scaling cases.
pub(crate) fn select(names: &[String], quick: bool) -> Result<Vec<Case>> {
    let all = if quick { quick_cases() } else { all_cases() };
    if names.is_empty() {
        return Ok(all
            .into_iter()
            .filter(|case| !case.name.starts_with("scale"))
            .collect());
    }
    let mut cases = Vec::new();
    for name in names {
        // A case with exactly this name, or all cases with this prefix.
        let exactly = all.iter().find(|case| case.name == *name);
        let prefix = format!("{name}-");
        let parts = all.iter().filter(|case| case.name.starts_with(&prefix));
        let before = cases.len();
        match exactly {
            Some(case) => cases.push(case.clone()),
            None => cases.extend(parts.cloned()),
        }
        if cases.len() == before {
            let known: Vec<&str> = all.iter().map(|case| case.name.as_str()).collect();
            bail!(
                "unknown case '{name}': expected one of {}",
                known.join(", ")
            );
        }
    }
    Ok(cases)
}

const SNAP: [&str; 3] = ["snap", "--label=daily", "--keep=7"];

fn all_cases() -> Vec<Case> {
    let one_node = |seconds| WorldOptions {
        task_seconds: seconds..=seconds,
        ..WorldOptions::with_size(1, 50)
    };
    let twenty_nodes = WorldOptions {
        task_seconds: 0.3..=3.0,
        ..WorldOptions::with_size(20, 1_000)
    };
    let slow_node = WorldOptions {
        slowness_of_second_node: 10.0,
        offline_nodes: 1,
        ..twenty_nodes.clone()
    };
    let hundred_nodes = WorldOptions::with_size(100, 10_000);
    let many_snapshots = WorldOptions {
        snapshots: 500,
        ..WorldOptions::with_size(1, 1)
    };
    let mut cases = vec![
        compared("1-short", one_node(0.1), 50),
        compared("1-long", one_node(0.5), 50),
        compared("2", twenty_nodes, 40),
        compared("3-fifth", fifth(&slow_node), 40),
        Case {
            command: [&SNAP[..], &["--timeout=300"]].concat(),
            ..alone("3", slow_node, &SNAP)
        },
        alone("4-dry-run", hundred_nodes.clone(), &with_dry_run()),
        alone("4-status", hundred_nodes, &["status"]),
        alone(
            "5",
            many_snapshots.clone(),
            &["snap", "--label=daily", "--keep=100"],
        ),
        without_server("6-version", &["--version"]),
        without_server("6-help", &["--help"]),
        alone("6-status", WorldOptions::with_size(1, 1), &["status"]),
    ];
    for guests in [10, 30, 100, 300, 1_000, 3_000, 10_000] {
        cases.extend(scaling(guests));
    }
    cases
}

/// Small cases for testing the benchmark itself.
fn quick_cases() -> Vec<Case> {
    let world = WorldOptions {
        task_seconds: 0.01..=0.05,
        ..WorldOptions::with_size(3, 9)
    };
    vec![
        compared("quick-snap", world.clone(), 3),
        alone("quick-dry-run", world.clone(), &with_dry_run()),
        alone("quick-status", world, &["status"]),
        without_server("quick-version", &["--version"]),
    ]
}

/// A fifth of the guests per node: shows the same effects in a shorter time.
fn fifth(world: &WorldOptions) -> WorldOptions {
    WorldOptions {
        guests: world.guests / 5,
        ..world.clone()
    }
}

/// Up to 100 guests per node, on up to 100 nodes.
fn scaling(guests: u32) -> Vec<Case> {
    let world = WorldOptions::with_size((guests / 100).clamp(1, 100), guests);
    vec![
        alone(&format!("scale-snap-{guests}"), world.clone(), &SNAP),
        alone(
            &format!("scale-dry-run-{guests}"),
            world.clone(),
            &with_dry_run(),
        ),
        alone(&format!("scale-status-{guests}"), world, &["status"]),
    ]
}

fn with_dry_run() -> Vec<&'static str> {
    [&SNAP[..], &["--dry-run"]].concat()
}

fn compared(name: &str, world: WorldOptions, sample: usize) -> Case {
    Case {
        command: [&SNAP[..], &["--timeout=300"]].concat(),
        compared: true,
        sample,
        ..alone(name, world, &SNAP)
    }
}

fn alone(name: &str, world: WorldOptions, command: &[&'static str]) -> Case {
    Case {
        name: name.to_owned(),
        world: Some(world),
        command: command.to_vec(),
        compared: false,
        sample: 0,
    }
}

fn without_server(name: &str, command: &[&'static str]) -> Case {
    Case {
        name: name.to_owned(),
        world: None,
        command: command.to_vec(),
        compared: false,
        sample: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found: Vec<String> = select(&names, false)
            .unwrap()
            .into_iter()
            .map(|case| case.name)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn cases_are_selected_by_name_or_prefix() {
        check(&["1"], &["1-short", "1-long"]);
        check(&["3"], &["3"]);
        check(&["5", "4-status"], &["5", "4-status"]);
        assert!(select(&["7".to_owned()], false).is_err());
        let all = select(&[], false).unwrap();
        assert!(all.iter().all(|case| !case.name.starts_with("scale")));
    }
}
