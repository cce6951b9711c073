// SPDX-License-Identifier: GPL-3.0-only
//! `demo`: a simulated cluster inside this process, and the real commands against it.
//!
//! Each part runs command lines as `main` would, over HTTPS to a loopback port. Only the clock differs: it starts at a
//! fixed time, so that the output is always the same, and advances by a day where retention needs it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::exit_status::ExitStatus;
use jiff::{Timestamp, ToSpan, Zoned, civil};
use pve_sim::generate::demo_world;
use pve_sim::simulator::{Options, Simulator};
use secrecy::SecretString;

use super::Context;
use crate::args::DemoArgs;
use crate::command_error::CommandError;
use crate::password_file;
use crate::report::Console;
use crate::runtime::block_on;
use crate::signals;
use autosnap::engine::RunningTasks;
use autosnap::stop::StopSignal;

/// The token of the simulated cluster; it is public.
const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";
/// When the demo takes place, in the local time zone.
const START: civil::DateTime = civil::date(2026, 1, 31).at(1, 10, 0, 0);
const SECONDS_PER_DAY: f64 = 86_400.0;

/// A part of the demo: what to notice, and the commands that show it.
struct Part {
    title: &'static str,
    commands: &'static [&'static str],
    /// Whether a day passes before each `snap`.
    daily: bool,
}

const PARTS: [Part; 7] = [
    Part {
        title: "VM 100 (web01) and VM 102 (db01) have snapshots of the last three nights.",
        commands: &["status --vmid=web01,db01 --output=Plain"],
        daily: false,
    },
    Part {
        title: "A dry run shows what a run would do, and why. It changes nothing.",
        commands: &["snap --vmid=web01 --label=daily --keep=3 --dry-run"],
        daily: false,
    },
    Part {
        title: "The same without --dry-run takes the snapshot and removes the oldest one.",
        commands: &["snap --vmid=web01 --label=daily --keep=3"],
        daily: false,
    },
    Part {
        title: "All other guests. --quiet prints failures only: a backup has locked VM 108.\n\
                Proxmox VE cannot snapshot CT 111, because of a bind mount.",
        commands: &["snap --vmid=@all,-web01 --label=daily --keep=3 --quiet"],
        daily: false,
    },
    Part {
        title: "Two nights later. The newest three are kept. The snapshot before-upgrade of VM 102,\n\
                taken by hand, is still there: snapshots of others are never removed.",
        commands: &[
            "snap --vmid=web01,db01 --label=daily --keep=3 --quiet",
            "snap --vmid=web01,db01 --label=daily --keep=3 --quiet",
            "status --vmid=web01,db01 --output=Plain",
        ],
        daily: true,
    },
    Part {
        title: "Proxmox VE's keep rules instead of one number. Each snapshot has its reason.",
        commands: &["clean --vmid=100 --label=daily --keep-last=1 --keep-weekly=1 --dry-run"],
        daily: false,
    },
    Part {
        title: "A mark: no run removes the oldest snapshot of VM 100 any more, and no rule counts it.",
        commands: &[
            "hold 100 autodaily260131011000 --reason=release",
            "clean --vmid=100 --label=daily --keep-last=1 --keep-weekly=1 --dry-run",
        ],
        daily: false,
    },
];

/// Runs the demo. Failures that the simulated cluster causes are intended and do not change the exit status.
pub(super) fn run(args: &DemoArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    if args.serve {
        return Demo::new(context, None)?.serve();
    }
    let now = START.to_zoned(Zoned::now().time_zone().clone());
    let now =
        now.map_err(|error| CommandError::failure(format!("cannot start the demo: {error}")))?;
    let pauses = !args.yes && io::stdin().is_terminal() && io::stdout().is_terminal();
    Demo::new(context, Some(now))?.show(pauses)
}

/// The simulated cluster, and a folder with the files that the commands name.
struct Demo {
    console: Console,
    run_line: fn(&[OsString], &Zoned) -> ExitStatus,
    simulator: Simulator,
    folder: Folder,
    now: Zoned,
    began: Instant,
}

impl Demo {
    /// Starts the cluster, at a given time or at the current one.
    fn new(context: &Context, start: Option<Zoned>) -> Result<Self, CommandError> {
        let is_fixed = start.is_some();
        let now = start.unwrap_or_else(Zoned::now);
        let demo = demo_world(now.timestamp().as_second(), now.offset().seconds());
        let mut options = Options::new(demo.world, demo.credentials);
        options.start = is_fixed.then(|| seconds(now.timestamp()));
        let simulator = Simulator::start(options);
        let simulator = simulator.map_err(|error| {
            CommandError::failure(format!("cannot start the simulated cluster: {error}"))
        })?;
        let folder = Folder::create(&simulator).map_err(|error| {
            CommandError::failure(format!("cannot write the demo's files: {error}"))
        })?;
        Ok(Self {
            console: context.console.clone(),
            run_line: context.run_line,
            simulator,
            folder,
            now,
            began: Instant::now(),
        })
    }

    /// Shows the parts one after the other, with a pause before each if `pauses`.
    fn show(mut self, pauses: bool) -> Result<ExitStatus, CommandError> {
        self.comment(
            "A simulated Proxmox VE cluster runs inside this program: 3 nodes, 13 guests, one template.\n\
             The commands are real, and nothing outside this program changes.\n\
             @demo.conf is a parameter file with the host, the token and the guests (--vmid=@all).",
        );
        for (index, part) in PARTS.iter().enumerate() {
            let number = index + 1;
            if pauses && !self.wait_for_enter(&format!("part {number} of {}", PARTS.len()))? {
                return Ok(ExitStatus::Success);
            }
            self.comment(&format!("{number}/{}: {}", PARTS.len(), part.title));
            for command in part.commands {
                if part.daily && command.starts_with("snap") {
                    self.simulator.advance(SECONDS_PER_DAY);
                    self.now = self.now.saturating_add(1.day());
                }
                self.run(command);
            }
        }
        if pauses && !self.wait_for_enter("the last page")? {
            return Ok(ExitStatus::Success);
        }
        self.comment(
            "Your own cluster: write a job, and print the commands that create its token. Then check it.\n\
             \n\
             cv4pve-autosnap setup --host=YOUR-NODE --write=/etc/cv4pve-autosnap/daily.conf\n\
             cv4pve-autosnap @/etc/cv4pve-autosnap/daily.conf check",
        );
        Ok(ExitStatus::Success)
    }

    /// Leaves the cluster running, for commands in another terminal.
    fn serve(self) -> Result<ExitStatus, CommandError> {
        self.comment(&format!(
            "A simulated Proxmox VE cluster listens on {} until you press Ctrl-C.",
            self.simulator.url()
        ));
        let file = self.folder.parameters();
        let file = file.display();
        self.console.text(&format!(
            "Try in another terminal, or use any other client of the API (token {TOKEN}):\n\n  \
             cv4pve-autosnap @{file} status\n  \
             cv4pve-autosnap @{file} snap --label=daily --keep=3 --dry-run\n  \
             cv4pve-autosnap @{file} snap --label=daily --keep=3\n  \
             cv4pve-autosnap @{file} clean --label=daily --keep=1\n"
        ));
        block_on(async {
            signals::wait().await;
            Ok(ExitStatus::Success)
        })
    }

    /// Runs a command line with the parameter file of the demo.
    fn run(&self, command: &str) {
        self.console
            .text(&format!("\n$ cv4pve-autosnap @demo.conf {command}\n"));
        let file = format!("@{}", self.folder.parameters().display());
        let arguments: Vec<OsString> = std::iter::once(file.as_str())
            .chain(command.split(' '))
            .map(OsString::from)
            .collect();
        // The cluster's clock does not stop while the reader does.
        let minutes = i64::try_from(self.began.elapsed().as_secs() / 60).unwrap_or_default();
        let now = self.now.saturating_add(minutes.minutes());
        let status = (self.run_line)(&arguments, &now);
        if status != ExitStatus::Success {
            self.console
                .text(&format!("(exit status {})\n", status.code()));
        }
    }

    fn comment(&self, text: &str) {
        let comment = text.replace('\n', "\n# ").replace("# \n", "#\n");
        self.console.text(&format!("\n# {comment}\n"));
    }

    /// Waits for Enter. Returns false after Ctrl-C, `q` or the end of the input.
    ///
    /// A thread reads the line, because a read cannot be cancelled. Signals are received as during a run.
    fn wait_for_enter(&self, next: &str) -> Result<bool, CommandError> {
        self.console.text(&format!("\n[Enter: {next}; q: quit] "));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line);
            let goes_on = read.is_ok_and(|count| count > 0) && line.trim() != "q";
            // The receiver is gone after Ctrl-C.
            let _ = sender.send(goes_on);
        });
        let stop = StopSignal::default();
        let _handling =
            signals::handle_signals(stop.clone(), RunningTasks::default(), self.console.clone());
        block_on(async {
            tokio::select! {
                goes_on = receiver => Ok(goes_on.unwrap_or(false)),
                _ = stop.wait() => Ok(false),
            }
        })
    }
}

/// A time as the simulator wants it.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 fit exactly for millions of years"
)]
fn seconds(time: Timestamp) -> f64 {
    time.as_second() as f64
}

/// A temporary folder, removed when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn create(simulator: &Simulator) -> io::Result<Self> {
        let folder =
            Self(std::env::temp_dir().join(format!("cv4pve-autosnap-demo-{}", std::process::id())));
        create_private(&folder.0)?;
        let token = folder.0.join("token");
        password_file::write(&token, &SecretString::from(TOKEN)).map_err(io::Error::other)?;
        let host = simulator.url().trim_start_matches("https://").to_owned();
        let lines = format!(
            "# The demo's cluster.\n--host={host}\n--fingerprint={}\n--no-proxy\n\"--api-token=file:{}\"\n--vmid=@all\n",
            simulator.fingerprint(),
            token.display()
        );
        fs::write(folder.parameters(), lines)?;
        Ok(folder)
    }

    fn parameters(&self) -> PathBuf {
        self.0.join("demo.conf")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If it cannot be removed, the system cleans up temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Creates a folder that only this user can read. An existing one is an error: it may belong to another user.
#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Creates a folder. On Windows each user has a private folder for temporary files.
#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}
