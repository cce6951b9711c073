// SPDX-License-Identifier: GPL-3.0-only
//! The lock, between two holders in one process: the system tells open files apart, not processes.

use super::*;

fn overlap(action: OnOverlap) -> Overlap {
    let hosts = ["pve1:8006".parse().unwrap()];
    Overlap::new(action, Duration::from_secs(3600), "daily", "@all", &hosts)
}

async fn enter(overlap: &Overlap, folder: &Path) -> Entry {
    overlap.enter_at(folder, |_| {}).await
}

fn name(label: &str, hosts: &str) -> String {
    name_for(label, "@all", hosts)
}

fn name_for(label: &str, selection: &str, hosts: &str) -> String {
    let hosts = hosts
        .parse::<pve_client::HostList>()
        .unwrap()
        .into_endpoints();
    Overlap::new(OnOverlap::Wait, Duration::ZERO, label, selection, &hosts).name
}

#[test]
fn the_name_stands_for_label_guests_and_hosts_in_any_order() {
    assert_eq!(name("daily", "pve1,PVE2:8006"), name("daily", "pve2,pve1"));
    assert_ne!(name("daily", "pve1"), name("weekly", "pve1"));
    assert_ne!(name("daily", "pve1"), name("daily", "pve1:8007"));
    // Written down: another version of the program must find the same name.
    assert_eq!(name("daily", "pve1"), "daily-5a0bce9b6398273c.lock");
}

/// Two lines of a crontab with one label, as the C# tool ran them.
#[test]
fn runs_for_other_guests_do_not_take_turns() {
    let name = |selection| name_for("daily", selection, "pve1");
    assert_ne!(name("100:199"), name("200:299"));
    assert_eq!(name("100:199"), name(" 100:199 "));
}

#[tokio::test]
async fn a_second_run_skips_or_fails_and_says_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let Entry::Go(held) = enter(&overlap(OnOverlap::Wait), folder.path()).await else {
        panic!("the first run gets the lock");
    };
    let Entry::Skip(holder) = enter(&overlap(OnOverlap::Skip), folder.path()).await else {
        panic!("skip");
    };
    let who = format!("process {} since ", std::process::id());
    assert!(holder.to_string().contains(&who), "{holder}");
    assert!(matches!(
        enter(&overlap(OnOverlap::Fail), folder.path()).await,
        Entry::Fail(_)
    ));
    drop(held);
    assert!(matches!(
        enter(&overlap(OnOverlap::Fail), folder.path()).await,
        Entry::Go(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_gives_up_at_its_time_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = enter(&overlap(OnOverlap::Wait), folder.path()).await;
    let began = Instant::now();
    let second = enter(&overlap(OnOverlap::Wait), folder.path()).await;
    assert!(matches!(second, Entry::TimedOut(_)), "{second:?}");
    assert_eq!(began.elapsed().as_secs(), 3600);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_goes_on_when_the_first_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = enter(&overlap(OnOverlap::Wait), folder.path()).await;
    let path = folder.path().to_owned();
    let mut told = 0;
    let waiting = overlap(OnOverlap::Wait);
    let second = waiting.enter_at(&path, |_| told += 1);
    let ending = async {
        sleep(Duration::from_secs(60)).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(second, ending);
    assert!(matches!(second, Entry::Go(_)), "{second:?}");
    assert_eq!(told, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let overlap = overlap(OnOverlap::Wait);
    let _held = enter(&overlap, folder.path()).await;
    let file = std::fs::metadata(folder.path().join(&overlap.name)).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_lock_that_cannot_be_made_does_not_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let entry = enter(&overlap(OnOverlap::Fail), &missing).await;
    assert!(matches!(entry, Entry::Unprotected(_)), "{entry:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_goes_with_the_run_and_a_removed_one_protects_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let overlap = overlap(OnOverlap::Fail);
    let path = folder.path().join(&overlap.name);
    let waiting = open(&path).unwrap();
    let held = enter(&overlap, folder.path()).await;
    assert!(has_name(&waiting, &path));
    drop(held);
    assert!(!path.exists());
    assert!(
        !has_name(&waiting, &path),
        "the one that waited must open anew"
    );
    let Entry::Go(_held) = enter(&overlap, folder.path()).await else {
        panic!("the next run gets the lock");
    };
    assert!(!has_name(&waiting, &path));
}

/// A link in place of the file is not followed, and a pipe is not waited for.
#[cfg(unix)]
#[tokio::test]
async fn what_is_no_regular_file_is_not_locked() {
    let folder = tempfile::tempdir().unwrap();
    let overlap = overlap(OnOverlap::Wait);
    let path = folder.path().join(&overlap.name);
    let other = folder.path().join("other");
    std::fs::write(&other, "not to be touched").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    let entry = enter(&overlap, folder.path()).await;
    assert!(matches!(entry, Entry::Unprotected(_)), "{entry:?}");
    let text = std::fs::read_to_string(&other).unwrap();
    assert_eq!(text, "not to be touched");

    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let Entry::Unprotected(reason) = enter(&overlap, folder.path()).await else {
        panic!("a pipe is no lock file");
    };
    assert!(reason.ends_with("it is not a regular file"), "{reason}");
}

/// A file system that shows one file under changing numbers does not hold up a run for ever.
#[test]
fn a_file_that_never_keeps_its_name_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let error = attempt_with(&folder.path().join("lock"), |_, _| false).unwrap_err();
    assert!(
        error.to_string().contains("was replaced 100 times"),
        "{error}"
    );
}
