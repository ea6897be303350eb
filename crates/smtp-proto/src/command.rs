//! Commands: one line parsed to a value, and printed.
//!
//! Standards: RFC 5321 section 4.1 (grammar), RFC 2033 (LHLO), RFC 3030 (BDAT), RFC 3207
//! (STARTTLS), RFC 4954 (AUTH).
//! Invariants:
//! - a line with a control character is refused as a whole, so that a bare CR or LF never
//!   separates two commands and no value can carry one;
//! - `parse(print(command)) == command`.

mod bdat;
mod mail;
mod rcpt;

use std::fmt;

pub use bdat::Bdat;
pub use mail::{Body, Mail, MailParams, Ret};
pub use rcpt::{Notify, OriginalRecipient, Rcpt, RcptParams};

use crate::client_name::ClientName;
use crate::path::{Letters, PathError};
use crate::secret::Secret;
use crate::table;

/// The command's first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the commands say it")]
pub enum Verb {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// RFC 5321 section 4.1.1.1.
    Helo(ClientName),
    /// RFC 5321 section 4.1.1.1.
    Ehlo(ClientName),
    /// RFC 2033 section 4.1.
    Lhlo(ClientName),
    /// RFC 5321 section 4.1.1.2.
    Mail(Mail),
    /// RFC 5321 section 4.1.1.3.
    Rcpt(Rcpt),
    /// RFC 5321 section 4.1.1.4.
    Data,
    /// RFC 3030 section 2.
    Bdat(Bdat),
    /// RFC 5321 section 4.1.1.5.
    Rset,
    /// RFC 5321 section 4.1.1.9; what stands behind it means nothing.
    Noop,
    /// RFC 5321 section 4.1.1.10.
    Quit,
    /// RFC 5321 section 4.1.1.6.
    Vrfy(Box<str>),
    /// RFC 5321 section 4.1.1.7.
    Expn(Box<str>),
    /// RFC 5321 section 4.1.1.8; we answer all topics alike.
    Help,
    /// RFC 3207 section 4.
    StartTls,
    /// RFC 4954 section 4.
    Auth {
        /// As written: which ones exist is not the grammar's matter.
        mechanism: Box<str>,
        /// Still in base64; `=` stands for an empty one.
        initial_response: Option<Secret>,
    },
}

/// What the parser lets pass beyond the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// RFC 5321 and nothing else.
    Strict,
    /// Spaces behind `FROM:` and `TO:`, and more than one between words.
    LooseSpaces,
}

/// What a line's meaning depends on, beside the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grammar {
    /// For RCPT: did MAIL come with SMTPUTF8? MAIL itself sees its own parameter.
    pub letters: Letters,
    /// For clients that do not follow the grammar.
    pub tolerance: Tolerance,
}

/// Why a line is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such verb.
    #[error("unknown command")]
    UnknownVerb,
    /// A control character, or broken UTF-8.
    #[error("bad characters in the command line")]
    Characters,
    /// More octets than the verb's line may have.
    #[error("command line too long")]
    TooLong,
    /// HELO, EHLO or LHLO without a proper name.
    #[error("the client's name must be a domain or an address literal")]
    ClientName,
    /// MAIL.
    #[error("reverse-path: {0}")]
    ReversePath(PathError),
    /// RCPT.
    #[error("forward-path: {0}")]
    ForwardPath(PathError),
    /// A parameter of MAIL or RCPT that we do not know.
    #[error("unknown parameter")]
    UnknownParameter,
    /// Anything else, in words for the client.
    #[error("{0}")]
    Argument(&'static str),
}

impl Tolerance {
    /// Tolerance: Outlook Express, and scanners and other appliances with a mail function,
    /// write `MAIL FROM: <ann@example.org>`; RFC 5321 section 3.3 forbids the space.
    pub(crate) fn skip_spaces(self, input: &str) -> &str {
        match self {
            Self::Strict => input,
            Self::LooseSpaces => input.trim_start_matches(' '),
        }
    }

    /// Words between single spaces. Tolerance: the same clients write two.
    pub(crate) fn words(self, input: &str) -> impl Iterator<Item = &str> {
        input.split(' ').filter(move |word| self == Self::Strict || !word.is_empty())
    }
}

impl Verb {
    /// The verb at the start of a line, and what follows its space.
    pub fn split(line: &[u8]) -> Option<(Self, &[u8])> {
        let (word, rest) = match line.iter().position(|byte| matches!(byte, b' ' | b'\t')) {
            Some(at) => line.split_at_checked(at)?,
            None => (line, &[][..]),
        };
        Some((table::verb_named(word)?, rest.get(1..).unwrap_or_default()))
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        table::row(self).name
    }
}

impl Command {
    /// Parses one line without its CRLF.
    pub fn parse(line: &[u8], grammar: Grammar) -> Result<Self, CommandError> {
        let (verb, argument) = Verb::split(line).ok_or(CommandError::UnknownVerb)?;
        // The limits of RFC 5321 count the CRLF.
        if line.len() + 2 > table::row(verb).line_octets {
            return Err(CommandError::TooLong);
        }
        let argument = std::str::from_utf8(argument).map_err(|_| CommandError::Characters)?;
        // RFC 5321 section 4.1.1.1: receivers should tolerate trailing white space.
        let argument = argument.trim_end_matches([' ', '\t']);
        if argument.chars().any(char::is_control) {
            return Err(CommandError::Characters);
        }
        Self::parse_argument(verb, argument, grammar)
    }

    fn parse_argument(verb: Verb, argument: &str, grammar: Grammar) -> Result<Self, CommandError> {
        let client_name = || ClientName::parse(argument).ok_or(CommandError::ClientName);
        match verb {
            Verb::Helo => client_name().map(Self::Helo),
            Verb::Ehlo => client_name().map(Self::Ehlo),
            Verb::Lhlo => client_name().map(Self::Lhlo),
            Verb::Mail => Mail::parse(argument, grammar.tolerance).map(Self::Mail),
            Verb::Rcpt => Rcpt::parse(argument, grammar).map(Self::Rcpt),
            Verb::Data => no_argument(argument, Self::Data),
            Verb::Bdat => Bdat::parse(argument).map(Self::Bdat),
            Verb::Rset => no_argument(argument, Self::Rset),
            Verb::Noop => Ok(Self::Noop),
            Verb::Quit => no_argument(argument, Self::Quit),
            Verb::Vrfy => some_text(argument).map(Self::Vrfy),
            Verb::Expn => some_text(argument).map(Self::Expn),
            Verb::Help => Ok(Self::Help),
            Verb::StartTls => no_argument(argument, Self::StartTls),
            Verb::Auth => auth(argument, grammar.tolerance),
        }
    }

    /// The command's verb.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Helo(_) => Verb::Helo,
            Self::Ehlo(_) => Verb::Ehlo,
            Self::Lhlo(_) => Verb::Lhlo,
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat(_) => Verb::Bdat,
            Self::Rset => Verb::Rset,
            Self::Noop => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help => Verb::Help,
            Self::StartTls => Verb::StartTls,
            Self::Auth { .. } => Verb::Auth,
        }
    }

    /// Appends the command as it goes over the wire, with its CRLF.
    ///
    /// An AUTH with an initial response shows it: what is printed is not for logs.
    pub fn print(&self, out: &mut Vec<u8>) {
        let argument = match self {
            Self::Helo(name) | Self::Ehlo(name) | Self::Lhlo(name) => format!(" {name}"),
            Self::Mail(mail) => format!(" {mail}"),
            Self::Rcpt(rcpt) => format!(" {rcpt}"),
            Self::Bdat(bdat) => format!(" {bdat}"),
            Self::Vrfy(text) | Self::Expn(text) => format!(" {text}"),
            Self::Auth { mechanism, .. } => format!(" {mechanism}"),
            Self::Data | Self::Rset | Self::Noop | Self::Quit | Self::Help | Self::StartTls => String::new(),
        };
        out.extend_from_slice(self.verb().name().as_bytes());
        out.extend_from_slice(argument.as_bytes());
        if let Self::Auth { initial_response: Some(response), .. } = self {
            out.push(b' ');
            out.extend_from_slice(response.expose());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn no_argument(argument: &str, command: Command) -> Result<Command, CommandError> {
    if argument.is_empty() { Ok(command) } else { Err(CommandError::Argument("The command has no argument")) }
}

fn some_text(argument: &str) -> Result<Box<str>, CommandError> {
    let text = argument.trim_start_matches(' ');
    if text.is_empty() { Err(CommandError::Argument("An argument is missing")) } else { Ok(text.into()) }
}

/// `AUTH mechanism [initial-response]`, RFC 4954 section 8.
fn auth(argument: &str, tolerance: Tolerance) -> Result<Command, CommandError> {
    const FORM: CommandError = CommandError::Argument("AUTH needs a mechanism and at most one response");
    let mut words = tolerance.words(argument);
    let mechanism = words.next().filter(|name| is_mechanism(name)).ok_or(FORM)?;
    let initial_response = words.next().map(|word| Secret::new(word.as_bytes()));
    if words.next().is_some() || initial_response.as_ref().is_some_and(|word| word.expose().is_empty()) {
        return Err(FORM);
    }
    Ok(Command::Auth { mechanism: mechanism.into(), initial_response })
}

/// `sasl-mech`, RFC 4422 section 3.1; small letters are the client's way of writing them.
fn is_mechanism(name: &str) -> bool {
    (1..=20).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const STRICT: Grammar = Grammar { letters: Letters::Ascii, tolerance: Tolerance::Strict };
    const LOOSE: Grammar = Grammar { letters: Letters::Utf8, tolerance: Tolerance::LooseSpaces };

    fn printed(line: &str, grammar: Grammar) -> Result<String, CommandError> {
        let command = Command::parse(line.as_bytes(), grammar)?;
        let mut out = Vec::new();
        command.print(&mut out);
        let text = String::from_utf8(out).unwrap();
        Ok(text.strip_suffix("\r\n").unwrap().to_owned())
    }

    #[test]
    fn commands() {
        for (line, expected) in [
            ("HELO client.example", "HELO client.example"),
            ("ehlo [192.0.2.1]", "EHLO [192.0.2.1]"),
            ("LHLO client", "LHLO client"),
            ("mail from:<>", "MAIL FROM:<>"),
            ("RCPT TO:<ann@example.org>", "RCPT TO:<ann@example.org>"),
            ("DATA", "DATA"),
            ("data \t ", "DATA"),
            ("BDAT 1000 last", "BDAT 1000 LAST"),
            ("RSET", "RSET"),
            ("NOOP", "NOOP"),
            ("NOOP some text", "NOOP"),
            ("Quit", "QUIT"),
            ("VRFY ann b", "VRFY ann b"),
            ("EXPN staff", "EXPN staff"),
            ("HELP", "HELP"),
            ("HELP MAIL", "HELP"),
            ("STARTTLS", "STARTTLS"),
            ("AUTH PLAIN", "AUTH PLAIN"),
            ("AUTH plain =", "AUTH plain ="),
            ("AUTH SCRAM-SHA-256 biws", "AUTH SCRAM-SHA-256 biws"),
        ] {
            assert_eq!(printed(line, STRICT).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        let argument = |line: &str| matches!(printed(line, STRICT), Err(CommandError::Argument(_)));
        for line in [
            "DATA now",
            "RSET x",
            "QUIT x",
            "STARTTLS x",
            "VRFY",
            "VRFY ",
            "EXPN",
            "AUTH",
            "AUTH ",
            "AUTH a b c",
            "AUTH  PLAIN",
            "AUTH PLAIN  b",
            "AUTH PL/AIN",
            "MAIL",
            "RCPT",
            "BDAT",
        ] {
            assert!(argument(line), "{line:?}");
        }
        for (line, error) in [
            ("", CommandError::UnknownVerb),
            (" NOOP", CommandError::UnknownVerb),
            ("NOOPS", CommandError::UnknownVerb),
            ("NO\0OP", CommandError::UnknownVerb),
            ("TURN", CommandError::UnknownVerb),
            ("MAILFROM:<>", CommandError::UnknownVerb),
            ("NOOP\n", CommandError::UnknownVerb),
            ("NOOP a\nb", CommandError::Characters),
            ("NOOP a\rb", CommandError::Characters),
            ("NOOP \0", CommandError::Characters),
            ("VRFY a\u{85}b", CommandError::Characters),
            ("MAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>", CommandError::Characters),
            ("EHLO", CommandError::ClientName),
            ("EHLO a b", CommandError::ClientName),
        ] {
            assert_eq!(printed(line, STRICT), Err(error), "{line:?}");
        }
        assert_eq!(Command::parse(b"NOOP \xff", STRICT), Err(CommandError::Characters));
    }

    #[test]
    fn spaces_are_tolerated_only_where_the_setting_says() {
        for (line, expected) in [
            ("MAIL FROM: <ann@example.org>", "MAIL FROM:<ann@example.org>"),
            ("MAIL  FROM:<ann@example.org>  SIZE=10", "MAIL FROM:<ann@example.org> SIZE=10"),
            ("RCPT TO:  <ann@example.org>", "RCPT TO:<ann@example.org>"),
            ("AUTH  PLAIN  dGVzdA==", "AUTH PLAIN dGVzdA=="),
        ] {
            assert!(printed(line, STRICT).is_err(), "{line}");
            assert_eq!(printed(line, LOOSE).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn each_verb_has_its_line_limit() {
        // RFC 5321 section 4.5.3.1.4, with what RFC 3461, 4954 and 6531 add.
        for (start, limit) in [("NOOP ", 512), ("RCPT TO:<", 4096), ("AUTH PLAIN ", 12_288)] {
            let line = |octets: usize| format!("{start}{}", "a".repeat(octets - 2 - start.len()));
            assert_ne!(printed(&line(limit), STRICT), Err(CommandError::TooLong), "{start}");
            assert_eq!(printed(&line(limit + 1), STRICT), Err(CommandError::TooLong), "{start}");
        }
    }

    #[test]
    fn debug_does_not_show_the_initial_response() {
        let command = Command::parse(b"AUTH PLAIN AGFubgBzZWNyZXQ=", STRICT).unwrap();
        assert!(!format!("{command:?}").contains("AGFubg"));
    }

    fn any_mail() -> impl Strategy<Value = Command> {
        let reverse_path =
            select(&["<>", "<ann@example.org>", "<\"a b\"@[192.0.2.1]>", "<田中@example.jp>"][..]);
        let size = option::of(any::<u64>());
        let body = option::of(select(&[Body::SevenBit, Body::EightBitMime, Body::BinaryMime][..]));
        let ret = option::of(select(&[Ret::Full, Ret::Headers][..]));
        let (envid, auth) = (option::of("[ -~]{1,33}"), option::of("[ -~]{1,60}|[a-z田é]{1,20}"));
        let rest = (any::<bool>(), any::<bool>());
        (reverse_path, size, body, ret, envid, auth, rest).prop_map(
            |(path, size_bytes, body, ret, envid, auth, (smtputf8, require_tls))| {
                let (_, reverse_path) = crate::path::reverse_path(path, Letters::Utf8).unwrap();
                let params = MailParams {
                    size_bytes,
                    body,
                    smtputf8: smtputf8 || !path.is_ascii(),
                    ret,
                    envid: envid.map(String::into),
                    auth: auth.map(String::into),
                    require_tls,
                };
                Command::Mail(Mail { reverse_path, params })
            },
        )
    }

    fn any_rcpt() -> impl Strategy<Value = Command> {
        let path =
            select(&["<postmaster>", "<ann@example.org>", "<\"@\"@[IPv6:::1]>", "<田中@example.jp>"][..]);
        let notify = option::of(select(&[0u8, 1, 2, 3, 4, 5, 6, 7][..]));
        let original = option::of(("[a-z][a-z0-9-]{0,5}", "[ -~]{1,60}|[a-z田]{1,20}"));
        (path, notify, original).prop_map(|(path, notify, original)| {
            let (_, forward_path) = crate::path::forward_path(path, Letters::Utf8).unwrap();
            let notify = notify.map(|bits| match bits {
                0 => Notify::Never,
                bits => Notify::On { success: bits & 1 != 0, failure: bits & 2 != 0, delay: bits & 4 != 0 },
            });
            let original_recipient = original.map(|(address_type, address)| OriginalRecipient {
                address_type: address_type.into(),
                address: address.into(),
            });
            Command::Rcpt(Rcpt { forward_path, params: RcptParams { notify, original_recipient } })
        })
    }

    fn any_other() -> impl Strategy<Value = Command> {
        let name = "[a-z]{1,9}|\\[192\\.0\\.2\\.1\\]|[A-Z]{1,4}_[0-9]"
            .prop_map(|text| ClientName::parse(&text).unwrap());
        let auth = ("[A-Z][A-Z0-9-]{0,19}", option::of("[A-Za-z0-9+/=]{1,40}"));
        prop_oneof![
            name.clone().prop_map(Command::Helo),
            name.clone().prop_map(Command::Ehlo),
            name.prop_map(Command::Lhlo),
            (any::<u64>(), any::<bool>())
                .prop_map(|(size_bytes, is_last)| Command::Bdat(Bdat { size_bytes, is_last })),
            "[!-~]{1,20}( [!-~]{1,5})?".prop_map(|text| Command::Vrfy(text.into())),
            "[!-~]{1,20}".prop_map(|text| Command::Expn(text.into())),
            auth.prop_map(|(mechanism, response)| Command::Auth {
                mechanism: mechanism.into(),
                initial_response: response.map(|text| Secret::new(text.as_bytes())),
            }),
            select(
                &[
                    Command::Data,
                    Command::Rset,
                    Command::Noop,
                    Command::Quit,
                    Command::Help,
                    Command::StartTls
                ][..]
            ),
        ]
    }

    proptest! {
        #[test]
        fn parse_print_parse(command in prop_oneof![any_mail(), any_rcpt(), any_other()]) {
            let mut wire = Vec::new();
            command.print(&mut wire);
            let grammar = Grammar { letters: Letters::Utf8, tolerance: Tolerance::Strict };
            prop_assert_eq!(Command::parse(wire.strip_suffix(b"\r\n").unwrap(), grammar), Ok(command));
        }
    }
}
