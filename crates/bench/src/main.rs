// SPDX-License-Identifier: GPL-3.0-only
//! `autosnap-bench`: runs the real program as a process against the simulator as another, and
//! prints what a run costs: time against what the cluster itself needs, requests, connections,
//! CPU and memory.
//!
//! Every run gets a fresh simulated cluster. Beside each case stand the same program with one
//! guest at a time, and the pattern of the C# tool ([`legacy`]), both on a sample of the guests
//! where the whole would take hours.
//!
//! Limits: Unix only, because of the figures of child processes. The simulator takes part of the
//! same machine; its own CPU time is not counted, but it can slow the program down.
#![expect(clippy::print_stdout, reason = "a program whose result is a table")]

mod case;
mod figures;
mod legacy;
mod measure;
mod processes;
mod runner;
mod table;
mod world;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::processes::Programs;

/// Measures cv4pve-autosnap against the simulator.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Run one program and print its figures as JSON; used by the benchmark itself, because only
    /// a process without other children can tell what its child cost.
    #[command(hide = true)]
    Measure {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

#[derive(Args)]
struct Options {
    /// Cases to run, separated by commas; without it, all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    case: Vec<String>,
    /// How often each case is run; the table shows medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Tiny worlds, one run: shows that everything works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// Leave out one guest at a time and the pattern of the C# tool.
    #[arg(long)]
    alone: bool,
    /// Options added to every command line of the program, for trying other limits.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    with: Vec<String>,
    /// The program, instead of the one beside this one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// The simulator, instead of the one beside this one.
    #[arg(long, value_name = "FILE")]
    simulator: Option<PathBuf>,
}

fn main() -> Result<()> {
    let program = Program::parse();
    if let Some(Command::Measure { words }) = program.command {
        println!("{}", serde_json::to_string(&measure::run_here(&words)?)?);
        return Ok(());
    }
    let options = program.options;
    let programs = Programs::find(options.program, options.simulator)
        .context("build both first: cargo build --release -p cv4pve-autosnap -p pve-sim")?;
    let runs = if options.quick { 1 } else { options.runs };
    let cases = case::chosen(&options.case, options.quick)?;
    println!("{}", table::head());
    for case in &cases {
        let lines = runner::run(case, &programs, runs, options.alone, &options.with)
            .with_context(|| format!("case {}", case.name))?;
        for line in lines {
            println!("{line}");
        }
    }
    Ok(())
}
