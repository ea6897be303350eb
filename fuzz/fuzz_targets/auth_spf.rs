//! See `hikyaku_fuzz_bodies::auth::auth_spf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::auth::auth_spf(data));
