//! See `hikyaku_fuzz_bodies::directory::typed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::directory::typed(data));
