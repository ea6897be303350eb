//! What each fuzz target does with its bytes.
//!
//! A body takes any bytes and panics when something that must hold does not. The targets in
//! `fuzz/fuzz_targets` call it from libFuzzer; the tests of this package replay every file
//! of `fuzz/corpus/TARGET` through it, on stable Rust, in every test run.
//!
//! A new target is: a function here, in the module of its area; its row in [`TARGETS`]; its
//! wrapper `fuzz/fuzz_targets/AREA_NAME.rs` with a `[[bin]]` in `fuzz/Cargo.toml`; and a few
//! inputs in `fuzz/corpus/AREA_NAME`, named after what they show. A test says what is missing.

pub mod auth;
pub mod directory;
pub mod imap;
pub mod imap_responses;
pub mod mime;
pub mod net;
pub mod smtp;
pub mod types;

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Body)] = &[
    ("auth_tags", auth::auth_tags),
    ("auth_spf", auth::auth_spf),
    ("auth_results", auth::auth_results),
    ("auth_message", auth::auth_message),
    ("directory_hash", directory::hash),
    ("directory_scram", directory::scram),
    ("directory_typed", directory::typed),
    ("imap_commands", imap::imap_commands),
    ("imap_responses", imap_responses::imap_responses),
    ("imap_utf7", imap::imap_utf7),
    ("imap_view", imap::imap_view),
    ("mime_structure", mime::mime_structure),
    ("mime_header", mime::mime_header),
    ("mime_charset", mime::mime_charset),
    ("mime_binary", mime::mime_binary),
    ("net_proxy", net::net_proxy),
    ("smtp_session", smtp::smtp_session),
    ("smtp_commands", smtp::smtp_commands),
    ("smtp_content", smtp::smtp_content),
    ("types_address", types::address),
    ("types_domain", types::domain),
    ("types_id", types::id),
    ("types_network", types::network),
];
