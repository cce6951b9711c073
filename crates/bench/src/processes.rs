// SPDX-License-Identifier: GPL-3.0-only
//! The two programs, and a running simulator.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pve_sim::journal::{Entry, Journal};

use crate::world::World;

/// The public token of the generated worlds' snapshot runner.
pub(crate) const TOKEN: &str = "backup@pve!auto=22222222-2222-4222-8222-222222222222";

/// Paths of the programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `cv4pve-autosnap`.
    pub(crate) autosnap: PathBuf,
    /// `pve-sim`.
    pub(crate) simulator: PathBuf,
}

impl Programs {
    /// Uses the given paths; default: the folder of this program.
    pub(crate) fn find(autosnap: Option<PathBuf>, simulator: Option<PathBuf>) -> Result<Self> {
        let here = std::env::current_exe()?;
        let folder = here.parent().context("this program has no parent folder")?;
        let found = |given: Option<PathBuf>, name: &str| {
            let path = given.unwrap_or_else(|| folder.join(name));
            if path.is_file() {
                Ok(path)
            } else {
                bail!("'{}' not found", path.display())
            }
        };
        Ok(Self {
            autosnap: found(autosnap, "cv4pve-autosnap")?,
            simulator: found(simulator, "pve-sim")?,
        })
    }
}

/// A simulator process that serves a world.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    journal: PathBuf,
    /// `127.0.0.1:12345`.
    pub(crate) address: String,
}

impl Server {
    /// Starts a simulator with measured latencies and without faults; returns when it is listening.
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
        let address = address.context("the simulator printed no address")?;
        Ok(Self {
            process,
            journal: world.journal(),
            address,
        })
    }

    /// Stops it and reads its journal.
    pub(crate) fn stop(mut self) -> Result<Vec<Entry>> {
        let id = i32::try_from(self.process.id())?;
        kill(Pid::from_raw(id), Signal::SIGTERM)?;
        self.process.wait()?;
        Ok(Journal::read(&self.journal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` the process has already ended, so errors can be ignored.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
