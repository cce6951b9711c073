// SPDX-License-Identifier: GPL-3.0-only
//! Timestamp formats that Proxmox VE accepts and that are probably a mistake.

use crate::harness::Lab;
use crate::world::{World, vm};

const FORMATS: [(&str, &str); 6] = [
    ("%Y%m%d", "yyyyMMdd_HHmmss"),
    ("YYYY-MM-DD", "yyyy-MM-dd_HHmmss"),
    ("yyyymmddHHmmss", "yyyyMMddHHmmss"),
    ("yyMMddhhmmss", "yyMMddHHmmss"),
    ("yyyyMMdd", "yyyyMMdd_HHmmss"),
    ("HHmmss", "yyyy-MM-dd_HH-mm-ss"),
];

/// The run prints the warning on stdout, so that cron does not mail it, proposes a format, and
/// continues.
#[test]
fn a_dubious_format_is_a_warning() {
    for (format, proposal) in FORMATS {
        let lab = Lab::new(&World::new([vm(100, "web01")]));
        let option = format!("--timestamp-format={format}");
        let job = ["--vmid=100", &option, "snap", "--label=daily", "--keep=1"];
        let output = lab.call(job);
        output
            .assert_status(0)
            .assert_out(&format!("WARNING: timestamp format `{format}`: "))
            .assert_out(&format!("did you mean `{proposal}`?"));
        assert_eq!(output.stderr, "");
        let json_run = lab.call(job.into_iter().chain(["--output=Json", "--dry-run"]));
        let warning = json_run.json()["warnings"][0].as_str().unwrap().to_owned();
        assert!(warning.contains(proposal), "{warning}");
        let clean = lab.call(["--vmid=100", &option, "clean", "--label=daily", "--keep=5"]);
        clean
            .assert_status(0)
            .assert_out("WARNING: timestamp format");
        let check = lab.call(["--vmid=100", &option, "check", "--output=Json"]);
        check.assert_status(0);
        let findings = check.json()["findings"].clone();
        let found = findings.as_array().unwrap().iter();
        let mut found = found.filter(|finding| finding["kind"] == "timestamp-format");
        let finding = found.next().unwrap_or_else(|| panic!("{findings}"));
        assert_eq!(finding["severity"], "warning");
        assert!(finding["message"].as_str().unwrap().contains(proposal));
    }
}

#[test]
fn a_format_with_date_and_time_causes_no_warning() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    for option in [
        "",
        "--timestamp-format=yyyy-MM-dd_HH-mm-ss",
        "--timestamp-format=yyMMdd_hhmmtt",
    ] {
        let args = format!("--vmid=100 {option} snap --label=daily --keep=1 --dry-run");
        lab.run(&args)
            .assert_status(0)
            .assert_not_printed("WARNING");
    }
}

#[test]
fn the_hint_for_a_used_name_explains_the_causes() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    let args = "--vmid=100 --timestamp-format=YYYY-MM snap --label=daily --keep=1";
    lab.run(args).assert_status(0);
    lab.run(args)
        .assert_status(1)
        .assert_out("already used")
        .assert_out("`MM` is the month, `mm` the minute")
        .assert_out("`hh` without `tt`")
        .assert_out("(`YYYY`, `DD`, `%Y`)");
}
