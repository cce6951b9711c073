// SPDX-License-Identifier: GPL-3.0-only
//! The command line of `cv4pve-autosnap`: arguments, parameter files, secrets, reports, signals.
//!
//! [`cli`] parses a command line into [`args`], [`settings`] checks the values, [`commands`] carries the
//! commands out with the library `autosnap`, [`report`] is the only module that prints.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod args;
pub mod cli;
pub mod clock;
pub mod command_error;
mod command_line;
pub mod commands;
pub mod exit_status;
#[doc(hidden)]
pub mod fuzzing;
pub mod help;
pub mod input_file;
mod job_folder;
pub mod line;
pub mod logging;
pub mod normalize;
pub mod other_program;
pub mod password_file;
mod preflight;
mod privileges;
mod redactions;
pub mod report;
pub mod response_file;
mod runtime;
pub mod secret_source;
mod sensitive;
pub mod settings;
pub mod signals;
