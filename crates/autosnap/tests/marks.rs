// SPDX-License-Identifier: GPL-3.0-only
//! Marks against the simulator: they survive what Proxmox VE does to a description, of a VM and of a container.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is how a test fails"
)]

use autosnap::marks::{MarkChange, Request, change};
use autosnap_core::guest::Vmid;
use autosnap_core::marks::{MarkText, MarkedDescription, Marks, is_stored_as};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pve_client::{Client, ClientOptions, Credentials, GuestKind, Trust};
use pve_sim::simulator::{Options, Simulator};
use serde_json::json;
use tokio::runtime::Runtime;

const SNAPSHOT: &str = "autodaily260101000000";
const PASSWORD: &str = "example";

/// A VM and a container with a snapshot each.
struct Cluster {
    _simulator: Simulator,
    client: Client,
    runtime: Runtime,
}

impl Cluster {
    fn new() -> Self {
        let guest = |vmid: u32, kind: &str| {
            json!({"vmid": vmid, "type": kind, "node": "pve1", "status": "stopped", "config": {},
                   "snapshots": [{"name": SNAPSHOT, "snaptime": 1_767_225_600, "description": "cv4pve-autosnap"}]})
        };
        let world = json!({
            "cluster": {"name": "lab", "this_node": "pve1", "nodes": [{"name": "pve1", "nodeid": 1, "ip": "10.0.0.1"}]},
            "guests": [guest(100, "qemu"), guest(101, "lxc")],
            "users": [{"userid": "backup@pve"}],
            "acl": [{"path": "/", "who": "backup@pve", "role": "Administrator"}],
        });
        let credentials = json!({"passwords": {"backup@pve": PASSWORD}, "tokens": {}});
        let simulator = Simulator::start(Options::new(world, credentials)).unwrap();
        let login = Credentials::Password {
            username: "backup@pve".to_owned(),
            password: PASSWORD.into(),
        };
        let host = simulator.addresses()[0].to_string().parse().unwrap();
        let options = ClientOptions::new(vec![host], login, Trust::AcceptAny);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(Client::connect(options)).unwrap();
        Self {
            _simulator: simulator,
            client,
            runtime,
        }
    }

    /// Changes a mark of the snapshot of a guest.
    fn change(&self, vmid: u32, mark: &MarkChange) {
        let request = Request {
            vmid: Vmid::new(vmid).unwrap(),
            snapshot: SNAPSHOT,
            change: mark,
            dry_run: false,
        };
        let result = change(&self.client, "backup@pve", &request);
        let marked = self.runtime.block_on(result).unwrap();
        assert_eq!(Some(marked.marks), Marks::parse(&self.listed(vmid)));
    }

    fn write(&self, vmid: u32, description: &str) {
        let kind = kind(vmid);
        let write = self
            .client
            .set_snapshot_description("pve1", kind, vmid, SNAPSHOT, description);
        self.runtime.block_on(write).unwrap();
    }

    /// The description in the guest's list.
    fn listed(&self, vmid: u32) -> String {
        let listing = self.client.snapshots("pve1", kind(vmid), vmid);
        let listing = self.runtime.block_on(listing).unwrap();
        listing.find(SNAPSHOT).unwrap().description.clone()
    }
}

fn kind(vmid: u32) -> GuestKind {
    if vmid == 100 {
        GuestKind::Qemu
    } else {
        GuestKind::Lxc
    }
}

fn texts() -> impl Strategy<Value = MarkText> {
    let hostile = "[ \\n\\r\\t\\\\a%#\u{a0}\u{85}\u{2028}\u{feff}\u{1b}\u{0}]{1,12}|0|autosnap: hold\\n0|(?s).{1,40}";
    hostile.prop_filter_map("the text is not blank", |text| MarkText::parse(&text).ok())
}

fn changes() -> impl Strategy<Value = MarkChange> {
    let time = (1_800_000_000..200_000_000_000_i64)
        .prop_map(|second| Timestamp::from_second(second).unwrap());
    prop_oneof![
        (prop::option::of(time.clone()), prop::option::of(texts()))
            .prop_map(|(until, reason)| MarkChange::Hold { until, reason }),
        Just(MarkChange::Release),
        prop::option::of(time).prop_map(MarkChange::Expire),
        prop::option::of(texts()).prop_map(MarkChange::Note),
    ]
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    })
}

#[test]
fn marks_that_are_written_are_listed() {
    let cluster = Cluster::new();
    let changes = prop::collection::vec(changes(), 1..5);
    let result = runner(24).run(&(changes, 100..102_u32), |(changes, vmid)| {
        for change in &changes {
            cluster.change(vmid, change);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_description_that_is_written_again_does_not_change() {
    let cluster = Cluster::new();
    let lines = "(cv4pve-autosnap\\n)?(autosnap: (hold|note text=[ a\\\\]{0,3}|expire at=x|pin)|[ a0#\\[\\]%\\r\\t\\n]{0,5}|\\PC{0,9})(\\n{1,3}| )?";
    let description = prop::collection::vec(lines, 0..4).prop_map(|lines| lines.concat());
    let result = runner(60).run(&(description, 100..102_u32), |(description, vmid)| {
        cluster.write(vmid, &format!("cv4pve-autosnap\n{description}"));
        let listed = cluster.listed(vmid);
        let Some(read) = MarkedDescription::parse(&listed) else {
            return Ok(());
        };
        cluster.write(vmid, &read.to_string());
        let again = cluster.listed(vmid);
        let is_unmarked = read.marks().is_empty();
        prop_assert!(is_unmarked || again == listed, "{listed:?} {again:?}");
        prop_assert!(is_stored_as(&read.to_string(), &again));
        prop_assert_eq!(MarkedDescription::parse(&again), Some(read));
        Ok(())
    });
    result.unwrap();
}
