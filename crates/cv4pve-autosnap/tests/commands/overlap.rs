// SPDX-License-Identifier: GPL-3.0-only
//! Two runs of the same label for the same guests on the same hosts; the hook of the first one
//! waits.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use pve_sim::simulator::Simulator;
use serde_json::Value;

use crate::support::{cluster, program_as, run};

fn snap(simulator: &Simulator, options: &[&str]) -> Command {
    let mut command = program_as("auto", simulator);
    let other_guests = options.iter().any(|option| option.starts_with("--vmid"));
    let vmid = (!other_guests).then_some("--vmid=100");
    command
        .args(["snap", "--label=overlap", "--keep=1"])
        .args(vmid)
        .args(options);
    command
}

/// A run that waits in its first hook until the test resumes it.
struct Waiting {
    child: Child,
    resume: PathBuf,
}

impl Waiting {
    fn start(simulator: &Simulator, folder: &Path) -> Self {
        let (begun, resume) = (folder.join("begun"), folder.join("go-on"));
        let script = folder.join("hook.sh");
        // Opening a named pipe for reading waits for a writer.
        for pipe in [&begun, &resume] {
            let mkfifo = Command::new("mkfifo").arg(pipe).status().unwrap();
            assert!(mkfifo.success());
        }
        let text = format!(
            "#!/bin/sh\n[ \"$CV4PVE_AUTOSNAP_PHASE\" = snap-job-start ] || exit 0\n: > '{}'\ncat '{}'\n",
            begun.display(),
            resume.display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let child = snap(simulator, &[&format!("--script={}", script.display())])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut nothing = String::new();
        std::fs::File::open(&begun)
            .unwrap()
            .read_to_string(&mut nothing)
            .unwrap();
        Self { child, resume }
    }

    fn end(mut self) {
        std::fs::write(&self.resume, "").unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn on_overlap_skips_fails_or_times_out_and_a_dry_run_ignores_it() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let first = Waiting::start(&simulator, folder.path());
    let who = format!("(pid {}, since ", first.child.id());

    let (status, stdout, stderr) = run(&mut snap(&simulator, &["--on-overlap=skip"]));
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(
        stdout.starts_with("nothing done: another run of this job is active (pid "),
        "{stdout}"
    );
    assert!(stdout.contains(&who), "{stdout}");

    let skip_as_json = ["--on-overlap=skip", "--output=Json"];
    let (status, stdout, _) = run(&mut snap(&simulator, &skip_as_json));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, &report["exit_status"]), (0, &Value::from(0)));
    assert!(report["error"].as_str().unwrap().contains(&who), "{stdout}");

    let (status, _, stderr) = run(&mut snap(&simulator, &["--on-overlap=fail"]));
    assert_eq!(status, 1);
    assert!(
        stderr.contains(&who) && stderr.contains("hint: "),
        "{stderr}"
    );

    let (status, _, stderr) = run(&mut snap(&simulator, &["--overlap-timeout=0"]));
    assert_eq!(status, 1);
    assert!(stderr.contains("did not end within 0s"), "{stderr}");

    let others = ["--on-overlap=fail", "--vmid=999999"];
    let (_, stdout, stderr) = run(&mut snap(&simulator, &others));
    assert!(!stderr.contains("another run"), "{stderr}");
    assert!(stdout.contains("'999999' NOT FOUND"), "{stdout}");

    let (status, _, stderr) = run(&mut snap(&simulator, &["--on-overlap=fail", "--dry-run"]));
    assert_eq!(status, 0, "{stderr}");
    assert!(simulator.journal().mutations().is_empty());
    first.end();
}

#[test]
fn a_killed_run_does_not_block_the_next_one() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let mut first = Waiting::start(&simulator, folder.path());
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    // Its hook still runs, and must not have inherited the lock.
    let (status, _, stderr) = run(&mut snap(&simulator, &["--on-overlap=fail"]));
    assert_eq!(status, 0, "{stderr}");
    // Opening a pipe for reading and writing does not wait: the hook may be gone.
    let mut pipe = std::fs::OpenOptions::new();
    let pipe = pipe.read(true).write(true).open(&first.resume).unwrap();
    (&pipe).write_all(b"\n").unwrap();
}

/// The lock file of a run, which names its owner.
fn lock_file_of(run: &Child) -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = [
        Some("/run/lock".into()),
        runtime,
        Some(std::env::temp_dir()),
    ];
    let folders = places
        .into_iter()
        .flatten()
        .map(|place| place.join(format!("cv4pve-autosnap-{user}")));
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    let holder = format!("process {} since ", run.id());
    let mut locks = files.map(|file| file.unwrap().path()).filter(|path| {
        // Files of other tests may be removed meanwhile.
        std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(&holder))
    });
    locks.next().unwrap()
}

/// A link in place of the lock file is not followed: the run continues without a lock and does not
/// try forever.
#[test]
fn a_link_in_place_of_the_lock_file_is_not_followed() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let first = Waiting::start(&simulator, folder.path());
    let path = lock_file_of(&first.child);
    first.end();
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "not to be touched").unwrap();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    let format = "--timestamp-format=yyyyMMddHHmmssfff";
    let output = assert_cmd::Command::from_std(snap(&simulator, &[format]))
        .timeout(Duration::from_secs(60))
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("cannot create a lock file"), "{stdout}");
    assert_eq!(output.stderr, b"");
    let text = std::fs::read_to_string(&precious).unwrap();
    assert_eq!(text, "not to be touched");
}

/// The time of a run is read after it has waited. With its start time, two runs in one second would
/// give two snapshots the same name, and a run that waited long would use an old time.
#[test]
fn a_waiting_run_uses_the_time_after_the_first_run_has_ended() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let first = Waiting::start(&simulator, folder.path());
    let mut second = snap(&simulator, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = [0; 9];
    second
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut line)
        .unwrap();
    assert_eq!(&line, b"waiting: ");
    assert!(simulator.journal().mutations().is_empty());
    // Wait for the next second, so that the two times differ.
    let started = Timestamp::now().as_second();
    while Timestamp::now().as_second() == started {
        std::thread::yield_now();
    }
    let turn = Zoned::now().strftime("autooverlap%y%m%d%H%M%S").to_string();
    first.end();
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success());
    let mutations = simulator.journal().mutations();
    let mut names = mutations.into_iter().filter_map(|one| one.snapshot);
    let (first, second) = (names.next().unwrap(), names.next().unwrap());
    assert!(first < second && turn < second, "{first}, {turn}, {second}");
}
