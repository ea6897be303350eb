//! Answers from a list: what tests and `hikyaku check --dns FILE` have for a network.
//!
//! The file is one JSON object. Its keys are names, its values lists of
//! `{"type": "TXT", "data": "v=spf1 -all"}` or `{"type": "A", "error": "timeout"}`.
//! Types: A, AAAA, MX (`10 mx.example.`), PTR, CNAME and TXT (a text, or an array of its
//! strings). Errors: `timeout`, `servfail`, `nxdomain`. A name that is not there does not
//! exist.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::Value;

use super::{Data, Dns, DnsError, Kind, Records};
use crate::Name;

/// The most aliases that are followed.
const MAX_ALIASES: usize = 8;

/// Names and their records.
#[derive(Debug, Clone, Default)]
pub struct Table {
    names: HashMap<Name, Entry>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    records: Vec<(Kind, Data)>,
    errors: Vec<(Kind, DnsError)>,
    alias: Option<Name>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// No JSON.
    #[error("the DNS file is not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON of another form.
    #[error("the DNS file must be an object of names with lists of records")]
    Form,
    /// A key that is no name.
    #[error("`{0}` is not a name")]
    Name(String),
    /// A record that cannot be understood.
    #[error("{name}: cannot read the record {record}")]
    Record {
        /// Whose record.
        name: Name,
        /// The record as JSON.
        record: String,
    },
}

impl Table {
    /// Reads the JSON form.
    pub fn from_json(text: &str) -> Result<Self, TableError> {
        let value: Value = serde_json::from_str(text)?;
        let mut table = Self::default();
        for (name, records) in value.as_object().ok_or(TableError::Form)? {
            let name = Name::parse(name).ok_or_else(|| TableError::Name(name.clone()))?;
            let entry = table.names.entry(name.clone()).or_default();
            for record in records.as_array().ok_or(TableError::Form)? {
                entry
                    .read(record)
                    .ok_or_else(|| TableError::Record { name: name.clone(), record: record.to_string() })?;
            }
        }
        Ok(table)
    }

    /// Adds a record.
    pub fn insert(&mut self, name: Name, kind: Kind, data: Data) {
        self.names.entry(name).or_default().records.push((kind, data));
    }

    /// Makes look-ups of this name and type fail.
    pub fn fail(&mut self, name: Name, kind: Kind, error: DnsError) {
        self.names.entry(name).or_default().errors.push((kind, error));
    }

    /// Adds a text.
    pub fn insert_txt(&mut self, name: Name, text: &str) {
        self.insert(name, Kind::Txt, Data::Txt(text.as_bytes().into()));
    }

    fn answer(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        let mut entry = self.names.get(name).ok_or(DnsError::NoName)?;
        for _ in 0..MAX_ALIASES {
            if let Some((_, error)) = entry.errors.iter().find(|(of, _)| *of == kind) {
                return Err(*error);
            }
            match &entry.alias {
                Some(alias) => entry = self.names.get(alias).ok_or(DnsError::NoName)?,
                None => return entry.of_kind(kind),
            }
        }
        Err(DnsError::ServFail)
    }
}

impl Entry {
    fn of_kind(&self, kind: Kind) -> Result<Records, DnsError> {
        let records = self.records.iter().filter(|(of, _)| *of == kind).map(|(_, data)| data.clone());
        let records: Records = records.collect();
        if records.is_empty() { Err(DnsError::NoData) } else { Ok(records) }
    }

    fn read(&mut self, record: &Value) -> Option<()> {
        let kind = record.get("type")?.as_str()?;
        if let Some(error) = record.get("error") {
            let error = match error.as_str()? {
                "timeout" => DnsError::Timeout,
                "servfail" => DnsError::ServFail,
                "nxdomain" => DnsError::NoName,
                _ => return None,
            };
            self.errors.push((kind_of(kind)?, error));
            return Some(());
        }
        let data = record.get("data")?;
        if kind == "CNAME" {
            self.alias = Some(Name::parse(data.as_str()?)?);
            return Some(());
        }
        let kind = kind_of(kind)?;
        self.records.push((kind, data_of(kind, data)?));
        Some(())
    }
}

fn kind_of(text: &str) -> Option<Kind> {
    [Kind::A, Kind::Aaaa, Kind::Mx, Kind::Ptr, Kind::Txt].into_iter().find(|kind| kind.as_str() == text)
}

fn data_of(kind: Kind, data: &Value) -> Option<Data> {
    match kind {
        Kind::A | Kind::Aaaa => {
            let address: IpAddr = data.as_str()?.parse().ok()?;
            (Kind::of_family(address) == kind).then_some(Data::Address(address))
        }
        Kind::Mx => {
            let (preference, exchange) = data.as_str()?.split_once(' ')?;
            let exchange = if exchange == "." { None } else { Some(Name::parse(exchange)?) };
            Some(Data::Mx { preference: preference.parse().ok()?, exchange })
        }
        Kind::Ptr => Some(Data::Ptr(Name::parse(data.as_str()?)?)),
        Kind::Txt => {
            let text: String = match data {
                Value::Array(strings) => strings.iter().map(Value::as_str).collect::<Option<_>>()?,
                text => text.as_str()?.to_owned(),
            };
            Some(Data::Txt(text.into_bytes().into()))
        }
    }
}

impl Dns for Table {
    async fn look_up(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        self.answer(name, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_all_forms() {
        let table = Table::from_json(
            r#"{"example.": [{"type": "TXT", "data": ["v=spf1 ", "-all"]}, {"type": "A", "data": "192.0.2.1"},
                             {"type": "AAAA", "error": "timeout"}, {"type": "MX", "data": "10 MX.example."}],
                "null.example": [{"type": "MX", "data": "0 ."}],
                "alias.example.": [{"type": "CNAME", "data": "example."}],
                "loop.example.": [{"type": "CNAME", "data": "loop.example."}],
                "broken.example.": [{"type": "CNAME", "data": "nowhere.example."}]}"#,
        )
        .unwrap();
        let answer =
            |name, kind| table.answer(&Name::parse(name).unwrap(), kind).map(|records| records.to_vec());
        let mx = Data::Mx { preference: 10, exchange: Name::parse("mx.example") };
        for (name, kind, expected) in [
            ("example", Kind::Txt, Ok(Data::Txt((*b"v=spf1 -all").into()))),
            ("EXAMPLE", Kind::Mx, Ok(mx.clone())),
            ("null.example", Kind::Mx, Ok(Data::Mx { preference: 0, exchange: None })),
            ("alias.example", Kind::Mx, Ok(mx)),
            ("example", Kind::Aaaa, Err(DnsError::Timeout)),
            ("alias.example", Kind::Aaaa, Err(DnsError::Timeout)),
            ("example", Kind::Ptr, Err(DnsError::NoData)),
            ("broken.example", Kind::A, Err(DnsError::NoName)),
            ("loop.example", Kind::A, Err(DnsError::ServFail)),
            ("other.example", Kind::A, Err(DnsError::NoName)),
        ] {
            assert_eq!(answer(name, kind), expected.map(|data| vec![data]), "{name} {kind:?}");
        }
    }

    #[test]
    fn mistakes_in_a_file_are_told() {
        for text in [
            "",
            "[]",
            r#"{"a..b": []}"#,
            r#"{"a": {}}"#,
            r#"{"a": [{"type": "A", "data": "::1"}]}"#,
            r#"{"a": [{"type": "MX", "data": "mx.example"}]}"#,
            r#"{"a": [{"type": "A", "error": "broken"}]}"#,
            r#"{"a": [{"type": "SRV", "data": "x"}]}"#,
            r#"{"a": [{"data": "x"}]}"#,
        ] {
            assert!(Table::from_json(text).is_err(), "{text}");
        }
    }
}
