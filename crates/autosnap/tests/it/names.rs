// SPDX-License-Identifier: GPL-3.0-only
//! Names of snapshots: label and timestamp format, what PVE takes, and which snapshot has which
//! label.

use insta::assert_snapshot;
use regex_lite::Regex;

use crate::harness::Lab;
use crate::world::{World, day, vm};

/// The name that a run gives its snapshots, as PVE has it.
fn name_given(options: &[&str]) -> String {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    let usual = ["--vmid=100", "snap", "--keep=1"];
    lab.call(usual.into_iter().chain(options.iter().copied()))
        .assert_status(0);
    lab.simulator.journal().mutations()[0]
        .snapshot
        .clone()
        .unwrap()
}

#[test]
fn names_are_made_of_label_and_format() {
    for (options, pattern) in [
        (
            ["--label=daily", "--timestamp-format="].as_slice(),
            "^autodaily[0-9]{12}$",
        ),
        (&["--label=daily"], "^autodaily[0-9]{12}$"),
        (&["--label=_x-Y_"], "^auto_x-Y_[0-9]{12}$"),
        (
            &["--label=a", "--timestamp-format=yyyy-MM-dd_HHmm"],
            "^autoa20[0-9]{2}-[01][0-9]-[0-3][0-9]_[0-9]{4}$",
        ),
        (
            &["--label=a", "--timestamp-format", "_yyyyMMdd_dddd"],
            "^autoa_20[0-9]{6}_(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day$",
        ),
        (
            &["--label=a", "--timestamp-format='T'yy\\HMMM"],
            "^autoaT[0-9]{2}H(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)$",
        ),
        (
            &["--label=a", "--timestamp-format:yyMMddhhmmsstt"],
            "^autoa[0-9]{12}(AM|PM)$",
        ),
        (
            &["--label=a", "--timestamp-format=yMdHms"],
            "^autoa[0-9]{6,12}$",
        ),
    ] {
        let name = name_given(options);
        assert!(
            Regex::new(pattern).unwrap().is_match(&name),
            "{options:?}: {name}"
        );
    }
}

#[test]
fn a_time_zone_that_is_not_known_is_told() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    for (zone, known) in [
        ("Nowhere/Nothing", false),
        ("", true),
        ("CET-1CEST,M3.5.0,M10.5.0/3", true),
    ] {
        let mut command = lab.command();
        command
            .env("TZ", zone)
            .arg(format!("--host={}", lab.host()))
            .args(["--api-token=file:token", "--vmid=100"])
            .args(["snap", "--label=x", "--keep=1", "--dry-run"]);
        let run = lab.finish(command);
        run.assert_status(0);
        let warned =
            "WARNING: the time zone 'Nowhere/Nothing' of the variable TZ is not known here";
        assert_eq!(
            run.stderr.starts_with(warned),
            !known,
            "{zone}: {}",
            run.stderr
        );
        assert_eq!(run.stderr.is_empty(), known, "{zone}: {}", run.stderr);
    }
}

#[test]
fn names_are_english_and_of_local_time() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    let mut command = lab.command();
    command
        .env("TZ", "Pacific/Kiritimati")
        .env("LC_ALL", "de_DE.UTF-8")
        .env("LANG", "th_TH.UTF-8")
        .arg(format!("--host={}", lab.host()))
        .args([
            "--api-token=file:token",
            "--vmid=100",
            "--timestamp-format=yyyyMMddHH_MMMM",
        ])
        .args(["snap", "--label=x", "--keep=1"]);
    let before = jiff::Timestamp::now();
    lab.finish(command).assert_status(0);
    let after = jiff::Timestamp::now();
    let zone = jiff::tz::TimeZone::get("Pacific/Kiritimati").unwrap();
    let names = [before, after].map(|time| {
        time.to_zoned(zone.clone())
            .strftime("autox%Y%m%d%H_%B")
            .to_string()
    });
    let name = lab.simulator.journal().mutations()[0]
        .snapshot
        .clone()
        .unwrap();
    assert!(names.contains(&name), "{name} is none of {names:?}");
}

#[test]
fn a_label_never_catches_another_one() {
    let world = World::of([vm(100, "web01")
        .taken("daily", &[1])
        .taken("daily2", &[2])
        .taken("my-daily", &[3])
        .taken("Daily", &[4])
        .taken("dail", &[5])]);
    let lab = Lab::new(&world);
    lab.run("--vmid=100 clean --label=daily --keep=0")
        .assert_status(0);
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
    lab.run("--vmid=100 clean --label=dail --keep=0")
        .assert_status(0);
    assert_eq!(lab.changes()[1..], ["delete 100 autodail240105000000"]);
}

#[test]
fn formats_of_any_width_are_cleaned_up_and_so_is_the_default_one() {
    let ours = "cv4pve-autosnap";
    let world = World::of([vm(100, "web01")
        .snapshot("autox20240102_Tuesday", day(2), ours)
        .snapshot("autox20240103_Wednesday", day(3), ours)
        .snapshot("autox240104000000", day(4), ours)
        .snapshot("autox20240105_Someday", day(5), ours)
        .snapshot("autox2024", day(6), ours)]);
    let lab = Lab::new(&world);
    lab.run("--vmid=100 --timestamp-format=yyyyMMdd_dddd clean --label=x --keep=0")
        .assert_status(0);
    assert_eq!(
        lab.changes(),
        [
            "delete 100 autox20240102_Tuesday",
            "delete 100 autox20240103_Wednesday",
            "delete 100 autox240104000000",
        ]
    );
}

#[test]
fn two_runs_in_the_same_minute_of_a_coarse_format_do_not_overwrite() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    let words = "--vmid=100 --timestamp-format=yyyy snap --label=a --keep=3";
    lab.run(words).assert_status(0);
    let again = lab.run(words);
    again.assert_status(1).assert_out("already used");
    assert_eq!(lab.changes().len(), 1);
}

#[test]
fn what_pve_would_refuse_is_refused_before_any_request() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    let mut told = String::new();
    for [label, format] in [
        ["day light", "yyMMdd"],
        ["täglich", "yyMMdd"],
        ["", "yyMMdd"],
        ["a", "yyMMdd HH:mm"],
        ["a", "yyyy/MM"],
        ["a", "'open"],
        ["a_label_of_thirty_characters__", "yyMMddHHmmss"],
        ["a_long_label_of_24_chars", "yyyyMMdd_dddd"],
    ] {
        let label = format!("--label={label}");
        let format = format!("--timestamp-format={format}");
        let output = lab.call(["--vmid=100", "snap", "--keep=1", &label, &format]);
        output.assert_status(2);
        told.push_str(&output.stderr);
    }
    assert_eq!(lab.simulator.journal().requests(), []);
    assert_snapshot!(told, @r#"
    ERROR: label `day light`: PVE refuses ' ' in the name of a snapshot and takes only letters without accents, digits, `-` and `_`; `day_light` works
    ERROR: label `täglich`: PVE refuses 'ä' in the name of a snapshot and takes only letters without accents, digits, `-` and `_`; `t_glich` works
    ERROR: the label is empty: give the snapshots a name such as `daily`
    ERROR: timestamp format `yyMMdd HH:mm`: PVE refuses ' ' in the name of a snapshot and takes only letters without accents, digits, `-` and `_`; `yyMMdd_HH-mm` works
    ERROR: timestamp format `yyyy/MM`: PVE refuses '/' in the name of a snapshot and takes only letters without accents, digits, `-` and `_`; `yyyy-MM-dd_HH-mm-ss` works
    ERROR: timestamp format `'open`: nothing completes the `'`; `yyyy-MM-dd_HH-mm-ss` works
    ERROR: snapshot name `autoa_label_of_thirty_characters__<now>` has 46 characters, 6 more than PVE allows: shorten the label to at most 24 characters
    ERROR: snapshot name `autoa_long_label_of_24_chars20301230_Wednesday` has 46 characters, 6 more than PVE allows: shorten the label or use --timestamp-format=yyyyMMdd_ddd
    "#);
}
