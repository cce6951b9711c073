// SPDX-License-Identifier: GPL-3.0-only
//! `--vmid`: which guests a term selects, and the warning about a term that selects none.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::Lab;
use crate::paused_run::PausingHook;
use crate::world::{World, ct, vm};

fn lab() -> Lab {
    let world = World::new([
        vm(100, "web01").set("tags", "prod;Web"),
        vm(101, "web02").set("tags", "test;web").on("pve2"),
        vm(102, "DB-web"),
        vm(110, "mail").on("pve2"),
        ct(200, "proxy").set("tags", "prod"),
        ct(201, "nameless").with("hostname", json!(null)),
    ])
    .pool("prod", &[100, 102])
    .pool("prod/inner", &[200])
    .pool("empty", &[]);
    Lab::new(&world)
}

/// The VMIDs in the order of the plan.
fn selected(lab: &Lab, selection: &str) -> Vec<u64> {
    let output = lab.call([
        "--vmid",
        selection,
        "snap",
        "--label=x",
        "--keep=1",
        "--dry-run",
        "--output=Json",
    ]);
    let report = output.json();
    let guests = report["guests"].as_array().unwrap();
    guests
        .iter()
        .map(|guest| guest["vmid"].as_u64().unwrap())
        .collect()
}

#[test]
fn terms_select_the_documented_guests() {
    let lab = lab();
    for (selection, expected) in [
        ("100", [100].as_slice()),
        ("web-01", &[]),
        ("WEB01", &[100]),
        ("100:102", &[100, 102, 101]),
        ("@all", &[100, 102, 200, 201, 101, 110]),
        ("all", &[100, 102, 200, 201, 101, 110]),
        ("@node-PVE2", &[101, 110]),
        ("@all-pve2", &[101, 110]),
        ("all-pve2", &[101, 110]),
        ("@pool-PROD", &[100, 102, 200]),
        ("@pool-prod/inner", &[200]),
        ("@tag-WEB", &[100, 101]),
        ("web%", &[100, 101]),
        ("%web", &[102]),
        ("%web%", &[100, 102, 101]),
        (" 100 , mail ", &[100, 110]),
        ("100,100,web01", &[100]),
        ("@all,-@node-pve1,-110", &[101]),
        ("-web%,@all,-@tag-prod", &[102, 201, 110]),
        ("@pool-prod,-100", &[102, 200]),
        ("100:102,-101", &[100, 102]),
    ] {
        assert_eq!(selected(&lab, selection), expected, "{selection}");
    }
    lab.assert_unchanged();
}

#[test]
fn a_selection_may_start_with_a_hyphen_or_an_at_sign() {
    let lab = lab();
    lab.run("status --vmid @all").assert_status(0);
    lab.run("status --vmid -100,@all").assert_status(0);
    lab.run("--vmid:@tag-prod status").assert_status(0);
}

#[test]
fn terms_that_match_no_guest_are_reported_with_the_nearest_name() {
    let lab = lab();
    let output = lab.run(
        "status -oJsonl --vmid=wbe01,@node-pve9,@pool-prd,@tag-pord,999,300:310,@pool-empty,100",
    );
    assert_snapshot!(output, @r#"
    exit status 1
    --- stderr ---
    WARNING: `wbe01` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `web01`?
    WARNING: `@node-pve9` matches no guest: there is no such node; did you mean `@node-pve1`?
    WARNING: `@pool-prd` matches no guest: there is no such pool, or this login may not see it (Pool.Audit); did you mean `@pool-prod`?
    WARNING: `@tag-pord` matches no guest: no guest has this tag, or this login may not see it (VM.Audit); did you mean `@tag-prod`?
    WARNING: `999` matches no guest: no guest has this ID, or this login may not see it (VM.Audit)
    WARNING: `300:310` matches no guest: no guest has an ID in this range, or this login may not see it (VM.Audit)
    WARNING: `@pool-empty` matches no guest: there are no guests in this pool, or this login may not see them (VM.Audit)
    "#);
}

#[test]
fn an_exclusion_that_matches_no_guest_is_reported() {
    let lab = lab();
    lab.run("status --vmid=@all,-999 --debug")
        .assert_status(0)
        .assert_err("-999");
}

#[test]
fn invalid_selections_are_refused() {
    let lab = lab();
    for selection in [
        "",
        ",",
        "-100",
        "-100,-@all",
        "110:100",
        "100:",
        ":100",
        "1:2:3",
        "@",
        "@pool-",
        "@tag-",
        "@node-",
        "-",
        "100:abc",
        "%",
        "@foo",
    ] {
        let argument = format!("--vmid={selection}");
        let output = lab.call([argument.as_str(), "snap", "--label=x", "--keep=1"]);
        assert!([1, 2].contains(&output.status), "{selection}: {output}");
        assert!(!output.stderr.is_empty(), "{selection}: {output}");
    }
    lab.assert_unchanged();
    assert_snapshot!(lab.run("--vmid=-100,-@all status"), @r#"
    exit status 2
    --- stderr ---
    ERROR: --vmid=-100,-@all: invalid selection `-100,-@all`: all terms are exclusions; to exclude them from all guests write `@all,-100,-@all`
    "#);
    assert_snapshot!(lab.run("--vmid=110:100 status"), @r#"
    exit status 2
    --- stderr ---
    ERROR: --vmid=110:100: invalid range of guest IDs `110:100`: the first ID must not be greater than the last; write `100:110`
    hint: --vmid=100:110
    "#);
}

#[test]
fn a_guest_that_moves_during_the_run_gets_its_snapshot() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 snap --label=daily --keep=1");
    assert_eq!(run.reached(), "snap-job-start");
    run.resume();
    assert_eq!(run.reached(), "snap-create-pre 100");
    lab.simulator
        .world(|world| world.guests.get_mut(&100).unwrap().node = "pve2".to_owned());
    run.resume();
    run.finish().assert_status(0);
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// A keyword without `@` in other case is the name of a guest, as in the C# tool.
#[test]
fn a_bare_keyword_in_other_case_is_a_name() {
    for name in ["All", "ALL-PVE1"] {
        let lab = Lab::new(&World::new([
            vm(100, "web01").taken("daily", &[1]),
            vm(101, name).taken("daily", &[1]),
        ]));
        lab.run(&format!("--vmid={name} clean --label=daily --keep=0"))
            .assert_status(0);
        assert_eq!(lab.changes(), ["delete 101 autodaily240101000000"]);
    }
}
