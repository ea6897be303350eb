//! `RCPT TO:<forward-path> [parameters]`.
//!
//! Standards: RFC 5321 section 4.1.1.3; parameters: RFC 3461 sections 4.1 (NOTIFY) and 4.2
//! (ORCPT), RFC 6533 section 3 (ORCPT with UTF-8).

use std::fmt;

use super::{CommandError, Grammar, Tolerance};
use crate::param::{Param, once, params};
use crate::path::{ForwardPath, Letters, forward_path};
use crate::xtext;

/// Adds a recipient to the mail transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// Who receives it.
    pub forward_path: ForwardPath,
    /// What follows it.
    pub params: RcptParams,
}

/// Parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParams {
    /// NOTIFY: when to send a DSN.
    pub notify: Option<Notify>,
    /// ORCPT: who the sender wrote to, before anybody forwarded it.
    pub original_recipient: Option<OriginalRecipient>,
}

/// When the sender wants to be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notify {
    /// Not even of failure.
    Never,
    /// At least one of these is true.
    On {
        /// Delivered.
        success: bool,
        /// Failed for good.
        failure: bool,
        /// Still waiting.
        delay: bool,
    },
}

/// `addr-type ";" xtext`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8` or another atom, in small letters.
    pub address_type: Box<str>,
    /// The address, decoded. Not checked: it names a mailbox elsewhere.
    pub address: Box<str>,
}

/// The most octets of ORCPT's value, RFC 3461 section 4.2.
const MAX_ORCPT_OCTETS: usize = 500;

impl Rcpt {
    pub(super) fn parse(argument: &str, grammar: Grammar) -> Result<Self, CommandError> {
        const FORM: CommandError = CommandError::Argument("TO:<forward-path> must follow RCPT");
        let argument = grammar.tolerance.skip_spaces(argument);
        let (keyword, path) = argument.split_once(':').ok_or(FORM)?;
        if !keyword.eq_ignore_ascii_case("TO") {
            return Err(FORM);
        }
        let path = grammar.tolerance.skip_spaces(path);
        let (rest, forward) = forward_path(path, grammar.letters).map_err(CommandError::ForwardPath)?;
        let params = RcptParams::parse(rest, grammar.letters, grammar.tolerance)?;
        Ok(Self { forward_path: forward, params })
    }
}

impl RcptParams {
    fn parse(input: &str, letters: Letters, tolerance: Tolerance) -> Result<Self, CommandError> {
        let mut parsed = Self::default();
        for param in params(input, tolerance)? {
            match param.keyword.to_ascii_uppercase().as_str() {
                "NOTIFY" => once(&mut parsed.notify, notify(param)?)?,
                "ORCPT" => once(&mut parsed.original_recipient, orcpt(param, letters)?)?,
                _ => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(parsed)
    }
}

/// `"NEVER" / notify-list-element *( "," notify-list-element )`.
fn notify(param: Param<'_>) -> Result<Notify, CommandError> {
    const FORM: CommandError =
        CommandError::Argument("NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY");
    let value = param.needs_value()?.to_ascii_uppercase();
    if value == "NEVER" {
        return Ok(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        match word {
            "SUCCESS" => success = true,
            "FAILURE" => failure = true,
            "DELAY" => delay = true,
            _ => return Err(FORM),
        }
    }
    Ok(Notify::On { success, failure, delay })
}

fn orcpt(param: Param<'_>, letters: Letters) -> Result<OriginalRecipient, CommandError> {
    const FORM: CommandError = CommandError::Argument("ORCPT is type;xtext of at most 500 octets");
    let value = param.needs_value()?;
    let (address_type, coded) = value.split_once(';').ok_or(FORM)?;
    let is_atom = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    if !is_atom(address_type) {
        return Err(FORM);
    }
    let address_type = address_type.to_ascii_lowercase();
    let address = if coded.is_ascii() {
        xtext::decode(coded).ok_or(FORM)?
    } else if address_type == "utf-8" && letters == Letters::Utf8 {
        // `utf-8-address`, RFC 6533 section 3: as it is, for a next hop with SMTPUTF8.
        coded.into()
    } else {
        return Err(FORM);
    };
    let original = OriginalRecipient { address_type: address_type.into(), address };
    // UTF-8 grows under xtext, and what we take we must be able to write.
    if original.address.is_empty() || original.to_string().len() > MAX_ORCPT_OCTETS {
        return Err(FORM);
    }
    Ok(original)
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On { success, failure, delay } = *self else { return f.write_str("NEVER") };
        let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let chosen: Vec<&str> =
            words.into_iter().filter(|(chosen, _)| *chosen).map(|(_, word)| word).collect();
        f.write_str(&chosen.join(","))
    }
}

/// With the address under xtext, as in ORCPT.
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.address_type, xtext::encode(&self.address))
    }
}

impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TO:{}", self.forward_path)?;
        if let Some(notify) = self.params.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(original) = &self.params.original_recipient {
            write!(f, " ORCPT={original}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(argument: &str, letters: Letters) -> Result<String, CommandError> {
        Rcpt::parse(argument, Grammar { letters, tolerance: Tolerance::Strict }).map(|rcpt| rcpt.to_string())
    }

    #[test]
    fn valid() {
        for (text, expected) in [
            ("TO:<ann@example.org>", "TO:<ann@example.org>"),
            ("to:<Postmaster>", "TO:<postmaster>"),
            ("TO:<@a.example:ann@example.org>", "TO:<ann@example.org>"),
            ("TO:<a@b.example> NOTIFY=never", "TO:<a@b.example> NOTIFY=NEVER"),
            ("TO:<a@b.example> NOTIFY=DELAY,success", "TO:<a@b.example> NOTIFY=SUCCESS,DELAY"),
            ("TO:<a@b.example> NOTIFY=FAILURE", "TO:<a@b.example> NOTIFY=FAILURE"),
            ("TO:<a@b.example> ORCPT=RFC822;Bob+2B1@x", "TO:<a@b.example> ORCPT=rfc822;Bob+2B1@x"),
            ("TO:<a@b.example> ORCPT=utf-8;+E7+94+B0@x", "TO:<a@b.example> ORCPT=utf-8;+E7+94+B0@x"),
        ] {
            assert_eq!(printed(text, Letters::Ascii).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(
            printed("TO:<田@b.example> ORCPT=utf-8;田@x", Letters::Utf8).as_deref(),
            Ok("TO:<田@b.example> ORCPT=utf-8;+E7+94+B0@x")
        );
    }

    #[test]
    fn invalid() {
        let long = format!("TO:<a@b.example> ORCPT=rfc822;{}", "a".repeat(494));
        for text in [
            "TO<a@b.example>",
            "FROM:<a@b.example>",
            "TO:<a@b.example>NOTIFY=NEVER",
            "TO:<a@b.example> NOTIFY",
            "TO:<a@b.example> NOTIFY=NEVER,DELAY",
            "TO:<a@b.example> NOTIFY=,DELAY",
            "TO:<a@b.example> NOTIFY=DELAY,",
            "TO:<a@b.example> NOTIFY=SOON",
            "TO:<a@b.example> NOTIFY=NEVER NOTIFY=NEVER",
            "TO:<a@b.example> ORCPT=rfc822",
            "TO:<a@b.example> ORCPT=rfc822;",
            "TO:<a@b.example> ORCPT=;a",
            "TO:<a@b.example> ORCPT=rfc 822;a",
            "TO:<a@b.example> ORCPT=rfc822;a+0Db",
            "TO:<a@b.example> ORCPT=utf-8;田@x",
            "TO:<a@b.example> ORCPT=rfc822;a+",
            long.as_str(),
        ] {
            assert!(matches!(printed(text, Letters::Ascii), Err(CommandError::Argument(_))), "{text}");
        }
        assert_eq!(printed("TO:<a@b.example> SIZE=1", Letters::Ascii), Err(CommandError::UnknownParameter));
        for text in ["TO:<>", "TO: <a@b.example>", "TO:<田@b.example>", "TO:<a@田.example>"] {
            assert!(matches!(printed(text, Letters::Ascii), Err(CommandError::ForwardPath(_))), "{text}");
        }
    }
}
