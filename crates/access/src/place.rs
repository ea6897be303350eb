//! Where a source is: country, network (ASN) and position, as a database of them says.
//!
//! All of it is optional: without such a database nothing is known, and an entry of a rule
//! that names a country or a network matches nobody.

mod database;

use std::fmt;

pub use database::{Places, PlacesError};

/// A country by its two letters, ISO 3166-1 alpha-2: `JP`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The number of an autonomous system: AS2497, as text in asplain, RFC 5396 section 2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

/// Why a text is no country or network number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Not two letters.
    #[error("`{0}` is not a country: write its two letters, as in JP")]
    Country(String),
    /// Not a number with or without `AS`.
    #[error("`{0}` is not the number of a network: write it as in AS2497")]
    Asn(String),
}

/// A point on the Earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// North is positive.
    pub latitude: f64,
    /// East is positive.
    pub longitude: f64,
}

/// What is known of where an address is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Place {
    /// Its country.
    pub country: Option<Country>,
    /// The network that announces it.
    pub asn: Option<Asn>,
    /// About where it is; databases are often wrong by a hundred kilometres.
    pub position: Option<Position>,
}

impl Country {
    /// Parses two letters, of any case.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(PlaceError::Country(text.chars().take(20).collect())),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Asn {
    /// Parses `AS2497` or `2497`.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let wrong = || PlaceError::Asn(text.chars().take(20).collect());
        let letters = text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("as"));
        let digits = if letters { text.get(2..).unwrap_or_default() } else { text };
        // `u32::from_str` would take `+8`.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        digits.parse().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Position {
    /// Kilometres to `other` along the surface, on a round Earth.
    pub fn kilometres_to(self, other: Self) -> f64 {
        const RADIUS_KM: f64 = 6371.0;
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let (north, east) = (to - from, (other.longitude - self.longitude).to_radians());
        let half_chord = (north / 2.0).sin().powi(2) + from.cos() * to.cos() * (east / 2.0).sin().powi(2);
        2.0 * RADIUS_KM * half_chord.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_and_networks() {
        assert_eq!(Country::parse("jp").unwrap().to_string(), "JP");
        assert_eq!(Asn::parse("AS2497").unwrap(), Asn::parse("as2497").unwrap());
        assert_eq!(Asn::parse("2497").unwrap().to_string(), "AS2497");
        for text in ["", "J", "JPN", "日", "1P"] {
            assert!(Country::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "AS", "AS+1", "日本", "-1", "AS4294967296", "ASAS1"] {
            assert!(Asn::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn distances() {
        let tokyo = Position { latitude: 35.68, longitude: 139.77 };
        let osaka = Position { latitude: 34.69, longitude: 135.50 };
        let lisbon = Position { latitude: 38.72, longitude: -9.14 };
        for (from, to, kilometres) in [(tokyo, osaka, 402.0), (tokyo, lisbon, 11_150.0), (tokyo, tokyo, 0.0)]
        {
            let measured = from.kilometres_to(to);
            assert!((measured - kilometres).abs() <= kilometres * 0.02, "{measured} km, not {kilometres}");
            assert!((measured - to.kilometres_to(from)).abs() < 0.001);
        }
    }
}
