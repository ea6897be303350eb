//! What a client wrote where a path should be, for people: a refusal should say whose mail it was,
//! also when nothing could be made of it.
//!
//! Trust: it comes from strangers. What is no character to be shown is replaced, and it is cut.

use super::Written;
use crate::command::Verb;

/// Octets of a line that are looked at: a path has at most 256, those of SMTPUTF8 included.
const MOST: usize = 320;

impl Written {
    /// Of a line with MAIL or RCPT. A path without its brackets is shown as one with them.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let (verb, argument) = Verb::split(line)?;
        let make: fn(Box<str>) -> Self = match verb {
            Verb::Mail => Self::ReversePath,
            Verb::Rcpt => Self::ForwardPath,
            _ => return None,
        };
        Some(make(path_in(argument)))
    }
}

/// `FROM:<path> parameters`, or something like it.
fn path_in(argument: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(argument.get(..MOST).unwrap_or(argument));
    let behind = text.split_once(':').map_or(&*text, |(_, behind)| behind).trim_start();
    let path = match behind.strip_prefix('<') {
        // A quoted local part may have what ends others: the last bracket is the path's.
        Some(path) => path.rsplit_once('>').map_or(path, |(path, _)| path),
        None => behind.split(' ').next().unwrap_or_default(),
    };
    path.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_they_were_written() {
        for (line, expected) in [
            (&b"MAIL FROM:<ann@example.org> SIZE=1"[..], Some("ann@example.org")),
            (b"mail from: <ann@example.org>", Some("ann@example.org")),
            (b"MAIL FROM:ann@example.org SIZE=1", Some("ann@example.org")),
            (b"MAIL FROM:<>", Some("")),
            (b"MAIL FROM:<ann@@example.org", Some("ann@@example.org")),
            (b"MAIL FROM:<\"a> b\"@example.org> BODY=7BIT", Some("\"a> b\"@example.org")),
            (b"MAIL ann@example.org", Some("ann@example.org")),
            (b"MAIL", Some("")),
            (b"MAIL FROM:<a\0\x1b[2J\xff@example.org>", Some("a\u{fffd}\u{fffd}[2J\u{fffd}@example.org")),
            (b"RCPT TO:<\xe7\x94\xb0@example.org>", Some("\u{7530}@example.org")),
            (b"DATA", None),
            (b"MAILFROM:<ann@example.org>", None),
        ] {
            let text = Written::of(line).map(|written| match written {
                Written::ReversePath(text) | Written::ForwardPath(text) => text,
            });
            assert_eq!(text.as_deref(), expected, "{}", String::from_utf8_lossy(line));
        }
        let long = [b"RCPT TO:<", "\u{7530}".repeat(2_000).as_bytes()].concat();
        let Some(Written::ForwardPath(text)) = Written::of(&long) else { panic!("it is a RCPT") };
        assert!((300..=MOST + 3).contains(&text.len()), "{}", text.len());
    }
}
