// SPDX-License-Identifier: GPL-3.0-only
//! `pve-sim`: serves a simulated Proxmox VE API, and controls a running one.
#![warn(clippy::wildcard_enum_match_arm)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program prints its addresses and its errors"
)]

mod startup;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Error, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use pve_sim::clock::{Clock, whole};
use pve_sim::control;
use pve_sim::faults::FaultPlan;
use pve_sim::generate::{GenerateOptions, generate};
use pve_sim::http::Latency;
use pve_sim::journal::Journal;
use pve_sim::release::Release;
use pve_sim::simulator::{Options, Simulator, StartError};
use pve_sim::world::Timing;
use pve_sim::world::loader::{Document, Problem};

use startup::Secrets;

/// Limit on printed warnings: more would not be read, and could block a pipe that is not read.
const SHOWN_WARNINGS: usize = 20;

/// A simulated Proxmox VE API, faithful enough to test snapshot clients against.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a cluster over HTTPS until SIGTERM or Ctrl-C.
    Serve(Box<Serve>),
    /// Change the world of a running simulator.
    #[command(after_help = command_list())]
    Control {
        /// URL of the simulator, as printed by `serve`.
        #[arg(long)]
        url: String,
        /// Command and arguments.
        #[arg(
            required = true,
            value_name = "COMMAND",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        arguments: Vec<String>,
    },
    /// List the supported methods and paths.
    Paths,
}

#[derive(Args)]
struct Serve {
    /// World file: nodes, guests, storages, pools, users. Default: a generated cluster.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Credentials file: passwords, token secrets and TOTP secrets of the world's users.
    #[arg(long, value_name = "FILE", requires = "world")]
    credentials: Option<PathBuf>,
    /// Treat warnings about the world as errors: disks on unknown storages, snapshots with unknown
    /// parents, guests in two pools, secrets of unknown users.
    #[arg(long, requires = "world")]
    strict: bool,
    /// Generated cluster: number of nodes.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 3)]
    nodes: u32,
    /// Generated cluster: number of guests.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 30)]
    guests: u32,
    /// Generated cluster: seed; the same seed generates the same cluster.
    #[arg(long, value_name = "S", conflicts_with = "world", default_value_t = 1)]
    seed: u64,
    /// Generated cluster: snapshots per guest.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 7)]
    snapshots: u32,
    /// Generated cluster: number of offline nodes, counted from the last.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 0)]
    offline_nodes: u32,
    /// Generated cluster: number of nodes that are five times slower, counted from the second.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 0)]
    slow_nodes: u32,
    /// PVE release to simulate: 8 (8.4) or 9 (9.2).
    #[arg(long, value_name = "8|9", default_value_t = Release::V8, value_parser = parse_release)]
    pve_version: Release,
    /// Address of the cluster; may be repeated. Port 0 selects a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Vec<SocketAddr>,
    /// Listen on one additional port per node.
    #[arg(long)]
    listen_nodes: bool,
    /// Write all requests, changes and tasks to this file as JSON lines.
    #[arg(long, value_name = "FILE", conflicts_with = "journal_entries")]
    journal: Option<PathBuf>,
    /// Without --journal: number of latest entries kept in memory for `pve-sim control … journal`;
    /// 20,000 entries need about 8 MB.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    journal_entries: usize,
    /// Fault file: which requests and tasks fail, and how.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Duration of a task, unless the world file sets it. FROM-TO: every guest of a generated
    /// cluster gets its own duration in this range.
    #[arg(long, value_name = "SECONDS|FROM-TO", default_value = "0.1", value_parser = parse_durations)]
    task_seconds: Durations,
    /// Maximum number of concurrent tasks per node. Default: no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    task_slots: Option<u32>,
    /// Delay of responses: `measured`, `none`, or a factor applied to the measured delays.
    #[arg(long, value_name = "PROFILE", default_value = "measured", value_parser = parse_latency)]
    latency: Latency,
    /// Factor applied to PVE's own delays: 3 s before a 401, 10 s for a lock, 30 s for a silent
    /// node.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = parse_seconds)]
    delays: f64,
    /// Initial time of the simulated clock, in seconds since the epoch. Default: now.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    start: Option<f64>,
    /// Certificate in PEM format. Default: a new self-signed certificate.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Private key of the certificate in PEM format.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Program::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Control { url, arguments } => send(&url, &arguments),
        Command::Paths => list_paths(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {}", error_text(&error));
            ExitCode::FAILURE
        }
    }
}

/// Formats an error with its causes on one line; skips causes that the text already contains.
fn error_text(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn send(url: &str, arguments: &[String]) -> Result<()> {
    let output = control::send(url, arguments)?;
    if !output.is_empty() {
        println!("{output}");
    }
    Ok(())
}

fn list_paths() -> Result<()> {
    let lines = pve_sim::api::supported_methods();
    let lines = lines
        .iter()
        .map(|(method, path)| format!("{method} {path}\n"));
    print(&lines.collect::<String>())
}

fn serve(options: &Serve) -> Result<()> {
    let (world, credentials) = load_world(options)?;
    let mut settings = Options::new(world, credentials.clone());
    settings.listen.clone_from(&options.listen);
    settings.release = options.pve_version;
    settings.listen_nodes = options.listen_nodes;
    settings.task_slots = options.task_slots;
    settings.timing = Timing {
        task_seconds: options.task_seconds.from,
        delays: options.delays,
    };
    settings.latency = options.latency;
    settings.start = options.start;
    if let Some(file) = &options.faults {
        settings.faults = FaultPlan::read(file)?;
    }
    settings.journal = match &options.journal {
        Some(file) => Journal::to_file(file)?,
        None => Journal::bounded(options.journal_entries),
    };
    if let (Some(certificate), Some(key)) = (&options.certificate, &options.key) {
        settings.identity = Some((read(certificate)?, read(key)?));
    }
    let simulator = Simulator::start(settings).map_err(|error| with_file_names(options, error))?;
    let warnings = simulator.world(|world| world.warnings.clone());
    if options.strict && !warnings.is_empty() {
        bail!(format_problems(options, &warnings));
    }
    for warning in warnings.iter().take(SHOWN_WARNINGS) {
        eprintln!("Warning: {}", format_problem(options, warning));
    }
    if warnings.len() > SHOWN_WARNINGS {
        eprintln!(
            "Warning: {} more warnings; --strict prints all of them",
            warnings.len() - SHOWN_WARNINGS
        );
    }
    let secrets = match &options.credentials {
        Some(file) => Secrets::InFile(file),
        None => Secrets::Public(&credentials),
    };
    print(&startup::lines(&simulator, &secrets))?;
    wait_for_termination()?;
    simulator.stop();
    Ok(())
}

/// Prints the text immediately and ignores a closed pipe: a reader may stop after the first lines.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Adds file names to the problems found in the world and credentials files.
fn with_file_names(options: &Serve, error: StartError) -> Error {
    match error {
        StartError::World(error) => anyhow!(format_problems(options, &error.problems)),
        error @ (StartError::Identity(_) | StartError::Listen { .. } | StartError::Runtime(_)) => {
            error.into()
        }
    }
}

/// Formats problems, one per line.
fn format_problems(options: &Serve, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format_problem(options, problem))
        .collect();
    lines.join("\n       ")
}

fn format_problem(options: &Serve, problem: &Problem) -> String {
    let file = match problem.document {
        Document::World => &options.world,
        Document::Credentials => &options.credentials,
    };
    match file {
        Some(file) => format!("'{}': {problem}", file.display()),
        None => format!("{}: {problem}", problem.document),
    }
}

/// Returns on SIGTERM (Unix only) or Ctrl-C.
fn wait_for_termination() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let terminate = termination_signal()?;
        tokio::select! {
            () = terminate => Ok(()),
            interrupt = tokio::signal::ctrl_c() => interrupt.context("cannot wait for signals"),
        }
    })
}

#[cfg(unix)]
fn termination_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        terminate.recv().await;
    })
}

/// Never completes: this platform has no SIGTERM.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "same signature as on Unix")]
fn termination_signal() -> Result<impl Future<Output = ()>> {
    Ok(std::future::pending())
}

fn load_world(options: &Serve) -> Result<(Value, Value)> {
    match (&options.world, &options.credentials) {
        (Some(_), _) if options.task_seconds.range().is_some() => {
            bail!("a range for --task-seconds requires a generated cluster, not --world")
        }
        (Some(world), Some(credentials)) => Ok((read_json(world)?, read_json(credentials)?)),
        (Some(_), None) => bail!("--world requires --credentials: without it no user can log in"),
        (None, _) => {
            let generated = generate(&GenerateOptions {
                nodes: options.nodes,
                guests: options.guests,
                seed: options.seed,
                snapshots: options.snapshots,
                offline_nodes: options.offline_nodes,
                slow_nodes: options.slow_nodes,
                task_seconds: options.task_seconds.range(),
                now: whole(options.start.unwrap_or_else(|| Clock::new(None).now())),
                ..GenerateOptions::default()
            })?;
            Ok((generated.world, generated.credentials))
        }
    }
}

fn read_json(file: &Path) -> Result<Value> {
    let text = read(file)?;
    serde_json::from_str(&text).with_context(|| format!("invalid JSON in '{}'", file.display()))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))
}

/// One duration for all tasks, or a range with one duration per guest.
#[derive(Clone, Copy)]
struct Durations {
    from: f64,
    to: f64,
}

impl Durations {
    fn range(self) -> Option<RangeInclusive<f64>> {
        (self.from < self.to).then_some(self.from..=self.to)
    }
}

fn parse_durations(text: &str) -> Result<Durations, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let durations = Durations {
        from: parse_seconds(from)?,
        to: parse_seconds(to)?,
    };
    if durations.from > durations.to {
        return Err("FROM must not exceed TO".to_owned());
    }
    Ok(durations)
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1e12).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err("expected a number of at least 0".to_owned()),
    }
}

fn parse_release(text: &str) -> Result<Release, String> {
    Release::parse(text).ok_or_else(|| "expected 8 or 9".to_owned())
}

fn parse_latency(text: &str) -> Result<Latency, String> {
    match text {
        "measured" => Ok(Latency::measured()),
        "none" => Ok(Latency::none()),
        factor => Ok(Latency::measured().scaled(parse_seconds(factor)?)),
    }
}

fn command_list() -> String {
    let lines: Vec<String> = control::COMMANDS
        .iter()
        .map(|(usage, meaning)| format!("  {usage}\n          {meaning}"))
        .collect();
    format!("Commands:\n{}", lines.join("\n"))
}
