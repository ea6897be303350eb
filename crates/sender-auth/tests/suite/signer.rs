//! Signs messages, written apart from the code that verifies them: the canonical forms are
//! made the slow way, word by word of RFC 6376 section 3.4.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_sender_auth::Name;
use hikyaku_sender_auth::dns::Table;

/// The key of RFC 8463 appendix A.2.
const ED25519_SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

pub(crate) const NOW: i64 = 1_795_491_267;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa,
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Simple,
    Relaxed,
}

/// What a signature says beside the hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) form: Form,
    pub(crate) domain: &'a str,
    pub(crate) names: &'a str,
    /// More tags, each with its semicolon: `t=1; `.
    pub(crate) more: &'a str,
}

impl Plan<'_> {
    pub(crate) fn of(domain: &str, algorithm: Algorithm) -> Plan<'_> {
        Plan { algorithm, form: Form::Relaxed, domain, names: "from:to:subject", more: "" }
    }
}

impl Algorithm {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Rsa => ("rsa-sha256", "rsa"),
            Self::Ed25519 => ("ed25519-sha256", "ed25519"),
        }
    }

    fn sign(self, text: &[u8]) -> String {
        let signature = match self {
            Self::Rsa => {
                let key = rsa();
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
                signature
            }
            Self::Ed25519 => ed25519().sign(digest(&SHA256, text).as_ref()).as_ref().to_vec(),
        };
        STANDARD.encode(signature)
    }

    fn public(self) -> String {
        match self {
            Self::Rsa => STANDARD.encode(rsa().public_key().as_ref()),
            Self::Ed25519 => STANDARD.encode(ed25519().public_key().as_ref()),
        }
    }
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(include_bytes!("../keys/rsa-2048.pk8")).unwrap()
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&STANDARD.decode(ED25519_SEED).unwrap()).unwrap()
}

/// Publishes both keys of a domain.
pub(crate) fn publish(dns: &mut Table, domain: &str) {
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        let (_, kind) = algorithm.names();
        let name = Name::parse(&format!("{kind}._domainkey.{domain}")).unwrap();
        dns.insert_txt(name, &format!("v=DKIM1; k={kind}; p={}", algorithm.public()));
    }
}

/// The message with a DKIM-Signature in front.
pub(crate) fn sign(message: &str, plan: Plan<'_>) -> String {
    let (header, body) = split(message);
    let field = signature_field("DKIM-Signature", "v=1; ", header, body, plan);
    format!("{field}{message}")
}

/// The message with an ARC set in front that says `results`.
pub(crate) fn seal(message: &str, instance: usize, results: &str, plan: Plan<'_>) -> String {
    let (header, body) = split(message);
    let (a, kind) = plan.algorithm.names();
    let results = format!("ARC-Authentication-Results: i={instance}; {results}\r\n");
    let start = format!("i={instance}; ");
    let signature = signature_field("ARC-Message-Signature", &start, header, body, plan);
    let cv = if instance == 1 { "none" } else { "pass" };
    let domain = plan.domain;
    let seal = format!("ARC-Seal: i={instance}; a={a}; cv={cv}; d={domain}; s={kind}; t={NOW}; b=");
    let mut text = String::new();
    for older in 1..instance {
        for name in ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"] {
            let of_set = |field: &&String| {
                field.starts_with(&format!("{name}:")) && field.contains(&format!(" i={older};"))
            };
            text += &canonical_field(fields(header).iter().find(of_set).unwrap(), Form::Relaxed);
        }
    }
    text += &canonical_field(&results, Form::Relaxed);
    text += &canonical_field(&signature, Form::Relaxed);
    text += canonical_field(&seal, Form::Relaxed).trim_end_matches("\r\n");
    format!("{seal}{}\r\n{signature}{results}{message}", plan.algorithm.sign(text.as_bytes()))
}

fn split(message: &str) -> (&str, &str) {
    let end = message.find("\r\n\r\n").expect("a blank line");
    (&message[..end + 2], &message[end + 4..])
}

fn signature_field(name: &str, start: &str, header: &str, body: &str, plan: Plan<'_>) -> String {
    let (a, kind) = plan.algorithm.names();
    let form = match plan.form {
        Form::Simple => "simple/simple",
        Form::Relaxed => "relaxed/relaxed",
    };
    let hash = STANDARD.encode(digest(&SHA256, canonical_body(body, plan.form).as_bytes()));
    let Plan { domain, names, more, .. } = plan;
    let field = format!(
        "{name}: {start}a={a}; c={form}; d={domain};\r\n s={kind}; {more}h={names};\r\n\tbh={hash};\r\n\tb="
    );
    let mut text = String::new();
    let mut left = fields(header);
    for name in names.split(':') {
        let wanted = format!("{}:", name.trim().to_ascii_lowercase());
        if let Some(at) = left.iter().rposition(|field| field.to_ascii_lowercase().starts_with(&wanted)) {
            text += &canonical_field(&left.remove(at), plan.form);
        }
    }
    text += canonical_field(&field, plan.form).trim_end_matches("\r\n");
    format!("{field}{}\r\n", plan.algorithm.sign(text.as_bytes()))
}

/// Fields with their line ends.
fn fields(header: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for line in header.split_inclusive("\r\n") {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

fn canonical_field(field: &str, form: Form) -> String {
    if form == Form::Simple {
        return field.to_owned();
    }
    let (name, value) = field.split_once(':').unwrap();
    let value = value.replace("\r\n", "").replace('\t', " ");
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    format!("{}:{}\r\n", name.trim().to_ascii_lowercase(), words.join(" "))
}

fn canonical_body(body: &str, form: Form) -> String {
    let mut lines: Vec<String> = body.split("\r\n").map(str::to_owned).collect();
    if form == Form::Relaxed {
        for line in &mut lines {
            let end = line.trim_end_matches([' ', '\t']).len();
            line.truncate(end);
            *line = line.replace('\t', " ");
            while line.contains("  ") {
                *line = line.replace("  ", " ");
            }
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    match (lines.is_empty(), form) {
        (true, Form::Relaxed) => String::new(),
        (true, Form::Simple) => "\r\n".to_owned(),
        _ => lines.join("\r\n") + "\r\n",
    }
}
