//! OK, NO, BAD, PREAUTH, BYE, and the continuation request.
//!
//! Standards: RFC 3501 sections 7.1 and 7.5.

use std::borrow::Cow;

use super::Code;
use crate::Tag;
use crate::print::put;

/// The five kinds of status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Done, or for your information.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// Greeting: you are signed in.
    PreAuth,
    /// I hang up.
    Bye,
}

/// A status response without its tag. The constructors with their texts are in one file,
/// `texts.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResponse {
    /// Which kind.
    pub condition: Condition,
    /// `[…]`, for programs.
    pub code: Option<Code>,
    /// For people: short, and nothing of our insides.
    pub text: Cow<'static, str>,
}

impl StatusResponse {
    /// Prints it as the answer to a command.
    pub fn tagged(&self, out: &mut Vec<u8>, tag: &Tag) {
        put(out, tag);
        self.print(out);
    }

    /// Prints it untagged.
    pub fn untagged(&self, out: &mut Vec<u8>) {
        out.push(b'*');
        self.print(out);
    }

    fn print(&self, out: &mut Vec<u8>) {
        let condition = match self.condition {
            Condition::Ok => " OK ",
            Condition::No => " NO ",
            Condition::Bad => " BAD ",
            Condition::PreAuth => " PREAUTH ",
            Condition::Bye => " BYE ",
        };
        put(out, condition);
        if let Some(code) = &self.code {
            put(out, format_args!("[{code}] "));
        }
        // `text` has one character at least.
        put_text(out, if self.text.is_empty() { "?" } else { &self.text });
        put(out, "\r\n");
    }
}

/// `+ text`: go on with the literal, or with the next step of AUTHENTICATE.
pub fn continuation(out: &mut Vec<u8>, text: &str) {
    put(out, "+ ");
    put_text(out, text);
    put(out, "\r\n");
}

/// `resp-text` is on one line, and in ASCII for clients that know no other. A bracket at its
/// start would be read as a code.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = match text.strip_prefix('[') {
        Some(rest) => {
            out.push(b'?');
            rest
        }
        None => text,
    };
    out.extend(text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c as u8 } else { b'?' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line() {
        let response =
            StatusResponse {
                condition: Condition::No, code: Some(Code::Alert), text: "a\r\n* BYE é".into()
            };
        let mut out = Vec::new();
        response.tagged(&mut out, &Tag::parse(b"a1").unwrap());
        continuation(&mut out, "dGVzdA==");
        assert_eq!(String::from_utf8(out).unwrap(), "a1 NO [ALERT] a??* BYE ?\r\n+ dGVzdA==\r\n");
    }

    #[test]
    fn no_text_is_read_as_a_code_or_missing() {
        let mut out = Vec::new();
        for text in ["[ALERT] a", ""] {
            let response = StatusResponse { condition: Condition::Ok, code: None, text: text.into() };
            response.untagged(&mut out);
            continuation(&mut out, text);
        }
        let expected = "* OK ?ALERT] a\r\n+ ?ALERT] a\r\n* OK ?\r\n+ \r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
