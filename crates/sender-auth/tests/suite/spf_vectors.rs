//! The tests of RFC 7208 that the SPF community keeps; see `vectors/spf/SOURCE.md`.

use hikyaku_sender_auth::Name;
use hikyaku_sender_auth::dns::{Data, DnsError, Kind, Table};
use hikyaku_sender_auth::message::Client;
use hikyaku_sender_auth::spf;
use serde_json::Value;

const KINDS: [Kind; 5] = [Kind::A, Kind::Aaaa, Kind::Mx, Kind::Ptr, Kind::Txt];

/// The fake DNS of one scenario. Names that we would not ask for are left out.
fn table(zone: &Value) -> Table {
    let mut table = Table::default();
    for (name, records) in zone.as_object().unwrap() {
        let Some(name) = Name::parse(name) else { continue };
        let records = records.as_array().unwrap();
        let has_txt = records.iter().any(|record| record.get("TXT").is_some());
        let mut kinds = Vec::new();
        for record in records.iter().filter_map(Value::as_object) {
            let (kind, value) = record.iter().next().unwrap();
            let Some((kind, data)) = read(kind, value, has_txt) else { continue };
            table.insert(name.clone(), kind, data);
            kinds.push(kind);
        }
        if records.iter().any(|record| record == "TIMEOUT") {
            for kind in KINDS.into_iter().filter(|kind| !kinds.contains(kind)) {
                table.fail(name.clone(), kind, DnsError::Timeout);
            }
        }
    }
    table
}

fn read(kind: &str, value: &Value, has_txt: bool) -> Option<(Kind, Data)> {
    let text = || value.as_str().unwrap();
    Some(match kind {
        "A" => (Kind::A, Data::Address(text().parse().unwrap())),
        "AAAA" => (Kind::Aaaa, Data::Address(text().parse().unwrap())),
        "PTR" => (Kind::Ptr, Data::Ptr(Name::parse(text())?)),
        "MX" => {
            let preference = value[0].as_u64().unwrap() as u16;
            (Kind::Mx, Data::Mx { preference, exchange: Name::parse(value[1].as_str().unwrap()) })
        }
        "SPF" if has_txt => return None,
        "TXT" if value == "NONE" => return None,
        "SPF" | "TXT" => {
            let strings: Vec<&str> = match value {
                Value::Array(strings) => strings.iter().map(|string| string.as_str().unwrap()).collect(),
                text => vec![text.as_str().unwrap()],
            };
            (Kind::Txt, Data::Txt(strings.concat().into_bytes().into()))
        }
        other => panic!("unknown type {other}"),
    })
}

#[tokio::test]
async fn rfc_7208_suite() {
    let scenarios: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/spf/rfc7208-tests.json")).unwrap();
    let (mut passed, mut failed) = (0, Vec::new());
    for scenario in &scenarios {
        let table = table(&scenario["zonedata"]);
        for (name, test) in scenario["tests"].as_object().unwrap() {
            let client = Client {
                ip: test["host"].as_str().unwrap().parse().unwrap(),
                helo: test["helo"].as_str().unwrap(),
                reverse_path: test["mailfrom"].as_str().unwrap(),
            };
            let found = spf::check(&table, &client, "receiver.example", 1_795_491_267).await;
            let allowed: Vec<&str> = match &test["result"] {
                Value::Array(results) => results.iter().map(|result| result.as_str().unwrap()).collect(),
                result => vec![result.as_str().unwrap()],
            };
            let explanation = test["explanation"].as_str().filter(|text| *text != "DEFAULT");
            let explained = test["explanation"].is_null() || found.explanation.as_deref() == explanation;
            if allowed.contains(&found.outcome.as_str()) && explained {
                passed += 1;
            } else {
                failed.push(format!("{name}: expected {allowed:?} {explanation:?}, found {found:#?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(passed, 125);
}
