// SPDX-License-Identifier: GPL-3.0-only
//! Runs the real binary against a simulated cluster, and checks its output, its exit status and the
//! journal of the simulator.
//!
//! One test program with a module for each topic, so that everything is linked once.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed preparation fails the test")]

mod bad_input;
mod broken_replies;
mod certificates;
mod check_agrees;
#[cfg(target_os = "linux")]
mod clock;
mod command_line;
mod csharp_compatibility;
mod csharp_spellings;
mod demo;
mod failures;
mod harness;
mod hook_calls;
mod hooks;
mod hostile_text;
mod hosts;
mod incomplete_snapshots;
mod interrupt;
mod keep_rules;
mod late_tasks;
mod locks;
mod messages;
mod migrated_guests;
mod names;
mod no_snapshots;
mod options;
mod other_program;
mod outages;
mod output;
mod parallelism;
mod paused_run;
mod permissions;
mod plan_and_journal;
mod plan_command;
mod proxy;
mod pve9;
mod quiet;
mod refusals;
mod removal_guard;
mod removal_safety;
mod repeated_task;
mod secrets;
mod selection;
mod selection_expressions;
mod selection_terms;
mod silent_node;
mod stale_status;
mod stalled_output;
mod status_forms;
mod storage;
mod storage_warnings;
mod suspend;
#[cfg(target_os = "linux")]
mod time;
mod time_formats;
mod two_machines;
mod unresolved_terms;
mod unusable_storage;
mod unusual_keys;
mod unwritable_output;
mod usage_errors;
mod weekend;
mod world;
mod wrong_replies;
