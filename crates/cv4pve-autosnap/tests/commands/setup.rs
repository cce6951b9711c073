// SPDX-License-Identifier: GPL-3.0-only
//! `setup` prints shell commands and writes a parameter file that the program can read.

use std::process::Command;

use crate::support::{SECRET, cluster, host, program, run};

#[test]
fn the_output_is_a_shell_script() {
    let (status, stdout, stderr) = run(program().args(["setup", "--path=/pool/prod,/vms/100"]));
    assert_eq!((status, stderr.as_str()), (0, ""));
    let folder = tempfile::tempdir().unwrap();
    // `pveum` only prints its arguments, and no folder or file is created.
    let script =
        format!("pveum() {{ echo \"$@\"; }}; mkdir() {{ :; }}; touch() {{ :; }}\n{stdout}");
    let output = Command::new("/bin/sh")
        .current_dir(folder.path())
        .args(["-eu", "-c", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let called = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = called.lines().collect();
    assert_eq!(
        lines[0],
        "role add Autosnap --privs VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit"
    );
    let last = "acl modify /storage --tokens autosnap@pve!autosnap --roles Autosnap";
    assert_eq!(lines.last(), Some(&last), "{called}");
}

#[test]
fn the_parameter_file_works_and_is_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (
        folder.path().join("a b").join("nightly.conf"),
        folder.path().join("the token"),
    );
    let (write, token_file) = (
        format!("--write={}", file.display()),
        format!("--token-file={}", token.display()),
    );
    let hosts = format!("--host={}", host(&simulator));
    let options = [
        "setup",
        "--user=backup@pve",
        "--token-id=auto",
        &write,
        &token_file,
        &hosts,
    ];
    let (status, stdout, stderr) = run(program().args(options));
    assert_eq!(status, 0, "{stderr}");
    let expected = format!("# Written: {}\n", file.display());
    assert!(stdout.contains(&expected), "{stdout}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&token, format!("backup@pve!auto={SECRET}\n")).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let parameters = format!("@{}", file.display());
    let (status, stdout, stderr) = run(program().args([&parameters, "status", "--output=json"]));
    assert!(
        stderr.contains("VM 105 is not shown: node pve2 is offline"),
        "{stderr}"
    );
    assert_eq!(status, 1, "{stdout}{stderr}");
    let (status, _, stderr) = run(program().args(options));
    assert_eq!(status, 1);
    assert!(stderr.contains("hint: it is not overwritten"), "{stderr}");
}

/// The service of the timer needs only the file that `setup --write` writes, regardless of the
/// working directory: it contains the label, the number to keep and the paths.
#[test]
fn the_timer_can_run_the_written_file() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let hosts = format!("--host={}", host(&simulator));
    let (status, stdout, stderr) = run(program().current_dir(folder.path()).args([
        "setup",
        "--user=backup@pve",
        "--token-id=auto",
        "--path=/vms/100",
        "--write=nightly.conf",
        &hosts,
    ]));
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    let token_file = folder.path().join("token");
    for expected in [
        "label nightly (the name of the file), keep 7, guests 100".to_owned(),
        format!(
            "# Written: {}\n",
            folder.path().join("nightly.conf").display()
        ),
        format!("touch '{}'", token_file.display()),
    ] {
        assert!(stdout.contains(&expected), "{expected} in\n{stdout}");
    }
    // As systemd does: copies of the two files, and the command line of the unit.
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::copy(
        folder.path().join("nightly.conf"),
        credentials.join("job.conf"),
    )
    .unwrap();
    std::fs::write(
        credentials.join("api-token"),
        format!("backup@pve!auto={SECRET}\n"),
    )
    .unwrap();
    let unit = include_str!("../../../../packaging/systemd/cv4pve-autosnap@.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/cv4pve-autosnap "));
    let line = line
        .unwrap()
        .replace("${CREDENTIALS_DIRECTORY}", credentials.to_str().unwrap());
    let mut service = program();
    service
        .current_dir("/")
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .args(line.split(' '));
    let (status, stdout, stderr) = run(&mut service);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains("Label:            nightly"), "{stdout}");
    let taken = simulator.world(|world| {
        world.guests[&100]
            .snapshots
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    });
    assert!(
        taken.iter().any(|name| name.starts_with("autonightly")),
        "{taken:?}"
    );
    // Without systemd the token is read from the file that the parameter file names.
    std::fs::write(&token_file, format!("backup@pve!auto={SECRET}\n")).unwrap();
    let parameters = format!("@{}", folder.path().join("nightly.conf").display());
    let (status, stdout, stderr) =
        run(program()
            .current_dir("/")
            .args([&parameters, "snap", "--dry-run"]));
    assert_eq!(status, 0, "{stdout}{stderr}");
}

/// For a file in the folder of the timers, the command that enables its timer is printed.
#[test]
fn the_command_that_enables_the_timer_is_printed() {
    use clap::Parser as _;
    use cv4pve_autosnap::args::{Cli, Command};

    for (file, timer) in [
        (
            "/etc/cv4pve-autosnap/daily.conf",
            "#   systemctl enable --now cv4pve-autosnap@daily.timer\n",
        ),
        (
            "/etc/cv4pve-autosnap/prod.conf",
            "#   systemctl edit cv4pve-autosnap@prod.timer\n",
        ),
        (
            "/srv/daily.conf",
            "# The timers of the packages run the files in /etc/cv4pve-autosnap",
        ),
    ] {
        let write = format!("--write={file}");
        let line = ["cv4pve-autosnap", "setup", "--host=pve1", &write];
        let Command::Setup(args) = Cli::parse_from(line).command else {
            panic!("another command");
        };
        let text = cv4pve_autosnap::commands::setup::commands(
            &cv4pve_autosnap::commands::setup::Plan::read(&args).unwrap(),
        );
        assert!(text.contains(timer), "{text}");
    }
}

#[test]
fn usage_errors_are_reported_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.conf");
    let write = format!("--write={}", file.display());
    for options in [
        &["setup", &write][..],
        &["setup", &write, "--host=pve1", "--user=no-realm"],
        &["setup", &write, "--host=pve1", "--path=/nodes/pve1"],
        &["setup", &write, "--host=https://pve1"],
        &["setup", "--write=a b.conf", "--host=pve1"],
    ] {
        let (status, stdout, _) = run(program().args(options));
        assert_eq!((status, stdout.as_str()), (2, ""), "{options:?}");
        assert!(!file.exists());
    }
}

/// Runs the output of `setup --policy-tags` with this `datacenter.cfg`; returns the options that it sets.
fn set_options(config: &str) -> Vec<String> {
    let (status, stdout, stderr) = run(program().args(["setup", "--policy-tags=gold,silver"]));
    assert_eq!((status, stderr.as_str()), (0, ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("datacenter.cfg");
    std::fs::write(&file, config).unwrap();
    let script = stdout.replace("/etc/pve/datacenter.cfg", file.to_str().unwrap());
    let script = format!("pvesh() {{ printf '%s\\n' \"$*\"; }}\n{script}");
    let mut shell = Command::new("/bin/sh");
    let output = shell.args(["-eu", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let called = String::from_utf8(output.stdout).unwrap();
    let called = called.lines().map(|line| {
        let option = line.strip_prefix("set /cluster/options --");
        option.unwrap().to_owned()
    });
    called.collect()
}

#[test]
fn policy_tags_are_added_to_the_registered_ones_and_their_colors() {
    let new = "autosnap-gold;autosnap-silver;autosnap-off";
    let options = set_options("keyboard: de\n");
    assert_eq!(options[0], format!("registered-tags {new}"));
    let map =
        "autosnap-off:616161:ffffff;autosnap-silver:a8b0b8:000000;autosnap-gold:d4a017:000000";
    assert_eq!(options[1], format!("tag-style color-map={map}"));
    // Tags, colors and other styles that are there stay.
    let config = "registered-tags: prod;web\ntag-style: shape=full,color-map=prod:ff0000;web:00ff00:000000,ordering=config\n";
    assert_eq!(
        set_options(config),
        [
            format!("registered-tags prod;web;{new}"),
            format!(
                "tag-style shape=full,color-map={map};prod:ff0000;web:00ff00:000000,ordering=config"
            ),
        ]
    );
    // Without a color map, and with a color that the administrator has chosen.
    let config = "tag-style: case-sensitive=1\nregistered-tags: autosnap-gold";
    assert_eq!(
        set_options(config),
        [
            format!("registered-tags {new}"),
            format!("tag-style color-map={map},case-sensitive=1"),
        ]
    );
    let config = "tag-style: color-map=x:ffffff;autosnap-gold:123456\n";
    assert_eq!(
        set_options(config)[1],
        "tag-style color-map=autosnap-off:616161:ffffff;autosnap-silver:a8b0b8:000000;x:ffffff;autosnap-gold:123456"
    );
}

#[test]
fn policy_tags_can_be_registered_twice() {
    let first = set_options("");
    let config = first.iter().map(|option| option.replacen(' ', ": ", 1));
    let config = config.collect::<Vec<_>>().join("\n");
    assert_eq!(set_options(&config), first);
}

#[test]
fn policy_tags_exclude_the_options_of_a_job() {
    let (status, _, stderr) = run(program().args(["setup", "--policy-tags=gold", "--host=pve1"]));
    assert_eq!(status, 2);
    assert!(stderr.contains("--policy-tags"), "{stderr}");
    let (status, _, stderr) = run(program().args(["setup", "--policy-tags=go ld"]));
    assert_eq!(status, 2);
    assert!(stderr.contains("invalid name 'go ld'"), "{stderr}");
}
