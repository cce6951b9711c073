// SPDX-License-Identifier: GPL-3.0-only
//! Command lines through the whole parser.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::args::{Usage, usage};

#[test]
fn the_version_without_the_parser_is_the_version_of_the_parser() {
    assert_eq!(crate::args::command().render_version(), VERSION_LINE);
}

/// What snap, clean, status and fingerprint do with each option: `x` uses it, `-` accepts it without effect as
/// the C# tool does, `.` refuses it on the command line. `check` accepts every option.
const USES: [(&str, &str); 62] = [
    ("adopt_labels", "xx.."),
    ("allow_ambiguous_names", "xx.."),
    ("allow_empty", "xx.."),
    ("allow_unmatched_exclusions", "xx.."),
    ("also_format", "xxx."),
    ("api_token", "xxx."),
    ("ca_file", "xxx."),
    ("debug", "xxxx"),
    ("dry_run", "xxxx"),
    ("expires", "x..."),
    ("fingerprint", "xxx."),
    ("force_remove", "xx.."),
    ("hold", "x..."),
    ("hook_failure", "xx.."),
    ("hook_timeout", "xx.."),
    ("host", "xxxx"),
    ("keep", "xx.."),
    ("keep_all", "xx.."),
    ("keep_daily", "xx.."),
    ("keep_hourly", "xx.."),
    ("keep_last", "xx.."),
    ("keep_min", "xx.."),
    ("keep_monthly", "xx.."),
    ("keep_weekly", "xx.."),
    ("keep_within", "xx.."),
    ("keep_yearly", "xx.."),
    ("label", "xxx."),
    ("log_level", "xxxx"),
    ("max_parallel", "xxx."),
    ("max_parallel_per_node", "xx.."),
    ("max_parallel_per_storage", "xx.."),
    ("max_parallel_ram", "x..."),
    ("max_perc_storage", "x--."),
    ("max_removals_per_guest", "xx.."),
    ("min_age", "xx.."),
    ("no_proxy", "xxxx"),
    ("note", "x..."),
    ("on_overlap", "xx.."),
    ("only_running", "xxx."),
    ("output", "xxx."),
    ("overlap_timeout", "xx.."),
    ("password", "xxx."),
    ("prune_backups", "xx.."),
    ("quiet", "xx.."),
    ("removal_budget", "xx.."),
    ("retry_stuck_removal", "xx.."),
    ("script", "xx.."),
    ("state", "x..."),
    ("strict", "xx.."),
    ("timeout", "xx-."),
    ("timestamp_format", "xxx."),
    ("timezone", "xx.."),
    ("username", "xxx."),
    ("validate_certificate", "xxx."),
    ("vmid", "xxx."),
    ("wait_locked", "xx.."),
    ("wait_snapshot_lock", "xx.."),
    // Only of `plan`, `check`, `setup` or `demo`.
    ("command", "...."),
    ("compare", "...."),
    ("path", "...."),
    ("serve", "...."),
    ("write", "...."),
];

/// Every option is used, refused, or accepted without effect by every command, according to the table. New options
/// must be added to the table.
#[test]
fn every_option_is_used_or_refused_by_every_command() {
    let columns = ["snap", "clean", "status", "fingerprint"];
    for (id, row) in USES {
        for (command, expected) in columns.iter().zip(row.chars()) {
            let expected = match expected {
                'x' => Usage::Used,
                '-' => Usage::Accepted,
                _ => Usage::Ignored,
            };
            assert_eq!(usage(command, id), expected, "{command} --{id}");
        }
        assert_eq!(usage("check", id), Usage::Used);
    }
    let definition = crate::args::command();
    // It accepts the options of all commands that share parameter files.
    let common = definition.find_subcommand("fingerprint").unwrap();
    let defined: BTreeSet<String> = common
        .get_arguments()
        .map(|option| option.get_id().to_string())
        .collect();
    let listed = USES.map(|(id, _)| id.to_owned()).into();
    let missing: Vec<_> = defined.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

/// Arguments of a `snap` command line, valid and invalid.
const WORDS: [&str; 30] = [
    "snap",
    "clean",
    "--dry-run",
    "--dry-run",
    "--dry-run=false",
    "--host=h",
    "--host",
    "h",
    "--vmid=100",
    "--vmid",
    "100",
    "--label=daily",
    "--label",
    "daily",
    "--keep=2",
    "--keep",
    "2",
    "--state",
    "--script=x",
    "--script",
    "--timestamp-format",
    "--wait-locked",
    "--output",
    "-o",
    "--debug",
    "true",
    "false",
    "",
    "=",
    "--",
];

/// A valid command line of `snap` in random order, with some words removed, damaged or added.
fn damaged_line() -> impl Strategy<Value = Vec<String>> {
    let whole = [
        "snap",
        "--dry-run",
        "--host=h",
        "--vmid=1",
        "--label=d",
        "--keep=2",
    ];
    let split = [
        "--host",
        "h",
        "snap",
        "--vmid",
        "1",
        "--dry-run",
        "--label",
        "d",
        "--keep",
        "2",
    ];
    let base = prop_oneof![Just(whole.to_vec()), Just(split.to_vec())];
    let lines = (
        base,
        prop::collection::vec(
            (any::<prop::sample::Index>(), 0..4_u8, 0..WORDS.len()),
            0..4,
        ),
    );
    let lines = lines.prop_map(|(base, damages)| {
        let mut words: Vec<String> = base.into_iter().map(ToOwned::to_owned).collect();
        for (at, kind, word) in damages {
            if words.is_empty() {
                break;
            }
            let position = at.index(words.len());
            match kind {
                0 => _ = words.remove(position),
                1 => words.insert(position, WORDS[word].to_owned()),
                2 => words[position] = WORDS[word].to_owned(),
                _ => words.rotate_left(position),
            }
        }
        words
    });
    prop_oneof![lines.clone(), lines.prop_shuffle(),]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// If the line contains the word `--dry-run` anywhere before `--`, nothing may be changed: the line
    /// is refused, prints the help, or is a dry run.
    #[test]
    fn the_word_dry_run_is_never_lost(words in damaged_line()) {
        let before = words.iter().take_while(|word| *word != "--");
        let is_dry = before.into_iter().any(|word| word == "--dry-run");
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        if let Ok(Parsed::Run(command_line)) = parse(&arguments, &Console::default()) {
            let common = match &command_line.cli.command {
                Command::Snap(args) => &args.common,
                Command::Clean(args) => &args.common,
                _ => return Ok(()),
            };
            prop_assert!(!is_dry || common.mode.dry_run, "{words:?}");
        }
    }
}
