// SPDX-License-Identifier: GPL-3.0-only
//! Candidates without a cluster. For those with one see `tests/commands/complete.rs`.

use super::*;

fn check(line: &str, expected: &str) {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let offered = candidates(&words);
    let offered: Vec<&str> = offered.iter().map(|one| one.word.as_str()).collect();
    assert_eq!(offered.join(" "), expected, "{line}");
}

#[test]
fn commands_are_offered_while_the_line_has_none() {
    check("st", "status");
    check("--host=h st", "status");
    check("--host h @x.conf st", "status");
    check("snap st", "");
    check("man", "");
}

#[test]
fn options_are_offered_once() {
    check("snap --max-parallel-per-n", "--max-parallel-per-node");
    check("snap --max-parallel-per-node=2 --max-parallel-per-n", "");
    check("clean --only", "--only-running");
    check("plan --keep-da", "--keep-daily");
    check("plan --comp", "--compare");
    check("clean --stat", "");
    check("--vers", "--version");
}

#[test]
fn values_are_offered_in_every_spelling() {
    check("snap --output js", "Json JsonPretty");
    check("snap --output=jsonp", "--output=JsonPretty");
    check("status -o:Md", "");
    check("status -o:mark", "-o:Markdown");
    check("clean --hook-failure sk", "skip-guest");
    check("snap --wait-locked=1", "--wait-locked=10m --wait-locked=1h");
    check("completions z", "zsh");
    check("snap --timezone=europe/vien", "--timezone=Europe/Vienna");
    check("clean --keep-within 7", "7d");
}

#[test]
fn the_action_of_jobs_comes_before_its_folder() {
    check("jobs ", "check");
    check("jobs check src/args", "src/args.rs src/args/");
    check(
        "jobs --host h check src/args/j",
        "src/args/job.rs src/args/job_folder.rs",
    );
    check(
        "coverage src/args/j",
        "src/args/job.rs src/args/job_folder.rs",
    );
    check("coverage src --outp", "--output");
    check("setup --policy", "--policy-tags");
}

#[test]
fn terms_are_offered_after_those_typed() {
    check("snap --vmid @po", "@pool-");
    check("--vmid=100,@TA", "--vmid=100,@tag-");
    check(
        "--vmid=100&-@ty",
        "--vmid=100&-@type-vm --vmid=100&-@type-ct",
    );
    check("--vmid=100,(web%|@r", "--vmid=100,(web%|@running");
    check("--vmid:@all,-@n", "--vmid:@all,-@node-");
    check("setup --path=/vms/100,/po", "--path=/vms/100,/pool/");
    check(
        "snap --adopt-labels=hourly,da",
        "--adopt-labels=hourly,daily",
    );
}

#[test]
fn a_secret_comes_from_a_file() {
    check("--api-token=", "--api-token=file:");
    check("--password f", "file:");
}

#[test]
fn an_unknown_option_or_value_has_no_candidates() {
    check("snap --nope=", "");
    check("snap --state=t", "");
    check("--vmid=x", "");
}

#[test]
fn names_on_the_cluster_cannot_break_lines() {
    let named = |word: &str, help: &str| Candidate::new(word, help);
    let offered = vec![
        named("a\nb\tc", "d\te\r\nf"),
        named("\u{1b}[2Jx", ""),
        named("a b c", "the same, once it is printed"),
        named("", "nothing"),
    ];
    assert_eq!(printed(offered), "a b c\td e  f\n [2Jx\t\n");
}

#[test]
fn each_word_ends_with_nul() {
    for (sent, expected) in [
        ("", &[] as &[&str]),
        ("snap", &[]),
        ("\0", &[""]),
        ("snap\0--vmid=a b\nc\0\0", &["snap", "--vmid=a b\nc", ""]),
    ] {
        assert_eq!(words(sent.as_bytes()), expected, "{sent:?}");
    }
    assert_eq!(lines(&[]), "");
}
