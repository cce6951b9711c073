// SPDX-License-Identifier: GPL-3.0-only
//! The libFuzzer entry point of [`autosnap_fuzz::password_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| autosnap_fuzz::password_file::run(input));
