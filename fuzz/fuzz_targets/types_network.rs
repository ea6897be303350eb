//! See `hikyaku_fuzz_bodies::types::network`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::types::network(data));
