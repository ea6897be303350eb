//! See `hikyaku_fuzz_bodies::smtp::smtp_commands`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::smtp::smtp_commands(data));
