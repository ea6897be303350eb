//! Sign-ins that are unlike those before: from a new country or network, with a new program,
//! or too far away for the time between.
//!
//! The first sign-in of an account is not unusual: there is nothing to compare it with. What
//! is unknown (no database of places, a program without a name) is not new either.
//!
//! Known weakness: somebody who reads mail through a VPN seems to travel. So a journey is
//! looked at only if the network is new, too.

use std::time::Duration;

use super::{Record, Verdict};
use crate::place::{Asn, Country};
use crate::source::area_of;

/// Faster than any airliner, from door to door.
const KILOMETRES_AN_HOUR: f64 = 900.0;
/// Databases of places are often wrong by so much, at both ends together.
const SLACK_KILOMETRES: f64 = 300.0;

/// What is unusual.
#[derive(Debug, Clone, PartialEq)]
pub enum Unusual {
    /// Never before from this country.
    Country(Country),
    /// Never before from this network; `None` if only the address tells so.
    Network(Option<Asn>),
    /// Never before with this program.
    Device(String),
    /// Too far for the time.
    Travel {
        /// How far.
        kilometres: u32,
        /// In which time.
        within: Duration,
    },
}

/// What is unusual about `record`, compared with `past`: records of the same account, in any
/// order. Only good sign-ins among them count.
pub fn unusual<'a>(record: &Record, past: impl IntoIterator<Item = &'a Record>) -> Vec<Unusual> {
    let past: Vec<&Record> =
        past.into_iter().filter(|one| one.verdict == Verdict::Admitted && one.at <= record.at).collect();
    let mut found = Vec::new();
    if past.is_empty() || record.verdict != Verdict::Admitted {
        return found;
    }
    found.extend(new_country(record, &past));
    let network = new_network(record, &past);
    let is_new = network.is_some();
    found.extend(network);
    found.extend(new_device(record, &past));
    if is_new {
        found.extend(travel(record, &past));
    }
    found
}

fn new_country(record: &Record, past: &[&Record]) -> Option<Unusual> {
    let country = record.place.country?;
    let mut before = past.iter().filter_map(|one| one.place.country).peekable();
    before.peek()?;
    before.all(|one| one != country).then_some(Unusual::Country(country))
}

fn new_network(record: &Record, past: &[&Record]) -> Option<Unusual> {
    let same = |one: &&Record| match (record.place.asn, one.place.asn) {
        (Some(new), Some(old)) => new == old,
        _ => area_of(record.ip) == area_of(one.ip) && record.ip.is_ipv4() == one.ip.is_ipv4(),
    };
    (!past.iter().any(same)).then_some(Unusual::Network(record.place.asn))
}

fn new_device(record: &Record, past: &[&Record]) -> Option<Unusual> {
    let program = program(record.client.as_str());
    let mut before = past.iter().map(|one| self::program(one.client.as_str())).filter(|one| !one.is_empty());
    let known = program.is_empty() || before.any(|one| one.eq_ignore_ascii_case(program));
    (!known).then(|| Unusual::Device(program.to_owned()))
}

/// The name without its version: an update is no new device.
fn program(client: &str) -> &str {
    let end = client.find(|letter: char| letter.is_ascii_digit() || letter == '/' || letter == '(');
    client[..end.unwrap_or(client.len())].trim_end_matches([' ', '-', '_', 'v', '.'])
}

fn travel(record: &Record, past: &[&Record]) -> Option<Unusual> {
    let here = record.place.position?;
    let placed = past.iter().filter_map(|one| Some((one.at, one.place.position?)));
    let (at, there) = placed.max_by_key(|(at, _)| *at)?;
    let (kilometres, within) = (there.kilometres_to(here), record.at.since(at));
    let possible = SLACK_KILOMETRES + KILOMETRES_AN_HOUR * within.as_secs_f64() / 3600.0;
    (kilometres > possible).then_some(Unusual::Travel { kilometres: kilometres as u32, within })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{failed, signed_in};
    use super::*;
    use crate::place::{Place, Position};

    const HOUR: i64 = 3600;

    fn at(place: &str) -> Place {
        let (country, asn, latitude, longitude) = match place {
            "tokyo" => ("JP", 2497, 35.68, 139.77),
            "osaka" => ("JP", 4713, 34.69, 135.50),
            "lisbon" => ("PT", 3243, 38.72, -9.14),
            _ => panic!("{place}"),
        };
        Place {
            country: Some(Country::parse(country).unwrap()),
            asn: Some(Asn(asn)),
            position: Some(Position { latitude, longitude }),
        }
    }

    fn from(hour: i64, place: &str, ip: &str, client: &str) -> Record {
        Record { place: at(place), ..signed_in(hour * HOUR, ip, client) }
    }

    #[test]
    fn what_is_new() {
        let home = from(0, "tokyo", "192.0.2.1", "Thunderbird/128.1");
        let country = Unusual::Country(Country::parse("PT").unwrap());
        let table: [(Record, Vec<Unusual>); 6] = [
            (from(1, "tokyo", "192.0.2.99", "Thunderbird/129"), vec![]),
            (from(1, "tokyo", "192.0.2.1", "Evolution 3"), vec![Unusual::Device("Evolution".to_owned())]),
            (from(1, "tokyo", "198.51.100.1", ""), vec![]),
            (from(9, "osaka", "198.51.100.1", "thunderbird"), vec![Unusual::Network(Some(Asn(4713)))]),
            (
                from(20, "lisbon", "203.0.113.1", "Thunderbird"),
                vec![country.clone(), Unusual::Network(Some(Asn(3243)))],
            ),
            (
                from(2, "lisbon", "203.0.113.1", "Thunderbird"),
                vec![
                    country,
                    Unusual::Network(Some(Asn(3243))),
                    Unusual::Travel { kilometres: 11_146, within: Duration::from_secs(7200) },
                ],
            ),
        ];
        for (record, expected) in table {
            assert_eq!(unusual(&record, [&home]), expected, "{record:?}");
        }
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        let first = from(0, "lisbon", "203.0.113.1", "x");
        assert_eq!(unusual(&first, []), []);
        let failure = failed(0, "192.0.2.1", "x", 1);
        assert_eq!(unusual(&first, [&failure]), [], "a failure is no habit");
        assert_eq!(unusual(&failure, [&first]), []);
        let later = from(9, "tokyo", "192.0.2.1", "y");
        assert_eq!(unusual(&first, [&later]), [], "what came later was not known");
    }

    #[test]
    fn without_a_database_of_places_the_address_tells() {
        let home = signed_in(0, "192.0.2.1", "x");
        assert_eq!(unusual(&signed_in(1, "192.0.2.77", "x"), [&home]), []);
        assert_eq!(unusual(&signed_in(1, "192.0.3.1", "x"), [&home]), [Unusual::Network(None)]);
    }
}
