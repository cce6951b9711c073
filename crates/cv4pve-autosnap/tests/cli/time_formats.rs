// SPDX-License-Identifier: GPL-3.0-only
//! Timestamp formats that Proxmox VE takes and that hardly mean what their author wanted.

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

/// Said at the start, where it makes no mail, with the format that was meant; the run goes on.
#[test]
fn a_doubtful_format_is_warned_of_and_works() {
    for (format, proposal) in FORMATS {
        let lab = Lab::new(&World::of([vm(100, "web01")]));
        let option = format!("--timestamp-format={format}");
        let job = ["--vmid=100", &option, "snap", "--label=daily", "--keep=1"];
        let output = lab.call(job);
        output
            .assert_status(0)
            .assert_out(&format!("WARNING: timestamp format `{format}`: "))
            .assert_out(&format!("did you mean `{proposal}`?"));
        assert_eq!(output.stderr, "");
        let programs = lab.call(job.into_iter().chain(["--output=Json", "--dry-run"]));
        let warning = programs.json()["warnings"][0].as_str().unwrap().to_owned();
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

/// The default and its like are not talked about.
#[test]
fn a_format_with_date_and_time_is_not_warned_of() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    for option in [
        "",
        "--timestamp-format=yyyy-MM-dd_HH-mm-ss",
        "--timestamp-format=yyMMdd_hhmmtt",
    ] {
        let words = format!("--vmid=100 {option} snap --label=daily --keep=1 --dry-run");
        lab.run(&words).assert_status(0).assert_not_said("WARNING");
    }
}

/// The name that is taken has these causes.
#[test]
fn the_hint_for_a_name_that_is_taken_tells_the_causes() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    let words = "--vmid=100 --timestamp-format=YYYY-MM snap --label=daily --keep=1";
    lab.run(words).assert_status(0);
    lab.run(words)
        .assert_status(1)
        .assert_out("already used")
        .assert_out("`MM` is the month, `mm` the minute")
        .assert_out("`hh` without `tt`")
        .assert_out("(`YYYY`, `DD`, `%Y`)");
}
