//! Forgotten devices: one that offers the same wrong password again and again.
//!
//! They harm nobody, as the same wrong password counts once; but their owner wonders where
//! the mail is, and the tenant wonders who knocks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::Timestamp;

use super::{Client, Record};
use crate::facts::{SubjectKey, Tag};
use crate::reason::Reason;

/// So many times at least ...
const TIMES: u32 = 5;
/// ... over so long.
const SPAN: Duration = Duration::from_secs(3600);
/// Devices that are looked at in one search.
const MOST: usize = 100_000;

/// A forgotten device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleDevice {
    /// Whose.
    pub subject: SubjectKey,
    /// Where.
    pub ip: IpAddr,
    /// What it called itself last.
    pub client: Client,
    /// How often it tried.
    pub times: u32,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
}

impl StaleDevice {
    /// How long it waits between two attempts, on average.
    pub fn every(&self) -> Duration {
        self.last.since(self.first) / self.times.saturating_sub(1).max(1)
    }

    /// As an administrator reads it; `address` is the account's.
    pub fn sentence(&self, address: &str) -> String {
        let client = match self.client.as_str() {
            "" => "a client without a name".to_owned(),
            name => format!("a client that calls itself {name}"),
        };
        let every = match self.every().as_secs() {
            seconds @ 0..120 => format!("{seconds} seconds"),
            seconds @ 120..7200 => format!("{} minutes", (seconds + 30) / 60),
            seconds => format!("{} hours", (seconds + 1800) / 3600),
        };
        format!("{client} at {} offers an old password of {address} every {every}", self.ip)
    }
}

/// Finds forgotten devices in a history, the most stubborn first.
pub fn stale_devices<'a>(history: impl IntoIterator<Item = &'a Record>) -> Vec<StaleDevice> {
    let mut devices: HashMap<(SubjectKey, IpAddr, Tag), StaleDevice> = HashMap::new();
    for record in history {
        let Some(tag) = record.tag.filter(|_| record.reason == Some(Reason::WrongPassword)) else { continue };
        let key = (record.subject, record.ip, tag);
        if devices.len() >= MOST && !devices.contains_key(&key) {
            continue;
        }
        let device = devices.entry(key).or_insert_with(|| StaleDevice {
            subject: record.subject,
            ip: record.ip,
            client: record.client.clone(),
            times: 0,
            first: record.at,
            last: record.at,
        });
        device.times = device.times.saturating_add(1);
        device.first = device.first.min(record.at);
        if record.at > device.last {
            (device.last, device.client) = (record.at, record.client.clone());
        }
    }
    let stubborn = |one: &StaleDevice| one.times >= TIMES && one.last.since(one.first) >= SPAN;
    let mut found: Vec<StaleDevice> = devices.into_values().filter(stubborn).collect();
    found.sort_by_key(|one| (std::cmp::Reverse(one.times), one.subject, one.ip));
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{failed, signed_in};
    use super::*;

    #[test]
    fn a_device_on_an_old_password_is_found() {
        let telephone = (0..40).map(|number| failed(number * 300, "203.0.113.5", "Mail 16", 1));
        let typos =
            (0..40).map(|number| failed(number * 300, "203.0.113.5", "Thunderbird", 100 + number as u32));
        let burst = (0..9).map(|number| failed(number, "203.0.113.6", "Mail 16", 1));
        let good = (0..40).map(|number| signed_in(number * 300, "203.0.113.7", "Mail 16"));
        let mut history: Vec<Record> = telephone.chain(typos).chain(burst).chain(good).collect();
        history.reverse();
        let found = stale_devices(&history);
        let sentences: Vec<String> = found.iter().map(|one| one.sentence("tanaka@example.jp")).collect();
        assert_eq!(
            sentences,
            [
                "a client that calls itself Mail 16 at 203.0.113.5 offers an old password of tanaka@example.jp every 5 minutes"
            ]
        );
        assert_eq!((found[0].times, found[0].last.as_secs()), (40, 39 * 300));
    }

    #[test]
    fn intervals_are_told_in_words() {
        for (seconds, expected) in [(900, "15 minutes"), (86_400, "24 hours"), (1000, "17 minutes")] {
            let history: Vec<Record> = (0..5).map(|number| failed(number * seconds, "::1", "", 1)).collect();
            let sentence = stale_devices(&history)[0].sentence("a@b.example");
            assert_eq!(
                sentence,
                format!(
                    "a client without a name at ::1 offers an old password of a@b.example every {expected}"
                )
            );
        }
    }
}
