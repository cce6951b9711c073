// SPDX-License-Identifier: GPL-3.0-only
//! A simulated Proxmox VE API for tests: an HTTPS server that behaves as PVE 8.4 or 9.2 does for
//! everything that a snapshot tool uses. There is no virtualisation behind it.
//!
//! The crate is a program (`pve-sim serve`) and a library for tests:
//!
//! ```
//! use pve_sim::simulator::{Options, Simulator};
//! use serde_json::json;
//!
//! let world = json!({
//!     "cluster": {"name": "lab", "nodes": [{"name": "pve1", "nodeid": 1}]},
//!     "guests": [{"vmid": 100, "type": "qemu", "node": "pve1", "name": "web01"}],
//!     "users": [{"userid": "admin@pve"}],
//!     "acl": [{"path": "/", "who": "admin@pve", "role": "Administrator"}],
//! });
//! let credentials = json!({"passwords": {"admin@pve": "secret"}});
//! let simulator = Simulator::start(Options::new(world, credentials))?;
//! assert!(simulator.url().starts_with("https://127.0.0.1:"));
//! assert!(simulator.journal().is_empty());
//! # Ok::<(), pve_sim::simulator::StartError>(())
//! ```
//!
//! Layers, from the inside out: [`world`] (the cluster's state), [`tasks`] (changes over time),
//! [`access`] (permissions), [`schema`] and [`api`] (methods and their parameters), `http` (the
//! protocol), [`simulator`] (the running server). [`faults`] and [`journal`] are used by all
//! layers. The crate shares no code with any client.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod access;
pub mod api;
pub mod calendar;
pub mod clock;
pub mod control;
pub mod faults;
pub mod generate;
mod hash;
pub mod http;
pub mod journal;
mod random;
pub mod release;
pub mod schema;
pub mod simulator;
pub mod tasks;
pub mod world;
