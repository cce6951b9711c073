// SPDX-License-Identifier: GPL-3.0-only
//! The libFuzzer entry point of [`autosnap_fuzz::durations`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| autosnap_fuzz::durations::run(input));
