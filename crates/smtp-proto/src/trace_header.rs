//! The trace fields that we put before a message: Received, Return-Path, Delivered-To.
//!
//! Standards: RFC 5321 section 4.4 (Received, Return-Path), RFC 3848 and RFC 6531 section
//! 4.3 (`with` keywords), RFC 8314 section 4.3 (`tls` clause), RFC 9228 (Delivered-To).
//! Trust: names come from clients and the reverse DNS of strangers. Their types have no
//! character that could end a clause, a comment or the field.

use std::fmt;
use std::net::IpAddr;

use hikyaku_types::{Domain, Timestamp};

use crate::client_name::ClientName;
use crate::path::{ForwardPath, Host, ReversePath};
use crate::session::{Greeting, Tls};

/// How a message came: the value of `with`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// HELO, EHLO or LHLO.
    pub greeting: Greeting,
    /// MAIL had SMTPUTF8.
    pub has_smtputf8: bool,
    /// The connection has TLS.
    pub has_tls: bool,
    /// The client signed in.
    pub is_signed_in: bool,
}

impl Protocol {
    /// The keyword of IANA's registry "Mail Transmission Types".
    pub fn keyword(self) -> &'static str {
        let kind = match (self.greeting, self.has_smtputf8) {
            (Greeting::Helo, _) => return "SMTP",
            (Greeting::Ehlo, false) => ["ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"],
            (Greeting::Ehlo, true) => ["UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"],
            (Greeting::Lhlo, false) => ["LMTP", "LMTPA", "LMTPS", "LMTPSA"],
            (Greeting::Lhlo, true) => ["UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"],
        };
        let [plain, signed_in, tls, tls_signed_in] = kind;
        match (self.has_tls, self.is_signed_in) {
            (false, false) => plain,
            (false, true) => signed_in,
            (true, false) => tls,
            (true, true) => tls_signed_in,
        }
    }
}

/// `Received:`, printed with its CRLF.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What the client called itself.
    pub client_name: &'a ClientName,
    /// Its address.
    pub peer: IpAddr,
    /// The confirmed name of that address, if it has one.
    pub peer_name: Option<&'a Domain>,
    /// Us.
    pub by: &'a Domain,
    /// How it came.
    pub protocol: Protocol,
    /// The TLS connection.
    pub tls: Option<&'a Tls>,
    /// What the operator finds the message by; letters, digits and `-` are kept.
    pub id: &'a str,
    /// The recipient, if there is only one: a field tells nobody of the others.
    pub recipient: Option<&'a ForwardPath>,
    /// When.
    pub received_at: Timestamp,
}

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received: from {} (", self.client_name)?;
        if let Some(name) = self.peer_name {
            write!(f, "{name} ")?;
        }
        write!(f, "{})\r\n\tby {} with {}", Host::Literal(self.peer), self.by, self.protocol.keyword())?;
        write!(f, " id {}", word(self.id))?;
        if let Some(recipient) = self.recipient {
            write!(f, "\r\n\tfor {recipient}")?;
        }
        if let Some(tls) = self.tls {
            write!(f, "\r\n\ttls {}", word(&tls.cipher_suite))?;
        }
        write!(f, ";\r\n\t{}\r\n", self.received_at.to_rfc5322())
    }
}

/// `Return-Path:`, printed with its CRLF; RFC 5321 section 4.4.
#[derive(Debug, Clone, Copy)]
pub struct ReturnPath<'a>(pub &'a ReversePath);

impl fmt::Display for ReturnPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Return-Path: {}\r\n", self.0)
    }
}

/// `Delivered-To:`, printed with its CRLF; RFC 9228.
#[derive(Debug, Clone, Copy)]
pub struct DeliveredTo<'a>(pub &'a hikyaku_types::Address);

impl fmt::Display for DeliveredTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivered-To: {}\r\n", self.0)
    }
}

/// What can stand in a clause as an atom.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Letters, forward_path};

    #[test]
    fn keywords() {
        let keyword = |greeting, has_smtputf8, has_tls, is_signed_in| {
            Protocol { greeting, has_smtputf8, has_tls, is_signed_in }.keyword()
        };
        for (greeting, utf8, tls, signed_in, expected) in [
            (Greeting::Helo, false, true, false, "SMTP"),
            (Greeting::Ehlo, false, false, false, "ESMTP"),
            (Greeting::Ehlo, false, true, false, "ESMTPS"),
            (Greeting::Ehlo, false, false, true, "ESMTPA"),
            (Greeting::Ehlo, false, true, true, "ESMTPSA"),
            (Greeting::Ehlo, true, false, false, "UTF8SMTP"),
            (Greeting::Ehlo, true, true, true, "UTF8SMTPSA"),
            (Greeting::Lhlo, false, false, false, "LMTP"),
            (Greeting::Lhlo, true, true, false, "UTF8LMTPS"),
        ] {
            assert_eq!(keyword(greeting, utf8, tls, signed_in), expected);
        }
    }

    #[test]
    fn received() {
        let client_name = ClientName::parse("client.example").unwrap();
        let peer_name: Domain = "mail.client.example".parse().unwrap();
        let by: Domain = "mx.example".parse().unwrap();
        let (_, recipient) = forward_path("<ann@example.org>", Letters::Ascii).unwrap();
        let tls = Tls { cipher_suite: "TLS_AES_256_GCM_SHA384".into(), can_bind: true };
        let protocol =
            Protocol { greeting: Greeting::Ehlo, has_smtputf8: false, has_tls: true, is_signed_in: false };
        let full = Received {
            client_name: &client_name,
            peer: "192.0.2.1".parse().unwrap(),
            peer_name: Some(&peer_name),
            by: &by,
            protocol,
            tls: Some(&tls),
            id: "k3v",
            recipient: Some(&recipient),
            received_at: Timestamp::from_secs(1_795_491_267),
        };
        assert_eq!(
            full.to_string(),
            "Received: from client.example (mail.client.example [192.0.2.1])\r\n\
             \tby mx.example with ESMTPS id k3v\r\n\
             \tfor <ann@example.org>\r\n\
             \ttls TLS_AES_256_GCM_SHA384;\r\n\
             \tTue, 24 Nov 2026 03:34:27 +0000\r\n"
        );
        let protocol = Protocol { has_tls: false, ..protocol };
        let peer = "2001:db8::1".parse().unwrap();
        let short = Received { peer, peer_name: None, protocol, tls: None, recipient: None, ..full };
        assert_eq!(
            Received { id: "a\r\nb;(c", ..short }.to_string(),
            "Received: from client.example ([IPv6:2001:db8::1])\r\n\
             \tby mx.example with ESMTP id abc;\r\n\
             \tTue, 24 Nov 2026 03:34:27 +0000\r\n"
        );
    }

    #[test]
    fn return_path_and_delivered_to() {
        assert_eq!(ReturnPath(&ReversePath::Null).to_string(), "Return-Path: <>\r\n");
        let address = "Ann@example.org".parse().unwrap();
        assert_eq!(DeliveredTo(&address).to_string(), "Delivered-To: Ann@example.org\r\n");
    }
}
