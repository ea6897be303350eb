//! Sign-ins that are unlike those before: from a new country or network, with a new program,
//! or too far away for the time between.
//!
//! What was before is kept as [`Habits`]: a short list for each account, so that nobody has to
//! look through its history. The first sign-in of an account is not unusual: there is nothing to
//! compare it with. What is unknown (no database of places, a program without a name) is not new
//! either.
//!
//! Invariant: there are at most [`Habits::MOST`] habits; of more, those seen longest ago go.
//!
//! Known weakness: somebody who reads mail through a VPN seems to travel. So a journey is
//! looked at only if the network is new, too.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hikyaku_types::{Network, Timestamp};

use super::{Record, Verdict};
use crate::place::{Asn, Country, Position};
use crate::source::area_around;

/// Faster than any airliner, from door to door.
const KILOMETRES_AN_HOUR: f64 = 900.0;
/// Databases of places are often wrong by so much, at both ends together.
const SLACK_KILOMETRES: f64 = 300.0;

/// What is unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What an account does again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Habit {
    /// It is in this country.
    Country(Country),
    /// It comes from this network.
    Asn(Asn),
    /// It comes from these addresses, whose network is not known.
    Area(Network),
    /// It uses this program, in small letters and without its version.
    Program(String),
}

/// What is usual for an account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Habits {
    /// Each with when it was last seen.
    pub seen: Vec<(Habit, Timestamp)>,
    /// Where it was last, if that is known.
    pub last: Option<(Position, Timestamp)>,
}

/// What is unusual about `record`, for somebody with these habits. Only good sign-ins are.
pub fn unusual(record: &Record, habits: &Habits) -> Vec<Unusual> {
    let mut found = Vec::new();
    if habits.seen.is_empty() || record.verdict != Verdict::Admitted {
        return found;
    }
    found.extend(new_country(record, habits));
    let network = new_network(record, habits);
    let is_new = network.is_some();
    found.extend(network);
    found.extend(new_device(record, habits));
    if is_new {
        found.extend(travel(record, habits));
    }
    found
}

fn new_country(record: &Record, habits: &Habits) -> Option<Unusual> {
    let country = record.place.country?;
    let is_one = |habit: &Habit| matches!(habit, Habit::Country(_));
    (habits.any(is_one) && !habits.has(&Habit::Country(country))).then_some(Unusual::Country(country))
}

/// Before there was a database of places, the addresses told.
fn new_network(record: &Record, habits: &Habits) -> Option<Unusual> {
    let is_one = |habit: &Habit| matches!(habit, Habit::Asn(_) | Habit::Area(_));
    let asn = record.place.asn;
    let is_known = asn.is_some_and(|asn| habits.has(&Habit::Asn(asn)))
        || habits.has(&Habit::Area(area_around(record.ip)));
    (habits.any(is_one) && !is_known).then_some(Unusual::Network(asn))
}

fn new_device(record: &Record, habits: &Habits) -> Option<Unusual> {
    let program = program(record.client.as_str());
    let is_one = |habit: &Habit| matches!(habit, Habit::Program(_));
    let is_known = program.is_empty() || habits.has(&Habit::Program(program.to_lowercase()));
    (habits.any(is_one) && !is_known).then(|| Unusual::Device(program.to_owned()))
}

/// The name without its version: an update is no new device.
fn program(client: &str) -> &str {
    let end = client.find(|letter: char| letter.is_ascii_digit() || letter == '/' || letter == '(');
    client[..end.unwrap_or(client.len())].trim_end_matches([' ', '-', '_', 'v', '.'])
}

fn travel(record: &Record, habits: &Habits) -> Option<Unusual> {
    let (here, (there, at)) = (record.place.position?, habits.last?);
    let (kilometres, within) = (there.kilometres_to(here), record.at.since(at));
    let possible = SLACK_KILOMETRES + KILOMETRES_AN_HOUR * within.as_secs_f64() / 3600.0;
    (kilometres > possible).then_some(Unusual::Travel { kilometres: kilometres as u32, within })
}

impl Habit {
    /// What a sign-in shows.
    pub fn of(record: &Record) -> Vec<Self> {
        let program = program(record.client.as_str());
        let network = record.place.asn.map_or_else(|| Self::Area(area_around(record.ip)), Self::Asn);
        let country = record.place.country.map(Self::Country);
        let program = (!program.is_empty()).then(|| Self::Program(program.to_lowercase()));
        country.into_iter().chain([network]).chain(program).collect()
    }
}

impl Habits {
    /// Of one account.
    pub const MOST: usize = 24;

    /// Has it been seen?
    pub fn has(&self, habit: &Habit) -> bool {
        self.any(|one| one == habit)
    }

    fn any(&self, is_one: impl Fn(&Habit) -> bool) -> bool {
        self.seen.iter().any(|(habit, _)| is_one(habit))
    }

    /// Learns from a sign-in, and gives what is forgotten for it.
    pub fn learn(&mut self, record: &Record) -> Vec<Habit> {
        if record.verdict != Verdict::Admitted {
            return Vec::new();
        }
        for habit in Habit::of(record) {
            match self.seen.iter_mut().find(|(one, _)| *one == habit) {
                Some((_, last)) => *last = (*last).max(record.at),
                None => self.seen.push((habit, record.at)),
            }
        }
        if let Some(position) = record.place.position
            && self.last.is_none_or(|(_, at)| at <= record.at)
        {
            self.last = Some((position, record.at));
        }
        self.seen.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
        self.seen.split_off(self.seen.len().min(Self::MOST)).into_iter().map(|(habit, _)| habit).collect()
    }
}

/// As it is stored.
impl fmt::Display for Habit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => write!(f, "country {country}"),
            Self::Asn(asn) => write!(f, "network {asn}"),
            Self::Area(area) => write!(f, "area {area}"),
            Self::Program(name) => write!(f, "program {name}"),
        }
    }
}

/// It was stored by a newer program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not known")]
pub struct NotKnown;

impl FromStr for Habit {
    type Err = NotKnown;

    fn from_str(text: &str) -> Result<Self, NotKnown> {
        let (word, rest) = text.split_once(' ').ok_or(NotKnown)?;
        match word {
            "country" => Country::parse(rest).map(Self::Country).map_err(|_| NotKnown),
            "network" => Asn::parse(rest).map(Self::Asn).map_err(|_| NotKnown),
            "area" => Network::parse(rest).map(Self::Area).map_err(|_| NotKnown),
            "program" => Ok(Self::Program(rest.to_owned())),
            _ => Err(NotKnown),
        }
    }
}

/// As it is stored: never with a line end, since clients' names have none.
impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => write!(f, "country {country}"),
            Self::Network(Some(asn)) => write!(f, "network {asn}"),
            Self::Network(None) => f.write_str("network ?"),
            Self::Device(name) => write!(f, "device {name}"),
            Self::Travel { kilometres, within } => write!(f, "travel {kilometres} {}", within.as_secs()),
        }
    }
}

impl FromStr for Unusual {
    type Err = NotKnown;

    fn from_str(text: &str) -> Result<Self, NotKnown> {
        let (word, rest) = text.split_once(' ').ok_or(NotKnown)?;
        match word {
            "country" => Country::parse(rest).map(Self::Country).map_err(|_| NotKnown),
            "network" if rest == "?" => Ok(Self::Network(None)),
            "network" => Asn::parse(rest).map(|asn| Self::Network(Some(asn))).map_err(|_| NotKnown),
            "device" => Ok(Self::Device(rest.to_owned())),
            "travel" => {
                let (kilometres, seconds) = rest.split_once(' ').ok_or(NotKnown)?;
                let kilometres = kilometres.parse().map_err(|_| NotKnown)?;
                let within = Duration::from_secs(seconds.parse().map_err(|_| NotKnown)?);
                Ok(Self::Travel { kilometres, within })
            }
            _ => Err(NotKnown),
        }
    }
}

impl Unusual {
    /// A word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Country(_) => "new-country",
            Self::Network(_) => "new-network",
            Self::Device(_) => "new-device",
            Self::Travel { .. } => "impossible-travel",
        }
    }

    /// What administrators read.
    pub fn sentence(&self) -> String {
        match self {
            Self::Country(country) => format!("for the first time from {country}"),
            Self::Network(Some(asn)) => format!("for the first time from the network {asn}"),
            Self::Network(None) => "for the first time from these addresses".to_owned(),
            Self::Device(name) => format!("for the first time with {name}"),
            Self::Travel { kilometres, within } => {
                let minutes = within.as_secs().div_ceil(60);
                let time = match (minutes / 60, minutes % 60) {
                    (0, minutes) => format!("{minutes} min"),
                    (hours, 0) => format!("{hours} h"),
                    (hours, minutes) => format!("{hours} h {minutes} min"),
                };
                format!("{kilometres} km away within {time}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{failed, signed_in};
    use super::*;
    use crate::place::Place;

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

    fn habits<'a>(past: impl IntoIterator<Item = &'a Record>) -> Habits {
        let mut habits = Habits::default();
        past.into_iter().for_each(|record| drop(habits.learn(record)));
        habits
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
            let mut habits = habits([&home]);
            assert_eq!(unusual(&record, &habits), expected, "{record:?}");
            habits.learn(&record);
            assert_eq!(unusual(&record, &habits), [], "it is told once");
        }
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        let first = from(0, "lisbon", "203.0.113.1", "x");
        assert_eq!(unusual(&first, &Habits::default()), []);
        let failure = failed(0, "192.0.2.1", "x", 1);
        assert_eq!(habits([&failure]), Habits::default(), "a failure is no habit");
        assert_eq!(unusual(&failure, &habits([&first])), []);
        // Who never said what it is called has no new program when it does.
        let nameless = from(0, "lisbon", "203.0.113.1", "");
        assert_eq!(unusual(&first, &habits([&nameless])), []);
    }

    #[test]
    fn without_a_database_of_places_the_address_tells() {
        let home = habits([&signed_in(0, "192.0.2.1", "x")]);
        assert_eq!(unusual(&signed_in(1, "192.0.2.77", "x"), &home), []);
        assert_eq!(unusual(&signed_in(1, "192.0.3.1", "x"), &home), [Unusual::Network(None)]);
        let placed = from(1, "tokyo", "192.0.2.77", "x");
        assert_eq!(unusual(&placed, &home), [], "the database came later");
    }

    #[test]
    fn what_was_seen_longest_ago_is_forgotten() {
        let mut habits = Habits::default();
        let program = |number: usize| format!("{}x", char::from(b'a' + number as u8));
        for number in 0..Habits::MOST {
            let gone = habits.learn(&signed_in(number as i64, "192.0.2.1", &program(number)));
            let expected: &[Habit] =
                if number < Habits::MOST - 1 { &[] } else { &[Habit::Program("ax".into())] };
            assert_eq!(gone, expected);
        }
        assert_eq!(habits.seen.len(), Habits::MOST);
        assert!(habits.has(&Habit::Area("192.0.2.0/24".parse().unwrap())), "it was seen each time");
    }

    #[test]
    fn what_is_stored_is_read() {
        let [record, bare] = [from(1, "tokyo", "192.0.2.9", "Ünder Mail/1"), signed_in(1, "2001:db8::1", "")];
        for habit in Habit::of(&record).into_iter().chain(Habit::of(&bare)) {
            assert_eq!(habit.to_string().parse(), Ok(habit));
        }
        let all = [
            (Unusual::Country(Country::parse("PT").unwrap()), "for the first time from PT"),
            (Unusual::Network(Some(Asn(7))), "for the first time from the network AS7"),
            (Unusual::Network(None), "for the first time from these addresses"),
            (Unusual::Device("Ünder Mail".into()), "for the first time with Ünder Mail"),
            (
                Unusual::Travel { kilometres: 11_146, within: Duration::from_secs(7201) },
                "11146 km away within 2 h 1 min",
            ),
        ];
        for (one, sentence) in all {
            assert_eq!(one.sentence(), sentence);
            assert_eq!(one.to_string().parse(), Ok(one));
        }
        assert_eq!("planet Mars".parse::<Habit>(), Err(NotKnown));
    }
}
