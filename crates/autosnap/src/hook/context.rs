// SPDX-License-Identifier: GPL-3.0-only
//! The environment of a hook: the phase and the `CV4PVE_AUTOSNAP_*` variables.
//!
//! Names, order of phases and number formats are those of the C# tool (`HookPhase.cs`, `PhaseEventArgs.cs`), because
//! the scripts of its users read them. This module only formats values.

use std::fmt;
use std::time::Duration;

/// A phase of a run in which the hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A `clean` begins.
    CleanJobStart,
    /// A `clean` has ended.
    CleanJobEnd,
    /// A `snap` begins.
    SnapJobStart,
    /// A `snap` has ended.
    SnapJobEnd,
    /// A guest's snapshot is about to be created.
    SnapCreatePre,
    /// A guest's snapshot was created, and its removals have ended.
    SnapCreatePost,
    /// A guest's snapshot could not be created.
    SnapCreateAbort,
    /// An old snapshot is about to be removed.
    SnapRemovePre,
    /// An old snapshot was removed.
    SnapRemovePost,
    /// An old snapshot could not be removed.
    SnapRemoveAbort,
}

impl Phase {
    /// Every phase, in the order of the C# tool's list.
    pub const ALL: [Self; 10] = [
        Self::CleanJobStart,
        Self::CleanJobEnd,
        Self::SnapJobStart,
        Self::SnapJobEnd,
        Self::SnapCreatePre,
        Self::SnapCreatePost,
        Self::SnapCreateAbort,
        Self::SnapRemovePre,
        Self::SnapRemovePost,
        Self::SnapRemoveAbort,
    ];

    /// The name a script compares `CV4PVE_AUTOSNAP_PHASE` with, e.g. `snap-create-pre`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CleanJobStart => "clean-job-start",
            Self::CleanJobEnd => "clean-job-end",
            Self::SnapJobStart => "snap-job-start",
            Self::SnapJobEnd => "snap-job-end",
            Self::SnapCreatePre => "snap-create-pre",
            Self::SnapCreatePost => "snap-create-post",
            Self::SnapCreateAbort => "snap-create-abort",
            Self::SnapRemovePre => "snap-remove-pre",
            Self::SnapRemovePost => "snap-remove-post",
            Self::SnapRemoveAbort => "snap-remove-abort",
        }
    }

    /// Whether the phase belongs to the whole run rather than to one guest.
    pub const fn is_job(self) -> bool {
        match self {
            Self::CleanJobStart | Self::CleanJobEnd | Self::SnapJobStart | Self::SnapJobEnd => true,
            Self::SnapCreatePre
            | Self::SnapCreatePost
            | Self::SnapCreateAbort
            | Self::SnapRemovePre
            | Self::SnapRemovePost
            | Self::SnapRemoveAbort => false,
        }
    }

    /// Whether the phase comes before a change that a failing hook can prevent.
    pub const fn is_pre(self) -> bool {
        match self {
            Self::CleanJobStart
            | Self::SnapJobStart
            | Self::SnapCreatePre
            | Self::SnapRemovePre => true,
            Self::CleanJobEnd
            | Self::SnapJobEnd
            | Self::SnapCreatePost
            | Self::SnapCreateAbort
            | Self::SnapRemovePost
            | Self::SnapRemoveAbort => false,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The guest of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookGuest {
    /// The guest's ID, `CV4PVE_AUTOSNAP_VMID`.
    pub vmid: u32,
    /// The guest's name, `CV4PVE_AUTOSNAP_VMNAME`; empty when PVE publishes none.
    pub vm_name: String,
    /// `qemu` or `lxc`, `CV4PVE_AUTOSNAP_VMTYPE`.
    pub vm_type: String,
}

/// The parameters of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a variable of the C# tool that is 1 or 0"
)]
pub struct HookContext {
    /// The phase.
    pub phase: Phase,
    /// The guest; `None` in job phases, where its variables are empty.
    pub guest: Option<HookGuest>,
    /// The label of the run.
    pub label: String,
    /// How many snapshots are kept, or the keep rules as one text.
    pub keep: String,
    /// The keep rules as one text.
    pub policy: String,
    /// The snapshot about to be, or just, created or removed; `None` in job phases.
    pub snap_name: Option<String>,
    /// Whether the RAM is part of the snapshot.
    pub vmstate: bool,
    /// How long the guest, the removal or the job took; zero in opening phases.
    pub duration: Duration,
    /// `STATE`: whether the phase has succeeded.
    pub state: bool,
    /// Whether the tool runs with `--debug`.
    pub debug: bool,
    /// Whether the tool runs with `--dry-run`.
    pub dry_run: bool,
}

impl HookContext {
    /// The variables of this call, all of them in every phase, so that a script running under `set -u` is safe.
    pub fn environment(&self) -> [(&'static str, String); 13] {
        let (vmid, vm_name, vm_type) = match &self.guest {
            Some(guest) => (
                guest.vmid.to_string(),
                guest.vm_name.clone(),
                guest.vm_type.clone(),
            ),
            None => (String::new(), String::new(), String::new()),
        };
        [
            ("CV4PVE_AUTOSNAP_PHASE", self.phase.to_string()),
            ("CV4PVE_AUTOSNAP_VMID", vmid),
            ("CV4PVE_AUTOSNAP_VMNAME", vm_name),
            ("CV4PVE_AUTOSNAP_VMTYPE", vm_type),
            ("CV4PVE_AUTOSNAP_LABEL", self.label.clone()),
            ("CV4PVE_AUTOSNAP_KEEP", self.keep.clone()),
            ("CV4PVE_AUTOSNAP_POLICY", self.policy.clone()),
            (
                "CV4PVE_AUTOSNAP_SNAP_NAME",
                self.snap_name.clone().unwrap_or_default(),
            ),
            ("CV4PVE_AUTOSNAP_VMSTATE", flag(self.vmstate)),
            ("CV4PVE_AUTOSNAP_DURATION", seconds(self.duration)),
            ("CV4PVE_AUTOSNAP_STATE", flag(self.state)),
            ("CV4PVE_AUTOSNAP_DEBUG", flag(self.debug)),
            ("CV4PVE_AUTOSNAP_DRY_RUN", flag(self.dry_run)),
        ]
    }
}

/// C# writes `1` and `0`, never `true` and `false`.
fn flag(value: bool) -> String {
    String::from(if value { "1" } else { "0" })
}

/// Seconds as C# prints `TimeSpan.TotalSeconds`: ticks of 100 ns, a decimal point, no trailing zeros, no point for
/// whole seconds. Only its exponents for tiny values (`5E-05`) are left out: no shell can calculate with them.
fn seconds(duration: Duration) -> String {
    let ticks = duration.subsec_nanos() / 100;
    let text = format!("{}.{ticks:07}", duration.as_secs());
    String::from(text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_seconds(duration: Duration, expected: &str) {
        assert_eq!(seconds(duration), expected, "{duration:?}");
    }

    #[test]
    fn duration_is_written_as_csharp_does() {
        check_seconds(Duration::ZERO, "0");
        check_seconds(Duration::from_millis(1500), "1.5");
        check_seconds(Duration::from_secs(10), "10");
        check_seconds(Duration::from_secs(3600), "3600");
        check_seconds(Duration::new(2, 345_678_900), "2.3456789");
        check_seconds(Duration::new(2, 345_678_999), "2.3456789");
        check_seconds(Duration::from_micros(50), "0.00005");
        check_seconds(Duration::from_nanos(99), "0");
        check_seconds(Duration::MAX, "18446744073709551615.9999999");
    }

    #[test]
    fn phases_are_either_job_or_guest_phases_by_name() {
        for phase in Phase::ALL {
            assert_eq!(phase.is_job(), phase.as_str().contains("-job-"), "{phase}");
            let opening = phase.as_str().ends_with("-start") || phase.as_str().ends_with("-pre");
            assert_eq!(phase.is_pre(), opening, "{phase}");
        }
    }

    #[test]
    fn a_job_phase_leaves_guest_and_snapshot_empty() {
        let context = HookContext {
            phase: Phase::SnapJobStart,
            guest: None,
            label: String::from("daily"),
            keep: "7".to_owned(),
            policy: "keep-last=7".to_owned(),
            snap_name: None,
            vmstate: false,
            duration: Duration::ZERO,
            state: true,
            debug: true,
            dry_run: false,
        };
        let values: Vec<_> = context
            .environment()
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        assert_eq!(
            values,
            [
                "snap-job-start",
                "",
                "",
                "",
                "daily",
                "7",
                "keep-last=7",
                "",
                "0",
                "0",
                "1",
                "1",
                "0"
            ]
        );
    }
}
