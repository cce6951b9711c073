// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the lock with two owners in one process, as the system locks open files, not processes.

use super::*;

fn overlap(action: OnOverlap) -> Overlap {
    let hosts = ["pve1:8006".parse().unwrap()];
    let timeout = Duration::from_secs(3600);
    Overlap::new(action, timeout, ["daily"], "@all", &hosts)
}

/// The locks of a run of this label that adopts others.
fn adopting(label: &'static str, adopted: &[&'static str]) -> Overlap {
    let hosts = ["pve1:8006".parse().unwrap()];
    let labels = adopted.iter().copied().chain([label]);
    let timeout = Duration::from_secs(3600);
    Overlap::new(OnOverlap::Fail, timeout, labels, "@all", &hosts)
}

async fn lock(overlap: &Overlap, folder: &Path) -> LockResult {
    overlap.lock_in(folder, |_| {}).await
}

fn name(label: &str, hosts: &str) -> String {
    name_for(label, "@all", hosts)
}

fn name_for(label: &str, selection: &str, hosts: &str) -> String {
    let hosts = hosts
        .parse::<pve_client::HostList>()
        .unwrap()
        .into_endpoints();
    let overlap = Overlap::new(OnOverlap::Wait, Duration::ZERO, [label], selection, &hosts);
    overlap.names.concat()
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
async fn a_second_run_skips_or_fails_and_names_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let LockResult::Acquired(held) = lock(&overlap(OnOverlap::Wait), folder.path()).await else {
        panic!("the first run gets the lock");
    };
    let LockResult::Skipped(owner) = lock(&overlap(OnOverlap::Skip), folder.path()).await else {
        panic!("skip");
    };
    assert_eq!(owner.pid, Some(std::process::id()));
    let age = Timestamp::now().duration_since(owner.since.unwrap());
    assert!(age.as_secs().abs() < 60, "{owner:?}");
    assert!(matches!(
        lock(&overlap(OnOverlap::Fail), folder.path()).await,
        LockResult::Failed(_)
    ));
    drop(held);
    assert!(matches!(
        lock(&overlap(OnOverlap::Fail), folder.path()).await,
        LockResult::Acquired(_)
    ));
}

#[tokio::test]
async fn a_run_that_adopts_labels_excludes_the_runs_of_these_labels() {
    let folder = tempfile::tempdir().unwrap();
    let prod = adopting("prod", &["hourly", "daily"]);
    let held = lock(&prod, folder.path()).await;
    assert!(matches!(held, LockResult::Acquired(_)), "{held:?}");
    for label in ["prod", "hourly", "daily"] {
        let result = lock(&adopting(label, &[]), folder.path()).await;
        assert!(
            matches!(result, LockResult::Failed(_)),
            "{label}: {result:?}"
        );
    }
    let other = lock(&adopting("weekly", &[]), folder.path()).await;
    assert!(matches!(other, LockResult::Acquired(_)), "{other:?}");
    drop(held);
    let daily = lock(&adopting("daily", &[]), folder.path()).await;
    let result = lock(&prod, folder.path()).await;
    assert!(matches!(result, LockResult::Failed(_)), "{result:?}");
    drop(daily);
    // The locks that the failed attempt had taken are free again.
    let hourly = lock(&adopting("hourly", &[]), folder.path()).await;
    assert!(matches!(hourly, LockResult::Acquired(_)), "{hourly:?}");
}

#[test]
fn two_runs_that_adopt_each_other_take_the_locks_in_one_order() {
    let one = adopting("prod", &["hourly", "daily"]);
    let other = adopting("daily", &["prod", "hourly"]);
    assert_eq!(one.names, other.names);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_fails_after_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let first = lock(&overlap(OnOverlap::Wait), folder.path()).await;
    let began = Instant::now();
    let second = lock(&overlap(OnOverlap::Wait), folder.path()).await;
    assert!(matches!(second, LockResult::TimedOut(_)), "{second:?}");
    assert_eq!(began.elapsed().as_secs(), 3600);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_starts_when_the_first_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = lock(&overlap(OnOverlap::Wait), folder.path()).await;
    let path = folder.path().to_owned();
    let mut calls = 0;
    let waiting = overlap(OnOverlap::Wait);
    let second = waiting.lock_in(&path, |_| calls += 1);
    let ending = async {
        sleep(Duration::from_secs(60)).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(second, ending);
    assert!(matches!(second, LockResult::Acquired(_)), "{second:?}");
    assert_eq!(calls, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let overlap = overlap(OnOverlap::Wait);
    let _held = lock(&overlap, folder.path()).await;
    let file = std::fs::metadata(folder.path().join(&overlap.names[0])).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_lock_file_that_cannot_be_created_does_not_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let result = lock(&overlap(OnOverlap::Fail), &missing).await;
    assert!(matches!(result, LockResult::Unprotected(_)), "{result:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_removed_after_the_run_and_a_removed_file_is_not_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let overlap = overlap(OnOverlap::Fail);
    let path = folder.path().join(&overlap.names[0]);
    let waiting = open(&path).unwrap();
    let held = lock(&overlap, folder.path()).await;
    assert!(has_name(&waiting, &path));
    drop(held);
    assert!(!path.exists());
    assert!(
        !has_name(&waiting, &path),
        "the waiting process must open the new file"
    );
    let LockResult::Acquired(_held) = lock(&overlap, folder.path()).await else {
        panic!("the next run gets the lock");
    };
    assert!(!has_name(&waiting, &path));
}

/// A link is not followed, and a pipe is not opened.
#[cfg(unix)]
#[tokio::test]
async fn only_a_regular_file_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let overlap = overlap(OnOverlap::Wait);
    let path = folder.path().join(&overlap.names[0]);
    let other = folder.path().join("other");
    std::fs::write(&other, "not to be touched").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    let result = lock(&overlap, folder.path()).await;
    assert!(matches!(result, LockResult::Unprotected(_)), "{result:?}");
    let text = std::fs::read_to_string(&other).unwrap();
    assert_eq!(text, "not to be touched");

    std::fs::remove_file(&path).unwrap();
    let mkfifo = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(mkfifo.unwrap().success());
    let LockResult::Unprotected(reason) = lock(&overlap, folder.path()).await else {
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
