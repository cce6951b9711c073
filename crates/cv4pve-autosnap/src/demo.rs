// SPDX-License-Identifier: GPL-3.0-only
//! `demo`: a simulated cluster inside this process, and the real commands against it.
//!
//! Each scene parses a command line and runs it as `main` would, over HTTPS to a loopback port.
//! Only the clock differs: it is moved on between the scenes, so that retention has something to do.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use autosnap_core::outcome::ExitStatus;
use jiff::{ToSpan, Zoned};
use pve_sim::generate::demo_world;
use pve_sim::simulator::{Options, Simulator};
use secrecy::SecretString;

use crate::args::DemoArgs;
use crate::cli;
use crate::password_file;
use crate::report::Console;
use autosnap::fault::Fault;

/// The token of the demo's world, known to everybody.
const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";
const SECONDS_PER_DAY: f64 = 86_400.0;

/// Runs the demo. What the simulated cluster makes fail is part of the show, not a failure.
pub fn run(args: &DemoArgs, console: &Console) -> Result<ExitStatus, Fault> {
    let stage = Stage::set(console)?;
    if args.serve {
        stage.serve()
    } else {
        Ok(stage.play())
    }
}

/// The simulated cluster, and a folder with the files that the commands name.
struct Stage {
    console: Console,
    simulator: Simulator,
    folder: Folder,
    now: Zoned,
}

impl Stage {
    fn set(console: &Console) -> Result<Self, Fault> {
        let now = Zoned::now();
        let demo = demo_world(now.timestamp().as_second(), now.offset().seconds());
        let simulator = Simulator::start(Options::new(demo.world, demo.credentials));
        let simulator = simulator.map_err(|error| {
            Fault::failure(format!("cannot start the simulated cluster: {error}"))
        })?;
        let folder = Folder::create(&simulator)
            .map_err(|error| Fault::failure(format!("cannot write the demo's files: {error}")))?;
        Ok(Self {
            console: console.clone(),
            simulator,
            folder,
            now,
        })
    }

    fn play(mut self) -> ExitStatus {
        self.say("A simulated Proxmox VE cluster runs inside this program: 3 nodes, 13 guests, one template.");
        self.say(&format!(
            "It listens on {}; nothing else is touched.",
            self.simulator.url()
        ));
        self.scene(
            "What is there: an older run has left snapshots.",
            "status --vmid=@tag-prod",
        );
        self.scene(
            "A dry run tells what would be done, and why.",
            "snap --vmid=@pool-prod --label=daily --keep=3 --dry-run",
        );
        self.scene(
            "Now for all guests. A backup holds one locked, a storage is above the limit, a container has a bind mount: \
             see how each is reported, and that the others go on.",
            "snap --label=daily --keep=3 --max-perc-storage=90",
        );
        for text in [
            "The clock is moved on by a day. Three are kept, so the oldest one goes.",
            "Another day later.",
        ] {
            self.simulator.advance(SECONDS_PER_DAY);
            self.now = self.now.saturating_add(1.day());
            self.scene(text, "snap --vmid=web01,db01 --label=daily --keep=3");
        }
        self.scene(
            "What is left. The snapshot made by hand is not listed and was never touched.",
            "status --vmid=web01,db01",
        );
        self.say(
            "That was it. On your own cluster (README.md says how to make the token):\n\
             \n\
             cv4pve-autosnap --host=YOUR-NODE --api-token=file:PATH --vmid=@all snap --label=daily --keep=7 --dry-run\n\
             \n\
             To try commands by hand on the simulated cluster: cv4pve-autosnap demo --serve",
        );
        ExitStatus::Success
    }

    fn serve(self) -> Result<ExitStatus, Fault> {
        self.say(&format!(
            "A simulated Proxmox VE cluster listens on {} until you press Ctrl-C.",
            self.simulator.url()
        ));
        let file = self.folder.parameters();
        let file = file.display();
        self.console.text(&format!(
            "Try in another terminal, or point any other client of the API at it (token {TOKEN}):\n\n  \
             cv4pve-autosnap @{file} status\n  \
             cv4pve-autosnap @{file} snap --label=daily --keep=3 --dry-run\n  \
             cv4pve-autosnap @{file} snap --label=daily --keep=3\n  \
             cv4pve-autosnap @{file} clean --label=daily --keep=1\n"
        ));
        cli::block_on(async {
            crate::signals::wait().await;
            Ok(ExitStatus::Success)
        })
    }

    /// Runs a command line behind the parameter file of the demo, as it would be typed.
    fn scene(&self, text: &str, command: &str) {
        if !text.is_empty() {
            self.say(text);
        }
        let file = format!("@{}", self.folder.parameters().display());
        self.console
            .text(&format!("\n$ cv4pve-autosnap {file} {command}\n"));
        let arguments: Vec<OsString> = std::iter::once(file.as_str())
            .chain(command.split(' '))
            .map(OsString::from)
            .collect();
        let status = cli::run_at(&arguments, &self.now);
        if status != ExitStatus::Success {
            self.console
                .text(&format!("(exit status {})\n", status.code()));
        }
    }

    fn say(&self, text: &str) {
        self.console
            .text(&format!("\n# {}\n", text.replace('\n', "\n# ")));
    }
}

/// A folder of our own, gone with the demo.
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
        // A folder that cannot be removed is left to the system's cleaning.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Fails if it exists: nobody else's folder is used.
#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Windows gives every user a folder for temporary files of their own.
#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}
