// SPDX-License-Identifier: GPL-3.0-only
//! Generated worlds: requested size, reproducible, free of contradictions, with values that PVE
//! accepts.
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use pve_sim::generate::{GenerateError, GenerateOptions, GeneratedWorld, demo_world, generate};
use pve_sim::schema::Schema;

const NOW: i64 = 1_732_324_567;

fn list<'a>(world: &'a Value, member: &str) -> &'a Vec<Value> {
    world[member].as_array().unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

/// Checks that apply to all generated worlds.
fn check_world(generated: &GeneratedWorld, now: i64) {
    let world = &generated.world;
    let nodes: BTreeSet<&str> = world["cluster"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| text(node, "name"))
        .collect();
    assert!(nodes.contains(text(&world["cluster"], "this_node")));
    let storages: BTreeMap<&str, &Value> = list(world, "storages")
        .iter()
        .map(|storage| (text(storage, "storage"), storage))
        .collect();
    for storage in storages.values() {
        check_storage(storage);
    }
    for node in list(&world["cluster"], "nodes") {
        check_size(node, world);
    }
    let mut vmids = BTreeSet::new();
    for guest in list(world, "guests") {
        let vmid = guest["vmid"].as_u64().unwrap();
        assert!(vmids.insert(vmid), "{vmid} is given twice");
        assert!(nodes.contains(text(guest, "node")), "{guest}");
        check_volumes(guest, &storages);
        check_snapshots(guest, now);
        check_config(guest);
    }
    let mut pooled = BTreeSet::new();
    for pool in list(world, "pools") {
        for vmid in list(pool, "guests") {
            let vmid = vmid.as_u64().unwrap();
            assert!(vmids.contains(&vmid) && pooled.insert(vmid), "{pool}");
        }
    }
    check_access(generated);
}

/// A storage has the options that PVE requires for its type (`properties` and `options` of the
/// classes in `PVE/Storage`; without `monhost`, PVE's own Ceph is used).
fn check_storage(storage: &Value) {
    let demanded: &[&str] = match text(storage, "type") {
        "dir" => &["path"],
        "nfs" => &["server", "export"],
        "zfspool" | "rbd" => &["pool"],
        "lvmthin" => &["vgname", "thinpool"],
        other => panic!("nothing is known of {other}"),
    };
    for member in demanded {
        assert!(!text(storage, member).is_empty(), "{storage}");
    }
}

/// A node has memory for all its guests, and one processor for four virtual ones.
fn check_size(node: &Value, world: &Value) {
    let (mut cores, mut mebibytes) = (0, 0);
    for guest in list(world, "guests") {
        if guest["node"] == node["name"] {
            let defaults = &world["guest_defaults"][text(guest, "type")];
            let memory = guest["config"].get("memory").unwrap_or(&defaults["memory"]);
            mebibytes += memory.as_u64().unwrap();
            cores += guest["config"]["cores"].as_u64().unwrap_or(1);
        }
    }
    assert!(node["processors"].as_u64().unwrap() * 4 >= cores, "{node}");
    assert!(
        node["memory"].as_u64().unwrap() >> 20 >= mebibytes,
        "{node}"
    );
}

fn check_volumes(guest: &Value, storages: &BTreeMap<&str, &Value>) {
    let config = guest["config"].as_object().unwrap();
    let volume = config
        .get("scsi0")
        .or_else(|| config.get("rootfs"))
        .unwrap();
    let storage = storages[volume.as_str().unwrap().split(':').next().unwrap()];
    let on_node = match storage.get("nodes") {
        Some(nodes) => nodes.as_array().unwrap().contains(&guest["node"]),
        None => true,
    };
    assert!(on_node, "{guest} has no such storage on its node");
}

/// Parents come first, no time is in the future, and names are valid in PVE.
fn check_snapshots(guest: &Value, now: i64) {
    let mut before: Option<&Value> = None;
    for snapshot in guest["snapshots"].as_array().into_iter().flatten() {
        let taken_at = snapshot["snaptime"].as_i64().unwrap();
        assert!(taken_at < now, "{snapshot} is from the future");
        assert!(before.is_none_or(|before| before["snaptime"].as_i64().unwrap() <= taken_at));
        assert_eq!(snapshot.get("parent"), before.map(|before| &before["name"]));
        check_with_schema(
            "POST",
            &["nodes", "pve1", "qemu", "100", "snapshot"],
            &json!({
                "snapname": snapshot["name"], "description": snapshot["description"],
            }),
        );
        before = Some(snapshot);
    }
}

/// PVE's checks accept the configuration, except for options that only PVE writes.
fn check_config(guest: &Value) {
    let kind = text(guest, "type");
    let mut config = guest["config"].clone();
    let lines = config.as_object_mut().unwrap();
    lines.remove("lock");
    if kind == "lxc" {
        // The template of a container cannot be changed later.
        lines.remove("ostype");
        lines.remove("unprivileged");
        lines.insert("hostname".to_owned(), guest["hostname"].clone());
    } else {
        lines.insert("name".to_owned(), guest["name"].clone());
    }
    let vmid = guest["vmid"].to_string();
    check_with_schema(
        "PUT",
        &["nodes", text(guest, "node"), kind, &vmid, "config"],
        &config,
    );
}

fn check_with_schema(method: &str, path: &[&str], given: &Value) {
    let route = Schema::builtin().route(path).unwrap();
    let parameters = route
        .parameters(given.as_object().unwrap().clone())
        .unwrap();
    assert_eq!(
        route.node.method(method).unwrap().check(&parameters),
        Ok(()),
        "{given}"
    );
}

/// All users with grants exist, and all users have a secret.
fn check_access(generated: &GeneratedWorld) {
    let world = &generated.world;
    let users: BTreeSet<&str> = list(world, "users")
        .iter()
        .map(|user| text(user, "userid"))
        .collect();
    for line in list(world, "acl") {
        assert!(users.contains(text(line, "who")), "{line}");
    }
    for user in users {
        assert!(
            generated.credentials["passwords"][user].is_string(),
            "{user}"
        );
    }
    for token in list(world, "tokens") {
        assert!(
            generated.credentials["tokens"][text(token, "tokenid")].is_string(),
            "{token}"
        );
    }
    let role = json!(["Datastore.Audit", "Pool.Audit", "VM.Audit", "VM.Snapshot"]);
    assert_eq!(world["roles"]["SnapRunner"], role);
}

fn count(world: &Value, condition: impl Fn(&Value) -> bool) -> usize {
    list(world, "guests")
        .iter()
        .filter(|guest| condition(guest))
        .count()
}

#[test]
fn a_large_world_matches_the_requested_shares() {
    let options = GenerateOptions {
        nodes: 20,
        guests: 2_000,
        now: NOW,
        labels: vec!["daily".to_owned(), "weekly".to_owned()],
        task_seconds: Some(0.5..=3.0),
        offline_nodes: 2,
        slow_nodes: 3,
        ..GenerateOptions::default()
    };
    let generated = generate(&options).unwrap();
    check_world(&generated, NOW);
    let world = &generated.world;
    assert_eq!(count(world, |_| true), 2_000);
    assert_eq!(count(world, |guest| guest["status"] == "unknown"), 200);
    let near = |share: usize, expected: usize| share.abs_diff(expected) < 150;
    assert!(near(
        count(world, |guest| guest["config"]["tags"].is_string()),
        1_200
    ));
    assert!(near(
        list(world, "pools")
            .iter()
            .map(|pool| list(pool, "guests").len())
            .sum(),
        1_000
    ));
    assert!(count(world, |guest| guest["type"] == "lxc") > 200);
    assert!(count(world, |guest| guest["config"]["template"] == 1) > 10);
    let names: BTreeSet<&str> = list(world, "guests")
        .iter()
        .map(|guest| {
            guest["name"]
                .as_str()
                .or(guest["hostname"].as_str())
                .unwrap()
        })
        .collect();
    assert_eq!(names.len(), 2_000);
    for guest in list(world, "guests") {
        let snapshots = guest["snapshots"].as_array().map_or(0, Vec::len);
        let expected = if guest["config"]["template"] == 1 {
            0
        } else {
            7
        };
        assert_eq!(snapshots, expected, "{guest}");
        let seconds = guest["task_seconds"]["create"].as_f64().unwrap();
        assert!((0.5..=3.0).contains(&seconds), "{seconds}");
    }
    let slow = world["cluster"]["nodes"].as_array().unwrap().iter();
    let slow: Vec<_> = slow
        .filter(|node| node["slowness"] == 5.0)
        .map(|node| text(node, "name"))
        .collect();
    assert_eq!(slow, ["pve2", "pve3", "pve4"]);
}

#[test]
fn seeds_determine_the_world_and_more_guests_keep_the_others() {
    let options = GenerateOptions {
        guests: 50,
        ..GenerateOptions::default()
    };
    let world = generate(&options).unwrap();
    assert_eq!(generate(&options).unwrap(), world);
    let other_seed = GenerateOptions {
        seed: 2,
        ..options.clone()
    };
    assert_ne!(generate(&other_seed).unwrap(), world);
    let more = generate(&GenerateOptions {
        guests: 60,
        ..options
    })
    .unwrap();
    assert_eq!(
        more.world["guests"].as_array().unwrap()[..50],
        list(&world.world, "guests")[..]
    );
}

#[test]
fn contradicting_options_are_rejected() {
    let check = |change: &dyn Fn(&mut GenerateOptions), expected: GenerateError| {
        let mut options = GenerateOptions::default();
        change(&mut options);
        assert_eq!(generate(&options), Err(expected));
    };
    check(&|options| options.nodes = 0, GenerateError::NoNodes);
    check(
        &|options| options.offline_nodes = 3,
        GenerateError::AllOffline {
            offline: 3,
            nodes: 3,
        },
    );
    check(
        &|options| options.guests = 1_000_000_000,
        GenerateError::TooManyGuests(1_000_000_000),
    );
    check(&|options| options.labels.clear(), GenerateError::NoLabel);
    check(
        &|options| options.labels[0] = "a.b".to_owned(),
        GenerateError::Label("a.b".to_owned()),
    );
    let share = GenerateError::Share {
        what: "templates",
        share: 1.5,
    };
    check(&|options| options.templates = 1.5, share);
    let seconds = GenerateError::TaskSeconds { from: 3.0, to: 1.0 };
    check(&|options| options.task_seconds = Some(3.0..=1.0), seconds);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_world_is_valid(
        nodes in 1..12_u32, guests in 0..40_u32, seed: u64, snapshots in 0..9_u32,
        now in 0..4_000_000_000_i64, hours in -12..14_i32, containers in 0.0..=1.0_f64,
    ) {
        let labels = ["hourly", "daily", "weekly", "monthly"].map(str::to_owned).to_vec();
        let options = GenerateOptions {
            nodes, guests, seed, now, snapshots, containers, labels,
            utc_offset_seconds: hours * 3_600,
            offline_nodes: nodes / 2,
            ..GenerateOptions::default()
        };
        check_world(&generate(&options).unwrap(), now);
    }

    #[test]
    fn the_demo_is_valid_at_any_time(now in 0..4_000_000_000_i64, hours in -12..14_i32) {
        check_world(&demo_world(now, hours * 3_600), now);
    }
}

#[test]
fn the_demo_contains_every_important_case() {
    let GeneratedWorld { world, .. } = demo_world(NOW, 3_600);
    let guest = |vmid: u64| {
        list(&world, "guests")
            .iter()
            .find(|guest| guest["vmid"] == vmid)
            .unwrap()
    };
    assert_eq!(count(&world, |_| true), 13);
    assert_eq!(count(&world, |guest| guest["config"]["template"] == 1), 1);
    assert_eq!(
        count(&world, |guest| guest["config"]["lock"] == "backup"),
        1
    );
    assert_eq!(text(&guest(111)["config"], "mp0"), "/srv/media,mp=/media");
    let names: Vec<&str> = list(guest(102), "snapshots")
        .iter()
        .map(|one| text(one, "name"))
        .collect();
    let expected = [
        "before-upgrade",
        "autodaily241121000002",
        "autodaily241122000002",
        "autodaily241123000002",
    ];
    assert_eq!(names, expected);
    let zfs = list(&world, "storages")
        .iter()
        .find(|one| one["storage"] == "local-zfs")
        .unwrap();
    let usage = &zfs["usage"]["pve3"];
    let percent = usage["used"].as_u64().unwrap() * 100 / usage["total"].as_u64().unwrap();
    assert!((90..95).contains(&percent), "{percent}");
}

#[test]
fn credentials_match_the_public_examples() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/pve-recordings/credentials.example.json");
    let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ours = demo_world(NOW, 0).credentials;
    for kind in ["passwords", "tokens"] {
        for (name, secret) in ours[kind].as_object().unwrap() {
            assert_eq!(&published[kind][name], secret, "{name}");
        }
    }
}
