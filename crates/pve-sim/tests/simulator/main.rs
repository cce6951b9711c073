// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the running simulator, over real connections.

mod common;
mod injected;
mod life;
mod sequences;
mod statistics;
