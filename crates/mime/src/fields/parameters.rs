//! `Content-Type` and `Content-Disposition`: a token and parameters.
//!
//! Standards: RFC 2045 section 5.1, RFC 2183, RFC 2231 (continuations, charsets).
//! Parameters are kept as they came, quotes removed, for IMAP, which prints them
//! undecoded; [`Parameters::decoded`] puts continuations together, undoes RFC 2231 and the
//! encoded words that many senders put there instead, and reads raw 8-bit values.
//!
//! Tolerated: values that ought to be quoted, missing `;`, missing quotes, spaces around
//! `=`, a section number with leading zeros or gaps (the sections before the gap are used).

use std::borrow::Cow;

use super::tokens::{Kind, Token, Tokens, unquoted};
use crate::charset;
use crate::encoded_word;
use crate::transfer::hex_octet;

/// More parameters than this are not read.
pub const MAX_PARAMETERS: usize = 100;

/// One parameter as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, with `*0*` and the like.
    pub name: Vec<u8>,
    /// Its value without quotes.
    pub value: Vec<u8>,
}

/// The parameters of a value, in their order; at most [`MAX_PARAMETERS`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(pub Vec<Parameter>);

/// A value put together, not yet read as text.
struct Assembled<'a> {
    octets: Cow<'a, [u8]>,
    charset: Option<&'a [u8]>,
}

impl Parameters {
    /// Reads `*(";" parameter)`.
    fn parse(mut tokens: Tokens<'_>) -> Self {
        let mut parameters = Vec::new();
        let mut pending = Pending::default();
        while let Some(token) = tokens.next()
            && parameters.len() < MAX_PARAMETERS
        {
            match token.kind {
                Kind::Comment => {}
                Kind::Special(b';') => parameters.extend(pending.finish()),
                Kind::Special(b'=') if pending.awaits_value() => pending.value = Some(Vec::new()),
                _ => {
                    if pending.has_value() && begins(&token, &tokens) {
                        parameters.extend(pending.finish());
                    }
                    pending.push(&token);
                }
            }
        }
        parameters.extend(pending.finish());
        parameters.truncate(MAX_PARAMETERS);
        Self(parameters)
    }

    /// The value of this parameter as it came, without RFC 2231. Of several the first.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|parameter| parameter.value.as_slice())
    }

    /// The octets of this parameter, with its continuations and `%XX`, and its charset.
    fn assembled(&self, name: &str) -> Option<Assembled<'_>> {
        let mut sections: Vec<(u32, bool, &[u8])> = self
            .0
            .iter()
            .filter_map(|parameter| {
                let (number, is_encoded) = section(&parameter.name, name)?;
                Some((number, is_encoded, parameter.value.as_slice()))
            })
            .collect();
        if sections.is_empty() {
            return self.get(name).map(|value| Assembled { octets: value.into(), charset: None });
        }
        sections.sort_by_key(|(number, _, _)| *number);
        let (mut charset, mut octets) = (None, Vec::new());
        for (index, (number, is_encoded, value)) in sections.into_iter().enumerate() {
            if u32::try_from(index) != Ok(number) {
                continue;
            }
            match (is_encoded, index) {
                (false, _) => octets.extend_from_slice(value),
                (true, 0) => {
                    let (label, text) = extended_value(value);
                    charset = label;
                    percent_decode(text, &mut octets);
                }
                (true, _) => percent_decode(value, &mut octets),
            }
        }
        Some(Assembled { octets: octets.into(), charset })
    }

    /// The value of this parameter as people read it.
    pub fn decoded(&self, name: &str) -> Option<String> {
        let Assembled { octets, charset } = self.assembled(name)?;
        Some(match charset {
            Some(label) => charset::decode(&octets, Some(label)).into_owned(),
            None => encoded_word::decode(&octets),
        })
    }

    /// The boundary of a multipart: octets, not text. `None` if it is missing or empty.
    pub(crate) fn boundary(&self) -> Option<Cow<'_, [u8]>> {
        self.assembled("boundary").map(|boundary| boundary.octets).filter(|boundary| !boundary.is_empty())
    }
}

/// The parameter that is being read.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    /// `Some` from the `=` on.
    value: Option<Vec<u8>>,
}

impl Pending {
    fn awaits_value(&self) -> bool {
        self.name.is_some() && self.value.is_none()
    }

    fn has_value(&self) -> bool {
        self.value.as_ref().is_some_and(|value| !value.is_empty())
    }

    fn push(&mut self, token: &Token<'_>) {
        let Some(value) = &mut self.value else {
            self.name = Some(token.text.to_vec());
            return;
        };
        // A value of several words was not quoted though it ought to be: `name=my file.txt`.
        if token.spaced && !value.is_empty() {
            value.push(b' ');
        }
        match token.kind {
            Kind::Quoted => value.extend_from_slice(&unquoted(token.text)),
            _ => value.extend_from_slice(token.text),
        }
    }

    /// The parameter, if it is one; what comes next begins another.
    fn finish(&mut self) -> Option<Parameter> {
        let (name, value) = (self.name.take(), self.value.take());
        Some(Parameter { name: name.filter(|name| !name.is_empty())?, value: value? })
    }
}

/// Does a parameter begin here although no `;` stands before it: a word, then `=`?
fn begins(token: &Token<'_>, rest: &Tokens<'_>) -> bool {
    let next = rest.clone().next().map(|token| token.kind);
    token.spaced && token.kind == Kind::Atom && next == Some(Kind::Special(b'='))
}

/// `name*`, `name*0`, `name*0*`, RFC 2231 sections 3 and 4: number, and whether `%XX` is used.
fn section(parameter: &[u8], name: &str) -> Option<(u32, bool)> {
    let (start, rest) = parameter.split_at_checked(name.len())?;
    let rest = rest.strip_prefix(b"*").filter(|_| start.eq_ignore_ascii_case(name.as_bytes()))?;
    if rest.is_empty() {
        return Some((0, true));
    }
    let digits = rest.strip_suffix(b"*").unwrap_or(rest);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, digits.len() < rest.len()))
}

/// `charset'language'text`; without the quotes it is all text.
fn extended_value(value: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut pieces = value.splitn(3, |&octet| octet == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (Some(charset), text),
        _ => (None, value),
    }
}

fn percent_decode(text: &[u8], octets: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        match hex_octet(text.get(at + 1..at + 3)).filter(|_| octet == b'%') {
            Some(decoded) => {
                octets.push(decoded);
                at += 3;
            }
            None => {
                octets.push(octet);
                at += 1;
            }
        }
    }
}

/// `Content-Type`, RFC 2045 section 5.1. Type and subtype are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `text`
    pub main: String,
    /// `plain`
    pub sub: String,
    /// `charset=utf-8`
    pub parameters: Parameters,
}

impl ContentType {
    /// Reads a value; one without a proper type and subtype is `text/plain` (RFC 2045
    /// section 5.2), except that `multipart` alone means `multipart/mixed`.
    pub fn parse(value: &[u8]) -> Self {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (media, rest) = value.split_at(end);
        // Without `;` a parameter may follow the type all the same.
        let word = first_word(media);
        let parameters = match rest.is_empty() {
            true => Parameters::parse(Tokens::of_parameters(media.get(word.end..).unwrap_or_default())),
            false => Parameters::parse(Tokens::of_parameters(rest)),
        };
        let word = media.get(word).unwrap_or_default().to_ascii_lowercase();
        let mut pieces = word.splitn(2, |&octet| octet == b'/');
        let main = pieces.next().and_then(token);
        let sub = pieces.next().and_then(token);
        let (main, sub) = match (main, sub) {
            (Some(main), Some(sub)) => (main, sub),
            (Some("multipart"), None) => ("multipart", "mixed"),
            _ => ("text", "plain"),
        };
        Self { main: main.to_owned(), sub: sub.to_owned(), parameters }
    }

    /// `text/plain; charset=us-ascii`, what holds without the field.
    pub fn text_plain() -> Self {
        let charset = Parameter { name: b"charset".to_vec(), value: b"us-ascii".to_vec() };
        Self { main: "text".to_owned(), sub: "plain".to_owned(), parameters: Parameters(vec![charset]) }
    }

    /// A type without parameters.
    pub(crate) fn bare(main: &str, sub: &str) -> Self {
        Self { main: main.to_owned(), sub: sub.to_owned(), parameters: Parameters::default() }
    }

    /// Is it this type? Both in lower case.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main == main && self.sub == sub
    }
}

/// `type "/" subtype` with the spaces and comments that may stand around the slash.
fn first_word(media: &[u8]) -> std::ops::Range<usize> {
    let start = media.iter().position(|octet| !octet.is_ascii_whitespace()).unwrap_or(media.len());
    let length = media.iter().skip(start).position(|octet| octet.is_ascii_whitespace() || *octet == b'(');
    start..length.map_or(media.len(), |length| start + length)
}

/// `token`, RFC 2045 section 5.1.
fn token(text: &[u8]) -> Option<&str> {
    let is_token = |octet: &u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(octet);
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty() && text.bytes().all(|octet| is_token(&octet))).then_some(text)
}

/// `Content-Disposition`, RFC 2183. The kind is in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment`, or another; RFC 2183 section 2.8 treats those as `attachment`.
    pub kind: String,
    /// `filename=…` and others.
    pub parameters: Parameters,
}

impl Disposition {
    /// Reads a value; `None` if it does not begin with a token.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let end = value.iter().position(|octet| octet.is_ascii_whitespace() || b";(".contains(octet));
        let (kind, rest) = value.split_at(end.unwrap_or(value.len()));
        let kind = token(kind)?.to_ascii_lowercase();
        Some(Self { kind, parameters: Parameters::parse(Tokens::of_parameters(rest)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `main/sub name=value name=value`
    fn shown(value: &[u8]) -> String {
        let parsed = ContentType::parse(value);
        let mut text = format!("{}/{}", parsed.main, parsed.sub);
        for Parameter { name, value } in parsed.parameters.0 {
            text += &format!(" {}={{{}}}", String::from_utf8_lossy(&name), String::from_utf8_lossy(&value));
        }
        text
    }

    #[test]
    fn content_types() {
        for (value, expected) in [
            ("text/plain", "text/plain"),
            (" TEXT/Html; Charset=\"utf-8\"", "text/html Charset={utf-8}"),
            ("multipart/mixed;\r\n\tboundary=\"a;b=c\"; x=y", "multipart/mixed boundary={a;b=c} x={y}"),
            ("text/plain; charset = utf-8 ; format=flowed;", "text/plain charset={utf-8} format={flowed}"),
            ("text/plain; charset=utf-8 (comment)", "text/plain charset={utf-8}"),
            ("text/plain (comment); charset=utf-8", "text/plain charset={utf-8}"),
            ("text/plain charset=utf-8", "text/plain charset={utf-8}"),
            ("text/plain; charset=utf-8 name=\"a b\"", "text/plain charset={utf-8} name={a b}"),
            ("image/png; name=my file.png", "image/png name={my file.png}"),
            ("image/png; name=a/b:c?d", "image/png name={a/b:c?d}"),
            ("image/png; name=", "image/png name={}"),
            ("image/png; name=\"open", "image/png name={open}"),
            ("image/png; =x; name", "image/png"),
            ("image/png; name=a=b", "image/png name={a=b}"),
            ("text", "text/plain"),
            ("", "text/plain"),
            ("; name=x", "text/plain name={x}"),
            ("<html>", "text/plain"),
            ("multipart; boundary=x", "multipart/mixed boundary={x}"),
            ("text/plain; a=1; a=2", "text/plain a={1} a={2}"),
            ("application/x; name*0*=utf-8''a; name*1=b", "application/x name*0*={utf-8''a} name*1={b}"),
        ] {
            assert_eq!(shown(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn file_names() {
        for (value, expected) in [
            (&b"attachment; filename=report.pdf"[..], Some("report.pdf")),
            (b"attachment; filename*=UTF-8''%e6%97%a5%E6%9C%AC.txt", Some("日本.txt")),
            (b"attachment; filename=fallback.txt; filename*=UTF-8''%E6%97%A5.txt", Some("日.txt")),
            (b"attachment; filename*0*=ISO-2022-JP'ja'%1B%24BF%7CK; filename*1*=%5C%1B%28B; filename*2=.txt",
                Some("日本.txt")),
            (b"attachment; filename*1=b.txt; filename*0=a", Some("ab.txt")),
            (b"attachment; filename*0=a; filename*2=c", Some("a")),
            (b"attachment; filename*=plain%20text", Some("plain text")),
            (b"attachment; filename*=utf-8''bad%zz%4", Some("bad%zz%4")),
            (b"attachment; filename=\"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=.txt\"", Some("日本.txt")),
            (b"attachment; filename==?utf-8?B?5pel5pys?=", Some("日本")),
            (b"attachment; filename=\"=?utf-8?Q?a_b?=\r\n =?utf-8?Q?c.txt?=\"", Some("a bc.txt")),
            ("attachment; filename=\"日本.txt\"".as_bytes(), Some("日本.txt")),
            (b"attachment; filename=\"\x95\x5c\x8e\x86.txt\"", Some("表紙.txt")),
            (b"attachment; filename=\"\x1b$BF|K\\\x1b(B.txt\"", Some("日本.txt")),
            (b"attachment; filename=\"a\\\"b\"", Some("a\"b")),
            (b"attachment", None),
            (b"attachment; filename*99999999999=x", None),
        ] {
            let parsed = Disposition::parse(value).unwrap();
            let decoded = parsed.parameters.decoded("filename");
            assert_eq!(decoded.as_deref(), expected, "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(Disposition::parse(b"INLINE ;x=y").unwrap().kind, "inline");
        assert_eq!(Disposition::parse(b"=?utf-8?Q?invalid?="), None);
        assert_eq!(Disposition::parse(b""), None);
    }

    #[test]
    fn boundaries_are_octets() {
        for (value, expected) in [
            ("multipart/mixed; boundary=\"a b  \"", Some("a b  ")),
            ("multipart/mixed; boundary=a/b:c?d", Some("a/b:c?d")),
            ("multipart/mixed; boundary*0=a; boundary*1=b", Some("ab")),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed", None),
        ] {
            let parsed = ContentType::parse(value.as_bytes());
            let boundary = parsed.parameters.boundary();
            assert_eq!(boundary.as_deref(), expected.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let value = format!("text/plain{}", "; a=b".repeat(MAX_PARAMETERS + 10));
        assert_eq!(ContentType::parse(value.as_bytes()).parameters.0.len(), MAX_PARAMETERS);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(list in prop::collection::vec(("[a-z]{1,8}", "[ -~]{0,12}"), 0..6)) {
            let printed: String = list
                .iter()
                .map(|(name, value)| {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                    format!(";\r\n\t{name}=\"{value}\"")
                })
                .collect();
            let parsed = ContentType::parse(format!("text/plain{printed}").as_bytes());
            let expected: Vec<Parameter> = list
                .into_iter()
                .map(|(name, value)| Parameter { name: name.into_bytes(), value: value.into_bytes() })
                .collect();
            prop_assert_eq!(parsed.parameters.0, expected);
        }

        #[test]
        fn percent_encoding_round_trips(text in "\\PC{1,12}", cut in 0_usize..12) {
            let encoded: Vec<String> = text.bytes().map(|octet| format!("%{octet:02x}")).collect();
            let (first, second) = encoded.split_at(cut.min(encoded.len()));
            let value = format!("attachment; x*0*=utf-8''{}; x*1*={}", first.concat(), second.concat());
            let parsed = Disposition::parse(value.as_bytes()).unwrap();
            prop_assert_eq!(parsed.parameters.decoded("x"), Some(text));
        }
    }
}
