// SPDX-License-Identifier: GPL-3.0-only
//! One child process, from its start until it has ended and no process holds its stdout, or until its time limit.
//!
//! | a hook that | ends like this |
//! |---|---|
//! | hangs, or ignores SIGTERM | SIGTERM to its process group at the limit, SIGKILL after the grace |
//! | leaves children that hold its stdout open | the call ends with the last of them; at the limit they live on |
//! | leaves children that moved their stdout elsewhere | the call ends with the hook; the children live on |
//! | floods its stdout | the pipe is always drained, memory is bounded by [`Capture`] |
//! | waits for input | reads the end of the file immediately, because its stdin is null |
//!
//! While this process runs, the reading end of a hook's stdout is never closed: SIGPIPE would end a child in the
//! background that is about to resume a service. stderr is inherited for the same reason, as in the C# tool: background
//! processes of a hook do not depend on this process.
//!
//! The process group is signalled only until its leader is reaped: before that, its number cannot be reused for another
//! process. Windows has no process groups; there `taskkill /T` ends the hook and its descendants, without a grace.
//! Limit: it does not find a descendant whose parent has already ended.
//!
//! The crates `process-wrap` and `win32job` are not used. `process-wrap` waits for a whole process group and reaps it,
//! but a call ends with the hook, and [`end_all`] signals from another thread. A Windows job object would also
//! end the descendants missed above, but the hook must be assigned to it before it starts a child. So it would have to
//! start suspended, which neither std nor tokio offers. `taskkill` is part of every Windows.
//!
//! When the process exits immediately after a second signal, [`end_all`] ends the running hooks.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::capture::Capture;
use super::{HookStatus, Settings};

/// How long to read on after a hook was killed, if a process outside of its group keeps the pipe open. The hook's own
/// output is already in the pipe.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// How long to wait for a killed process to be reaped. It can be stuck in the kernel for longer.
const REAP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long `taskkill` may take: on a busy machine virus scanners check it first.
#[cfg(windows)]
const TASKKILL_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval at which a hook is polled after SIGTERM: the poll must not reap it.
#[cfg(unix)]
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running hook: its process, which on Unix leads a process group.
#[cfg(unix)]
type Leader = rustix::process::Pid;
#[cfg(windows)]
type Leader = u32;

/// The running hooks. A hook is removed and reaped under the lock, so that the process IDs in the list cannot belong to
/// other processes.
static RUNNING: Mutex<Vec<Leader>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Leader>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A guard: while it exists, no hook can start or be reaped.
#[derive(Debug)]
pub struct NoHookStarts {
    _running: MutexGuard<'static, Vec<Leader>>,
}

/// Ends all running hooks and their child processes, because this process is about to exit: SIGTERM to each process
/// group, SIGKILL to the hooks that still run after `grace`.
///
/// Background processes of a hook that has already ended get SIGTERM only, as their end cannot be observed. Blocks the
/// calling thread, at most for `grace`.
#[cfg(unix)]
pub fn end_all(grace: Duration) -> NoHookStarts {
    use rustix::process::Signal;

    let mut alive: Vec<Leader> = Vec::new();
    for &leader in running().iter() {
        alive.extend((!has_ended(leader)).then_some(leader));
        signal(leader, Signal::TERM);
        signal(leader, Signal::CONT);
    }
    let deadline = std::time::Instant::now() + grace;
    while !running().iter().copied().all(has_ended) && std::time::Instant::now() < deadline {
        std::thread::sleep(POLL_INTERVAL);
    }
    let running = running();
    // Hooks that were reaped during the wait are no longer in the list: their process IDs may be reused.
    for &leader in running.iter().filter(|leader| alive.contains(leader)) {
        signal(leader, Signal::KILL);
    }
    NoHookStarts { _running: running }
}

/// Ends all running hooks and their descendants, because this process is about to exit.
#[cfg(windows)]
pub fn end_all(_grace: Duration) -> NoHookStarts {
    let running = running();
    for &id in running.iter() {
        // Fails for a hook that has ended already.
        let _ = std::process::Command::new(taskkill())
            .args(["/T", "/F", "/PID", &id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
    NoHookStarts { _running: running }
}

/// Whether a leader has ended; does not reap it.
#[cfg(unix)]
fn has_ended(leader: Leader) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(leader), options), Ok(None))
}

/// Signals a process group. A failure is ignored: the only likely one is that the group is empty.
#[cfg(unix)]
fn signal(leader: Leader, signal: rustix::process::Signal) {
    let _group_is_empty = rustix::process::kill_process_group(leader, signal);
}

/// Starts `command` and waits for its end. The text is what was written to its stdout.
pub(super) async fn run(command: Command, settings: &Settings) -> (io::Result<HookStatus>, String) {
    let mut capture = Capture::new(settings.output_limit);
    let status = match start(command) {
        Ok((group, output)) => supervise(group, output, &mut capture, settings).await,
        Err(error) => Err(error),
    };
    (status, capture.into_text())
}

/// Reads the output until the hook has ended or the time limit, and ends the hook at the limit.
async fn supervise(
    mut group: Group,
    mut output: Output,
    capture: &mut Capture,
    settings: &Settings,
) -> io::Result<HookStatus> {
    // A deadline beyond the range of the clock counts as no limit.
    let deadline = settings
        .timeout
        .and_then(|limit| Some((limit, Instant::now().checked_add(limit)?)));
    let ended = {
        // The hook is reaped last, so that its group can be signalled while a child holds the pipe.
        let run = async {
            output.read_to_end(capture).await;
            group.wait().await
        };
        match deadline {
            Some((limit, deadline)) => timeout_at(deadline, run).await.map_err(|_| limit),
            None => Ok(run.await),
        }
    };
    let status = match ended {
        Ok(status) => {
            group.over = true;
            return status.map(from_exit_status);
        }
        Err(limit) if group.leader_has_ended() => {
            let status = group.wait().await.map(from_exit_status);
            group.over = true;
            status.map(|status| {
                if let HookStatus::Exited(0) = status {
                    HookStatus::ChildStillRunning(limit)
                } else {
                    status
                }
            })
        }
        Err(limit) => {
            tokio::select! {
                () = group.end(settings.grace) => {}
                never = output.read_forever(capture) => match never {},
            }
            output.drain(capture).await;
            Ok(HookStatus::TimedOut(limit))
        }
    };
    output.discard_rest();
    status
}

#[cfg(unix)]
fn from_exit_status(status: ExitStatus) -> HookStatus {
    use std::os::unix::process::ExitStatusExt;

    // A process that has ended has either a code or a signal.
    match (status.code(), status.signal()) {
        (Some(code), _) => HookStatus::Exited(code),
        (None, signal) => HookStatus::Signalled(signal.unwrap_or_default()),
    }
}

#[cfg(windows)]
fn from_exit_status(status: ExitStatus) -> HookStatus {
    HookStatus::Exited(status.code().unwrap_or_default())
}

fn start(mut command: Command) -> io::Result<(Group, Output)> {
    let (reader, writer) = io::pipe()?;
    let output = Output::new(reader)?;
    command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::inherit());
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(windows)]
    command.kill_on_drop(true);
    // Locked until the hook is in the list, so that `end_all` finds it. The command is dropped at the end of this
    // function, because it owns a copy of the pipe's writing end.
    let mut running = running();
    let child = command.spawn()?;
    let group = Group::new(child);
    running.extend(group.leader);
    Ok((group, output))
}

/// The hook and its descendants.
struct Group {
    child: Child,
    /// Whether the child is reaped. After that the group must not be signalled.
    over: bool,
    leader: Option<Leader>,
}

impl Group {
    /// Waits for the hook and reaps it.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let leader = self.leader;
        let mut ended = pin!(self.child.wait());
        // The poll that is ready is the one that has reaped the process.
        poll_fn(|context| {
            let mut running = running();
            let polled = ended.as_mut().poll(context);
            if polled.is_ready() {
                forget(&mut running, leader);
            }
            polled
        })
        .await
    }
}

fn forget(running: &mut Vec<Leader>, leader: Option<Leader>) {
    running.retain(|one| Some(*one) != leader);
}

#[cfg(unix)]
impl Group {
    fn new(child: Child) -> Self {
        let leader = child.id().and_then(|id| Leader::from_raw(id.cast_signed()));
        Self {
            child,
            over: false,
            leader,
        }
    }

    /// Sends SIGTERM to the group, waits for the hook at most for `grace`, then kills the processes that are left.
    async fn end(&mut self, grace: Duration) {
        use rustix::process::Signal;

        self.signal(Signal::TERM);
        // A stopped process, e.g. one that tried to read from a terminal, handles SIGTERM only after SIGCONT.
        self.signal(Signal::CONT);
        let deadline = Instant::now() + grace;
        while !self.leader_has_ended() && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.signal(Signal::KILL);
        self.over = timeout(REAP_TIMEOUT, self.wait()).await.is_ok();
    }

    fn leader_has_ended(&mut self) -> bool {
        self.leader.is_none_or(has_ended)
    }

    fn signal(&self, which: rustix::process::Signal) {
        if let Some(leader) = self.leader.filter(|_| !self.over) {
            signal(leader, which);
        }
    }
}

/// Ends the hook without waiting for it: the call is dropped because the run is abandoned.
#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        self.signal(rustix::process::Signal::CONT);
        // From now on tokio may reap it at any time.
        forget(&mut running(), self.leader);
    }
}

#[cfg(windows)]
impl Drop for Group {
    fn drop(&mut self) {
        forget(&mut running(), self.leader);
    }
}

#[cfg(windows)]
impl Group {
    fn new(child: Child) -> Self {
        let leader = child.id();
        Self {
            child,
            over: false,
            leader,
        }
    }

    /// Whether the hook has ended. This reaps it, but the handle keeps its number from being reused.
    fn leader_has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Ends the hook and its descendants. Windows has no equivalent of SIGTERM for a process without a window.
    async fn end(&mut self, _grace: Duration) {
        if let Some(id) = self.child.id() {
            // If it fails, at least the hook itself is ended below.
            let _ = timeout(TASKKILL_TIMEOUT, end_tree(id)).await;
        }
        // Fails only for a process that has ended already.
        let _ = self.child.start_kill();
        self.over = timeout(REAP_TIMEOUT, self.wait()).await.is_ok();
    }
}

/// The path of the Windows tool that ends processes.
#[cfg(windows)]
fn taskkill() -> std::path::PathBuf {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    std::path::Path::new(&root).join(r"System32\taskkill.exe")
}

/// Ends a process and its descendants with `taskkill`. The caller's handle keeps the number from being reused.
#[cfg(windows)]
async fn end_tree(id: u32) -> io::Result<ExitStatus> {
    Command::new(taskkill())
        .args(["/T", "/F", "/PID", &id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
}

/// The reading end of the hook's output.
#[cfg(unix)]
struct Output {
    pipe: tokio::net::unix::pipe::Receiver,
    at_end: bool,
}

#[cfg(unix)]
impl Output {
    fn new(reader: io::PipeReader) -> io::Result<Self> {
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        Ok(Self {
            pipe,
            at_end: false,
        })
    }

    /// Reads until the end; an unreadable pipe counts as ended.
    async fn read_to_end(&mut self, capture: &mut Capture) {
        use tokio::io::AsyncReadExt;

        let mut buffer = vec![0; 16 * 1024];
        while !self.at_end {
            let count = self.pipe.read(&mut buffer).await.unwrap_or(0);
            self.at_end = count == 0;
            capture.push(&buffer[..count]);
        }
    }

    /// Reads and discards the rest for as long as this process runs.
    fn discard_rest(mut self) {
        if !self.at_end {
            tokio::spawn(async move { self.read_to_end(&mut Capture::new(0)).await });
        }
    }
}

/// The reading end of the hook's output. Windows cannot wait for an anonymous pipe, so a thread reads it until its end
/// or the end of this process.
#[cfg(windows)]
struct Output {
    chunks: tokio::sync::mpsc::Receiver<Vec<u8>>,
}

#[cfg(windows)]
impl Output {
    fn new(mut reader: io::PipeReader) -> io::Result<Self> {
        use std::io::Read;

        let (sender, chunks) = tokio::sync::mpsc::channel(4);
        let read_on = move || {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                // Fails after the call is over; later output is discarded.
                let _ = sender.blocking_send(buffer[..count].to_vec());
            }
        };
        std::thread::Builder::new()
            .name(String::from("hook output"))
            .spawn(read_on)?;
        Ok(Self { chunks })
    }

    async fn read_to_end(&mut self, capture: &mut Capture) {
        while let Some(chunk) = self.chunks.recv().await {
            capture.push(&chunk);
        }
    }

    /// Drops the receiver; the thread reads on and discards the rest.
    fn discard_rest(self) {
        drop(self);
    }
}

impl Output {
    /// Reads for as long as it is polled.
    async fn read_forever(&mut self, capture: &mut Capture) -> std::convert::Infallible {
        self.read_to_end(capture).await;
        std::future::pending().await
    }

    /// Reads the rest of the pipe, at most for [`DRAIN_TIMEOUT`].
    async fn drain(&mut self, capture: &mut Capture) {
        let _still_open = timeout(DRAIN_TIMEOUT, self.read_to_end(capture)).await;
    }
}
