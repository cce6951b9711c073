// SPDX-License-Identifier: GPL-3.0-only
//! Invalid input: one message that names what is wrong and what to do, the documented exit
//! status, and no change on any server.
//!
//! Labels and formats are in `names`, selections in `selection`, hosts and certificates in `hosts`,
//! ranges of numbers in `options`.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Lab, TOKEN};
use crate::world::{World, credentials, vm};

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2])]))
}

/// Runs the program with each line and returns its messages.
#[track_caller]
fn messages(lab: &Lab, expected_status: i32, lines: &[&str]) -> String {
    let mut errors = String::new();
    for line in lines {
        let host = format!("--host={}", lab.host());
        let output = lab.bare([host.as_str()].into_iter().chain(line.split(' ')));
        output.assert_status(expected_status);
        errors.extend(["$ ", line, "\n", output.stderr.trim_end(), "\n"]);
    }
    lab.assert_unchanged();
    errors
}

#[test]
fn missing_and_unknown_options() {
    let token = format!("--api-token={TOKEN}");
    let lab = lab();
    let lines = [
        "--vmid=100 snap --label=daily --keep=1",
        "--api-token=file:token snap --label=daily --keep=1",
        "--api-token=file:token --vmid=100 snap --keep=1",
        "--api-token=file:token --vmid=100 snap --label=daily",
        "--api-token=file:token --vmid=100 clean --label=daily",
        "--api-token=file:token --vmid=100 --label=daily --keep=1",
        "--api-token=file:token --vmid=100 snpa --label=daily --keep=1",
        "--api-token=file:token --vmid=100 snap --lable=daily --keep=1",
        "--api-token=file:token --vmid=100 snap --label=daily --keep=1 --state=maybe",
        "--api-token=file:token --vmid=100 snap --label=daily --keep",
        "--api-token=file:token --vmid=100 snap --label=daily --keep=1 --wait-locked=soon",
        "--api-token=file:token --vmid=100 status --output=Word",
        "--username=backup@pve --vmid=100 status",
        "--password=secret --vmid=100 status",
    ];
    assert_snapshot!(messages(&lab, 2, &lines).replace(&token, "<token>"), @r#"
    $ --vmid=100 snap --label=daily --keep=1
    ERROR: no login given; use --api-token=file:PATH, or --username with --password=file:PATH
    $ --api-token=file:token snap --label=daily --keep=1
    ERROR: the following required arguments were not provided:
      --vmid <GUESTS>
    hint: for example --vmid=@all, or --vmid='@pool-prod,-105' (see: cv4pve-autosnap snap --help)
    $ --api-token=file:token --vmid=100 snap --keep=1
    ERROR: the following required arguments were not provided:
      --label <LABEL>
    hint: for example --label=daily (see: cv4pve-autosnap snap --help)
    $ --api-token=file:token --vmid=100 snap --label=daily
    ERROR: snap needs --keep, the number of snapshots to keep, or keep rules
    hint: --keep=7 keeps the newest 7; rules: --keep-last=3 --keep-daily=7 --keep-weekly=4
    $ --api-token=file:token --vmid=100 clean --label=daily
    ERROR: clean needs --keep, the number of snapshots to keep
    hint: --keep=0 removes all snapshots of the label
    $ --api-token=file:token --vmid=100 --label=daily --keep=1
    ERROR: no command given; use one of snap, clean, status
    see: cv4pve-autosnap --help
    $ --api-token=file:token --vmid=100 snpa --label=daily --keep=1
    ERROR: unknown command 'snpa'
    hint: did you mean snap? see: cv4pve-autosnap --help
    $ --api-token=file:token --vmid=100 snap --lable=daily --keep=1
    ERROR: unknown option '--lable'
    hint: did you mean --label? see: cv4pve-autosnap snap --help
    $ --api-token=file:token --vmid=100 snap --label=daily --keep=1 --state=maybe
    ERROR: invalid value 'maybe' for '--state': expected true or false
    see: cv4pve-autosnap snap --help
    $ --api-token=file:token --vmid=100 snap --label=daily --keep
    ERROR: a value is required for '--keep <N>' but none was supplied
    see: cv4pve-autosnap snap --help
    $ --api-token=file:token --vmid=100 snap --label=daily --keep=1 --wait-locked=soon
    ERROR: invalid value 'soon' for '--wait-locked[=<TIME>]': invalid duration 'soon': expected e.g. 90s, 10m, 1h
    see: cv4pve-autosnap snap --help
    $ --api-token=file:token --vmid=100 status --output=Word
    ERROR: invalid value 'Word' for '--output <FORM>'
      [possible values: Text, Html, Markdown, Json, JsonPretty, Jsonl, Yaml, Csv, Plain]
    see: cv4pve-autosnap status --help
    $ --username=backup@pve --vmid=100 status
    ERROR: no password given for backup@pve, and no terminal to ask at; use --password=file:PATH, CV4PVE_PASSWORD or an API token
    $ --password=secret --vmid=100 status
    ERROR: --password needs --username
    hint: an API token needs neither: --api-token
    "#);
    assert_eq!(lab.simulator.journal().requests(), []);
}

#[test]
fn invalid_numbers_are_reported_plainly() {
    let lab = lab();
    for (option, message) in [
        ("--keep=abc", "'abc' is not a number"),
        ("--keep=", "'' is not a number"),
        ("--timeout=1.5", "invalid duration '1.5'"),
        ("--max-parallel=x", "'x' is not a number"),
        (
            "--keep=99999999999999999999",
            "'99999999999999999999' is out of range",
        ),
        ("--keep=101", "must be between 1 and 100"),
    ] {
        let output = lab.bare([
            "--host=pve1",
            "--api-token=file:token",
            "--vmid=100",
            "snap",
            "--label=daily",
            if option.starts_with("--keep") {
                "--debug"
            } else {
                "--keep=1"
            },
            option,
        ]);
        output.assert_status(2).assert_err(message);
        assert!(!output.stderr.contains("in string"), "{output}");
    }
}

#[test]
fn missing_and_malformed_hosts() {
    let lab = lab();
    for (host, named) in [
        ("", "empty"),
        (",", "empty"),
        ("pve1:port", "pve1:port"),
        ("pve1:99999", "pve1:99999"),
        ("https://pve1:8006", "without https://"),
        ("http://10.0.0.1:8006", "without http://"),
        ("pve 1", "pve 1"),
        ("[::1", "[::1"),
    ] {
        let host = format!("--host={host}");
        let output = lab.bare([
            host.as_str(),
            "--api-token=file:token",
            "--vmid=100",
            "status",
        ]);
        assert_eq!(output.status, 2, "{host}: {output}");
        output.assert_err("ERROR: ").assert_err(named);
    }
    let output = lab.bare(["--api-token=file:token", "--vmid=100", "status"]);
    output.assert_status(2).assert_err("--host <HOSTS>");
}

#[test]
fn a_script_that_cannot_be_a_hook() {
    let lab = lab();
    std::fs::create_dir(lab.folder().join("folder")).unwrap();
    let lines = ["missing.sh", "folder"].map(|script| {
        format!("--api-token=file:token --vmid=100 snap --label=daily --keep=1 --script={script}")
    });
    assert_snapshot!(messages(&lab, 2, &lines.each_ref().map(String::as_str)), @r#"
    $ --api-token=file:token --vmid=100 snap --label=daily --keep=1 --script=missing.sh
    ERROR: hook script <folder>/missing.sh does not exist
    $ --api-token=file:token --vmid=100 snap --label=daily --keep=1 --script=folder
    ERROR: hook script <folder>/folder is not a file
    "#);
    assert_eq!(lab.simulator.journal().requests(), []);
}

#[test]
fn unusable_parameter_files() {
    let lab = lab();
    lab.file("loop.conf", "--keep=1\n@inner.conf\n");
    lab.file("inner.conf", "@loop.conf\n");
    lab.file("quote.conf", "--keep=1\n--label=\"daily\n");
    lab.file("binary.conf", [0x80, 0x81, 0xff]);
    lab.file("names.conf", "@nowhere.conf\n");
    std::fs::create_dir(lab.folder().join("folder")).unwrap();
    let lines = [
        "missing",
        "loop.conf",
        "quote.conf",
        "binary.conf",
        "names.conf",
        "folder",
        "",
    ]
    .map(|file| format!("--api-token=file:token --vmid=100 snap --label=daily @{file}"));
    assert_snapshot!(messages(&lab, 2, &lines.each_ref().map(String::as_str)), @r#"
    $ --api-token=file:token --vmid=100 snap --label=daily @missing
    ERROR: parameter file missing does not exist
    $ --api-token=file:token --vmid=100 snap --label=daily @loop.conf
    ERROR: parameter file loop.conf (named in line 1 of inner.conf, named in line 2 of loop.conf) includes itself
    $ --api-token=file:token --vmid=100 snap --label=daily @quote.conf
    ERROR: parameter file quote.conf has no closing quote in line 2
    $ --api-token=file:token --vmid=100 snap --label=daily @binary.conf
    ERROR: parameter file binary.conf is not UTF-8 in line 1; save it as UTF-8
    $ --api-token=file:token --vmid=100 snap --label=daily @names.conf
    ERROR: parameter file nowhere.conf (named in line 1 of names.conf) does not exist
    $ --api-token=file:token --vmid=100 snap --label=daily @folder
    ERROR: parameter file folder cannot be read: it is a directory
    $ --api-token=file:token --vmid=100 snap --label=daily @
    ERROR: unexpected argument '@' after '--label'
    hint: the name of a parameter file is missing: @FILE (see: cv4pve-autosnap snap --help)
    "#);
    assert_eq!(lab.simulator.journal().requests(), []);
}

#[test]
fn malformed_tokens_and_secret_files() {
    let lab = lab();
    lab.file("empty", "");
    std::fs::create_dir(lab.folder().join("folder")).unwrap();
    let lines = [
        "backup@pve!auto",
        "backup!auto=22222222-2222-4222-8222-222222222222",
        "backup@pve=22222222-2222-4222-8222-222222222222",
        "backup@pve!auto:22222222-2222-4222-8222-222222222222",
        "backup@pve!auto=not-a-uuid",
        "etc/token",
        "file:missing",
        "file:empty",
        "file:folder",
        "file:",
        "",
    ]
    .map(|token| format!("--api-token={token} --vmid=100 status"));
    let errors = messages(&lab, 2, &lines.each_ref().map(String::as_str));
    for line in errors.lines().filter(|line| !line.starts_with('$')) {
        assert!(!line.contains("2222-4222"), "a secret is shown: {line}");
    }
    assert_snapshot!(errors, @r#"
    $ --api-token=backup@pve!auto --vmid=100 status
    ERROR: the API token has no secret; expected USER@REALM!TOKENID=UUID
    $ --api-token=backup!auto=22222222-2222-4222-8222-222222222222 --vmid=100 status
    ERROR: the API token has no realm, such as '@pam' or '@pve'; expected USER@REALM!TOKENID=UUID
    $ --api-token=backup@pve=22222222-2222-4222-8222-222222222222 --vmid=100 status
    ERROR: the API token has no token ID after '!'; expected USER@REALM!TOKENID=UUID
    $ --api-token=backup@pve!auto:22222222-2222-4222-8222-222222222222 --vmid=100 status
    ERROR: the API token has no secret; expected USER@REALM!TOKENID=UUID
    $ --api-token=backup@pve!auto=not-a-uuid --vmid=100 status
    ERROR: the secret of the API token is not a UUID (8-4-4-4-12 hexadecimal digits); copy it again from the output of 'pveum user token add'
    $ --api-token=etc/token --vmid=100 status
    ERROR: the API token has no secret; expected USER@REALM!TOKENID=UUID
    hint: to read the token from a file: --api-token=file:PATH
    $ --api-token=file:missing --vmid=100 status
    ERROR: secret file missing does not exist
    $ --api-token=file:empty --vmid=100 status
    ERROR: secret file empty is empty; write the secret into it, or remove it
    $ --api-token=file:folder --vmid=100 status
    ERROR: cannot read secret file folder: it is a directory
    $ --api-token=file: --vmid=100 status
    ERROR: missing path after '--api-token=file:'
    $ --api-token= --vmid=100 status
    ERROR: the API token is empty
    "#);
    assert_eq!(lab.simulator.journal().requests(), []);
}

#[test]
fn logins_that_pve_refuses() {
    let lab = lab();
    let job = "--vmid=100 snap --label=daily --keep=1";
    let lines = [
        "--username=backup@pve --password=wrong",
        "--username=unknown@pve --password=example-backup",
        "--username=backup@nowhere --password=example-backup",
        "--username=gone@pve --password=example-gone",
        "--username=expired@pve --password=example-expired",
        "--username=totp@pve --password=example-totp",
        "--api-token=backup@pve!auto=22222222-2222-4222-8222-222222222223",
        "--api-token=backup@pve!other=22222222-2222-4222-8222-222222222222",
        "--api-token=backup@pve!expired=55555555-5555-4555-8555-555555555555",
    ]
    .map(|login| format!("{login} {job}"));
    let mut errors = messages(&lab, 3, &lines.each_ref().map(String::as_str));
    errors = errors
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("WARNING"))
        .collect();
    assert_snapshot!(errors, @r#"
    $ --username=backup@pve --password=wrong --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'backup@pve' on 127.0.0.1:<port>: wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users
    $ --username=unknown@pve --password=example-backup --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'unknown@pve' on 127.0.0.1:<port>: wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users
    $ --username=backup@nowhere --password=example-backup --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'backup@nowhere' on 127.0.0.1:<port>: wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users
    $ --username=gone@pve --password=example-gone --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'gone@pve' on 127.0.0.1:<port>: wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users
    $ --username=expired@pve --password=example-expired --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'expired@pve' on 127.0.0.1:<port>: wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users
    $ --username=totp@pve --password=example-totp --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'totp@pve' on 127.0.0.1:<port>: the user needs a second factor; create an API token for it
    $ --api-token=backup@pve!auto=22222222-2222-4222-8222-222222222223 --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'backup@pve!auto' on 127.0.0.1:<port>: the API token is unknown, expired, or its secret is wrong; check it under Datacenter > Permissions > API Tokens
    $ --api-token=backup@pve!other=22222222-2222-4222-8222-222222222222 --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'backup@pve!other' on 127.0.0.1:<port>: the API token is unknown, expired, or its secret is wrong; check it under Datacenter > Permissions > API Tokens
    $ --api-token=backup@pve!expired=55555555-5555-4555-8555-555555555555 --vmid=100 snap --label=daily --keep=1
    ERROR: login failed for 'backup@pve!expired' on 127.0.0.1:<port>: the API token is unknown, expired, or its secret is wrong; check it under Datacenter > Permissions > API Tokens
    "#);
}

#[test]
fn a_login_that_sees_no_guest() {
    let lab = lab();
    let host = format!("--host={}", lab.host());
    let blind = [
        "--username=nobody@pve",
        "--password=example-nobody",
        "--vmid=100",
    ];
    let output = lab.bare([host.as_str()].into_iter().chain(blind).chain([
        "snap",
        "--label=daily",
        "--keep=1",
    ]));
    output
        .assert_status(1)
        .assert_out("----- POSSIBLE PROBLEM PERMISSION 'VM.Audit' -----")
        .assert_out("VM.Audit");
    lab.assert_unchanged();
}

#[test]
fn a_missing_privilege_is_named_with_the_line_that_grants_it() {
    let world = World::new([vm(100, "web01").taken("daily", &[1, 2])]);
    let lab = Lab::new(&world);
    lab.file(
        "look",
        "auditor@pve!look=66666666-6666-4666-8666-666666666666",
    );
    let host = format!("--host={}", lab.host());
    let mut reports = String::new();
    for command in ["snap", "clean"] {
        let output = lab.bare([
            &host,
            "--api-token=file:look",
            "--vmid=100",
            command,
            "--label=daily",
            "--keep=1",
        ]);
        output.assert_status(1);
        let steps = output
            .stdout
            .lines()
            .filter(|line| line.contains("Permission") || line.contains("hint"));
        reports.extend(steps.map(|line| format!("{line}\n")));
    }
    assert_eq!(lab.changes(), [] as [&str; 0]);
    assert_snapshot!(reports, @r#"
    Error in task: Permission check failed (/vms/100, VM.Snapshot) (403 from POST /nodes/pve1/qemu/100/snapshot)
      hint: the privilege VM.Snapshot on /vms/100 is missing; as root on a node: pveum acl modify /vms/100 --tokens 'auditor@pve!look' --roles Autosnap; if the user lacks it too, also pveum acl modify /vms/100 --users 'auditor@pve' --roles Autosnap, which alone is right for a token made with --privsep 0; on /vms/100 the entry replaces the roles inherited from above; the role is made by: pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'
    FAILED VM 100 web01 on pve1: Permission check failed (/vms/100, VM.Snapshot) (403 from POST /nodes/pve1/qemu/100/snapshot)
      hint: the privilege VM.Snapshot on /vms/100 is missing; as root on a node: pveum acl modify /vms/100 --tokens 'auditor@pve!look' --roles Autosnap; if the user lacks it too, also pveum acl modify /vms/100 --users 'auditor@pve' --roles Autosnap, which alone is right for a token made with --privsep 0; on /vms/100 the entry replaces the roles inherited from above; the role is made by: pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'
    Error in task: Permission check failed (/vms/100, VM.Snapshot) (403 from DELETE /nodes/pve1/qemu/100/snapshot/autodaily240101000000)
      hint: the privilege VM.Snapshot on /vms/100 is missing; as root on a node: pveum acl modify /vms/100 --tokens 'auditor@pve!look' --roles Autosnap; if the user lacks it too, also pveum acl modify /vms/100 --users 'auditor@pve' --roles Autosnap, which alone is right for a token made with --privsep 0; on /vms/100 the entry replaces the roles inherited from above; the role is made by: pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'
    FAILED VM 100 web01 on pve1: Permission check failed (/vms/100, VM.Snapshot) (403 from DELETE /nodes/pve1/qemu/100/snapshot/autodaily240101000000)
      hint: the privilege VM.Snapshot on /vms/100 is missing; as root on a node: pveum acl modify /vms/100 --tokens 'auditor@pve!look' --roles Autosnap; if the user lacks it too, also pveum acl modify /vms/100 --users 'auditor@pve' --roles Autosnap, which alone is right for a token made with --privsep 0; on /vms/100 the entry replaces the roles inherited from above; the role is made by: pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'
    "#);
}

#[test]
fn a_privilege_that_is_missing_for_one_guest_only_fails_that_guest() {
    let world = World::new([vm(100, "web01"), vm(101, "web02")]);
    let mut world = world.to_json();
    world["acl"] = json!([
        {"path": "/", "who": "backup@pve", "role": "PVEAuditor"},
        {"path": "/vms/101", "who": "backup@pve", "role": "SnapRunner"},
    ]);
    let lab = Lab::with(pve_sim::simulator::Options::new(world, credentials()));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("FAILED VM 100 web01 on pve1: Permission check failed (/vms/100, VM.Snapshot");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
}
