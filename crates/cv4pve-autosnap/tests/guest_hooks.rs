// SPDX-License-Identifier: GPL-3.0-only
//! The hooks that run inside a VM, with fake database clients that record their input.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

/// A fake `mysql` that records its input and the end of its session.
const MYSQL: &str = r#"#!/bin/sh
while read -r line; do
    echo "$line" >>"$LOG"
    echo locked
done
echo "session ended" >>"$LOG"
echo >"$ENDED"
"#;

/// The input of the session.
const LOCK: &str =
    "SET SESSION lock_wait_timeout=10; FLUSH TABLES WITH READ LOCK; SELECT 'locked';\n";

/// A client whose lock is refused.
const REFUSED: &str = "#!/bin/sh\nread -r line\necho 'ERROR 1227 (42000): Access denied'\n";

#[test]
fn mysql_is_locked_from_freeze_to_thaw() {
    let machine = Machine::with_program("mysql", MYSQL);
    let ended = machine.folder.path().join("ended");
    mkfifo(&ended);

    let output = machine.hook("mysql-freeze.sh", "freeze");
    assert!(output.status.success(), "{output:?}");
    let log = machine.log();
    assert_eq!(log, LOCK);

    let output = machine.hook("mysql-freeze.sh", "thaw");
    assert!(output.status.success(), "{output:?}");
    wait_for_the_end(&ended);
    assert!(machine.log().ends_with("session ended\n"));
    assert!(!machine.notes().exists());
}

/// With many processes, the session once saw the end of its input and released the lock, because
/// the process that keeps its input open had started later. That happened in one of sixteen calls.
#[test]
fn the_lock_is_held_on_a_busy_machine() {
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let machine = Machine::with_program("mysql", MYSQL);
                mkfifo(&machine.folder.path().join("ended"));
                assert!(machine.hook("mysql-freeze.sh", "freeze").status.success());
                let log = machine.log();
                assert_eq!(log, LOCK);
                assert!(machine.hook("mysql-freeze.sh", "thaw").status.success());
                wait_for_the_end(&machine.folder.path().join("ended"));
            });
        }
    });
}

#[test]
fn the_lock_times_out_without_a_thaw() {
    let mut machine = Machine::with_program("mysql", MYSQL);
    machine.limit = "0";
    let ended = machine.folder.path().join("ended");
    mkfifo(&ended);
    let output = machine.hook("mysql-freeze.sh", "freeze");
    assert!(output.status.success(), "{output:?}");
    wait_for_the_end(&ended);
    assert!(machine.log().ends_with("session ended\n"));
}

#[test]
fn the_freeze_fails_without_the_lock() {
    let machine = Machine::with_program("mysql", REFUSED);
    let output = machine.hook("mysql-freeze.sh", "freeze");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("Access denied"), "{stderr}");
    assert!(!machine.notes().exists());
}

#[test]
fn postgresql_writes_a_checkpoint() {
    let machine = Machine::with_program("runuser", "#!/bin/sh\necho \"$@\" >>\"$LOG\"\n");
    let output = machine.hook("postgresql-freeze.sh", "freeze");
    assert!(output.status.success(), "{output:?}");
    assert!(
        machine
            .log()
            .starts_with("-u postgres -- psql --no-psqlrc --quiet"),
        "{}",
        machine.log()
    );
    assert!(machine.log().contains("CHECKPOINT"));
    assert!(
        machine
            .hook("postgresql-freeze.sh", "thaw")
            .status
            .success()
    );
}

#[test]
fn a_failed_checkpoint_does_not_fail_the_freeze() {
    let machine = Machine::with_program("runuser", "#!/bin/sh\nexit 2\n");
    let output = machine.hook("postgresql-freeze.sh", "freeze");
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("no checkpoint"), "{stderr}");
}

#[test]
fn other_arguments_are_a_usage_error() {
    let machine = Machine::with_program("mysql", MYSQL);
    for hook in ["mysql-freeze.sh", "postgresql-freeze.sh"] {
        assert_eq!(machine.hook(hook, "melt").status.code(), Some(2), "{hook}");
    }
}

/// A folder with one fake program.
struct Machine {
    folder: TempDir,
    limit: &'static str,
}

impl Machine {
    fn with_program(name: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A child process writes the file. If this process wrote it, the child of another test
        // could inherit the open file, and executing it would fail with ETXTBSY.
        let status = Command::new("sh")
            .args(["-c", r#"printf %s "$1" >"$0" && chmod +x "$0""#])
            .arg(folder.path().join(name))
            .arg(script)
            .status()
            .expect("sh starts");
        assert!(status.success());
        Self {
            folder,
            limit: "60",
        }
    }

    fn hook(&self, name: &str, argument: &str) -> Output {
        let hook = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../hooks/guest")
            .join(name);
        let folder = self.folder.path();
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .arg(hook)
            .arg(argument)
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("LOG", folder.join("log"))
            .env("ENDED", folder.join("ended"))
            .env("MYSQL_FREEZE_FOLDER", self.notes())
            .env("MYSQL_FREEZE_LIMIT", self.limit)
            .output()
            .expect("sh starts")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    fn notes(&self) -> PathBuf {
        self.folder.path().join("notes")
    }
}

/// Waits for the end of the session, which opens the pipe.
fn wait_for_the_end(pipe: &Path) {
    let (sender, ended) = std::sync::mpsc::channel();
    let pipe = pipe.to_owned();
    std::thread::spawn(move || sender.send(fs::read(pipe)));
    let result = ended.recv_timeout(Duration::from_secs(60));
    result.expect("the session ends").expect("a readable pipe");
}

fn mkfifo(path: &Path) {
    let status = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo starts");
    assert!(status.success());
}
