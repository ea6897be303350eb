//! Replies: code, enhanced status code, lines of text; printed by servers, parsed by clients.
//!
//! Standards: RFC 5321 section 4.2 (form), RFC 2034 and RFC 3463 (enhanced status codes).
//! Invariants:
//! - a text has no CR, LF or other control character, so that one reply never becomes two;
//! - a printed line has at most 512 octets (RFC 5321 section 4.5.3.1.5): longer texts are
//!   continued on the next line;
//! - the class of the enhanced status code is the code's first digit, because only that
//!   digit is stored.
//!
//! Trust: the texts of parsed replies come from strangers. They are stored and shown, never
//! interpreted.

mod named;

/// The most lines of a reply that a client reads.
const MAX_LINES: usize = 128;

/// The most octets of a line that a client reads. Servers write longer lines than the 512
/// they may.
const MAX_LINE_OCTETS: usize = 4096;

/// The most octets of text in a line that a server writes: `250-2.999.999 ` and CRLF come
/// with it.
const MAX_TEXT_OCTETS: usize = 480;

/// A reply code, 200 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// The code of this number, if it lies in 200 to 599.
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 200 && number <= 599 { Some(Self(number)) } else { None }
    }

    /// The three digits.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What the first digit says, RFC 5321 section 4.2.1.
    pub const fn severity(self) -> Severity {
        match self.0 / 100 {
            2 => Severity::Positive,
            3 => Severity::Intermediate,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }
}

/// The first digit of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// 2yz: done.
    Positive,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: try again later.
    Transient,
    /// 5yz: do not try again.
    Permanent,
}

/// Subject and detail of an enhanced status code; its class is the reply code's first digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// The second number, 0 to 999.
    pub subject: u16,
    /// The third number, 0 to 999.
    pub detail: u16,
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    code: Code,
    status: Option<Status>,
    /// At least one.
    lines: Vec<Box<str>>,
}

/// Why bytes are not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line that does not begin with a code and ` ` or `-`.
    #[error("a reply line must begin with a code of three digits")]
    Form,
    /// Another code in a later line, RFC 5321 section 4.2.1.
    #[error("the lines of a reply have different codes")]
    Codes,
    /// More than 128 lines, or more than 4096 octets in one.
    #[error("the reply is too long")]
    TooLong,
}

impl Reply {
    /// A reply of our own. Whatever is not printable ASCII in `text` becomes `?`.
    pub fn new(code: Code, status: Option<Status>, text: &str) -> Self {
        Self { code, status, lines: own_lines(text) }
    }

    /// Adds a line of text.
    pub fn and_line(mut self, text: &str) -> Self {
        self.lines.extend(own_lines(text));
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The enhanced status code, if all lines have one and the same.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// The lines of text, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| &**line)
    }

    /// What the code's first digit says.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// 2yz?
    pub fn is_positive(&self) -> bool {
        self.severity() == Severity::Positive
    }

    /// 421: the sender of this reply closes the connection, RFC 5321 section 3.8.
    pub fn closes(&self) -> bool {
        self.code.0 == 421
    }

    /// Appends the reply as it goes over the wire, with its last CRLF.
    pub fn print(&self, out: &mut Vec<u8>) {
        let mut left = self.lines.len();
        for line in &self.lines {
            left -= 1;
            let separator = if left == 0 { ' ' } else { '-' };
            let mut text = format!("{}{separator}", self.code.0);
            if let Some(Status { subject, detail }) = self.status {
                text.push_str(&format!("{}.{subject}.{detail}", self.code.0 / 100));
                if !line.is_empty() {
                    text.push(' ');
                }
            }
            text.push_str(line);
            text.push_str("\r\n");
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// The reply as it goes over the wire.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.print(&mut out);
        out
    }

    /// Parses the reply at the start of `input`, and says how many octets it has.
    ///
    /// `Ok(None)` means that more octets are needed; at most 512 KiB ever are.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        let mut lines = Vec::new();
        let mut rest = input;
        loop {
            let Some(end) = memchr::memmem::find(rest, b"\r\n") else {
                let too_long = rest.len() > MAX_LINE_OCTETS;
                return if too_long { Err(ReplyError::TooLong) } else { Ok(None) };
            };
            let (line, after) = rest.split_at_checked(end).ok_or(ReplyError::Form)?;
            rest = after.get(2..).ok_or(ReplyError::Form)?;
            let line = ReplyLine::parse(line)?;
            let is_last = line.is_last;
            lines.push(line);
            if is_last {
                return Ok(Some((Self::from_lines(&lines)?, input.len() - rest.len())));
            }
            if lines.len() >= MAX_LINES {
                return Err(ReplyError::TooLong);
            }
        }
    }

    fn from_lines(lines: &[ReplyLine]) -> Result<Self, ReplyError> {
        let first = lines.first().ok_or(ReplyError::Form)?;
        let code = first.code;
        if lines.iter().any(|line| line.code != code) {
            return Err(ReplyError::Codes);
        }
        let status = leading_status(code, &first.text).map(|(status, _)| status);
        let without: Option<Vec<Box<str>>> = lines
            .iter()
            .map(|line| {
                let (own, text) = leading_status(code, &line.text)?;
                (Some(own) == status).then(|| text.into())
            })
            .collect();
        Ok(match without {
            Some(lines) => Self { code, status, lines },
            None => Self { code, status: None, lines: lines.iter().map(|line| line.text.clone()).collect() },
        })
    }
}

struct ReplyLine {
    code: Code,
    is_last: bool,
    text: Box<str>,
}

impl ReplyLine {
    /// `Reply-code [ SP textstring ]` or `Reply-code "-" [ textstring ]`.
    fn parse(line: &[u8]) -> Result<Self, ReplyError> {
        if line.len() > MAX_LINE_OCTETS {
            return Err(ReplyError::TooLong);
        }
        let (digits, rest) = line.split_at_checked(3).ok_or(ReplyError::Form)?;
        let code = number(std::str::from_utf8(digits).map_err(|_| ReplyError::Form)?)
            .and_then(Code::new)
            .ok_or(ReplyError::Form)?;
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(ReplyError::Form),
        };
        // What is no UTF-8 becomes one octet, so that no line grows beyond what may be printed.
        let shown = |c: char| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c };
        let text: String = String::from_utf8_lossy(text).chars().map(shown).collect();
        Ok(Self { code, is_last, text: text.into() })
    }
}

/// One to three digits.
fn number(text: &str) -> Option<u16> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// `status-code SP text`, RFC 2034 section 4, if the class fits the code.
fn leading_status(code: Code, text: &str) -> Option<(Status, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut numbers = word.split('.');
    let class = number(numbers.next()?)?;
    let status = Status { subject: number(numbers.next()?)?, detail: number(numbers.next()?)? };
    (numbers.next().is_none() && class == code.0 / 100).then_some((status, rest))
}

/// Text of our own as lines: printable ASCII only, none too long.
fn own_lines(text: &str) -> Vec<Box<str>> {
    let printable: String = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    let mut lines = Vec::with_capacity(1);
    let mut rest = printable.as_str();
    while let Some((line, more)) = rest.split_at_checked(MAX_TEXT_OCTETS) {
        lines.push(line.into());
        rest = more;
    }
    if lines.is_empty() || !rest.is_empty() {
        lines.push(rest.into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(number: u16) -> Code {
        Code::new(number).unwrap()
    }

    fn wire(reply: &Reply) -> String {
        String::from_utf8(reply.to_wire()).unwrap()
    }

    #[test]
    fn prints() {
        let status = Some(Status { subject: 1, detail: 1 });
        assert_eq!(wire(&Reply::new(code(550), status, "No such user")), "550 5.1.1 No such user\r\n");
        assert_eq!(wire(&Reply::new(code(220), None, "mx.example")), "220 mx.example\r\n");
        assert_eq!(wire(&Reply::new(code(334), None, "")), "334 \r\n");
        assert_eq!(wire(&Reply::new(code(450), status, "")), "450 4.1.1\r\n");
        assert_eq!(
            wire(&Reply::new(code(250), None, "mx.example").and_line("PIPELINING").and_line("SIZE 1")),
            "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1\r\n"
        );
        assert_eq!(wire(&Reply::new(code(214), status, "a").and_line("b")), "214-2.1.1 a\r\n214 2.1.1 b\r\n");
    }

    #[test]
    fn a_text_cannot_leave_its_line() {
        let reply = Reply::new(code(550), None, "no\r\n250 yes\0\u{7f}é");
        assert_eq!(wire(&reply), "550 no??250 yes???\r\n");
    }

    #[test]
    fn long_texts_are_continued() {
        let reply = Reply::new(code(550), Some(Status { subject: 999, detail: 999 }), &"x".repeat(1000));
        let wire = wire(&reply);
        assert_eq!(wire.lines().count(), 3);
        assert!(wire.split_inclusive("\r\n").all(|line| line.len() <= 512));
        assert_eq!(wire.matches('x').count(), 1000);
        assert_eq!(Reply::new(code(550), None, &"x".repeat(MAX_TEXT_OCTETS)).lines().count(), 1);
    }

    #[test]
    fn parses_what_servers_send() {
        let plain = |number, text| Reply::new(code(number), None, text);
        let status = Some(Status { subject: 1, detail: 5 });
        for (wire, reply) in [
            ("250\r\n", plain(250, "")),
            ("250 \r\n", plain(250, "")),
            ("250 OK\r\n", plain(250, "OK")),
            ("250-a\r\n250-\r\n250 b\r\n", plain(250, "a").and_line("").and_line("b")),
            ("250 2.1.5 OK\r\n", Reply::new(code(250), status, "OK")),
            ("250 2.1.5\r\n", Reply::new(code(250), status, "")),
            ("250-2.1.5 a\r\n250 2.1.5 b\r\n", Reply::new(code(250), status, "a").and_line("b")),
            // The class must fit, and every line must have it.
            ("250 5.1.5 OK\r\n", plain(250, "5.1.5 OK")),
            ("250-2.1.5 a\r\n250 b\r\n", plain(250, "2.1.5 a").and_line("b")),
            ("220 2.0 ready\r\n", plain(220, "2.0 ready")),
        ] {
            assert_eq!(Reply::parse(wire.as_bytes()), Ok(Some((reply, wire.len()))), "{wire:?}");
        }
        let (reply, used) = Reply::parse(b"250 a\r\n354 b\r\n").unwrap().unwrap();
        assert_eq!((wire(&reply).as_str(), used), ("250 a\r\n", 7));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (wire, error) in [
            ("\r\n", ReplyError::Form),
            ("25\r\n", ReplyError::Form),
            ("2500\r\n", ReplyError::Form),
            ("abc d\r\n", ReplyError::Form),
            ("199 d\r\n", ReplyError::Form),
            ("600 d\r\n", ReplyError::Form),
            ("+25 d\r\n", ReplyError::Form),
            ("HTTP/1.1 200 OK\r\n", ReplyError::Form),
            ("250-a\r\n251 b\r\n", ReplyError::Codes),
            ("250-a\r\n550 b\r\n", ReplyError::Codes),
        ] {
            assert_eq!(Reply::parse(wire.as_bytes()), Err(error), "{wire:?}");
        }
        let endless = "250-a\r\n".repeat(MAX_LINES);
        assert_eq!(Reply::parse(endless.as_bytes()), Err(ReplyError::TooLong));
        assert_eq!(Reply::parse(&[b'2'; MAX_LINE_OCTETS + 1]), Err(ReplyError::TooLong));
        for part in ["", "2", "250", "250 OK", "250 OK\r", "250-OK\r\n", "250 OK\n"] {
            assert_eq!(Reply::parse(part.as_bytes()), Ok(None), "{part:?}");
        }
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let status = proptest::option::of((0u16..1000, 0u16..1000));
        (200u16..600, status, "\\PC{0,600}", proptest::collection::vec("[ -~]{0,30}", 0..4)).prop_map(
            |(number, status, text, more)| {
                let status = status.map(|(subject, detail)| Status { subject, detail });
                let reply = Reply::new(code(number), status, &text);
                more.iter().fold(reply, |reply, line| reply.and_line(line))
            },
        )
    }

    proptest! {
        #[test]
        fn parse_print_parse(reply in any_reply()) {
            // Text that looks like an enhanced status code would be taken for one.
            let looks_like_one = reply.lines().all(|line| leading_status(reply.code, line).is_some());
            prop_assume!(reply.status.is_some() || !looks_like_one);
            let wire = reply.to_wire();
            prop_assert!(wire.is_ascii() && wire.split(|byte| *byte == b'\n').all(|line| line.len() < 512));
            prop_assert_eq!(Reply::parse(&wire), Ok(Some((reply, wire.len()))));
            for cut in 0..wire.len() {
                prop_assert_eq!(Reply::parse(&wire[..cut]), Ok(None));
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_reply(bytes in "([2-5][0-9]{2}[ -]?[ -~]{0,9}(\r\n)?){0,4}") {
            if let Ok(Some((reply, used))) = Reply::parse(bytes.as_bytes()) {
                prop_assert!(used <= bytes.len());
                prop_assert_eq!(Reply::parse(&reply.to_wire()).unwrap().unwrap().0, reply);
            }
        }
    }
}
