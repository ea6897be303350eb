//! What credentials cost on this machine: time to check a password by scheme, SCRAM, app
//! passwords, the policy, and time and memory of the authentication cache.
//!
//! Run with `cargo run --release -p hikyaku-directory --example credential_costs`.

// A program for people: it prints.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use hikyaku_directory::scram::{Salts, Verifier};
use hikyaku_directory::{
    AppPassword, AppPasswordKey, AuthCache, PasswordHash, PasswordOwner, PasswordPolicy, prepare,
};
use hikyaku_types::{AccountId, SystemRandom, Timestamp};

/// Hashes as they are usual, and the most costly ones that are taken.
const HASHES: [(&str, &str); 15] = [
    ("Argon2id, ours: 19 MiB, 2 passes", ""),
    (
        "Argon2id of Dovecot: 64 MiB, 3 passes",
        "$argon2id$v=19$m=65536,t=3,p=1$wRFVwczlzGa/Wk51nhWtQQ$rUAQ5djHRDTraQeh/bbooxIe/FVjksuFetCvs0p4RFw",
    ),
    (
        "Argon2id, the most: 256 MiB, 4 passes",
        "$argon2id$v=19$m=262144,t=4,p=1$wRFVwczlzGa/Wk51nhWtQQ$rUAQ5djHRDTraQeh/bbooxIe/FVjksuFetCvs0p4RFw",
    ),
    ("bcrypt, cost 5 (Dovecot)", "$2y$05$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu"),
    ("bcrypt, cost 10", "$2y$10$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu"),
    ("bcrypt, the most: cost 14", "$2y$14$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu"),
    (
        "SHA512-CRYPT, 5000 rounds",
        "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    ),
    (
        "SHA512-CRYPT, the most: 1,000,000 rounds",
        "$6$rounds=1000000$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    ),
    ("SHA256-CRYPT, 5000 rounds", "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/"),
    (
        "SHA256-CRYPT, the most: 1,000,000 rounds",
        "$5$rounds=1000000$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
    ),
    ("MD5-CRYPT", "$1$saltsalt$NuzA7WTAelpl95xgBGWN60"),
    (
        "PBKDF2, 5000 rounds (Dovecot)",
        "{PBKDF2}$1$RWHiCfgw2LZrkj8q$5000$ce241d3e53dfeaa6536010f361cc65254d2815eb",
    ),
    (
        "PBKDF2, the most: 2,000,000 rounds",
        "{PBKDF2}$1$RWHiCfgw2LZrkj8q$2000000$ce241d3e53dfeaa6536010f361cc65254d2815eb",
    ),
    ("SSHA", "{SSHA}LiVMVXo5eanz9DzZEIJQq4z4oSzGfgZr"),
    (
        "SSHA512",
        "{SSHA512}AjWUiLIvoGkCjhoLOwzaBZ5aqK6PXw3SIQ3o4ZRRtpcLaLG/iVGB+oDle95mVXvEBc50q3Q6E+UVfuixk16Pl4hPNh4=",
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First, as long as the allocator has nothing to give back.
    auth_cache()?;
    let own = PasswordHash::of(b"another password", &SystemRandom)?;
    for (title, text) in HASHES {
        let hash = if text.is_empty() { own.clone() } else { PasswordHash::parse(text)? };
        show(title, || hash.check(b"correct horse battery"));
    }
    let longest = [b'x'; 128];
    for (title, text) in HASHES.iter().filter(|(title, _)| title.contains("CRYPT, the most")) {
        let hash = PasswordHash::parse(text)?;
        show(&format!("{title}, password of 128 octets"), || hash.check(&longest));
    }
    app_passwords();
    policy();
    Ok(())
}

fn app_passwords() {
    let (password, key) = (AppPassword::new(&SystemRandom), AppPasswordKey::derive(&[7; 32]));
    let salt = Salts::derive(&[7; 32]).of("ann@example.org");
    show("app password: read and digest", || {
        AppPassword::parse(password.to_text().as_bytes()).map(|password| *key.digest(&password).as_bytes())
    });
    show("SCRAM verifier, made once", || Verifier::of(&password, salt));
}

fn policy() {
    let policy = PasswordPolicy::default();
    show("policy, without a file", || {
        policy.check("lamp-river-canto", &PasswordOwner::default(), None).is_ok()
    });
    show("preparing a password", || prepare::for_check("pässword".as_bytes()));
}

fn auth_cache() -> Result<(), Box<dyn std::error::Error>> {
    let now = Timestamp::from_secs(1);
    for accounts in [100_000, 650_000] {
        let cache = AuthCache::new(accounts, &SystemRandom);
        let ids: Vec<AccountId> = (0..accounts).map(|_| AccountId::random(&SystemRandom)).collect();
        let before = resident_octets()?;
        ids.iter().for_each(|id| cache.succeeded(*id, 1, b"correct horse battery", now));
        let each = resident_octets()?.saturating_sub(before) / cache.len();
        println!("authentication cache of {accounts}: {each} octets for each of {} entries", cache.len());
        let mut next = ids.iter().cycle();
        show("  a look-up", || next.next().map(|id| cache.knows(*id, 1, b"correct horse battery", now)));
    }
    Ok(())
}

/// Time for one call: of as many as fit into half a second, and at least one.
fn show<T>(title: &str, mut call: impl FnMut() -> T) {
    let begun = Instant::now();
    let mut calls = 0u32;
    while begun.elapsed() < Duration::from_millis(500) {
        black_box(call());
        calls += 1;
    }
    println!("{title}: {:?}", begun.elapsed() / calls);
}

/// Memory of this process that is in use, of Linux.
fn resident_octets() -> Result<usize, Box<dyn std::error::Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).ok_or("no second number in statm")?.parse()?;
    Ok(pages * 4096)
}
