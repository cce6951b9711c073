// SPDX-License-Identifier: GPL-3.0-only
//! Malformed command lines: arguments that belong to no option, options and commands of other
//! tools, wrong dashes. Each is refused with a message that names the mistake and a hint that can
//! be pasted.

use crate::harness::{Lab, Output};
use crate::world::{World, vm};

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]))
}

/// Fails unless every line is refused with its message and hint.
#[track_caller]
fn check(lab: &Lab, lines: &[(&str, &str, &str)]) {
    for (line, message, hint) in lines {
        let output = lab.bare(line.split(' '));
        output.assert_status(2).assert_err(message).assert_err(hint);
        // For `snap` and `clean` the error is also on stdout.
        assert_eq!(
            output.lines("").len(),
            output.lines("ERROR: ").len(),
            "{line}"
        );
    }
    assert_eq!(lab.simulator.journal().requests(), []);
}

/// The beginning of a valid line.
fn snap(lab: &Lab) -> String {
    format!(
        "--host={} --api-token=file:token snap --label=daily --keep=1",
        lab.host()
    )
}

/// The hint joins separate values into one list, and quotes values that contain spaces.
#[test]
fn arguments_after_a_value_are_explained() {
    let lab = lab();
    let snap = snap(&lab);
    let line = |rest: &str| format!("{snap} {rest}");
    check(
        &lab,
        &[
            (
                &line("--vmid 100 101"),
                "unexpected argument '101' after '--vmid'",
                "separated by commas: --vmid=100,101 (see: cv4pve-autosnap snap --help",
            ),
            (
                &line("--vmid=100 101"),
                "unexpected argument '101'",
                "--vmid=100,101 (",
            ),
            (
                &line("--vmid 100, 101"),
                "unexpected argument '101'",
                "--vmid=100,101 (",
            ),
            (
                "--vmid 100 101 --host=h",
                "unknown command '101'",
                "--vmid=100,101 (",
            ),
            (
                "status --host h1 h2",
                "'h2' after '--host'",
                "--host=h1,h2 (see: cv4pve-autosnap status --help",
            ),
            (
                "snap --vmid=100 --label my label",
                "unexpected argument",
                "Quote values that contain spaces",
            ),
            (
                &line("--vmid=100 --state maybe"),
                "after '--state'",
                "takes only true or false as value",
            ),
            (
                &line("--vmid=100 --state=maybe"),
                "invalid value 'maybe' for '--state': expected true or false",
                "snap --help",
            ),
            (
                &line("--vmid=100 --wait-locked soon"),
                "after '--wait-locked'",
                "such as --wait-locked=30m",
            ),
        ],
    );
}

/// All durations accept units, plain numbers are seconds, and `--wait-locked` accepts a separate
/// value.
#[test]
fn all_durations_accept_units() {
    let lab = lab();
    let own = "--vmid=100 snap --label=daily --keep=9 --dry-run";
    let expected = lab.run(&format!("{own} --timeout=300 --wait-locked=30m"));
    expected.assert_status(0);
    for args in [
        "--timeout=5m --wait-locked 30m",
        "--timeout 300s --wait-locked=1800",
        "--wait-locked: 1800 --timeout:300",
        "--timeout=300 --wait-locked 30m --hook-timeout=1h --overlap-timeout=90s --removal-budget=3600",
    ] {
        let output = lab.run(&format!("{own} {args}"));
        assert_eq!(output.assert_status(0), &expected, "{args}");
    }
    lab.run("--vmid=100 snap --label=daily --keep=9 --wait-locked 30m")
        .assert_status(0);
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// Long and single dashes are explained with the correct option, and the help is not printed.
#[test]
fn wrong_dashes_are_explained() {
    let lab = lab();
    let snap = snap(&lab);
    let line = |rest: &str| format!("{snap} {rest}");
    check(
        &lab,
        &[
            (&line("–vmid=100"), "unexpected argument", "the long dash"),
            (
                &line("–vmid=100"),
                "unexpected argument",
                "two hyphens: --vmid (see: cv4pve-autosnap snap --help",
            ),
            (
                &line("--vmid=100 —dry-run"),
                "unexpected argument",
                "two hyphens: --dry-run",
            ),
            (
                &line("--vmid=100 −dryrun"),
                "unexpected argument",
                "two hyphens: --dry-run",
            ),
            (
                &line("--vmid=100 -dry-run"),
                "unknown option '-dry-run'",
                "two hyphens: --dry-run",
            ),
            (
                "-host=h --vmid=100 snap",
                "unknown option '-host'",
                "two hyphens: --host",
            ),
            (
                "-help",
                "unknown option '-help'",
                "options begin with two hyphens",
            ),
            (
                "-vmid 100 --host=h snap",
                "unknown option '-vmid'",
                "two hyphens: --vmid",
            ),
            (
                "status -only-running",
                "unknown option '-only-running'",
                "two hyphens: --only-running",
            ),
            (
                &line("--vmid=100 -hV"),
                "unexpected argument",
                "snap --help",
            ),
            (
                &line("--vmid=100 —password=correct-horse"),
                "unexpected argument",
                "two hyphens: --password",
            ),
        ],
    );
    lab.run("--vmid=100 status -oCsv")
        .assert_status(0)
        .assert_out(",autodaily240101000000,");
}

/// A file name without `@`, and paths with a `~` that no shell expands.
#[test]
fn files_without_an_at_sign_and_paths_with_a_tilde_are_explained() {
    let lab = lab();
    lab.file("nightly", "--vmid=100");
    lab.file("tilde.conf", "--vmid=100\n--api-token=file:~/token\n");
    lab.file("inner.conf", "--vmid=100\n@~/other.conf\n");
    let own = "snap --host=h --label=daily --keep=1 --vmid=100";
    check(
        &lab,
        &[
            (
                "d.conf snap",
                "unexpected argument 'd.conf'",
                "from the file: @d.conf (see: cv4pve-autosnap snap --help",
            ),
            (
                "snap nightly --host=h",
                "unexpected argument 'nightly'",
                "from the file: @nightly",
            ),
            (
                "d.conf",
                "unknown command 'd.conf'",
                "from the file: @d.conf",
            ),
            (
                &format!("{own} --api-token=file:~/token"),
                "the path of '--api-token' begins with ~",
                "write --api-token=file:\"$HOME/",
            ),
            (
                &format!("{own} --username=root@pam --password=file:~/pw"),
                "the path of '--password' begins with ~",
                "$HOME",
            ),
            (
                &format!("{own} --api-token=file:token --script=~/hook.sh"),
                "the path of '--script' begins with ~",
                "$HOME",
            ),
            (
                &format!("{own} --api-token=file:token --ca-file=~/ca.pem"),
                "the path of '--ca-file' begins with ~",
                "$HOME",
            ),
            (
                "snap @~/daily.conf",
                "~/daily.conf does not exist",
                "a shell does not expand ~ after @",
            ),
            (
                "snap @tilde.conf",
                "the path of '--api-token' in line 2 of tilde.conf begins with ~",
                "write the whole path",
            ),
            (
                "snap @inner.conf",
                "~/other.conf (named in line 2 of inner.conf) does not exist",
                "write the whole path",
            ),
        ],
    );
}

/// Commands of other tools are explained; a suggested option is similar, not hidden, and valid for
/// the command.
#[test]
fn commands_and_options_of_other_tools_are_explained() {
    let lab = lab();
    check(
        &lab,
        &[
            (
                "delete --host=h",
                "unknown command 'delete'",
                "clean removes the snapshots of a label",
            ),
            (
                "rollback 100",
                "unknown command 'rollback'",
                "qm rollback VMID NAME",
            ),
            (
                "list --host=h",
                "unknown command 'list'",
                "status lists the snapshots",
            ),
            ("version", "unknown command 'version'", "write --version"),
            (
                "--host=h unhold 100 autodaily",
                "unknown command 'unhold'",
                "release removes a hold",
            ),
            (
                "--host=h hold 100 autodaily --for=30d",
                "'hold' does not use '--for'",
                "hint: write --until=30d",
            ),
            (
                "--host=h expire 100 autodaily 14d",
                "unexpected argument '14d'",
                "hint: write --in=14d",
            ),
            (
                "--host=h --vmid=100 status --held",
                "unknown option '--held'",
                "status shows marks in the column DESCRIPTION",
            ),
            (
                "--host=h destroy --vmid=100",
                "unknown command 'destroy'",
                "remove it there",
            ),
            (
                "stauts --host=h",
                "unknown command 'stauts'",
                "did you mean status? see: cv4pve-autosnap --help",
            ),
            (
                "snap --lable=x",
                "unknown option '--lable'",
                "did you mean --label? see: cv4pve-autosnap snap --help",
            ),
            (
                "snap --usernam=x",
                "unknown option '--usernam'",
                "did you mean --username?",
            ),
            (
                "snap --syslog",
                "unknown option '--syslog'",
                "logger --tag cv4pve-autosnap",
            ),
            (
                "snap --vmstate",
                "unknown option '--vmstate'",
                "--state saves the RAM",
            ),
            (
                "snap --keep=-1",
                "invalid value '-1' for '--keep <N>'",
                "-1 (keep all, in eve4pve-autosnap) is now --keep-all",
            ),
            (
                "clean --vmid=100 --label",
                "a value is required for '--label <LABEL>'",
                "see: cv4pve-autosnap clean --help",
            ),
        ],
    );
    for line in [
        "compelte",
        "manul",
        "snap --foo",
        "snap --fro=snap",
        "snap --log-levle=x",
        "status --hookfailure=x",
    ] {
        let output = lab.bare(line.split(' '));
        output.assert_status(2).assert_err("unknown ");
        output
            .assert_not_printed("did you mean")
            .assert_not_printed("similar");
    }
    lab.bare("snap --output=Xml".split(' '))
        .assert_status(2)
        .assert_not_printed("similar");
}

/// Runs `snap` with a parameter file with this content.
fn with_file(lab: &Lab, content: &str) -> Output {
    lab.file("job.conf", content);
    lab.bare(["snap", "@job.conf"])
}

/// Every error in a parameter file is reported with the file and the line.
#[test]
fn errors_in_a_parameter_file_name_the_line() {
    let lab = lab();
    let own = "--host=h\n--vmid=100\n--api-token=file:token\n# the fifth line\n";
    let rest = "\n--label=daily\n--keep=3\n";
    for (line, message) in [
        (
            "--lable=daily",
            "unknown option '--lable' in line 5 of job.conf",
        ),
        ("-state", "unknown option '-state' in line 5 of job.conf"),
        (
            "--timeout=5 minutes",
            "unexpected argument in line 5 of job.conf",
        ),
        ("--timeout=soon", "'--timeout <TIME>' in line 5 of job.conf"),
        (
            "--state=maybe",
            "'--state' in line 5 of job.conf: expected true or false",
        ),
        (
            "--script=missing.sh",
            "--script in line 5 of job.conf: hook script <folder>/missing.sh",
        ),
        (
            "--script-hook=missing.sh",
            "--script in line 5 of job.conf: hook script <folder>/missing.sh",
        ),
        (
            "--timestamp-format=dd/MM",
            "--timestamp-format in line 5 of job.conf: ",
        ),
        (
            "--also-format=dd/MM",
            "--also-format in line 5 of job.conf: ",
        ),
        ("--fingerprint=AA", "--fingerprint in line 5 of job.conf: "),
        (
            "--output",
            "'--output <FORM>' but none was supplied in line 5 of job.conf",
        ),
        (
            "--dry-run false",
            "'--dry-run false' in line 5 of job.conf contradicts itself",
        ),
        ("\"--state", "no closing quote in line 5"),
    ] {
        let output = with_file(&lab, &format!("{own}{line}{rest}"));
        output.assert_status(2).assert_err(message);
    }
    for (content, message) in [
        (
            "--host=\n--vmid=100\n--label=d\n--keep=1\n--api-token=file:token",
            "--host in line 1 of job.conf: empty host name",
        ),
        (
            "--host=h\n--label=\n--keep=1\n--vmid=100",
            "--label in line 2 of job.conf: the label is empty",
        ),
        (
            "--host=h\n--label=a$\n--keep=1\n--vmid=100",
            "--label in line 2 of job.conf: invalid label `a$`",
        ),
        (
            "--host=h\n--label=d\n--keep=1\n--vmid=100\n--api-token=file:none",
            "--api-token in line 5 of job.conf: secret file none",
        ),
        (
            "--host=h\n--label=d\n--keep=1\n--vmid=100\n--username=a\n--password=file:none",
            "--password in line 6 of job.conf: password file none",
        ),
    ] {
        with_file(&lab, content)
            .assert_status(2)
            .assert_err(message);
    }
    assert_eq!(lab.simulator.journal().requests(), []);
}

/// An option without dashes, spaces around `=`, and a second command are explained.
#[test]
fn missing_dashes_spaces_around_equals_and_second_commands_are_explained() {
    let lab = lab();
    let own = "snap --host=h --label=daily --vmid=100";
    check(
        &lab,
        &[
            (
                &format!("{own} --keep=2 only-running=true"),
                "unexpected argument after '--keep'",
                "two hyphens: --only-running (",
            ),
            (
                &format!("{own} --keep = 2"),
                "invalid value '=' for '--keep <N>'",
                "remove the spaces around =: --keep=VALUE",
            ),
            (
                "snap --host=h --keep=2 --vmid = 100 --label=daily",
                "unexpected argument '100' after '--vmid'",
                "remove the spaces around =: --vmid=VALUE",
            ),
            (
                &format!("{own} --keep=2 clean"),
                "unexpected argument 'clean' after '--keep'",
                "the line already has a command: snap (",
            ),
        ],
    );
    lab.file("job.conf", "--host=h\nsnap\n--label=daily\n--keep=2\n");
    lab.bare(["@job.conf", "status"])
        .assert_status(2)
        .assert_err("unexpected argument 'status'")
        .assert_err("the line already has a command: snap in line 2 of job.conf");
    with_file(&lab, "--host=h\nvmid=100\n--label=daily\n")
        .assert_status(2)
        .assert_err("unexpected argument in line 2 of job.conf")
        .assert_err("two hyphens: --vmid");
    // Parts of a secret are not matched against option names.
    lab.bare("snap --host=h --password=correct keep=horse".split(' '))
        .assert_status(2)
        .assert_not_printed("--keep");
}
