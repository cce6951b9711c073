// SPDX-License-Identifier: GPL-3.0-only
//! Signals: the first asks the run to stop in order, the second leaves at once.

use autosnap_core::event::Interruption;
use autosnap_core::outcome::ExitStatus;

use tokio::task::JoinHandle;

use crate::engine::Tasks;
use crate::report::{self, Console};
use crate::stop::Stop;

/// Listens from now on until the program ends. A second signal ends it from here, naming the tasks
/// that go on in PVE: waiting for them in order is what the first signal was for.
///
/// Needs a tokio runtime. Where there are no signals, nobody is listened to.
pub fn listen(stop: Stop, tasks: Tasks, console: Console) -> JoinHandle<()> {
    // Before anything else runs: a signal that nobody waits for would end the program at once.
    let signals = platform::Signals::new();
    tokio::spawn(async move {
        if let Ok(signals) = signals {
            hear(signals, &stop, &tasks, &console).await;
        }
    })
}

async fn hear(mut signals: platform::Signals, stop: &Stop, tasks: &Tasks, console: &Console) {
    // A hook or a lost server may have stopped the run before: that is no signal yet.
    let mut heard_one = false;
    loop {
        let interruption = signals.next().await;
        if !std::mem::replace(&mut heard_one, true) {
            stop.request(interruption);
            continue;
        }
        report::print_abandoned(console, &tasks.running());
        let status = match interruption {
            Interruption::Terminate => ExitStatus::Terminated,
            Interruption::Interrupt
            | Interruption::Hangup
            | Interruption::Hook
            | Interruption::ServerLost => ExitStatus::Interrupted,
        };
        std::process::exit(status.code().into());
    }
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

    use autosnap_core::event::Interruption;
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

        pub(super) async fn next(&mut self) -> Interruption {
            tokio::select! {
                () = heard(self.interrupt.as_mut()) => Interruption::Interrupt,
                () = heard(self.terminate.as_mut()) => Interruption::Terminate,
                () = heard(self.hangup.as_mut()) => Interruption::Hangup,
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
    use autosnap_core::event::Interruption;
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

        pub(super) async fn next(&mut self) -> Interruption {
            tokio::select! {
                _ = self.interrupt.recv() => Interruption::Interrupt,
                _ = self.breaking.recv() => Interruption::Interrupt,
                _ = self.close.recv() => Interruption::Hangup,
                _ = self.shutdown.recv() => Interruption::Terminate,
            }
        }
    }
}
