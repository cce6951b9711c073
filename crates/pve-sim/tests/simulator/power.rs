// SPDX-License-Identifier: GPL-3.0-only
//! Power actions. The expected responses are recorded from a real PVE or derived from its sources.

use serde_json::json;

use crate::common::{as_user, call, data, exit_status, rejection, serve, task};

const WEB: &str = "/nodes/pve1/qemu/100";
const FILES: &str = "/nodes/pve1/lxc/101";

/// A shutdown has its own task type.
#[test]
fn shutdown_and_stop_have_different_task_types() {
    let simulator = serve(|_| {});
    let kind = |path: &str| {
        let upid = data(&simulator, "POST", path, "");
        let upid = upid.as_str().expect("a UPID").to_owned();
        assert_eq!(
            exit_status(&simulator, &upid).as_deref(),
            Some("OK"),
            "{path}"
        );
        upid.split(':').nth(5).expect("a type").to_owned()
    };
    assert_eq!(kind(&format!("{WEB}/status/shutdown")), "qmshutdown");
    assert_eq!(kind(&format!("{WEB}/status/stop")), "qmstop");
    assert_eq!(kind(&format!("{FILES}/status/start")), "vzstart");
    assert_eq!(kind(&format!("{FILES}/status/shutdown")), "vzshutdown");
}

#[test]
fn parameters_of_power_actions_are_checked() {
    let simulator = serve(|_| {});
    for (form, errors) in [
        (
            "bogus=1",
            json!({"bogus": "property is not defined in schema and the schema does not allow additional properties"}),
        ),
        (
            "timeout=abc",
            json!({"timeout": "type check ('integer') failed - got 'abc'"}),
        ),
        (
            "skiplock=1",
            json!({"skiplock": "Only root may use this option."}),
        ),
    ] {
        let (status, reason, body) =
            rejection(&simulator, "POST", &format!("{WEB}/status/start"), form);
        assert_eq!(
            (status, reason.as_str()),
            (400, "Parameter verification failed.")
        );
        assert_eq!(body["errors"], errors);
    }
}

/// PVE checks whether a container is running before it starts the task.
#[test]
fn a_container_is_not_stopped_twice() {
    let simulator = serve(|_| {});
    let act = |action: &str| {
        let path = format!("{FILES}/status/{action}");
        let response = call(&simulator, "POST", &path, "").expect("a response");
        (response.status, response.reason)
    };
    for action in ["stop", "shutdown", "suspend"] {
        assert_eq!(act(action), (500, "CT 101 not running".to_owned()));
    }
    assert_eq!(act("reboot"), (500, "VM 101 not running".to_owned()));
    assert_eq!(act("start").0, 200);
    for action in ["start", "resume"] {
        assert_eq!(act(action), (500, "CT 101 already running".to_owned()));
    }
    // For a virtual machine that is already stopped, the task succeeds.
    for _ in 0..2 {
        assert_eq!(
            task(&simulator, "POST", &format!("{WEB}/status/stop"), ""),
            "OK"
        );
    }
}

#[test]
fn templates_do_not_start() {
    let simulator = serve(|options| {
        options.world["guests"][0]["config"]["template"] = json!(1);
        options.world["guests"][0]["status"] = json!("stopped");
        options.world["guests"][1]["config"]["template"] = json!(1);
    });
    assert_eq!(
        task(&simulator, "POST", &format!("{WEB}/status/start"), ""),
        "you can't start a vm if it's a template"
    );
    assert_eq!(
        task(&simulator, "POST", &format!("{FILES}/status/start"), ""),
        "you can't start a CT if it's a template"
    );
}

/// A rollback with `start` ends before a second task of the same user starts the guest. From PVE 9
/// on this requires the privilege to start virtual machines, but not containers.
#[test]
fn a_rollback_starts_the_guest_in_a_second_task() {
    let simulator = serve(|options| {
        options.timing.task_seconds = 10.0;
        options.world["cluster"]["version"] = json!("9.2.11");
        options.world["roles"] = json!({"Runner": ["VM.Audit", "VM.Snapshot"]});
        options.world["pools"][0]["guests"] = json!([]);
        let acl = options.world["acl"].as_array_mut().expect("a list");
        acl.push(json!({"path": "/vms", "who": "admin@pve!pool", "role": "Runner"}));
    });
    for guest in [WEB, FILES] {
        data(
            &simulator,
            "POST",
            &format!("{guest}/snapshot"),
            "snapname=rs",
        );
        simulator.advance(10.0);
        let path = format!("{guest}/snapshot/rs/rollback");
        data(&simulator, "POST", &path, "start=1");
        simulator.advance(10.0);
        let list = data(
            &simulator,
            "GET",
            "/nodes/pve1/tasks?source=all&limit=2",
            "",
        );
        let kinds: Vec<&str> = list
            .as_array()
            .expect("a list")
            .iter()
            .map(|task| task["type"].as_str().expect("a type"))
            .collect();
        let expected_type = if guest == WEB {
            ["qmstart", "qmrollback"]
        } else {
            ["vzstart", "vzrollback"]
        };
        assert_eq!(kinds, expected_type);
        assert_eq!(
            (&list[0]["status"], &list[0]["user"]),
            (&json!("RUNNING"), &json!("admin@pve!full"))
        );
        assert_eq!(list[1]["status"], "OK");
        let running = || data(&simulator, "GET", &format!("{guest}/status/current"), "");
        assert_eq!(running()["status"], "stopped");
        simulator.advance(10.0);
        assert_eq!(running()["status"], "running");
    }
    let pool = "Authorization: PVEAPIToken=admin@pve!pool=pool-secret";
    for (guest, expected_type) in [
        (
            WEB,
            (403, "Permission check failed (/vms/100, VM.PowerMgmt)"),
        ),
        (FILES, (200, "OK")),
    ] {
        let path = format!("{guest}/snapshot/rs/rollback");
        let response = as_user(&simulator, pool, "POST", &path, "start=1");
        assert_eq!((response.status, response.reason.as_str()), expected_type);
    }
}

/// All actions in the index of a guest's `status` can be called.
#[test]
fn guests_are_reset_paused_and_rebooted() {
    let simulator = serve(|_| {});
    let act = |action: &str| {
        let upid = data(&simulator, "POST", &format!("{WEB}/status/{action}"), "");
        let upid = upid.as_str().expect("a UPID").to_owned();
        let exit = exit_status(&simulator, &upid).expect("the task has ended");
        (upid.split(':').nth(5).expect("a type").to_owned(), exit)
    };
    let ended = |kind: &str| (kind.to_owned(), "OK".to_owned());
    let current = || data(&simulator, "GET", &format!("{WEB}/status/current"), "");
    assert_eq!(act("reset"), ended("qmreset"));
    assert_eq!(act("suspend"), ended("qmpause"));
    assert_eq!(
        (&current()["status"], &current()["qmpstatus"]),
        (&json!("running"), &json!("paused"))
    );
    for action in ["shutdown", "reboot"] {
        let (status, reason, _) =
            rejection(&simulator, "POST", &format!("{WEB}/status/{action}"), "");
        assert_eq!(
            (status, reason.as_str()),
            (500, "VM is paused - cannot shutdown")
        );
    }
    assert_eq!(act("resume"), ended("qmresume"));
    assert_eq!(current()["qmpstatus"], "running");
    let before = current()["pid"].clone();
    assert_eq!(act("reboot"), ended("qmreboot"));
    assert_ne!(current()["pid"], before);
    assert_eq!(act("stop"), ended("qmstop"));
    for action in ["reset", "suspend", "resume", "reboot"] {
        let (status, reason, _) =
            rejection(&simulator, "POST", &format!("{WEB}/status/{action}"), "");
        assert_eq!((status, reason.as_str()), (500, "VM 100 not running"));
    }
    let (_, reason, _) = rejection(&simulator, "POST", "/nodes/pve1/qemu/999/status/reset", "");
    assert_eq!(
        reason,
        "unable to find configuration file for VM 999 on node 'pve1'"
    );
    data(&simulator, "POST", &format!("{FILES}/status/start"), "");
    assert_eq!(
        task(&simulator, "POST", &format!("{FILES}/status/reboot"), ""),
        "OK"
    );
    assert_eq!(
        task(&simulator, "POST", &format!("{FILES}/status/suspend"), ""),
        "command 'lxc-checkpoint -n 101 -s -D /var/lib/vz/dump' failed: exit code 1"
    );
}

/// Resuming starts a virtual machine whose RAM was saved to disk.
#[test]
fn a_machine_is_suspended_to_disk_and_resumed() {
    let simulator = serve(|_| {});
    let act = |action: &str, form: &str| {
        task(&simulator, "POST", &format!("{WEB}/status/{action}"), form)
    };
    assert_eq!(act("suspend", "todisk=1"), "OK");
    let current = data(&simulator, "GET", &format!("{WEB}/status/current"), "");
    assert_eq!(
        (&current["status"], &current["lock"]),
        (&json!("stopped"), &json!("suspended"))
    );
    assert_eq!(act("resume", ""), "OK");
    let current = data(&simulator, "GET", &format!("{WEB}/status/current"), "");
    assert_eq!(current["status"], "running");
    assert!(current.get("lock").is_none(), "{current}");
}
