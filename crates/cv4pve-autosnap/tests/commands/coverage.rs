// SPDX-License-Identifier: GPL-3.0-only
//! What `coverage` finds about the guests of a simulated cluster.

use serde_json::{Value, json};

use crate::job_folder::{Folder, assert_lines, guest, guest_with, one_of_each};
use crate::support::{SECRET, host};

/// The state of each guest, in the order of the table.
fn states(report: &Value) -> Vec<(u64, String)> {
    let guests = report["clusters"][0]["guests"].as_array().unwrap();
    let state = |guest: &Value| {
        let state = guest["state"].as_str().unwrap().to_owned();
        (guest["vmid"].as_u64().unwrap(), state)
    };
    guests.iter().map(state).collect()
}

/// The paths of the requests so far, without the prefix of the API.
fn requests(folder: &Folder) -> Vec<String> {
    let journal = folder.simulator.journal();
    let requests = journal.requests();
    requests
        .iter()
        .map(|request| request.path.replace("/api2/json", ""))
        .collect()
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
    assert_eq!(requests(&folder), ["/version", "/cluster/resources"]);
    folder.coverage();
    let requests = requests(&folder);
    let expected = [
        "/version",
        "/cluster/resources",
        "/nodes/pve1/qemu/101/snapshot",
    ];
    assert_eq!(requests[2..], expected);
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
    let folder = Folder::new(one_of_each());
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
