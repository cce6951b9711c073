// SPDX-License-Identifier: GPL-3.0-only
//! libFuzzer's way into [`autosnap_fuzz::prune_strings`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| autosnap_fuzz::prune_strings::run(input));
