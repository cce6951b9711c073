// SPDX-License-Identifier: GPL-3.0-only
//! Takes, keeps and removes snapshots of Proxmox VE guests by policy.
//!
//! A [`Cluster`] is a login with the limits of parallel work; it lives as long as the process. A [`Coordinator`] runs
//! jobs over it, also concurrently. Each run reads the guests, makes a plan and carries it out. `autosnap-core`
//! decides, `pve-client` sends the requests.
//!
//! Limits: the library has no options, prints nothing and does not exit the process.
//!
//! Take snapshots, follow the events, read the result of each guest:
//!
//! ```
//! use autosnap::{ApiToken, ClientOptions, Cluster, Coordinator, Credentials, JobKind, JobSettings};
//! use autosnap::{Label, Limits, Rules, RunRequest, Selection, Trust};
//!
//! async fn snap_daily(host: &str, token: &str) -> Result<(), Box<dyn std::error::Error>> {
//!     let login = Credentials::Token(ApiToken::parse(token)?);
//!     let options = ClientOptions::new(vec![host.parse()?], login, Trust::AcceptAny);
//!     let coordinator = Coordinator::new(Cluster::connect(options, Limits::default()).await?);
//!
//!     let what = JobKind::Snap { with_ram: false };
//!     let (guests, label) = (Selection::parse("web01,git01")?, Label::parse("daily")?);
//!     let job = JobSettings::new(what, guests, label, Rules::parse("keep-last=3,keep-daily=7")?);
//!     let mut run = coordinator.spawn(RunRequest::new(job));
//!     let mut events = run.events().ok_or("the events are read elsewhere")?;
//!     while let Some(event) = events.recv().await {
//!         println!("{} {:?}", event.at, event.kind);
//!     }
//!     let finished = run.join().await;
//!     for guest in &finished.record.guests {
//!         println!("guest {}: {:?}", guest.vmid, guest.result);
//!     }
//!     finished.error.map_or(Ok(()), |error| Err(error.into()))
//! }
//! # let world = pve_sim::generate::demo_world(1_800_000_000, 0);
//! # let options = pve_sim::simulator::Options::new(world.world, world.credentials);
//! # let simulator = pve_sim::simulator::Simulator::start(options).unwrap();
//! # let token = "backup@pve!auto=22222222-2222-4222-8222-222222222222";
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(snap_daily(&simulator.addresses()[0].to_string(), token)).unwrap();
//! # let taken = |guest: &pve_sim::world::guest::Guest| guest.snapshots.keys().any(|name| name.starts_with("autodaily2"));
//! # assert!(simulator.world(|world| taken(&world.guests[&100])));
//! ```

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod check;
pub mod cluster;
pub mod concurrent;
pub mod coordinator;
pub mod coverage;
pub mod engine;
pub mod error;
pub mod events;
mod fatal_errors;
pub mod fingerprint;
pub mod guest_ref;
pub mod hook;
pub mod inventory;
pub mod job;
pub mod marks;
pub mod notice;
pub mod overlap;
mod panics;
mod predicted_refusals;
mod pve_messages;
mod remedies;
pub mod sensitive;
pub mod settings;
pub mod severity;
mod statistics_age;
pub mod status;
pub mod stop;

pub use autosnap_core;
pub use autosnap_core::event::EventKind;
pub use autosnap_core::name::Label;
pub use autosnap_core::retention::Rules;
pub use autosnap_core::schedule::Limits;
pub use autosnap_core::select::Selection;
pub use cluster::Cluster;
pub use coordinator::{Coordinator, FinishedRun, RunHandle, RunRequest};
pub use error::Error;
pub use pve_client;
pub use pve_client::{ApiToken, ClientOptions, Credentials, Trust};
pub use settings::{Execution, Invocation, JobKind, JobSettings};
