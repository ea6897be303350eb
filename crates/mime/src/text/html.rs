//! The text of HTML, for search and previews; nothing here is shown as HTML again.
//!
//! Tags are dropped; those of blocks become a line end, since they part words. Scripts,
//! styles, the title and comments are no text. Time is linear: what has no end (a comment, a
//! tag, a script) takes the rest with it, as in browsers.

use memchr::{memchr, memchr2, memmem};

/// Elements whose content is no text of the page.
const HIDDEN: [&str; 3] = ["script", "style", "title"];

/// Elements within a line: their tags part no words.
const INLINE: [&str; 24] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "ins", "mark", "rb", "ruby",
    "s", "small", "span", "strong", "sub", "sup", "tt", "u", "wbr",
];

/// The entities that mail uses; numbers cover the rest.
const ENTITIES: &[(&str, &str)] = &[
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", "\u{a0}"),
    ("ensp", "\u{2002}"),
    ("emsp", "\u{2003}"),
    ("thinsp", "\u{2009}"),
    ("zwnj", "\u{200c}"),
    ("zwj", "\u{200d}"),
    ("shy", "\u{ad}"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("yen", "¥"),
    ("euro", "€"),
    ("pound", "£"),
    ("cent", "¢"),
    ("sect", "§"),
    ("middot", "·"),
    ("bull", "•"),
    ("hellip", "…"),
    ("ndash", "–"),
    ("mdash", "—"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("times", "×"),
    ("rarr", "→"),
    ("larr", "←"),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("szlig", "ß"),
    ("eacute", "é"),
    ("egrave", "è"),
    ("agrave", "à"),
    ("ccedil", "ç"),
    ("ntilde", "ñ"),
];

/// Longest entity that is looked for, with its `&` and `;`.
const MAX_ENTITY: usize = 12;

/// The text within this HTML.
pub(super) fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let taken = if from.starts_with('<') { markup(from, &mut text) } else { entity(from, &mut text) };
        rest = from.get(taken..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// A tag, comment or declaration at the start of `html`; returns how many octets it takes.
fn markup(html: &str, text: &mut String) -> usize {
    let inside = html.get(1..).unwrap_or_default();
    if let Some(comment) = inside.strip_prefix("!--") {
        return memmem::find(comment.as_bytes(), b"-->").map_or(html.len(), |end| 4 + end + 3);
    }
    if inside.starts_with(['!', '?']) {
        return memchr(b'>', html.as_bytes()).map_or(html.len(), |end| end + 1);
    }
    let (is_end_tag, name_start) = match inside.strip_prefix('/') {
        Some(_) => (true, 2),
        None => (false, 1),
    };
    let name = tag_name(html.get(name_start..).unwrap_or_default());
    if name.is_empty() {
        text.push('<');
        return 1;
    }
    if !INLINE.contains(&name.as_str()) {
        text.push('\n');
    }
    let end = tag_end(html);
    if is_end_tag || !HIDDEN.contains(&name.as_str()) {
        return end;
    }
    end + hidden_length(html.get(end..).unwrap_or_default(), &name)
}

/// The name of an element in lower case; empty if there is none.
fn tag_name(html: &str) -> String {
    if !html.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return String::new();
    }
    // No element has a longer name.
    let name = html.bytes().take(16).take_while(u8::is_ascii_alphanumeric);
    name.map(|octet| char::from(octet.to_ascii_lowercase())).collect()
}

/// Behind the `>` of a tag, which does not count within quotes.
fn tag_end(html: &str) -> usize {
    let mut quote = None;
    for (at, octet) in html.bytes().enumerate() {
        match (quote, octet) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), _) if open == octet => quote = None,
            _ => {}
        }
    }
    html.len()
}

/// How many octets there are before `</name`.
fn hidden_length(html: &str, name: &str) -> usize {
    let closes = |at: &usize| {
        let tag = html.as_bytes().get(at + 2..at + 2 + name.len());
        tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
    };
    memmem::find_iter(html.as_bytes(), b"</").find(closes).unwrap_or(html.len())
}

/// An entity at the start of `html`, or an `&` that means itself.
fn entity(html: &str, text: &mut String) -> usize {
    let end = html.bytes().take(MAX_ENTITY).position(|octet| octet == b';');
    let name = end.and_then(|end| html.get(1..end)).unwrap_or_default();
    if let Some((_, value)) = ENTITIES.iter().find(|(entity, _)| *entity == name) {
        text.push_str(value);
    } else if let Some(character) = name.strip_prefix('#').and_then(numbered) {
        text.push(character);
    } else {
        text.push('&');
        return 1;
    }
    name.len() + 2
}

/// `#26085` or `#x65e5`, without the `#`.
fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_and_entities() {
        for (html, expected) in [
            ("", ""),
            ("a<b>b</b>c", "abc"),
            ("a<br>b<p>c</p>d", "a\nb\nc\nd"),
            ("<a href=\"x>y\">z</a>", "z"),
            ("<!-- <b>no</b> -->yes<!DOCTYPE html><?xml?>", "yes"),
            ("<style>p { }</style>x<SCRIPT>if (a<b) {}</Script >y", "\n\nx\n\ny"),
            ("<title>t</title>x", "\n\nx"),
            ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
            ("&lt;b&gt; &amp;amp; &#26085;&#x672C; &yen;", "<b> &amp; 日本 ¥"),
            ("&unknown; &; &#; &#x110000; &#xd800;", "&unknown; &; &#; &#x110000; &#xd800;"),
            ("a<b", "a"),
            ("a<!-- b", "a"),
            ("a<script>b", "a\n"),
            ("a<", "a<"),
            ("a</", "a</"),
            ("日<本>語", "日<本>語"),
        ] {
            assert_eq!(text(html), expected, "{html}");
        }
    }

    proptest! {
        #[test]
        fn text_is_never_longer_than_html(html in "(<|>|&|;|#|!--|-->|/|script|b|日|\"| |[a-z0-9]){0,40}") {
            prop_assert!(text(&html).len() <= html.len());
        }

        #[test]
        fn escaped_text_comes_back(plain in "\\PC{0,30}") {
            let escaped = plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(text(&escaped), plain);
        }
    }
}
