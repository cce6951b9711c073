// SPDX-License-Identifier: GPL-3.0-only
//! What cv4pve-autosnap decides, and nothing else: which guests are meant, how a snapshot is named,
//! which snapshots are ours, which of them go, and which storages are too full.
//!
//! Everything here is a pure function of its arguments. There is no clock, no environment, no file,
//! no process and no network in this crate; `clippy.toml` next to its manifest enforces that. What
//! Proxmox VE (PVE) does is named by the source file it was read in, what the C# tool does by its
//! name.

pub mod event;
pub mod guest;
pub mod name;
pub mod outcome;
pub mod plan;
pub mod remedy;
pub mod retention;
pub mod schedule;
pub mod select;
pub mod snapshot;
pub mod snapshot_support;
pub mod storage;
pub mod text;
