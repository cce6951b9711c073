// SPDX-License-Identifier: GPL-3.0-only
//! A folder of job files on a simulated cluster, and what `jobs check` finds in it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pve_sim::simulator::Simulator;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{SECRET, cluster_of, host, program, run, world};

/// A folder of job files for a cluster.
pub(crate) struct Folder {
    pub(crate) simulator: Simulator,
    folder: TempDir,
}

/// A guest on the online node, with its tags.
pub(crate) fn guest(vmid: u32, name: &str, tags: &str) -> Value {
    let disk = format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,size=1G");
    json!({"vmid": vmid, "type": "qemu", "node": "pve1", "name": name, "status": "running",
           "config": {"scsi0": disk, "tags": tags}})
}

/// The same with complete snapshots of this tool.
pub(crate) fn guest_with(vmid: u32, name: &str, tags: &str, snapshots: &[&str]) -> Value {
    let mut guest = guest(vmid, name, tags);
    let snapshots = snapshots.iter().map(
        |name| json!({"name": name, "snaptime": 1_795_867_200, "description": "cv4pve-autosnap"}),
    );
    guest["snapshots"] = snapshots.collect();
    guest
}

/// A guest of the policy `gold`, and one of `silver`.
pub(crate) fn one_of_each() -> Vec<Value> {
    vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]
}

impl Folder {
    /// A folder with a token, and a job for each of `gold` and `silver`.
    pub(crate) fn new(guests: Vec<Value>) -> Self {
        let mut world = world();
        world["guests"] = Value::from(guests);
        let folder = Self {
            simulator: cluster_of(world),
            folder: tempfile::tempdir().unwrap(),
        };
        folder.write_private("token", &format!("backup@pve!auto={SECRET}\n"));
        for policy in ["gold", "silver"] {
            folder.write_job(policy, &format!("--vmid=@tag-autosnap-{policy}"));
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write_private(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A job whose label is the name of its file.
    pub(crate) fn write_job(&self, name: &str, options: &str) {
        let text = format!("{}--label={name}\n--keep=3\n{options}\n", self.connection());
        self.write_private(&format!("{name}.conf"), &text);
    }

    pub(crate) fn connection(&self) -> String {
        let token = self.path().join("token");
        let host = host(&self.simulator);
        format!("--host={host}\n--api-token=\"file:{}\"\n", token.display())
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.args(words).arg(self.path());
        command
    }

    pub(crate) fn check(&self) -> (i32, String) {
        self.text(&["jobs", "check"])
    }

    pub(crate) fn coverage(&self) -> (i32, String) {
        self.text(&["coverage"])
    }

    pub(crate) fn text(&self, words: &[&str]) -> (i32, String) {
        let (status, stdout, stderr) = run(&mut self.command(words));
        assert_eq!(stderr, "", "{stdout}");
        assert!(self.simulator.journal().mutations().is_empty());
        (status, stdout)
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let (status, stdout, stderr) = run(self.command(words).arg("--output=Json"));
        assert_eq!(stderr, "");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(report["exit_status"], json!(status));
        report
    }
}

pub(crate) fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.lines().any(|one| one == *line), "{line}\n{text}");
    }
}

#[test]
fn guests_with_policy_tags_are_covered() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold;web"),
        guest(101, "db01", "autosnap-silver;autosnap-gold"),
    ]);
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
    assert_lines(
        &text,
        &[
            "    gold.conf: snap, label gold, 2 guests (@tag-autosnap-gold)",
            "    silver.conf: snap, label silver, 1 guest (@tag-autosnap-silver)",
        ],
    );
    assert!(
        text.ends_with("; 0 problems, 0 warnings, 0 notes\n"),
        "{text}"
    );
    let (status, text) = folder.coverage();
    assert_eq!(status, 0, "{text}");
    assert_lines(
        &text,
        &[
            "VMID  TYPE  NAME   NODE  STATE    JOBS",
            "100   VM    web01  pve1  covered  gold.conf",
            "101   VM    db01   pve1  covered  gold.conf, silver.conf",
            "Coverage: 2 covered; 0 problems, 0 warnings, 0 notes",
        ],
    );
}

#[test]
fn two_jobs_that_own_a_series_on_one_guest_are_in_conflict() {
    let folder = Folder::new(one_of_each());
    let more = format!(
        "{}--label=gold\n--keep=30\n--vmid=@all\n",
        folder.connection()
    );
    folder.write_private("more.conf", &more);
    let expected = "PROBLEM: gold.conf and more.conf own the same series (label gold) on VM 100 (web01): each removes what the other one keeps";
    for (status, text) in [folder.check(), folder.coverage()] {
        assert_eq!(status, 1, "{text}");
        assert_lines(&text, &[expected]);
    }
    // A job that adopts the label owns the series as well.
    let adopting = format!(
        "{}--label=all\n--keep=30\n--vmid=@all\n--adopt-labels=gold\n",
        folder.connection()
    );
    folder.write_private("more.conf", &adopting);
    let (status, text) = folder.check();
    assert_eq!(status, 1, "{text}");
    assert_lines(&text, &[expected]);
    // Another timestamp format is another series.
    folder.write_private(
        "more.conf",
        &format!("{more}--timestamp-format=yyyyMMddHHmmss\n"),
    );
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
}

#[test]
fn a_pipe_in_the_folder_is_a_problem_and_is_not_opened() {
    let folder = Folder::new(one_of_each());
    let path = folder.folder.path().join("pipe.conf");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    // A program that opens the pipe gets a valid file from it.
    let job = format!("{}--label=p\n--keep=3\n--vmid=100\n", folder.connection());
    std::thread::spawn(move || std::fs::write(path, job));
    let (status, text) = folder.check();
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("PROBLEM: pipe.conf: job file "), "{text}");
    assert!(text.contains("pipe.conf is a pipe, not a file\n"), "{text}");
    assert!(text.contains("    gold.conf: snap"), "{text}");
}

#[test]
fn a_file_with_an_error_does_not_hide_the_others() {
    let folder = Folder::new(one_of_each());
    folder.write_job("iron", "--kep=3");
    folder.write_private("open.conf", "--label=open\n--vmid=\"@all\n");
    folder.write_private(
        "bad-label.conf",
        &format!("{}--label=a/b\n--keep=1\n--vmid=100\n", folder.connection()),
    );
    let (status, text) = folder.check();
    assert_eq!(status, 1, "{text}");
    for expected in [
        "PROBLEM: iron.conf: ",
        "unknown option '--kep' in line 5 of ",
        "PROBLEM: open.conf: ",
        "has no closing quote in line 2",
        "PROBLEM: bad-label.conf: --label in line 3 of ",
        "    gold.conf: snap, label gold, 1 guest (@tag-autosnap-gold)",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let report = folder.json(&["jobs", "check"]);
    let kinds: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["invalid-file"; 3]);
    assert_eq!(report["findings"][0]["files"], json!(["bad-label.conf"]));
    assert_eq!(report["clusters"][0].get("guests"), None);
}

#[test]
fn files_without_guests_and_label_are_no_jobs() {
    let folder = Folder::new(one_of_each());
    folder.write_private("cluster.conf", &folder.connection());
    let included = format!(
        "@{}\n--label=iron\n--keep=1\n--vmid=100\n",
        folder.path().join("cluster.conf").display()
    );
    folder.write_private("iron.conf", &included);
    folder.write_private("notes.txt", "--vmid=all\n");
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
    assert_lines(
        &text,
        &[
            "NOTE: cluster.conf is no job: it has neither --vmid nor --label",
            "    iron.conf: snap, label iron, 1 guest (100)",
        ],
    );
    assert!(!text.contains("notes.txt"), "{text}");
}

#[test]
fn permissions_that_are_too_wide_are_warnings() {
    let folder = Folder::new(one_of_each());
    let path = folder.path().join("gold.conf");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
    let shown = path.display();
    assert_lines(
        &text,
        &[&format!(
            "WARNING: job file {shown} can be changed by other users; run: chmod go-w '{shown}'"
        )],
    );
}

/// Only root can give a file away: for another user the file stays their own, which is no warning.
#[test]
fn a_file_of_another_user_is_a_warning() {
    let folder = Folder::new(one_of_each());
    let path = folder.path().join("gold.conf");
    let is_given = std::os::unix::fs::chown(&path, Some(65_534), None).is_ok();
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
    let expected = "belongs to another user, who can change it; run: chown root";
    assert_eq!(text.contains(expected), is_given, "{text}");
}

#[test]
fn a_folder_without_jobs_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let options = folder.path().join("options.conf");
    std::fs::write(folder.path().join("readme.txt"), "").unwrap();
    for (path, expected) in [
        (folder.path(), "ERROR: no job in "),
        (missing.as_path(), "ERROR: cannot read the folder of jobs "),
    ] {
        for words in [&["jobs", "check"][..], &["coverage"]] {
            let (status, stdout, stderr) = run(program().args(words).arg(path));
            assert_eq!((status, stdout.as_str()), (2, ""));
            assert!(stderr.starts_with(expected), "{stderr}");
        }
    }
    std::fs::write(options, "--host=pve1\n").unwrap();
    let (status, _, stderr) = run(program().arg("coverage").arg(folder.path()));
    assert_eq!(status, 2);
    assert!(stderr.contains("--vmid and --label"), "{stderr}");
}

#[test]
fn a_job_whose_selection_matches_nothing_is_a_problem_unless_allowed() {
    let folder = Folder::new(vec![guest(100, "web01", "autosnap-gold")]);
    let (status, text) = folder.check();
    assert_eq!(status, 1, "{text}");
    assert_lines(&text, &["PROBLEM: silver.conf: no guest is selected"]);
    folder.write_job("silver", "--vmid=@tag-autosnap-silver\n--allow-empty");
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
}

#[test]
fn options_on_the_command_line_override_those_of_the_files() {
    let folder = Folder::new(one_of_each());
    let address = host(&folder.simulator);
    for policy in ["gold", "silver"] {
        let job = format!(
            "--host=no.invalid\n--label={policy}\n--keep=1\n--vmid=@tag-autosnap-{policy}\n"
        );
        folder.write_private(&format!("{policy}.conf"), &job);
    }
    let mut command = folder.command(&["coverage"]);
    command
        .arg(format!("--host={address}"))
        .env("CV4PVE_API_TOKEN", format!("backup@pve!auto={SECRET}"));
    let (status, stdout, stderr) = run(&mut command);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
}

#[test]
fn a_file_with_the_word_clean_is_a_job_that_protects_no_guest() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
        guest(102, "old", "web"),
    ]);
    let clean = format!(
        "{}clean\n--label=old\n--keep=0\n--vmid=old\n",
        folder.connection()
    );
    folder.write_private("old.conf", &clean);
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
    assert_lines(&text, &["    old.conf: clean, label old, 1 guest (old)"]);
    let (status, text) = folder.coverage();
    assert_eq!(status, 1, "{text}");
    assert_lines(&text, &["PROBLEM: in no job: VM 102 (old)"]);
}

#[test]
fn a_wrong_connection_is_named_with_the_place_in_its_file() {
    let folder = Folder::new(vec![guest(100, "web01", "autosnap-gold")]);
    let job = "--host=pve1/api\n--label=silver\n--keep=1\n--vmid=@all\n";
    folder.write_private("silver.conf", job);
    let report = folder.json(&["jobs", "check"]);
    assert_eq!(report["exit_status"], json!(1));
    let finding = &report["findings"][0];
    assert_eq!(finding["files"], json!(["silver.conf"]));
    let message = finding["message"].as_str().unwrap();
    assert!(message.starts_with("--host in line 1 of "), "{message}");
}
