// SPDX-License-Identifier: GPL-3.0-only
//! The same with the installed shells themselves.

use std::path::Path;

use super::Setup;
use crate::support::{SECRET, run};

/// Calls the completion function as bash does, with the line split at `=`, `:` and `@`.
const BASH: &str = r#"
    eval "$(command cv4pve-autosnap completions bash)"
    COMP_LINE=$1; COMP_POINT=${#1}; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    case ${COMP_WORDS[COMP_CWORD]} in [=@:]) cursor= ;; *) cursor=${COMP_WORDS[COMP_CWORD]#[\'\"]} ;; esac
    _cv4pve_autosnap cv4pve-autosnap "$cursor" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[*]}""#;

/// Without completions of an installed package.
const FISH: &str = "
    set fish_complete_path
    command cv4pve-autosnap completions fish | source
    complete --do-complete $argv";

/// Replaces the builtins that work only in the line editor of a terminal.
const ZSH: &str = r#"
    compdef() { }
    compset() { PREFIX=${PREFIX##*[=:,]} }
    compadd() { print -r -- "${(P)@[-1]}" }
    eval "$(command cv4pve-autosnap completions zsh)"
    words=("$@"); CURRENT=$#; PREFIX=$words[CURRENT]
    _cv4pve-autosnap"#;

/// Every user can read the arguments of a process. A shell function replaces the program and
/// records its arguments.
#[test]
fn no_shell_passes_the_line_as_arguments() {
    let setup = Setup::new();
    let recorder = r#"cv4pve-autosnap() { printf %s "$*" >arguments; cat >words; };"#;
    let recorder_fish =
        "function cv4pve-autosnap; printf %s \"$argv\" >arguments; cat >words; end;";
    let line = format!("cv4pve-autosnap snap --api-token={SECRET} --label d");
    let cut = line.replace('=', " = ");
    for (shell, recorder, script) in [
        ("bash", recorder, BASH),
        ("zsh", recorder, ZSH),
        ("fish", recorder_fish, FISH),
    ] {
        if !is_installed(shell) {
            continue;
        }
        let mut command = setup.command(shell);
        command.args(["-c", &format!("{recorder}{script}")]);
        match shell {
            "bash" => command.args(["bash", &line]).args(cut.split(' ')),
            "zsh" => command.arg("zsh").args(line.split(' ')),
            _ => command.arg(&line),
        };
        run(&mut command);
        let content_of =
            |name: &str| std::fs::read_to_string(setup.folder.path().join(name)).unwrap();
        assert_eq!(content_of("arguments"), "complete", "{shell}");
        let words = format!("snap\0--api-token={SECRET}\0--label\0d\0");
        assert_eq!(content_of("words"), words, "{shell}");
    }
}

#[test]
fn bash_completes_values() {
    let setup = Setup::new();
    for (line, cut, expected) in [
        (
            "cv4pve-autosnap @FILE snap --vmid=@p",
            "cv4pve-autosnap @ FILE snap --vmid =@ p",
            "pool-prod",
        ),
        (
            "cv4pve-autosnap @FILE snap --vmid @ta",
            "cv4pve-autosnap @ FILE snap --vmid @ ta",
            "tag-blue tag-web",
        ),
        (
            "cv4pve-autosnap @FILE snap --vmid='(web%|@tag-blue)&@r",
            "cv4pve-autosnap @ FILE snap --vmid = '(web%|@tag-blue)&@r",
            "(web%|@tag-blue)&@running",
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
        let mut command = setup.command("bash");
        command.args(["-c", BASH, "bash", &setup.line(line)]);
        command.args(setup.line(cut).split(' '));
        let (_, offered, stderr) = run(&mut command);
        assert_eq!(offered.trim(), expected, "{line}: {stderr}");
    }
}

/// bash executes the line after Enter, so the inserted text must be read as the name and nothing
/// else.
#[test]
fn bash_inserts_file_names_with_quoting() {
    let setup = Setup::new();
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
        std::fs::write(setup.folder.path().join(name), "").unwrap();
        let line = format!("cv4pve-autosnap snap --script={typed}");
        let mut command = setup.command("bash");
        command.args(["-c", BASH, "bash", &line]);
        command.args(line.replace('=', " = ").split(' '));
        let (_, offered, stderr) = run(&mut command);
        assert_eq!(offered.trim_end(), expected, "{name}: {stderr}");
        let quote = typed
            .chars()
            .next()
            .filter(|letter| "'\"".contains(*letter));
        let quote = quote.map(String::from).unwrap_or_default();
        let mut command = setup.command("bash");
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
    let setup = Setup::new();
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
            "--max-parallel-per-node\tGuests per node [default: 2]\n",
        ),
    ] {
        let mut command = setup.command("fish");
        command.args(["-c", FISH, &setup.line(line)]);
        assert_eq!(run(&mut command).1, expected, "{line}");
    }
}

#[test]
fn zsh_completes_values() {
    if !is_installed("zsh") {
        return;
    }
    let setup = Setup::new();
    for (line, expected) in [
        ("cv4pve-autosnap @FILE snap --vmid=@p", "pool-prod"),
        (
            "cv4pve-autosnap @FILE snap --vmid=100,@ta",
            "@tag-blue @tag-web",
        ),
        ("cv4pve-autosnap --host=h st", "status"),
    ] {
        let mut command = setup.command("zsh");
        command.args(["-f", "-c", ZSH, "zsh"]);
        command.args(setup.line(line).split(' '));
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
