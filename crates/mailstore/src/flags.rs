//! Flags and keywords of an entry.
//!
//! Standards: RFC 9051 section 2.3.2 (system flags), RFC 8621 section 4.1.1 (keywords).

/// System flags, as bits of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(i64);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Seen`.
    pub const SEEN: Self = Self(1);
    /// `\Answered`.
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`.
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`.
    pub const DELETED: Self = Self(8);
    /// `\Draft`.
    pub const DRAFT: Self = Self(16);

    /// Flags from a column; unknown bits are kept, so that an older program loses nothing.
    pub const fn from_i64(bits: i64) -> Self {
        Self(bits)
    }

    /// The column.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `self` but not `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Has it all of `other`?
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Keywords of an entry: lower case, sorted, each once.
///
/// IMAP compares keywords without regard to case (RFC 9051 section 2.3.2), JMAP has them in
/// lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Keywords(Vec<String>);

impl Keywords {
    /// Most keywords of one entry.
    pub const MOST: usize = 100;

    /// These keywords, in one form.
    pub fn new<'k>(words: impl IntoIterator<Item = &'k str>) -> Self {
        let mut words: Vec<String> = words.into_iter().map(str::to_ascii_lowercase).collect();
        words.sort_unstable();
        words.dedup();
        Self(words)
    }

    /// Keywords from a column: words with spaces between.
    pub fn from_column(column: Option<&str>) -> Self {
        Self(column.map(|text| text.split(' ').map(str::to_owned).collect()).unwrap_or_default())
    }

    /// The column; NULL for none.
    pub fn to_column(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(" "))
    }

    /// The keywords.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// More than [`Keywords::MOST`]?
    pub fn is_too_many(&self) -> bool {
        self.0.len() > Self::MOST
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn with(&self, other: &Self) -> Self {
        Self::new(self.iter().chain(other.iter()))
    }

    fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|word| !other.0.contains(word)).cloned().collect())
    }
}

/// What STORE does to flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `FLAGS`: these and no others.
    Replace(Flags, Keywords),
    /// `+FLAGS`.
    Add(Flags, Keywords),
    /// `-FLAGS`.
    Remove(Flags, Keywords),
}

impl Change {
    /// Flags and keywords after the change.
    pub fn apply(&self, flags: Flags, keywords: &Keywords) -> (Flags, Keywords) {
        match self {
            Self::Replace(new_flags, new_keywords) => (*new_flags, new_keywords.clone()),
            Self::Add(more_flags, more_keywords) => (flags.with(*more_flags), keywords.with(more_keywords)),
            Self::Remove(less_flags, less_keywords) => {
                (flags.without(*less_flags), keywords.without(less_keywords))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let flags = Flags::SEEN.with(Flags::DRAFT);
        let keywords = Keywords::new(["$Forwarded", "work"]);
        let other = Keywords::new(["WORK", "$junk"]);
        assert_eq!(
            Change::Add(Flags::FLAGGED, other.clone()).apply(flags, &keywords),
            (flags.with(Flags::FLAGGED), Keywords::new(["$forwarded", "$junk", "work"]))
        );
        assert_eq!(
            Change::Remove(Flags::DRAFT, other.clone()).apply(flags, &keywords),
            (Flags::SEEN, Keywords::new(["$forwarded"]))
        );
        assert_eq!(Change::Replace(Flags::NONE, other.clone()).apply(flags, &keywords), (Flags::NONE, other));
    }

    #[test]
    fn keywords_survive_the_column() {
        for keywords in [Keywords::default(), Keywords::new(["a"]), Keywords::new(["b", "A", "a"])] {
            assert_eq!(Keywords::from_column(keywords.to_column().as_deref()), keywords);
        }
    }
}
