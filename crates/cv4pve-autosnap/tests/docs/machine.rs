// SPDX-License-Identifier: GPL-3.0-only
//! A simulated cluster and a folder that replace the machine of the documents.
//!
//! Two commands of a document may run within one second, and their snapshots would have the same name. So
//! each command runs in another time zone, a minute away from that of the previous command.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use pve_sim::simulator::{Options, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::markdown::Step;

const TOKEN: &str = "autosnap@pve!autosnap=22222222-2222-4222-8222-222222222222";

/// Commands that do not end, or that CI runs itself.
const NOT_RUN: [&str; 2] = ["cargo ", "cv4pve-autosnap demo --serve"];

/// Where the commands of one document run.
pub(crate) struct Machine {
    simulator: Simulator,
    folder: TempDir,
    commands: AtomicUsize,
}

impl Machine {
    /// Starts the cluster and writes the files. Guests have policy tags if a file selects one.
    pub(crate) fn start<'a>(files: impl IntoIterator<Item = &'a (String, String)>) -> Self {
        let files: Vec<&(String, String)> = files.into_iter().collect();
        let has_policies = files
            .iter()
            .any(|(_, content)| content.contains("@tag-autosnap-"));
        let mut world = world();
        if has_policies {
            add_policy_tags(&mut world);
        }
        let credentials =
            json!({"passwords": {}, "tokens": {"autosnap@pve!autosnap": TOKEN.split('=').nth(1)}});
        let simulator =
            Simulator::start(Options::new(world, credentials)).expect("the simulator starts");
        let machine = Self {
            simulator,
            folder: tempfile::tempdir().expect("a folder"),
            commands: AtomicUsize::new(0),
        };
        for path in ["/etc/cv4pve-autosnap/token", "/etc/autosnap.token"] {
            machine.write(path, TOKEN);
        }
        // The path in the help, shorter than that of the packages.
        machine.write(
            "/etc/autosnap.conf",
            "--host=h --api-token=file:/etc/autosnap.token --vmid=@all",
        );
        for (path, content) in files {
            machine.write(path, content);
        }
        for folder in [
            ".local/share/bash-completion/completions",
            ".zfunc",
            ".config/fish/completions",
        ] {
            std::fs::create_dir_all(machine.folder.path().join(folder)).expect("a folder");
        }
        machine
    }

    /// Runs a command. Returns how its result differs from the expected one, if it does.
    pub(crate) fn failure(&self, step: &Step) -> Option<String> {
        if NOT_RUN
            .iter()
            .any(|command| step.command.starts_with(command))
        {
            return None;
        }
        let output = self.run(&self.with_test_values(&step.command));
        let printed = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let wrong = if output.status.code() == Some(step.exit) {
            let missing = missing(&step.shown, &printed)?;
            format!("does not show {missing:?}")
        } else {
            format!("ends with {}, not {}", output.status, step.exit)
        };
        Some(format!(
            "$ {}\n{wrong}; it prints:\n{printed}",
            step.command
        ))
    }

    fn run(&self, command: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_cv4pve-autosnap"));
        let folder = program.parent().expect("the program is in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let minutes = self.commands.fetch_add(1, Ordering::Relaxed);
        Command::new("sh")
            .args(["-c", command])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("TZ", format!("DOC-{}:{:02}", minutes / 60, minutes % 60))
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env_remove("CV4PVE_API_TOKEN")
            .env_remove("CV4PVE_PASSWORD")
            .output()
            .expect("sh starts")
    }

    /// Reads a file by its path in the documents.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.folder.path().join(path.trim_start_matches('/'));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn write(&self, path: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;

        let path = self.folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a path below the folder")).expect("a folder");
        std::fs::write(&path, self.with_test_values(content)).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .expect("a file of ours");
    }

    /// Replaces hosts, fingerprints and `/etc/` in a text.
    pub(crate) fn with_test_values(&self, text: &str) -> String {
        let url = self.simulator.url();
        let address = url.trim_start_matches("https://");
        let text = with_value(text, "--host=", address);
        let text = with_value(&text, "--fingerprint=", &self.simulator.fingerprint());
        let etc = format!("{}/etc/", self.folder.path().display());
        text.replace("/etc/", &etc)
    }
}

/// Replaces every value of an option.
fn with_value(text: &str, option: &str, value: &str) -> String {
    let mut parts = text.split(option);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find([' ', '\n', '\'', '"', '`', '|'])
            .unwrap_or(part.len());
        replaced.push_str(option);
        replaced.push_str(value);
        replaced.push_str(&part[end..]);
    }
    replaced
}

/// The first of the lines that is not in the output after the lines before it.
fn missing<'a>(lines: &'a [String], output: &str) -> Option<&'a String> {
    let mut rest = output;
    lines.iter().find(|line| {
        line.trim().split("...").any(|part| match rest.find(part) {
            Some(position) => {
                rest = &rest[position + part.len()..];
                false
            }
            None => true,
        })
    })
}

/// Adds a policy tag to each guest.
fn add_policy_tags(world: &mut Value) {
    let policies = ["gold", "gold", "gold", "silver", "off"];
    for (position, policy) in policies.into_iter().enumerate() {
        let tags = &mut world["guests"][position]["config"]["tags"];
        *tags = json!(format!(
            "autosnap-{policy};{}",
            tags.as_str().unwrap_or_default()
        ));
    }
}

/// Two nodes and a few guests, without problems.
fn world() -> Value {
    let node = |name: &str, id: u32| json!({"name": name, "online": true, "nodeid": id, "ip": format!("10.0.0.{id}")});
    let storage = "local-zfs";
    let vm = |vmid: u32, node: &str, name: &str, tags: &str| {
        json!({
            "vmid": vmid, "type": "qemu", "node": node, "name": name, "status": "running",
            "config": {"scsi0": format!("{storage}:vm-{vmid}-disk-0,size=4G"), "memory": "512", "agent": "1", "tags": tags},
        })
    };
    let container = |vmid: u32, node: &str, name: &str, tags: &str| {
        json!({
            "vmid": vmid, "type": "lxc", "node": node, "hostname": name, "status": "running",
            "config": {"rootfs": format!("{storage}:subvol-{vmid}-disk-0,size=4G"), "tags": tags},
        })
    };
    let mut build = container(105, "pve1", "build", "scratch");
    build["snapshots"] = json!([
        {"name": "automonthly261101010000", "snaptime": 1_793_494_800, "description": "cv4pve-autosnap"}
    ]);
    json!({
        "cluster": {"name": "example", "quorate": true, "this_node": "pve1", "nodes": [node("pve1", 1), node("pve2", 2)]},
        "storages": [{"storage": storage, "type": "zfspool", "content": ["images", "rootdir"],
                      "snapshots": {"raw": true, "subvol": true}}],
        "guests": [
            vm(100, "pve1", "web01", "prod;web"),
            vm(101, "pve1", "web02", "prod;web"),
            vm(102, "pve2", "db01", "prod;db"),
            container(103, "pve2", "mail", "prod"),
            build,
        ],
        "pools": [{"poolid": "prod", "guests": [100, 101, 102]}],
        "roles": {"Autosnap": ["Datastore.Audit", "Pool.Audit", "VM.Audit", "VM.Snapshot"]},
        "users": [{"userid": "autosnap@pve"}],
        "tokens": [{"tokenid": "autosnap@pve!autosnap", "privsep": 0}],
        "acl": [{"path": "/", "who": "autosnap@pve", "role": "Autosnap"}],
    })
}
