// SPDX-License-Identifier: GPL-3.0-only
//! Differences of PVE 9 over HTTPS.

use serde_json::json;

use pve_sim::release::Release;

use crate::common::{ADMIN, Connection, serve};

/// Version, networks, memory on the host, new names in the indexes, and the log of an unknown task
/// as a list.
#[test]
fn differences_of_pve_9_are_visible_over_https() {
    for (release, old) in [(Release::V8, true), (Release::V9, false)] {
        let simulator = serve(|options| options.release = release);
        let address = simulator.addresses()[0];
        let get = |path: &str| {
            let mut connection = Connection::open(&simulator, address).expect("a connection");
            let auth = format!("Authorization: {ADMIN}");
            connection
                .call("GET", path, &auth, "")
                .expect("a response")
                .data()
        };
        assert_eq!(
            get("/version")["release"],
            json!(if old { "8.4" } else { "9.2" })
        );
        let all = get("/cluster/resources");
        let kinds = |kind: &str| {
            all.as_array()
                .expect("a list")
                .iter()
                .any(|one| one["type"] == kind)
        };
        assert_eq!((kinds("sdn"), kinds("network")), (old, !old));
        let status = get("/nodes/pve1/qemu/100/status/current");
        assert_eq!(status.get("memhost").is_none(), old, "{status}");
        assert_eq!(status.get("pressurecpufull").is_none(), old, "{status}");
        let index = get("/cluster").to_string();
        assert_eq!(!index.contains("bulk-action"), old, "{index}");
        let log = get(
            "/nodes/pve1/tasks/UPID:pve1:00000001:00000002:6553F100:qmsnapshot:100:admin@pve!full:/log",
        );
        assert_eq!(log.is_object(), old, "{log}");
    }
}
