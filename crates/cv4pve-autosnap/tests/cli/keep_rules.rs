// SPDX-License-Identifier: GPL-3.0-only
//! The keep rules of Proxmox VE on `snap` and `clean`: which snapshots stay, with the reason for each.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Lab, Output};
use crate::world::{World, ct, day, name, vm};

/// Days of January 2024, which begins on a Monday: three weeks, with three days in the last one.
const DAYS: [i64; 6] = [14, 21, 28, 29, 30, 31];

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &DAYS)]))
}

fn run(lab: &Lab, args: &str) -> Output {
    lab.run(&format!("--vmid=@all --max-parallel=1 {args}"))
}

/// The days of the snapshots that a guest has, besides new ones.
fn days(lab: &Lab, vmid: u32) -> Vec<i64> {
    let names = lab.snapshots(vmid);
    let all = 1..=31;
    all.filter(|number| names.contains(&name("daily", *number)))
        .collect()
}

const RULES: &str = "--keep-daily=2 --keep-weekly=2";

#[test]
fn a_dry_run_prints_the_rules_the_reasons_and_the_totals() {
    let lab = lab();
    let output = run(&lab, &format!("snap --label=daily {RULES} --dry-run"));
    output
        .assert_status(0)
        .assert_out(
            "Keep:             keep-last=1,keep-daily=2,keep-weekly=2 (keep-last is 1 unless it is given)\n\
             Time zone:        UTC\n",
        )
        .assert_out("keep 4: 2 daily, 2 weekly; would remove 2\n");
    let begin = output.stdout.find("Remove snapshot").unwrap();
    let end = output.stdout.find("Dry run:").unwrap();
    assert_eq!(
        output.stdout[begin..end],
        *"Remove snapshot: autodaily240114000000\n  not reached by any rule\n\
          Keep snapshot: autodaily240121000000 (keep-weekly 2)\n\
          Keep snapshot: autodaily240128000000 (keep-weekly 1)\n\
          Remove snapshot: autodaily240129000000\n  same week as autodaily240131000000, keep-weekly\n\
          Keep snapshot: autodaily240130000000 (keep-daily 2)\n\
          Keep snapshot: autodaily240131000000 (keep-daily 1)\n",
        "{output}"
    );
    lab.assert_unchanged();
}

#[test]
fn a_run_removes_what_the_dry_run_shows() {
    for command in ["snap", "clean"] {
        let lab = lab();
        run(&lab, &format!("{command} --label=daily {RULES}")).assert_status(0);
        // Without a new snapshot, the newest one is that of keep-last.
        let expected: &[i64] = match command {
            "snap" => &[21, 28, 30, 31],
            _ => &[21, 28, 29, 30, 31],
        };
        assert_eq!(days(&lab, 100), expected, "{command}");
        run(&lab, &format!("clean --label=daily {RULES} --keep-last=2"))
            .assert_status(0)
            .assert_not_printed("Remove snapshot");
    }
}

#[test]
fn the_rules_can_be_written_as_in_proxmox_ve() {
    let lab = lab();
    let report = |options: &str| {
        let output = run(&lab, &format!("snap --label=daily {options} --dry-run"));
        output.assert_status(0);
        output.stdout
    };
    let expected = report(RULES);
    for options in [
        "--prune-backups=keep-daily=2,keep-weekly=2",
        "--prune-backups keep-weekly=2,keep-daily=2",
        "--prune=keep-last=1,keep-weekly=2,keep-daily=2,keep-yearly=0",
        "--keep-last=1 --keep-daily=2 --keep-weekly=2 --keep-hourly=0",
    ] {
        let given = " (keep-last is 1 unless it is given)";
        let without = |text: &str| text.replace(given, "");
        assert_eq!(without(&report(options)), without(&expected), "{options}");
    }
}

#[test]
fn a_parameter_file_sets_rules_and_the_command_line_overrides_one() {
    let lab = lab();
    lab.file(
        "job.conf",
        "--label=daily\n--keep-daily=2\n--keep-weekly=2\n",
    );
    run(&lab, "@job.conf snap --keep-daily=1 --dry-run")
        .assert_status(0)
        .assert_out("Keep:             keep-last=1,keep-daily=1,keep-weekly=2 (");
    run(&lab, "@job.conf snap --keep=3 --dry-run")
        .assert_status(0)
        .assert_out("Keep:             3\n");
    lab.file("daily.conf", "--label=daily --keep=7\n");
    run(&lab, "@daily.conf snap --keep-daily=4 --dry-run")
        .assert_status(0)
        .assert_out("Keep:             keep-last=1,keep-daily=4 (");
    // A label with the name of a rule.
    lab.file("both.conf", "--label=daily --keep=7 --keep-daily=4\n");
    run(&lab, "@both.conf snap")
        .assert_status(2)
        .assert_err("line 1 of both.conf: --keep=7 and --keep-daily exclude each other\nhint: write --keep-last=7");
    // One file serves all commands.
    run(&lab, "@job.conf status").assert_status(0);
}

#[test]
fn json_has_the_policy_and_the_reasons_of_each_snapshot() {
    let lab = lab();
    let line = format!("snap --label=daily {RULES} --output=Json");
    let json = run(&lab, &format!("{line} --dry-run")).json();
    assert_eq!(json["keep"], Value::Null);
    assert_eq!(json["policy"], "keep-last=1,keep-daily=2,keep-weekly=2");
    assert_eq!(json["timezone"], "UTC");
    assert_eq!(json["kept"]["total"], 4);
    assert_eq!(json["kept"]["daily"], 2);
    let verdicts = json["guests"][0]["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), DAYS.len());
    assert_eq!(
        verdicts[0],
        json!({"snapshot": "autodaily240131000000", "taken": "2024-01-31T00:00:00Z", "verdict": "keep",
               "reasons": ["keep-daily 1"]})
    );
    assert_eq!(verdicts[2]["verdict"], "remove");
    assert_eq!(
        verdicts[2]["reasons"],
        json!(["same week as autodaily240131000000, keep-weekly"])
    );
    // A run has the verdicts on the removed ones.
    let json = run(&lab, &line).json();
    let verdicts = json["guests"][0]["verdicts"].as_array().unwrap();
    let removed: Vec<&Value> = verdicts.iter().map(|one| &one["snapshot"]).collect();
    assert_eq!(removed, ["autodaily240129000000", "autodaily240114000000"]);
}

#[test]
fn json_of_keep_stays_a_number() {
    let lab = lab();
    let json = run(&lab, "snap --label=daily --keep=5 --dry-run --output=Json").json();
    assert_eq!(json["keep"], 5);
    assert_eq!(json["policy"], "keep-last=5");
    assert_eq!(json["kept"], Value::Null);
    let verdicts = json["guests"][0]["verdicts"].as_array().unwrap();
    assert_eq!(verdicts[0]["reasons"], json!(["2 of 5"]));
    assert_eq!(verdicts[5]["reasons"], json!(["7th newest, keep 5"]));
}

#[test]
fn an_invalid_combination_says_what_to_write_instead() {
    let lab = lab();
    for (options, error, hint) in [
        (
            "--keep=7 --keep-daily=4",
            "--keep=7 and --keep-daily exclude each other",
            "hint: write --keep-last=7 instead of --keep=7",
        ),
        (
            "--keep=7 --keep-last=3",
            "--keep=7 and --keep-last exclude each other",
            "hint: leave out --keep=7: --keep-last says how many of the newest stay",
        ),
        (
            "--keep=7 --prune-backups=keep-daily=3",
            "--keep=7 and --prune-backups exclude each other",
            "hint: write keep-last=7 in the value of --prune-backups instead of --keep=7",
        ),
        (
            "--keep=7 --min-age=2h",
            "--keep=7 and --min-age exclude each other",
            "hint: write --keep-last=7 instead of --keep=7",
        ),
        (
            "--keep=7 --keep-all",
            "--keep=7 and --keep-all exclude each other",
            "hint: write only one of --keep=7 and --keep-all",
        ),
        (
            "--prune-backups=keep-last=3 --keep-daily=4",
            "--prune-backups and --keep-daily exclude each other",
            "hint: write keep-daily=N in the value of --prune-backups",
        ),
        (
            "--keep-all --keep-daily=4",
            "--keep-all and --keep-daily",
            "",
        ),
        ("--keep-min=2", "snap needs --keep", "hint: --keep=7 keeps"),
        (
            "--prune-backups=keep-dayly=3",
            "did you mean keep-daily?",
            "",
        ),
        (
            "--keep-daily=-1",
            "invalid value '-1' for '--keep-daily <N>'",
            "",
        ),
        ("--keep-within=1y", "invalid age '1y'", ""),
        (
            "--keep-within=7",
            "a unit is missing; write 7d for days, or 7h for hours",
            "",
        ),
        (
            "--prune-backups=last=3;daily=7",
            "unknown keep rule 'last'",
            "hint: --prune-backups=keep-last=3,keep-daily=7",
        ),
        (
            "--keep=7 --compare=keep-last=3",
            "'snap' does not use '--compare'",
            "hint: plan --compare=RULES shows",
        ),
        (
            "--keep-last=1 --timezone=Europe/Wien",
            "unknown time zone 'Europe/Wien'",
            "",
        ),
        ("--keep-last=1 --adopt-labels=a/b", "--adopt-labels", ""),
    ] {
        let output = run(&lab, &format!("snap --label=daily {options}"));
        output.assert_status(2).assert_err(error).assert_err(hint);
    }
    run(&lab, "plan --label=daily")
        .assert_status(2)
        .assert_err("plan needs --keep");
    run(&lab, "plan --label=daily --keep=7 --compare=3")
        .assert_status(2)
        .assert_err("hint: --compare=keep-last=3");
    // `check` reports the same as a problem of the job.
    run(&lab, "check --label=daily --keep=7 --keep-daily=4")
        .assert_status(1)
        .assert_out("--keep=7 and --keep-daily exclude each other");
    run(&lab, &format!("check --label=daily {RULES}")).assert_status(0);
}

#[test]
fn nothing_is_removed_with_keep_all_or_with_all_rules_off() {
    let lab = lab();
    run(&lab, "snap --label=daily --keep-all").assert_status(0);
    run(&lab, "clean --label=daily --keep-daily=0")
        .assert_status(0)
        .assert_out("WARNING: all keep rules are 0, which keeps all snapshots");
    assert_eq!(days(&lab, 100), DAYS);
    run(&lab, "snap --label=daily --keep-all --dry-run")
        .assert_status(0)
        .assert_out("Keep:             keep-all=1\n")
        .assert_out("Keep snapshot: autodaily240114000000 (keep-all)\n");
}

#[test]
fn guards_hold_snapshots_that_the_rules_would_remove() {
    let lab = lab();
    run(
        &lab,
        "clean --label=daily --keep-daily=1 --keep-min=4 --dry-run",
    )
    .assert_status(0)
    .assert_out("Keep snapshot: autodaily240128000000 (needed for keep-min)\n")
    .assert_out("keep 4: 1 last, 1 daily, 2 by guards; would remove 2\n");
    run(&lab, "clean --label=daily --keep-within=5200w --dry-run")
        .assert_status(0)
        .assert_out("Keep snapshot: autodaily240114000000 (keep-within)\n");
    run(&lab, "clean --label=daily --keep-within=7d").assert_status(0);
    assert_eq!(days(&lab, 100), [31]);
}

#[test]
fn a_snapshot_of_the_last_hour_is_not_removed_by_rules() {
    let taken = |minutes: i64| Timestamp::now() - SignedDuration::from_mins(minutes);
    let guest = [30, 20]
        .map(taken)
        .iter()
        .fold(vm(100, "web01"), |guest, time| {
            let name = time.strftime("autodaily%y%m%d%H%M%S").to_string();
            guest.snapshot(&name, time.as_second(), "cv4pve-autosnap")
        });
    let lab = Lab::new(&World::new([guest]));
    run(&lab, "clean --label=daily --keep-last=1")
        .assert_status(0)
        .assert_not_printed("Remove snapshot");
    run(&lab, "clean --label=daily --keep-last=1 --dry-run")
        .assert_out("(keep-last 1, younger than min-age)\n")
        .assert_out("(younger than min-age)\n");
    assert_eq!(lab.snapshots(100).len(), 2);
    run(&lab, "clean --label=daily --keep-last=1 --min-age=25m").assert_status(0);
    assert_eq!(lab.snapshots(100).len(), 1);
}

#[test]
fn days_are_those_of_the_time_zone() {
    let late = |number: i64, hour: i64| day(number) + hour * 3600 + 1800;
    let world = World::new([vm(100, "web01")
        .snapshot("autodaily240105223000", late(5, 22), "cv4pve-autosnap")
        .snapshot("autodaily240105233000", late(5, 23), "cv4pve-autosnap")]);
    let lab = Lab::new(&world);
    let line = "clean --label=daily --keep-last=0 --keep-daily=2";
    run(&lab, &format!("{line} --timezone=Europe/Berlin"))
        .assert_status(0)
        .assert_out("Time zone:        Europe/Berlin\n")
        .assert_not_printed("Remove snapshot");
    let json = run(
        &lab,
        &format!("{line} --timezone=Europe/Berlin --output=Json"),
    )
    .json();
    assert_eq!(json["timezone"], "Europe/Berlin");
    run(&lab, line)
        .assert_status(0)
        .assert_out("Remove snapshot: autodaily240105223000\n");
}

#[test]
fn the_limit_of_removals_holds_with_rules() {
    let january: Vec<i64> = (1..=31).collect();
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &january)]));
    let line = "clean --label=daily --keep-daily=4";
    run(&lab, line).assert_status(0).assert_out(
        "6 snapshots are left to the next runs, because a run removes at most 20 of a guest (VM 100: 6)",
    );
    assert!(days(&lab, 100).into_iter().eq(21..=31));
    run(&lab, line)
        .assert_status(0)
        .assert_not_printed("left to the next");
    // keep-last holds the 31st, keep-daily four more days.
    assert!(days(&lab, 100).into_iter().eq(27..=31));
}

#[test]
fn hooks_get_the_rules_as_one_text() {
    let lab = lab();
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE '$CV4PVE_AUTOSNAP_KEEP' '$CV4PVE_AUTOSNAP_POLICY'\"\n",
    );
    run(&lab, &format!("snap --label=daily {RULES} --script=hook.sh"))
        .assert_status(0)
        .assert_out(
            "snap-create-pre 'keep-last=1,keep-daily=2,keep-weekly=2' 'keep-last=1,keep-daily=2,keep-weekly=2'\n",
        );
    run(&lab, "snap --label=daily --keep=3 --script=hook.sh")
        .assert_status(0)
        .assert_out("snap-job-start '3' 'keep-last=3'\n");
}

/// The requests of a run, without IDs that differ. A list is read again if the machine is slow, so that each list counts
/// once.
fn requests(options: &str) -> Vec<String> {
    let lab = Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[28, 29, 30, 31]),
        ct(200, "proxy").taken("daily", &[28, 29, 30, 31]),
    ]));
    run(&lab, &format!("snap --label=daily {options}")).assert_status(0);
    assert_eq!(days(&lab, 100), [30, 31], "{options}");
    let requests = lab.simulator.journal().requests();
    let mut paths: Vec<String> = requests
        .iter()
        .filter(|request| !request.path.contains("/tasks"))
        .map(|request| format!("{} {}", request.method, request.path))
        .map(|request| lab.normalized(request.as_bytes()))
        .collect();
    paths.sort_unstable();
    paths.dedup_by(|one, other| {
        one == other && one.starts_with("GET ") && one.ends_with("/snapshot")
    });
    paths
}

#[test]
fn rules_need_no_more_requests_than_keep() {
    assert_eq!(requests("--keep-daily=2"), requests("--keep=3"));
}
