//! Files that say where an address is, in the format of MaxMind DB 2.0 (`.mmdb`).
//!
//! Many publish such files, and each has one thing or the other: countries, positions,
//! networks. So several are asked together, and the first that knows a thing says it. Read
//! are the fields of GeoIP2 and GeoLite2, and those of the flat files of others:
//!
//! | what | fields |
//! |---|---|
//! | country | `country.iso_code`, `country_code` |
//! | network | `autonomous_system_number`, `asn` (a number, or a text such as `AS2497`) |
//! | position | `location.latitude`, `location.longitude` |
//!
//! Trust: files come from the operator, and a damaged one says nothing, or nonsense; it does
//! no other harm.

use std::fmt;
use std::net::IpAddr;

use maxminddb::{LookupResult, PathElement, Reader};
use serde::Deserialize;

use super::{Asn, Country, Place, Position};

type File = Reader<Vec<u8>>;
type Found<'f> = LookupResult<'f, Vec<u8>>;

/// Files that are asked together.
#[derive(Default)]
pub struct Places {
    files: Vec<File>,
}

/// A file is no database of places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no database of places (a file in the format of MaxMind DB): {0}")]
pub struct PlacesError(String);

impl Places {
    /// No file is asked: nothing is known.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a file by its content; those added before it are asked first. What its header
    /// says of it is returned, for a log: `GeoLite2-City`.
    ///
    /// # Errors
    /// [`PlacesError`].
    pub fn add(&mut self, content: Vec<u8>) -> Result<String, PlacesError> {
        let file = Reader::from_source(content).map_err(|error| PlacesError(error.to_string()))?;
        let kind = file.metadata().database_type.clone();
        self.files.push(file);
        Ok(kind)
    }

    /// Where `ip` is, as far as the files say.
    pub fn of(&self, ip: IpAddr) -> Place {
        // A file of IPv4 alone fails for IPv6: it knows nothing of it.
        let found: Vec<Found<'_>> = self.files.iter().filter_map(|file| file.lookup(ip).ok()).collect();
        Place {
            country: found.iter().find_map(country),
            asn: found.iter().find_map(asn),
            position: found.iter().find_map(position),
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.files.iter().map(|file| &file.metadata().database_type);
        f.debug_list().entries(kinds).finish()
    }
}

fn country(found: &Found<'_>) -> Option<Country> {
    let code = text(found, &["country", "iso_code"]).or_else(|| text(found, &["country_code"]));
    Country::parse(code?).ok()
}

fn asn(found: &Found<'_>) -> Option<Asn> {
    let number = |name| value::<u32>(found, &[name]);
    let written = || Asn::parse(text(found, &["asn"])?).ok();
    number("autonomous_system_number").or_else(|| number("asn")).map(Asn).or_else(written)
}

fn position(found: &Found<'_>) -> Option<Position> {
    let degrees = |name, most: f64| {
        let degrees = value::<f64>(found, &["location", name])?;
        (-most..=most).contains(&degrees).then_some(degrees)
    };
    Some(Position { latitude: degrees("latitude", 90.0)?, longitude: degrees("longitude", 180.0)? })
}

fn text<'f>(found: &Found<'f>, path: &[&str]) -> Option<&'f str> {
    value(found, path)
}

/// What stands at `path`, if it is of this type.
fn value<'f, T: Deserialize<'f>>(found: &Found<'f>, path: &[&str]) -> Option<T> {
    let path: Vec<PathElement<'_>> = path.iter().map(|&name| name.into()).collect();
    found.decode_path(&path).ok().flatten()
}

#[cfg(test)]
mod tests {
    use hikyaku_testkit::mmdb::Value::{self, Float, Map, Number, Text};
    use hikyaku_testkit::mmdb::{Family, write};
    use proptest::prelude::{any, proptest};

    use super::*;

    fn city(country: &'static str, latitude: f64, longitude: f64) -> Value {
        Map(vec![
            ("country", Map(vec![("iso_code", Text(country))])),
            ("location", Map(vec![("latitude", Float(latitude)), ("longitude", Float(longitude))])),
        ])
    }

    /// `JP AS2497 35.7,139.8`, with `-` for what is not known.
    fn words(place: Place) -> String {
        let Place { country, asn, position } = place;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        format!(
            "{} {} {}",
            or_dash(country.map(|country| country.to_string())),
            or_dash(asn.map(|asn| asn.to_string())),
            or_dash(position.map(|at| format!("{},{}", at.latitude, at.longitude))),
        )
    }

    fn places(files: &[Vec<u8>]) -> Places {
        let mut places = Places::none();
        for file in files {
            places.add(file.clone()).unwrap();
        }
        places
    }

    #[test]
    fn each_file_says_what_it_knows() {
        let cities = write(
            Family::V6,
            &[
                ("203.0.113.0/24", city("JP", 35.7, 139.8)),
                ("198.51.100.0/24", city("DE", 52.5, 13.4)),
                ("2001:db8::/32", city("jp", 34.7, 135.5)),
                ("192.0.2.0/24", city("Japan", 95.0, 0.0)),
            ],
        );
        let networks = write(
            Family::V4,
            &[
                ("203.0.113.128/25", Map(vec![("autonomous_system_number", Number(2497))])),
                ("198.51.0.0/16", Map(vec![("asn", Text("AS64500")), ("country_code", Text("FR"))])),
                ("192.0.2.0/24", Map(vec![("asn", Number(64_501)), ("country_code", Text("US"))])),
            ],
        );
        let table = [
            ("203.0.113.1", "JP - 35.7,139.8"),
            ("203.0.113.200", "JP AS2497 35.7,139.8"),
            // The first file that says it is right.
            ("198.51.100.7", "DE AS64500 52.5,13.4"),
            ("198.51.101.7", "FR AS64500 -"),
            ("2001:db8:1::1", "JP - 34.7,135.5"),
            // What is nonsense is not known.
            ("192.0.2.1", "US AS64501 -"),
            ("10.0.0.1", "- - -"),
            ("2001:db9::1", "- - -"),
        ];
        let both = places(&[cities, networks]);
        for (ip, expected) in table {
            assert_eq!(words(both.of(ip.parse().unwrap())), expected, "{ip}");
        }
        assert_eq!(format!("{both:?}"), r#"["test", "test"]"#);
    }

    #[test]
    fn without_files_nothing_is_known() {
        assert_eq!(Places::none().of("203.0.113.1".parse().unwrap()), Place::default());
    }

    #[test]
    fn what_is_no_database_is_told() {
        for content in [Vec::new(), b"hello".to_vec(), vec![0; 100_000]] {
            let error = Places::none().add(content).unwrap_err().to_string();
            assert!(error.starts_with("this is no database of places"), "{error}");
        }
    }

    proptest! {
        /// A damaged file does no harm beyond what it says.
        #[test]
        fn damage_does_not_end_the_process(at in any::<usize>(), octet in any::<u8>(), cut in any::<u8>()) {
            let mut content = write(Family::V6, &[("2001:db8::/32", city("JP", 35.7, 139.8))]);
            content.truncate(content.len() - usize::from(cut % 4));
            let at = at % content.len();
            content[at] = octet;
            let mut places = Places::none();
            if places.add(content).is_ok() {
                for ip in ["2001:db8::1", "203.0.113.1", "::"] {
                    places.of(ip.parse().unwrap());
                }
            }
        }
    }
}
