// SPDX-License-Identifier: GPL-3.0-only
//! The libFuzzer entry point of [`autosnap_fuzz::tokens`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| autosnap_fuzz::tokens::run(input));
