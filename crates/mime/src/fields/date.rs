//! Dates, RFC 5322 section 3.3 with the obsolete forms of section 4.3.
//!
//! Tolerated besides: any day of the week (it is not checked), missing seconds, zones by
//! name (`JST`), `GMT+0900`, the order of `asctime` (`Mon Nov 24 03:34:27 2026`), and ISO
//! 8601. A date without zone is UTC. Seconds of 60 are a leap second, read as 59.

use hikyaku_types::Timestamp;
use jiff::civil;

/// A moment, and what the clock on the sender's wall said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The moment.
    pub at: Timestamp,
    /// Minutes that local time is ahead of UTC; -1439 to 1439.
    pub offset_minutes: i16,
}

impl Date {
    /// The day on the sender's calendar, for IMAP `SENTON` and its relatives, which
    /// disregard time and zone (RFC 9051 section 6.4.4). As year, month and day.
    pub fn local_day(self) -> (i16, u8, u8) {
        let local = self.at.as_secs().saturating_add(i64::from(self.offset_minutes) * 60);
        let day = Timestamp::from_secs(local).to_zoned().date();
        (day.year(), day.month().unsigned_abs(), day.day().unsigned_abs())
    }
}

/// No date has more pieces; what comes behind is ignored.
const MAX_PIECES: usize = 16;

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Zones by name, in minutes: RFC 5322 section 4.3, and what Japan and Europe write.
const ZONES: &[(&[u8], i16)] = &[
    (b"ut", 0),
    (b"utc", 0),
    (b"gmt", 0),
    (b"z", 0),
    (b"est", -300),
    (b"edt", -240),
    (b"cst", -360),
    (b"cdt", -300),
    (b"mst", -420),
    (b"mdt", -360),
    (b"pst", -480),
    (b"pdt", -420),
    (b"jst", 540),
    (b"kst", 540),
    (b"cet", 60),
    (b"cest", 120),
    (b"bst", 60),
];

/// Reads a date; `None` if there is none in the value.
pub fn date(value: &[u8]) -> Option<Date> {
    let plain = plain(value);
    let is_gap = |octet: &u8| octet.is_ascii_whitespace() || *octet == b',';
    let mut reader = Reader::default();
    for piece in plain.split(is_gap).filter(|piece| !piece.is_empty()).take(MAX_PIECES) {
        reader.take(piece);
    }
    reader.finish()
}

/// The value without comments, and without the spaces that may stand around the colons of a
/// time (RFC 5322 appendix A.6.3).
fn plain(value: &[u8]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::new();
    let mut depth = 0_usize;
    for &octet in value {
        match octet {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b':' => {
                while plain.last().is_some_and(u8::is_ascii_whitespace) {
                    plain.pop();
                }
                plain.push(octet);
            }
            _ if octet.is_ascii_whitespace() && plain.last() == Some(&b':') => {}
            _ => plain.push(octet),
        }
    }
    plain
}

/// What the pieces have told so far.
#[derive(Default)]
struct Reader {
    day: Option<i8>,
    month: Option<i8>,
    year: Option<i16>,
    time: Option<civil::Time>,
    offset: Option<i16>,
}

impl Reader {
    fn take(&mut self, piece: &[u8]) {
        if piece.contains(&b':') && self.time.is_none() {
            self.take_time(piece);
        } else if matches!(piece.first(), Some(b'+' | b'-')) {
            self.offset = numeric_offset(piece).or(self.offset);
        } else if piece.iter().all(u8::is_ascii_digit) {
            self.take_number(piece);
        } else if piece.iter().any(|octet| b"-/+".contains(octet)) {
            self.take_joined(piece);
        } else {
            self.take_word(piece);
        }
    }

    /// `24`, `2026`, or an obsolete year of two or three digits.
    fn take_number(&mut self, digits: &[u8]) {
        let Some(number) = number(digits) else { return };
        if self.day.is_none() && digits.len() <= 2 {
            self.day = i8::try_from(number).ok();
        } else if self.year.is_none() {
            self.year = full_year(number, digits.len());
        }
    }

    /// `24-Nov-2026`, `2026-11-24`, `2026/11/24`.
    fn take_joined(&mut self, piece: &[u8]) {
        if let Some(at) = piece.iter().position(|octet| matches!(octet, b'+' | b'-'))
            && let Some(zone) = piece.get(..at).and_then(named_offset)
        {
            // `GMT+0900`
            self.offset = piece.get(at..).and_then(numeric_offset).map(|offset| offset.saturating_add(zone));
            return;
        }
        let parts: Vec<&[u8]> = piece.splitn(4, |octet| matches!(octet, b'-' | b'/')).collect();
        let [first, second, third] = parts.as_slice() else { return };
        let (year, day) = if first.len() == 4 { (first, third) } else { (third, first) };
        self.month = month(second).or_else(|| number(second).and_then(|month| i8::try_from(month).ok()));
        self.day = number(day).and_then(|day| i8::try_from(day).ok());
        self.year = number(year).and_then(|number| full_year(number, year.len()));
    }

    /// A month, a zone, or a day of the week.
    fn take_word(&mut self, word: &[u8]) {
        if self.month.is_none()
            && let Some(month) = month(word)
        {
            self.month = Some(month);
        } else if self.time.is_some() && self.offset.is_none() {
            self.offset = named_offset(word);
        }
    }

    /// `03:34`, `03:34:27`, `03:34:27.5`, and ISO 8601 as a whole.
    fn take_time(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if let Some((day, time)) = split_iso_8601(piece) {
            self.take_joined(day);
            piece = time;
        }
        let end = piece.iter().position(|octet| !matches!(octet, b'0'..=b'9' | b':' | b'.'));
        let (time, zone) = piece.split_at(end.unwrap_or(piece.len()));
        let parts: Vec<&[u8]> = time.splitn(4, |&octet| octet == b':').collect();
        let part = |index: usize| parts.get(index).map_or(Some(0), |part| number(part));
        let second_text = parts.get(2).and_then(|text| text.split(|&octet| octet == b'.').next());
        let second = second_text.map_or(Some(0), number);
        let (Some(hour), Some(minute), Some(second)) = (part(0), part(1), second) else { return };
        let narrow = |number: i32| i8::try_from(number).unwrap_or(i8::MAX);
        let second = if second == 60 { 59 } else { second };
        self.time = civil::Time::new(narrow(hour), narrow(minute), narrow(second), 0).ok();
        if !zone.is_empty() {
            self.offset = numeric_offset(zone).or_else(|| named_offset(zone));
        }
    }

    fn finish(self) -> Option<Date> {
        let day = civil::Date::new(self.year?, self.month?, self.day?).ok()?;
        let offset_minutes = self.offset.unwrap_or(0);
        let local = day.to_datetime(self.time.unwrap_or_default());
        let utc = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        let at = Timestamp::from_secs(utc - i64::from(offset_minutes) * 60);
        Some(Date { at, offset_minutes })
    }
}

/// Day and time of `2026-11-24T03:34:27Z`.
fn split_iso_8601(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let (day, time) = piece.split_at_checked(b"2026-11-24".len())?;
    let is_day = day.get(4) == Some(&b'-');
    time.strip_prefix(b"T").filter(|_| is_day).map(|time| (day, time))
}

fn number(digits: &[u8]) -> Option<i32> {
    std::str::from_utf8(digits).ok().filter(|text| text.len() <= 5)?.parse().ok()
}

/// Years of two and three digits, RFC 5322 section 4.3.
fn full_year(number: i32, digits: usize) -> Option<i16> {
    let year = match (digits, number) {
        (2, 0..=49) => number + 2000,
        (2 | 3, _) => number + 1900,
        _ => number,
    };
    i16::try_from(year).ok().filter(|year| (1..=9999).contains(year))
}

fn month(word: &[u8]) -> Option<i8> {
    let start = word.get(..3)?.to_ascii_lowercase();
    let index = MONTHS.iter().position(|month| *month == start)?;
    i8::try_from(index + 1).ok()
}

/// `+0900`, `-05:00`, `+9`; `None` beyond a day.
fn numeric_offset(zone: &[u8]) -> Option<i16> {
    let (sign, rest) = match zone.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let digits: Vec<u8> = rest.iter().copied().filter(|&octet| octet != b':').take(5).collect();
    let value = number(&digits).filter(|_| digits.iter().all(u8::is_ascii_digit))?;
    let (hours, minutes) = if digits.len() <= 2 { (value, 0) } else { (value / 100, value % 100) };
    let offset = hours * 60 + minutes;
    (hours < 24 && minutes < 60).then(|| i16::try_from(sign * offset).ok()).flatten()
}

/// A zone by name. The single letters of the military mean nothing (RFC 5322 section 4.3).
fn named_offset(word: &[u8]) -> Option<i16> {
    let word = word.to_ascii_lowercase();
    ZONES.iter().find(|(name, _)| *name == word).map(|(_, offset)| *offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: &str) -> Option<String> {
        date(value.as_bytes()).map(|date| format!("{} {}", date.at.to_rfc5322(), date.offset_minutes))
    }

    #[test]
    fn dates_as_they_are_sent() {
        for (value, expected) in [
            ("Tue, 24 Nov 2026 12:34:27 +0900", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("24 Nov 2026 03:34 +0000", "Tue, 24 Nov 2026 03:34:00 +0000 0"),
            ("Tue,24 Nov 2026 12:34:27 +0900 (JST)", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("Tue, 24 Nov 2026 12:34:27 JST", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("Mon, 23 Nov 2026 22:34:27 EST", "Tue, 24 Nov 2026 03:34:27 +0000 -300"),
            ("Tue, 24 Nov 2026 12:34:27 GMT+0900", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("Fri, 21 Nov 97 09:55:06 -0600", "Fri, 21 Nov 1997 15:55:06 +0000 -360"),
            ("21 Nov 26 09:55:06 Q", "Sat, 21 Nov 2026 09:55:06 +0000 0"),
            ("1 Jan 102 00:00:00 GMT", "Tue, 01 Jan 2002 00:00:00 +0000 0"),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "Fri, 21 Nov 1997 15:55:06 +0000 -360"),
            ("Tue Nov 24 03:34:27 2026", "Tue, 24 Nov 2026 03:34:27 +0000 0"),
            ("Tue, 24-Nov-2026 03:34:27 GMT", "Tue, 24 Nov 2026 03:34:27 +0000 0"),
            ("2026-11-24T12:34:27+09:00", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("Tue, 24 Nov 2026 12:34:27JST", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("24 Nov 2026 03:34GMT", "Tue, 24 Nov 2026 03:34:00 +0000 0"),
            ("2026-11-24T03:34:27Z", "Tue, 24 Nov 2026 03:34:27 +0000 0"),
            ("2026-11-24 12:34:27 +0900", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("2026/11/24 12:34:27.25 +0900", "Tue, 24 Nov 2026 03:34:27 +0000 540"),
            ("Thu, 31 Dec 1998 23:59:60 GMT", "Thu, 31 Dec 1998 23:59:59 +0000 0"),
            ("Tue, 24 Nov 2026", "Tue, 24 Nov 2026 00:00:00 +0000 0"),
            ("Tue, 24 November 2026 03:34:27 +9999", "Tue, 24 Nov 2026 03:34:27 +0000 0"),
            ("Tue, 24\r\n Nov 2026 03:34:27 -0000", "Tue, 24 Nov 2026 03:34:27 +0000 0"),
        ] {
            assert_eq!(shown(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for value in [
            "",
            "yesterday",
            "31 Feb 2026 00:00:00 GMT",
            "24 Nov",
            "Nov 2026",
            "99999999 Nov 1",
            "32 Dec 2026",
        ] {
            assert_eq!(shown(value), None, "{value}");
        }
    }

    #[test]
    fn the_local_day_is_the_senders() {
        let date = date(b"Wed, 25 Nov 2026 00:30:00 +0900").unwrap();
        assert_eq!(date.at.to_rfc5322(), "Tue, 24 Nov 2026 15:30:00 +0000");
        assert_eq!(date.local_day(), (2026, 11, 25));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(seconds in -62_135_596_800_i64..253_402_300_799) {
            let at = Timestamp::from_secs(seconds);
            prop_assert_eq!(date(at.to_rfc5322().as_bytes()), Some(Date { at, offset_minutes: 0 }));
        }

        #[test]
        fn any_text_is_a_date_or_not(value in "[0-9A-Za-z:+/,() -]{0,40}") {
            if let Some(date) = date(value.as_bytes()) {
                prop_assert!(date.offset_minutes.abs() < 1440);
                prop_assert!((0..=9999).contains(&date.local_day().0));
            }
        }
    }
}
