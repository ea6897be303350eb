//! See `hikyaku_fuzz_bodies::directory::scram`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::directory::scram(data));
