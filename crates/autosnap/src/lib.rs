// SPDX-License-Identifier: GPL-3.0-only
//! Takes, keeps and removes snapshots of Proxmox VE guests by policy: the shell around
//! `autosnap-core`, which decides, and `pve-client`, which speaks to PVE.
//!
//! [`args`] is what was typed, [`settings`] what is meant, [`job`] and [`status`] are the commands,
//! [`engine`] carries out a plan, [`report`] is the only module that prints.
//!
//! As a library: run a job, follow its events, read the result of each guest. Here against the
//! simulator; with a real host, `Trust` and the endpoint differ.
//!
//! ```
//! use autosnap::engine::RunningTasks;
//! use autosnap::events::Events;
//! use autosnap::job::{self, Context};
//! use autosnap::settings::{Job, JobSettings};
//! use autosnap::stop::StopSignal;
//! use autosnap_core::event::{EventKind, GuestResult};
//! use autosnap_core::name::Label;
//! use autosnap_core::select::Selection;
//! use pve_client::{ApiToken, Client, ClientOptions, Credentials, Trust};
//! use pve_sim::simulator::{Options, Simulator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let world = pve_sim::generate::demo_world(1_800_000_000, 0);
//! let simulator = Simulator::start(Options::new(world.world, world.credentials))?;
//!
//! let job = Job::Snap { with_ram: false, only_running: true };
//! let settings = JobSettings::new(job, Selection::parse("web01,erp")?, Label::parse("daily")?, 3);
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let told = runtime.block_on(async {
//!     let endpoint = simulator.url().trim_start_matches("https://").parse()?;
//!     let token = ApiToken::parse("backup@pve!auto=22222222-2222-4222-8222-222222222222")?;
//!     let options = ClientOptions::new(vec![endpoint], Credentials::Token(token), Trust::AcceptAny);
//!     let (events, mut receiver) = Events::channel();
//!     let context = Context {
//!         identity: options.credentials.identity(),
//!         client: Client::connect(options).await?,
//!         now: jiff::Zoned::now(),
//!         events,
//!         stop: StopSignal::default(),
//!         tasks: RunningTasks::default(),
//!     };
//!     job::run(&settings, &context).await?;
//!     drop(context);
//!     let mut told = Vec::new();
//!     while let Some(event) = receiver.recv().await {
//!         told.push(event);
//!     }
//!     Ok::<_, Box<dyn std::error::Error>>(told)
//! })?;
//!
//! let ends = told.iter().filter_map(|event| match event {
//!     EventKind::GuestFinished { vmid, end, .. } => Some((vmid.get(), *end == GuestResult::Done)),
//!     _ => None,
//! });
//! let mut ends: Vec<(u32, bool)> = ends.collect();
//! ends.sort_unstable();
//! // The demo's erp (108) is locked by its backup.
//! assert_eq!(ends, [(100, true), (108, false)]);
//! # Ok(())
//! # }
//! ```

pub mod check;
pub mod engine;
pub mod error;
pub mod events;
mod fatal_errors;
pub mod fingerprint;
pub mod hook;
pub mod inventory;
pub mod job;
pub mod notes;
pub mod notice;
pub mod overlap;
mod predicted_refusals;
pub mod privileges;
mod pve_messages;
mod remedies;
pub mod sensitive;
pub mod settings;
mod statistics_age;
pub mod status;
pub mod stop;

pub use error::Error;
