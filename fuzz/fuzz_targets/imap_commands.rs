//! See `hikyaku_fuzz_bodies::imap::imap_commands`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::imap::imap_commands(data));
