// SPDX-License-Identifier: GPL-3.0-only
//! The libFuzzer entry point of [`autosnap_fuzz::selection`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| autosnap_fuzz::selection::run(input));
