// SPDX-License-Identifier: GPL-3.0-only
//! The hooks for use inside of a VM, with clients of databases made for the test: they write down
//! what they are told.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

/// Answers as the program `mysql` does, and says when its session ends.
const MYSQL: &str = r#"#!/bin/sh
while read -r line; do
    echo "$line" >>"$LOG"
    echo locked
done
echo "session ended" >>"$LOG"
echo >"$ENDED"
"#;

/// What the session is told.
const LOCK: &str =
    "SET SESSION lock_wait_timeout=10; FLUSH TABLES WITH READ LOCK; SELECT 'locked';\n";

/// A client that may not have the lock.
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

/// The session saw the end of its input, and gave the lock back, where the keeper of that input started later than it:
/// once in sixteen calls where much went on, so that four of five runs of this test found it.
#[test]
fn the_lock_is_held_where_much_goes_on() {
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
fn the_lock_goes_by_itself_when_thaw_never_comes() {
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
fn without_the_lock_the_freeze_is_refused() {
    let machine = Machine::with_program("mysql", REFUSED);
    let output = machine.hook("mysql-freeze.sh", "freeze");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Access denied"), "{said}");
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
fn a_postgresql_that_does_not_answer_does_not_refuse_the_freeze() {
    let machine = Machine::with_program("runuser", "#!/bin/sh\nexit 2\n");
    let output = machine.hook("postgresql-freeze.sh", "freeze");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no checkpoint"), "{said}");
}

#[test]
fn anything_but_freeze_and_thaw_is_refused() {
    let machine = Machine::with_program("mysql", MYSQL);
    for hook in ["mysql-freeze.sh", "postgresql-freeze.sh"] {
        assert_eq!(machine.hook(hook, "melt").status.code(), Some(2), "{hook}");
    }
}

/// A folder with one program in it.
struct Machine {
    folder: TempDir,
    limit: &'static str,
}

impl Machine {
    fn with_program(name: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Written by another process: one that this process starts meanwhile could otherwise hold
        // the file open for writing, and it would be busy when it is to be run.
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

/// Waits for the session's last word: opening the pipe does.
fn wait_for_the_end(pipe: &Path) {
    let (sender, ended) = std::sync::mpsc::channel();
    let pipe = pipe.to_owned();
    std::thread::spawn(move || sender.send(fs::read(pipe)));
    let heard = ended.recv_timeout(Duration::from_secs(60));
    heard.expect("the session ends").expect("a readable pipe");
}

fn mkfifo(path: &Path) {
    let status = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo starts");
    assert!(status.success());
}
