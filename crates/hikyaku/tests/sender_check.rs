//! `hikyaku check spf` and `hikyaku check message`, with a DNS that is a file.

use std::path::Path;
use std::process::Command;

use hikyaku_testkit::scratch_dir;
use serde_json::{Value, json};

/// The message of RFC 8463 appendix A, signed at 1528637909 with Ed25519 and RSA.
const MESSAGE: &str = include_str!("../../sender-auth/tests/vectors/dkim/dkim_verifier/rfc8463-A.3.eml");

const DNS: &str = r#"{
  "football.example.com.": [{"type": "TXT", "data": ["v=spf1 ip4:192.0.2.0/24 ", "-all"]}],
  "brisbane._domainkey.football.example.com.": [
    {"type": "TXT", "data": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}],
  "test._domainkey.football.example.com.": [{"type": "TXT", "error": "timeout"}],
  "_dmarc.example.com.": [{"type": "TXT", "data": "v=DMARC1; p=reject; sp=quarantine; pct=20"}]
}"#;

fn run(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let dns = folder.join("dns.json");
    std::fs::write(&dns, DNS).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .arg("check")
        .args(arguments)
        .args(["--dns", dns.to_str().unwrap(), "--now", "1528638000"])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn spf(folder: &Path, ip: &str, mail_from: &str, more: &[&str]) -> String {
    let arguments = ["spf", "--ip", ip, "--helo", "client1.football.example.com", "--mail-from", mail_from];
    let (succeeded, said, errors) = run(folder, &[&arguments, more].concat());
    assert!(succeeded, "{errors}");
    said
}

fn message(folder: &Path, content: &str, ip: &str, more: &[&str]) -> String {
    let file = folder.join("message.eml");
    std::fs::write(&file, content).unwrap();
    let sender = ["--helo", "client1.football.example.com", "--mail-from", "<joe@football.example.com>"];
    let arguments = ["message", file.to_str().unwrap(), "--ip", ip];
    let (succeeded, said, errors) = run(folder, &[&arguments[..], &sender, more].concat());
    assert!(succeeded, "{errors}");
    said
}

fn json_of(said: &str) -> Value {
    serde_json::from_str(said).unwrap()
}

#[test]
fn spf_step_by_step() {
    let folder = scratch_dir();
    let said = spf(folder.path(), "192.0.2.1", "joe@football.example.com", &[]);
    for line in [
        "  TXT football.example.com  \"v=spf1 ip4:192.0.2.0/24 -all\"",
        "  football.example.com: \"ip4:192.0.2.0/24\" matches",
        "  result: pass",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    for (ip, mail_from, expected) in [
        ("192.0.2.1", "joe@football.example.com", "pass"),
        ("198.51.100.1", "joe@football.example.com", "fail"),
        ("2001:db8::1", "joe@football.example.com", "fail"),
        ("192.0.2.1", "joe@nowhere.example", "none"),
        ("192.0.2.1", "<>", "none"),
        ("192.0.2.1", "", "none"),
    ] {
        let said = json_of(&spf(folder.path(), ip, mail_from, &["--json"]));
        assert_eq!(said["spf"]["result"], expected, "{ip} {mail_from}");
    }
}

#[test]
fn a_message_step_by_step() {
    let folder = scratch_dir();
    let said = message(folder.path(), MESSAGE, "192.0.2.1", &[]);
    for line in [
        "DKIM of football.example.com (selector brisbane, ed25519-sha256, 256 bits)\n  result: pass",
        "DKIM of football.example.com (selector test, rsa-sha256)\n  result: temperror, as",
        "  dkim vouches for football.example.com, which is aligned",
        "  pct=20 has no meaning any more",
        "Verdict\n  accept: dmarc=pass",
        "Authentication-Results: localhost;",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn a_message_for_programs() {
    let folder = scratch_dir();
    let said = json_of(&message(folder.path(), MESSAGE, "192.0.2.1", &["--json"]));
    assert_eq!(said["spf"]["result"], "pass");
    assert_eq!(said["dkim"][0]["result"], "pass");
    assert_eq!(said["dkim"][0]["domain"], "football.example.com");
    assert_eq!(said["dkim"][0]["selector"], "brisbane");
    assert_eq!(said["dkim"][1]["result"], "temperror");
    assert_eq!(said["dmarc"]["result"], "pass");
    assert_eq!(said["dmarc"]["policy"], "quarantine");
    assert_eq!(said["arc"]["result"], "none");

    let damaged = MESSAGE.replace("DKIM-Signature", "X-Signature");
    let said = json_of(&message(folder.path(), &damaged, "198.51.100.1", &["--json"]));
    assert_eq!(said["dkim"], json!([]));
    assert_eq!(said["dmarc"]["result"], "fail");
    assert_eq!(said["verdict"]["action"], "junk");
}

#[test]
fn mistakes_are_told() {
    let folder = scratch_dir();
    let question = ["--ip", "192.0.2.1", "--helo", "x", "--mail-from", ""];
    let (succeeded, _, said) = run(folder.path(), &[&["message", "/nowhere"], &question[..]].concat());
    assert!(!succeeded && said.contains("cannot read /nowhere"), "{said}");
    let (succeeded, _, said) = run(folder.path(), &["spf", "--ip", "x", "--helo", "x", "--mail-from", ""]);
    assert!(!succeeded && said.contains("--ip"), "{said}");
}
