// SPDX-License-Identifier: GPL-3.0-only
//! The two programs, and a simulator that runs as a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pve_sim::journal::{Entry, Journal};

use crate::world::World;

/// The token of the generated worlds' snapshot runner; publicly known.
pub(crate) const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `cv4pve-autosnap`.
    pub(crate) autosnap: PathBuf,
    /// `pve-sim`.
    pub(crate) simulator: PathBuf,
}

impl Programs {
    /// Those that were given, or those beside this program.
    pub(crate) fn find(autosnap: Option<PathBuf>, simulator: Option<PathBuf>) -> Result<Self> {
        let here = std::env::current_exe()?;
        let folder = here.parent().context("this program lies in no folder")?;
        let found = |given: Option<PathBuf>, name: &str| {
            let path = given.unwrap_or_else(|| folder.join(name));
            if path.is_file() {
                Ok(path)
            } else {
                bail!("there is no '{}'", path.display())
            }
        };
        Ok(Self {
            autosnap: found(autosnap, "cv4pve-autosnap")?,
            simulator: found(simulator, "pve-sim")?,
        })
    }
}

/// A simulator that serves a world.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    journal: PathBuf,
    /// `127.0.0.1:12345`.
    pub(crate) address: String,
}

impl Server {
    /// Starts it with the latencies of a measured PVE and without faults; returns when it listens.
    pub(crate) fn start(program: &Path, world: &World) -> Result<Self> {
        let mut process = Command::new(program)
            .arg("serve")
            .arg("--world")
            .arg(world.file())
            .arg("--credentials")
            .arg(world.credentials())
            .arg("--journal")
            .arg(world.journal())
            .arg("--latency=measured")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run '{}'", program.display()))?;
        let output = process.stdout.take().context("the output is piped")?;
        let mut address = None;
        for line in BufReader::new(output).lines() {
            let line = line?;
            if let Some(found) = line.strip_prefix("listening on https://") {
                address = Some(found.to_owned());
            }
            if line.starts_with("fingerprint ") {
                break;
            }
        }
        let address = address.context("the simulator did not say where it listens")?;
        Ok(Self {
            process,
            journal: world.journal(),
            address,
        })
    }

    /// Stops it and reads what happened.
    pub(crate) fn stop(mut self) -> Result<Vec<Entry>> {
        let id = i32::try_from(self.process.id())?;
        kill(Pid::from_raw(id), Signal::SIGTERM)?;
        self.process.wait()?;
        Ok(Journal::read(&self.journal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill, and that is all an error can mean.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
