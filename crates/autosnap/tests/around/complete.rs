// SPDX-License-Identifier: GPL-3.0-only
//! What the Tab key offers where a cluster is named, and that nobody is bothered where it is not.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use pve_sim::simulator::Simulator;
use tempfile::TempDir;

use crate::support::{SECRET, cluster_of, forget_logins, host, run, run_with, world};

/// Calls the function as bash does, which has cut the line at `=`, `:` and `@`.
#[cfg(target_os = "linux")]
const BASH: &str = r#"
    eval "$(command cv4pve-autosnap completions bash)"
    COMP_LINE=$1; COMP_POINT=${#1}; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    case ${COMP_WORDS[COMP_CWORD]} in [=@:]) cursor= ;; *) cursor=${COMP_WORDS[COMP_CWORD]#[\'\"]} ;; esac
    _cv4pve_autosnap cv4pve-autosnap "$cursor" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[*]}""#;

/// Without the completions of a package that may be installed.
#[cfg(target_os = "linux")]
const FISH: &str = "
    set fish_complete_path
    command cv4pve-autosnap completions fish | source
    complete --do-complete $argv";

/// With the commands that only an editor at a terminal has put in place by a test's.
#[cfg(target_os = "linux")]
const ZSH: &str = r#"
    compdef() { }
    compset() { PREFIX=${PREFIX##*[=:,]} }
    compadd() { print -r -- "${(P)@[-1]}" }
    eval "$(command cv4pve-autosnap completions zsh)"
    words=("$@"); CURRENT=$#; PREFIX=$words[CURRENT]
    _cv4pve-autosnap"#;

/// A cluster with groups of guests, and a parameter file that names it.
struct Stage {
    simulator: Simulator,
    folder: TempDir,
}

impl Stage {
    fn set() -> Self {
        let mut world = world();
        world["pools"] = serde_json::json!([{"poolid": "prod", "guests": [100]}]);
        world["guests"][0]["config"]["tags"] = "web;blue".into();
        world["guests"][0]["snapshots"] = serde_json::json!([
            {"name": "autonightly260101000000", "snaptime": 1_767_225_600, "description": "cv4pve-autosnap"},
            {"name": "byhand", "snaptime": 1_767_225_700, "description": ""},
        ]);
        let stage = Self {
            simulator: cluster_of(world),
            folder: tempfile::tempdir().unwrap(),
        };
        let token = stage.folder.path().join("token");
        std::fs::write(&token, format!("backup@pve!auto={SECRET}")).unwrap();
        let options = format!(
            "--host={},pve9 --label=fromfile\n\"--api-token=file:{}\" --vmid=@all\n",
            host(&stage.simulator),
            token.display()
        );
        std::fs::write(stage.file(), options).unwrap();
        stage
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("job.conf")
    }

    /// The line with `FILE` for the parameter file; none of the variables of this process counts.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let binary = assert_cmd::cargo::cargo_bin!("cv4pve-autosnap");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env(
                "PATH",
                format!("{}:{path}", binary.parent().unwrap().display()),
            )
            .env("CONFIGURATION_DIRECTORY", self.folder.path())
            .env("HOME", self.folder.path())
            // A machine that is busy must not make a difference.
            .env("CV4PVE_COMPLETE_PATIENCE", "60000")
            .current_dir(self.folder.path());
        forget_logins(&mut command);
        command
    }

    /// What the program offers, in one line.
    fn offered(&self, line: &str) -> String {
        self.offered_by(self.command("cv4pve-autosnap"), line)
    }

    /// The same of one with settings of its own.
    fn offered_by(&self, mut command: Command, line: &str) -> String {
        let words: Vec<String> = self
            .line(line)
            .split(' ')
            .map(|word| format!("{word}\0"))
            .collect();
        let (status, stdout, stderr) = run_with(command.arg("complete"), &words.concat());
        assert_eq!((status, stderr.as_str()), (0, ""), "{line}");
        let words = stdout.lines().map(|line| line.split('\t').next().unwrap());
        words.collect::<Vec<_>>().join(" ")
    }

    fn line(&self, line: &str) -> String {
        line.replace("FILE", &self.file().display().to_string())
    }
}

#[test]
fn guests_and_their_groups_are_offered() {
    let stage = Stage::set();
    for (line, expected) in [
        ("@FILE snap --vmid=@p", "--vmid=@pool-prod"),
        ("@FILE snap --vmid @t", "@tag-blue @tag-web"),
        (
            "snap @FILE --vmid=@all,-@n",
            "--vmid=@all,-@node-pve1 --vmid=@all,-@node-pve2",
        ),
        ("@FILE snap --vmid=100,WEB", "--vmid=100,web01"),
        ("@FILE status --vmid=105", "--vmid=105"),
    ] {
        assert_eq!(stage.offered(line), expected, "{line}");
    }
}

#[test]
fn labels_hosts_and_files_are_offered() {
    let stage = Stage::set();
    for (line, expected) in [
        ("@FILE snap --label=n", "--label=nightly"),
        ("snap --label f", "fromfile"),
        ("@FILE snap --label=b", ""),
        ("snap --host=127.0.0.1,pv", "--host=127.0.0.1,pve9"),
        ("snap @jo", "@job.conf"),
        ("snap --api-token=file:to", "--api-token=file:token"),
    ] {
        assert_eq!(stage.offered(line), expected, "{line}");
    }
    assert!(stage.offered("").ends_with(&stage.line("@FILE")));
}

#[test]
fn nobody_is_bothered_when_something_is_wrong() {
    let stage = Stage::set();
    for login in [
        format!(
            "--host={} --api-token=a@pve!b={SECRET}",
            host(&stage.simulator)
        ),
        format!("--host={} --api-token=file:missing", host(&stage.simulator)),
        format!(
            "--host={} --username=backup@pve --password=file:new",
            host(&stage.simulator)
        ),
        "@missing.conf".to_owned(),
    ] {
        let offered = stage.offered(&format!("{login} snap --vmid=@p"));
        assert_eq!(offered, "--vmid=@pool-", "{login}");
    }
    assert!(!stage.folder.path().join("new").exists());
    let mut offline = stage.command("cv4pve-autosnap");
    offline.env("CV4PVE_COMPLETE_OFFLINE", "1");
    let offered = stage.offered_by(offline, "@FILE --vmid=@p");
    assert_eq!(offered, "--vmid=@pool-");
    // Accepts and never answers: nobody waits for it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let mut patient = stage.command("cv4pve-autosnap");
    patient.env_remove("CV4PVE_COMPLETE_PATIENCE");
    let line = format!("--host={silent} --api-token=a@pve!b={SECRET} snap --vmid=@p");
    assert_eq!(stage.offered_by(patient, &line), "--vmid=@pool-");
}

/// Every user may read the arguments of a process. A function takes the place of the program and notes
/// what it is given.
#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
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
            "Text Html Markdown Json JsonPretty Jsonl Yaml Csv",
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
#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
fn is_installed(shell: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(shell).exists())
}
