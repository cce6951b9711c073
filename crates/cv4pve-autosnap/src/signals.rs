// SPDX-License-Identifier: GPL-3.0-only
//! Signals: the first asks the run to stop in order, the second leaves at once.
//!
//! A thread of its own receives them until the process ends. A run that is busy, or blocked by a
//! reader that does not read, cannot keep the process from being ended.

use std::sync::{Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use autosnap_core::event::StopReason;
use autosnap_core::outcome::ExitStatus;

use crate::report::{self, Console};
use autosnap::engine::RunningTasks;
use autosnap::hook;
use autosnap::stop::StopSignal;

/// How long running hooks may take to end when the process leaves at once.
const HOOK_GRACE: Duration = Duration::from_secs(5);

/// The run that a signal stops, if there is one.
static CURRENT: Mutex<Option<Run>> = Mutex::new(None);

/// What a signal needs of a run.
struct Run {
    stop: StopSignal,
    tasks: RunningTasks,
    console: Console,
    /// A signal has been received already. A hook or a lost server may have stopped the run, too:
    /// that is no signal.
    signalled: bool,
}

/// A run that can be stopped by signals, until this is dropped. From then on a signal ends the
/// process at once: there is nothing left to stop in order, only output to be written.
#[derive(Debug)]
#[must_use]
pub struct Listening(());

impl Drop for Listening {
    fn drop(&mut self) {
        *current() = None;
    }
}

fn current() -> MutexGuard<'static, Option<Run>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets signals stop this run from now on. The second signal ends the process: hooks that run are
/// ended, and the tasks that continue in PVE are printed. Waiting for them is what the first
/// signal does.
///
/// Where signals cannot be received, the system's default stays: they end the process.
pub fn listen(stop: StopSignal, tasks: RunningTasks, console: Console) -> Listening {
    static LISTENER: Once = Once::new();
    *current() = Some(Run {
        stop,
        tasks,
        console,
        signalled: false,
    });
    LISTENER.call_once(start_listener);
    Listening(())
}

/// Returns when signals are received, or cannot be.
fn start_listener() {
    let (ready, is_ready) = mpsc::channel();
    let listener = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let signals = platform::Signals::new();
            // Fails only if nobody waits.
            let _ = ready.send(());
            if let Ok(signals) = signals {
                receive(signals).await;
            }
        });
    };
    let started = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listener);
    if started.is_ok() {
        // An error means that the thread has ended without signals.
        let _ = is_ready.recv();
    }
}

async fn receive(mut signals: platform::Signals) {
    loop {
        let interruption = signals.next().await;
        let mut current = current();
        match &mut *current {
            Some(run) if !run.signalled => {
                run.signalled = true;
                run.stop.request(interruption);
            }
            Some(_) | None => {
                let run = current.take();
                drop(current);
                leave(interruption, run);
            }
        }
    }
}

fn leave(interruption: StopReason, run: Option<Run>) -> ! {
    if let Some(run) = &run {
        run.stop.abandon();
    }
    let _no_hook_starts = hook::end_all(HOOK_GRACE);
    match run {
        Some(run) => report::print_abandoned(run.console, &run.tasks.upids()),
        None => report::print_report_abandoned(),
    }
    let status = match interruption {
        StopReason::Shutdown => ExitStatus::Terminated,
        StopReason::UserRequest
        | StopReason::TerminalClosed
        | StopReason::Hook
        | StopReason::ServerLost
        | StopReason::Cancelled => ExitStatus::Interrupted,
    };
    std::process::exit(status.code().into());
}

/// Waits for the first signal; for ever where there are none.
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
            let listen = |kind: SignalKind| {
                let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
                let is_ignored = 1_u64.checked_shl(bit).is_some_and(|bit| ignored & bit != 0);
                (!is_ignored).then(|| signal(kind)).transpose()
            };
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
                hangup: listen(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) -> StopReason {
            tokio::select! {
                () = heard(self.interrupt.as_mut()) => StopReason::UserRequest,
                () = heard(self.terminate.as_mut()) => StopReason::Shutdown,
                () = heard(self.hangup.as_mut()) => StopReason::TerminalClosed,
            }
        }
    }

    async fn heard(signal: Option<&mut Signal>) {
        match signal {
            Some(signal) => _ = signal.recv().await,
            None => std::future::pending().await,
        }
    }

    /// The signals that whoever started us wants ignored, as a set of bits: `nohup` does that with
    /// SIGHUP, a shell script with the SIGINT of what it starts in the background. To listen would
    /// end that. Where the system does not tell (`SigIgn` in proc(5)), none.
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
