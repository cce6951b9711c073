// SPDX-License-Identifier: GPL-3.0-only
//! Spellings that the C# tool accepts and that crontabs, scripts and parameter files have.

use crate::harness::{Lab, Output};
use crate::world::{World, vm};

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]))
}

/// A dry run of `snap` with these arguments.
fn plan(lab: &Lab, arguments: &[&str]) -> Output {
    let own = ["--vmid=100", "snap", "--label=daily", "--dry-run"];
    lab.call(own.into_iter().chain(arguments.iter().copied()))
}

/// White space around numbers, booleans, enums and durations is trimmed, such as the CR of a script
/// with Windows line endings.
#[test]
fn white_space_around_values_other_than_text_is_ignored() {
    let lab = lab();
    for (odd, plain) in [
        (
            ["--keep=2\r", "--debug=false"],
            ["--keep=2", "--debug=false"],
        ),
        (["--keep", " 2 "], ["--keep", "2"]),
        (["--state=true\r", "--keep=2"], ["--state", "--keep=2"]),
        (["--state= True ", "--keep:2\t"], ["--state", "--keep=2"]),
        (
            ["--timeout= 60\r", "--keep=2"],
            ["--timeout=60", "--keep=2"],
        ),
        (
            ["--wait-locked=10m\r", "--keep=2"],
            ["--wait-locked=10m", "--keep=2"],
        ),
        (
            ["--max-perc-storage=90\r", "--keep=2"],
            ["--max-perc-storage=90", "--keep=2"],
        ),
    ] {
        let expected = plan(&lab, &plain);
        expected
            .assert_status(0)
            .assert_out("autodaily240102000000");
        assert_eq!(plan(&lab, &odd), expected, "{odd:?}");
    }
    lab.call(["--vmid=100", "status", "--output=Csv\r"])
        .assert_status(0)
        .assert_out(",autodaily240101000000,");
    lab.call([
        "--vmid=100",
        "snap",
        "--label=daily",
        "--state",
        "false\r",
        "--keep=9\r",
    ])
    .assert_status(0);
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// A text keeps its white space: labels and paths are taken as they are.
#[test]
fn white_space_of_texts_stays() {
    let lab = lab();
    for argument in ["--label=daily\r", "--script=hook.sh\r"] {
        let own = ["--vmid=100", "clean", "--keep=0", argument];
        let label = (!argument.starts_with("--label")).then_some("--label=daily");
        lab.call(own.into_iter().chain(label)).assert_status(2);
    }
    lab.assert_unchanged();
}

/// Empty parts and spaces in `--host` are ignored: `$A,$B` with an unset B.
#[test]
fn empty_parts_and_spaces_in_hosts_are_ignored() {
    let lab = lab();
    let host = lab.host();
    let spaced = host.replace(':', " : ");
    for hosts in [
        format!("{host},"),
        format!(",{host}"),
        format!(" {host} , , "),
        format!("{spaced}\r"),
    ] {
        lab.bare([
            &format!("--host={hosts}"),
            "--api-token=file:token",
            "--vmid=100",
            "status",
        ])
        .assert_status(0)
        .assert_out("autodaily240101000000");
    }
    for hosts in ["", ",", " , "] {
        lab.bare([
            &format!("--host={hosts}"),
            "--api-token=file:token",
            "--vmid=100",
            "status",
        ])
        .assert_status(2)
        .assert_err("empty host name");
    }
}

/// With nothing after `=` or `:` the next word is the value, also across two lines of a file.
#[test]
fn the_next_word_is_the_value_where_none_is_joined() {
    let lab = lab();
    for args in [
        "--vmid: 100 snap --label: daily --keep: 2 --dry-run",
        "--vmid= 100 snap --label= daily --keep= 2 --dry-run",
        "--vmid= 100 --dry-run= true snap --label= daily --keep= 2",
    ] {
        lab.run(args)
            .assert_status(0)
            .assert_out("autodaily240102000000");
    }
    lab.file(
        "job.conf",
        "--vmid=\n100\n--label:\n\tdaily\n--keep=\n# seven\n2\n",
    );
    lab.run("@job.conf snap --dry-run")
        .assert_status(0)
        .assert_out("autodaily240102000000");
    lab.assert_unchanged();
}

/// A selection in the word after `--vmid=` or `--vmid:` is not a parameter file, as after `--vmid`.
#[test]
fn a_selection_in_the_next_word_is_not_a_parameter_file() {
    let lab = lab();
    lab.file("all", "--dry-run\n");
    for args in ["--vmid @all", "--vmid= @all", "--vmid: @all"] {
        lab.run(&format!("{args} snap --label=daily --keep=2 --dry-run"))
            .assert_status(0)
            .assert_out("autodaily240102000000");
    }
    lab.file("job.conf", "--vmid=\n@all\n");
    lab.run("@job.conf snap --label=daily --keep=2 --dry-run")
        .assert_status(0)
        .assert_out("autodaily240102000000");
    lab.assert_unchanged();
}

/// A known option, `--` or the command is never the value of an option without one.
#[test]
fn no_option_and_no_command_becomes_a_value() {
    let lab = lab();
    for args in [
        "--vmid=100 snap --label= --keep=9",
        "--vmid=100 snap --keep=9 --label:",
        "--vmid= snap --label=daily --keep=9",
        "--label=daily --keep=9 --vmid=100 --script= snap",
        "--vmid=100 snap --label=daily --keep= --state",
        "--vmid=100 snap --label=daily --keep=9 --script= --",
        "--vmid=100 clean --label=daily --keep=0 --dry-run= false",
    ] {
        lab.run(args).assert_status(2);
    }
    lab.assert_unchanged();
}

/// A flag with nothing after `=` is true.
#[test]
fn a_flag_with_nothing_after_the_sign_is_true() {
    let lab = lab();
    for flag in ["--dry-run=", "--dry-run:"] {
        let args = format!("--vmid=100 {flag} clean --label=daily --keep=0");
        lab.run(&args).assert_status(0);
    }
    let own = "--vmid=100 snap --label=daily --keep=2 --dry-run";
    let with_ram = lab.run(&format!("{own} --state"));
    assert_eq!(lab.run(&format!("{own} --state=")), with_ram);
    lab.assert_unchanged();
}

/// `--timeout` has no upper limit, and takes units.
#[test]
fn the_timeout_has_no_upper_limit() {
    let lab = lab();
    for (timeout, shown) in [
        ("86401", "86401 sec."),
        ("2147483647", "31622400 sec."),
        ("99999999999999999999999", "31622400 sec."),
        ("5m", "300 sec."),
    ] {
        lab.run(&format!(
            "--vmid=100 --timeout={timeout} clean --label=daily --keep=9"
        ))
        .assert_status(0)
        .assert_out(shown);
    }
    for timeout in ["0", "-1", "-5m", "soon"] {
        lab.run(&format!(
            "--vmid=100 --timeout={timeout} clean --label=daily --keep=0"
        ))
        .assert_status(2)
        .assert_err("--timeout");
    }
    lab.assert_unchanged();
}

/// `""` in a parameter file is an empty argument, and comments may have any bytes.
#[test]
fn parameter_files_have_empty_arguments_and_comments_of_any_encoding() {
    let lab = lab();
    lab.file(
        "job.conf",
        b"# caf\xe9, in Latin-1\r\n--vmid=100 --keep=2\r\n  # \xff\r\n--label \"\"\r\n",
    );
    lab.run("@job.conf status").assert_status(0);
    lab.run("@job.conf snap")
        .assert_status(2)
        .assert_err("label");
    lab.run("@job.conf snap --label=daily --dry-run")
        .assert_status(0)
        .assert_out("autodaily240102000000");
    lab.file("latin.conf", b"# caf\xe9\n--vmid=100\n--label=caf\xe9\n");
    lab.run("@latin.conf snap --keep=2")
        .assert_status(2)
        .assert_err("parameter file latin.conf is not UTF-8 in line 3; save it as UTF-8");
    lab.assert_unchanged();
}

/// The name of the program as the first word is ignored, as in `docker run IMAGE cv4pve-autosnap …`.
#[test]
fn the_own_name_as_the_first_word_is_ignored() {
    let lab = lab();
    let host = format!("--host={}", lab.host());
    for name in [
        "cv4pve-autosnap",
        "/usr/bin/cv4pve-autosnap",
        "cv4pve-autosnap.exe",
    ] {
        lab.bare([
            name,
            &host,
            "--api-token=file:token",
            "--vmid=100",
            "status",
        ])
        .assert_status(0)
        .assert_out("autodaily240101000000");
        lab.bare([name, "--version"])
            .assert_status(0)
            .assert_out("cv4pve-autosnap ");
    }
    lab.bare([&host, "--vmid=100", "cv4pve-autosnap", "status"])
        .assert_status(2);
}

/// `-?` is help, and help wins over mistakes.
#[test]
fn help_wins_over_mistakes() {
    let lab = lab();
    for (args, expected) in [
        ("-?", "Commands:"),
        ("snap -?", "--keep"),
        ("snap --label -?", "--keep"),
        ("snap --nope --keep=x --help", "--max-perc-storage"),
        ("snap @missing.conf --help", "--max-perc-storage"),
        ("snpa --help", "Commands:"),
        ("--keep=1 --keep=2 -h", "Commands:"),
        ("clean --label=a -h --dry-run false", "--keep"),
        ("snap -host=h -?", "--keep"),
    ] {
        let output = lab.bare(args.split(' '));
        output.assert_status(0).assert_out(expected);
        assert_eq!(output.stderr, "", "{args}");
    }
}
