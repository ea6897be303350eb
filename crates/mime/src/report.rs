//! Delivery status notifications: a message that tells the sender of another one what became
//! of it.
//!
//! Standards: RFC 3464 (message/delivery-status), RFC 6522 (multipart/report), RFC 3461
//! section 6 (what stands in them), RFC 6533 section 3 (addresses beyond ASCII), RFC 3834
//! section 5 (Auto-Submitted).
//! Trust: ENVID, ORCPT and the returned header come from strangers. No octet of the first two
//! can end a line; the header is given back as it is.

use std::fmt::Write as _;

/// Octets of the returned header at most; it ends at a line.
pub const MOST_HEADER: usize = 8 << 10;

/// One notification of success.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryReport<'a> {
    /// Our name.
    pub reporting_mta: &'a str,
    /// Who is told: the reverse-path of the other message.
    pub to: &'a str,
    /// Without angle brackets.
    pub message_id: &'a str,
    /// Now, as a date of RFC 5322.
    pub date: &'a str,
    /// When the other message came.
    pub arrival_date: &'a str,
    /// ENVID, decoded.
    pub envelope_id: Option<&'a str>,
    /// At least one.
    pub recipients: &'a [ReportedRecipient],
    /// The other message's header.
    pub header: &'a [u8],
    /// Parts the parts: nobody else can know it.
    pub boundary: &'a str,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedRecipient {
    /// ORCPT: address type and address, decoded.
    pub original: Option<(String, String)>,
    /// As RCPT had it.
    pub address: String,
    /// What was done.
    pub action: Action,
}

/// What was done with a message, RFC 3464 section 2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is in the recipient's mailbox.
    Delivered,
    /// The address stands for several: it went to them, and of them nothing more is told.
    Expanded,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expanded => "expanded",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Delivered => "it is in the mailbox",
            Self::Expanded => "it went to all whom this address stands for",
        }
    }
}

impl DeliveryReport<'_> {
    /// The whole message.
    pub fn print(&self) -> Vec<u8> {
        let header = whole_lines(self.header);
        let mut text = String::new();
        self.print_header(&mut text);
        self.print_text(&mut text);
        self.print_status(&mut text);
        let _ = write!(text, "--{}\r\nContent-Type: text/rfc822-headers\r\n", self.boundary);
        if !header.is_ascii() {
            text.push_str("Content-Transfer-Encoding: 8bit\r\n");
        }
        text.push_str("\r\n");
        let end = format!("\r\n--{}--\r\n", self.boundary);
        [text.as_bytes(), header, end.as_bytes()].concat()
    }

    fn print_header(&self, text: &mut String) {
        let Self { reporting_mta, to, message_id, date, boundary, .. } = self;
        let _ = write!(
            text,
            "From: Mail Delivery <postmaster@{reporting_mta}>\r\n\
             To: <{to}>\r\n\
             Date: {date}\r\n\
             Message-ID: <{message_id}>\r\n\
             Subject: Your message was delivered\r\n\
             Auto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n"
        );
    }

    /// For people.
    fn print_text(&self, text: &mut String) {
        let is_ascii = self.recipients.iter().all(|recipient| recipient.address.is_ascii());
        let encoding = if is_ascii { "7bit" } else { "8bit" };
        let _ = write!(
            text,
            "--{}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n\
             You asked to be told what became of your message:\r\n\r\n",
            self.boundary
        );
        for recipient in self.recipients {
            let _ = write!(text, "  <{}>: {}\r\n", visible(&recipient.address), recipient.action.sentence());
        }
        text.push_str("\r\nNobody has told us whether it was read.\r\n\r\n");
    }

    /// For programs.
    fn print_status(&self, text: &mut String) {
        let _ = write!(text, "--{}\r\nContent-Type: message/delivery-status\r\n\r\n", self.boundary);
        if let Some(id) = self.envelope_id {
            let _ = write!(text, "Original-Envelope-Id: {}\r\n", visible(id));
        }
        let _ = write!(text, "Reporting-MTA: dns; {}\r\n", self.reporting_mta);
        let _ = write!(text, "Arrival-Date: {}\r\n\r\n", self.arrival_date);
        for recipient in self.recipients {
            if let Some((kind, address)) = &recipient.original {
                let _ = write!(text, "Original-Recipient: {}\r\n", typed(kind, address));
            }
            let _ = write!(text, "Final-Recipient: {}\r\n", typed("rfc822", &recipient.address));
            let _ = write!(text, "Action: {}\r\nStatus: 2.0.0\r\n\r\n", recipient.action.word());
        }
    }
}

/// `rfc822; ann@example.org`; beyond ASCII `utf-8;` with `\x{…}` for what is not ASCII (RFC
/// 6533 section 3, `utf-8-addr-xtext`).
fn typed(kind: &str, address: &str) -> String {
    if address.is_ascii() {
        return format!("{}; {}", visible(kind), visible(address));
    }
    let mut text = "utf-8; ".to_owned();
    for c in address.chars() {
        match c {
            '!'..='~' if !matches!(c, '+' | '=' | '\\') => text.push(c),
            _ => {
                let _ = write!(text, "\\x{{{:02X}}}", u32::from(c));
            }
        }
    }
    text
}

/// The text without what could end a line.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// As many whole lines as there is room for.
fn whole_lines(header: &[u8]) -> &[u8] {
    if header.len() <= MOST_HEADER {
        return header;
    }
    let room = header.get(..MOST_HEADER).unwrap_or(header);
    let end = room.windows(2).rposition(|two| two == b"\r\n").map_or(0, |at| at + 2);
    room.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, PartId, Structure};
    use proptest::prelude::*;

    fn report<'a>(
        recipients: &'a [ReportedRecipient],
        header: &'a [u8],
        id: Option<&'a str>,
    ) -> DeliveryReport<'a> {
        DeliveryReport {
            reporting_mta: "mx.example",
            to: "ann@example.org",
            message_id: "1@mx.example",
            date: "Tue, 24 Nov 2026 12:00:01 +0000",
            arrival_date: "Tue, 24 Nov 2026 12:00:00 +0000",
            envelope_id: id,
            recipients,
            header,
            boundary: "=_b",
        }
    }

    fn recipient(address: &str, original: Option<(&str, &str)>, action: Action) -> ReportedRecipient {
        let original = original.map(|(kind, address)| (kind.to_owned(), address.to_owned()));
        ReportedRecipient { original, address: address.to_owned(), action }
    }

    #[test]
    fn a_whole_report() {
        // RFC 3464 appendix E.1 has this shape.
        let recipients = [
            recipient("louisl@example.org", Some(("rfc822", "louisl@larry.example")), Action::Delivered),
            recipient("team@example.org", None, Action::Expanded),
        ];
        let printed = report(&recipients, b"Subject: x\r\n", Some("QQ314159")).print();
        let expected = "\
From: Mail Delivery <postmaster@mx.example>\r
To: <ann@example.org>\r
Date: Tue, 24 Nov 2026 12:00:01 +0000\r
Message-ID: <1@mx.example>\r
Subject: Your message was delivered\r
Auto-Submitted: auto-replied\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status;\r
\tboundary=\"=_b\"\r
\r
--=_b\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 7bit\r
\r
You asked to be told what became of your message:\r
\r
  <louisl@example.org>: it is in the mailbox\r
  <team@example.org>: it went to all whom this address stands for\r
\r
Nobody has told us whether it was read.\r
\r
--=_b\r
Content-Type: message/delivery-status\r
\r
Original-Envelope-Id: QQ314159\r
Reporting-MTA: dns; mx.example\r
Arrival-Date: Tue, 24 Nov 2026 12:00:00 +0000\r
\r
Original-Recipient: rfc822; louisl@larry.example\r
Final-Recipient: rfc822; louisl@example.org\r
Action: delivered\r
Status: 2.0.0\r
\r
Final-Recipient: rfc822; team@example.org\r
Action: expanded\r
Status: 2.0.0\r
\r
--=_b\r
Content-Type: text/rfc822-headers\r
\r
Subject: x\r
\r
--=_b--\r
";
        assert_eq!(String::from_utf8(printed).unwrap(), expected);
    }

    #[test]
    fn addresses_beyond_ascii() {
        for (kind, address, expected) in [
            ("rfc822", "ann@example.org", "rfc822; ann@example.org"),
            ("rfc822", "田+中@example.org", "utf-8; \\x{7530}\\x{2B}\\x{4E2D}@example.org"),
            ("rfc822", "é@example.org", "utf-8; \\x{E9}@example.org"),
            ("x400", "a\r\nb", "x400; a??b"),
        ] {
            assert_eq!(typed(kind, address), expected);
        }
    }

    #[test]
    fn a_long_header_ends_at_a_line() {
        let line = [b"X: ".as_slice(), &[b'a'; 70], b"\r\n"].concat();
        let header = line.repeat(200);
        let given = whole_lines(&header);
        assert!(
            given.len() <= MOST_HEADER && given.len() > MOST_HEADER - line.len() && given.ends_with(b"\r\n")
        );
        assert_eq!(whole_lines(&[b'a'; MOST_HEADER + 1]), b"");
    }

    proptest! {
        /// Whatever strangers say, there are three parts, and no field more.
        #[test]
        fn nothing_breaks_out(address in "\\PC{0,40}", original in "(?s).{0,40}", id in "(?s).{0,40}") {
            let recipients = [recipient(&address, Some(("rfc822", &original)), Action::Delivered)];
            let printed = report(&recipients, b"Subject: x\r\n", Some(&id)).print();
            let structure = Structure::parse(&printed);
            prop_assert_eq!(structure.children(PartId::ROOT).count(), 3);
            prop_assert_eq!(Header::of_content(&printed).fields().count(), 8);
            let text = String::from_utf8(printed).unwrap();
            let (_, status) = text.split_once("message/delivery-status\r\n\r\n").unwrap();
            let (status, _) = status.split_once("\r\n\r\n--=_b\r\n").unwrap();
            prop_assert_eq!(status.split("\r\n").count(), 8);
            let is_clear = |text: &str| text.bytes().all(|byte| byte == b'\r' || byte == b'\n' || byte >= b' ');
            prop_assert!(is_clear(status));
        }
    }
}
