//! See `hikyaku_fuzz_bodies::mime::mime_structure`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::mime::mime_structure(data));
