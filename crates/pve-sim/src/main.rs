// SPDX-License-Identifier: GPL-3.0-only
//! `pve-sim`: serves a simulated Proxmox VE API, and controls a running one.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that says where it listens and what is wrong"
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
use pve_sim::world::load::{Document, Problem};

use startup::Secrets;

/// Nobody reads more, and a pipe that nobody reads holds more.
const SHOWN_WARNINGS: usize = 20;

/// A simulated Proxmox VE API, faithful enough to test clients against.
#[derive(Parser)]
#[command(version, about)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a cluster over HTTPS until told to end.
    Serve(Box<Serve>),
    /// Change a running simulator's world from outside.
    #[command(after_help = command_list())]
    Control {
        /// Address of the simulator, as `serve` printed it.
        #[arg(long)]
        url: String,
        /// Command and arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// List the methods and paths that are answered.
    Paths,
}

#[derive(Args)]
struct Serve {
    /// The world: nodes, guests, storages, pools, users. Without it a cluster is generated.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Passwords, token values and second factors of the world's users.
    #[arg(long, value_name = "FILE", requires = "world")]
    credentials: Option<PathBuf>,
    /// Refuse a world that would only give warnings: disks on storages and snapshots with parents
    /// that are not there, guests in two pools, secrets of users that are not there.
    #[arg(long, requires = "world")]
    strict: bool,
    /// Generate a cluster of so many nodes instead.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 3)]
    nodes: u32,
    /// Guests of the generated cluster.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 30)]
    guests: u32,
    /// Decides everything else about the generated cluster: equal seeds, equal clusters.
    #[arg(long, value_name = "S", conflicts_with = "world", default_value_t = 1)]
    seed: u64,
    /// Snapshots of each guest of the generated cluster.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 7)]
    snapshots: u32,
    /// How many nodes of the generated cluster, from the last on, are offline.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 0)]
    offline_nodes: u32,
    /// How many nodes of the generated cluster, from the second on, are five times as slow.
    #[arg(long, value_name = "N", conflicts_with = "world", default_value_t = 0)]
    slow_nodes: u32,
    /// The release of PVE: 8 (8.4) or 9 (9.2).
    #[arg(long, value_name = "8|9", default_value_t = Release::V8, value_parser = release)]
    pve_version: Release,
    /// Where the cluster's own address listens; may be repeated.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Vec<SocketAddr>,
    /// Listen on one more port for each node.
    #[arg(long)]
    listen_nodes: bool,
    /// Write every request, change and task there, as JSON lines.
    #[arg(long, value_name = "FILE", conflicts_with = "journal_entries")]
    journal: Option<PathBuf>,
    /// Without a journal file, keep so many of the latest entries in memory, for
    /// `pve-sim control … journal`; 20,000 are about 8 MB.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    journal_entries: usize,
    /// What goes wrong, and when.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How long a task takes, unless the world says otherwise; FROM-TO: each guest of a
    /// generated cluster has its own duration between these.
    #[arg(long, value_name = "SECONDS|FROM-TO", default_value = "0.1", value_parser = durations)]
    task_seconds: Durations,
    /// How many tasks make progress at once on a node; without it, all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    task_slots: Option<u32>,
    /// Pauses before answers: `measured`, `none`, or a factor on the measured ones.
    #[arg(long, value_name = "PROFILE", default_value = "measured", value_parser = latency)]
    latency: Latency,
    /// Factor on PVE's own waits: 3 s before a 401, 10 s for a lock, 30 s for a silent node.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = seconds)]
    delays: f64,
    /// What the simulated clock shows at the start, in seconds since the epoch.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    start: Option<f64>,
    /// Certificate as PEM, instead of a fresh self-signed one.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's key as PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Program::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Control { url, words } => send(&url, &words),
        Command::Paths => list_paths(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {}", text_of(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes on one line, without those whose text an error before repeats.
fn text_of(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn send(url: &str, words: &[String]) -> Result<()> {
    let printed = control::send(url, words)?;
    if !printed.is_empty() {
        println!("{printed}");
    }
    Ok(())
}

fn list_paths() -> Result<()> {
    let lines = pve_sim::api::served();
    let lines = lines
        .iter()
        .map(|(method, path)| format!("{method} {path}\n"));
    print(&lines.collect::<String>())
}

fn serve(options: &Serve) -> Result<()> {
    let (world, credentials) = worlds(options)?;
    let mut chosen = Options::new(world, credentials.clone());
    chosen.listen.clone_from(&options.listen);
    chosen.release = options.pve_version;
    chosen.listen_nodes = options.listen_nodes;
    chosen.task_slots = options.task_slots;
    chosen.timing = Timing {
        task_seconds: options.task_seconds.from,
        delays: options.delays,
    };
    chosen.latency = options.latency;
    chosen.start = options.start;
    if let Some(file) = &options.faults {
        chosen.faults = FaultPlan::read(file)?;
    }
    chosen.journal = match &options.journal {
        Some(file) => Journal::to_file(file)?,
        None => Journal::bounded(options.journal_entries),
    };
    if let (Some(certificate), Some(key)) = (&options.certificate, &options.key) {
        chosen.identity = Some((read(certificate)?, read(key)?));
    }
    let simulator = Simulator::start(chosen).map_err(|error| in_files(options, error))?;
    let warnings = simulator.world(|world| world.warnings.clone());
    if options.strict && !warnings.is_empty() {
        bail!(described(options, &warnings));
    }
    for warning in warnings.iter().take(SHOWN_WARNINGS) {
        eprintln!("Warning: {}", in_file(options, warning));
    }
    if warnings.len() > SHOWN_WARNINGS {
        eprintln!(
            "Warning: {} more; --strict shows all",
            warnings.len() - SHOWN_WARNINGS
        );
    }
    let secrets = match &options.credentials {
        Some(file) => Secrets::InFile(file),
        None => Secrets::Public(&credentials),
    };
    print(&startup::text(&simulator, &secrets))?;
    wait_for_the_end()?;
    simulator.stop();
    Ok(())
}

/// Prints all at once: whoever started the program may stop reading after the lines he needs.
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

/// An error of the start; what is wrong with the world comes with the names of its files.
fn in_files(options: &Serve, error: StartError) -> Error {
    match error {
        StartError::World(error) => anyhow!(described(options, &error.problems)),
        other => other.into(),
    }
}

/// Problems, each on a line of its own.
fn described(options: &Serve, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|one| in_file(options, one)).collect();
    lines.join("\n       ")
}

fn in_file(options: &Serve, problem: &Problem) -> String {
    let file = match problem.document {
        Document::World => &options.world,
        Document::Credentials => &options.credentials,
    };
    match file {
        Some(file) => format!("'{}': {problem}", file.display()),
        None => format!("{}: {problem}", problem.document),
    }
}

/// Returns on SIGTERM (on Unix), or when somebody presses Ctrl-C.
fn wait_for_the_end() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let terminate = terminated()?;
        tokio::select! {
            () = terminate => Ok(()),
            pressed = tokio::signal::ctrl_c() => pressed.context("cannot wait for signals"),
        }
    })
}

#[cfg(unix)]
fn terminated() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        terminate.recv().await;
    })
}

/// There is no such signal.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as where there is one")]
fn terminated() -> Result<impl Future<Output = ()>> {
    Ok(std::future::pending())
}

fn worlds(options: &Serve) -> Result<(Value, Value)> {
    match (&options.world, &options.credentials) {
        (Some(_), _) if options.task_seconds.range().is_some() => {
            bail!("a range of --task-seconds needs a generated cluster, not --world")
        }
        (Some(world), Some(credentials)) => Ok((json(world)?, json(credentials)?)),
        (Some(_), None) => bail!("--world needs --credentials: nobody could sign on"),
        (None, _) => {
            let made = generate(&GenerateOptions {
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
            Ok((made.world, made.credentials))
        }
    }
}

fn json(file: &Path) -> Result<Value> {
    let text = read(file)?;
    serde_json::from_str(&text).with_context(|| format!("'{}' is no JSON", file.display()))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))
}

/// One duration for all tasks, or a range that guests draw theirs from.
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

fn durations(text: &str) -> Result<Durations, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let durations = Durations {
        from: seconds(from)?,
        to: seconds(to)?,
    };
    if durations.from > durations.to {
        return Err("the range is upside down".to_owned());
    }
    Ok(durations)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1e12).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err("not a number of zero or more".to_owned()),
    }
}

fn release(text: &str) -> Result<Release, String> {
    Release::parse(text).ok_or_else(|| "expected 8 or 9".to_owned())
}

fn latency(text: &str) -> Result<Latency, String> {
    match text {
        "measured" => Ok(Latency::measured()),
        "none" => Ok(Latency::none()),
        factor => Ok(Latency::measured().scaled(seconds(factor)?)),
    }
}

fn command_list() -> String {
    let lines: Vec<String> = control::COMMANDS
        .iter()
        .map(|(usage, meaning)| format!("  {usage}\n          {meaning}"))
        .collect();
    format!("Commands:\n{}", lines.join("\n"))
}
