// SPDX-License-Identifier: GPL-3.0-only
//! Cancelled and panicking runs next to other runs, against the simulator. Their hooks are shell scripts.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use autosnap_core::event::{FailureKind, GuestResult};
use autosnap_core::name::Label;
use autosnap_core::retention::Rules;
use autosnap_core::schedule::Limits;
use autosnap_core::select::Selection;
use pve_client::{ApiToken, ClientOptions, Credentials, Trust};
use pve_sim::generate::{GenerateOptions, generate};
use pve_sim::simulator::{Options, Simulator};

use super::*;
use crate::hook::{self, Hook};
use crate::settings::JobKind;

/// Four VMs on one node, whose snapshot tasks take a while.
fn simulator() -> Simulator {
    let options = GenerateOptions {
        nodes: 1,
        guests: 4,
        snapshots: 0,
        task_seconds: Some(0.1..=0.1),
        containers: 0.0,
        templates: 0.0,
        stopped: 0.0,
        ..GenerateOptions::default()
    };
    let generated = generate(&options).unwrap();
    Simulator::start(Options::new(generated.world, generated.credentials)).unwrap()
}

/// A coordinator for one guest at a time.
async fn coordinator(simulator: &Simulator) -> Coordinator {
    coordinator_with(simulator, 1).await
}

async fn coordinator_with(simulator: &Simulator, per_node: usize) -> Coordinator {
    let endpoint = simulator.addresses()[0].to_string().parse().unwrap();
    let token = ApiToken::parse("backup@pve!auto=22222222-2222-4222-8222-222222222222").unwrap();
    let options = ClientOptions::new(vec![endpoint], Credentials::Token(token), Trust::AcceptAny);
    let limits = Limits {
        per_node,
        ..Limits::default()
    };
    Coordinator::new(Cluster::connect(options, limits).await.unwrap())
}

fn job(label: &str) -> JobSettings {
    let what = JobKind::Snap { with_ram: false };
    let selection = Selection::parse("@all").unwrap();
    JobSettings::new(
        what,
        selection,
        Label::parse(label).unwrap(),
        Rules::keep_last(1),
    )
}

/// A hook that writes its phase and its guest into a file, with that file.
fn recorder(folder: &Path) -> (Hook, PathBuf) {
    let path = folder.join("hook");
    // A shell writes the script: a file that this process has open for writing could not be executed.
    let text = "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE $CV4PVE_AUTOSNAP_VMID\" >>\"$0.calls\"\n";
    let written = Command::new("/bin/sh")
        .args(["-c", "printf %s \"$2\" >\"$1\" && chmod 700 \"$1\"", "sh"])
        .args([path.as_os_str(), text.as_ref()])
        .status()
        .unwrap();
    assert!(written.success());
    let hook = Hook::new(&path, hook::Settings::default()).unwrap();
    (hook, path.with_extension("calls"))
}

/// The phases of each guest in their order; guest 0 is the job.
fn calls(path: &Path) -> BTreeMap<u32, Vec<String>> {
    let mut calls: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let (phase, vmid) = line.split_once(' ').unwrap();
        let guest = calls.entry(vmid.parse().unwrap_or(0)).or_default();
        guest.push(phase.to_owned());
    }
    calls
}

/// The results of the guests, in the order of their VMIDs.
async fn results(mut events: EventReceiver) -> Vec<GuestResult> {
    let mut results = BTreeMap::new();
    while let Some(event) = events.recv().await {
        if let EventKind::GuestFinished { vmid, result, .. } = event.kind {
            assert_eq!(
                results.insert(vmid, result),
                None,
                "guest {vmid} ended twice"
            );
        }
    }
    results.into_values().collect()
}

#[tokio::test]
async fn a_panic_ends_its_guest_and_no_other() {
    let simulator = simulator();
    let coordinator = coordinator(&simulator).await;
    let folder = tempfile::tempdir().unwrap();
    let (hook, path) = recorder(folder.path());
    let panicking = JobSettings {
        hook: Some(hook),
        ..job("panic101")
    };
    let mut panicking = coordinator.spawn(RunRequest::new(panicking));
    let mut other = coordinator.spawn(RunRequest::new(job("other")));
    let events = (panicking.events().unwrap(), other.events().unwrap());
    let (own, others) = tokio::join!(results(events.0), results(events.1));
    let done = GuestResult::Done;
    assert_eq!(
        own,
        [
            done.clone(),
            GuestResult::Failed,
            done.clone(),
            done.clone()
        ]
    );
    assert_eq!(others, [done.clone(), done.clone(), done.clone(), done]);

    let panicking = panicking.join().await;
    let error = panicking.error.as_ref().unwrap().to_string();
    assert!(error.starts_with("internal error: "), "{error}");
    assert!(error.ends_with("(guest 101)"), "{error}");
    let internal = RunResult::Failed(FailureKind::Internal);
    assert_eq!(panicking.result(), internal);
    assert_eq!(panicking.record.result(), internal);
    let other = other.join().await;
    assert!(other.error.is_none());
    assert_eq!(other.result(), RunResult::Success);

    let calls = calls(&path);
    assert_eq!(calls[&101], ["snap-create-pre", "snap-create-abort"]);
    assert_eq!(calls[&102], ["snap-create-pre", "snap-create-post"]);
    assert_eq!(calls[&0], ["snap-job-start", "snap-job-end"]);
}

#[tokio::test]
async fn after_a_panic_outside_of_a_guests_steps_each_guest_has_one_result() {
    let simulator = simulator();
    let coordinator = coordinator(&simulator).await;
    let [done, left] = [GuestResult::Done, GuestResult::NotReached];
    for (label, expected) in [
        ("panicreading", [&left, &left, &left, &left]),
        // One guest at a time: the panic is after the end of the first one.
        ("panicexecutor", [&done, &left, &left, &left]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (hook, path) = recorder(folder.path());
        let panicking = JobSettings {
            hook: Some(hook),
            ..job(label)
        };
        let mut panicking = coordinator.spawn(RunRequest::new(panicking));
        let results = results(panicking.events().unwrap()).await;
        assert_eq!(results.iter().collect::<Vec<_>>(), expected, "{label}");
        let panicking = panicking.join().await;
        let internal = RunResult::Failed(FailureKind::Internal);
        assert_eq!(panicking.result(), internal, "{label}");
        assert!(panicking.record.ended.is_some(), "{label}");
        let calls = calls(&path);
        assert_eq!(calls[&0], ["snap-job-start", "snap-job-end"], "{label}");
        let other = coordinator
            .spawn(RunRequest::new(job("other")))
            .join()
            .await;
        assert_eq!(other.result(), RunResult::Success, "{label}");
    }
}

/// The panic happens when the first guest has ended and the second one is working.
#[tokio::test]
async fn started_guests_are_finished_after_a_panic() {
    let simulator = simulator();
    let coordinator = coordinator_with(&simulator, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let (hook, path) = recorder(folder.path());
    let panicking = JobSettings {
        hook: Some(hook),
        ..job("panicexecutor")
    };
    let mut panicking = coordinator.spawn(RunRequest::new(panicking));
    let results = results(panicking.events().unwrap()).await;
    let [done, left] = [GuestResult::Done, GuestResult::NotReached];
    assert_eq!(results, [done.clone(), done, left.clone(), left]);
    let calls = calls(&path);
    for vmid in [100, 101] {
        assert_eq!(calls[&vmid], ["snap-create-pre", "snap-create-post"]);
    }
    assert_eq!(calls.len(), 3, "{calls:?}");
}

#[tokio::test]
async fn a_cancelled_run_calls_its_closing_hooks_and_others_continue() {
    let simulator = simulator();
    let coordinator = coordinator(&simulator).await;
    let folder = tempfile::tempdir().unwrap();
    let (hook, path) = recorder(folder.path());
    let cancelled = JobSettings {
        hook: Some(hook),
        ..job("cancelled")
    };
    let mut cancelled = coordinator.spawn(RunRequest::new(cancelled));
    let mut other = coordinator.spawn(RunRequest::new(job("other")));
    let mut events = cancelled.events().unwrap();
    loop {
        let event = events.recv().await.expect("a creation starts");
        if matches!(event.kind, EventKind::CreationStarted { .. }) {
            break;
        }
    }
    cancelled.cancel();
    let others = results(other.events().unwrap()).await;
    assert!(
        others.iter().all(|end| *end == GuestResult::Done),
        "{others:?}"
    );
    assert_eq!(other.join().await.result(), RunResult::Success);

    let own = results(events).await;
    let count = |wanted: &GuestResult| own.iter().filter(|end| *end == wanted).count();
    let done = count(&GuestResult::Done);
    assert!(done > 0, "{own:?}");
    assert_eq!(count(&GuestResult::NotReached), 4 - done, "{own:?}");
    let cancelled = cancelled.join().await;
    assert_eq!(cancelled.record.stop_reason, Some(StopReason::Cancelled));
    let calls = calls(&path);
    assert_eq!(calls.len(), done + 1, "{calls:?}");
    for phases in calls.values() {
        let (opening, closing) = (&phases[0], &phases[1]);
        assert_eq!(phases.len(), 2, "{calls:?}");
        assert!(opening.ends_with("-pre") || opening.ends_with("-start"));
        assert!(closing.ends_with("-post") || closing.ends_with("-end"));
    }
}
