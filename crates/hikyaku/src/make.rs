//! `hikyaku make …`: password hashes for an import, and the reference page of the settings file.

use std::io::Read;

use anyhow::{Context, bail};
use clap::Subcommand;
use hikyaku_directory::PasswordHash;
use hikyaku_types::{Random, SystemRandom};

/// What to make.
#[derive(Subcommand)]
pub(crate) enum What {
    /// The hash of the password that standard input gives.
    PasswordHash,
    /// The reference page of all settings, `docs/settings.md`.
    SettingsPage,
}

pub(crate) fn run(what: What) -> anyhow::Result<()> {
    match what {
        What::SettingsPage => print!("{}", crate::settings::page()),
        What::PasswordHash => {
            let mut password = String::new();
            std::io::stdin().read_to_string(&mut password).context("cannot read the password")?;
            let password = password.trim_end_matches(['\r', '\n']);
            if password.is_empty() {
                bail!("standard input gives no password: `printf %s PASSWORD | hikyaku make password-hash`");
            }
            println!("{}", PasswordHash::of(password.as_bytes(), &SystemRandom)?.as_str());
        }
    }
    Ok(())
}

/// 80 random bits, in letters that are not taken for each other.
pub(crate) fn password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bits = [0u8; 16];
    SystemRandom.fill(&mut bits);
    bits.iter().map(|bits| char::from(LETTERS[usize::from(bits % 32)])).collect()
}
