// SPDX-License-Identifier: GPL-3.0-only
//! The same through the shells themselves, those that are installed.

use std::path::Path;

use super::Stage;
use crate::support::{SECRET, run};

/// Calls the function as bash does, which has cut the line at `=`, `:` and `@`.
const BASH: &str = r#"
    eval "$(command cv4pve-autosnap completions bash)"
    COMP_LINE=$1; COMP_POINT=${#1}; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    case ${COMP_WORDS[COMP_CWORD]} in [=@:]) cursor= ;; *) cursor=${COMP_WORDS[COMP_CWORD]#[\'\"]} ;; esac
    _cv4pve_autosnap cv4pve-autosnap "$cursor" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[*]}""#;

/// Without the completions of a package that may be installed.
const FISH: &str = "
    set fish_complete_path
    command cv4pve-autosnap completions fish | source
    complete --do-complete $argv";

/// With the commands that only an editor at a terminal has put in place by a test's.
const ZSH: &str = r#"
    compdef() { }
    compset() { PREFIX=${PREFIX##*[=:,]} }
    compadd() { print -r -- "${(P)@[-1]}" }
    eval "$(command cv4pve-autosnap completions zsh)"
    words=("$@"); CURRENT=$#; PREFIX=$words[CURRENT]
    _cv4pve-autosnap"#;

/// Every user may read the arguments of a process. A function takes the place of the program and notes
/// what it is given.
#[test]
fn no_shell_hands_over_the_line_as_arguments() {
    let stage = Stage::set();
    let noting = r#"cv4pve-autosnap() { printf %s "$*" >arguments; cat >words; };"#;
    let noting_fish = "function cv4pve-autosnap; printf %s \"$argv\" >arguments; cat >words; end;";
    let line = format!("cv4pve-autosnap snap --api-token={SECRET} --label d");
    let cut = line.replace('=', " = ");
    for (shell, noting, script) in [
        ("bash", noting, BASH),
        ("zsh", noting, ZSH),
        ("fish", noting_fish, FISH),
    ] {
        if !is_installed(shell) {
            continue;
        }
        let mut command = stage.command(shell);
        command.args(["-c", &format!("{noting}{script}")]);
        match shell {
            "bash" => command.args(["bash", &line]).args(cut.split(' ')),
            "zsh" => command.arg("zsh").args(line.split(' ')),
            _ => command.arg(&line),
        };
        run(&mut command);
        let noted = |name: &str| std::fs::read_to_string(stage.folder.path().join(name)).unwrap();
        assert_eq!(noted("arguments"), "complete", "{shell}");
        let words = format!("snap\0--api-token={SECRET}\0--label\0d\0");
        assert_eq!(noted("words"), words, "{shell}");
    }
}

#[test]
fn bash_completes_values() {
    let stage = Stage::set();
    for (line, cut, expected) in [
        (
            "cv4pve-autosnap @FILE snap --vmid=@p",
            "cv4pve-autosnap @ FILE snap --vmid =@ p",
            "pool-prod",
        ),
        (
            "cv4pve-autosnap @FILE snap --vmid @t",
            "cv4pve-autosnap @ FILE snap --vmid @ t",
            "tag-blue tag-web",
        ),
        (
            "cv4pve-autosnap @FILE  --vmid='web",
            "cv4pve-autosnap @ FILE --vmid = 'web",
            "web01",
        ),
        (
            "cv4pve-autosnap status --output=",
            "cv4pve-autosnap status --output =",
            "Text Html Markdown Json JsonPretty Jsonl Yaml Csv Plain",
        ),
        (
            "cv4pve-autosnap snap @jo",
            "cv4pve-autosnap snap @ jo",
            "job.conf",
        ),
    ] {
        let mut command = stage.command("bash");
        command.args(["-c", BASH, "bash", &stage.line(line)]);
        command.args(stage.line(cut).split(' '));
        let (_, offered, stderr) = run(&mut command);
        assert_eq!(offered.trim(), expected, "{line}: {stderr}");
    }
}

/// The line is run when Enter is pressed: read by bash, what it inserts is the name and no more.
#[test]
fn bash_inserts_names_of_others_as_names() {
    let stage = Stage::set();
    for (name, typed, expected) in [
        ("1a;b", "1", r"1a\;b"),
        ("2$(x)", "2", r"2\$\(x\)"),
        ("3it's", "3", r"3it\'s"),
        ("4a b,c", "4", r"4a\ b,c"),
        ("5it's", "'5", r"5it'\''s"),
        ("6$(x)`y`", "'6", "6$(x)`y`"),
        ("7$(x)`y`", "\"7", r"7\$(x)\`y\`"),
        (r#"8"a\b!c"#, "\"8", r#"8\"a\\b"'!'"c"#),
        ("9{a,b}*", "9", r"9\{a,b\}\*"),
        ("0it's;", r"0it\'", r"0it\'s\;"),
    ] {
        std::fs::write(stage.folder.path().join(name), "").unwrap();
        let line = format!("cv4pve-autosnap snap --script={typed}");
        let mut command = stage.command("bash");
        command.args(["-c", BASH, "bash", &line]);
        command.args(line.replace('=', " = ").split(' '));
        let (_, offered, stderr) = run(&mut command);
        assert_eq!(offered.trim_end(), expected, "{name}: {stderr}");
        let quote = typed
            .chars()
            .next()
            .filter(|letter| "'\"".contains(*letter));
        let quote = quote.map(String::from).unwrap_or_default();
        let mut command = stage.command("bash");
        command.arg("-c");
        command.arg(format!("printf %s {quote}{}{quote}", offered.trim_end()));
        assert_eq!(run(&mut command).1, name);
    }
}

#[test]
fn fish_completes_values() {
    if !is_installed("fish") {
        return;
    }
    let stage = Stage::set();
    for (line, expected) in [
        (
            "cv4pve-autosnap @FILE snap --vmid=@p",
            "--vmid=@pool-prod\t1 guest\n",
        ),
        (
            "cv4pve-autosnap @FILE --label n",
            "nightly\thas snapshots\n",
        ),
        ("cv4pve-autosnap snap @jo", "@job.conf\n"),
        (
            "cv4pve-autosnap snap --max-parallel-per-n",
            "--max-parallel-per-node\tGuests at once per node [default: 2]\n",
        ),
    ] {
        let mut command = stage.command("fish");
        command.args(["-c", FISH, &stage.line(line)]);
        assert_eq!(run(&mut command).1, expected, "{line}");
    }
}

#[test]
fn zsh_completes_values() {
    if !is_installed("zsh") {
        return;
    }
    let stage = Stage::set();
    for (line, expected) in [
        ("cv4pve-autosnap @FILE snap --vmid=@p", "pool-prod"),
        (
            "cv4pve-autosnap @FILE snap --vmid=100,@t",
            "@tag-blue @tag-web",
        ),
        ("cv4pve-autosnap --host=h st", "status"),
    ] {
        let mut command = stage.command("zsh");
        command.args(["-f", "-c", ZSH, "zsh"]);
        command.args(stage.line(line).split(' '));
        let (_, offered, stderr) = run(&mut command);
        assert!(
            offered.trim().ends_with(expected),
            "{line}: {offered}{stderr}"
        );
    }
}

fn is_installed(shell: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(shell).exists())
}
