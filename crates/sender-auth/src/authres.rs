//! Authentication-Results: what was found, written into the message.
//!
//! Standards: RFC 8601 section 2.2 (grammar), section 5 (fields of others that claim our
//! name), RFC 9989 section 9 (`polrec`).
//! Invariants:
//! - a printed field has visible ASCII, and CRLF only where it is folded: whatever a stranger
//!   wrote is a word or a quoted string in it;
//! - `parse(print(x)) == x`, but for octets that a field cannot hold.
//!
//! Trust: fields that came with the message are claims. Only ours are believed, and those in
//! an ARC set whose sealer is trusted.

use std::ops::Range;

use hikyaku_mime::Header;

use crate::Name;

/// The most results that are read from one field.
const MAX_RESULTS: usize = 64;

/// The most properties of one result.
const MAX_PROPERTIES: usize = 32;

/// The most characters of a value that is printed.
const MAX_VALUE: usize = 256;

/// Where a line is folded, RFC 5322 section 2.1.1.
const LINE: usize = 78;

/// One field: who looked, and what they found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// `authserv-id`.
    pub authserv_id: String,
    /// In their order; none is printed as `none`.
    pub results: Vec<MethodResult>,
}

/// `resinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MethodResult {
    /// `dkim`.
    pub method: String,
    /// `pass`.
    pub result: String,
    /// Why.
    pub reason: Option<String>,
    /// `header.d` and its value, and so on.
    pub properties: Vec<(String, String)>,
}

impl MethodResult {
    /// A result without reason or properties.
    pub fn new(method: &str, result: &str) -> Self {
        Self { method: method.to_owned(), result: result.to_owned(), ..Self::default() }
    }

    /// Adds a reason, if there is one.
    pub fn because(mut self, reason: Option<&str>) -> Self {
        self.reason = reason.map(str::to_owned);
        self
    }

    /// Adds a property.
    pub fn with(mut self, property: &str, value: impl ToString) -> Self {
        self.properties.push((property.to_owned(), value.to_string()));
        self
    }
}

impl AuthenticationResults {
    /// Parses the value of a field. Comments are passed over.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let tokens = tokens(value)?;
        let mut parts = tokens.split(|token| *token == Token::Semicolon);
        let authserv_id = match parts.next()? {
            [Token::Word(id)] => id.clone(),
            // `authres-version`
            [Token::Word(id), Token::Word(version)]
                if version.bytes().all(|octet| octet.is_ascii_digit()) =>
            {
                id.clone()
            }
            _ => return None,
        };
        let mut results = Vec::new();
        for part in parts {
            match part {
                [] => {}
                [Token::Word(word)] if word.eq_ignore_ascii_case("none") => {}
                part if results.len() < MAX_RESULTS => results.push(method_result(part)?),
                _ => return None,
            }
        }
        Some(Self { authserv_id, results })
    }

    /// The whole field, with its name and last line end.
    pub fn to_field(&self) -> String {
        let mut printer = Printer { text: "Authentication-Results:".to_owned(), column: 23 };
        printer.word(&value(&self.authserv_id));
        if self.results.is_empty() {
            printer.text.push_str("; none");
        }
        for result in &self.results {
            printer.text.push_str(";\r\n");
            printer.column = 0;
            printer.word(&format!("{}={}", keyword(&result.method), keyword(&result.result)));
            if let Some(reason) = &result.reason {
                printer.word(&format!("reason={}", quoted(reason)));
            }
            for (property, text) in &result.properties {
                printer.word(&format!("{}={}", keyword(property), value(text)));
            }
        }
        printer.text.push_str("\r\n");
        printer.text
    }

    /// Does it say `method=result`?
    pub fn has(&self, method: &str, result: &str) -> bool {
        let is = |found: &MethodResult| {
            found.method.eq_ignore_ascii_case(method) && found.result.eq_ignore_ascii_case(result)
        };
        self.results.iter().any(is)
    }
}

/// The fields of a message that claim to be ours: byte ranges of the content that readers must
/// not see (RFC 8601 section 5). A field that cannot be understood is one of them, as some
/// reader may understand it. Neighbours are one range.
pub fn fields_claiming(header: Header<'_>, authserv_id: &str) -> Vec<Range<u32>> {
    let ours = Name::parse(authserv_id);
    let claims = |value: &[u8]| match claimed_id(value) {
        Some(id) => id.eq_ignore_ascii_case(authserv_id) || (ours.is_some() && Name::parse(&id) == ours),
        None => true,
    };
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for field in header.all("Authentication-Results").filter(|field| claims(field.value)) {
        let place = (u32::try_from(field.span.start), u32::try_from(field.span.end));
        let (Ok(start), Ok(end)) = place else { break };
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

/// The first word of a field.
fn claimed_id(value: &[u8]) -> Option<String> {
    match next_token(value)? {
        Some((Token::Word(id), _)) => Some(id),
        _ => None,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A token, or a quoted string without its quotes.
    Word(String),
    Equals,
    Semicolon,
}

fn tokens(text: &[u8]) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((token, after)) = next_token(rest)? {
        found.push(token);
        rest = after;
    }
    Some(found)
}

/// The next token and what follows it; `Some(None)` at the end, `None` if something is not
/// closed.
#[expect(clippy::option_option, reason = "the end is not a mistake")]
fn next_token(text: &[u8]) -> Option<Option<(Token, &[u8])>> {
    let text = without_comments(text)?;
    let Some((&first, after)) = text.split_first() else { return Some(None) };
    let found = match first {
        b'=' => (Token::Equals, after),
        b';' => (Token::Semicolon, after),
        b'"' => {
            let (word, after) = quoted_string(after)?;
            (Token::Word(word), after)
        }
        _ => {
            let ends = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'=' | b';' | b'"' | b'(');
            let end = text.iter().position(ends).unwrap_or(text.len());
            let (word, after) = text.split_at_checked(end)?;
            (Token::Word(String::from_utf8_lossy(word).into_owned()), after)
        }
    };
    Some(Some(found))
}

/// Skips white space and comments, RFC 5322 section 3.2.2; `None` if a comment has no end.
fn without_comments(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.trim_ascii_start();
    while rest.first() == Some(&b'(') {
        let (mut depth, mut at) = (0usize, 0usize);
        loop {
            match rest.get(at)? {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                b'\\' => at += 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        rest = rest.get(at..)?.trim_ascii_start();
    }
    Some(rest)
}

fn quoted_string(text: &[u8]) -> Option<(String, &[u8])> {
    let mut word = Vec::new();
    let mut octets = text.iter().enumerate();
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => return Some((String::from_utf8_lossy(&word).into_owned(), text.get(at + 1..)?)),
            b'\\' => word.push(*octets.next()?.1),
            b'\r' | b'\n' => {}
            octet => word.push(octet),
        }
    }
    None
}

/// `method=result [reason=…] [ptype.property=value …]`.
fn method_result(tokens: &[Token]) -> Option<MethodResult> {
    let mut pairs = tokens.chunks(3).map(|pair| match pair {
        [Token::Word(name), Token::Equals, Token::Word(value)] => Some((name, value)),
        _ => None,
    });
    let (method, result) = pairs.next()??;
    // The version of a method, `dkim/1`.
    let method = method.split('/').next().unwrap_or(method);
    let mut found = MethodResult::new(method, result);
    for pair in pairs {
        let (name, value) = pair?;
        if name.eq_ignore_ascii_case("reason") {
            found.reason = Some(value.clone());
        } else if found.properties.len() < MAX_PROPERTIES {
            found.properties.push((name.clone(), value.clone()));
        }
    }
    Some(found)
}

struct Printer {
    text: String,
    column: usize,
}

impl Printer {
    /// Adds a word, on a new line if this one is full.
    fn word(&mut self, word: &str) {
        if self.column == 0 {
            self.text.push('\t');
        } else if self.column + word.len() >= LINE {
            self.text.push_str("\r\n\t");
            self.column = 0;
        } else {
            self.text.push(' ');
        }
        self.text.push_str(word);
        self.column += word.len() + 1;
    }
}

/// `value`, or an address: as it stands if all its characters are harmless.
fn value(text: &str) -> String {
    let harmless =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'+' | b'@');
    if !text.is_empty() && text.len() <= MAX_VALUE && text.bytes().all(harmless) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Names of methods, results and properties: `Keyword` of RFC 5321 section 4.1.2, and dots.
/// Ours are; of a name that was read, what is not becomes a hyphen.
fn keyword(text: &str) -> String {
    let is_kept =
        |character: &char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
    let kept =
        text.chars().take(MAX_VALUE).map(|character| if is_kept(&character) { character } else { '-' });
    let kept: String = kept.collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// `quoted-string`; what it cannot hold becomes a question mark.
fn quoted(text: &str) -> String {
    let mut printed = String::from("\"");
    for character in text.chars().take(MAX_VALUE) {
        match character {
            '"' | '\\' => printed.extend(['\\', character]),
            ' '..='~' => printed.push(character),
            _ => printed.push('?'),
        }
    }
    printed.push('"');
    printed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printed() {
        let results = AuthenticationResults {
            authserv_id: "mx.example".to_owned(),
            results: vec![
                MethodResult::new("spf", "fail").with("smtp.mailfrom", "a@b.example"),
                MethodResult::new("dkim", "fail")
                    .because(Some("it's \"wrong\"\r\nX: y"))
                    .with("header.d", "x;y.example")
                    .with("header.b", "a/b="),
            ],
        };
        assert_eq!(
            results.to_field(),
            "Authentication-Results: mx.example;\r\n\
             \tspf=fail smtp.mailfrom=a@b.example;\r\n\
             \tdkim=fail reason=\"it's \\\"wrong\\\"??X: y\" header.d=\"x;y.example\"\r\n\
             \theader.b=\"a/b=\"\r\n"
        );
        let nothing = AuthenticationResults { authserv_id: "mx.example".to_owned(), results: vec![] };
        assert_eq!(nothing.to_field(), "Authentication-Results: mx.example; none\r\n");
    }

    #[test]
    fn the_examples_of_rfc_8601_appendix_b_and_others() {
        for (text, id, has) in [
            ("example.org 1; none", "example.org", None),
            ("example.com;\r\n spf=pass smtp.mailfrom=example.net", "example.com", Some(("spf", "pass"))),
            (
                "example.com; auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net",
                "example.com",
                Some(("auth", "pass")),
            ),
            (
                "foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail",
                "foo.example.net",
                None,
            ),
            (
                "(comment (nested) \\) ) id (x); dkim/1=fail reason=\"bad; signature\" policy.dkim-rules=x",
                "id",
                Some(("dkim", "fail")),
            ),
            (" \"quoted id\" ; DMARC = PASS ", "quoted id", Some(("dmarc", "pass"))),
        ] {
            let parsed = AuthenticationResults::parse(text.as_bytes());
            match has {
                Some((method, result)) => {
                    let parsed = parsed.expect(text);
                    assert_eq!(parsed.authserv_id, id);
                    assert!(parsed.has(method, result) && !parsed.has(method, "none"), "{text}");
                }
                None => assert!(parsed.is_none_or(|parsed| parsed.results.is_empty()), "{text}"),
            }
            assert_eq!(claimed_id(text.as_bytes()).as_deref(), Some(id));
        }
        for text in ["", ";", "id; spf", "id; spf=", "id; =pass", "id; (", "id; spf=\"pass", "(", "id; a=b c"]
        {
            assert_eq!(AuthenticationResults::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn claims_to_be_us_are_found() {
        let content = "Authentication-Results: other.example; none\r\n\
                       authentication-results: MX.Example;\r\n\tdmarc=pass\r\n\
                       Authentication-Results : (hello) \"mx.example\" 1; spf=pass\r\n\
                       Authentication-Results: mx.example.; none\r\n\
                       Authentication-Results: (never ends mx.example; spf=pass\r\n\
                       ARC-Authentication-Results: i=1; mx.example; spf=pass\r\n\
                       Authentication-Results: mx.example.org; none\r\n\
                       Authentication-Results:\r\n\
                       Subject: x\r\n\r\nAuthentication-Results: mx.example; none\r\n";
        let ranges = fields_claiming(Header::of_content(content.as_bytes()), "mx.example");
        let found: Vec<&str> =
            ranges.iter().map(|range| &content[range.start as usize..range.end as usize]).collect();
        assert_eq!(
            found,
            [
                "authentication-results: MX.Example;\r\n\tdmarc=pass\r\n\
                 Authentication-Results : (hello) \"mx.example\" 1; spf=pass\r\n\
                 Authentication-Results: mx.example.; none\r\n\
                 Authentication-Results: (never ends mx.example; spf=pass\r\n",
                "Authentication-Results:\r\n",
            ]
        );
    }

    fn result() -> impl Strategy<Value = MethodResult> {
        let word = "[a-z][a-z0-9-]{0,8}";
        let properties = proptest::collection::vec(("[a-z]{1,6}\\.[a-z]{1,6}", "[ -~]{0,30}"), 0..4);
        (word, word, proptest::option::of("[ -~]{0,100}"), properties).prop_map(
            |(method, result, reason, properties)| MethodResult { method, result, reason, properties },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            authserv_id in "[ -~]{0,20}",
            results in proptest::collection::vec(result(), 0..5),
        ) {
            let results = AuthenticationResults { authserv_id, results };
            let field = results.to_field();
            let value = field.strip_prefix("Authentication-Results:").unwrap();
            prop_assert_eq!(AuthenticationResults::parse(value.as_bytes()), Some(results));
        }

        #[test]
        fn nothing_is_injected(text in "\\PC{0,20}[\r\n\0;\"\\\\]{0,4}\\PC{0,20}") {
            let result = MethodResult::new("dkim", "fail").because(Some(&text)).with("header.d", &text);
            let results = AuthenticationResults { authserv_id: "mx.example".to_owned(), results: vec![result] };
            let field = results.to_field();
            let header = field.clone() + "\r\n";
            prop_assert_eq!(Header::new(header.as_bytes()).fields().count(), 1);
            prop_assert!(field.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')));
            let parsed = AuthenticationResults::parse(&field.as_bytes()["Authentication-Results:".len()..]).unwrap();
            prop_assert_eq!(parsed.results.len(), 1);
            prop_assert_eq!(parsed.results[0].properties.len(), 1);
        }

        #[test]
        fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = AuthenticationResults::parse(&text);
        }
    }
}
