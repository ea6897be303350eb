//! See `hikyaku_fuzz_bodies::imap_responses::imap_responses`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::imap_responses::imap_responses(data));
