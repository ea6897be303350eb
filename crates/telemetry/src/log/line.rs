//! How one event is printed.

use std::fmt::Write;

use hikyaku_types::Timestamp;
use serde_json::Value;

/// One event with the fields of its spans.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) time: Timestamp,
    pub(super) level: &'a str,
    pub(super) target: &'a str,
    pub(super) fields: Fields,
}

/// Fields in the order in which they were first named.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Adds a field, or gives an earlier one of this name a new value.
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }
}

/// The field that holds the words of the event.
const WORDS: &str = "message";

impl Line<'_> {
    /// `time LEVEL target: message field=value`, with its line end.
    pub(super) fn to_text(&self) -> String {
        let mut line = format!("{} {} {}:", self.time, self.level, self.target);
        if let Some((_, Value::String(words))) = self.fields.0.iter().find(|(name, _)| *name == WORDS) {
            line.extend([" ", &escaped(words)]);
        }
        for (name, value) in self.fields.0.iter().filter(|(name, _)| *name != WORDS) {
            match value {
                Value::String(text) => line.extend([" ", name, "=", &quoted(text)]),
                other => write!(line, " {name}={other}").expect("a String takes all"),
            }
        }
        line.push('\n');
        line
    }

    /// One JSON object with its line end.
    pub(super) fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        for (name, value) in &self.fields.0 {
            object.insert((*name).to_owned(), value.clone());
        }
        // Last, so that no field can take their place.
        object.insert("time".to_owned(), self.time.to_string().into());
        object.insert("level".to_owned(), self.level.into());
        object.insert("target".to_owned(), self.target.into());
        let json = Value::Object(object).to_string();
        // JSON leaves some of them bare; here they can only stand in strings.
        let mut line = String::with_capacity(json.len() + 1);
        for c in json.chars() {
            if is_deceptive(c) {
                write!(line, "\\u{:04x}", u32::from(c)).expect("a String takes all");
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        line
    }
}

/// Characters that end a line, drive a terminal, or turn the direction of text. All of them
/// have at most four hexadecimal digits.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

/// The value as it is if it can only be one value, else in quotes.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || is_deceptive(c));
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", escaped(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_when_they_could_be_taken_for_more() {
        for (value, expected) in [
            ("mx.example.org", "mx.example.org"),
            ("2001:db8::1", "2001:db8::1"),
            ("田中", "田中"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("a\" level=ERROR", "\"a\\\" level=ERROR\""),
            ("a\\", "\"a\\\\\""),
            ("a\nb", "\"a\\u{a}b\""),
            ("a\u{1b}[2Kb", "\"a\\u{1b}[2Kb\""),
            ("a\u{85}b", "\"a\\u{85}b\""),
            ("a\u{202e}b", "\"a\\u{202e}b\""),
        ] {
            assert_eq!(quoted(value), expected, "{value:?}");
        }
    }

    #[test]
    fn the_inner_value_stands() {
        let mut fields = Fields::default();
        fields.set("tenant", "t-1".into());
        fields.set("session", "s-1".into());
        let mut inner = Fields::default();
        inner.set("tenant", "t-2".into());
        fields.extend(&inner);
        assert_eq!(fields.0, [("tenant", "t-2".into()), ("session", "s-1".into())]);
    }
}
