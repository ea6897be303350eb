//! Hashes of other programs, bounds, and what is refused with which words.

use super::*;
use hikyaku_testkit::SeededRandom;
use proptest::prelude::*;

/// Password and hash of each line.
fn vectors() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("vectors.txt").lines();
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

fn parsed(text: &str) -> PasswordHash {
    PasswordHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    PasswordHash::parse(text).expect_err(text).to_string()
}

#[test]
fn hashes_that_other_programs_made() {
    let vectors = vectors();
    assert!(vectors.len() > 45, "only {} vectors were read", vectors.len());
    for (password, text) in vectors {
        let hash = parsed(text);
        let matches = hash.check(password.as_bytes());
        assert!(matches!(matches, PasswordCheck::Matches { .. }), "{text}: {password:?}");
        for wrong in [&format!("{password}x"), "Correct horse"] {
            // bcrypt reads 72 octets and no more.
            if password.len() < 72 {
                assert_eq!(hash.check(wrong.as_bytes()), PasswordCheck::No, "{text}: {wrong:?}");
            }
        }
        let again = parsed(hash.as_str());
        assert_eq!(again, hash, "the canonical form of {text} is itself");
        assert_eq!(again.check(password.as_bytes()), matches, "{text}");
    }
}

#[test]
fn every_scheme_has_vectors() {
    let known: Vec<&str> = vectors().iter().map(|(_, text)| parsed(text).scheme().name()).collect();
    for scheme in HashScheme::NAMES.iter().filter(|name| **name != "CRYPT") {
        assert!(known.contains(scheme), "no vector of {scheme}");
    }
}

#[test]
fn only_weaker_and_imported_hashes_are_replaced() {
    let random = SeededRandom::new(1);
    let own = PasswordHash::of(b"correct horse", &random).unwrap();
    assert!(own.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", own.as_str());
    assert_eq!(own.check(b"correct horse"), PasswordCheck::Matches { needs_rehash: false });
    assert_eq!(own.check(b"correct horsf"), PasswordCheck::No);
    assert_eq!(parsed(own.as_str()), own);
    for (password, text) in vectors() {
        let stronger = text.contains("$argon2id$v=19$m=65536");
        assert_eq!(
            parsed(text).check(password.as_bytes()),
            PasswordCheck::Matches { needs_rehash: !stronger },
            "{text}"
        );
    }
}

#[test]
fn passwords_are_prepared_before_they_are_compared() {
    let random = SeededRandom::new(2);
    let own = PasswordHash::of("caf\u{e9}\u{3000}1".as_bytes(), &random).unwrap();
    for spelling in ["caf\u{e9} 1", "cafe\u{301} 1", "cafe\u{301}\u{a0}1"] {
        assert_eq!(
            own.check(spelling.as_bytes()),
            PasswordCheck::Matches { needs_rehash: false },
            "{spelling}"
        );
    }
    // Made of the decomposed spelling, without any preparation (openssl passwd -1 -salt ab).
    let imported = parsed("$1$ab$qGx4vCjWTesewB.5QPxT40");
    assert_eq!(imported.check("cafe\u{301}".as_bytes()), PasswordCheck::Matches { needs_rehash: true });
    assert_eq!(imported.check("caf\u{e9}".as_bytes()), PasswordCheck::No);
    // Nor is our own preparation assumed of a hash that looks like ours (Python, argon2-cffi:
    // hash_secret(b"cafe\xcc\x81", b"saltsaltsaltsalt", 2, 19456, 1, 32, Type.ID)).
    let like_ours = parsed(
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$9dKkbwTxzF3LEJSdh5m5vGTlEkk/qsrSZfN1jNGZHWc",
    );
    assert_eq!(like_ours.check("cafe\u{301}".as_bytes()), PasswordCheck::Matches { needs_rehash: true });
}

#[test]
fn the_longest_password() {
    let random = SeededRandom::new(3);
    let longest = vec![b'x'; MAX_PASSWORD_OCTETS];
    let hash = PasswordHash::of(&longest, &random).unwrap();
    assert_eq!(hash.check(&longest), PasswordCheck::Matches { needs_rehash: false });
    let longer = vec![b'x'; MAX_PASSWORD_OCTETS + 1];
    assert_eq!(hash.check(&longer), PasswordCheck::No);
    assert_eq!(PasswordHash::of(&longer, &random), Err(PasswordError::PasswordTooLong));
}

#[test]
fn other_schemes_are_refused_with_what_to_do() {
    assert_eq!(
        error("{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6"),
        "scheme CRAM-MD5 is not supported: import one of ARGON2ID, ARGON2I, BLF-CRYPT, SHA512-CRYPT, \
         SHA256-CRYPT, MD5-CRYPT, PBKDF2, SSHA, SSHA256, SSHA512, CRYPT, or give the account a new password"
    );
    for (text, scheme) in [
        ("{PLAIN}secret", "PLAIN"),
        ("{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA"),
        ("{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69", "MD5"),
        ("{SCRAM-SHA-256}4096,x,y,z", "SCRAM-SHA-256"),
        ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", "$y$"),
        ("$2x$05$.", "$2x$"),
        ("$argon2d$v=19$m=256,t=3,p=1$G8OYM6Y0prQWYsyZM2YsxQ$rpFYt1ngRz7r", "$argon2d$"),
        ("{SSHA.ROT13}aaaa", ""),
    ] {
        let error = error(text);
        assert!(
            scheme.is_empty() || error.starts_with(&format!("scheme {scheme} is not")),
            "{text}: {error}"
        );
    }
}

#[test]
fn hashes_that_would_cost_too_much_are_refused() {
    for (text, expected) in [
        ("$2y$15$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu", "cost 15: checked are 4 to 14"),
        ("$2y$03$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu", "cost 3: checked are 4 to 14"),
        (
            "$5$rounds=999999999$ab$O58/4s2VxGRYbUjyOtSLr3/VPdHji0cZ5vteQVgNO3/",
            "rounds 999999999: checked are 1000 to 1000000",
        ),
        (
            "{PBKDF2}$1$ab$4000000000$ce241d3e53dfeaa6536010f361cc65254d2815eb",
            "rounds 4000000000: checked are 1 to 2000000",
        ),
        (
            "$argon2id$v=19$m=4194304,t=3,p=1$wRFVwczlzGa/Wk51nhWtQQ$rUAQ5djHRDTraQeh/bbooxIe/FVjksuFetCvs0p4RFw",
            "memory in KiB 4194304: checked are 8 to 262144",
        ),
        (
            "$argon2id$v=19$m=65536,t=1000,p=1$wRFVwczlzGa/Wk51nhWtQQ$rUAQ5djHRDTraQeh/bbooxIe/FVjksuFetCvs0p4RFw",
            "memory times passes 65536000: checked are 8 to 1048576",
        ),
    ] {
        let error = error(text);
        assert!(error.ends_with(expected), "{text}: {error}");
    }
}

#[test]
fn many_rounds_over_a_long_password_are_not_computed() {
    // Python, passlib: sha256_crypt.using(rounds=200_000, salt="ab").hash("x" * 640)
    let hash = parsed("$5$rounds=200000$ab$IY20Tf.vlyEJm.KHYGKgj/dS1gNI4L6cdFHFUDRUm6D");
    assert_eq!(hash.check(&[b'x'; 640]), PasswordCheck::Matches { needs_rehash: true });
    // The same for "x" * 641, which is right and not computed.
    let hash = parsed("$5$rounds=200000$ab$fuoUIW.T1FyrbBqoRL75L73L3DB8ltninzr2hN91Xg7");
    assert_eq!(hash.check(&[b'x'; 641]), PasswordCheck::No);
}

#[test]
fn malformed_hashes_are_refused_and_never_shown() {
    for text in [
        "",
        "secret",
        "{SSHA}",
        "{SSHA}!!!!",
        "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
        "{SSHA.HEX}148a21b",
        "{SSHA",
        "{}x",
        "$",
        "$1$",
        "$1$salt$short",
        "$1$saltsalts$NuzA7WTAelpl95xgBGWN60",
        "$6$salt$",
        "$6$rounds=05000$ab$r6qPcj2UeIkfklWHvleGJk8OKTInFYR/fxyuwcC656IWiZBpIFZ9.hMRG2ZQnnyMFrKOe461f9iT9Ljn0wJ5l.",
        "$2y$5$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu",
        "$2y$+5$b6ddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu",
        "$2y$05$éddMUiDQHUtBmc8XjcaTua1e25BzO4vJtWSNqT.B6ltk4p5wvpsu",
        "{PBKDF2}$2$ab$5000$ce241d3e53dfeaa6536010f361cc65254d2815eb",
        "{BLF-CRYPT}$1$saltsalt$NuzA7WTAelpl95xgBGWN60",
        "{CRYPT}.w8rPkvxNrCp2",
        "$argon2id$v=19$m=65536,t=3,p=1$wRFVwczlzGa/Wk51nhWtQQ",
        "$argon2id$m=65536,t=3,p=1$wRFVwczlzGa/Wk51nhWtQQ$rUAQ5djHRDTraQeh/bbooxIe",
    ] {
        let error = error(text);
        let secret = text.rsplit(['$', '}']).next().unwrap();
        assert!(secret.len() < 5 || !error.contains(secret), "{error}");
    }
    assert!(PasswordHash::parse(&"$1$".repeat(200)).is_err());
    assert_eq!(format!("{:?}", parsed("$1$saltsalt$NuzA7WTAelpl95xgBGWN60")), "PasswordHash(…)");
}

proptest! {
    #[test]
    fn any_text_is_an_error_or_a_canonical_hash(
        text in "(\\{(SSHA|PBKDF2|CRYPT|SSHA512)(\\.HEX|\\.B64)?\\})?[$./0-9a-f=,rounds]{0,120}"
    ) {
        if let Ok(hash) = PasswordHash::parse(&text) {
            prop_assert_eq!(PasswordHash::parse(hash.as_str()).unwrap(), hash);
        }
    }

    #[test]
    fn a_mutated_hash_never_panics(index in 0usize..64, place in 0usize..120, c in any::<char>()) {
        let vectors = vectors();
        let (_, text) = vectors[index % vectors.len()];
        let mut chars: Vec<char> = text.chars().collect();
        let place = place % chars.len();
        chars[place] = c;
        if let Ok(hash) = PasswordHash::parse(&chars.into_iter().collect::<String>()) {
            prop_assert_eq!(PasswordHash::parse(hash.as_str()).unwrap(), hash);
        }
    }
}
