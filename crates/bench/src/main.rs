// SPDX-License-Identifier: GPL-3.0-only
//! `autosnap-bench`: runs cv4pve-autosnap against the simulator, each as a separate process, and
//! prints the costs of a run: time compared with the minimum that the cluster needs, requests,
//! connections, CPU time and memory.
//!
//! Every run uses a new simulated cluster. For comparison, some cases also run with one guest at a
//! time and with the request pattern of the C# tool ([`legacy`]), on a sample of the guests.
//!
//! Limits: Unix only. The simulator runs on the same machine; its CPU time is not counted, but it
//! can slow the program down.
#![warn(clippy::wildcard_enum_match_arm)]
#![expect(clippy::print_stdout, reason = "the program prints a table")]

mod case;
mod figures;
mod legacy;
mod measure;
mod processes;
mod retention;
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
    /// Run a program and print its costs as JSON. Used by the benchmark itself: only a process with
    /// a single child can measure it.
    #[command(hide = true)]
    Measure {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command_line: Vec<String>,
    },
}

#[derive(Args)]
struct Options {
    /// Cases to run, separated by commas. Default: all except the scaling cases.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    case: Vec<String>,
    /// Number of runs per case; the table shows medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Small worlds and one run, to test the benchmark itself.
    #[arg(long)]
    quick: bool,
    /// Skip the comparisons with one guest at a time and with the C# tool.
    #[arg(long)]
    alone: bool,
    /// Additional option for the program, for example another limit; may be repeated.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    with: Vec<String>,
    /// Path of cv4pve-autosnap. Default: the folder of this program.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Path of pve-sim. Default: the folder of this program.
    #[arg(long, value_name = "FILE")]
    simulator: Option<PathBuf>,
}

fn main() -> Result<()> {
    let program = Program::parse();
    if let Some(Command::Measure { command_line }) = program.command {
        println!(
            "{}",
            serde_json::to_string(&measure::run_and_measure(&command_line)?)?
        );
        return Ok(());
    }
    let options = program.options;
    let runs = if options.quick { 1 } else { options.runs };
    let (alone, of_runs): (Vec<String>, Vec<String>) = options
        .case
        .iter()
        .cloned()
        .partition(|name| name == retention::CASE);
    if options.case.is_empty() || !of_runs.is_empty() {
        run_cases(&options, &of_runs, runs)?;
    }
    if options.case.is_empty() || !alone.is_empty() {
        println!("\n{}", retention::table(runs, options.quick)?);
    }
    Ok(())
}

fn run_cases(options: &Options, names: &[String], runs: u16) -> Result<()> {
    let programs = Programs::find(options.program.clone(), options.simulator.clone())
        .context("build both first: cargo build --release -p cv4pve-autosnap -p pve-sim")?;
    let cases = case::select(names, options.quick)?;
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
