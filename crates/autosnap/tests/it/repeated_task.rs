// SPDX-License-Identifier: GPL-3.0-only
//! A reply that names the task of an earlier request for the same guest, as a cache before PVE may
//! send it.

use crate::harness::Lab;
use crate::world::{World, vm};

/// D1: the second removal is answered with the task of the first one, which has succeeded: it is not
/// reported as done, and nothing is removed after it.
#[test]
fn the_end_of_an_earlier_task_says_nothing_of_a_removal() {
    let faults =
        r#"{"requests": [{"method": "DELETE", "when": {"nth": 2}, "effect": "other_task"}]}"#;
    let world = World::of([vm(100, "web01").taken("daily", &[1, 2, 3])]);
    let lab = Lab::with_faults(&world, faults);
    let output = lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=1 --output=Json");
    output.assert_status(1);
    assert_eq!(
        lab.changes(),
        [
            "create 100 autodaily<now>",
            "delete 100 autodaily240101000000"
        ]
    );
    let report = output.json();
    let guest = &report["guests"][0];
    assert_eq!(
        guest["removed"],
        serde_json::json!(["autodaily240101000000"])
    );
    assert_eq!(guest["failures"][0]["effect"], "unknown", "{output}");
    let message = guest["failures"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("the reply names the task of an earlier request"),
        "{message}"
    );
}
