// SPDX-License-Identifier: GPL-3.0-only
//! A Proxmox VE API that tells the truth: an HTTPS server that behaves as PVE
//! 8 does for everything a snapshot tool touches, without any virtualisation
//! behind it.
//!
//! It is a program of its own (`pve-sim serve`) and a library for tests:
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
//! Layers, from the inside: [`world`] (what there is), [`tasks`] (what changes
//! it, and when), [`access`] (who may), [`schema`] and [`api`] (which call does
//! what), `http` (the wire), [`simulator`] (the running server). [`faults`] and
//! [`journal`] go through all of them. It shares no code with any client.

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
