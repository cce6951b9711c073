// SPDX-License-Identifier: GPL-3.0-only
//! `simulate` needs no cluster; it prints a calendar, JSON or a page.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{program, run};

/// A simulation of fixed days in Berlin, with more options.
fn simulate(options: &[&str]) -> (i32, String, String) {
    let fixed = ["--start=2026-06-01", "--timezone=Europe/Berlin"];
    run(program().arg("simulate").args(fixed).args(options))
}

fn json(options: &[&str]) -> Value {
    let (status, stdout, stderr) = simulate(&[options, &["--output=Json"]].concat());
    assert_eq!(status, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn a_calendar_of_weeks_shows_what_holds_each_snapshot() {
    let rules = "keep-last=3,keep-daily=7,keep-weekly=4,keep-yearly=2";
    let (status, stdout, stderr) = simulate(&[rules, "--schedule=hourly", "--for=26w"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert_eq!(stdout, CALENDAR);
    assert!(stdout.lines().skip(1).all(|line| line.len() <= 80));
}

const CALENDAR: &str = "\
hourly with keep-last=3,keep-daily=7,keep-weekly=4,keep-yearly=2 in Europe/Berlin
4369 runs from 2026-06-01 00:00 to 2026-11-29 23:00
14 snapshots held at the end; at most 14 after a run, 15 during a run

        Mon      Tue      Wed      Thu      Fri      Sat      Sun
2026
Nov 23  23       24       25       26       27       28       29
        23:00 d6 23:00 d5 23:00 d4 23:00 d3 23:00 d2 23:00 d1 23:00 l1
                                                              22:00 l2
                                                              21:00 l3
Nov 16  16       17       18       19       20       21       22
                                                              23:00 d7
Nov 09  9        10       11       12       13       14       15
                                                              23:00 w1
Nov 02  2        3        4        5        6        7        8
                                                              23:00 w2
Oct 26  26       27       28       29       30       31       1
                                                              23:00 w3
Oct 19  19       20       21       22       23       24       25
                                                              23:00 w4

l  keep-last     3 of 3
d  keep-daily    7 of 7
w  keep-weekly   4 of 4
y  keep-yearly   at most 0 of 2, never filled
";

#[test]
fn a_narrow_terminal_gets_a_list() {
    let options = ["keep-daily=3", "--schedule=daily", "--for=4w"];
    let mut command = program();
    command.args(["simulate", "--start=2026-06-01", "--timezone=UTC"]);
    let (status, stdout, _) = run(command.args(options).env("COLUMNS", "40"));
    assert_eq!(status, 0);
    let list: Vec<&str> = stdout.lines().skip(4).take(4).collect();
    assert_eq!(
        list,
        [
            "Sun 2026-06-28  00:00 l1",
            "Sat 2026-06-27  00:00 d1",
            "Fri 2026-06-26  00:00 d2",
            "Thu 2026-06-25  00:00 d3",
        ]
    );
}

#[test]
fn many_snapshots_of_a_day_and_weeks_without_any_are_short() {
    let rules = "keep-hourly=24,keep-monthly=2";
    let (status, stdout, _) = simulate(&[rules, "--schedule=*/15", "--for=12w"]);
    assert_eq!(status, 0);
    for part in [
        "Sun\n2026\nAug 17  17",
        "23:45 h24 23:45 l1\n",
        // Held by the default of --min-age.
        " 23:00 g\n",
        " h1..23\n",
        "  ... 2 weeks without snapshots\nJul 27  27",
        "m  keep-monthly  2 of 2\n",
        "g  keep-within, min-age or keep-min  3\n",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[test]
fn a_terminal_gets_colors_unless_they_are_switched_off() {
    use std::process::Command;

    let program = env!("CARGO_BIN_EXE_cv4pve-autosnap");
    let line = format!("{program} simulate keep-daily=2 --schedule=daily --for=2w");
    let on_terminal = |variables: &[(&str, &str)]| {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        script.env_remove("NO_COLOR").env("TERM", "xterm");
        let output = script.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(on_terminal(&[]).contains("\u{1b}[36m00:00 d1\u{1b}[0m"));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!on_terminal(&[variable]).contains('\u{1b}'), "{variable:?}");
    }
}

#[test]
fn json_has_each_snapshot_with_its_rule() {
    let document = json(&["keep-last=2,keep-daily=2", "--schedule=0/6:0", "--for=2w"]);
    assert_eq!(document["version"], 1);
    assert_eq!(document["schedule"], "0/6:0");
    assert_eq!(document["policy"], "keep-last=2,keep-daily=2");
    assert_eq!(document["timezone"], "Europe/Berlin");
    assert_eq!(document["runs"], 56);
    assert_eq!(
        (&document["most"], &document["most_during_run"]),
        (&4.into(), &5.into())
    );
    let held: Vec<(&str, &str)> = document["held"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| {
            (
                held["time"].as_str().unwrap(),
                held["rule"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        held,
        [
            ("2026-06-14T18:00:00+02:00", "keep-last"),
            ("2026-06-14T12:00:00+02:00", "keep-last"),
            ("2026-06-13T18:00:00+02:00", "keep-daily"),
            ("2026-06-12T18:00:00+02:00", "keep-daily"),
        ]
    );
    let rules = document["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["filled"] == true), "{rules:?}");
}

#[test]
fn rules_that_never_fill_are_reported() {
    let options = ["keep-daily=3,keep-yearly=2", "--schedule=daily", "--for=8w"];
    let (_, stdout, _) = simulate(&options);
    assert!(
        stdout.contains("keep-yearly   at most 0 of 2, never filled\n"),
        "{stdout}"
    );
    let document = json(&options);
    let yearly = &document["rules"][2];
    assert_eq!(
        (&yearly["rule"], &yearly["most"], &yearly["filled"]),
        (&"keep-yearly".into(), &0.into(), &false.into())
    );
}

#[test]
fn the_page_is_one_file_without_scripts() {
    let (status, page, stderr) = simulate(&[
        "keep-daily=7",
        "--schedule=22:00",
        "--for=8w",
        "--output=page",
    ]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(
        page.starts_with("<!DOCTYPE html><html lang=\"en\">"),
        "{page}"
    );
    for absent in ["<script", "http:", "https:", "src=", "url(", "@import"] {
        assert!(!page.contains(absent), "{absent}");
    }
    for part in [
        "prefers-color-scheme: dark",
        "@media print",
        "22:00 d7",
        "<th scope=\"col\">Monday</th>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn the_options_are_those_of_snap() {
    let rules = json(&[
        "--keep-last=2",
        "--keep-daily=2",
        "--schedule=0/6:0",
        "--for=2w",
    ]);
    let option = json(&[
        "--prune-backups=keep-last=2,keep-daily=2",
        "--schedule=0/6:0",
        "--for=2w",
    ]);
    assert_eq!(rules["held"], option["held"]);
    assert_eq!(
        json(&["--keep=3", "--schedule=daily", "--for=2w"])["most"],
        3
    );
    let within = json(&[
        "keep-last=1",
        "--keep-within=12h",
        "--schedule=hourly",
        "--for=3d",
    ]);
    assert_eq!(within["most"], 12);
    let (status, _, stderr) = simulate(&["--keep-all", "--schedule=daily", "--for=2w"]);
    assert_eq!(status, 0);
    assert!(
        stderr.contains("WARNING: no rule removes a snapshot"),
        "{stderr}"
    );
}

#[test]
fn the_rules_of_a_parameter_file_are_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daily.conf");
    std::fs::write(
        &file,
        "--host=h\n--api-token=a@pve!b=c\n--vmid=@all\n--label=daily\n--keep=7\n",
    )
    .unwrap();
    let file = format!("@{}", file.display());
    let fixed = [
        "simulate",
        "--schedule=daily",
        "--start=2026-06-01",
        "--for=4w",
        "--output=Json",
    ];
    let held = |more: &[&str]| {
        let (status, stdout, stderr) = run(program().arg(&file).args(fixed).args(more));
        assert_eq!((status, stderr.as_str()), (0, ""));
        let document: Value = serde_json::from_str(&stdout).unwrap();
        document["held"].as_array().unwrap().len()
    };
    assert_eq!(held(&[]), 7);
    assert_eq!(held(&["keep-last=2,keep-weekly=3"]), 5);
}

#[test]
fn wrong_values_are_usage_errors() {
    for (options, expected) in [
        (&["keep-daily=7"][..], "--schedule"),
        (&["keep-daily=7"], "hint: for example --schedule=hourly"),
        (
            &["keep-last=3, keep-daily=7", "--schedule=daily"],
            "hint: simulate keep-last=3,keep-daily=7 --schedule=...",
        ),
        (&["--schedule=daily"], "simulate needs keep rules"),
        (
            &["keep-dayly=7", "--schedule=daily"],
            "unknown keep rule 'keep-dayly'",
        ),
        (
            &["keep-daily=7", "--schedule=mon, tue 3:00"],
            "write `mon,tue 3:00`",
        ),
        (
            &["keep-daily=7", "--schedule=daily", "--for=26"],
            "expected e.g. 90d, 26w, 6mo, 3y",
        ),
        (
            &["keep-daily=7", "--schedule=daily", "--for=9999y"],
            "the simulated time is too long",
        ),
        (
            &["keep-daily=7", "--schedule=02-30"],
            "the schedule `02-30` has no run",
        ),
        (
            &["keep-last=99999", "--schedule=minutely", "--for=3y"],
            "choose a shorter --for",
        ),
    ] {
        let (status, stdout, stderr) = simulate(options);
        assert_eq!((status, stdout.as_str()), (2, ""), "{options:?}: {stderr}");
        assert!(
            stderr.starts_with("ERROR: ") && stderr.contains(expected),
            "{options:?}: {stderr}"
        );
    }
}

#[test]
fn a_start_is_a_date_or_a_date_and_time() {
    let first_run = |start: &str| {
        let start = format!("--start={start}");
        let options = [
            "simulate",
            "keep-last=1",
            "--schedule=hourly",
            "--for=1d",
            "--timezone=Europe/Berlin",
        ];
        let (status, stdout, stderr) = run(program().args(options).args([&start, "--output=Json"]));
        match serde_json::from_str::<Value>(&stdout) {
            Ok(document) => document["first_run"].as_str().unwrap().to_owned(),
            Err(_) => format!("{status} {}", stderr.lines().next().unwrap_or_default()),
        }
    };
    assert_eq!(first_run("2026-06-01"), "2026-06-01T00:00:00+02:00");
    assert_eq!(first_run("2026-06-01T12:30"), "2026-06-01T13:00:00+02:00");
    assert_eq!(
        first_run("2026-06-01T12:00:00Z"),
        "2026-06-01T14:00:00+02:00"
    );
    assert_eq!(
        first_run("soon"),
        "2 ERROR: invalid time 'soon' for --start: expected e.g. 2026-01-31 or 2026-01-31T18:00"
    );
}

#[test]
fn a_schedule_that_is_probably_wrong_is_reported() {
    let (status, _, stderr) = simulate(&["keep-daily=7", "--schedule=22", "--for=1w"]);
    assert_eq!(status, 0);
    assert_eq!(
        stderr,
        "WARNING: schedule `22`: it runs every hour, at minute 22; if that is not meant, write `22:00`\n"
    );
}

/// A debug build needs less than this on a busy machine.
#[test]
fn half_a_year_of_hours_is_simulated_at_once() {
    let start = Instant::now();
    json(&[
        "keep-last=3,keep-daily=7,keep-weekly=4",
        "--schedule=hourly",
        "--for=26w",
    ]);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}
