//! Message ids, RFC 5322 section 3.6.4: `Message-ID`, `In-Reply-To`, `References`.
//!
//! A normalised id is what stands between `<` and `>`, without white space, comments and
//! quotes, its domain in lower case: two spellings of one id compare equal. The left side
//! keeps its case, which differs between real ids.
//!
//! Tolerated: words and phrases between ids (RFC 822's `In-Reply-To: Your message of …`),
//! commas, missing brackets if the text has an `@` and no white space, folds within an id.

use super::tokens::{Kind, Token, Tokens, unquoted};

/// More ids than this are not read: the rest of the value is ignored.
pub const MAX_MESSAGE_IDS: usize = 1000;

/// Longest id that is taken for one: beyond it, brackets are text.
const MAX_LENGTH: usize = 998;

/// The message ids of a value, normalised, in their order.
pub fn message_ids(value: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut tokens = Tokens::of_message_ids(value);
    let mut bare = Vec::new();
    while let Some(token) = tokens.next() {
        if ids.len() >= MAX_MESSAGE_IDS {
            return ids;
        }
        match token.kind {
            Kind::Special(b'<') => {
                finish_bare(&mut bare, &mut ids);
                ids.extend(bracketed(&mut tokens));
            }
            Kind::Comment => {}
            Kind::Atom | Kind::Quoted => {
                if token.spaced {
                    finish_bare(&mut bare, &mut ids);
                }
                bare.extend_from_slice(&text_of(&token));
            }
            _ => finish_bare(&mut bare, &mut ids),
        }
    }
    finish_bare(&mut bare, &mut ids);
    ids
}

/// What stands up to `>`; another `<` begins anew. Without `>` it needs an `@` to be an id.
fn bracketed(tokens: &mut Tokens<'_>) -> Option<String> {
    let mut id = Vec::new();
    for token in tokens.by_ref() {
        match token.kind {
            Kind::Special(b'>') => return normalised(&id),
            Kind::Special(b'<') => id.clear(),
            Kind::Comment => {}
            _ => id.extend_from_slice(&text_of(&token)),
        }
    }
    normalised(&id).filter(|id| id.contains('@'))
}

/// A word without brackets is an id only if it looks like one.
fn finish_bare(bare: &mut Vec<u8>, ids: &mut Vec<String>) {
    let has_two_sides = matches!(bare.iter().position(|&octet| octet == b'@'), Some(at) if at > 0);
    if has_two_sides && !bare.ends_with(b"@") {
        ids.extend(normalised(bare));
    }
    bare.clear();
}

fn text_of<'a>(token: &Token<'a>) -> std::borrow::Cow<'a, [u8]> {
    match token.kind {
        Kind::Quoted => unquoted(token.text),
        _ => token.text.into(),
    }
}

fn normalised(id: &[u8]) -> Option<String> {
    if id.is_empty() || id.len() > MAX_LENGTH {
        return None;
    }
    let mut id = String::from_utf8_lossy(id).into_owned();
    if let Some(at) = id.rfind('@') {
        let domain = id.split_off(at).to_lowercase();
        id.push_str(&domain);
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn well_and_badly_formed() {
        for (value, expected) in [
            ("<a@b.test>", vec!["a@b.test"]),
            ("<A@B.Test>", vec!["A@b.test"]),
            ("<a@b.test> <c@d.test>\r\n\t<e@f.test>", vec!["a@b.test", "c@d.test", "e@f.test"]),
            ("<a@b.test><c@d.test>", vec!["a@b.test", "c@d.test"]),
            ("<a@b.test>,<c@d.test>", vec!["a@b.test", "c@d.test"]),
            ("<\"a\"@b.test>", vec!["a@b.test"]),
            ("< a@b.test >", vec!["a@b.test"]),
            ("<a@\r\n b.test>", vec!["a@b.test"]),
            ("a@b.test", vec!["a@b.test"]),
            ("a@b.test c@d.test", vec!["a@b.test", "c@d.test"]),
            ("Your message of Mon <a@b.test> (sent)", vec!["a@b.test"]),
            ("<no-at-sign>", vec!["no-at-sign"]),
            ("<a@b@c.test>", vec!["a@b@c.test"]),
            ("<a@b.test", vec!["a@b.test"]),
            ("<cut", vec![]),
            ("<<a@b.test>>", vec!["a@b.test"]),
            ("<>", vec![]),
            ("", vec![]),
            ("word @ word", vec![]),
            ("(<a@b.test>)", vec![]),
        ] {
            assert_eq!(message_ids(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn number_and_length_are_bounded() {
        let many = "<a@b.test>".repeat(MAX_MESSAGE_IDS + 5);
        assert_eq!(message_ids(many.as_bytes()).len(), MAX_MESSAGE_IDS);
        let long = format!("<{}@b.test>", "a".repeat(MAX_LENGTH));
        assert!(message_ids(long.as_bytes()).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(ids in prop::collection::vec("[A-Za-z0-9.$+_-]{1,12}@[a-z]{1,8}", 0..8)) {
            let printed: Vec<String> = ids.iter().map(|id| format!("<{id}>")).collect();
            prop_assert_eq!(message_ids(printed.join("\r\n ").as_bytes()), ids);
        }

        #[test]
        fn an_id_is_its_own_normal_form(value in "[a@<>\" .A-C]{0,20}") {
            for id in message_ids(value.as_bytes()) {
                prop_assert!(!id.is_empty() && !id.contains(['<', '>']) || id.contains('"') || value.contains('"'));
            }
        }
    }
}
