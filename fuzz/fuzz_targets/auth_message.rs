//! See `hikyaku_fuzz_bodies::auth::auth_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::auth::auth_message(data));
