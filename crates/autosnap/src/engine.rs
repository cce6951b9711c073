// SPDX-License-Identifier: GPL-3.0-only
//! The engine: carries out a plan, with as many guests in parallel as the limits allow.
//!
//! - `executor` runs the guests of one run.
//! - `work_queue` holds the schedule that all runs of a cluster share; it decides which guests may start.
//! - `guest_run` holds the steps of one guest.
//! - `operation` sends creations and removals. No other module sends one.
//! - `hook_calls` calls the hook; `failures` turns errors into failures with a remedy.
//!
//! Each module uses only those after it in this list: `executor`, `work_queue`, `guest_run`, `context`,
//! `operation` and `hook_calls`, `failures`, `location`.
//!
//! Limits: the engine prints nothing and makes no decisions about snapshots. It can skip steps of the plan, never add
//! one.

mod context;
mod executor;
mod failures;
mod guest_run;
mod hook_calls;
mod location;
mod operation;
mod options;
mod pace;
mod running_tasks;
mod work_queue;

pub(crate) use context::RunContext;
pub(crate) use executor::Executor;
pub(crate) use hook_calls::{HookCall, RunHook};
pub(crate) use options::Options;
pub(crate) use pace::Pace;
pub use running_tasks::RunningTasks;
pub(crate) use work_queue::WorkQueue;
