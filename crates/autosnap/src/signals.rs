// SPDX-License-Identifier: GPL-3.0-only
//! Signals: the first asks the run to stop in order, the second leaves at once.

use autosnap_core::event::Interruption;
use autosnap_core::outcome::ExitStatus;

use crate::engine::Tasks;
use crate::report::{self, Console};
use crate::stop::Stop;

/// Listens until the program ends. A second signal ends it from here, naming the tasks that go on
/// in PVE: waiting for them in order is what the first signal was for.
pub async fn listen(stop: Stop, tasks: Tasks, console: Console) {
    let Ok(mut signals) = platform::Signals::new() else {
        return;
    };
    loop {
        let interruption = signals.next().await;
        if stop.requested().is_none() {
            stop.request(interruption);
            continue;
        }
        report::print_abandoned(&console, &tasks.running());
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
    use autosnap_core::event::Interruption;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
    }

    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) -> Interruption {
            tokio::select! {
                _ = self.interrupt.recv() => Interruption::Interrupt,
                _ = self.terminate.recv() => Interruption::Terminate,
                _ = self.hangup.recv() => Interruption::Hangup,
            }
        }
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
