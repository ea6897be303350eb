//! How much CPU the checks of one message cost: `cargo run --release --example speed -p
//! hikyaku-sender-auth FILE`, with the answers of DNS at hand. Without a file, a message of
//! 4 KiB with two signatures, of RSA and Ed25519, is checked.
#![allow(clippy::print_stdout, reason = "a measurement is told")]

use std::time::Instant;

use hikyaku_sender_auth::dns::Table;
use hikyaku_sender_auth::{Client, Message, TIME, check};
use hikyaku_types::Timestamp;

/// RFC 8463 appendix A, signed with both algorithms.
const MESSAGE: &str = include_str!("../tests/vectors/dkim/dkim_verifier/rfc8463-A.3.eml");

const DNS: &str = r#"{
  "football.example.com": [{"type": "TXT", "data": "v=spf1 include:_spf.example.com mx -all"}],
  "_spf.example.com": [{"type": "TXT", "data": "v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/25 -all"}],
  "_dmarc.example.com": [{"type": "TXT", "data": "v=DMARC1; p=reject"}],
  "1.2.0.192.in-addr.arpa": [{"type": "PTR", "data": "mx.football.example.com"}],
  "mx.football.example.com": [{"type": "A", "data": "192.0.2.1"}],
  "brisbane._domainkey.football.example.com": [
    {"type": "TXT", "data": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}],
  "test._domainkey.football.example.com": [{"type": "TXT", "data": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"}]
}"#;

const ROUNDS: u32 = 5000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dns = Table::from_json(DNS)?;
    let content = match std::env::args_os().nth(1) {
        Some(file) => std::fs::read(file)?,
        // The body hash is wrong then, so that this shows all but the signatures' own cost.
        None => format!("{MESSAGE}{}", "A line of text as people write it, of some length.\r\n".repeat(70))
            .into_bytes(),
    };
    for (what, content) in [("the example of RFC 8463", MESSAGE.as_bytes()), ("the message", &content)] {
        let client =
            Client { ip: "192.0.2.1".parse()?, helo: "mx", reverse_path: "joe@football.example.com" };
        let now = Timestamp::from_secs(1_795_491_267);
        let start = Instant::now();
        let mut outcome = None;
        for _ in 0..ROUNDS {
            let message = Message::new(content);
            let results = check(&dns, &client, &message, "mx", now, TIME).await;
            outcome = Some((results.dmarc.outcome, results.stamp("mx").to_field().len()));
        }
        let each = start.elapsed() / ROUNDS;
        println!("{what}, {} octets: {each:?} ({outcome:?})", content.len());
    }
    Ok(())
}
