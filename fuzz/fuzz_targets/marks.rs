// SPDX-License-Identifier: GPL-3.0-only
//! libFuzzer's way into [`autosnap_fuzz::marks`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| autosnap_fuzz::marks::run(input));
