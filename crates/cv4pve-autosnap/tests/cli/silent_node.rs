// SPDX-License-Identifier: GPL-3.0-only
//! A node whose `pvestatd` hangs has the status `unknown`, and its guests have the status `unknown`
//! and no name, but everything on it works.

use serde_json::json;

use crate::harness::Lab;
use crate::world::{Guest, World, ct, vm};

/// `pve2` sends no statistics; `pve3` is offline.
fn guests() -> [Guest; 7] {
    [
        vm(100, "web01"),
        vm(200, "db01")
            .on("pve2")
            .set("tags", "prod;sql")
            .taken("daily", &[1, 2]),
        vm(201, "db02").on("pve2").stopped(),
        ct(202, "dns").on("pve2").set("tags", "prod"),
        vm(203, "golden").on("pve2").set("template", 1),
        vm(204, "busy").on("pve2").set("lock", "backup"),
        vm(300, "far").on("pve3"),
    ]
}

fn cluster() -> World {
    World::new(guests())
        .pool("databases", &[200, 201])
        .offline_node("pve3")
        .silent_node("pve2")
}

fn lists_of_nodes(lab: &Lab) -> Vec<String> {
    let requests = lab.simulator.journal().requests();
    let mut paths: Vec<String> = requests.into_iter().map(|one| one.path).collect();
    paths.retain(|path| path.ends_with("/qemu") || path.ends_with("/lxc"));
    paths.sort();
    paths
}

/// Guests of a node with status `unknown` get their snapshots; only `offline` is offline.
#[test]
fn a_node_without_statistics_is_not_offline() {
    let lab = Lab::new(&cluster());
    let output = lab.run("--vmid=200,201,202,203,204,300 snap --label=daily --keep=2");
    output
        .assert_status(1)
        .assert_out("----- VM 200 qemu running -----")
        .assert_out("----- VM 201 qemu stopped -----")
        .assert_out("Skip VM is template")
        .assert_out("FAILED VM 204 busy on pve2: VM is locked (backup)")
        .assert_out("FAILED node pve3 is offline or not reachable: VM 300\n")
        .assert_out("WARNING: node pve2 sends no statistics")
        .assert_out("how full its storages are is not known");
    assert_eq!(
        lab.changes_of(200),
        [
            "create 200 autodaily<now>",
            "delete 200 autodaily240101000000"
        ]
    );
    assert_eq!(lab.changes_of(201), ["create 201 autodaily<now>"]);
    assert_eq!(lab.changes_of(202), ["create 202 autodaily<now>"]);
    assert_eq!(lab.changes().len(), 4);
    assert_eq!(
        lists_of_nodes(&lab),
        ["/api2/json/nodes/pve2/lxc", "/api2/json/nodes/pve2/qemu"],
        "two requests more, none to the node that is off"
    );
}

/// A dry run lists the guests that cause its exit status 1 at the end, as the run does.
#[test]
fn a_dry_run_lists_the_guests_that_would_fail_at_the_end() {
    let lab = Lab::new(&cluster());
    lab.run("--vmid=200,203,204,300 snap --label=daily --keep=2 --dry-run")
        .assert_status(1)
        .assert_out("FAILED VM 204 busy on pve2: VM is locked (backup)")
        .assert_out("FAILED node pve3 is offline or not reachable: VM 300\n")
        .assert_not_printed("FAILED VM 203");
}

/// `status` exits with 1 if it cannot show a selected guest because its node is offline.
#[test]
fn status_fails_if_the_node_of_a_selected_guest_is_offline() {
    let lab = Lab::new(&cluster());
    for selection in ["300", "100,300", "@all"] {
        lab.run(&format!("--vmid={selection} status"))
            .assert_status(1)
            .assert_err("WARNING: VM 300 is not shown: node pve3 is offline or not reachable");
    }
    lab.run("--vmid=@all,-300 status").assert_status(0);
}

/// Names, patterns, tags, pools and nodes select guests of a node without statistics.
#[test]
fn guests_of_a_node_without_statistics_are_selected_by_every_kind_of_term() {
    for (selection, expected) in [
        ("db01", vec![200]),
        ("db%", vec![200, 201]),
        ("@tag-prod", vec![200, 202]),
        ("@pool-databases", vec![200, 201]),
        ("@node-pve2,-dns,-golden,-busy", vec![200, 201]),
        ("@all,-db%,-@tag-prod,-golden,-busy,-300", vec![100]),
    ] {
        let lab = Lab::new(&cluster());
        let output = lab.run(&format!("--vmid={selection} snap --label=daily --keep=9"));
        let mut changed: Vec<u32> = lab
            .changes()
            .iter()
            .map(|change| change.split(' ').nth(1).unwrap().parse().unwrap())
            .collect();
        changed.sort_unstable();
        assert_eq!(changed, expected, "{selection}: {output}");
    }
}

/// A guest on an offline node may have the selected name, so the run warns and fails.
#[test]
fn guests_of_an_offline_node_have_no_name() {
    let lab = Lab::new(&cluster());
    lab.run("--vmid=far snap --label=daily --keep=9")
        .assert_status(1)
        .assert_out("the name of 1 guest on an offline node is not known");
    lab.assert_unchanged();
}

/// `status`, `check` and `clean` read the same guests.
#[test]
fn every_command_reads_a_node_without_statistics() {
    let lab = Lab::new(&cluster());
    lab.run("--vmid=db01 status --output=Json")
        .assert_status(0)
        .assert_out("autodaily240102000000");
    let check = lab.run("--vmid=db01,db02 check --output=json");
    let report = check.json();
    let kinds: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"node-silent"), "{check}");
    assert!(!kinds.contains(&"node-offline"), "{check}");
    assert_eq!(report["guests"][0]["ready"], json!(true), "{check}");
    lab.run("--vmid=db01 clean --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(lab.changes(), ["delete 200 autodaily240101000000"]);
}

/// A node that cannot list its guests is reported as a failure with the reason, and the other
/// guests are worked on.
#[test]
fn a_node_that_cannot_list_its_guests_is_a_failure() {
    let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/pve2/qemu",
        "effect": {"answer": {"status": 500, "reason": "got timeout"}}}]}"#;
    let lab = Lab::with_faults(&cluster(), faults);
    let output = lab.run("--vmid=100,200,202 snap --label=daily --keep=9");
    output
        .assert_status(1)
        .assert_out("node pve2 sends no statistics, and its guests could not be listed: ")
        .assert_out("got timeout");
    assert_eq!(lab.changes().len(), 2, "{output}");
    assert_eq!(lab.changes_of(200), [] as [&str; 0]);
    lab.run("--vmid=200 status")
        .assert_status(1)
        .assert_err("got timeout");
    lab.run("--vmid=200 check")
        .assert_status(1)
        .assert_out("got timeout");
}

/// A guest without statistics on a working node, such as a new one, is read from the node.
#[test]
fn a_guest_without_statistics_is_read_from_its_node() {
    let lab = Lab::new(&World::new([
        vm(100, "web01"),
        vm(101, "new").with("listed_status", "unknown"),
    ]));
    lab.run("--vmid=new snap --label=daily --keep=9")
        .assert_status(0)
        .assert_not_printed("statistics");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
    assert_eq!(lists_of_nodes(&lab), ["/api2/json/nodes/pve1/qemu"]);
}

/// If `pvestatd` has just started to hang, figures older than a minute are marked as old; newer
/// ones are not.
#[test]
fn old_figures_are_marked() {
    for (silent, expected) in [(200, Some("the figures of node pve2 are 3m ")), (20, None)] {
        let mut world = cluster().to_json();
        world["cluster"]["nodes"][1]["pvestatd_silent"] = json!(silent);
        let lab = Lab::with(pve_sim::simulator::Options::new(
            world,
            crate::world::credentials(),
        ));
        let output = lab.run("--vmid=100,200 snap --label=daily --keep=9");
        output
            .assert_status(0)
            .assert_not_printed("the figures of node pve1");
        match expected {
            Some(text) => _ = output.assert_out(text),
            None => _ = output.assert_not_printed("the figures of node"),
        }
        assert_eq!(lab.changes().len(), 2);
    }
}

/// If all nodes send statistics, no node is asked to list its guests.
#[test]
fn no_node_lists_its_guests_if_all_nodes_send_statistics() {
    let lab =
        Lab::new(&World::new([vm(100, "web01"), vm(300, "far").on("pve3")]).offline_node("pve3"));
    lab.run("--vmid=@all snap --label=daily --keep=9")
        .assert_status(1);
    assert_eq!(lists_of_nodes(&lab), [] as [&str; 0]);
}
