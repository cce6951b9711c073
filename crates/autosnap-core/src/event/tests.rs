// SPDX-License-Identifier: GPL-3.0-only
//! The events that count as failures.

use super::*;

#[test]
fn removals_left_for_lack_of_time_are_not_failures() {
    for (reason, is_failure) in [
        (PostponeReason::RemovalFailed, true),
        (PostponeReason::Hook, true),
        (PostponeReason::Budget, false),
    ] {
        assert_eq!(reason.is_failure(), is_failure, "{reason:?}");
    }
}

#[test]
fn a_hook_succeeds_only_with_exit_status_0() {
    for (end, is_success) in [
        (HookEnd::Exited(0), true),
        (HookEnd::Exited(1), false),
        (HookEnd::Exited(-1), false),
        (HookEnd::Killed, false),
        (HookEnd::TimedOut, false),
        (HookEnd::ChildStillRunning, false),
        (HookEnd::NotStarted("not found".to_owned()), false),
    ] {
        assert_eq!(end.is_success(), is_success, "{end:?}");
    }
}

#[test]
fn a_command_has_the_word_of_the_command_line() {
    assert_eq!(Command::Snap.as_str(), "snap");
    assert_eq!(Command::Clean.as_str(), "clean");
}
