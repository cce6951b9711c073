// SPDX-License-Identifier: GPL-3.0-only
//! The program as its users see it: the real binary against the simulated cluster, judged by what
//! it prints, by its exit status and by the journal of the simulator.
//!
//! One test program with a module for each part, so that everything is linked once.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed preparation fails the test")]

mod bad_input;
mod broken_replies;
mod certificates;
mod check_agrees;
#[cfg(target_os = "linux")]
mod clock;
mod command_line;
mod contract;
mod csharp_spellings;
mod failures;
mod harness;
mod hook_calls;
mod hooks;
mod hostile_text;
mod hosts;
mod interrupt;
mod late_tasks;
mod locks;
mod messages;
mod migrated_guests;
mod names;
mod no_snapshots;
mod options;
mod order;
mod other_program;
mod outages;
mod output;
mod paused_run;
mod plan_and_journal;
mod proxy;
mod pve9;
mod quiet;
mod refusals;
mod regressions;
mod removal_guard;
mod removal_safety;
mod repeated_task;
mod replies;
mod secrets;
mod selection;
mod selection_terms;
mod shape_errors;
mod silent_node;
mod stale_status;
mod stalled;
mod status_forms;
mod storage;
mod suspend;
#[cfg(target_os = "linux")]
mod time;
mod time_formats;
mod two_machines;
mod unchecked;
mod unresolved;
mod unusable_storage;
mod unusual_keys;
mod unwritable_output;
mod weekend;
mod world;
