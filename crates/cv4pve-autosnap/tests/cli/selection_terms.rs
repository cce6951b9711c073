// SPDX-License-Identifier: GPL-3.0-only
//! `--vmid`: terms that cannot match, keywords in other case, nested pools, and the order of the
//! guests.

use serde_json::json;

use crate::harness::Lab;
use crate::world::{World, ct, vm};

fn lab() -> Lab {
    let world = World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02").taken("daily", &[1, 2]).on("pve2"),
        vm(102, "db01").taken("daily", &[1, 2]),
        ct(105, "dns").taken("daily", &[1, 2]),
        ct(200, "proxy").taken("daily", &[1, 2]).on("pve2"),
    ])
    .pool("prod", &[100, 102])
    .pool("prod/inner", &[105])
    .pool("prod/inner/deep", &[200]);
    Lab::new(&world)
}

/// The guests that got a snapshot, in the order of the requests.
fn created(lab: &Lab) -> Vec<String> {
    let changes = lab.changes().into_iter();
    changes
        .filter_map(|change| {
            Some(
                change
                    .strip_prefix("create ")?
                    .split_once(' ')?
                    .0
                    .to_owned(),
            )
        })
        .collect()
}

const SNAP: &str = "snap --label=new --keep=1 --max-parallel=1";

#[test]
fn empty_terms_are_ignored_by_all_commands() {
    for selection in ["100,101,", "100,,101", ",100, ,101"] {
        let lab = lab();
        let vmid = format!("--vmid={selection}");
        lab.call([&vmid, "snap", "--label=new", "--keep=1"])
            .assert_status(0)
            .assert_not_printed("WARNING");
        assert_eq!(created(&lab).len(), 2, "{selection}");
        lab.call([&vmid, "status", "--output=Json"])
            .assert_status(0);
        lab.call([&vmid, "clean", "--label=new", "--keep=0"])
            .assert_status(0);
        assert_eq!(lab.changes().len(), 4, "{selection}");
    }
}

/// An invalid term is reported, and the guests of the other terms are worked on.
#[test]
fn an_invalid_term_does_not_stop_the_others() {
    for (term, message) in [
        ("99", "invalid guest ID `99`"),
        (
            "110:105",
            "invalid range of guest IDs `110:105`: the first ID must not be greater than the last; write `105:110`",
        ),
        ("@storage-x", "invalid group `@storage-x`"),
        ("@word", "invalid group `@word`"),
        ("web*", "invalid term `web*`: `*` is not a wildcard"),
        (
            "101;102",
            "invalid term `101;102`: terms must be separated by commas (`,`), not `;`; write `101,102`",
        ),
    ] {
        let lab = lab();
        let vmid = format!("--vmid=100,{term}");
        let warning = format!("WARNING: {message}");
        lab.call([&vmid, "snap", "--label=new", "--keep=1"])
            .assert_status(1)
            .assert_out(&warning);
        assert_eq!(created(&lab), ["100"], "{term}");
        let status = lab.call([&vmid, "status", "--output=Json"]);
        status.assert_status(1).assert_err(&warning);
        assert_eq!(status.json().as_array().unwrap().len(), 3, "{term}");
        lab.call([&vmid, "check", "--label=new", "--keep=1"])
            .assert_status(1)
            .assert_out(message);
        // `clean` refuses it before anything is done: not even the hook is called.
        lab.script("hook.sh", "#!/bin/sh\necho called >>calls\n");
        lab.call([
            &vmid,
            "clean",
            "--label=daily",
            "--keep=0",
            "--script=hook.sh",
        ])
        .assert_status(2)
        .assert_err(&format!("ERROR: {vmid}: {message}"));
        assert_eq!(lab.changes().len(), 1, "{term}");
        assert!(!lab.folder().join("calls").exists());
    }
}

/// Invalid exclusions, terms that the C# tool reads as all guests (`%`, `@tag-`), and selections
/// without a valid term are refused before anything is done.
#[test]
fn invalid_exclusions_and_selections_without_a_valid_term_are_refused() {
    let lab = lab();
    for selection in [
        "@all,-99",
        "@all,-110:105",
        "@all,-@storage-x",
        "@all,-@pol-prod",
        "@all,-web*",
        "@all,!105",
        "@all,–105",
        "@all,—105",
        "@all,web01;-105",
        "@all,web01，-105",
        "@all,not 105",
        "100,%",
        "100,w%b",
        "100,@tag-",
        "99",
        "99,@word",
        "99,-100",
        "@storage-x",
        "-,-100",
        ",,",
    ] {
        let vmid = format!("--vmid={selection}");
        for command in [
            "snap --label=new --keep=1",
            "status",
            "clean --label=daily --keep=0",
        ] {
            let output = lab.call([vmid.as_str()].into_iter().chain(command.split(' ')));
            output
                .assert_status(2)
                .assert_err(&format!("ERROR: {vmid}: "));
        }
    }
    lab.assert_unchanged();
}

/// A `-` alone excludes no guest, as in the C# tool; `clean` refuses it.
#[test]
fn an_empty_exclusion_is_a_warning_and_refused_by_clean() {
    let lab = lab();
    let message = "invalid selection `100,-`: a `-` must be followed by the term to exclude; add the term or remove the `-`";
    lab.run("--vmid=100,- snap --label=new --keep=1")
        .assert_status(0)
        .assert_out(&format!("WARNING: {message}"));
    lab.run("--vmid=100,- status").assert_status(0);
    lab.run("--vmid=100,- clean --label=daily --keep=0")
        .assert_status(2)
        .assert_err(&format!("ERROR: --vmid=100,-: {message}"));
    assert_eq!(created(&lab), ["100"]);
    assert_eq!(lab.changes().len(), 1);
}

/// A selection in another syntax is refused with a hint that can be pasted.
#[test]
fn the_hint_has_the_correct_option() {
    let lab = lab();
    for (selection, hint) in [
        ("100;101", "--vmid=100,101"),
        ("100 101", "--vmid=100,101"),
        ("*", "--vmid=@all"),
        ("web*", "--vmid=web%"),
        ("@all,!105", "--vmid=@all,-105"),
        ("!105,@all", "--vmid='-105,@all'"),
        ("@all,–105", "--vmid=@all,-105"),
        ("“@all”", "--vmid=@all"),
        ("\"@all\"", "--vmid=@all"),
        ("100，101", "--vmid=100,101"),
        ("＠all", "--vmid=@all"),
        ("@al", "--vmid=@all"),
        ("110:105", "--vmid=105:110"),
    ] {
        let vmid = format!("--vmid={selection}");
        let output = lab.call([vmid.as_str(), "snap", "--label=new", "--keep=1"]);
        output
            .assert_status(2)
            .assert_err(&format!("hint: {hint}\n"));
    }
    // It is ambiguous whether 101 is to be excluded, so there is no hint.
    lab.call(["--vmid=@all,-100;101", "snap", "--label=new", "--keep=1"])
        .assert_status(2)
        .assert_not_printed("hint:");
    lab.assert_unchanged();
}

/// `@ALL` and `@Pool-x` are keywords for `snap` and `status`. They match no guest in the C# tool,
/// so `clean` refuses them.
#[test]
fn keywords_in_other_case_are_refused_by_clean() {
    for (term, correction, guests) in [
        ("@ALL", "@all", 5),
        ("@Pool-Prod", "@pool-Prod", 4),
        ("@Node-PVE2", "@node-PVE2", 2),
    ] {
        let lab = lab();
        let status = lab.run(&format!("--vmid={term} status --output=Json"));
        assert_eq!(
            status.assert_status(0).json().as_array().unwrap().len(),
            guests * 2
        );
        for selection in [term.to_owned(), format!("100,-{term}")] {
            lab.run(&format!("--vmid={selection} clean --label=daily --keep=0"))
                .assert_status(2)
                .assert_err(
                    "selects no guest in the C# tool, where keywords must be in lower case: write",
                )
                .assert_err(correction)
                .assert_err("hint: --vmid=");
        }
        lab.assert_unchanged();
        lab.run(&format!("--vmid={term} {SNAP}")).assert_status(0);
        assert_eq!(created(&lab).len(), guests);
    }
}

/// Pools nested in a selected pool are reported, with their numbers of guests.
#[test]
fn nested_pools_are_reported() {
    let lab = lab();
    let line = "\n@pool-prod: with prod/inner (1), prod/inner/deep (1)\n";
    for command in [
        "snap --label=new --keep=1 --dry-run",
        "snap --label=new --keep=1",
        "clean --label=daily --keep=2",
        "clean --label=daily --keep=1 --dry-run",
    ] {
        let output = lab.run(&format!("--vmid=@pool-prod {command}"));
        output.assert_status(0).assert_out(line);
        let output = lab.run(&format!("--vmid=@pool-prod {command} --output=Json"));
        let expected = json!([
            {"term": "@pool-prod", "pool": "prod/inner", "guests": 1},
            {"term": "@pool-prod", "pool": "prod/inner/deep", "guests": 1},
        ]);
        assert_eq!(output.json()["nested_pools"], expected, "{command}");
    }
    lab.run("--vmid=@pool-prod,-200 snap --label=new --keep=1 --dry-run")
        .assert_out("\n@pool-prod: with prod/inner (1)\n");
    lab.run("--vmid=@pool-prod,-@pool-prod/inner snap --label=new --keep=1 --dry-run")
        .assert_not_printed(": with ");
    // In an unattended run `status` writes nothing to stderr.
    lab.run("--vmid=@pool-prod status")
        .assert_status(0)
        .assert_not_printed(": with ");
    lab.run("--vmid=@pool-prod status --debug")
        .assert_status(0)
        .assert_err("@pool-prod: with prod/inner (1), prod/inner/deep (1)\n");
}

/// One at a time, guests are worked on in the order of the terms, within a term by node and VMID,
/// each once.
#[test]
fn one_at_a_time_keeps_the_order_of_the_terms() {
    for (selection, order) in [
        ("200,105,100", ["200", "105", "100"].as_slice()),
        ("web02,@pool-prod,102", &["101", "100", "102", "105", "200"]),
        ("105,@all,-100", &["105", "102", "101", "200"]),
        ("-100,%0%,200,100:102", &["102", "101", "200"]),
    ] {
        let lab = lab();
        let dry = lab.run(&format!(
            "--vmid={selection} {SNAP} --dry-run --output=Json"
        ));
        let plan = dry.json()["guests"].as_array().unwrap().clone();
        let plan: Vec<String> = plan.iter().map(|guest| guest["vmid"].to_string()).collect();
        assert_eq!(plan, order, "{selection}");
        lab.run(&format!("--vmid={selection} {SNAP}"))
            .assert_status(0);
        assert_eq!(created(&lab), order, "{selection}");
    }
}

/// A selection without guests is a failure, unless `--allow-empty` is set.
#[test]
fn an_empty_selection_is_a_success_with_allow_empty() {
    let lab = lab();
    for selection in ["@tag-none", "300:310", "zzz%", "@tag-none,-100", "100,-100"] {
        for command in ["snap --label=new --keep=1", "clean --label=daily --keep=1"] {
            let line = format!("--vmid={selection} {command}");
            lab.run(&line)
                .assert_status(1)
                .assert_out(&format!("----- VMs with '{selection}' NOT FOUND -----"));
            let allowed = lab.run(&format!("{line} --allow-empty"));
            allowed
                .assert_status(0)
                .assert_out(&format!(
                    "No guest is selected by '{selection}' (--allow-empty)"
                ))
                .assert_not_printed("NOT FOUND");
            assert_eq!(allowed.stderr, "", "{line}");
            lab.run(&format!("{line} --allow-empty --dry-run"))
                .assert_status(0);
        }
        // As in the C# tool, `status` without guests succeeds.
        lab.run(&format!("--vmid={selection} status"))
            .assert_status(0);
        let check = format!("--vmid={selection} check --label=new --keep=1");
        lab.run(&check).assert_status(1);
        lab.run(&format!("{check} --allow-empty")).assert_status(0);
    }
    lab.assert_unchanged();
}

/// `--allow-empty` does not apply if a named guest, pool or node is missing, or if the listing may
/// be incomplete.
#[test]
fn an_uncertain_empty_selection_is_a_failure_with_allow_empty() {
    let line = "snap --label=new --keep=1 --allow-empty";
    let lab = lab();
    for selection in ["999", "web09", "@pool-none", "@node-none", "@tag-none,99"] {
        lab.run(&format!("--vmid={selection} {line}"))
            .assert_status(1);
    }
    let blind = World::new([vm(100, "web01")]).to_json();
    let mut blind = blind;
    blind["roles"]["SnapRunner"] = json!(["VM.Snapshot"]);
    let offline = World::new([vm(100, "web01"), vm(101, "web02").on("pve3")]).offline_node("pve3");
    for (world, reason) in [
        (blind, "this login sees no guest (VM.Audit)"),
        (offline.to_json(), "node pve3 is offline"),
    ] {
        let lab = Lab::with(pve_sim::simulator::Options::new(
            world,
            crate::world::credentials(),
        ));
        for command in [line.to_owned(), format!("check {line}")] {
            let command = command.replace("check snap", "check");
            lab.run(&format!("--vmid=@tag-none {command}"))
                .assert_status(1)
                .assert_out(&format!(
                    "--allow-empty does not apply: it is not certain that no guest is meant, because {reason}"
                ));
        }
        lab.assert_unchanged();
    }
}

/// Guests with snapshots of three labels.
fn labelled() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01")
            .taken("daily", &[1, 2])
            .taken("weekly", &[3]),
        vm(101, "web02").taken("daily", &[1]),
        vm(102, "empty"),
    ]))
}

/// If no guest has the label, `clean` and `status` list the labels that exist.
#[test]
fn the_warning_about_a_missing_label_lists_the_existing_ones() {
    let lab = labelled();
    let warning = "WARNING: no snapshot of the selected guests has label dayly; the labels there are: daily (3), weekly (1); \
                   did you mean daily?";
    lab.run("--vmid=@all clean --label=dayly --keep=0")
        .assert_status(0)
        .assert_out(warning);
    // `status` prints the warning only with `--debug` or if stderr is a terminal.
    lab.run("--vmid=@all status --label=dayly --debug")
        .assert_status(0)
        .assert_err(warning);
    lab.run("--vmid=@all check --for=clean --label=dayly --keep=0")
        .assert_status(0)
        .assert_out(warning.strip_prefix("WARNING: ").unwrap());
    lab.assert_unchanged();
    for (selection, label) in [("@all", "daily"), ("@all", "weekly"), ("102", "dayly")] {
        let selection = format!("--vmid={selection}");
        lab.run(&format!("{selection} clean --label={label} --keep=9"))
            .assert_status(0)
            .assert_not_printed("WARNING");
        lab.run(&format!("{selection} status --label={label}"))
            .assert_status(0)
            .assert_not_printed("WARNING");
    }
}

/// The first run of a label prints no warning, unless an existing label differs in one letter only.
#[test]
fn snap_warns_of_a_new_label_that_is_similar_to_another_one() {
    let lab = labelled();
    let warning = "WARNING: label dayly is new to the selected guests, which have 3 snapshots of label daily: is it a typo?";
    for label in ["monthly", "daily2", "daily"] {
        lab.run(&format!("--vmid=@all snap --label={label} --keep=9"))
            .assert_status(0)
            .assert_not_printed("is it a typo");
    }
    let lab = labelled();
    let line = "--vmid=@all snap --label=dayly --keep=9";
    lab.run(line).assert_status(0).assert_out(warning);
    // Now the label has snapshots.
    lab.run(&format!("{line} --dry-run"))
        .assert_status(0)
        .assert_not_printed("is it a typo");
}

/// `status` prints only the header for guests without snapshots, and nothing if no guest is
/// selected.
#[test]
fn status_of_guests_without_snapshots_prints_the_header() {
    let lab = labelled();
    let output = lab.run("--vmid=102 status");
    output.assert_status(0).assert_out("NODE");
    for column in ["VM", "TIME", "PARENT", "NAME", "DESCRIPTION", "VM STATUS"] {
        output.assert_out(column);
    }
    assert_eq!(output.stdout.matches("NODE").count(), 1);
    assert!(!output.stdout.contains("pve1"), "{output}");
    assert_eq!(
        lab.run("--vmid=@tag-none status").assert_status(0).stdout,
        ""
    );
    assert_eq!(
        lab.run("--vmid=@tag-none status --output=Json").stdout,
        "[]\n"
    );
}
