//! ENVELOPE: the header fields that lists of messages show.
//!
//! Standards: RFC 3501 section 7.4.2 (ENVELOPE), RFC 5322 section 3.6.
//!
//! How a header becomes an [`Envelope`] (who parses messages fills it in):
//! - each text is the field's body, unfolded, without spaces around it, and otherwise as
//!   received: encoded words (RFC 2047) stay encoded, the client decodes them;
//! - a field that is missing is `None` or an empty list. A field that is there and empty is
//!   an empty text;
//! - of a field that comes more than once the first counts, but addresses of several `To`,
//!   `Cc` and `Bcc` fields are joined;
//! - `Ann <ann@a.example>`: name `Ann`, mailbox `ann`, host `a.example`; quotes and
//!   backslashes around a name are undone. A source route goes into `route`;
//! - a group is its start (mailbox: the group's name, no host), its members, and its end
//!   (nothing at all), see [`EnvelopeAddress::group_start`];
//! - an address without domain has an empty host, so that it does not look like a group;
//! - `sender` and `reply_to` stay empty where the header has none: the printer then puts
//!   From, as RFC 3501 wants it.

use std::borrow::Cow;

use crate::Dialect;
use crate::print::{nstring, put};

/// Text of a message, as it was received.
pub type Bytes<'a> = Cow<'a, [u8]>;

/// The parsed structure of a header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    /// `Date`
    pub date: Option<Bytes<'a>>,
    /// `Subject`
    pub subject: Option<Bytes<'a>>,
    /// `From`
    pub from: Vec<EnvelopeAddress<'a>>,
    /// `Sender`; empty: From is printed.
    pub sender: Vec<EnvelopeAddress<'a>>,
    /// `Reply-To`; empty: From is printed.
    pub reply_to: Vec<EnvelopeAddress<'a>>,
    /// `To`
    pub to: Vec<EnvelopeAddress<'a>>,
    /// `Cc`
    pub cc: Vec<EnvelopeAddress<'a>>,
    /// `Bcc`
    pub bcc: Vec<EnvelopeAddress<'a>>,
    /// `In-Reply-To`
    pub in_reply_to: Option<Bytes<'a>>,
    /// `Message-ID`, with its angle brackets.
    pub message_id: Option<Bytes<'a>>,
}

/// `address`, or the start or end of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeAddress<'a> {
    /// Display name.
    pub name: Option<Bytes<'a>>,
    /// Source route (`addr-adl`).
    pub route: Option<Bytes<'a>>,
    /// Local part, or a group's name.
    pub mailbox: Option<Bytes<'a>>,
    /// Domain; `None` only in the start and end of a group.
    pub host: Option<Bytes<'a>>,
}

impl<'a> EnvelopeAddress<'a> {
    /// The start of a group.
    pub fn group_start(name: impl Into<Bytes<'a>>) -> Self {
        Self { mailbox: Some(name.into()), ..Self::default() }
    }

    /// The end of a group.
    pub fn group_end() -> Self {
        Self::default()
    }
}

impl Envelope<'_> {
    /// `(date subject from …)`
    pub fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        put(out, "(");
        nstring(out, self.date.as_deref(), dialect);
        put(out, " ");
        nstring(out, self.subject.as_deref(), dialect);
        let or_from = |addresses| if Vec::is_empty(addresses) { &self.from } else { addresses };
        let lists =
            [&self.from, or_from(&self.sender), or_from(&self.reply_to), &self.to, &self.cc, &self.bcc];
        for addresses in lists {
            put(out, " ");
            print_addresses(out, addresses, dialect);
        }
        put(out, " ");
        nstring(out, self.in_reply_to.as_deref(), dialect);
        put(out, " ");
        nstring(out, self.message_id.as_deref(), dialect);
        put(out, ")");
    }
}

/// `( 1*address )` without spaces between them, or NIL.
fn print_addresses(out: &mut Vec<u8>, addresses: &[EnvelopeAddress<'_>], dialect: Dialect) {
    if addresses.is_empty() {
        return put(out, "NIL");
    }
    put(out, "(");
    for address in addresses {
        let fields = [&address.name, &address.route, &address.mailbox, &address.host];
        crate::print::list(out, fields, |out, field| nstring(out, field.as_deref(), dialect));
    }
    put(out, ")");
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn address<'a>(name: Option<&'a str>, mailbox: &'a str, host: &'a str) -> EnvelopeAddress<'a> {
        let bytes = |text: &'a str| Some(Bytes::from(text.as_bytes()));
        EnvelopeAddress {
            name: name.and_then(bytes),
            route: None,
            mailbox: bytes(mailbox),
            host: bytes(host),
        }
    }

    /// The message of RFC 3501 section 8.
    pub(in crate::response) fn example() -> Envelope<'static> {
        Envelope {
            date: Some(b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)".into()),
            subject: Some(b"IMAP4rev1 WG mtg summary and minutes".into()),
            from: vec![address(Some("Terry Gray"), "gray", "cac.washington.edu")],
            to: vec![address(None, "imap", "cac.washington.edu")],
            cc: vec![
                address(None, "minutes", "CNRI.Reston.VA.US"),
                address(Some("John Klensin"), "KLENSIN", "MIT.EDU"),
            ],
            message_id: Some(b"<B27397-0100000@cac.washington.edu>".into()),
            ..Envelope::default()
        }
    }

    #[test]
    fn the_example_of_rfc_3501() {
        let mut out = Vec::new();
        example().print(&mut out, Dialect::SevenBit);
        let gray = r#"(("Terry Gray" NIL "gray" "cac.washington.edu"))"#;
        let expected = [
            r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes""#,
            gray,
            gray,
            gray,
            r#"((NIL NIL "imap" "cac.washington.edu"))"#,
            r#"((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))"#,
            r#"NIL NIL "<B27397-0100000@cac.washington.edu>")"#,
        ];
        assert_eq!(String::from_utf8(out).unwrap(), expected.join(" "));
    }

    #[test]
    fn groups_and_eight_bit() {
        let envelope = Envelope {
            subject: Some("é".as_bytes().into()),
            to: vec![
                EnvelopeAddress::group_start(&b"team"[..]),
                address(None, "a", ""),
                EnvelopeAddress::group_end(),
            ],
            ..Envelope::default()
        };
        let printed = |dialect| {
            let mut out = Vec::new();
            envelope.print(&mut out, dialect);
            String::from_utf8(out).unwrap()
        };
        let rest =
            "NIL NIL NIL ((NIL NIL \"team\" NIL)(NIL NIL \"a\" \"\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)";
        assert_eq!(printed(Dialect::SevenBit), format!("(NIL {{2}}\r\né {rest}"));
        assert_eq!(printed(Dialect::Utf8), format!("(NIL \"é\" {rest}"));
    }
}
