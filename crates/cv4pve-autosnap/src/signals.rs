// SPDX-License-Identifier: GPL-3.0-only
//! Signals: the first stops the run in order, the second exits the process immediately.
//!
//! A thread of its own receives them until the process exits, so that a busy run, or one that is blocked by a reader
//! of its output, cannot delay the exit.

use std::sync::{Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::exit_status::ExitStatus;
use autosnap_core::event::StopReason;

use crate::report::{self, Console};
use autosnap::engine::RunningTasks;
use autosnap::hook;
use autosnap::stop::StopSignal;

/// How long running hooks may take to end when the process exits immediately.
const HOOK_GRACE: Duration = Duration::from_secs(5);

/// The run that a signal stops, if there is one.
static CURRENT: Mutex<Option<Run>> = Mutex::new(None);

/// The parts of a run that signals need.
struct Run {
    stop: StopSignal,
    tasks: RunningTasks,
    console: Console,
    /// Whether a signal was received before. The run may also have been stopped by a hook or a lost server.
    signalled: bool,
}

/// Lets signals stop the current run until it is dropped. From then on a signal exits the process immediately: only
/// output is left to be written.
#[derive(Debug)]
#[must_use]
pub struct SignalGuard(());

impl Drop for SignalGuard {
    fn drop(&mut self) {
        *current() = None;
    }
}

fn current() -> MutexGuard<'static, Option<Run>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes signals stop this run from now on. The first one waits for running tasks. The second one exits the process:
/// running hooks are ended, and the tasks that continue in PVE are printed.
///
/// If signals cannot be received, the system's default applies: they end the process.
pub fn handle_signals(stop: StopSignal, tasks: RunningTasks, console: Console) -> SignalGuard {
    static RECEIVER: Once = Once::new();
    *current() = Some(Run {
        stop,
        tasks,
        console,
        signalled: false,
    });
    RECEIVER.call_once(start_receiver);
    SignalGuard(())
}

/// Starts the thread; returns when it receives signals, or cannot.
fn start_receiver() {
    let (ready, is_ready) = mpsc::channel();
    let receiver = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let signals = platform::Signals::new();
            // Fails only if no thread waits for it.
            let _ = ready.send(());
            if let Ok(signals) = signals {
                receive(signals).await;
            }
        });
    };
    let started = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(receiver);
    if started.is_ok() {
        // An error means that the thread has ended without receiving signals.
        let _ = is_ready.recv();
    }
}

async fn receive(mut signals: platform::Signals) {
    loop {
        let reason = signals.next().await;
        let mut current = current();
        match &mut *current {
            Some(run) if !run.signalled => {
                run.signalled = true;
                run.stop.request(reason);
            }
            Some(_) | None => {
                let run = current.take();
                drop(current);
                exit_immediately(reason, run);
            }
        }
    }
}

fn exit_immediately(reason: StopReason, run: Option<Run>) -> ! {
    if let Some(run) = &run {
        run.stop.abandon();
    }
    let _no_hook_starts = hook::end_all(HOOK_GRACE);
    match run {
        Some(run) => report::print_abandoned(run.console, &run.tasks.upids()),
        None => report::print_report_abandoned(),
    }
    let status = match reason {
        StopReason::Shutdown => ExitStatus::Terminated,
        StopReason::UserRequest
        | StopReason::TerminalClosed
        | StopReason::Hook
        | StopReason::ServerLost
        | StopReason::Cancelled => ExitStatus::Interrupted,
    };
    std::process::exit(status.code().into());
}

/// Waits for the first signal; for ever if signals cannot be received.
#[cfg(feature = "demo")]
pub async fn wait() {
    match platform::Signals::new() {
        Ok(mut signals) => _ = signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    use autosnap_core::event::StopReason;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) struct Signals {
        interrupt: Option<Signal>,
        terminate: Option<Signal>,
        hangup: Option<Signal>,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            let ignored = ignored();
            let handler = |kind: SignalKind| {
                let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
                let is_ignored = 1_u64.checked_shl(bit).is_some_and(|bit| ignored & bit != 0);
                (!is_ignored).then(|| signal(kind)).transpose()
            };
            Ok(Self {
                interrupt: handler(SignalKind::interrupt())?,
                terminate: handler(SignalKind::terminate())?,
                hangup: handler(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) -> StopReason {
            tokio::select! {
                () = received(self.interrupt.as_mut()) => StopReason::UserRequest,
                () = received(self.terminate.as_mut()) => StopReason::Shutdown,
                () = received(self.hangup.as_mut()) => StopReason::TerminalClosed,
            }
        }
    }

    async fn received(signal: Option<&mut Signal>) {
        match signal {
            Some(signal) => _ = signal.recv().await,
            None => std::future::pending().await,
        }
    }

    /// The ignored signals as a set of bits: `nohup` ignores SIGHUP, a shell script the SIGINT of its background
    /// jobs. A handler would end that. None if the system does not list them (`SigIgn` in proc(5)).
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
            .unwrap_or(0)
    }
}

#[cfg(windows)]
mod platform {
    use autosnap_core::event::StopReason;
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
    };

    pub(super) struct Signals {
        interrupt: CtrlC,
        breaking: CtrlBreak,
        close: CtrlClose,
        shutdown: CtrlShutdown,
    }

    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                breaking: ctrl_break()?,
                close: ctrl_close()?,
                shutdown: ctrl_shutdown()?,
            })
        }

        pub(super) async fn next(&mut self) -> StopReason {
            tokio::select! {
                _ = self.interrupt.recv() => StopReason::UserRequest,
                _ = self.breaking.recv() => StopReason::UserRequest,
                _ = self.close.recv() => StopReason::TerminalClosed,
                _ = self.shutdown.recv() => StopReason::Shutdown,
            }
        }
    }
}
