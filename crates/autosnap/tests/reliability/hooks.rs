// SPDX-License-Identifier: GPL-3.0-only
//! Hooks of random schedules: scripts that record their calls and fail some of them, and the invariants of the calls.

use std::collections::BTreeMap;
use std::process::Command;

use autosnap::hook::{Hook, Settings};
use autosnap::settings::HookFailure;
use autosnap_core::event::EventKind;
use pve_sim::journal::{Action, Entry};
use pve_sim::simulator::Simulator;
use tempfile::TempDir;

use crate::check::RunTrace;
use crate::random::Random;

/// The phases before a change, each with the phases after success and after failure.
const STEPS: [(&str, &str, &str); 2] = [
    ("snap-create-pre", "snap-create-post", "snap-create-abort"),
    ("snap-remove-pre", "snap-remove-post", "snap-remove-abort"),
];

/// The hook of a schedule.
pub(crate) struct RecordingHook {
    folder: TempDir,
    /// Shell patterns of `PHASE VMID` for which the hook fails.
    failing: Vec<String>,
    pub(crate) on_failure: HookFailure,
}

/// One call as the script recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    phase: String,
    vmid: u32,
    snapshot: String,
    has_failed: bool,
}

impl RecordingHook {
    /// A hook that fails in some phases of some guests.
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut failing: Vec<String> = (0..random.below(4))
            .map(|_| {
                let (before, after, instead) = random.pick(&STEPS);
                let phases = [before, before, before, after, instead];
                let phase = random.pick(&phases);
                format!("{phase} {}", 100 + random.below(5))
            })
            .collect();
        if random.percent(5) {
            failing.push("*-job-start 0".to_owned());
        }
        Self {
            folder: tempfile::tempdir().unwrap(),
            failing,
            on_failure: *random.pick(&[
                HookFailure::Ignore,
                HookFailure::SkipGuest,
                HookFailure::SkipGuest,
                HookFailure::AbortRun,
            ]),
        }
    }

    /// The script of the run with faults.
    pub(crate) fn disturbed(&self) -> Hook {
        self.script("disturbed", &self.failing)
    }

    /// The script after the administrator has repaired it: it always succeeds.
    pub(crate) fn repaired(&self) -> Hook {
        self.script("repaired", &[])
    }

    /// A shell writes the script: a file that this process has open for writing could be inherited by the hook of
    /// another schedule, and could then not be executed.
    fn script(&self, name: &str, failing: &[String]) -> Hook {
        let mut cases = String::new();
        for pattern in failing {
            cases += &pattern.replace(' ', "\\ ");
            cases += ")\n  answer=1 ;;\n";
        }
        let text = format!(
            "#!/bin/sh\nvmid=${{CV4PVE_AUTOSNAP_VMID:-0}}\ncase \"$CV4PVE_AUTOSNAP_PHASE $vmid\" in\n{cases}*)\n  answer=0 ;;\nesac\n\
             echo \"$CV4PVE_AUTOSNAP_PHASE $vmid ${{CV4PVE_AUTOSNAP_SNAP_NAME:--}} $answer\" >>\"$0.calls\"\nexit \"$answer\"\n"
        );
        let path = self.folder.path().join(name);
        let written = Command::new("/bin/sh")
            .args(["-c", "printf %s \"$2\" >\"$1\" && chmod 700 \"$1\"", "sh"])
            .args([path.as_os_str(), text.as_ref()])
            .status()
            .unwrap();
        assert!(written.success());
        Hook::new(&path, Settings::default()).unwrap()
    }

    /// Checks the calls of the run with faults; returns their number.
    pub(crate) fn after_disturbed(
        &self,
        simulator: &Simulator,
        ran: &RunTrace,
        at_once: usize,
    ) -> Result<usize, String> {
        let calls = self.check("disturbed", ran)?;
        match self.on_failure {
            HookFailure::Ignore => {}
            HookFailure::SkipGuest => failed_phases_block_steps(simulator, ran, &calls)?,
            HookFailure::AbortRun => {
                failed_phases_block_steps(simulator, ran, &calls)?;
                nothing_new_after_a_failure(&calls, at_once)?;
            }
        }
        Ok(calls.len())
    }

    /// Checks the calls of the run without faults; returns their number.
    pub(crate) fn after_repaired(&self, ran: &RunTrace) -> Result<usize, String> {
        let calls = self.check("repaired", ran)?;
        // The next run begins with an empty list.
        if !calls.is_empty() {
            std::fs::remove_file(self.folder.path().join("repaired.calls")).unwrap();
        }
        Ok(calls.len())
    }

    fn check(&self, name: &str, ran: &RunTrace) -> Result<Vec<Call>, String> {
        let path = self.folder.path().join(format!("{name}.calls"));
        // A run that is killed early, or reaches no host, calls no hook.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let calls: Vec<Call> = text.lines().map(call).collect();
        openings_are_closed(&calls, ran.killed)?;
        let reported = ran.events.iter();
        let reported = reported
            .filter(|event| matches!(event, EventKind::HookRan(_)))
            .count();
        if !ran.killed && reported != calls.len() {
            return Err(format!("{reported} calls were reported, not {calls:?}"));
        }
        Ok(calls)
    }
}

fn call(line: &str) -> Call {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    Call {
        phase: word(),
        vmid: word().parse().unwrap(),
        snapshot: word(),
        has_failed: word() == "1",
    }
}

impl Call {
    /// Whether this call is the closing one for `opening`.
    fn closes(&self, opening: &Self) -> bool {
        let of_job = opening.phase.strip_suffix("-start");
        of_job.is_some_and(|job| self.phase == format!("{job}-end"))
            || STEPS.iter().any(|(before, after, instead)| {
                opening.phase == *before && (self.phase == *after || self.phase == *instead)
            }) && self.snapshot == opening.snapshot
    }

    fn is_opening(&self) -> bool {
        self.phase.ends_with("-start") || self.phase.ends_with("-pre")
    }
}

/// Each opening phase is followed by one closing phase, in reverse order; after a kill the last ones may be missing.
fn openings_are_closed(calls: &[Call], killed: bool) -> Result<(), String> {
    let mut open: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        let open = open.entry(call.vmid).or_default();
        if call.is_opening() {
            open.push(call);
        } else if !open.pop().is_some_and(|opening| call.closes(opening)) {
            return Err(format!("{call:?} closes nothing of {calls:?}"));
        }
    }
    match open.values().flatten().next() {
        Some(left) if !killed => Err(format!("nothing closes {left:?} of {calls:?}")),
        Some(_) | None => Ok(()),
    }
}

/// A step was not taken if the hook failed before it.
fn failed_phases_block_steps(
    simulator: &Simulator,
    ran: &RunTrace,
    calls: &[Call],
) -> Result<(), String> {
    let entries = simulator.journal().entries();
    let mutations = entries
        .iter()
        .skip(ran.from)
        .filter_map(|entry| match entry {
            Entry::Mutation(mutation) => Some(mutation),
            Entry::Request(_) | Entry::Task(_) => None,
        });
    for mutation in mutations {
        let opening = match mutation.action {
            Action::Create => "snap-create-pre",
            Action::Delete => "snap-remove-pre",
            Action::Update
            | Action::Rollback
            | Action::Start
            | Action::Stop
            | Action::Configure => continue,
        };
        let failed = calls.iter().find(|call| {
            call.has_failed
                && call.phase == opening
                && call.vmid == mutation.vmid
                && Some(&call.snapshot) == mutation.snapshot.as_ref()
        });
        if let Some(failed) = failed {
            return Err(format!("done although the hook failed: {failed:?}"));
        }
    }
    Ok(())
}

/// After a failure that ends the run, only guests that have already started call an opening hook.
fn nothing_new_after_a_failure(calls: &[Call], at_once: usize) -> Result<(), String> {
    let mut openings = calls.iter().filter(|call| call.is_opening());
    let Some(failed) = openings.find(|call| call.has_failed) else {
        return Ok(());
    };
    let under_way = if failed.vmid == 0 { 0 } else { at_once - 1 };
    let later = openings.count();
    if later > under_way {
        return Err(format!("{later} openings after {failed:?} of {calls:?}"));
    }
    Ok(())
}
