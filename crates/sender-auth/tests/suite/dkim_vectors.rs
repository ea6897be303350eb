//! Signed messages of RFC 6376 and RFC 8463 and variants of them; see
//! `vectors/dkim/*/SOURCE.md`.

use std::path::Path;

use hikyaku_sender_auth::dkim::{self, Outcome};
use hikyaku_sender_auth::dns::{Dns, DnsError, Kind, Records, Table};
use hikyaku_sender_auth::{Message, Name};

const NOW: i64 = 1_795_491_267;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/dkim").join(name)
}

fn keys() -> Table {
    let text = std::fs::read_to_string(folder("dkim_verifier").join("dns-txt.json")).unwrap();
    let keys: std::collections::BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let mut table = Table::default();
    for (name, key) in keys {
        table.insert_txt(Name::parse(&name).unwrap(), &key);
    }
    table
}

async fn outcomes(path: &Path, now: i64) -> Vec<Outcome> {
    let content = std::fs::read(path).unwrap();
    let found = dkim::verify(&keys(), &Message::new(&content), now).await;
    found.into_iter().map(|verified| verified.outcome).collect()
}

#[tokio::test]
async fn signed_messages() {
    use Outcome::{Fail, Pass, PermError};
    let expected: [(&str, &[Outcome]); 16] = [
        ("added_header-from.eml", &[Pass]),
        ("added_header-to.eml", &[Pass]),
        ("alignment-from_not_in_auid.eml", &[Pass]),
        ("alignment-from_not_in_sdid.eml", &[Pass]),
        ("header_with_non_ascii_char.eml", &[Pass]),
        ("rfc6376-A.2-header_subject_modified.eml", &[Fail]),
        ("rfc6376-A.2-ill_formed-list_id.eml", &[Pass]),
        ("rfc8463-A.3-key_algo_mismatch.eml", &[PermError, PermError]),
        ("rfc8463-A.3.eml", &[Pass, Pass]),
        ("time-received_after_creation.eml", &[Pass]),
        ("time-received_briefly_before_creation.eml", &[Pass]),
        ("time-received_long_before_creation.eml", &[Pass]),
        ("unsigned_header-content-type.eml", &[Pass]),
        ("unsigned_header-reply_to-in_domain.eml", &[Pass]),
        ("unsigned_header-reply_to-invalid.eml", &[Pass]),
        ("unsigned_header-reply_to-not_in_domain.eml", &[Pass]),
    ];
    for (name, expected) in expected {
        assert_eq!(outcomes(&folder("dkim_verifier").join(name), NOW).await, expected, "{name}");
    }
    let files = std::fs::read_dir(folder("dkim_verifier")).unwrap();
    let messages =
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "eml"));
    assert_eq!(messages.count(), expected.len());
}

#[tokio::test]
async fn a_signature_of_the_future_does_not_count() {
    // The signatures were made at 1528637909.
    let path = folder("dkim_verifier").join("rfc8463-A.3.eml");
    for (now, expected) in [
        (1_528_637_909, Outcome::Pass),
        (1_528_637_909 - dkim::CLOCK_SKEW_SECS, Outcome::Pass),
        (1_528_637_908 - dkim::CLOCK_SKEW_SECS, Outcome::Fail),
    ] {
        assert_eq!(outcomes(&path, now).await, [expected, expected], "{now}");
    }
}

/// Has the same key for everybody.
struct OneKey(Records);

impl Dns for OneKey {
    async fn look_up(&self, _: &Name, _: Kind) -> Result<Records, DnsError> {
        Ok(self.0.clone())
    }
}

/// Their keys are not kept. With a foreign key, the header is what fails, and the body hash
/// that comes first is right.
#[tokio::test]
async fn bodies_of_other_implementations() {
    let rsa =
        keys().look_up(&Name::parse("brisbane._domainkey.example.com").unwrap(), Kind::Txt).await.unwrap();
    let mut examined = 0;
    for file in std::fs::read_dir(folder("mailauth-fixtures")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "eml") {
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        for verified in dkim::verify(&OneKey(rsa.clone()), &Message::new(&content), NOW).await {
            let reason = verified.reason.as_deref().unwrap_or_default();
            assert!(reason.starts_with("the header was changed"), "{}: {verified:?}", path.display());
            examined += 1;
        }
    }
    assert_eq!(examined, 7);
}
