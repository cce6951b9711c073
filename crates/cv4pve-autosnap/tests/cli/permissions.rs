// SPDX-License-Identifier: GPL-3.0-only
//! Privileges of tokens and users: the command that grants a missing privilege, and logins without
//! permissions.

use pve_sim::simulator::Options;
use serde_json::{Value, json};

use crate::harness::{Lab, Output};
use crate::world::{World, credentials, vm};

/// A token with fewer privileges than its user, who is an administrator.
fn separated_token(acl: &[Value]) -> Lab {
    let mut world = World::new([vm(110, "web10")]).to_json();
    world["users"] = json!([{"userid": "admin@pve"}]);
    world["tokens"] = json!([{"tokenid": "admin@pve!sep", "privsep": 1}]);
    let mut entries = vec![
        json!({"path": "/", "who": "admin@pve", "role": "Administrator"}),
        json!({"path": "/", "who": "admin@pve!sep", "role": "PVEAuditor"}),
    ];
    entries.extend_from_slice(acl);
    world["acl"] = Value::Array(entries);
    world["roles"]["Autosnap"] = world["roles"]["SnapRunner"].clone();
    let secret = "22222222-2222-4222-8222-222222222222";
    let secrets =
        json!({"passwords": {"admin@pve": "example"}, "tokens": {"admin@pve!sep": secret}});
    let lab = Lab::with(Options::new(world, secrets));
    lab.file("sep", format!("admin@pve!sep={secret}"));
    lab
}

fn run_with_separated_token(lab: &Lab, args: &str) -> Output {
    let host = format!("--host={}", lab.host());
    let own = [host.as_str(), "--api-token=file:sep", "--vmid=110"];
    lab.bare(own.into_iter().chain(args.split(' ')))
}

#[test]
fn the_suggested_pveum_command_names_the_token_and_keeps_the_privileges_of_its_user() {
    let lab = separated_token(&[]);
    let line = "pveum acl modify /vms/110 --tokens 'admin@pve!sep' --roles Autosnap";
    let snap = run_with_separated_token(&lab, "snap --label=x --keep=1");
    snap.assert_status(1)
        .assert_out(line)
        .assert_out("replaces the roles inherited from above")
        .assert_out(
            "pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'",
        );
    let check = run_with_separated_token(&lab, "check");
    check
        .assert_status(1)
        .assert_out(line)
        .assert_out("replaces the roles inherited from above");
    for output in [&snap, &check] {
        let lines = output.stdout.lines();
        let mut for_the_user = lines.filter(|line| line.contains("modify /vms/110 --users"));
        assert!(
            for_the_user.all(|line| line.contains("if the user lacks it too")),
            "{output}"
        );
    }
    let granted = json!({"path": "/vms/110", "who": "admin@pve!sep", "role": "Autosnap"});
    run_with_separated_token(&separated_token(&[granted]), "snap --label=x --keep=1")
        .assert_status(0);
}

#[test]
fn a_login_without_permissions_exits_with_1_and_a_refused_login_with_3() {
    let world = World::new([vm(100, "web01")]);
    let lab = Lab::with(Options::new(world.to_json(), credentials()));
    let host = format!("--host={}", lab.host());
    for (secret, status) in [
        ("nobody@pve!blind=77777777-7777-4777-8777-777777777777", 1),
        ("nobody@pve!blind=77777777-7777-4777-8777-000000000000", 3),
    ] {
        lab.file("login", secret);
        let args = ["--vmid=@all", "snap", "--label=daily", "--keep=1"];
        let own = [host.as_str(), "--api-token=file:login"];
        lab.bare(own.into_iter().chain(args)).assert_status(status);
    }
}
