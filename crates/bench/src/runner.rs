// SPDX-License-Identifier: GPL-3.0-only
//! Runs a case several times, each time on a new cluster, and computes the medians.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::case::Case;
use crate::figures::{self, Figures, Slots, median};
use crate::legacy;
use crate::measure::{self, Cost};
use crate::processes::{Programs, Server, TOKEN};
use crate::table;
use crate::world::World;

/// The medians of a case's runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measurement {
    /// The costs of the process; without CPU and memory for the C# pattern.
    pub(crate) cost: Cost,
    /// The figures from the journal.
    pub(crate) figures: Figures,
    /// Number of guests in the measured run.
    pub(crate) guests: usize,
    /// Factor that scales the wall time to all guests.
    pub(crate) scale: f64,
}

/// Runs a case and returns its lines of the table.
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
    let baseline = repeat(runs, || {
        program(case, programs, &world, "@all", &all, slots, with)
    })?;
    let mut lines = vec![table::line(&case.name, "defaults", baseline, None)];
    if case.compared && !alone {
        let sample = world.sample(case.sample);
        let selection: Vec<String> = sample.iter().map(u32::to_string).collect();
        let selection = selection.join(",");
        let one = vec!["--max-parallel=1".to_owned()];
        let single = repeat(runs, || {
            program(
                case,
                programs,
                &world,
                &selection,
                &sample,
                Slots::ONE,
                &one,
            )
        })?;
        let single = scaled(single, all.len());
        lines.push(table::line(
            &case.name,
            "one at a time",
            single,
            Some(baseline),
        ));
        let old = repeat(runs, || csharp_pattern(programs, &world, &sample))?;
        let old = scaled(old, all.len());
        lines.push(table::line(&case.name, "C# pattern", old, Some(baseline)));
    }
    Ok(lines)
}

fn without_server(case: &Case, programs: &Programs, runs: u16) -> Result<Vec<String>> {
    let mut command_line = vec![programs.autosnap.display().to_string()];
    command_line.extend(case.command.iter().map(|word| (*word).to_owned()));
    let result = repeat(runs, || {
        let cost = measure::run(&command_line, &[])?;
        Ok(Measurement {
            cost,
            scale: 1.0,
            ..Measurement::default()
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
) -> Result<Measurement> {
    let server = Server::start(&programs.simulator, world)?;
    let mut command_line = vec![
        programs.autosnap.display().to_string(),
        format!("--host={}", server.address),
        format!("--vmid={selection}"),
    ];
    command_line.extend(case.command.iter().map(|word| (*word).to_owned()));
    command_line.extend(with.iter().cloned());
    let environment = [("CV4PVE_API_TOKEN", TOKEN), ("TZ", "UTC")];
    let cost = measure::run(&command_line, &environment)?;
    let figures = figures::read(&server.stop()?, &world.guests, slots);
    let dry = case.command.contains(&"--dry-run") || case.command[0] != "snap";
    ensure!(
        dry || figures.tasks >= guests.len(),
        "{} tasks succeeded for {} guests",
        figures.tasks,
        guests.len()
    );
    Ok(Measurement {
        cost,
        figures,
        guests: guests.len(),
        scale: 1.0,
    })
}

fn csharp_pattern(programs: &Programs, world: &World, guests: &[u32]) -> Result<Measurement> {
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
        "only {} tasks succeeded",
        figures.tasks
    );
    Ok(Measurement {
        cost,
        figures,
        guests: guests.len(),
        scale: 1.0,
    })
}

/// The medians of several runs.
fn repeat(runs: u16, mut once: impl FnMut() -> Result<Measurement>) -> Result<Measurement> {
    let results: Vec<Measurement> = (0..runs).map(|_| once()).collect::<Result<_>>()?;
    let of = |pick: fn(&Measurement) -> f64| median(results.iter().map(pick));
    let mut middle = results.clone();
    middle.sort_by(|one, other| one.cost.wall.total_cmp(&other.cost.wall));
    // The counts are from the run with the median time, so that they are consistent.
    let mut result = middle.swap_remove(middle.len() / 2);
    result.cost.cpu = of(|result| result.cost.cpu);
    result.cost.memory = of(|result| result.cost.memory);
    Ok(result)
}

fn scaled(result: Measurement, guests: usize) -> Measurement {
    Measurement {
        scale: ratio(guests, result.guests),
        ..result
    }
}

/// The limits set by the additional options.
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

/// Divides two numbers.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn ratio(number: usize, by: usize) -> f64 {
    number as f64 / by.max(1) as f64
}
