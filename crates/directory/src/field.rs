//! Fields of objects: what an operator writes, what the database keeps, what a page shows.
//!
//! A record is declared once, with [`record!`](crate::field::record): from it come the struct, its JSON, the
//! command line's options with their help, and the mistakes that are reported.

use std::fmt::Display;

use hikyaku_types::{AccountId, Address, Domain, Network};
use serde::{Deserialize, Serialize};

/// One field of a record, for help and forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// `largest_mailbox`.
    pub name: &'static str,
    /// What it means, from its doc comment.
    pub doc: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// Has it several values, which are added and removed one by one?
    pub is_list: bool,
}

/// A change of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Replaces it. A list is written with commas; an empty text empties it.
    Set(String),
    /// Adds one value to a list.
    Add(String),
    /// Takes one value from a list.
    Remove(String),
}

/// A record whose fields can be changed by name.
pub trait Record:
    Serialize + for<'de> Deserialize<'de> + Clone + Default + PartialEq + Send + 'static
{
    /// Its fields, in the order in which they are shown.
    const FIELDS: &'static [Field];

    /// Changes one field.
    ///
    /// # Errors
    /// What is wrong with the value, or that there is no such field.
    fn edit(&mut self, name: &str, edit: &Edit) -> Result<(), String>;

    /// The fields as people read them.
    fn shown(&self) -> Vec<(&'static str, String)>;
}

/// A value of a field.
pub trait FieldValue: Sized {
    /// How it is written.
    const FORM: &'static str;
    /// See [`Field::is_list`].
    const IS_LIST: bool = false;

    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse(text: &str) -> Result<Self, String>;

    /// As it is written.
    fn print(&self) -> String;

    /// Changes it.
    ///
    /// # Errors
    /// What is wrong.
    fn edit(&mut self, edit: &Edit) -> Result<(), String> {
        match edit {
            Edit::Set(text) => *self = Self::parse(text)?,
            Edit::Add(_) | Edit::Remove(_) => return Err("it has one value: set it".into()),
        }
        Ok(())
    }
}

/// Declares a record: see the module.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $record:ident {
        $(#[doc = $doc:literal] $field:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $record {
            $(#[doc = $doc] pub $field: $type,)*
        }

        impl Default for $record {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::field::Record for $record {
            const FIELDS: &'static [$crate::field::Field] = &[$($crate::field::Field {
                name: stringify!($field),
                doc: $doc,
                form: <$type as $crate::field::FieldValue>::FORM,
                is_list: <$type as $crate::field::FieldValue>::IS_LIST,
            },)*];

            fn edit(&mut self, name: &str, edit: &$crate::field::Edit) -> Result<(), String> {
                match name {
                    $(stringify!($field) => $crate::field::FieldValue::edit(&mut self.$field, edit),)*
                    _ => Err($crate::field::no_such_field(Self::FIELDS)),
                }
            }

            fn shown(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), $crate::field::FieldValue::print(&self.$field)),)*]
            }
        }
    };
}
pub(crate) use record;

pub(crate) fn no_such_field(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    format!("there is no such field: use one of {}", names.join(", "))
}

/// A limit; `None` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limit(pub Option<u64>);

/// A size in bytes; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub Option<u64>);

/// A number of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(pub u32);

const UNITS: [(&str, u64); 8] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("TIB", 1 << 40),
    ("GIB", 1 << 30),
    ("MIB", 1 << 20),
    ("KIB", 1 << 10),
];

impl FieldValue for Limit {
    const FORM: &'static str = "a number, or none";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => text.parse().map(|number| Self(Some(number))).map_err(|_| wrong(text, Self::FORM)),
        }
    }

    fn print(&self) -> String {
        self.0.map_or_else(|| "none".into(), |number| number.to_string())
    }
}

impl FieldValue for Size {
    const FORM: &'static str = "a size like 500MB or 10GiB, or none";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let upper = text.trim().to_ascii_uppercase();
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((upper.strip_suffix(name)?, *unit)))
            .unwrap_or((upper.strip_suffix('B').unwrap_or(&upper), 1));
        let number: Option<u64> = digits.trim().parse().ok();
        let bytes =
            number.and_then(|number| number.checked_mul(unit)).filter(|bytes| i64::try_from(*bytes).is_ok());
        bytes.map(|bytes| Self(Some(bytes))).ok_or_else(|| wrong(text, Self::FORM))
    }

    /// In the largest unit that says it exactly.
    fn print(&self) -> String {
        let Some(bytes) = self.0 else { return "none".into() };
        let names = ["TB", "GB", "MB", "KB", "TiB", "GiB", "MiB", "KiB"];
        let mut exact: Vec<_> = UNITS
            .iter()
            .zip(names)
            .filter(|((_, unit), _)| bytes > 0 && bytes % unit == 0)
            .map(|((_, unit), name)| (bytes / unit, name))
            .collect();
        exact.sort_unstable();
        exact.first().map_or_else(|| format!("{bytes}B"), |(number, name)| format!("{number}{name}"))
    }
}

impl FieldValue for Days {
    const FORM: &'static str = "a number of days";

    fn parse(text: &str) -> Result<Self, String> {
        let number: Option<u32> = text.trim_end_matches('d').parse().ok();
        number.filter(|days| *days <= 36_500).map(Self).ok_or_else(|| wrong(text, Self::FORM))
    }

    fn print(&self) -> String {
        self.0.to_string()
    }
}

impl FieldValue for bool {
    const FORM: &'static str = "yes or no";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            _ => Err(wrong(text, Self::FORM)),
        }
    }

    fn print(&self) -> String {
        if *self { "yes" } else { "no" }.into()
    }
}

/// Most characters of a text.
const MOST_TEXT: usize = 500;

impl FieldValue for String {
    const FORM: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MOST_TEXT {
            return Err(format!("it has at most {MOST_TEXT} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err("it has no line ends or other control characters".into());
        }
        Ok(text.to_owned())
    }

    fn print(&self) -> String {
        self.clone()
    }
}

/// A text form that parses and prints, as a field.
macro_rules! by_text {
    ($($type:ty, $form:literal;)*) => {$(
        impl FieldValue for Text<$type> {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map(Self).map_err(|error: <$type as std::str::FromStr>::Err| error.to_string())
            }

            fn print(&self) -> String {
                self.0.to_string()
            }
        }

        impl FieldValue for Option<Text<$type>> {
            const FORM: &'static str = concat!($form, ", or none");

            fn parse(text: &str) -> Result<Self, String> {
                if text == "none" || text.is_empty() { Ok(None) } else { Text::parse(text).map(Some) }
            }

            fn print(&self) -> String {
                self.as_ref().map_or_else(|| "none".into(), FieldValue::print)
            }
        }
    )*};
}

/// A value that is kept and shown as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: std::str::FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

by_text! {
    Address, "an address";
    AccountId, "an account's address";
    crate::credential::Entrance, "imap, pop3, submission, sieve, webmail or api";
    crate::kind::credential::Day, "a day like 2027-03-31";
    crate::kind::guessing::ExemptNetwork, "a network and whose it is, like 192.0.2.0/24 office in Osaka";
    crate::kind::rule::Allowed, "a network, country or AS number and whose it is, like 192.0.2.0/24 office in Osaka";
    crate::kind::rule::Moment, "a moment like 2027-03-31T15:00:00Z";
    crate::kind::rule::RuleModeWord, "off, watch or enforce";
    Domain, "a domain name";
    String, "a word";
    Network, "an address or network like 192.0.2.0/24";
    char, "one character";
}

/// Most values of a list.
const MOST_VALUES: usize = 1_000;

impl<T: PartialEq + Clone> FieldValue for Vec<Text<T>>
where
    Text<T>: FieldValue,
{
    const FORM: &'static str = <Text<T> as FieldValue>::FORM;
    const IS_LIST: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let mut all = Self::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            add(&mut all, Text::parse(part)?)?;
        }
        Ok(all)
    }

    fn print(&self) -> String {
        self.iter().map(FieldValue::print).collect::<Vec<_>>().join(", ")
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), String> {
        match edit {
            Edit::Set(text) => *self = Self::parse(text)?,
            Edit::Add(text) => add(self, Text::parse(text)?)?,
            Edit::Remove(text) => {
                let gone = Text::parse(text)?;
                let before = self.len();
                self.retain(|value| *value != gone);
                if self.len() == before {
                    return Err(format!("`{text}` is not among its values"));
                }
            }
        }
        Ok(())
    }
}

fn add<T: PartialEq>(all: &mut Vec<Text<T>>, value: Text<T>) -> Result<(), String> {
    if all.len() >= MOST_VALUES {
        return Err(format!("it has at most {MOST_VALUES} values"));
    }
    // What is there already need not be added.
    if !all.contains(&value) {
        all.push(value);
    }
    Ok(())
}

/// One word of a few.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $crate::field::FieldValue for $name {
            const FORM: &'static str = $crate::field::choice!(@form $($word)*);

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::field::wrong(text, Self::FORM)),
                }
            }

            fn print(&self) -> String {
                match self { $(Self::$variant => $word,)* }.to_owned()
            }
        }
    };
    (@form $first:literal $($word:literal)*) => { concat!($first $(, " or ", $word)*) };
}
pub(crate) use choice;

pub(crate) fn wrong(text: &str, form: &str) -> String {
    let text: String = text.chars().take(80).collect();
    format!("`{text}` is not {form}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes, printed) in [
            ("500MB", Some(500_000_000), "500MB"),
            ("10 GiB", Some(10 << 30), "10GiB"),
            ("1024kib", Some(1 << 20), "1MiB"),
            ("1500", Some(1_500), "1500B"),
            ("2000", Some(2_000), "2KB"),
            ("7B", Some(7), "7B"),
            ("0", Some(0), "0B"),
            ("none", None, "none"),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.0, size.print().as_str()), (bytes, printed), "{text}");
            assert_eq!(Size::parse(&size.print()), Ok(size));
        }
        for text in ["", "GB", "-1", "1.5GB", "99999999TB", "10 bananas"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_changed_one_by_one() {
        let mut list: Vec<Text<Address>> = Vec::new();
        for (edit, expected) in [
            (Edit::Set("a@example.org, b@example.org".into()), Ok("a@example.org, b@example.org")),
            (Edit::Add("c@example.org".into()), Ok("a@example.org, b@example.org, c@example.org")),
            (Edit::Add("c@example.org".into()), Ok("a@example.org, b@example.org, c@example.org")),
            (Edit::Remove("a@example.org".into()), Ok("b@example.org, c@example.org")),
            (Edit::Remove("a@example.org".into()), Err("`a@example.org` is not among its values")),
            (Edit::Add("nonsense".into()), Err("an address has the form name@domain")),
            (Edit::Set(String::new()), Ok("")),
        ] {
            let done = list.edit(&edit).map(|()| list.print());
            assert_eq!(done, expected.map(str::to_owned).map_err(str::to_owned), "{edit:?}");
        }
    }

    #[test]
    fn one_value_is_set() {
        let mut limit = Limit(None);
        assert_eq!(limit.edit(&Edit::Set("10".into())), Ok(()));
        assert_eq!(limit, Limit(Some(10)));
        assert_eq!(limit.edit(&Edit::Add("10".into())), Err("it has one value: set it".into()));
        assert_eq!(limit.edit(&Edit::Set("ten".into())), Err("`ten` is not a number, or none".into()));
    }
}
