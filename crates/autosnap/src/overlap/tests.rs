// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the lock with two owners in one process, because the system locks open files, not processes.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn locks() -> JobLocks {
    adopting("daily", &[])
}

/// The locks of a run of this label that adopts others.
fn adopting(label: &'static str, adopted: &[&'static str]) -> JobLocks {
    let hosts = ["pve1:8006".parse().unwrap()];
    let labels = adopted.iter().copied().chain([label]);
    JobLocks::new(labels, "@all", &hosts)
}

/// Locks without waiting.
async fn lock(locks: &JobLocks, folder: &Path) -> LockResult {
    locks.lock_in(folder, Duration::ZERO, |_| {}).await
}

fn name(label: &str, hosts: &str) -> String {
    name_for(label, "@all", hosts)
}

fn name_for(label: &str, selection: &str, hosts: &str) -> String {
    let hosts = hosts
        .parse::<pve_client::HostList>()
        .unwrap()
        .into_endpoints();
    JobLocks::new([label], selection, &hosts).names.concat()
}

#[test]
fn the_file_name_depends_on_label_guests_and_hosts_in_any_order() {
    assert_eq!(name("daily", "pve1,PVE2:8006"), name("daily", "pve2,pve1"));
    assert_ne!(name("daily", "pve1"), name("weekly", "pve1"));
    assert_ne!(name("daily", "pve1"), name("daily", "pve1:8007"));
    // Other versions of the program must use the same name.
    assert_eq!(name("daily", "pve1"), "daily-5a0bce9b6398273c.lock");
}

/// Two crontab lines of the C# tool with one label run in parallel.
#[test]
fn runs_for_other_guests_use_another_lock() {
    let name = |selection| name_for("daily", selection, "pve1");
    assert_ne!(name("100:199"), name("200:299"));
    assert_eq!(name("100:199"), name(" 100:199 "));
}

#[tokio::test]
async fn a_second_run_gets_the_owner_of_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let LockResult::Acquired { guard, waited } = lock(&locks(), folder.path()).await else {
        panic!("the first run gets the lock");
    };
    assert!(!waited);
    let LockResult::Busy(owner) = lock(&locks(), folder.path()).await else {
        panic!("the first run holds the lock");
    };
    assert_eq!(owner.pid, Some(std::process::id()));
    let age = Timestamp::now().duration_since(owner.since.unwrap());
    assert!(age.as_secs().abs() < 60, "{owner:?}");
    drop(guard);
    let next = lock(&locks(), folder.path()).await;
    assert!(matches!(next, LockResult::Acquired { .. }), "{next:?}");
}

#[tokio::test]
async fn a_run_that_adopts_labels_excludes_the_runs_of_these_labels() {
    let folder = tempfile::tempdir().unwrap();
    let prod = adopting("prod", &["hourly", "daily"]);
    let held = lock(&prod, folder.path()).await;
    assert!(matches!(held, LockResult::Acquired { .. }), "{held:?}");
    for label in ["prod", "hourly", "daily"] {
        let result = lock(&adopting(label, &[]), folder.path()).await;
        assert!(matches!(result, LockResult::Busy(_)), "{label}: {result:?}");
    }
    let other = lock(&adopting("weekly", &[]), folder.path()).await;
    assert!(matches!(other, LockResult::Acquired { .. }), "{other:?}");
    drop(held);
    let daily = lock(&adopting("daily", &[]), folder.path()).await;
    let result = lock(&prod, folder.path()).await;
    assert!(matches!(result, LockResult::Busy(_)), "{result:?}");
    drop(daily);
    // The locks that the failed attempt had taken are free again.
    let hourly = lock(&adopting("hourly", &[]), folder.path()).await;
    assert!(matches!(hourly, LockResult::Acquired { .. }), "{hourly:?}");
}

#[test]
fn two_runs_that_adopt_each_other_take_the_locks_in_one_order() {
    let one = adopting("prod", &["hourly", "daily"]);
    let other = adopting("daily", &["prod", "hourly"]);
    assert_eq!(one.names, other.names);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_gives_up_after_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let first = lock(&locks(), folder.path()).await;
    let began = Instant::now();
    let second = locks().lock_in(folder.path(), HOUR, |_| {}).await;
    assert!(matches!(second, LockResult::Busy(_)), "{second:?}");
    assert_eq!(began.elapsed().as_secs(), HOUR.as_secs());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_starts_when_the_first_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = lock(&locks(), folder.path()).await;
    let mut calls = 0;
    let waiting = locks();
    let second = waiting.lock_in(folder.path(), HOUR, |_| calls += 1);
    let ending = async {
        sleep(Duration::from_secs(60)).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(second, ending);
    let LockResult::Acquired { waited, .. } = second else {
        panic!("the second run gets the lock: {second:?}");
    };
    assert!(waited);
    assert_eq!(calls, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let locks = locks();
    let _held = lock(&locks, folder.path()).await;
    let file = std::fs::metadata(folder.path().join(&locks.names[0])).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_lock_file_that_cannot_be_created_does_not_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let result = lock(&locks(), &missing).await;
    assert!(matches!(result, LockResult::Unprotected(_)), "{result:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_removed_after_the_run_and_a_removed_file_is_not_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let locks = locks();
    let path = folder.path().join(&locks.names[0]);
    let waiting = open(&path).unwrap();
    let held = lock(&locks, folder.path()).await;
    assert!(has_name(&waiting, &path));
    drop(held);
    assert!(!path.exists());
    assert!(
        !has_name(&waiting, &path),
        "the waiting process must open the new file"
    );
    let LockResult::Acquired { guard: _guard, .. } = lock(&locks, folder.path()).await else {
        panic!("the next run gets the lock");
    };
    assert!(!has_name(&waiting, &path));
}

/// A link is not followed, and a pipe is not opened.
#[cfg(unix)]
#[tokio::test]
async fn only_a_regular_file_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let locks = locks();
    let path = folder.path().join(&locks.names[0]);
    let other = folder.path().join("other");
    std::fs::write(&other, "not to be touched").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    let result = lock(&locks, folder.path()).await;
    assert!(matches!(result, LockResult::Unprotected(_)), "{result:?}");
    let text = std::fs::read_to_string(&other).unwrap();
    assert_eq!(text, "not to be touched");

    std::fs::remove_file(&path).unwrap();
    let mkfifo = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(mkfifo.unwrap().success());
    let LockResult::Unprotected(reason) = lock(&locks, folder.path()).await else {
        panic!("a pipe is not a lock file");
    };
    assert!(reason.ends_with("it is not a regular file"), "{reason}");
}

/// A file system with changing inode numbers does not block a run forever.
#[test]
fn a_file_that_is_replaced_repeatedly_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = try_lock_with(&folder.path().join("lock"), |_, _| false).unwrap_err();
    assert!(
        error.to_string().contains("was replaced 100 times"),
        "{error}"
    );
}

#[test]
fn the_owner_is_parsed_from_the_lock_file() {
    let since = "2026-11-28T01:10:30Z";
    for (text, pid, expected) in [
        (
            format!("process 17 since {since}\n"),
            Some(17),
            since.parse().ok(),
        ),
        ("process 17".to_owned(), Some(17), None),
        ("process x since y".to_owned(), None, None),
        (String::new(), None, None),
    ] {
        let since = expected;
        assert_eq!(LockOwner::parse(&text), LockOwner { pid, since }, "{text}");
    }
}
