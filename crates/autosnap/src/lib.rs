// SPDX-License-Identifier: GPL-3.0-only
//! Takes, keeps and removes snapshots of Proxmox VE guests by policy: the shell around
//! `autosnap-core`, which decides, and `pve-client`, which speaks to PVE.
//!
//! [`args`] is what was typed, [`settings`] what is meant, [`job`] and [`status`] are the commands,
//! [`engine`] carries out a plan, [`report`] is the only module that prints.

pub mod args;
pub mod check;
pub mod cli;
pub mod completions;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
pub mod events;
pub mod fault;
pub mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
pub mod help;
pub mod hook;
pub mod inventory;
pub mod job;
pub mod logging;
pub mod manual;
pub mod normalize;
pub mod overlap;
pub mod password_file;
pub mod report;
pub mod response_file;
pub mod secret_source;
pub mod settings;
pub mod setup;
pub mod signals;
pub mod status;
pub mod stop;
