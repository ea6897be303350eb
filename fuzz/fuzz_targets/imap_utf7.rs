//! See `hikyaku_fuzz_bodies::imap::imap_utf7`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::imap::imap_utf7(data));
