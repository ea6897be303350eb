//! `section!`: one table of the settings file, declared once.
//!
//! From a declaration come the struct of what the operator wrote, its description for the
//! reference page ([`Field`]), and its reading, which finds all mistakes. Defaults and
//! bounds are written as in the file and read in the same way:
//!
//! ```ignore
//! section! {
//!     /// How many may come.
//!     struct Connections {
//!         /// Connections of one listener.
//!         most: Given<usize> = 10_000, from 1 to 1_000_000;
//!         /// How long sessions may take to end.
//!         drain: Given<Duration> = "4s", from "0s" to "10m";
//!     }
//! }
//! ```
//!
//! The type of a field says what may be missing: [`Given`] has a default, [`Needed`] must be
//! there, `Option<Given<…>>` need not; another section is a table below, and a `Vec` of
//! sections an array of tables.

use std::ops::Deref;

use toml::de::{DeTable, DeValue};

use super::findings::{Findings, Span};
use super::kind::{Kind, Value, Wrong};

/// A setting, as the reference page and forms show it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Lines of its doc comment. A section has its own, and none here.
    pub(crate) about: &'static [&'static str],
    /// As the file would have it.
    pub(crate) default: Option<&'static str>,
    /// Least and most, as the file would have them.
    pub(crate) bounds: Option<(&'static str, &'static str)>,
    pub(crate) shape: Shape,
}

/// What stands behind a key.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A value of this kind.
    Value { kind: &'static str, needed: bool },
    /// `[key]`
    Table(Description),
    /// `[[key]]`, any number of times.
    Tables(Description),
}

/// A section, as the reference page and forms show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Description {
    pub(crate) about: &'static [&'static str],
    pub(crate) fields: &'static [Field],
}

/// A value that is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<K> {
    pub(crate) value: K,
    /// Where it stands; `None` for the default.
    pub(crate) span: Span,
}

impl<K> Deref for Given<K> {
    type Target = K;
    fn deref(&self) -> &K {
        &self.value
    }
}

/// A value that must be there. When it is not, or is wrong, that has been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needed<K>(pub(crate) Option<Given<K>>);

/// A table of the file, as the operator wrote it. `section!` implements it.
pub(crate) trait Section: Sized {
    const DESCRIPTION: Description;

    fn read(reader: &mut Reader<'_, '_>) -> Self;
}

/// What can be a field of a section.
pub(crate) trait Entry: Sized {
    const SHAPE: Shape;

    fn read(reader: &mut Reader<'_, '_>, field: &'static Field) -> Self;
}

macro_rules! section {
    (
        $(#[doc = $about:literal])+
        struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $type:ty $(= $default:tt)? $(, from $least:tt to $most:tt)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub(crate) struct $name {
            $($(#[doc = $doc])* pub(crate) $field: $type,)+
        }

        impl $crate::settings::section::Section for $name {
            const DESCRIPTION: $crate::settings::section::Description =
                $crate::settings::section::Description {
                    about: &[$($about),+],
                    fields: &[$($crate::settings::section::Field {
                        name: stringify!($field),
                        about: &[$($doc),*],
                        default: [$(Some(stringify!($default)),)? None][0],
                        bounds: [$(Some((stringify!($least), stringify!($most))),)? None][0],
                        shape: <$type as $crate::settings::section::Entry>::SHAPE,
                    }),+],
                };

            fn read(reader: &mut $crate::settings::section::Reader<'_, '_>) -> Self {
                Self { $($field: reader.entry::<Self, _>(stringify!($field)),)+ }
            }
        }
    };
}

pub(crate) use section;

/// A table that is being read.
pub(crate) struct Reader<'r, 'text> {
    table: &'r DeTable<'r>,
    /// Where the table begins; `None` for the file itself, and for a table that is not there.
    span: Span,
    /// Path of the table: empty, or `listen.`
    path: String,
    findings: &'r mut Findings<'text>,
}

/// Reads a file's root table.
pub(crate) fn read_root<S: Section>(table: &DeTable<'_>, findings: &mut Findings<'_>) -> S {
    Reader { table, span: None, path: String::new(), findings }.section()
}

impl<'r> Reader<'r, '_> {
    /// What stands at the key `name` of the section `S`.
    pub(crate) fn entry<S: Section, E: Entry>(&mut self, name: &str) -> E {
        let fields = S::DESCRIPTION.fields;
        let field = fields.iter().find(|field| field.name == name).expect("the macro names fields");
        E::read(self, field)
    }

    fn section<S: Section>(mut self) -> S {
        let section = S::read(&mut self);
        let fields = S::DESCRIPTION.fields;
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if !fields.iter().any(|field| field.name == name) {
                let (what, span) = ("there is no such setting".into(), Some(key.span()));
                self.wrong(name, Wrong { what, remedy: meant(name, fields), span });
            }
        }
        section
    }

    fn below<S: Section>(&mut self, field: &Field, table: &DeTable<'_>, span: Span) -> S {
        let path = format!("{}{}.", self.path, field.name);
        Reader { table, span, path, findings: self.findings }.section()
    }

    fn get(&self, field: &Field) -> Option<&'r Value<'r>> {
        self.table.get(field.name)
    }

    fn wrong(&mut self, name: &str, wrong: Wrong) {
        // A key can hold anything, between quotes.
        let path = format!("{}{}", self.path, name.escape_debug());
        self.findings.mistake(&wrong.span, &path, wrong.what, wrong.remedy);
    }

    /// The value of a field, if it is there and right.
    fn value<K: Kind>(&mut self, field: &Field) -> Option<Given<K>> {
        let found = self.get(field)?;
        let span = Some(found.span());
        match K::read(found).and_then(|value| within(value, field)) {
            Ok(value) => Some(Given { value, span }),
            Err(wrong) => {
                self.wrong(field.name, Wrong { span: wrong.span.or(span), ..wrong });
                None
            }
        }
    }

    fn table<S: Section>(&mut self, field: &Field, value: &Value<'_>, header: &str) -> Option<S> {
        if let Some(table) = value.get_ref().as_table() {
            return Some(self.below(field, table, Some(value.span())));
        }
        let remedy = format!("write what it has below a line `{header}`");
        self.wrong(field.name, Wrong { what: "this is a section".into(), remedy, span: Some(value.span()) });
        None
    }
}

/// Reads a default or a bound, which is written as in the file.
fn literal<K: Kind>(text: &'static str) -> K {
    let value = DeValue::parse(text).expect("defaults and bounds are TOML");
    K::read(&value).expect("defaults and bounds are of their field's kind")
}

fn within<K: Kind>(value: K, field: &Field) -> Result<K, Wrong> {
    let Some((least, most)) = field.bounds else { return Ok(value) };
    let what = match () {
        () if value < literal(least) => format!("this is less than {least}"),
        () if value > literal(most) => format!("this is more than {most}"),
        () => return Ok(value),
    };
    Err(Wrong { what, remedy: format!("write a value from {least} to {most}"), span: None })
}

impl<K: Kind> Entry for Given<K> {
    const SHAPE: Shape = Shape::Value { kind: K::NAME, needed: false };

    fn read(reader: &mut Reader<'_, '_>, field: &'static Field) -> Self {
        let default = || Self { value: literal(field.default.expect("it has a default")), span: None };
        reader.value(field).unwrap_or_else(default)
    }
}

impl<K: Kind> Entry for Option<Given<K>> {
    const SHAPE: Shape = Shape::Value { kind: K::NAME, needed: false };

    fn read(reader: &mut Reader<'_, '_>, field: &'static Field) -> Self {
        reader.value(field)
    }
}

impl<K: Kind> Entry for Needed<K> {
    const SHAPE: Shape = Shape::Value { kind: K::NAME, needed: true };

    fn read(reader: &mut Reader<'_, '_>, field: &'static Field) -> Self {
        if reader.get(field).is_none() {
            let what = "this setting is missing".into();
            let remedy = format!("add `{} = …`, {}", field.name, K::NAME);
            reader.wrong(field.name, Wrong { what, remedy, span: reader.span.clone() });
        }
        Self(reader.value(field))
    }
}

impl<S: Section> Entry for S {
    const SHAPE: Shape = Shape::Table(S::DESCRIPTION);

    fn read(reader: &mut Reader<'_, '_>, field: &'static Field) -> Self {
        let header = format!("[{}{}]", reader.path, field.name);
        let found = reader.get(field).and_then(|value| reader.table(field, value, &header));
        found.unwrap_or_else(|| reader.below(field, &DeTable::new(), None))
    }
}

impl<S: Section> Entry for Vec<S> {
    const SHAPE: Shape = Shape::Tables(S::DESCRIPTION);

    fn read(reader: &mut Reader<'_, '_>, field: &'static Field) -> Self {
        let header = format!("[[{}{}]]", reader.path, field.name);
        match reader.get(field).map(|value| (value, value.get_ref().as_array())) {
            None => Self::new(),
            Some((_, Some(array))) => {
                array.iter().filter_map(|value| reader.table(field, value, &header)).collect()
            }
            // A table alone is a mistake, too: its name has one pair of brackets too few.
            Some((value, None)) => {
                let remedy = format!("write what it has below a line `{header}`, once for each");
                let what = "this is a list of sections".into();
                reader.wrong(field.name, Wrong { what, remedy, span: Some(value.span()) });
                Self::new()
            }
        }
    }
}

/// What somebody may have meant by a key that is none.
fn meant(name: &str, fields: &[Field]) -> String {
    let near = fields.iter().map(|field| (distance(name, field.name), field.name)).min();
    match near {
        // A third of it may be wrong.
        Some((distance, near)) if distance * 3 <= near.len().max(name.len()) => {
            format!("did you mean `{near}`? Else remove it")
        }
        _ => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            format!("remove it, or write one of: {}", names.join(", "))
        }
    }
}

/// Letters to insert, remove, replace or swap with the next until `a` is `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // `rows[i][j]`: from the first `i` letters of `a` to the first `j` of `b`.
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "log", 3),
            ("log", "log", 0),
            ("lgo", "log", 1),
            ("logs", "log", 1),
            ("lg", "log", 1),
            ("hostname", "host_name", 1),
            ("submission", "submissions", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
