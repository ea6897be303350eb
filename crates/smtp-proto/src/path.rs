//! Paths and mailboxes: the arguments of MAIL and RCPT.
//!
//! Standards: RFC 5321 sections 4.1.2 (grammar), 4.1.3 (address literals) and 4.5.3.1
//! (lengths); RFC 6531 section 3.3 (UTF-8).
//! Invariants:
//! - a source route is accepted and dropped (RFC 5321 appendix C), so no value holds one;
//! - a general address literal (`[tag:text]`) is refused: no tag but `IPv6` is registered.
//!
//! A domain is kept as A-labels. Whether the client was allowed to write it with U-labels
//! is asked here, because afterwards nobody can tell.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_types::{Address, AddressError, Domain, LocalPart};

/// The most octets of a path with its brackets, RFC 5321 section 4.5.3.1.3.
pub const MAX_PATH_OCTETS: usize = 256;

/// What stands after the `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

/// `Mailbox`, RFC 5321 section 4.1.2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// Before the `@`.
    pub local_part: LocalPart,
    /// After the `@`.
    pub host: Host,
}

/// The argument of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: notifications come from nobody, so that they are never answered.
    Null,
    /// Where notifications go.
    Mailbox(Mailbox),
}

/// The argument of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, RFC 5321 section 4.5.1.
    Postmaster,
    /// Everybody else.
    Mailbox(Mailbox),
}

/// May an address have characters beyond ASCII?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// SMTPUTF8 was not asked for.
    Ascii,
    /// SMTPUTF8 was asked for, RFC 6531 section 3.4.
    Utf8,
}

/// Why a text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No `<…>`, or no `@` in it.
    #[error("the address must have the form <local-part@domain>")]
    Form,
    /// The whole path.
    #[error("the path has more than 256 octets")]
    TooLong,
    /// The local part is no `Dot-string` and no `Quoted-string`.
    #[error("the local part is not valid")]
    LocalPart,
    /// The local part.
    #[error("the local part has more than 64 octets")]
    LocalPartTooLong,
    /// The domain, also one in a source route.
    #[error("the domain is not valid")]
    Domain,
    /// Neither an IPv4 nor an IPv6 address literal.
    #[error("the address literal is not valid")]
    Literal,
    /// Characters beyond ASCII, and SMTPUTF8 was not asked for.
    #[error("an internationalised address needs SMTPUTF8")]
    NeedsSmtpUtf8,
}

type Parsed<'a, T> = Result<(&'a str, T), PathError>;

/// `Reverse-path = Path / "<>"`, RFC 5321 section 4.1.2. Returns what follows it, too.
pub fn reverse_path(input: &str, letters: Letters) -> Parsed<'_, ReversePath> {
    if let Some(rest) = input.strip_prefix("<>") {
        return Ok((rest, ReversePath::Null));
    }
    let (rest, mailbox) = path(input, letters)?;
    Ok((rest, ReversePath::Mailbox(mailbox)))
}

/// `"<Postmaster>" / Forward-path`, RFC 5321 section 4.1.1.3. Returns what follows it, too.
pub fn forward_path(input: &str, letters: Letters) -> Parsed<'_, ForwardPath> {
    const POSTMASTER: &str = "<postmaster>";
    if let Some((start, rest)) = input.split_at_checked(POSTMASTER.len())
        && start.eq_ignore_ascii_case(POSTMASTER)
    {
        return Ok((rest, ForwardPath::Postmaster));
    }
    let (rest, mailbox) = path(input, letters)?;
    Ok((rest, ForwardPath::Mailbox(mailbox)))
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`.
fn path(input: &str, letters: Letters) -> Parsed<'_, Mailbox> {
    let inner = input.strip_prefix('<').ok_or(PathError::Form)?;
    let (rest, mailbox) = mailbox(source_route(inner, letters)?, letters)?;
    let rest = rest.strip_prefix('>').ok_or(PathError::Form)?;
    // A-labels can be longer than the U-labels they were written with, and what we take we
    // must be able to write.
    let printed_octets = mailbox.to_string().len() + "<>".len();
    if printed_octets.max(input.len() - rest.len()) > MAX_PATH_OCTETS {
        return Err(PathError::TooLong);
    }
    Ok((rest, mailbox))
}

/// `A-d-l = At-domain *( "," At-domain )` and its colon, dropped.
fn source_route(input: &str, letters: Letters) -> Result<&str, PathError> {
    let mut input = input;
    while let Some(rest) = input.strip_prefix('@') {
        let (rest, _) = domain(rest, letters)?;
        if let Some(mailbox) = rest.strip_prefix(':') {
            return Ok(mailbox);
        }
        input = rest.strip_prefix(',').filter(|next| next.starts_with('@')).ok_or(PathError::Form)?;
    }
    Ok(input)
}

fn mailbox(input: &str, letters: Letters) -> Parsed<'_, Mailbox> {
    let (rest, local_part) = local_part(input, letters)?;
    let rest = rest.strip_prefix('@').ok_or(PathError::Form)?;
    let (rest, host) = match rest.strip_prefix('[') {
        Some(inside) => {
            let (literal, rest) = inside.split_once(']').ok_or(PathError::Literal)?;
            (rest, Host::Literal(address_literal(literal).ok_or(PathError::Literal)?))
        }
        None => {
            let (rest, domain) = domain(rest, letters)?;
            (rest, Host::Domain(domain))
        }
    };
    Ok((rest, Mailbox { local_part, host }))
}

/// `Local-part = Dot-string / Quoted-string`.
fn local_part(input: &str, letters: Letters) -> Parsed<'_, LocalPart> {
    let end = if input.starts_with('"') {
        end_of_quoted_string(input).ok_or(PathError::LocalPart)?
    } else {
        input.find(['@', '>', ' ', '"']).unwrap_or(input.len())
    };
    let (text, rest) = input.split_at_checked(end).ok_or(PathError::LocalPart)?;
    allowed(text, letters)?;
    match LocalPart::parse(text) {
        Ok(local_part) => Ok((rest, local_part)),
        Err(AddressError::LocalPartTooLong) => Err(PathError::LocalPartTooLong),
        Err(_) => Err(PathError::LocalPart),
    }
}

/// Where the `Quoted-string` at the start of `input` ends: behind its second quote.
fn end_of_quoted_string(input: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in input.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// `Domain = sub-domain *("." sub-domain)`.
fn domain(input: &str, letters: Letters) -> Parsed<'_, Domain> {
    let end = input.find(['>', ',', ':', ' ', '@', '[']).unwrap_or(input.len());
    let (text, rest) = input.split_at_checked(end).ok_or(PathError::Domain)?;
    allowed(text, letters)?;
    // A final dot is the notation of zone files; RFC 5321 section 2.3.5 has none.
    if text.ends_with('.') {
        return Err(PathError::Domain);
    }
    let domain = Domain::parse(text).map_err(|_| PathError::Domain)?;
    Ok((rest, domain))
}

fn allowed(text: &str, letters: Letters) -> Result<(), PathError> {
    match letters {
        Letters::Ascii if !text.is_ascii() => Err(PathError::NeedsSmtpUtf8),
        Letters::Ascii | Letters::Utf8 => Ok(()),
    }
}

/// What stands between the brackets of an address literal, RFC 5321 section 4.1.3.
pub fn address_literal(text: &str) -> Option<IpAddr> {
    const TAG: &str = "IPv6:";
    match text.split_at_checked(TAG.len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case(TAG) => {
            address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl Mailbox {
    /// The address, if the host is a domain: address literals have no account.
    pub fn address(&self) -> Option<Address> {
        match &self.host {
            Host::Domain(domain) => {
                Some(Address { local_part: self.local_part.clone(), domain: domain.clone() })
            }
            Host::Literal(_) => None,
        }
    }

    /// Can it be written without SMTPUTF8?
    pub fn is_ascii(&self) -> bool {
        self.local_part.as_str().is_ascii()
    }
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self { local_part: address.local_part, host: Host::Domain(address.domain) }
    }
}

/// `example.org`, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.host)
    }
}

/// With its brackets, as in MAIL and in Return-Path.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// With its brackets, as in RCPT.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reverse(text: &str) -> Result<String, PathError> {
        let (rest, path) = reverse_path(text, Letters::Ascii)?;
        Ok(format!("{path}{rest}"))
    }

    #[test]
    fn reverse_paths() {
        for (text, printed) in [
            ("<>", "<>"),
            ("<> SIZE=1", "<> SIZE=1"),
            ("<ann@example.org>", "<ann@example.org>"),
            ("<Ann@Example.ORG>", "<Ann@example.org>"),
            ("<a.b+c/d=e!#$%&'*-?^_`{|}~@example.org>", "<a.b+c/d=e!#$%&'*-?^_`{|}~@example.org>"),
            ("<\"a b\"@example.org>", "<\"a b\"@example.org>"),
            ("<\"ann\"@example.org>", "<ann@example.org>"),
            ("<\"a\\\"b\\\\c>@d\"@example.org>", "<\"a\\\"b\\\\c>@d\"@example.org>"),
            ("<\"@\"@example.org> BODY=7BIT", "<\"@\"@example.org> BODY=7BIT"),
            ("<ann@[192.0.2.1]>", "<ann@[192.0.2.1]>"),
            ("<ann@[IPv6:2001:DB8::1]>", "<ann@[IPv6:2001:db8::1]>"),
            ("<ann@[ipv6:::ffff:192.0.2.1]>", "<ann@[IPv6:::ffff:192.0.2.1]>"),
            ("<\"a b\"@[192.0.2.1]>", "<\"a b\"@[192.0.2.1]>"),
            ("<@relay.example:ann@example.org>", "<ann@example.org>"),
            ("<@a.example,@b.example:ann@example.org>", "<ann@example.org>"),
            ("<ann@localhost>", "<ann@localhost>"),
            ("<ann@xn--wgv71a119e.jp>", "<ann@xn--wgv71a119e.jp>"),
        ] {
            assert_eq!(reverse(text).as_deref(), Ok(printed), "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long_local = format!("<{}@example.org>", "a".repeat(65));
        let long_labels = format!("<{}@{}>", "a".repeat(30), ["é"; 30].join("."));
        assert_eq!(reverse_path(&long_labels, Letters::Utf8), Err(PathError::TooLong));
        let long_path = format!("<{}@{}.example>", "a".repeat(60), ["abcdefghi"; 19].join("."));
        for (text, error) in [
            ("", PathError::Form),
            ("ann@example.org", PathError::Form),
            ("<ann@example.org", PathError::Form),
            ("<ann>", PathError::Form),
            ("<@example.org>", PathError::Form),
            ("< >", PathError::LocalPart),
            ("< ann@example.org>", PathError::LocalPart),
            ("<ann @example.org>", PathError::Form),
            ("<ann@example.org >", PathError::Form),
            ("<ann@exa mple.org>", PathError::Form),
            ("<ann@b@example.org>", PathError::Form),
            ("<<ann@example.org>>", PathError::LocalPart),
            ("<.ann@example.org>", PathError::LocalPart),
            ("<ann.@example.org>", PathError::LocalPart),
            ("<a..b@example.org>", PathError::LocalPart),
            ("<a\"b\"@example.org>", PathError::Form),
            ("<\"a\"b@example.org>", PathError::Form),
            ("<\"ann@example.org>", PathError::LocalPart),
            ("<\"a\\\"@example.org>", PathError::LocalPart),
            ("<a,b@example.org>", PathError::LocalPart),
            ("<ann@>", PathError::Domain),
            ("<ann@example.org.>", PathError::Domain),
            ("<ann@-a.example>", PathError::Domain),
            ("<ann@a_b.example>", PathError::Domain),
            ("<ann@a..example>", PathError::Domain),
            ("<ann@192.0.2.1>", PathError::Domain),
            ("<ann@[192.0.2.256]>", PathError::Literal),
            ("<ann@[192.0.2.1>", PathError::Literal),
            ("<ann@[2001:db8::1]>", PathError::Literal),
            ("<ann@[IPv6:192.0.2.1]>", PathError::Literal),
            ("<ann@[x400:c=jp]>", PathError::Literal),
            ("<ann@[]>", PathError::Literal),
            ("<@relay.example,ann@example.org>", PathError::Form),
            ("<@relay.example ann@example.org>", PathError::Form),
            ("<@a.example,@b.example>", PathError::Form),
            ("<@a_b:ann@example.org>", PathError::Domain),
            ("<田中@example.jp>", PathError::NeedsSmtpUtf8),
            ("<ann@日本語.jp>", PathError::NeedsSmtpUtf8),
            (long_local.as_str(), PathError::LocalPartTooLong),
            (long_path.as_str(), PathError::TooLong),
        ] {
            assert_eq!(reverse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn internationalised_paths_need_smtputf8() {
        let (_, path) = forward_path("<田中@日本語.jp>", Letters::Utf8).unwrap();
        assert_eq!(path.to_string(), "<田中@xn--wgv71a119e.jp>");
        let ForwardPath::Mailbox(mailbox) = path else { panic!("a mailbox") };
        assert!(!mailbox.is_ascii());
    }

    #[test]
    fn postmaster_needs_no_domain_but_only_in_rcpt() {
        for text in ["<Postmaster>", "<POSTMASTER>", "<postmaster>"] {
            assert_eq!(forward_path(text, Letters::Ascii), Ok(("", ForwardPath::Postmaster)));
            assert_eq!(reverse(text), Err(PathError::Form));
        }
        assert_eq!(forward_path("<>", Letters::Ascii), Err(PathError::LocalPart));
        let (_, path) = forward_path("<Postmaster@example.org>", Letters::Ascii).unwrap();
        assert_eq!(path.to_string(), "<Postmaster@example.org>");
    }

    fn any_host() -> impl Strategy<Value = Host> {
        prop_oneof![
            "[a-z]([a-z0-9]{0,8}[a-z])?(\\.[a-z][a-z0-9]{0,8}){0,4}"
                .prop_filter_map("a domain", |text| text.parse().ok().map(Host::Domain)),
            any::<u32>().prop_map(|bits| Host::Literal(Ipv4Addr::from(bits).into())),
            any::<u128>().prop_map(|bits| Host::Literal(Ipv6Addr::from(bits).into())),
        ]
    }

    proptest! {
        #[test]
        fn parse_print_parse(local in "[ -~]{1,12}|\\PC{1,9}", host in any_host(), rest in "( [A-Z>]{0,5})?") {
            prop_assume!(!local.chars().any(char::is_control));
            let mailbox = Mailbox { local_part: LocalPart::from_unquoted(&local).unwrap(), host };
            let letters = if mailbox.is_ascii() { Letters::Ascii } else { Letters::Utf8 };
            let text = format!("<{mailbox}>{rest}");
            prop_assert_eq!(
                reverse_path(&text, letters),
                Ok((rest.as_str(), ReversePath::Mailbox(mailbox.clone())))
            );
            let forward = ForwardPath::Mailbox(mailbox);
            prop_assert_eq!(forward_path(&text, letters), Ok((rest.as_str(), forward)));
        }
    }
}
