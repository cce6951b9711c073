// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the running simulator, over real connections.

mod common;
mod configuration;
mod faults;
mod monitoring;
mod operations;
mod power;
mod pve9;
mod random_operations;
mod schedules;
mod statistics;
mod task_lists;
mod third_party_clients;
mod world;
