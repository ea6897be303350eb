//! Service extensions: which are announced to whom. One table.
//!
//! Standards: RFC 5321 section 2.2; the registry "SMTP Service Extensions" of IANA.

use crate::auth::Mechanism;
use crate::command::{Body, Mail, Rcpt};
use crate::session::Tls;
use crate::settings::{Listener, Settings};

/// A service extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the extensions say it")]
pub enum Extension {
    Pipelining,
    Size,
    EightBitMime,
    SmtpUtf8,
    EnhancedStatusCodes,
    StartTls,
    Auth,
    Chunking,
    BinaryMime,
    Dsn,
    Limits,
    RequireTls,
}

/// What an announcement depends on.
#[derive(Clone, Copy)]
struct Facts<'a> {
    settings: &'a Settings,
    tls: Option<&'a Tls>,
}

struct Row {
    extension: Extension,
    keyword: &'static str,
    listeners: &'static [Listener],
    /// Is it offered, once the listener fits?
    is_offered: fn(&Facts<'_>) -> bool,
    /// What stands behind the keyword.
    arguments: fn(&Facts<'_>) -> String,
}

const ALL: &[Listener] = &[Listener::Mx, Listener::Submission, Listener::Submissions, Listener::Lmtp];
const SUBMISSION: &[Listener] = &[Listener::Submission, Listener::Submissions];
const CLEAR_FIRST: &[Listener] = &[Listener::Mx, Listener::Submission, Listener::Lmtp];

const fn always(_: &Facts<'_>) -> bool {
    true
}

const fn nothing(_: &Facts<'_>) -> String {
    String::new()
}

#[rustfmt::skip]
const TABLE: &[Row] = {
    use Extension as E;
    &[
        // RFC 2920
        Row { extension: E::Pipelining, keyword: "PIPELINING", listeners: ALL, is_offered: always, arguments: nothing },
        // RFC 1870
        Row { extension: E::Size, keyword: "SIZE", listeners: ALL, is_offered: always, arguments: size },
        // RFC 6152
        Row { extension: E::EightBitMime, keyword: "8BITMIME", listeners: ALL, is_offered: always, arguments: nothing },
        // RFC 6531
        Row { extension: E::SmtpUtf8, keyword: "SMTPUTF8", listeners: ALL, is_offered: always, arguments: nothing },
        // RFC 2034
        Row { extension: E::EnhancedStatusCodes, keyword: "ENHANCEDSTATUSCODES", listeners: ALL, is_offered: always, arguments: nothing },
        // RFC 3207: not once TLS is there.
        Row { extension: E::StartTls, keyword: "STARTTLS", listeners: CLEAR_FIRST, is_offered: start_tls, arguments: nothing },
        // RFC 4954: never on port 25, where nobody has to sign in and guessing costs nothing.
        Row { extension: E::Auth, keyword: "AUTH", listeners: SUBMISSION, is_offered: auth, arguments: mechanisms },
        // RFC 3030
        Row { extension: E::Chunking, keyword: "CHUNKING", listeners: ALL, is_offered: |facts| facts.settings.offers.chunking, arguments: nothing },
        // RFC 3030: what a client submits we can encode before it leaves; what others relay we cannot.
        Row { extension: E::BinaryMime, keyword: "BINARYMIME", listeners: SUBMISSION, is_offered: binary_mime, arguments: nothing },
        // RFC 3461
        Row { extension: E::Dsn, keyword: "DSN", listeners: ALL, is_offered: |facts| facts.settings.offers.dsn, arguments: nothing },
        // RFC 9422
        Row { extension: E::Limits, keyword: "LIMITS", listeners: ALL, is_offered: |facts| facts.settings.offers.limits, arguments: limits },
        // RFC 8689: only under TLS.
        Row { extension: E::RequireTls, keyword: "REQUIRETLS", listeners: ALL, is_offered: |facts| facts.tls.is_some() && facts.settings.offers.require_tls, arguments: nothing },
    ]
};

fn start_tls(facts: &Facts<'_>) -> bool {
    facts.tls.is_none() && facts.settings.offers.start_tls
}

fn auth(facts: &Facts<'_>) -> bool {
    facts.tls.is_some() || facts.settings.offers.plain_sign_in_without_tls
}

fn binary_mime(facts: &Facts<'_>) -> bool {
    facts.settings.offers.chunking && facts.settings.offers.binary_mime
}

fn size(facts: &Facts<'_>) -> String {
    facts.settings.limits.size_bytes.to_string()
}

fn mechanisms(facts: &Facts<'_>) -> String {
    let offered = |mechanism: &Mechanism| offers_mechanism(*mechanism, facts.settings, facts.tls);
    Mechanism::ALL.into_iter().filter(offered).map(Mechanism::name).collect::<Vec<_>>().join(" ")
}

/// May a client that may sign in do so by this mechanism?
pub(crate) fn offers_mechanism(mechanism: Mechanism, settings: &Settings, tls: Option<&Tls>) -> bool {
    match mechanism {
        Mechanism::Plain | Mechanism::Login => true,
        Mechanism::ScramSha256 => settings.offers.scram,
        Mechanism::ScramSha256Plus => settings.offers.scram && tls.is_some_and(|tls| tls.can_bind),
    }
}

/// RFC 9422 section 4: a value has at most six digits; a limit beyond that is none.
fn limits(facts: &Facts<'_>) -> String {
    let limits = &facts.settings.limits;
    let values = [("RCPTMAX", limits.recipients as u64), ("MAILMAX", limits.transactions.into())];
    let told = values.into_iter().filter(|(_, value)| (1..=999_999).contains(value));
    told.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// The lines of an answer to EHLO or LHLO, behind the first one.
pub fn announced<'a>(settings: &'a Settings, tls: Option<&'a Tls>) -> impl Iterator<Item = String> + 'a {
    let facts = Facts { settings, tls };
    TABLE.iter().filter(move |row| applies(row, &facts)).map(move |row| {
        let arguments = (row.arguments)(&facts);
        if arguments.is_empty() { row.keyword.to_owned() } else { format!("{} {arguments}", row.keyword) }
    })
}

/// Is this extension announced to such a client?
pub fn is_announced(extension: Extension, settings: &Settings, tls: Option<&Tls>) -> bool {
    let facts = Facts { settings, tls };
    TABLE.iter().any(|row| row.extension == extension && applies(row, &facts))
}

fn applies(row: &Row, facts: &Facts<'_>) -> bool {
    row.listeners.contains(&facts.settings.listener) && (row.is_offered)(facts)
}

/// The switched extensions whose parameters this MAIL has.
pub(crate) fn used_by_mail(mail: &Mail) -> impl Iterator<Item = Extension> {
    let params = &mail.params;
    [
        (params.body == Some(Body::BinaryMime), Extension::BinaryMime),
        (params.ret.is_some() || params.envid.is_some(), Extension::Dsn),
        (params.auth.is_some(), Extension::Auth),
        (params.require_tls, Extension::RequireTls),
    ]
    .into_iter()
    .filter_map(|(is_used, extension)| is_used.then_some(extension))
}

/// The switched extensions whose parameters this RCPT has.
pub(crate) fn used_by_rcpt(rcpt: &Rcpt) -> Option<Extension> {
    let has_dsn = rcpt.params.notify.is_some() || rcpt.params.original_recipient.is_some();
    has_dsn.then_some(Extension::Dsn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Offers;

    #[test]
    fn limits_beyond_six_digits_are_not_told() {
        for (recipients, transactions, expected) in [
            (100, 100, "LIMITS RCPTMAX=100 MAILMAX=100"),
            (100, 999_999, "LIMITS RCPTMAX=100 MAILMAX=999999"),
            (100, u32::MAX, "LIMITS RCPTMAX=100"),
            (1_000_000, u32::MAX, "LIMITS"),
        ] {
            let mut settings = Settings::new("mx.example".parse().unwrap(), Listener::Mx);
            settings.offers.limits = true;
            settings.limits.recipients = recipients;
            settings.limits.transactions = transactions;
            assert_eq!(announced(&settings, None).last().as_deref(), Some(expected));
        }
    }

    #[test]
    fn only_what_can_be_bound_is_announced_as_bound() {
        let mut settings = Settings::new("mx.example".parse().unwrap(), Listener::Submission);
        settings.offers = Offers { scram: true, plain_sign_in_without_tls: true, ..Offers::default() };
        let old = Tls { cipher_suite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(), can_bind: false };
        for tls in [None, Some(&old)] {
            let lines: Vec<String> = announced(&settings, tls).collect();
            assert_eq!(lines.last().unwrap(), "AUTH SCRAM-SHA-256 PLAIN LOGIN", "{tls:?}");
        }
    }

    #[test]
    fn who_sees_what() {
        let everything = Offers {
            start_tls: true,
            plain_sign_in_without_tls: false,
            chunking: true,
            binary_mime: true,
            dsn: true,
            limits: true,
            require_tls: true,
            scram: false,
        };
        let scram = Offers { scram: true, ..Offers::default() };
        let risky = Offers { plain_sign_in_without_tls: true, ..Offers::default() };
        let basic = "PIPELINING,SIZE 1000,8BITMIME,SMTPUTF8,ENHANCEDSTATUSCODES";
        let last = "DSN,LIMITS RCPTMAX=100 MAILMAX=100";
        for (listener, has_tls, offers, expected) in [
            (Listener::Mx, false, Offers::default(), ""),
            (Listener::Mx, true, Offers::default(), ""),
            (Listener::Mx, true, risky, ""),
            (Listener::Mx, false, everything, &format!(",STARTTLS,CHUNKING,{last}")),
            (Listener::Mx, true, everything, &format!(",CHUNKING,{last},REQUIRETLS")),
            (Listener::Submission, false, Offers::default(), ""),
            (Listener::Submission, false, risky, ",AUTH PLAIN LOGIN"),
            (Listener::Submission, true, Offers::default(), ",AUTH PLAIN LOGIN"),
            (Listener::Submission, false, scram, ""),
            (Listener::Submission, true, scram, ",AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
            (Listener::Mx, true, scram, ""),
            (Listener::Submission, false, everything, &format!(",STARTTLS,CHUNKING,BINARYMIME,{last}")),
            (
                Listener::Submissions,
                true,
                everything,
                &format!(",AUTH PLAIN LOGIN,CHUNKING,BINARYMIME,{last},REQUIRETLS"),
            ),
            (Listener::Lmtp, false, everything, &format!(",STARTTLS,CHUNKING,{last}")),
        ] {
            let mut settings = Settings::new("mx.example".parse().unwrap(), listener);
            settings.offers = offers;
            settings.limits.size_bytes = 1000;
            let tls = Tls { cipher_suite: "TLS_AES_128_GCM_SHA256".into(), can_bind: true };
            let lines: Vec<String> = announced(&settings, has_tls.then_some(&tls)).collect();
            assert_eq!(lines.join(","), format!("{basic}{expected}"), "{listener:?} {has_tls} {offers:?}");
        }
    }
}
