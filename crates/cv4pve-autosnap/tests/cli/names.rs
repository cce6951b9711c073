// SPDX-License-Identifier: GPL-3.0-only
//! Names of snapshots: label and timestamp format, what PVE accepts, and the label of each
//! snapshot.

use insta::assert_snapshot;
use regex_lite::Regex;

use crate::clock::Clock;
use crate::harness::Lab;
use crate::world::{Guest, World, day, vm};

/// The name that PVE reports for the new snapshot of a run.
fn new_name(options: &[&str]) -> String {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    let usual = ["--vmid=100", "snap", "--keep=1"];
    lab.call(usual.into_iter().chain(options.iter().copied()))
        .assert_status(0);
    lab.simulator.journal().mutations()[0]
        .snapshot
        .clone()
        .unwrap()
}

#[test]
fn a_name_consists_of_label_and_timestamp() {
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
        let name = new_name(options);
        assert!(
            Regex::new(pattern).unwrap().is_match(&name),
            "{options:?}: {name}"
        );
    }
}

#[test]
fn an_unknown_time_zone_is_a_warning() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
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
        let warned = "\nWARNING: unknown time zone 'Nowhere/Nothing' in the variable TZ";
        assert_eq!(run.stdout.contains(warned), !known, "{zone}: {run}");
        assert_eq!(run.stderr, "", "{zone}");
    }
}

#[test]
fn names_are_english_and_in_local_time() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
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
fn a_label_never_matches_snapshots_of_another_label() {
    let world = World::new([vm(100, "web01")
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

fn lab_with_two_formats() -> Lab {
    let ours = "cv4pve-autosnap";
    Lab::new(&World::new([vm(100, "web01")
        .snapshot("autox20240102_Tuesday", day(2), ours)
        .snapshot("autox20240103_Wednesday", day(3), ours)
        .snapshot("autox240104000000", day(4), ours)
        .snapshot("autox20240105_Someday", day(5), ours)
        .snapshot("autox2024", day(6), ours)]))
}

/// A series is its label and the run's format. Snapshots of the label in another format are
/// reported and not changed.
#[test]
fn snapshots_of_the_label_in_another_format_are_reported_and_not_counted() {
    let by_name = "--timestamp-format=yyyyMMdd_dddd ";
    for (format, removed, others, other_format) in [
        (
            by_name,
            vec!["autox20240102_Tuesday", "autox20240103_Wednesday"],
            "1 snapshot looks",
            "yyMMddHHmmss",
        ),
        (
            "",
            vec!["autox240104000000"],
            "2 snapshots look",
            "yyyyMMdd_dddd",
        ),
    ] {
        let lab = lab_with_two_formats();
        let reported = format!(
            "{others} like label x in another format ({other_format}): not counted; --also-format={other_format}"
        );
        let args = format!("--vmid=100 {format}clean --label=x --keep=0");
        for dry_run in ["--dry-run ", ""] {
            let output = lab.run(&format!("{dry_run}{args}"));
            output.assert_status(0).assert_out(&reported);
            // Cron mails stderr, so a run that succeeds writes nothing to it.
            assert_eq!(output.stderr, "");
        }
        let removed: Vec<String> = removed
            .iter()
            .map(|name| format!("delete 100 {name}"))
            .collect();
        assert_eq!(lab.changes(), removed);
        let status = lab.run(&format!("--vmid=100 {format}status --label=x --debug"));
        status.assert_err(&format!("({other_format}): not shown"));
    }
}

/// `--also-format` adds them to the series, for retention and for `status`.
#[test]
fn also_format_includes_snapshots_in_another_format() {
    let lab = lab_with_two_formats();
    let args = "--vmid=100 --also-format=yyyyMMdd_HHmmss --also-format=yyyyMMdd_dddd";
    let status = lab.run(&format!("{args} status --label=x"));
    status
        .assert_out("autox20240102_Tuesday")
        .assert_out("autox240104000000")
        .assert_not_printed("another format");
    lab.run(&format!("{args} clean --label=x --keep=1"))
        .assert_status(0);
    let removed = [
        "delete 100 autox20240102_Tuesday",
        "delete 100 autox20240103_Wednesday",
    ];
    assert_eq!(lab.changes(), removed);
}

/// The formats on the command line replace those of a parameter file.
#[test]
fn also_format_on_the_command_line_overrides_the_file() {
    let lab = lab_with_two_formats();
    lab.file(
        "job.conf",
        "--also-format=yyyyMMdd_HHmmss\n--also-format=yyyyMMdd_dddd\n",
    );
    let status = lab.run("@job.conf --vmid=100 status --label=x");
    status.assert_out("autox20240102_Tuesday");
    let overridden = lab.run("@job.conf --also-format=yyMMdd --vmid=100 status --label=x");
    overridden.assert_not_printed("autox20240102_Tuesday");
}

/// An hourly job in the default format and a daily one in `yyyyMMdd` use the same label.
#[test]
fn two_jobs_with_one_label_and_different_formats_do_not_interfere() {
    let ours = "cv4pve-autosnap";
    let mut guest = vm(100, "web01");
    for hour in 0..25 {
        let taken_at = day(20) + hour * 3600;
        let name = format!("autosrv24012{}{:02}0000", hour / 24, hour % 24);
        guest = guest.snapshot(&name, taken_at, ours);
    }
    for number in 1..=30 {
        guest = guest.snapshot(&format!("autosrv202401{number:02}"), day(number), ours);
    }
    let lab = Lab::new(&World::new([guest]));
    lab.run("--vmid=100 snap --label=srv --keep=24")
        .assert_status(0);
    lab.run("--vmid=100 --timestamp-format=yyyyMMdd snap --label=srv --keep=30")
        .assert_status(0);
    let changes = lab.changes();
    let removed: Vec<&String> = changes
        .iter()
        .filter(|change| change.starts_with("delete"))
        .collect();
    assert_eq!(
        removed,
        [
            "delete 100 autosrv240120000000",
            "delete 100 autosrv240120010000",
            "delete 100 autosrv20240101"
        ]
    );
}

#[test]
fn names_that_can_be_read_in_two_ways_are_kept_and_reported() {
    for (label, format, snapshot, readings) in [
        (
            "daily20",
            "",
            "autodaily20240105000000",
            ("daily20", "yyMMddHHmmss", "daily", "yyyyMMddHHmmss"),
        ),
        (
            "daily",
            "--timestamp-format=yyyyMMddHHmmss ",
            "autodaily20240105000000",
            ("daily", "yyyyMMddHHmmss", "daily20", "yyMMddHHmmss"),
        ),
        (
            "daily20",
            "--timestamp-format=yyMMdd_HHmm ",
            "autodaily20240105_0000",
            ("daily20", "yyMMdd_HHmm", "daily", "yyyyMMdd_HHmm"),
        ),
        (
            "daily_",
            "",
            "autodaily_240105000000",
            ("daily_", "yyMMddHHmmss", "daily", "_yyMMddHHmmss"),
        ),
        (
            "daily",
            "--timestamp-format=_yyMMddHHmmss ",
            "autodaily_240105000000",
            ("daily", "_yyMMddHHmmss", "daily_", "yyMMddHHmmss"),
        ),
    ] {
        let lab = Lab::new(&World::new([vm(100, "web01").snapshot(
            snapshot,
            day(5),
            "cv4pve-autosnap",
        )]));
        let args = format!("--vmid=100 {format}clean --label={label} --keep=0");
        let (own, own_format, other, other_format) = readings;
        let both = format!(
            "label {own} with format {own_format} or as label {other} with format {other_format}"
        );
        for dry_run in ["--dry-run ", ""] {
            let output = lab.run(&format!("{dry_run}{args}"));
            output
                .assert_status(1)
                .assert_out(snapshot)
                .assert_out(&both);
            output
                .assert_out("1 not removable because ambiguous")
                .assert_out("makes the same names as");
        }
        assert_eq!(lab.changes(), [] as [&str; 0]);
        lab.run(&format!("{args} --allow-ambiguous-names"))
            .assert_status(0);
        assert_eq!(lab.changes(), [format!("delete 100 {snapshot}")]);
    }
}

/// `snap` keeps ambiguous names if the guest has other snapshots of the other label.
#[test]
fn snap_keeps_ambiguous_names_of_a_label_that_the_guest_has() {
    let ours = "cv4pve-autosnap";
    let ambiguous = |guest: Guest| guest.snapshot("autodaily20240105000000", day(5), ours);
    let lab = Lab::new(&World::new([
        ambiguous(vm(100, "web01")),
        ambiguous(vm(101, "web02").taken("daily", &[1])),
    ]));
    lab.run("--vmid=@all snap --label=daily20 --keep=1")
        .assert_status(0);
    let removed = |vmid| {
        lab.changes_of(vmid)
            .iter()
            .any(|change| change.starts_with("delete"))
    };
    assert!(removed(100) && !removed(101), "{:?}", lab.changes());
}

/// PVE accepts such names, but the format makes all its own snapshots ambiguous, so the run warns.
#[test]
fn a_format_that_begins_with_a_number_of_varying_width_is_a_warning() {
    for (format, proposal) in [
        ("H-mm_yyyyMMdd", "HH-mm_yyyyMMdd"),
        ("m_yyMMdd", "mm_yyMMdd_HHmmss"),
        ("%s-yyMMdd", "ss-yyMMdd_HHmmss"),
    ] {
        let lab = Lab::new(&World::new([vm(100, "web01")]));
        lab.run(&format!(
            "--vmid=100 --timestamp-format={format} snap --label=a --keep=3"
        ))
        .assert_status(0)
        .assert_out("it begins with a number of one or two digits")
        .assert_out(&format!("did you mean `{proposal}`?"));
        assert_eq!(lab.changes().len(), 1);
    }
}

/// The shorter format proposed for names that are too long keeps quotes, and its names do not
/// repeat.
#[test]
fn the_names_of_a_proposed_shorter_format_do_not_repeat() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    for (format, proposal) in [
        ("yyyy_MMMM_dddd", "yyyyMMdd_HHmmss"),
        ("yyyy_MMMM_dd_HH'at'mm_dddd", "yyyyMMdd_HHmmss"),
        ("yyyy_MMMM_dd_HH_mm", "yyyy_MMM_dd_HH_mm"),
    ] {
        let option = format!("--timestamp-format={format}");
        let label = "--label=every_four_hours";
        lab.call(["--vmid=100", &option, "snap", label, "--keep=3"])
            .assert_status(2)
            .assert_err(&format!("use --timestamp-format={proposal}"));
    }
    lab.assert_unchanged();
}

#[test]
fn a_second_run_with_the_same_name_does_not_overwrite() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    let args = "--vmid=100 --timestamp-format=yyyy snap --label=a --keep=3";
    lab.run(args).assert_status(0);
    let again = lab.run(args);
    again.assert_status(1).assert_out("already used");
    assert_eq!(lab.changes().len(), 1);
}

/// Two runs of one label in one second with different selections that share a guest.
#[test]
fn a_run_whose_name_was_used_in_this_second_uses_the_next_free_one() {
    // With another name for the host, the second run does not know the name of the first, as if it
    // ran on another machine: it sees only the snapshots.
    for second_host in ["127.0.0.1", "localhost"] {
        let lab = Lab::new(&World::new([vm(100, "web01"), vm(101, "web02")]));
        let clock = Clock::new(&lab);
        let in_the_same_second = |host: &str, args: &str| {
            clock.set(1_800_000_000);
            let mut command = lab.command();
            clock.apply_to(&mut command);
            let port = lab.simulator.addresses()[0].port();
            command
                .arg(format!("--host={host}:{port}"))
                .arg("--api-token=file:token")
                .args(args.split(' '));
            lab.finish(command)
        };
        in_the_same_second("127.0.0.1", "--vmid=100 snap --label=a --keep=3").assert_status(0);
        in_the_same_second(second_host, "--vmid=100,101 snap --label=a --keep=3").assert_status(0);
        let names = |vmid: u32| -> Vec<String> {
            lab.simulator
                .world(|world| world.guests[&vmid].snapshots.keys().cloned().collect())
        };
        let of_100 = names(100);
        assert_eq!(of_100.len(), 2, "{second_host}: {of_100:?}");
        assert_eq!(names(101), of_100[1..], "{second_host}");
    }
}

#[test]
fn what_pve_would_refuse_is_refused_before_any_request() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    let mut errors = String::new();
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
        errors.push_str(&output.stderr);
    }
    assert_eq!(lab.simulator.journal().requests(), []);
    assert_snapshot!(errors, @r#"
    ERROR: invalid label `day light`: PVE refuses ' ' in the name of a snapshot and accepts only letters without accents, digits, `-` and `_`; `day_light` works
    ERROR: invalid label `täglich`: PVE refuses 'ä' in the name of a snapshot and accepts only letters without accents, digits, `-` and `_`; `t_glich` works
    ERROR: the label is empty: give the snapshots a name such as `daily`
    ERROR: invalid timestamp format `yyMMdd HH:mm`: PVE refuses ' ' in the name of a snapshot and accepts only letters without accents, digits, `-` and `_`; `yyMMdd_HH-mm` works
    ERROR: invalid timestamp format `yyyy/MM`: PVE refuses '/' in the name of a snapshot and accepts only letters without accents, digits, `-` and `_`; `yyyy-MM-dd_HH-mm-ss` works
    ERROR: invalid timestamp format `'open`: unfinished `'`; `yyyy-MM-dd_HH-mm-ss` works
    ERROR: snapshot name `autoa_label_of_thirty_characters__<now>` has 46 characters, 6 more than PVE allows: shorten the label to at most 24 characters
    ERROR: snapshot name `autoa_long_label_of_24_chars20301230_Wednesday` has 46 characters, 6 more than PVE allows: shorten the label or use --timestamp-format=yyMMddHHmmss
    "#);
}
