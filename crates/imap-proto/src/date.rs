//! Dates of SEARCH and date-times of APPEND and INTERNALDATE.
//!
//! Standards: RFC 3501 section 9 (`date`, `date-time`).

use std::fmt;

use hikyaku_types::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECONDS: i64 = 86_400;

/// `date`: a day of the calendar, without time and zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// `date-time`: a moment, and the offset in which it was written. RFC 3501 section 2.3.3
/// makes both part of a message's internal date.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// The moment. The wire carries whole seconds.
    pub at: Timestamp,
    /// Minutes east of UTC, less than 24 hours.
    pub offset_minutes: i16,
}

fn days_in_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Date {
    /// The day, or `None` if the calendar has no such day. `month` counts from 1.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let exists =
            year <= 9999 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// The day of a moment, seen from `offset_minutes` east of UTC; years outside of 0 to
    /// 9999 are held to these bounds.
    pub fn of(at: Timestamp, offset_minutes: i16) -> Self {
        let day = local_seconds(at, offset_minutes).div_euclid(DAY_SECONDS);
        Self::from_day_number(day)
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar.
    pub fn day_number(self) -> i64 {
        // Counted from 1 March of year 0, so that a leap day is the last of its year.
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let century = year.div_euclid(100);
        let leap_days = year.div_euclid(4) - century + century.div_euclid(4);
        year * 365 + leap_days + (153 * month + 2) / 5 + i64::from(self.day) - 719_469
    }

    /// Inverse of [`Self::day_number`], held to years 0 to 9999.
    fn from_day_number(number: i64) -> Self {
        const FIRST: Date = Date { year: 0, month: 1, day: 1 };
        const LAST: Date = Date { year: 9999, month: 12, day: 31 };
        if number <= FIRST.day_number() {
            return FIRST;
        }
        if number >= LAST.day_number() {
            return LAST;
        }
        // A first guess of the year is wrong by one at most: 146,097 days are 400 years.
        let guess = (number + 719_528) * 400 / 146_097;
        let mut year = u16::try_from(guess).unwrap_or(0);
        while year > 0 && (Self { year, month: 1, day: 1 }).day_number() > number {
            year -= 1;
        }
        while (Self { year: year + 1, month: 1, day: 1 }).day_number() <= number {
            year += 1;
        }
        let mut month = 12;
        while month > 1 && (Self { year, month, day: 1 }).day_number() > number {
            month -= 1;
        }
        let day = number - (Self { year, month, day: 1 }).day_number() + 1;
        Self { year, month, day: u8::try_from(day).unwrap_or(1) }
    }

    /// The month with this name, counted from 1.
    pub(crate) fn month_number(name: &str) -> Option<u8> {
        let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
        u8::try_from(index + 1).ok()
    }

    fn month_name(self) -> &'static str {
        MONTHS.get(usize::from(self.month) - 1).copied().unwrap_or("Jan")
    }
}

fn local_seconds(at: Timestamp, offset_minutes: i16) -> i64 {
    at.as_secs().saturating_add(i64::from(offset_minutes) * 60)
}

impl DateTime {
    /// The moment of a wall clock, or `None` if there is no such time. Second 60 is taken as
    /// the next minute's first: leap seconds have no number of their own.
    pub fn from_local(date: Date, hour: u8, minute: u8, second: u8, offset_minutes: i16) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 60 || offset_minutes.unsigned_abs() >= 24 * 60 {
            return None;
        }
        let time = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let seconds = date.day_number() * DAY_SECONDS + time - i64::from(offset_minutes) * 60;
        Some(Self { at: Timestamp::from_secs(seconds), offset_minutes })
    }

    /// The moment, written in UTC.
    pub fn utc(at: Timestamp) -> Self {
        Self { at, offset_minutes: 0 }
    }

    /// The day on the calendar of its own zone: what SEARCH compares (RFC 3501 section
    /// 6.4.4: "disregarding time and timezone").
    pub fn date(&self) -> Date {
        Date::of(self.at, self.offset_minutes)
    }
}

/// `1-Feb-1994`
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `" 1-Feb-1994 21:52:25 -0800"`, with the quotes.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let time = local_seconds(self.at, self.offset_minutes).rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let offset = self.offset_minutes.unsigned_abs();
        write!(
            f,
            "\"{:2}-{}-{:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}\"",
            date.day,
            date.month_name(),
            date.year,
            offset / 60,
            offset % 60
        )
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse;

    fn date_time(text: &str) -> Option<DateTime> {
        let (rest, value) = parse::date_time(text.as_bytes()).ok()?;
        rest.is_empty().then_some(value)
    }

    #[test]
    fn known_moments() {
        for (text, seconds) in [
            ("\" 1-Jan-1970 00:00:00 +0000\"", 0),
            ("\"17-Jul-1996 02:44:25 -0700\"", 837_596_665),
            ("\" 7-Feb-1994 21:52:25 -0800\"", 760_686_745),
            ("\"29-Feb-2000 23:59:59 +0930\"", 951_834_599),
            ("\"24-Nov-2026 03:34:27 +0000\"", 1_795_491_267),
            ("\"31-Dec-1969 23:59:59 +0000\"", -1),
        ] {
            let value = date_time(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(value.at.as_secs(), seconds, "{text}");
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn there_is_no_such_time() {
        for text in [
            "\"29-Feb-1900 00:00:00 +0000\"",
            "\"31-Apr-2000 00:00:00 +0000\"",
            "\" 0-Jan-2000 00:00:00 +0000\"",
            "\" 1-Foo-2000 00:00:00 +0000\"",
            "\" 1-Jan-2000 24:00:00 +0000\"",
            "\" 1-Jan-2000 00:60:00 +0000\"",
            "\" 1-Jan-2000 00:00:61 +0000\"",
            "\" 1-Jan-2000 00:00:00 +2400\"",
            "\" 1-Jan-2000 00:00:00 +0060\"",
            "\" 1-Jan-2000 00:00:00 0000\"",
            "\" 1-Jan-20000 00:00:00 +0000\"",
            "\"1-Jan-2000 0:00:00 +0000\"",
            " 1-Jan-2000 00:00:00 +0000",
            "\"\"",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
    }

    #[test]
    fn far_times_are_held() {
        for millis in [i64::MIN, i64::MAX] {
            let text = DateTime { at: Timestamp::from_millis(millis), offset_minutes: -1439 }.to_string();
            assert_eq!(text.len(), 28, "{text}");
        }
    }

    pub(crate) fn any_date() -> impl Strategy<Value = Date> {
        (0u16..=9999, 1u8..=12, 1u8..=31).prop_map(|(year, month, day)| {
            Date::new(year, month, day.min(days_in_month(year, month))).unwrap()
        })
    }

    pub(crate) fn any_date_time() -> impl Strategy<Value = DateTime> {
        (any_date(), 0u8..24, 0u8..60, 0u8..60, -1439i16..=1439)
            .prop_map(|(date, h, m, s, offset)| DateTime::from_local(date, h, m, s, offset).unwrap())
    }

    proptest! {
        #[test]
        fn a_day_number_is_a_day(date in any_date()) {
            prop_assert_eq!(Date::from_day_number(date.day_number()), date);
        }

        #[test]
        fn days_follow_each_other(number in -719_000i64..2_900_000) {
            prop_assert_eq!(Date::from_day_number(number).day_number(), number);
        }

        #[test]
        fn what_is_printed_is_parsed(value in any_date_time(), date in any_date()) {
            prop_assert_eq!(date_time(&value.to_string()), Some(value));
            let text = date.to_string();
            prop_assert_eq!(parse::date(text.as_bytes()), Ok((&b""[..], date)));
        }
    }
}
