//! See `hikyaku_fuzz_bodies::smtp::smtp_content`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::smtp::smtp_content(data));
