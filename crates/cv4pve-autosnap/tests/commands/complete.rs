// SPDX-License-Identifier: GPL-3.0-only
//! Completions with a cluster in the command line, and silence on errors.

#[cfg(target_os = "linux")]
mod shells;

use std::net::TcpListener;
use std::process::Command;

use pve_sim::simulator::Simulator;
use tempfile::TempDir;

use crate::support::{SECRET, cluster_of, forget_logins, host, run_with, world};

/// A cluster with pools and tags, and a parameter file with its address.
struct Setup {
    simulator: Simulator,
    folder: TempDir,
}

impl Setup {
    fn new() -> Self {
        let mut world = world();
        world["pools"] = serde_json::json!([{"poolid": "prod", "guests": [100]}]);
        world["guests"][0]["config"]["tags"] = "web;blue".into();
        world["guests"][0]["snapshots"] = serde_json::json!([
            {"name": "autonightly260101000000", "snaptime": 1_767_225_600, "description": "cv4pve-autosnap"},
            {"name": "byhand", "snaptime": 1_767_225_700, "description": ""},
        ]);
        let setup = Self {
            simulator: cluster_of(world),
            folder: tempfile::tempdir().unwrap(),
        };
        let token = setup.folder.path().join("token");
        std::fs::write(&token, format!("backup@pve!auto={SECRET}")).unwrap();
        let options = format!(
            "--host={},pve9 --label=fromfile\n\"--api-token=file:{}\" --vmid=@all\n",
            host(&setup.simulator),
            token.display()
        );
        std::fs::write(setup.file(), options).unwrap();
        setup
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("job.conf")
    }

    /// The line with `FILE` for the parameter file; none of the variables of this process counts.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let binary = assert_cmd::cargo::cargo_bin!("cv4pve-autosnap");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env(
                "PATH",
                format!("{}:{path}", binary.parent().unwrap().display()),
            )
            .env("CONFIGURATION_DIRECTORY", self.folder.path())
            .env("HOME", self.folder.path())
            // A machine that is busy must not make a difference.
            .env("CV4PVE_COMPLETE_TIMEOUT", "60000")
            .current_dir(self.folder.path());
        forget_logins(&mut command);
        command
    }

    /// The completions of the program, in one line.
    fn offered(&self, line: &str) -> String {
        self.offered_by(self.command("cv4pve-autosnap"), line)
    }

    /// The same for a command with its own environment.
    fn offered_by(&self, mut command: Command, line: &str) -> String {
        let words: Vec<String> = self
            .line(line)
            .split(' ')
            .map(|word| format!("{word}\0"))
            .collect();
        let (status, stdout, stderr) = run_with(command.arg("complete"), &words.concat());
        assert_eq!((status, stderr.as_str()), (0, ""), "{line}");
        let words = stdout.lines().map(|line| line.split('\t').next().unwrap());
        words.collect::<Vec<_>>().join(" ")
    }

    fn line(&self, line: &str) -> String {
        line.replace("FILE", &self.file().display().to_string())
    }
}

#[test]
fn guests_and_their_groups_are_offered() {
    let setup = Setup::new();
    for (line, expected) in [
        ("@FILE snap --vmid=@p", "--vmid=@pool-prod"),
        ("@FILE snap --vmid @ta", "@tag-blue @tag-web"),
        ("@FILE snap --vmid @ty", "@type-vm @type-ct"),
        ("@FILE snap --vmid=@tag-web&@r", "--vmid=@tag-web&@running"),
        ("@FILE snap --vmid=(web%|@p", "--vmid=(web%|@pool-prod"),
        ("@FILE snap --vmid=105,(WEB", "--vmid=105,(web01"),
        ("@FILE snap --vmid=@all&-@s", "--vmid=@all&-@stopped"),
        (
            "snap @FILE --vmid=@all,-@n",
            "--vmid=@all,-@node-pve1 --vmid=@all,-@node-pve2",
        ),
        ("@FILE snap --vmid=100,WEB", "--vmid=100,web01"),
        ("@FILE status --vmid=105", "--vmid=105"),
    ] {
        assert_eq!(setup.offered(line), expected, "{line}");
    }
}

#[test]
fn labels_hosts_and_files_are_offered() {
    let setup = Setup::new();
    for (line, expected) in [
        ("@FILE snap --label=n", "--label=nightly"),
        ("snap --label f", "fromfile"),
        ("@FILE snap --label=b", ""),
        ("snap --host=127.0.0.1,pv", "--host=127.0.0.1,pve9"),
        ("snap @jo", "@job.conf"),
        ("snap --api-token=file:to", "--api-token=file:token"),
    ] {
        assert_eq!(setup.offered(line), expected, "{line}");
    }
    assert!(setup.offered("").ends_with(&setup.line("@FILE")));
}

#[test]
fn guests_and_their_snapshots_are_offered_to_the_commands_that_mark_them() {
    let setup = Setup::new();
    for (line, expected) in [
        ("@FILE hold 10", "100 101 102 103 104 105"),
        ("@FILE hold 100 ", "autonightly260101000000"),
        ("@FILE expire --in 14d 100 auto", "autonightly260101000000"),
        ("hold --until=1d @FILE 100 auto", "autonightly260101000000"),
        ("@FILE note 103 a", "autodaily260101000000"),
        ("@FILE release 100 x", ""),
        ("@FILE release 101 ", ""),
        ("@FILE release nothing ", ""),
        ("@FILE hold 100 autonightly260101000000 --un", "--until"),
        ("hold 100 ", ""),
    ] {
        assert_eq!(setup.offered(line), expected, "{line}");
    }
}

#[test]
fn errors_offer_no_completions_and_print_nothing() {
    let setup = Setup::new();
    for login in [
        format!(
            "--host={} --api-token=a@pve!b={SECRET}",
            host(&setup.simulator)
        ),
        format!("--host={} --api-token=file:missing", host(&setup.simulator)),
        format!(
            "--host={} --username=backup@pve --password=file:new",
            host(&setup.simulator)
        ),
        "@missing.conf".to_owned(),
    ] {
        let offered = setup.offered(&format!("{login} snap --vmid=@p"));
        assert_eq!(offered, "--vmid=@pool-", "{login}");
    }
    assert!(!setup.folder.path().join("new").exists());
    let mut offline = setup.command("cv4pve-autosnap");
    offline.env("CV4PVE_COMPLETE_OFFLINE", "1");
    let offered = setup.offered_by(offline, "@FILE --vmid=@p");
    assert_eq!(offered, "--vmid=@pool-");
    // A host that accepts connections and never replies.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let mut with_default_timeout = setup.command("cv4pve-autosnap");
    with_default_timeout.env_remove("CV4PVE_COMPLETE_TIMEOUT");
    let line = format!("--host={silent} --api-token=a@pve!b={SECRET} snap --vmid=@p");
    assert_eq!(
        setup.offered_by(with_default_timeout, &line),
        "--vmid=@pool-"
    );
}
