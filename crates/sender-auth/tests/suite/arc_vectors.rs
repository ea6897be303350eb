//! The chains of ARC that ValiMail made; see `vectors/arc/SOURCE.md`.

use hikyaku_sender_auth::dns::Table;
use hikyaku_sender_auth::{Message, Name, arc};
use serde_json::Value;

#[tokio::test]
async fn validation_suite() {
    let scenarios: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/arc/validation-tests.json")).unwrap();
    let (mut passed, mut failed) = (0, Vec::new());
    for scenario in &scenarios {
        let mut table = Table::default();
        for (name, text) in scenario["txt-records"].as_object().unwrap() {
            table.insert_txt(Name::parse(name).unwrap(), text.as_str().unwrap());
        }
        for (name, test) in scenario["tests"].as_object().unwrap() {
            let lf = test["message"].as_str().unwrap_or_default();
            let crlf = lf.replace('\n', "\r\n");
            // Two tests leave open what a chain is that says itself that it was broken.
            let expected = match test["cv"].as_str().unwrap().to_ascii_lowercase() {
                open if open.is_empty() => "fail".to_owned(),
                expected => expected,
            };
            for content in [crlf.as_str(), lf] {
                let found = arc::validate(&table, &Message::new(content.as_bytes()), 1_795_491_267).await;
                if found.outcome.as_str() == expected {
                    passed += 1;
                } else {
                    failed.push(format!("{name}: expected {expected}, found {found:?}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(passed, 2 * 86);
}
