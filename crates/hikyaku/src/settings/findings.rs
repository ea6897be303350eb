//! What was found in a settings file, mistakes and warnings, each with its place and remedy.
//!
//! Invariant: a finding names its key and its place and never quotes a value that could not
//! be read: at the wrong key it may be a secret.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// Where something stands in the file, in bytes. What the file does not say has no place.
pub(crate) type Span = Option<Range<usize>>;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gravity {
    /// The server does not start with it.
    Mistake,
    /// It starts, and somebody should look.
    Warning,
}

/// A line and a column, both from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) place: Option<Place>,
    pub(crate) gravity: Gravity,
    /// Path of the key, `listen.smtp`; empty for what concerns the whole file.
    pub(crate) key: String,
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

impl Finding {
    pub(crate) fn is_mistake(&self) -> bool {
        self.gravity == Gravity::Mistake
    }
}

/// All that was found in one file.
#[derive(Debug)]
pub(crate) struct Findings<'text> {
    text: &'text str,
    list: Vec<Finding>,
}

impl<'text> Findings<'text> {
    pub(crate) fn new(text: &'text str) -> Self {
        Self { text, list: Vec::new() }
    }

    pub(crate) fn mistake(
        &mut self,
        span: &Span,
        key: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Gravity::Mistake, span, key, what.into(), remedy.into());
    }

    pub(crate) fn warning(
        &mut self,
        span: &Span,
        key: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Gravity::Warning, span, key, what.into(), remedy.into());
    }

    fn add(&mut self, gravity: Gravity, span: &Span, key: &str, what: String, remedy: String) {
        let place = span.as_ref().map(|span| self.place(span.start));
        self.list.push(Finding { place, gravity, key: key.to_owned(), what, remedy });
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }

    /// Is there a mistake at this key or below it? Then what follows from it is not told.
    pub(crate) fn spoiled(&self, key: &str) -> bool {
        self.list.iter().any(|finding| {
            finding.is_mistake()
                && finding.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    pub(crate) fn has_mistakes(&self) -> bool {
        self.list.iter().any(Finding::is_mistake)
    }

    /// In the order of the file; what has no place comes first.
    pub(crate) fn into_sorted(self) -> Vec<Finding> {
        let mut list = self.list;
        list.sort_by_key(|finding| finding.place);
        list
    }
}

/// `12:8: mistake: listen.smtp: this is no address: write …`; in front of it belong the
/// file's name and a colon, as compilers do it, so that editors find the place.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        match self.gravity {
            Gravity::Mistake => f.write_str("mistake: ")?,
            Gravity::Warning => f.write_str("warning: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let text = "a = 1\nb = '日本' # x\n";
        let findings = Findings::new(text);
        for (needle, expected) in [("a", (1, 1)), ("1", (1, 5)), ("b", (2, 1)), ("#", (2, 10))] {
            let Place { line, column } = findings.place(text.find(needle).unwrap());
            assert_eq!((line, column), expected, "{needle}");
        }
        assert_eq!(findings.place(text.len()).line, 3);
        assert_eq!(findings.place(text.len() + 9).line, 3);
    }

    #[test]
    fn a_key_is_spoiled_by_mistakes_at_it_and_below() {
        let mut findings = Findings::new("");
        findings.mistake(&None, "listen.smtp", "wrong", "mend it");
        findings.mistake(&None, "certificate.key", "wrong", "mend it");
        findings.warning(&None, "data", "odd", "look at it");
        for (key, expected) in [
            ("listen", true),
            ("listen.smtp", true),
            ("listen.imap", false),
            ("lis", false),
            ("data", false),
            ("certificate", true),
        ] {
            assert_eq!(findings.spoiled(key), expected, "{key}");
        }
    }

    #[test]
    fn findings_come_in_the_order_of_the_file() {
        let mut findings = Findings::new("a\nb\n");
        findings.mistake(&Some(2..3), "b", "this is wrong", "mend it");
        findings.warning(&Some(0..1), "a", "this is odd", "look at it");
        findings.mistake(&None, "", "the file is empty", "write something");
        let lines: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "mistake: the file is empty: write something",
                "1:1: warning: a: this is odd: look at it",
                "2:1: mistake: b: this is wrong: mend it",
            ]
        );
    }
}
