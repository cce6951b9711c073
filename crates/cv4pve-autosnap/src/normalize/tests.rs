// SPDX-License-Identifier: GPL-3.0-only
//! Lines as they are typed, and their translation for clap.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::args;

fn read(input: &str) -> Result<Normalized, LineError> {
    let line = Line::typed(input.split(' ').map(OsString::from));
    normalize(&args::command(), &line)
}

#[track_caller]
fn check(input: &str, expected: &str) {
    let normalized = read(input).unwrap_or_else(|refusal| panic!("{input}: {refusal:?}"));
    assert_eq!(text(&normalized), expected, "from {input}");
}

fn text(normalized: &Normalized) -> String {
    let words = normalized.texts();
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
    words.join(" ")
}

/// Checks the error message for a line that is refused.
#[track_caller]
fn check_refused(input: &str, expected: &str) {
    let line = Line::typed(input.split(' ').map(OsString::from));
    let refusal = normalize(&args::command(), &line).err();
    let message = refusal.map(|refusal| refusal.into_command_error(&line).message);
    assert_eq!(message.as_deref(), Some(expected), "from {input}");
}

#[test]
fn the_command_comes_first() {
    check(
        "--host=h --vmid=100 snap --label=d --keep=2",
        "snap --host=h --vmid=100 --label=d --keep=2",
    );
    check("--label snap --host h clean", "clean --label=snap --host=h");
}

#[test]
fn values_may_follow_a_blank_or_a_colon() {
    check(
        "snap --host h:8006 --vmid:@all",
        "snap --host=h:8006 --vmid=@all",
    );
    check("snap --host:[::1]:8006", "snap --host=[::1]:8006");
    check(
        "snap --vmid all,-100 --label -921-",
        "snap --vmid=all,-100 --label=-921-",
    );
    check("snap --vmid -100", "snap --vmid=-100");
    check(
        "snap -o Json --script-hook x",
        "snap -o=Json --script-hook=x",
    );
}

#[test]
fn flags_may_have_a_boolean_value() {
    check(
        "snap --state true --only-running False --dry-run",
        "snap --state --dry-run",
    );
    check("--debug snap --state:true", "snap --debug --state");
    check("snap --state=1 --debug=0", "snap --state");
    check("snap --state=perhaps", "snap --state=perhaps");
    check(
        "snap --wait-locked --label x",
        "snap --wait-locked --label=x",
    );
}

/// Two different values in one source are an error; the same value twice is not.
#[test]
fn two_different_values_in_one_source_are_refused() {
    for (input, values) in [
        (
            "snap --keep=0 --label=x --keep 5",
            "'--keep' is given twice with different values: --keep=0 and --keep=5",
        ),
        (
            "snap --script=a --script-hook:b",
            "'--script' is given twice with different values: --script=a and --script-hook=b",
        ),
        (
            "status -o Text --output=Json",
            "'-o' is given twice with different values: -o=Text and --output=Json",
        ),
        (
            "snap --state --debug --state=false",
            "'--state' is given twice with different values: --state=true and --state=false",
        ),
        (
            "snap --wait-locked=1h --wait-locked",
            "'--wait-locked' is given twice with different values: --wait-locked=1h and --wait-locked",
        ),
    ] {
        check_refused(input, values);
    }
    check(
        "snap --keep=5 --keep 5 --state --state=True",
        "snap --keep=5 --state",
    );
    check("snap --keep=1 -- --keep=2", "snap --keep=1 -- --keep=2");
    check_refused(
        "snap --password=abc --password=xyz",
        "'--password' is given twice with different values",
    );
}

/// Between sources the outer one wins, except that `--dry-run` in any source takes effect.
#[test]
fn the_outer_source_wins_in_any_order() {
    let mut line = Line::typed(["clean", "--keep=2", "--dry-run=false"].map(OsString::from));
    let outer = line.open(Path::new("outer"), Origin::TYPED, false);
    let inner = line.open(Path::new("inner"), outer, false);
    for (word, origin) in [
        ("--label=inner", inner),
        ("--keep=1", inner),
        ("--dry-run", inner),
        ("--label=outer", outer),
        ("--state", outer),
    ] {
        let text = word.into();
        line.words.push(Word { text, origin });
    }
    let normalized = normalize(&args::command(), &line).unwrap();
    assert_eq!(
        text(&normalized),
        "clean --keep=2 --dry-run --label=outer --state"
    );
}

/// A known option is never the value of another one.
#[test]
fn an_option_is_not_a_value() {
    for option in ["--dry-run", "--keep=3", "--debug", "-o", "--"] {
        for expecting in ["--label", "--vmid", "--timestamp-format", "--script"] {
            let input = format!("snap {expecting} {option}");
            let refusal = read(&input).err();
            let is_missing = matches!(refusal, Some(LineError::MissingValue { .. }));
            assert!(is_missing, "{input}: {refusal:?}");
        }
    }
    for option in [
        "--dry-run",
        "--keep=3",
        "--help",
        "-h",
        "-?",
        "daily--dry-run",
        "x --DRY-RUN",
    ] {
        for expecting in ["--label=", "--vmid:", "--timestamp-format=", "--script="] {
            let words = ["snap".to_owned(), format!("{expecting}{option}")];
            let line = Line::typed(words.iter().map(OsString::from));
            let refusal = normalize(&args::command(), &line).err();
            let is_refused = matches!(refusal, Some(LineError::OptionAsValue { .. }));
            assert!(is_refused, "{words:?}: {refusal:?}");
        }
    }
    check("snap --label --help", "snap --help");
    check("snap --label -h", "snap -h");
    check("snap --label -?", "snap -h");
    check("snap --label --version", "--version");
    check("snap --nope -V", "--version");
    check_refused(
        "snap --dry-run false",
        "'--dry-run false' contradicts itself; nothing was done",
    );
    check("snap --dry-run=false", "snap");
    check("snap --dry-run=false --dry-run", "snap --dry-run");
}

/// An option on the command line that the command does not use is refused.
#[test]
fn an_option_without_effect_is_refused() {
    check_refused("clean --state", "'clean' does not use '--state'");
    check_refused("status --keep=3", "'status' does not use '--keep'");
    let normalized = read("clean --max-perc-storage=90").unwrap();
    assert_eq!(normalized.unused, ["--max-perc-storage"]);
}

#[test]
fn an_unknown_command_is_moved_to_the_front() {
    check("--host=h snp --label=d", "snp --host=h --label=d");
    check("--label daily snp", "snp --label=daily");
    check("help snap", "help snap");
    check("--debug x snap", "snap --debug x");
}

#[test]
fn without_a_command_the_options_are_dropped() {
    check("--host=h --vmid @all --state", "");
    check("--host=h --help", "--help");
    check("--hots=h", "--hots=h");
}

#[test]
fn a_missing_value_is_an_error() {
    let missing = "a value is required for '--host <HOSTS>' but none was supplied";
    check_refused(
        "snap --host --vmid=100",
        &format!("{missing}: '--vmid' follows, which is not a value"),
    );
    check_refused("snap --vmid=1 --host", missing);
    check("snap --frobnicate x", "snap --frobnicate x");
    check("--frobnicate=x snap", "snap --frobnicate=x");
    check("snap -- --host h", "snap -- --host h");
}

#[test]
fn the_end_of_the_options_is_not_a_value() {
    for input in ["--nope --host -- snap", "snap --host -- x"] {
        let refusal = read(input).err();
        let is_missing = matches!(refusal, Some(LineError::MissingValue { .. }));
        assert!(is_missing, "{input}: {refusal:?}");
    }
}

proptest! {
    /// No text is added, a command on the line comes first, and `--dry-run` is never lost.
    #[test]
    fn only_the_order_and_the_separators_change(words in prop::collection::vec("(--(host|vmid|keep|state|nope|label|dry-run)([=:][a-z:=]{0,4})?|snap|clean|true|false|[a-z-]{0,5})", 0..12)) {
        let letters = |words: &[OsString]| {
            let mut letters: Vec<char> = words.iter().flat_map(|word| word.to_str().unwrap().chars().collect::<Vec<_>>())
                .filter(|letter| !"=:".contains(*letter)).collect();
            letters.sort_unstable();
            letters
        };
        let line = Line::typed(words.iter().map(OsString::from));
        let Ok(normalized) = normalize(&args::command(), &line) else {
            return Ok(());
        };
        let once = normalized.texts();
        let typed: Vec<OsString> = words.iter().map(OsString::from).collect();
        let (before, after) = (letters(&typed), letters(&once));
        let mut left = before.iter();
        let helps = ["--help", "-h", "--version", "help"].iter().any(|help| once.contains(&OsString::from(help)));
        prop_assert!(helps || after.iter().all(|letter| left.any(|other| other == letter)), "text was added: {once:?}");
        let known = ["snap", "clean"].map(OsString::from);
        let end = |words: &[OsString]| words.iter().position(|word| word == "--").unwrap_or(words.len());
        if once[..end(&once)].iter().any(|word| known.contains(word)) {
            prop_assert!(!once[0].to_str().unwrap().starts_with('-'), "the command is not first: {once:?}");
            let is_dry = typed[..end(&typed)].contains(&"--dry-run".into());
            let has_dry_run = once.iter().any(|word| word == "--dry-run" || word.to_str().unwrap().starts_with("--dry-run="));
            prop_assert!(!is_dry || has_dry_run || helps, "the dry run is lost: {once:?}");
        }
    }
}
