// SPDX-License-Identifier: GPL-3.0-only
//! Runs a case as often as wanted, each time on a fresh cluster, and sums the runs up.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::case::Case;
use crate::figures::{self, Figures, Slots, median};
use crate::legacy;
use crate::measure::{self, Cost};
use crate::processes::{Programs, Server, TOKEN};
use crate::table;
use crate::world::World;

/// One way of doing a case: the medians of its runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    /// What the process cost; no CPU and memory for the imitation of the C# tool.
    pub(crate) cost: Cost,
    /// What the journal says.
    pub(crate) figures: Figures,
    /// Guests worked on in the run that was measured.
    pub(crate) guests: usize,
    /// What the wall time has to be multiplied with for all guests.
    pub(crate) scale: f64,
}

/// Runs it; gives back the lines of the table.
pub(crate) fn run(
    case: &Case,
    programs: &Programs,
    runs: u16,
    alone: bool,
    with: &[String],
) -> Result<Vec<String>> {
    let Some(options) = &case.world else {
        return without_server(case, programs, runs);
    };
    let build = || options.build();
    let world = build()?;
    let all: Vec<u32> = world.guests.keys().copied().collect();
    let slots = slots(with);
    let usual = repeat(runs, || {
        program(case, programs, &world, "@all", &all, slots, with)
    })?;
    let mut lines = vec![table::line(&case.name, "defaults", usual, None)];
    if case.compared && !alone {
        let sample = world.sample(case.sample);
        let few: Vec<String> = sample.iter().map(u32::to_string).collect();
        let few = few.join(",");
        let one = vec!["--max-parallel=1".to_owned()];
        let single = repeat(runs, || {
            program(case, programs, &world, &few, &sample, Slots::ONE, &one)
        })?;
        let single = scaled(single, all.len());
        lines.push(table::line(
            &case.name,
            "one at a time",
            single,
            Some(usual),
        ));
        let old = repeat(runs, || imitation(programs, &world, &sample))?;
        let old = scaled(old, all.len());
        lines.push(table::line(&case.name, "C# pattern", old, Some(usual)));
    }
    Ok(lines)
}

fn without_server(case: &Case, programs: &Programs, runs: u16) -> Result<Vec<String>> {
    let mut words = vec![programs.autosnap.display().to_string()];
    words.extend(case.command.iter().map(|word| (*word).to_owned()));
    let result = repeat(runs, || {
        let cost = measure::run(&words, &[])?;
        Ok(Sum {
            cost,
            scale: 1.0,
            ..Sum::default()
        })
    })?;
    Ok(vec![table::line(&case.name, "defaults", result, None)])
}

fn program(
    case: &Case,
    programs: &Programs,
    world: &World,
    selection: &str,
    guests: &[u32],
    slots: Slots,
    with: &[String],
) -> Result<Sum> {
    let server = Server::start(&programs.simulator, world)?;
    let mut words = vec![
        programs.autosnap.display().to_string(),
        format!("--host={}", server.address),
        format!("--vmid={selection}"),
    ];
    words.extend(case.command.iter().map(|word| (*word).to_owned()));
    words.extend(with.iter().cloned());
    let environment = [("CV4PVE_API_TOKEN", TOKEN), ("TZ", "UTC")];
    let cost = measure::run(&words, &environment)?;
    let figures = figures::read(&server.stop()?, &world.guests, slots);
    let dry = case.command.contains(&"--dry-run") || case.command[0] != "snap";
    ensure!(
        dry || figures.tasks >= guests.len(),
        "{} tasks ended well for {} guests",
        figures.tasks,
        guests.len()
    );
    Ok(Sum {
        cost,
        figures,
        guests: guests.len(),
        scale: 1.0,
    })
}

fn imitation(programs: &Programs, world: &World, guests: &[u32]) -> Result<Sum> {
    let server = Server::start(&programs.simulator, world)?;
    let started = Instant::now();
    legacy::run(&server.address, world, guests)?;
    let cost = Cost {
        wall: started.elapsed().as_secs_f64(),
        ..Cost::default()
    };
    let figures = figures::read(&server.stop()?, &world.guests, Slots::ONE);
    ensure!(
        figures.tasks >= guests.len(),
        "only {} tasks ended well",
        figures.tasks
    );
    Ok(Sum {
        cost,
        figures,
        guests: guests.len(),
        scale: 1.0,
    })
}

/// The medians of several runs, each figure by itself.
fn repeat(runs: u16, mut once: impl FnMut() -> Result<Sum>) -> Result<Sum> {
    let results: Vec<Sum> = (0..runs).map(|_| once()).collect::<Result<_>>()?;
    let of = |pick: fn(&Sum) -> f64| median(results.iter().map(pick));
    let mut middle = results.clone();
    middle.sort_by(|one, other| one.cost.wall.total_cmp(&other.cost.wall));
    // The counts are those of the run with the median time, so that they belong together.
    let mut result = middle.swap_remove(middle.len() / 2);
    result.cost.cpu = of(|result| result.cost.cpu);
    result.cost.memory = of(|result| result.cost.memory);
    Ok(result)
}

fn scaled(result: Sum, guests: usize) -> Sum {
    Sum {
        scale: ratio(guests, result.guests),
        ..result
    }
}

/// The limits that the added options leave.
fn slots(with: &[String]) -> Slots {
    let value = |name: &str| {
        let prefix = format!("--{name}=");
        with.iter()
            .find_map(|option| option.strip_prefix(&prefix)?.parse::<f64>().ok())
    };
    let total = value("max-parallel");
    Slots {
        total: total.unwrap_or(Slots::DEFAULT.total),
        per_node: value("max-parallel-per-node")
            .or(total)
            .unwrap_or(Slots::DEFAULT.per_node),
        per_storage: value("max-parallel-per-storage").unwrap_or(Slots::DEFAULT.per_storage),
    }
}

/// One number by another.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn ratio(number: usize, by: usize) -> f64 {
    number as f64 / by.max(1) as f64
}
