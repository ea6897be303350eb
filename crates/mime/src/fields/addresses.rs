//! Address lists, RFC 5322 section 3.4 with the obsolete forms of section 4.4.
//!
//! The result is flat, as IMAP prints it (RFC 9051 section 7.5.2, `env-from`): a group is
//! a start, its mailboxes, and an end. Names are in the encoded form in which they came
//! ([`Mailbox::name`]); [`Mailbox::decoded_name`] is for people.
//!
//! Tolerated: missing commas' opposite, i.e. several; `;` between addresses (Outlook); a
//! missing `>`; text with no `@` (a name or a local part, the rest is empty); a name in a comment, as was the
//! custom before RFC 822; specials that ought to be quoted within a name.

use std::borrow::Cow;

use super::tokens::{Kind, Token, Tokens, unquoted};
use crate::encoded_word;
use crate::header::unfold;

/// More entries than this are not read: the rest of the value is ignored.
pub const MAX_ADDRESSES: usize = 2000;

/// A piece of an address list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// One mailbox, within a group or not.
    Mailbox(Mailbox<'a>),
    /// A group of this name begins.
    GroupStart(Cow<'a, [u8]>),
    /// The group ends.
    GroupEnd,
}

/// `mailbox`, RFC 5322 section 3.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// The display name, without quotes but with its encoded words; `None` if there is none.
    pub name: Option<Cow<'a, [u8]>>,
    /// The source route (`@a,@b`), obsolete.
    pub route: Option<Cow<'a, [u8]>>,
    /// Before the `@`, without quotes.
    pub local_part: Cow<'a, [u8]>,
    /// Behind the `@`; empty if there is none. IMAP must not print that as NIL, which would
    /// be a group.
    pub domain: Cow<'a, [u8]>,
}

impl Mailbox<'_> {
    /// The name as people read it; empty if there is none.
    pub fn decoded_name(&self) -> String {
        self.name.as_deref().map(encoded_word::decode).unwrap_or_default()
    }

    /// `local-part@domain` as text, for search and display; not for SMTP.
    pub fn address(&self) -> String {
        let local_part = crate::charset::decode(&self.local_part, None);
        match &*self.domain {
            b"" => local_part.into_owned(),
            domain => format!("{local_part}@{}", crate::charset::decode(domain, None)),
        }
    }
}

/// Reads an address list, at most [`MAX_ADDRESSES`] entries of it.
pub fn addresses(value: &[u8]) -> Vec<Entry<'_>> {
    let mut reader = Reader {
        tokens: Tokens::of_addresses(value),
        entries: Vec::new(),
        words: Vec::new(),
        has_at: false,
        comment: None,
        in_group: false,
    };
    while reader.entries.len() < MAX_ADDRESSES && reader.step() {}
    reader.finish()
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    entries: Vec<Entry<'a>>,
    /// What came since the last comma and is not yet understood: a name, or an address
    /// without angle brackets.
    words: Vec<Token<'a>>,
    /// There is an `@` among the words.
    has_at: bool,
    /// The last comment among them, which may be a name.
    comment: Option<&'a [u8]>,
    in_group: bool,
}

impl<'a> Reader<'a> {
    /// Takes one token; false at the end.
    fn step(&mut self) -> bool {
        let Some(token) = self.tokens.next() else { return false };
        match token.kind {
            Kind::Comment => self.comment = Some(token.text),
            Kind::Special(b'<') => self.angle_address(),
            Kind::Special(b',') => self.bare_address(),
            Kind::Special(b';') => {
                self.bare_address();
                if std::mem::take(&mut self.in_group) {
                    self.entries.push(Entry::GroupEnd);
                }
            }
            Kind::Special(b':') if self.begins_group() => {
                let name = phrase(&self.words).unwrap_or_default();
                self.clear();
                self.entries.push(Entry::GroupStart(name));
                self.in_group = true;
            }
            Kind::Special(b'>') => {}
            _ => {
                self.has_at |= is_at(&token);
                self.words.push(token);
            }
        }
        true
    }

    /// Forgets what came since the last comma.
    fn clear(&mut self) {
        self.words.clear();
        self.has_at = false;
        self.comment = None;
    }

    /// A colon makes a group of the words before it, unless they hold an `@`.
    fn begins_group(&self) -> bool {
        !self.in_group && !self.words.is_empty() && !self.has_at
    }

    fn finish(mut self) -> Vec<Entry<'a>> {
        self.bare_address();
        if self.in_group {
            self.entries.push(Entry::GroupEnd);
        }
        self.entries
    }

    /// `angle-addr`, behind its `<`: `[obs-route] addr-spec ">"`.
    fn angle_address(&mut self) {
        let mut inside = Vec::new();
        let mut route = None;
        let mut before_comma = self.tokens.clone();
        while let Some(token) = self.tokens.next() {
            match token.kind {
                Kind::Special(b'>') => break,
                Kind::Special(b'<') => inside.clear(),
                Kind::Comment => {}
                Kind::Special(b':') if inside.first().is_some_and(is_at) && route.is_none() => {
                    route = Some(joined(&inside));
                    inside.clear();
                }
                // A comma ends an address whose `>` is missing, but not a source route.
                Kind::Special(b',' | b';') if !inside.first().is_some_and(is_at) => {
                    self.tokens = before_comma;
                    break;
                }
                _ => inside.push(token),
            }
            before_comma = self.tokens.clone();
        }
        let name = phrase(&self.words).or_else(|| self.comment.map(unquoted));
        let (local_part, domain) = split_at(&inside);
        self.push(name, route, local_part, domain);
    }

    /// What stood between commas without angle brackets, if anything.
    fn bare_address(&mut self) {
        if self.words.is_empty() {
            self.comment = None;
            return;
        }
        // `Ann Lee ann@example.org` lacks its brackets: only the word at the `@` belongs to it.
        let name_end = match self.words.iter().position(is_at) {
            Some(at) => address_start(&self.words, at),
            None => 0,
        };
        let words = std::mem::take(&mut self.words);
        let (before, address) = words.split_at(name_end.min(words.len()));
        let name = phrase(before).or_else(|| self.comment.map(unquoted));
        let (local_part, domain) = split_at(address);
        match name {
            None if domain.is_empty() && is_name(&local_part) => {
                self.push(Some(local_part), None, Cow::Borrowed(b""), domain);
            }
            name => self.push(name, None, local_part, domain),
        }
    }

    fn push(
        &mut self,
        name: Option<Cow<'a, [u8]>>,
        route: Option<Cow<'a, [u8]>>,
        local_part: Cow<'a, [u8]>,
        domain: Cow<'a, [u8]>,
    ) {
        self.clear();
        if name.is_none() && local_part.is_empty() && domain.is_empty() {
            return; // `<>` says nothing
        }
        self.entries.push(Entry::Mailbox(Mailbox { name, route, local_part, domain }));
    }
}

fn is_at(token: &Token<'_>) -> bool {
    token.kind == Kind::Special(b'@')
}

/// The first word of the local part whose `@` is the word `at`: words and dots that touch.
fn address_start(words: &[Token<'_>], at: usize) -> usize {
    let mut start = at.saturating_sub(1);
    while start > 0 {
        let dotted = [words.get(start - 1), words.get(start)]
            .iter()
            .any(|word| word.is_some_and(|word| word.kind == Kind::Special(b'.')));
        let touches = words.get(start).is_some_and(|word| !word.spaced);
        if !dotted && !touches {
            break;
        }
        start -= 1;
    }
    start
}

/// Local part and domain of `addr-spec`. Of several `@`, the last one parts them.
fn split_at<'a>(words: &[Token<'a>]) -> (Cow<'a, [u8]>, Cow<'a, [u8]>) {
    match words.iter().rposition(is_at) {
        Some(at) => {
            let (local_part, domain) = words.split_at(at);
            (joined(local_part), joined(domain.get(1..).unwrap_or_default()))
        }
        // No `@`: the words are kept apart, since they may be a sentence.
        None => (phrase(words).unwrap_or_default(), Cow::Borrowed(b"")),
    }
}

/// Without an `@`, `postmaster` is a local part, but `Ann Lee` is a name.
fn is_name(text: &[u8]) -> bool {
    !text.iter().all(u8::is_ascii_graphic) || text.starts_with(b"=?")
}

/// Words put together without the white space between them.
fn joined<'a>(words: &[Token<'a>]) -> Cow<'a, [u8]> {
    match words {
        [] => Cow::Borrowed(b""),
        [word] => text_of(word),
        _ => Cow::Owned(words.iter().flat_map(|word| text_of(word).into_owned()).collect()),
    }
}

/// `phrase`, RFC 5322 section 3.2.5: words with one space where there was any white space.
/// `None` if there are no words, or only empty quotes.
fn phrase<'a>(words: &[Token<'a>]) -> Option<Cow<'a, [u8]>> {
    if let [word] = words {
        return Some(text_of(word)).filter(|text| !text.is_empty());
    }
    let mut text = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 && word.spaced {
            text.push(b' ');
        }
        text.extend_from_slice(&text_of(word));
    }
    (!text.is_empty()).then_some(Cow::Owned(text))
}

fn text_of<'a>(word: &Token<'a>) -> Cow<'a, [u8]> {
    match word.kind {
        Kind::Quoted => unquoted(word.text),
        // An encoded word or a run of raw JIS may have been folded.
        _ => unfold(word.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `name|route|local|domain`, `group{` and `}`.
    fn shown(value: &[u8]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        addresses(value)
            .into_iter()
            .map(|entry| match entry {
                Entry::GroupStart(name) => format!("{}{{", text(&name)),
                Entry::GroupEnd => "}".to_owned(),
                Entry::Mailbox(mailbox) => format!(
                    "{}|{}|{}|{}",
                    mailbox.name.as_deref().map_or("-".into(), text),
                    mailbox.route.as_deref().map_or("-".into(), text),
                    text(&mailbox.local_part),
                    text(&mailbox.domain)
                ),
            })
            .collect()
    }

    #[test]
    fn the_examples_of_rfc_5322_appendix_a() {
        for (value, expected) in [
            ("John Doe <jdoe@machine.example>", vec!["John Doe|-|jdoe|machine.example"]),
            (
                "\"Joe Q. Public\" <john.q.public@example.com>",
                vec!["Joe Q. Public|-|john.q.public|example.com"],
            ),
            ("Who? <one@y.test>", vec!["Who?|-|one|y.test"]),
            (
                "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <s@example.net>",
                vec!["-|-|boss|nil.test", "Giant; \"Big\" Box|-|s|example.net"],
            ),
            (
                "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
                vec!["A Group{", "Ed Jones|-|c|a.test", "-|-|joe|where.test", "John|-|jdoe|one.test", "}"],
            ),
            ("Undisclosed recipients:;", vec!["Undisclosed recipients{", "}"]),
            (
                "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
                vec!["Hidden recipients{", "}"],
            ),
            (
                "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
                vec!["Pete|-|pete|silly.test"],
            ),
            ("Joe Q. Public <john.q.public@example.com>", vec!["Joe Q. Public|-|john.q.public|example.com"]),
            (
                "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
                vec!["Mary Smith|@node.test|mary|example.net", "-|-|jdoe|test.example"],
            ),
            ("<@a.test,@b.test:c@d.test>", vec!["-|@a.test,@b.test|c|d.test"]),
        ] {
            assert_eq!(shown(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn what_is_broken_is_read_as_far_as_it_goes() {
        for (value, expected) in [
            ("", vec![]),
            (" , ,, ", vec![]),
            ("ann@example.org (Ann Lee)", vec!["Ann Lee|-|ann|example.org"]),
            ("Ann Lee ann@example.org", vec!["Ann Lee|-|ann|example.org"]),
            ("ann . lee @ example . org", vec!["-|-|ann.lee|example.org"]),
            ("a@x.test; b@x.test", vec!["-|-|a|x.test", "-|-|b|x.test"]),
            (
                "Ann <ann@example.org, Bob <bob@example.org>",
                vec!["Ann|-|ann|example.org", "Bob|-|bob|example.org"],
            ),
            ("Ann <<ann@example.org>>", vec!["Ann|-|ann|example.org"]),
            ("Ann <ann@example.org", vec!["Ann|-|ann|example.org"]),
            ("MAILER-DAEMON", vec!["-|-|MAILER-DAEMON|"]),
            ("Ann Lee", vec!["Ann Lee|-||"]),
            ("\"Ann Lee\", =?utf-8?B?5pel?=", vec!["Ann Lee|-||", "=?utf-8?B?5pel?=|-||"]),
            ("<>", vec![]),
            ("Ann <>", vec!["Ann|-||"]),
            ("\"\" <a@b.test>", vec!["-|-|a|b.test"]),
            ("a@b@c.test", vec!["-|-|a@b|c.test"]),
            ("\"ann@home\" <ann@example.org>", vec!["ann@home|-|ann|example.org"]),
            ("ann@home <ann@example.org>", vec!["ann@home|-|ann|example.org"]),
            ("\"a b\"@example.org", vec!["-|-|a b|example.org"]),
            ("a@[192.0.2.1]", vec!["-|-|a|[192.0.2.1]"]),
            ("Team: a@b.test, c@d.test", vec!["Team{", "-|-|a|b.test", "-|-|c|d.test", "}"]),
            ("docomo..user.@docomo.ne.jp", vec!["-|-|docomo..user.|docomo.ne.jp"]),
            ("=?utf-8?Q?A,_B?= <a@b.test>", vec!["=?utf-8?Q?A,_B?=|-|a|b.test"]),
            ("\"=?utf-8?B?5pel?=\" <a@b.test>", vec!["=?utf-8?B?5pel?=|-|a|b.test"]),
        ] {
            assert_eq!(shown(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn names_in_japanese() {
        for (value, expected) in [
            (&b"=?ISO-2022-JP?B?GyRCRURDZhsoQg==?= <a@b.test>"[..], "田中"),
            (b"\"=?ISO-2022-JP?B?GyRCRURDZhsoQg==?=\" <a@b.test>", "田中"),
            (b"=?ISO-2022-JP?B?GyRCRUQ=?=\r\n =?ISO-2022-JP?B?Q2YbKEI=?= <a@b.test>", "田中"),
            (b"\x1b$BEDCf\x1b(B <a@b.test>", "田中"),
            (b"\"\x1b$B1D6H\x1b(B\" <a@b.test>", "営業"),
            ("田中 <a@b.test>".as_bytes(), "田中"),
            (b"\x83\x5c\x83\x74\x83\x67\x95\x5c <a@b.test>", "ソフト表"),
            (b"a@b.test (=?ISO-2022-JP?B?GyRCRURDZhsoQg==?=)", "田中"),
        ] {
            let entries = addresses(value);
            let [Entry::Mailbox(mailbox)] = entries.as_slice() else { panic!("{entries:?}") };
            assert_eq!(mailbox.decoded_name(), expected);
            assert_eq!(mailbox.address(), "a@b.test");
        }
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let value = "a@b.test, ".repeat(MAX_ADDRESSES + 10);
        assert_eq!(addresses(value.as_bytes()).len(), MAX_ADDRESSES);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(list in prop::collection::vec(
            ("[A-Za-z ,;:<@.\"\\\\]{0,12}", "[a-z.]{1,8}", "[a-z]{1,5}\\.[a-z]{2}"), 0..6)) {
            let printed: Vec<String> = list
                .iter()
                .map(|(name, local, domain)| {
                    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("\"{quoted}\" <{local}@{domain}>")
                })
                .collect();
            let expected: Vec<String> = list
                .iter()
                .map(|(name, local, domain)| {
                    let name = if name.is_empty() { "-" } else { name };
                    format!("{name}|-|{local}|{domain}")
                })
                .collect();
            prop_assert_eq!(shown(printed.join(",\r\n ").as_bytes()), expected);
        }

        #[test]
        fn groups_are_balanced_whatever_comes(value in "[a<>,;:@\"()\\\\ ]{0,40}") {
            let mut open = false;
            for entry in addresses(value.as_bytes()) {
                match entry {
                    Entry::GroupStart(_) => prop_assert!(!std::mem::replace(&mut open, true)),
                    Entry::GroupEnd => prop_assert!(std::mem::replace(&mut open, false)),
                    Entry::Mailbox(_) => {}
                }
            }
            prop_assert!(!open);
        }
    }
}
