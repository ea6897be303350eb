//! The text of a message as people read it, for previews and for search.
//!
//! Of a multipart/alternative one part speaks: plain text if it says anything, or else the
//! first other part that does. HTML is read without its tags. Attachments are left out, but
//! their names are given by [`attachment_names`]. Of other multiparts, and of messages
//! within, all texts are read in order.
//!
//! Invariants: each body is decoded at most twice; no more than `limit` octets of text come
//! out, and no more than that of one body are decoded.

mod html;

use crate::charset;
use crate::encoded_word;
use crate::header::Header;
use crate::structure::{Kind, Part, PartId, Structure};

/// Characters of a preview. RFC 8970 section 3.2 allows up to 256 and recommends 200.
pub const PREVIEW_CHARS: usize = 200;

/// Octets of text that a preview is made of: newsletters begin with much style and little text.
const PREVIEW_SOURCE: usize = 64 * 1024;

/// The subject as people read it; empty if there is none.
pub fn subject(header: Header<'_>) -> String {
    header.get("Subject").map(|field| encoded_word::decode(field.value)).unwrap_or_default()
}

/// The file names of all parts that have one.
pub fn attachment_names(content: &[u8], structure: &Structure) -> Vec<String> {
    structure.parts().filter_map(|(_, part)| part.file_name(content)).collect()
}

/// The first words of the message on one line, at most [`PREVIEW_CHARS`].
pub fn preview(content: &[u8], structure: &Structure) -> String {
    let text = readable(content, structure, PREVIEW_SOURCE);
    let mut preview = String::new();
    let mut count = 0;
    let mut is_spaced = false;
    for character in text.chars().filter(|&character| !is_invisible(character)) {
        if character.is_whitespace() || character.is_control() {
            is_spaced = count > 0;
            continue;
        }
        let needed = 1 + usize::from(is_spaced);
        if count + needed > PREVIEW_CHARS {
            break;
        }
        if std::mem::take(&mut is_spaced) {
            preview.push(' ');
        }
        preview.push(character);
        count += needed;
    }
    preview
}

/// Characters without a shape, with which newsletters fill up their previews.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// All text of the message, at most `limit` octets.
pub fn readable(content: &[u8], structure: &Structure, limit: usize) -> String {
    let mut reader = Reader { content, structure, limit, text: String::new() };
    reader.read(PartId::ROOT);
    reader.text
}

struct Reader<'a> {
    content: &'a [u8],
    structure: &'a Structure,
    limit: usize,
    text: String,
}

impl Reader<'_> {
    /// Reads a part and what is in it; the depth is bounded by the structure's.
    fn read(&mut self, id: PartId) {
        let part = self.structure.part(id);
        if self.text.len() >= self.limit {
            return;
        }
        match part.kind {
            Kind::Leaf => {
                let text = self.text_of(part);
                self.push(&text);
            }
            Kind::Multipart if part.content_type.sub == "alternative" => self.read_alternative(id),
            Kind::Multipart | Kind::Message => {
                for child in self.structure.children(id) {
                    self.read(child);
                }
            }
        }
    }

    fn read_alternative(&mut self, id: PartId) {
        for child in self.structure.children(id) {
            let part = self.structure.part(child);
            if part.kind == Kind::Leaf && part.content_type.is("text", "plain") {
                let text = self.text_of(part);
                if !text.trim().is_empty() {
                    return self.push(&text);
                }
            }
        }
        let before = self.text.len();
        for child in self.structure.children(id) {
            self.read(child);
            if !self.text.get(before..).unwrap_or_default().trim().is_empty() {
                return;
            }
        }
    }

    /// The text of a leaf; empty if it is none or an attachment.
    fn text_of(&self, part: &Part) -> String {
        let is_attachment = || part.disposition(self.content).is_some_and(|it| it.kind == "attachment");
        if part.content_type.main != "text" || is_attachment() {
            return String::new();
        }
        let octets = part.decoded_body(self.content, self.limit);
        let text = charset::decode(&octets, part.content_type.parameters.get("charset"));
        match part.content_type.sub.as_str() {
            "html" => html::text(&text),
            _ => text.into_owned(),
        }
    }

    fn push(&mut self, text: &str) {
        if !self.text.is_empty() && !text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        let end = self.text.floor_char_boundary(self.limit);
        self.text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> String {
        readable(content.as_bytes(), &Structure::parse(content.as_bytes()), 10_000)
    }

    fn multipart(sub: &str, parts: &[&str]) -> String {
        let boundary = format!("b{}", parts.concat().len());
        let body: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
        format!("Content-Type: multipart/{sub}; boundary={boundary}\r\n\r\n{body}--{boundary}--\r\n")
    }

    const PLAIN: &str = "Content-Type: text/plain\r\n\r\nplain";
    const BLANK: &str = "Content-Type: text/plain\r\n\r\n \r\n";
    const HTML: &str = "Content-Type: text/html\r\n\r\n<p>html</p>";
    const IMAGE: &str = "Content-Type: image/png; name=a.png\r\n\r\nPNG";
    const ATTACHED: &str =
        "Content-Disposition: attachment; filename=\"=?utf-8?B?5pel?=.txt\"\r\n\r\nattached";

    #[test]
    fn which_parts_speak() {
        for (content, expected) in [
            (PLAIN.to_owned(), "plain"),
            (HTML.to_owned(), "html"),
            (IMAGE.to_owned(), ""),
            (multipart("alternative", &[PLAIN, HTML]), "plain"),
            (multipart("alternative", &[HTML, PLAIN]), "plain"),
            (multipart("alternative", &[BLANK, HTML]), "html"),
            (multipart("alternative", &[IMAGE, &multipart("related", &[HTML, IMAGE])]), "html"),
            (multipart("mixed", &[PLAIN, IMAGE, HTML, ATTACHED]), "plain html"),
            (multipart("mixed", &[&multipart("alternative", &[PLAIN, HTML]), PLAIN]), "plain plain"),
            (format!("Content-Type: message/rfc822\r\n\r\n{HTML}"), "html"),
        ] {
            let text = read(&content);
            assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{content}");
        }
    }

    #[test]
    fn encodings_and_charsets() {
        for (content, expected) in [
            (
                "Content-Transfer-Encoding: base64\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n5pel5pys",
                "日本",
            ),
            ("Content-Transfer-Encoding: quoted-printable\r\n\r\n=E6=97=A5", "日"),
            ("Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\u{1b}$BF|K\\\u{1b}(B", "日本"),
            ("Content-Type: text/html; charset=us-ascii\r\n\r\n&#26085;<b>本</b>", "日本"),
        ] {
            assert_eq!(read(content), expected);
        }
    }

    #[test]
    fn the_limit_holds_at_a_character() {
        let content = "Content-Type: text/plain; charset=utf-8\r\n\r\n日本語".as_bytes();
        let structure = Structure::parse(content);
        assert_eq!(readable(content, &structure, 9), "日本語");
        assert_eq!(readable(content, &structure, 6), "日本");
        assert_eq!(readable(content, &structure, 0), "");
        assert!(readable(content, &structure, 8).len() <= 8);
    }

    #[test]
    fn previews() {
        let show = |body: &str| {
            let content = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{body}");
            preview(content.as_bytes(), &Structure::parse(content.as_bytes()))
        };
        assert_eq!(show(""), "");
        assert_eq!(show("\r\n  a\r\n\t b  \u{200c}\u{a0}c\u{3000}d\r\n"), "a b c d");
        assert_eq!(show(&"あ".repeat(500)), "あ".repeat(PREVIEW_CHARS));
        assert_eq!(show(&"ab ".repeat(500)).chars().count(), PREVIEW_CHARS);
        assert_eq!(show(&format!("{} cut", "a".repeat(PREVIEW_CHARS - 1))), "a".repeat(PREVIEW_CHARS - 1));
    }

    #[test]
    fn names_and_subject() {
        let content = multipart("mixed", &[PLAIN, IMAGE, ATTACHED]);
        let structure = Structure::parse(content.as_bytes());
        assert_eq!(attachment_names(content.as_bytes(), &structure), ["a.png", "日.txt"]);
        assert_eq!(subject(Header::new(b"Subject: =?utf-8?B?5pel?=\r\n =?utf-8?B?5pys?=\r\n")), "日本");
        assert_eq!(subject(Header::new(b"X: y\r\n")), "");
    }
}
