// SPDX-License-Identifier: GPL-3.0-only
//! Configuration changes, by request and by task. The expected responses are recorded from a real
//! PVE or derived from its sources.

use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

use crate::common::{
    as_user, control, create_snapshot, data, exit_status, ids, rejection, serve, task,
};

const WEB: &str = "/nodes/pve1/qemu/100";
const FILES: &str = "/nodes/pve1/lxc/101";

/// The cookie and CSRF token of root, who logs in with a password.
fn root(simulator: &Simulator) -> String {
    let form = "username=root@pam&password=toor";
    let ticket = as_user(simulator, "X-Nothing: 1", "POST", "/access/ticket", form).data();
    format!(
        "Cookie: PVEAuthCookie={}\r\nCSRFPreventionToken: {}",
        ticket["ticket"].as_str().expect("a ticket"),
        ticket["CSRFPreventionToken"].as_str().expect("a token"),
    )
}

fn serve_with_root() -> Simulator {
    serve(|options| {
        let users = options.world["users"].as_array_mut().expect("a list");
        users.push(json!({"userid": "root@pam"}));
        options.credentials["passwords"]["root@pam"] = json!("toor");
    })
}

/// Changed values have PVE's types, from a form as well as from JSON.
#[test]
fn changed_values_have_the_types_of_pve() {
    let simulator = serve(|_| {});
    let path = format!("{WEB}/config");
    data(
        &simulator,
        "PUT",
        &path,
        "cores=2&onboot=1&memory=256&tags=autosnap-gold%3BWeb",
    );
    let config = data(&simulator, "GET", &path, "");
    assert_eq!(
        (
            &config["cores"],
            &config["onboot"],
            &config["memory"],
            &config["tags"]
        ),
        (
            &json!(2),
            &json!(1),
            &json!("256"),
            &json!("autosnap-gold;web")
        )
    );
    let path = format!("{FILES}/config");
    data(&simulator, "PUT", &path, "memory=512&onboot=0");
    let config = data(&simulator, "GET", &path, "");
    assert_eq!(
        (&config["memory"], &config["onboot"]),
        (&json!(512), &json!(0))
    );
}

/// Rejects an empty change, a wrong digest, and a key that is both set and deleted.
#[test]
fn invalid_changes_are_rejected() {
    let simulator = serve(|_| {});
    let path = format!("{WEB}/config");
    let reason = |form: &str| {
        let (status, reason, body) = rejection(&simulator, "PUT", &path, form);
        (status, reason, body["errors"].clone())
    };
    assert_eq!(
        reason(""),
        (500, "no options specified".to_owned(), Value::Null)
    );
    let other = "0000000000000000000000000000000000000000";
    assert_eq!(
        reason(&format!("cores=1&digest={other}")).1,
        "checksum mismatch (file change by other user?)"
    );
    assert_eq!(
        reason("cores=1&delete=cores").2,
        json!({"delete": "you can't use '-cores' and '-delete cores' at the same time"})
    );
    let config = data(&simulator, "GET", &path, "");
    assert!(config.get("cores").is_none(), "{config}");
    let digest = config["digest"].as_str().expect("a digest");
    data(
        &simulator,
        "PUT",
        &path,
        &format!("cores=3&digest={digest}"),
    );
    let config = data(&simulator, "GET", &path, "");
    assert_eq!(config["cores"], 3);
}

/// Only root may set or remove the lock, and the lock has an effect.
#[test]
fn a_configured_lock_blocks_operations() {
    let simulator = serve_with_root();
    let path = format!("{WEB}/config");
    for form in ["lock=backup", "delete=lock"] {
        let (status, reason, _) = rejection(&simulator, "PUT", &path, form);
        assert_eq!(
            (status, reason.as_str()),
            (500, "only root can set 'lock' config")
        );
    }
    let root = root(&simulator);
    assert_eq!(
        as_user(&simulator, &root, "PUT", &path, "lock=backup").status,
        200
    );
    let status = data(&simulator, "GET", &format!("{WEB}/status/current"), "");
    assert_eq!(status["lock"], "backup");
    let (_, reason, _) = rejection(&simulator, "PUT", &path, "cores=2");
    assert_eq!(reason, "VM is locked (backup)");
    let exit = create_snapshot(&simulator, WEB, "snapname=x1");
    assert_eq!(exit, "VM is locked (backup)");
    let response = as_user(&simulator, &root, "PUT", &path, "delete=lock&skiplock=1");
    assert_eq!(response.status, 200);
    let config = data(&simulator, "GET", &path, "");
    assert!(config.get("lock").is_none(), "{config}");
}

/// Without quorum, no configuration can be changed and no guest started.
#[test]
fn quorum_is_required_for_changes_and_starts() {
    let simulator = serve(|_| {});
    control(&simulator, "lose-quorum");
    let (status, reason, _) = rejection(&simulator, "PUT", &format!("{WEB}/config"), "cores=4");
    assert_eq!(status, 500);
    assert!(
        reason.starts_with("unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp.")
            && reason.ends_with("' - Permission denied"),
        "{reason}"
    );
    let config = data(&simulator, "GET", &format!("{WEB}/config"), "");
    assert!(config.get("cores").is_none(), "{config}");
    for guest in [WEB, FILES] {
        let (status, reason, _) =
            rejection(&simulator, "POST", &format!("{guest}/status/start"), "");
        assert_eq!(
            (status, reason.as_str()),
            (500, "cluster not ready - no quorum?")
        );
    }
    assert_eq!(
        task(&simulator, "POST", &format!("{WEB}/status/stop"), ""),
        "OK"
    );
}

/// A task changes a virtual machine's configuration.
#[test]
fn a_configuration_is_changed_by_a_task() {
    let simulator = serve(|_| {});
    let path = format!("{WEB}/config");
    let upid = data(&simulator, "POST", &path, "description=async&cores=2");
    let upid = upid.as_str().expect("a UPID");
    assert_eq!(upid.split(':').nth(5), Some("qmconfig"));
    assert_eq!(exit_status(&simulator, upid).as_deref(), Some("OK"));
    let log = data(
        &simulator,
        "GET",
        &format!("/nodes/pve1/tasks/{upid}/log"),
        "",
    );
    assert_eq!(
        ids(&log, "t"),
        ["TASK OK", "update VM 100: -cores 2 -description async"]
    );
    let config = data(&simulator, "GET", &path, "");
    assert_eq!(
        (&config["description"], &config["cores"]),
        (&json!("async"), &json!(2))
    );
    assert_eq!(
        task(&simulator, "POST", &path, "cores=1&digest=0"),
        "checksum mismatch (file change by other user?)"
    );
}
