// SPDX-License-Identifier: GPL-3.0-only
//! A hermetic lab for each test: a simulated cluster on a free port, a temporary folder as the
//! working directory, an empty environment, and the real binary.
//!
//! What differs from run to run (times, ports, folders, UPIDs) is replaced by a word in angle
//! brackets, so that the rest can be compared as it is.

use std::fmt;
use std::fs::Permissions;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pve_sim::faults::FaultPlan;
use pve_sim::journal::{Action, Request};
use pve_sim::simulator::{Options, Simulator};
use regex_lite::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{World, credentials};

/// A token with the four privileges that the README requires.
pub(crate) const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";
/// The time limit of a run: longer means that it hangs.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);

/// Polls until the condition holds; fails after the time limit of a run.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + RUN_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A port without a listener: a connection holds it, so that no other process can take it.
pub(crate) struct UnusedPort {
    connection: TcpStream,
    _other_end: TcpListener,
}

impl UnusedPort {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            connection: TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
            _other_end: listener,
        }
    }

    /// Its host and port, for `--host`.
    pub(crate) fn address(&self) -> String {
        self.connection.local_addr().unwrap().to_string()
    }
}

/// A cluster and the folder in which the program runs.
pub(crate) struct Lab {
    /// The cluster.
    pub(crate) simulator: Simulator,
    folder: TempDir,
}

/// The result of one run of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// The exit status.
    pub(crate) status: i32,
    /// Its stdout, with everything replaced that differs from run to run.
    pub(crate) stdout: String,
    /// Its stderr, with the same replacements.
    pub(crate) stderr: String,
}

impl Lab {
    /// A lab with this cluster.
    pub(crate) fn new(world: &World) -> Self {
        Self::with(Options::new(world.to_json(), credentials()))
    }

    /// A lab with a simulator with these options.
    pub(crate) fn with(options: Options) -> Self {
        let lab = Self {
            simulator: Simulator::start(options).unwrap(),
            folder: tempfile::Builder::new().prefix("lab ").tempdir().unwrap(),
        };
        let token = lab.file("token", TOKEN);
        std::fs::set_permissions(token, Permissions::from_mode(0o600)).unwrap();
        lab
    }

    /// A lab with this cluster and these faults.
    pub(crate) fn with_faults(world: &World, faults: &str) -> Self {
        let lab = Self::new(world);
        lab.set_faults(faults);
        lab
    }

    /// Sets the faults from now on.
    pub(crate) fn set_faults(&self, faults: &str) {
        self.simulator.set_faults(FaultPlan::parse(faults).unwrap());
    }

    /// Waits until a request has matched this fault rule, counted from 0.
    #[track_caller]
    pub(crate) fn until_fault_applied(&self, rule: usize) {
        until("a request matches the fault rule", || {
            self.simulator
                .world(|world| world.faults.applied_to_requests()[rule] > 0)
        });
    }

    /// The host and port of the cluster, for `--host`.
    pub(crate) fn host(&self) -> String {
        self.simulator.addresses()[0].to_string()
    }

    /// The folder in which the program runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes an executable file through a child process: a file that this process has open for writing
    /// could be inherited by the child of another test, and then executing it fails with ETXTBSY.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        let mut helper = Command::new("/bin/sh")
            .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = helper.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        assert!(helper.wait().unwrap().success());
        path
    }

    /// Runs the program with host, token and these space-separated arguments.
    pub(crate) fn run(&self, args: &str) -> Output {
        self.call(args.split_whitespace())
    }

    /// Runs the program with host, token and these arguments.
    pub(crate) fn call<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.command();
        command
            .arg(format!("--host={}", self.host()))
            .arg("--api-token=file:token")
            .args(arguments);
        self.finish(command)
    }

    /// Runs the program with exactly these arguments.
    pub(crate) fn bare<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.command();
        command.args(arguments);
        self.finish(command)
    }

    /// The program in this folder, with an empty environment.
    pub(crate) fn command(&self) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_cv4pve-autosnap"))
    }

    /// Another program in this folder, in the same environment.
    pub(crate) fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder())
            .env("TZ", "UTC")
            .env("NO_COLOR", "1")
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn finish(&self, command: Command) -> Output {
        let result = assert_cmd::Command::from_std(command)
            .timeout(RUN_TIMEOUT)
            .output()
            .unwrap();
        Output {
            status: result.status.code().unwrap_or(-1),
            stdout: self.normalized(&result.stdout),
            stderr: self.normalized(&result.stderr),
        }
    }

    /// Runs a command to its end with a stdout that the caller has set.
    pub(crate) fn finish_with_own_stdout(&self, mut command: Command) -> Output {
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let result = child.wait_with_output().unwrap();
        Output {
            status: result.status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: self.normalized(&result.stderr),
        }
    }

    /// The text with everything replaced that differs from run to run.
    pub(crate) fn normalized(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(text);
        let folder = self.folder().to_str().unwrap();
        normalized(&text.replace(folder, "<folder>"))
    }

    /// The snapshots created and removed so far, in this order:
    /// `create 100 autodaily<now>`.
    pub(crate) fn changes(&self) -> Vec<String> {
        let mutations = self.simulator.journal().mutations();
        let changes = mutations.into_iter().map(|mutation| {
            let verb = match mutation.action {
                Action::Create => "create",
                Action::Delete => "delete",
                other @ (Action::Update
                | Action::Rollback
                | Action::Start
                | Action::Stop
                | Action::Configure) => return format!("{other:?} {}", mutation.vmid),
            };
            let name = mutation.snapshot.unwrap_or_default();
            normalized(&format!("{verb} {} {name}", mutation.vmid))
        });
        changes.collect()
    }

    /// The changes of one guest.
    pub(crate) fn changes_of(&self, vmid: u32) -> Vec<String> {
        let marker = format!(" {vmid} ");
        let mut changes = self.changes();
        changes.retain(|change| change.contains(&marker));
        changes
    }

    /// The requests so far that could change something, except logins: `POST /nodes/…`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.simulator.journal().requests();
        let writes = requests
            .into_iter()
            .filter(|request| request.method != "GET" && !request.path.ends_with("/access/ticket"));
        writes
            .map(|request| normalized(&format!("{} {}", request.method, request.path)))
            .collect()
    }

    /// Waits until the journal contains a matching request.
    #[track_caller]
    pub(crate) fn until_requested(&self, what: &str, matches: impl Fn(&Request) -> bool) {
        until(what, || {
            self.simulator.journal().requests().iter().any(&matches)
        });
    }

    /// Fails if a request could have changed something.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self) {
        assert_eq!(self.changes(), [] as [&str; 0]);
        assert_eq!(self.writes(), [] as [&str; 0]);
    }

    /// The names of a guest's snapshots, sorted, times of this year replaced.
    pub(crate) fn snapshots(&self, vmid: u32) -> Vec<String> {
        let names: Vec<String> = self
            .simulator
            .world(|world| world.guests[&vmid].snapshots.keys().cloned().collect());
        names.iter().map(|name| normalized(name)).collect()
    }
}

impl Output {
    /// Parses stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Exit status and report without its head, which is the same in every run.
    pub(crate) fn report(&self) -> String {
        let begin = self.stdout.find("-----").unwrap_or_default();
        let stdout = self.stdout[begin..].to_owned();
        Self {
            stdout,
            ..self.clone()
        }
        .to_string()
    }

    /// The lines of stdout with this prefix.
    pub(crate) fn lines(&self, start: &str) -> Vec<&str> {
        let lines = self.stdout.lines();
        lines.filter(|line| line.starts_with(start)).collect()
    }

    /// Fails, with all output, unless the exit status is this one.
    #[track_caller]
    pub(crate) fn assert_status(&self, expected: i32) -> &Self {
        assert_eq!(self.status, expected, "{self}");
        self
    }

    /// Fails, with all output, unless stdout contains the text.
    #[track_caller]
    pub(crate) fn assert_out(&self, expected: &str) -> &Self {
        assert!(
            self.stdout.contains(expected),
            "no '{expected}' on stdout\n{self}"
        );
        self
    }

    /// Fails, with all output, if stdout or stderr contains the text.
    #[track_caller]
    pub(crate) fn assert_not_printed(&self, unwanted: &str) -> &Self {
        let is_printed = self.stdout.contains(unwanted) || self.stderr.contains(unwanted);
        assert!(!is_printed, "'{unwanted}' is printed\n{self}");
        self
    }

    /// Fails, with all output, unless stderr contains the text.
    #[track_caller]
    pub(crate) fn assert_err(&self, expected: &str) -> &Self {
        assert!(
            self.stderr.contains(expected),
            "no '{expected}' on stderr\n{self}"
        );
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            stdout,
            stderr,
        } = self;
        writeln!(formatter, "exit status {status}")?;
        if !stdout.is_empty() {
            write!(formatter, "--- stdout ---\n{stdout}")?;
        }
        if !stderr.is_empty() {
            write!(formatter, "--- stderr ---\n{stderr}")?;
        }
        Ok(())
    }
}

/// The replacements, in this order. Names of the worlds' snapshots are from 2024 and stay.
static REPLACEMENTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"UPID:[A-Za-z0-9]+(:[A-Za-z0-9@!_.-]*)+:?", "<upid>"),
        (r"([0-9A-F]{2}:){31}[0-9A-F]{2}", "<fingerprint>"),
        (r"(execution )[0-9:.]+", "${1}<time>"),
        (r"(; took |Broken off after )[a-z0-9 ]+", "${1}<time>"),
        (r"(127\.0\.0\.1|\[::1\]):[0-9]+", "$1:<port>"),
        (r"(2[5-9]|[3-9][0-9])[01][0-9][0-3][0-9][0-9]{6,9}", "<now>"),
    ]
    .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
    .into()
});

fn normalized(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, word) in REPLACEMENTS.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    text
}
