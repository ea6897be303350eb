//! `MAIL FROM:<reverse-path> [parameters]`.
//!
//! Standards: RFC 5321 section 4.1.1.2; parameters: RFC 1870 (SIZE), RFC 6152 and 3030
//! (BODY), RFC 6531 (SMTPUTF8), RFC 3461 (RET, ENVID), RFC 4954 section 5 (AUTH), RFC 8689
//! (REQUIRETLS).

use std::fmt;

use super::{CommandError, Tolerance};
use crate::param::{Param, once, params};
use crate::path::{Letters, PathError, ReversePath, reverse_path};
use crate::xtext;

/// Opens a mail transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Where notifications go.
    pub reverse_path: ReversePath,
    /// What follows it.
    pub params: MailParams,
}

/// Parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParams {
    /// SIZE: octets that the content will have; one that fits no number is the greatest.
    pub size_bytes: Option<u64>,
    /// BODY.
    pub body: Option<Body>,
    /// SMTPUTF8: envelope or header may hold UTF-8.
    pub smtputf8: bool,
    /// RET: what a notification gives back.
    pub ret: Option<Ret>,
    /// ENVID, decoded: the sender's own name for this transaction.
    pub envid: Option<Box<str>>,
    /// AUTH, decoded: who submitted it, or `<>`. A claim of the client, no more.
    pub auth: Option<Box<str>>,
    /// REQUIRETLS: rather do not deliver than in clear.
    pub require_tls: bool,
}

/// What octets the content has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// `7BIT`.
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`: any octets, through BDAT only.
    BinaryMime,
}

/// How much of the content a notification gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its header.
    Headers,
}

/// The most octets of ENVID's value, RFC 3461 section 4.4.
const MAX_ENVID_OCTETS: usize = 100;

/// The most octets of AUTH's value, RFC 4954 section 5.
const MAX_AUTH_OCTETS: usize = 500;

impl Mail {
    pub(super) fn parse(argument: &str, tolerance: Tolerance) -> Result<Self, CommandError> {
        let argument = tolerance.skip_spaces(argument);
        let (keyword, path) =
            argument.split_once(':').ok_or(CommandError::Argument("FROM:<reverse-path> must follow MAIL"))?;
        if !keyword.eq_ignore_ascii_case("FROM") {
            return Err(CommandError::Argument("FROM:<reverse-path> must follow MAIL"));
        }
        let path = tolerance.skip_spaces(path);
        // SMTPUTF8 stands behind the path that it allows, so the path is read as UTF-8
        // first and judged when the parameters are known.
        let (rest, reverse) = reverse_path(path, Letters::Utf8).map_err(CommandError::ReversePath)?;
        let params = MailParams::parse(rest, tolerance)?;
        let was_ascii = path.strip_suffix(rest).unwrap_or(path).is_ascii();
        if !was_ascii && !params.smtputf8 {
            return Err(CommandError::ReversePath(PathError::NeedsSmtpUtf8));
        }
        Ok(Self { reverse_path: reverse, params })
    }
}

impl MailParams {
    fn parse(input: &str, tolerance: Tolerance) -> Result<Self, CommandError> {
        let mut parsed = Self::default();
        let (mut smtputf8, mut require_tls) = (None, None);
        for param in params(input, tolerance)? {
            match param.keyword.to_ascii_uppercase().as_str() {
                "SIZE" => once(&mut parsed.size_bytes, size(param)?)?,
                "BODY" => once(&mut parsed.body, body(param)?)?,
                "SMTPUTF8" => once(&mut smtputf8, param.needs_no_value()?)?,
                "RET" => once(&mut parsed.ret, ret(param)?)?,
                "ENVID" => once(&mut parsed.envid, envid(param)?)?,
                "AUTH" => once(&mut parsed.auth, auth(param)?)?,
                "REQUIRETLS" => once(&mut require_tls, param.needs_no_value()?)?,
                _ => return Err(CommandError::UnknownParameter),
            }
        }
        parsed.smtputf8 = smtputf8.is_some();
        parsed.require_tls = require_tls.is_some();
        Ok(parsed)
    }
}

/// `size-value = 1*20DIGIT`, RFC 1870 section 4.
fn size(param: Param<'_>) -> Result<u64, CommandError> {
    let value = param.needs_value()?;
    if value.len() > 20 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandError::Argument("SIZE is a number of at most 20 digits"));
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn body(param: Param<'_>) -> Result<Body, CommandError> {
    let value = param.needs_value()?;
    [Body::SevenBit, Body::EightBitMime, Body::BinaryMime]
        .into_iter()
        .find(|body| body.keyword().eq_ignore_ascii_case(value))
        .ok_or(CommandError::Argument("BODY is 7BIT, 8BITMIME or BINARYMIME"))
}

fn ret(param: Param<'_>) -> Result<Ret, CommandError> {
    let value = param.needs_value()?;
    [Ret::Full, Ret::Headers]
        .into_iter()
        .find(|ret| ret.keyword().eq_ignore_ascii_case(value))
        .ok_or(CommandError::Argument("RET is FULL or HDRS"))
}

/// Printable ASCII under xtext, RFC 3461 section 4.4.
fn envid(param: Param<'_>) -> Result<Box<str>, CommandError> {
    let value = param.needs_value()?;
    xtext::decode(value)
        .filter(|text| value.len() <= MAX_ENVID_OCTETS && text.is_ascii() && !text.is_empty())
        .ok_or(CommandError::Argument("ENVID is xtext of at most 100 octets"))
}

fn auth(param: Param<'_>) -> Result<Box<str>, CommandError> {
    let value = param.needs_value()?;
    xtext::decode(value)
        .filter(|_| value.len() <= MAX_AUTH_OCTETS)
        .ok_or(CommandError::Argument("AUTH is xtext of at most 500 octets"))
}

impl Body {
    /// As it is written.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl Ret {
    /// As it is written.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FROM:{}", self.reverse_path)?;
        let params = &self.params;
        if let Some(size_bytes) = params.size_bytes {
            write!(f, " SIZE={size_bytes}")?;
        }
        if let Some(body) = params.body {
            write!(f, " BODY={}", body.keyword())?;
        }
        if params.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(ret) = params.ret {
            write!(f, " RET={}", ret.keyword())?;
        }
        if let Some(envid) = &params.envid {
            write!(f, " ENVID={}", xtext::encode(envid))?;
        }
        if let Some(auth) = &params.auth {
            write!(f, " AUTH={}", xtext::encode(auth))?;
        }
        if params.require_tls { f.write_str(" REQUIRETLS") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(argument: &str) -> Result<String, CommandError> {
        Mail::parse(argument, Tolerance::Strict).map(|mail| mail.to_string())
    }

    #[test]
    fn valid() {
        for (text, expected) in [
            ("FROM:<>", "FROM:<>"),
            ("from:<ann@example.org>", "FROM:<ann@example.org>"),
            ("FROM:<@a.example:ann@example.org> SIZE=0", "FROM:<ann@example.org> SIZE=0"),
            ("FROM:<> SIZE=99999999999999999999", "FROM:<> SIZE=18446744073709551615"),
            ("FROM:<> size=00012", "FROM:<> SIZE=12"),
            ("FROM:<> BODY=8bitmime SIZE=1", "FROM:<> SIZE=1 BODY=8BITMIME"),
            ("FROM:<> BODY=7BIT", "FROM:<> BODY=7BIT"),
            ("FROM:<> BODY=BINARYMIME", "FROM:<> BODY=BINARYMIME"),
            ("FROM:<田中@日本語.jp> SMTPUTF8", "FROM:<田中@xn--wgv71a119e.jp> SMTPUTF8"),
            ("FROM:<> RET=HDRS ENVID=QQ+2B314159", "FROM:<> RET=HDRS ENVID=QQ+2B314159"),
            ("FROM:<> RET=full AUTH=<>", "FROM:<> RET=FULL AUTH=<>"),
            ("FROM:<> AUTH=e+3Dmc2@example.com", "FROM:<> AUTH=e+3Dmc2@example.com"),
            ("FROM:<> REQUIRETLS", "FROM:<> REQUIRETLS"),
        ] {
            assert_eq!(printed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid() {
        let long_envid = format!("FROM:<> ENVID={}", "a".repeat(101));
        for text in [
            "FROM<>",
            "TO:<>",
            "FROM :<>",
            "FROM:<>SIZE=1",
            "FROM:<> SIZE",
            "FROM:<> SIZE=-1",
            "FROM:<> SIZE=+1",
            "FROM:<> SIZE=1k",
            "FROM:<> SIZE=100000000000000000000",
            "FROM:<> SIZE=1 SIZE=1",
            "FROM:<> BODY",
            "FROM:<> BODY=9BIT",
            "FROM:<> BODY=7BIT BODY=7BIT",
            "FROM:<> SMTPUTF8=YES",
            "FROM:<> SMTPUTF8 SMTPUTF8",
            "FROM:<> REQUIRETLS=1",
            "FROM:<> RET=SOME",
            "FROM:<> ENVID=a+0A",
            "FROM:<> ENVID=a+2",
            "FROM:<> ENVID=+E7+94+B0",
            long_envid.as_str(),
        ] {
            assert!(matches!(printed(text), Err(CommandError::Argument(_))), "{text}");
        }
        assert_eq!(printed("FROM: <>"), Err(CommandError::ReversePath(PathError::Form)));
        assert_eq!(printed("FROM:<> FUTURE=1"), Err(CommandError::UnknownParameter));
        assert_eq!(printed("FROM:<> NOTIFY=NEVER"), Err(CommandError::UnknownParameter));
        for text in ["FROM:<田中@example.jp>", "FROM:<ann@日本語.jp> BODY=8BITMIME"] {
            let expected = CommandError::ReversePath(PathError::NeedsSmtpUtf8);
            assert_eq!(printed(text), Err(expected), "{text}");
        }
    }
}
