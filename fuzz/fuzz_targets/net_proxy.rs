//! See `hikyaku_fuzz_bodies::net::net_proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hikyaku_fuzz_bodies::net::net_proxy(data));
