//! Kinds of values: what an operator can write behind `=`, and how it is read.
//!
//! Each kind has one notation, with units where a bare number would leave a doubt.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hikyaku_types::{Domain, Network};
use toml::Spanned;
use toml::de::DeValue;

use super::findings::Span;

/// A value with its place.
pub(crate) type Value<'text> = Spanned<DeValue<'text>>;

/// Why a value cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) remedy: String,
    /// Of the part that is wrong; `None`: all of it.
    pub(crate) span: Span,
}

/// A kind of values. Bounds need its order.
pub(crate) trait Kind: PartialOrd + Sized {
    /// With its article: `a duration`.
    const NAME: &'static str;
    /// One of them as the file has it, with quotes.
    const EXAMPLE: &'static str;

    /// # Errors
    /// [`Wrong`] if the value is of another kind.
    fn read(value: &Value<'_>) -> Result<Self, Wrong>;
}

impl Wrong {
    /// It is none of this kind.
    pub(crate) fn no<K: Kind>() -> Self {
        let remedy = format!("write one such as {}", K::EXAMPLE);
        Self { what: format!("this is not {}", K::NAME), remedy, span: None }
    }
}

/// The text that a value is, read by `parse`.
pub(crate) fn from_text<K: Kind>(
    value: &Value<'_>,
    parse: impl FnOnce(&str) -> Option<K>,
) -> Result<K, Wrong> {
    value.get_ref().as_str().and_then(parse).ok_or_else(Wrong::no::<K>)
}

/// One value alone, or an array of them.
pub(crate) fn list<K: Kind>(value: &Value<'_>) -> Result<Vec<K>, Wrong> {
    let Some(array) = value.get_ref().as_array() else { return Ok(vec![K::read(value)?]) };
    let element = |value: &Value<'_>| {
        K::read(value).map_err(|wrong| Wrong { span: wrong.span.or(Some(value.span())), ..wrong })
    };
    array.iter().map(element).collect()
}

impl Kind for bool {
    const NAME: &'static str = "a switch";
    const EXAMPLE: &'static str = "true";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        value.get_ref().as_bool().ok_or_else(Wrong::no::<Self>)
    }
}

macro_rules! whole_numbers {
    ($($type:ty)*) => {$(
        impl Kind for $type {
            const NAME: &'static str = "a number";
            const EXAMPLE: &'static str = "100";

            fn read(value: &Value<'_>) -> Result<Self, Wrong> {
                let number = value.get_ref().as_integer().ok_or_else(Wrong::no::<Self>)?;
                Self::from_str_radix(number.as_str(), number.radix()).map_err(|_| Wrong::no::<Self>())
            }
        }
    )*};
}

whole_numbers!(u32 u64 usize);

/// `digits unit`, with or without the space.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl Kind for Duration {
    const NAME: &'static str = "a duration";
    const EXAMPLE: &'static str = "\"5m\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        const UNITS: [(&str, u64); 5] =
            [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        from_text(value, |text| with_unit(text, &UNITS).map(Self::from_millis))
    }
}

/// A duration of whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Minutes(pub(crate) u64);

impl Kind for Minutes {
    const NAME: &'static str = "a duration of whole minutes";
    const EXAMPLE: &'static str = "\"5m\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        const UNITS: [(&str, u64); 3] = [("m", 1), ("h", 60), ("d", 24 * 60)];
        from_text(value, |text| with_unit(text, &UNITS).map(Self))
    }
}

/// As the file would have it, in the largest unit that fits.
impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            minutes if minutes > 0 && minutes % (24 * 60) == 0 => write!(f, "{}d", minutes / (24 * 60)),
            minutes if minutes > 0 && minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

/// Octets in memory, on the disk or in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl Bytes {
    /// For what is counted in memory.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Kind for Bytes {
    const NAME: &'static str = "a size";
    const EXAMPLE: &'static str = "\"50 MiB\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        const UNITS: [(&str, u64); 9] = [
            ("B", 1),
            ("kB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
        ];
        from_text(value, |text| with_unit(text, &UNITS).map(Self))
    }
}

/// A path from the root: what it would be relative to, nobody can know.
impl Kind for PathBuf {
    const NAME: &'static str = "a path from the root";
    const EXAMPLE: &'static str = "\"/var/lib/hikyaku\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        from_text(value, |text| Some(Self::from(text)).filter(|path| path.is_absolute()))
    }
}

/// One path, or several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Paths(pub(crate) Vec<PathBuf>);

impl Kind for Paths {
    const NAME: &'static str = "a path from the root, or a list of them";
    const EXAMPLE: &'static str =
        "[\"/var/lib/GeoIP/GeoLite2-City.mmdb\", \"/var/lib/GeoIP/GeoLite2-ASN.mmdb\"]";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        list(value).map(Self)
    }
}

impl Kind for Domain {
    const NAME: &'static str = "a domain name";
    const EXAMPLE: &'static str = "\"mx.example.org\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        from_text(value, |text| Self::parse(text).ok())
    }
}

impl Kind for SocketAddr {
    const NAME: &'static str = "an IP address with a port";
    const EXAMPLE: &'static str = "\"192.0.2.1:25\" or \"[2001:db8::1]:25\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        from_text(value, |text| text.parse().ok())
    }
}

/// One address with a port, or several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Addresses(pub(crate) Vec<SocketAddr>);

impl Kind for Addresses {
    const NAME: &'static str = "an IP address with a port, or a list of them";
    const EXAMPLE: &'static str = "\"0.0.0.0:25\" or [\"192.0.2.1:25\", \"[2001:db8::1]:25\"]";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        list(value).map(Self)
    }
}

/// One domain name, or several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Domains(pub(crate) Vec<Domain>);

impl Kind for Domains {
    const NAME: &'static str = "a domain name, or a list of them";
    const EXAMPLE: &'static str = "[\"mail.example.org\", \"imap.example.org\"]";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        list(value).map(Self)
    }
}

impl Kind for Network {
    const NAME: &'static str = "an IP address or network";
    const EXAMPLE: &'static str = "\"192.0.2.0/24\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        from_text(value, |text| text.parse().ok())
    }
}

/// One network, or several, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Networks(pub(crate) Vec<Network>);

impl Kind for Networks {
    const NAME: &'static str = "an IP address or network, or a list of them";
    const EXAMPLE: &'static str = "[\"192.0.2.1\", \"2001:db8::/32\"]";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        list(value).map(Self)
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Kind for Secret {
    const NAME: &'static str = "a text";
    const EXAMPLE: &'static str = "\"…\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        from_text(value, |text| Some(Self(text.to_owned())))
    }
}

/// Defines an enum that is written as one of some words.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident: $kind:literal { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$doc])* $variant),+ }

        impl Kind for $name {
            const NAME: &'static str = concat!("one of ", $kind);
            const EXAMPLE: &'static str = $kind;

            fn read(value: &Value<'_>) -> Result<Self, Wrong> {
                let word = |text: &str| match text { $($word => Some(Self::$variant),)+ _ => None };
                value.get_ref().as_str().and_then(word).ok_or_else(|| Wrong {
                    what: "there is no such choice".into(),
                    remedy: concat!("write one of ", $kind).into(),
                    span: None,
                })
            }
        }
    };
}

choice! {
    /// What a line of the log looks like.
    LogFormat: "\"text\", \"json\"" { Text = "text", Json = "json" }
}

choice! {
    /// How much is logged.
    LogLevel: "\"error\", \"warn\", \"info\", \"debug\", \"trace\"" {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }
}

choice! {
    /// Whose work DNSSEC is.
    Dnssec: "\"unless_local\", \"always\", \"never\"" {
        UnlessLocal = "unless_local",
        Always = "always",
        Never = "never",
    }
}

choice! {
    /// What becomes of line ends that are none.
    BareLineEnds: "\"normalise\", \"refuse\"" { Normalise = "normalise", Refuse = "refuse" }
}
