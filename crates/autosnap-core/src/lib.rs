// SPDX-License-Identifier: GPL-3.0-only
//! The decisions of cv4pve-autosnap: selection of guests, names of snapshots, retention, plan and storage limits.
//!
//! All functions are pure. This crate uses no clock, environment, file, process or network; the `clippy.toml` next to
//! its manifest enforces that. Comments on the behaviour of Proxmox VE (PVE) name the source file; the C# tool is
//! `cv4pve-autosnap` before version 3.

// A new variant must make the compiler point to every decision that it affects.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod calendar;
pub mod coverage;
pub mod event;
pub mod guest;
pub mod marks;
pub mod name;
pub mod plan;
pub mod record;
pub mod remedy;
pub mod retention;
pub mod run_id;
pub mod schedule;
pub mod select;
pub mod simulation;
pub mod snapshot;
pub mod snapshot_support;
pub mod storage;
pub mod text;
pub mod warning;
