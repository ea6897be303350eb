//! See `hikyaku_fuzz_bodies::mime::mime_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::mime::mime_header(data));
