// SPDX-License-Identifier: GPL-3.0-only
//! The command line of `cv4pve-autosnap`: arguments, parameter files, secrets, reports, signals.
//!
//! [`args`] is what was typed, [`settings`] what it means, [`cli`] runs the commands with the
//! library `autosnap`, [`report`] is the only module that prints.

pub mod args;
pub mod cli;
pub mod clock;
pub mod command_error;
pub mod complete;
pub mod completions;
#[cfg(feature = "demo")]
pub mod demo;
#[doc(hidden)]
pub mod fuzzing;
pub mod help;
pub mod input_file;
pub mod line;
pub mod logging;
pub mod manual;
pub mod normalize;
pub mod other_program;
pub mod password_file;
pub mod report;
pub mod response_file;
pub mod secret_source;
pub mod settings;
pub mod setup;
pub mod signals;
