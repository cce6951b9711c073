// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the running simulator, over real connections.

mod clients;
mod common;
mod configuration;
mod injected;
mod life;
mod monitoring;
mod power;
mod pve9;
mod schedules;
mod sequences;
mod statistics;
mod task_lists;
mod world;
