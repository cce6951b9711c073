// SPDX-License-Identifier: GPL-3.0-only
//! `jobs check` and `coverage`: each finding about a folder of job files, on a simulated cluster.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pve_sim::simulator::Simulator;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{SECRET, cluster_of, host, program, run, world};

/// A folder of job files for a cluster.
struct Folder {
    simulator: Simulator,
    folder: TempDir,
}

/// A guest on the online node, with its tags.
fn guest(vmid: u32, name: &str, tags: &str) -> Value {
    let disk = format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,size=1G");
    json!({"vmid": vmid, "type": "qemu", "node": "pve1", "name": name, "status": "running",
           "config": {"scsi0": disk, "tags": tags}})
}

/// The same with complete snapshots of this tool.
fn guest_with(vmid: u32, name: &str, tags: &str, snapshots: &[&str]) -> Value {
    let mut guest = guest(vmid, name, tags);
    let snapshots = snapshots.iter().map(
        |name| json!({"name": name, "snaptime": 1_795_867_200, "description": "cv4pve-autosnap"}),
    );
    guest["snapshots"] = snapshots.collect();
    guest
}

impl Folder {
    /// A folder with a token, and a job for each of `gold` and `silver`.
    fn new(guests: Vec<Value>) -> Self {
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

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write_private(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A job whose label is the name of its file.
    fn write_job(&self, name: &str, options: &str) {
        let text = format!("{}--label={name}\n--keep=3\n{options}\n", self.connection());
        self.write_private(&format!("{name}.conf"), &text);
    }

    fn connection(&self) -> String {
        let token = self.path().join("token");
        let host = host(&self.simulator);
        format!("--host={host}\n--api-token=\"file:{}\"\n", token.display())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.args(words).arg(self.path());
        command
    }

    fn check(&self) -> (i32, String) {
        self.text(&["jobs", "check"])
    }

    fn coverage(&self) -> (i32, String) {
        self.text(&["coverage"])
    }

    fn text(&self, words: &[&str]) -> (i32, String) {
        let (status, stdout, stderr) = run(&mut self.command(words));
        assert_eq!(stderr, "", "{stdout}");
        assert!(self.simulator.journal().mutations().is_empty());
        (status, stdout)
    }

    fn json(&self, words: &[&str]) -> Value {
        let (status, stdout, stderr) = run(self.command(words).arg("--output=Json"));
        assert_eq!(stderr, "");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(report["exit_status"], json!(status));
        report
    }

    /// The paths of the requests so far, without the prefix of the API.
    fn requests(&self) -> Vec<String> {
        let journal = self.simulator.journal();
        let requests = journal.requests();
        requests
            .iter()
            .map(|request| request.path.replace("/api2/json", ""))
            .collect()
    }
}

fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.lines().any(|one| one == *line), "{line}\n{text}");
    }
}

/// The state of each guest, in the order of the table.
fn states(report: &Value) -> Vec<(u64, String)> {
    let guests = report["clusters"][0]["guests"].as_array().unwrap();
    let state = |guest: &Value| {
        let state = guest["state"].as_str().unwrap().to_owned();
        (guest["vmid"].as_u64().unwrap(), state)
    };
    guests.iter().map(state).collect()
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
fn guests_in_no_job_come_first_and_are_problems_of_coverage_only() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
        guest(102, "scratch", "autosnap-off"),
        guest(103, "new", "web"),
    ]);
    assert_eq!(folder.check().0, 0);
    let (status, text) = folder.coverage();
    assert_eq!(status, 1, "{text}");
    assert_lines(
        &text,
        &[
            "PROBLEM: in no job: VM 103 (new)",
            "Coverage: 1 not covered, 2 covered, 1 off; 1 problem, 0 warnings, 0 notes",
        ],
    );
    let report = folder.json(&["coverage"]);
    let expected = [
        (103, "uncovered"),
        (100, "covered"),
        (101, "covered"),
        (102, "off"),
    ];
    assert_eq!(
        states(&report),
        expected.map(|(vmid, state)| (vmid, state.to_owned()))
    );
}

#[test]
fn an_unknown_policy_tag_is_named_with_the_nearest_one() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
        guest(102, "mail", "autosnap-glod"),
        guest(103, "dns", "autosnap-of"),
    ]);
    for (status, text) in [folder.check(), folder.coverage()] {
        assert_eq!(status, 1, "{text}");
        assert_lines(
            &text,
            &[
                "PROBLEM: tag autosnap-glod of VM 102 (mail): no job selects it (nearest tag: autosnap-gold); no snapshot is removed because of it",
                "PROBLEM: tag autosnap-of of VM 103 (dns): no job selects it (nearest tag: autosnap-off); no snapshot is removed because of it",
            ],
        );
    }
    let report = folder.json(&["coverage"]);
    let guests = &report["clusters"][0]["guests"];
    let expected = json!([{"tag": "autosnap-glod", "nearest": "autosnap-gold"}]);
    assert_eq!(guests[0]["unknown_tags"], expected);
}

#[test]
fn two_jobs_that_own_a_series_on_one_guest_are_in_conflict() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
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
    // Another timestamp format is another series.
    folder.write_private(
        "more.conf",
        &format!("{more}--timestamp-format=yyyyMMddHHmmss\n"),
    );
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
}

#[test]
fn a_guest_that_lost_its_tag_is_reported_and_keeps_its_snapshots() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest_with(
            101,
            "db01",
            "autosnap-silver",
            &["autogold261128120000", "autosilver261128120000"],
        ),
        guest_with(
            102,
            "mail",
            "web",
            &["autogold261127120000", "autogold261128120000"],
        ),
    ]);
    let (status, text) = folder.coverage();
    assert_eq!(status, 1, "{text}");
    assert_lines(
        &text,
        &[
            "102   VM    mail   pve1  LOST POLICY  -; 2 snapshots of gold.conf",
            "PROBLEM: VM 102 (mail) lost its policy tag but still has 2 snapshots of gold.conf; they are kept",
            "    hint: a rollback restores the old tags of a guest: add the tag again",
            "NOTE: VM 101 (db01) still has 1 snapshot of gold.conf, which does not select it any more; no job removes them",
        ],
    );
    assert_eq!(folder.check().0, 0);
}

#[test]
fn a_file_with_an_error_does_not_hide_the_others() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
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
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
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
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
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

#[test]
fn a_guest_with_the_tag_off_is_left_out_by_a_job_of_all_guests() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest_with(101, "scratch", "autosnap-off", &["autosilver261128120000"]),
    ]);
    folder.write_job("silver", "--vmid=@all");
    let (status, text) = folder.coverage();
    assert_eq!(status, 0, "{text}");
    assert_lines(
        &text,
        &[
            "NOTE: VM 101 (scratch) still has 1 snapshot of silver.conf, which does not select it any more; no job removes them",
            "Coverage: 1 covered, 1 off; 0 problems, 0 warnings, 1 note",
        ],
    );
}

/// Only root can give a file away: for another user the file stays their own, which is no warning.
#[test]
fn a_file_of_another_user_is_a_warning() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
    let path = folder.path().join("gold.conf");
    let is_given = std::os::unix::fs::chown(&path, Some(65_534), None).is_ok();
    let (status, text) = folder.check();
    assert_eq!(status, 0, "{text}");
    let expected = "belongs to another user, who can change it; run: chown root";
    assert_eq!(text.contains(expected), is_given, "{text}");
}

#[test]
fn a_policy_tag_that_was_lost_is_a_warning_while_another_job_covers_the_guest() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest_with(101, "db01", "web", &["autogold261128120000"]),
    ]);
    folder.write_job("silver", "--vmid=@all");
    let (status, text) = folder.coverage();
    assert_eq!(status, 0, "{text}");
    assert_lines(
        &text,
        &[
            "WARNING: VM 101 (db01) lost its policy tag but still has 1 snapshot of gold.conf; they are kept",
        ],
    );
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
fn templates_and_guests_of_offline_nodes_are_told_apart() {
    let mut template = guest(102, "debian", "web");
    template["config"]["template"] = json!(1);
    template["status"] = json!("stopped");
    let mut away = guest(103, "away", "autosnap-gold");
    away["node"] = json!("pve2");
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
        template,
        away,
    ]);
    let (status, text) = folder.coverage();
    assert_eq!(status, 1, "{text}");
    assert_lines(
        &text,
        &[
            "102   VM    debian  pve1  template  -",
            "PROBLEM: the snapshots of VM 103 cannot be read: node pve2 is offline or not reachable",
        ],
    );
    let report = folder.json(&["coverage"]);
    let away = (103, "covered".to_owned());
    assert!(states(&report).contains(&away), "{report}");
}

#[test]
fn snapshots_are_read_only_where_a_job_may_have_left_some() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold;autosnap-silver"),
        guest(101, "db01", "autosnap-silver"),
    ]);
    folder.check();
    assert_eq!(folder.requests(), ["/version", "/cluster/resources"]);
    folder.coverage();
    let requests = folder.requests();
    let expected = [
        "/version",
        "/cluster/resources",
        "/nodes/pve1/qemu/101/snapshot",
    ];
    assert_eq!(requests[2..], expected);
}

#[test]
fn options_on_the_command_line_override_those_of_the_files() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
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
fn a_cluster_that_cannot_be_read_does_not_hide_the_others() {
    let folder = Folder::new(vec![guest(100, "web01", "autosnap-gold")]);
    let token = folder.path().join("token");
    let job = format!(
        "--host=127.0.0.1:1\n--api-token=\"file:{}\"\n--label=silver\n--keep=1\n--vmid=@all\n",
        token.display()
    );
    folder.write_private("silver.conf", &job);
    let report = folder.json(&["coverage"]);
    assert_eq!(report["exit_status"], json!(1));
    assert_eq!(states(&report), [(100, "covered".to_owned())]);
    assert_eq!(report["findings"][0]["kind"], "connection");
    assert_eq!(report["findings"][0]["files"], json!(["silver.conf"]));
    std::fs::remove_file(folder.path().join("gold.conf")).unwrap();
    assert_eq!(folder.coverage().0, 3);
}

#[test]
fn logins_of_one_cluster_are_put_together() {
    let folder = Folder::new(vec![
        guest(100, "web01", "autosnap-gold"),
        guest(101, "db01", "autosnap-silver"),
    ]);
    // The other login reads only.
    folder.write_private("reader", &format!("backup@pve!reader={SECRET}\n"));
    let job = format!(
        "--host={}\n--api-token=\"file:{}\"\n--label=silver\n--keep=1\n--vmid=@tag-autosnap-silver\n",
        host(&folder.simulator),
        folder.path().join("reader").display()
    );
    folder.write_private("silver.conf", &job);
    let report = folder.json(&["coverage"]);
    assert_eq!(report["exit_status"], json!(0), "{report}");
    assert_eq!(report["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(report["clusters"][0]["jobs"].as_array().unwrap().len(), 2);
}
