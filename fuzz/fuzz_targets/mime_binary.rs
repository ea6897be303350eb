//! See `hikyaku_fuzz_bodies::mime::mime_binary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::mime::mime_binary(data));
