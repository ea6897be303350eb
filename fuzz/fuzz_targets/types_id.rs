//! See `hikyaku_fuzz_bodies::types::id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::types::id(data));
