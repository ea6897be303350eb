//! What puts messages into threads: ids of parents, and the subject without its prefixes.
//!
//! Standards: RFC 5322 section 3.6.4, RFC 5256 section 2.1 (base subject) with the prefixes
//! that Japanese mail programs write, RFC 8621 section 3 (threads of JMAP).

use std::collections::HashSet;

use crate::fields::message_ids;
use crate::header::Header;

/// More parents than this are not given: the first, and the newest of the others.
pub const MAX_PARENTS: usize = 100;

/// Longest subject that is looked at, in characters; what is behind does not tell threads
/// apart, and the rules of RFC 5256 take quadratic time.
const MAX_SUBJECT: usize = 500;

/// The ids that connect a message with others, normalised by [`message_ids`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadIds {
    /// The message's own id.
    pub own: Option<String>,
    /// `References`, oldest first, then what only `In-Reply-To` names; each once, none of
    /// them the own.
    pub parents: Vec<String>,
}

/// Reads the ids of a header.
pub fn thread_ids(header: Header<'_>) -> ThreadIds {
    let own = header.get("Message-ID").and_then(|field| message_ids(field.value).into_iter().next());
    let mut seen: HashSet<String> = own.iter().cloned().collect();
    let mut parents = Vec::new();
    for name in ["References", "In-Reply-To"] {
        parents.extend(header.all(name).flat_map(|field| message_ids(field.value)));
    }
    parents.retain(|id| seen.insert(id.clone()));
    if parents.len() > MAX_PARENTS {
        let surplus = parents.len() - MAX_PARENTS;
        parents.drain(1..=surplus);
    }
    ThreadIds { own, parents }
}

/// Words that stand before the colon of an answer or a forwarded message, in lower case.
/// The full-width letters are what an input method makes of them.
const PREFIXES: [&str; 9] = ["re", "fwd", "fw", "ｒｅ", "ｆｗｄ", "ｆｗ", "返信", "転送", "返"];

/// The base subject of RFC 5256 section 2.1: what a subject is about. Compare it without
/// regard to case. `subject` is decoded.
pub fn base_subject(subject: &str) -> String {
    Subject::of(subject).base
}

/// What a subject says of its message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// What it is about.
    pub base: String,
    /// It is an answer, or it was forwarded.
    pub is_answer: bool,
}

impl Subject {
    /// Reads a decoded subject, RFC 5256 section 2.1.
    pub fn of(subject: &str) -> Self {
        let words: Vec<&str> = subject.split_whitespace().collect();
        let collapsed: String = words.join(" ").chars().take(MAX_SUBJECT).collect();
        let mut base = collapsed.as_str();
        let mut is_answer = false;
        loop {
            let untrailed = without_trailers(base);
            is_answer |= untrailed.len() < base.trim_end().len();
            let (rest, had_mark) = without_prefixes(untrailed);
            is_answer |= had_mark;
            base = rest;
            match forwarded(base) {
                Some(inner) => (base, is_answer) = (inner, true),
                None => return Self { base: base.to_owned(), is_answer },
            }
        }
    }
}

/// Step 2: `subj-trailer`.
fn without_trailers(mut subject: &str) -> &str {
    loop {
        subject = subject.trim_end();
        match strip_suffix_ignoring_case(subject, "(fwd)") {
            Some(rest) => subject = rest,
            None => return subject,
        }
    }
}

/// Steps 3 to 5: `subj-leader` and `subj-blob`, in any order. Says also whether there was a
/// mark of an answer among them.
fn without_prefixes(mut subject: &str) -> (&str, bool) {
    let mut is_answer = false;
    loop {
        subject = subject.trim_start();
        if let Some(rest) = leader(subject) {
            (subject, is_answer) = (rest, true);
        } else if let Some(rest) = blob(subject).filter(|rest| !rest.trim().is_empty()) {
            subject = rest;
        } else {
            return (subject, is_answer);
        }
    }
}

/// `subj-leader = (*subj-blob subj-refwd) / WSP`; gives what is behind it.
fn leader(mut subject: &str) -> Option<&str> {
    loop {
        if let Some(rest) = answer_mark(subject) {
            return Some(rest);
        }
        subject = blob(subject)?;
    }
}

/// `subj-refwd`, with a full-width colon, and with the counts of `Re[2]:`, `Re^2:`, `Re2:`.
fn answer_mark(subject: &str) -> Option<&str> {
    let rest = PREFIXES.iter().find_map(|prefix| strip_prefix_ignoring_case(subject, prefix))?;
    let rest = rest.strip_prefix(['^', '*']).unwrap_or(rest);
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let rest = blob(rest).unwrap_or(rest);
    rest.strip_prefix([':', '：'])
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`; gives what is behind it.
fn blob(subject: &str) -> Option<&str> {
    let inside = subject.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    inside.get(end..)?.strip_prefix(']').map(str::trim_start)
}

/// Step 6: `[fwd: … ]`.
fn forwarded(subject: &str) -> Option<&str> {
    strip_prefix_ignoring_case(subject, "[fwd:")?.strip_suffix(']')
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    // Of the prefixes here no letter changes its length in UTF-8 with its case.
    let (start, rest) = text.split_at_checked(prefix.len())?;
    (start.to_lowercase() == prefix).then_some(rest)
}

fn strip_suffix_ignoring_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_of_a_header() {
        let header = Header::new(
            b"Message-ID: <own@X.test>\r\nReferences: <1@x.test>\r\n <2@x.test> <1@x.test>\r\n\
              In-Reply-To: <2@x.test> <3@x.test> <own@x.test>\r\n",
        );
        let ids = thread_ids(header);
        assert_eq!(ids.own.as_deref(), Some("own@x.test"));
        assert_eq!(ids.parents, ["1@x.test", "2@x.test", "3@x.test"]);
        assert_eq!(thread_ids(Header::new(b"Subject: x\r\n")), ThreadIds::default());
    }

    #[test]
    fn the_number_of_parents_is_bounded() {
        let ids: String = (0..300).map(|number| format!("<{number}@x.test>\r\n ")).collect();
        let block = format!("References: {ids}");
        let parents = thread_ids(Header::new(block.as_bytes())).parents;
        assert_eq!(parents.len(), MAX_PARENTS);
        assert_eq!(parents[0], "0@x.test");
        assert_eq!(parents[1], "201@x.test");
        assert_eq!(parents[MAX_PARENTS - 1], "299@x.test");
    }

    #[test]
    fn base_subjects() {
        for (subject, expected) in [
            ("", ""),
            ("Hello", "Hello"),
            ("  Hello \t world ", "Hello world"),
            ("Re: Hello", "Hello"),
            ("RE:Fwd: re : Hello", "Hello"),
            ("Re[2]: Hello", "Hello"),
            ("Re^2: Hello", "Hello"),
            ("Re2: Hello", "Hello"),
            ("[list] Re: [list] Hello", "Hello"),
            ("Re: [list 123] Re: Hello", "Hello"),
            ("[list]", "[list]"),
            ("[a] [b]", "[b]"),
            ("Hello (fwd) (FWD)", "Hello"),
            ("[Fwd: Re: Hello]", "Hello"),
            ("[fwd: [fwd: Hello (fwd)]]", "Hello"),
            ("返信: 件名", "件名"),
            ("転送：返信： 件名", "件名"),
            ("RE： 件名", "件名"),
            ("Ｒｅ：件名", "件名"),
            ("[ml:00123] Re: 件名", "件名"),
            ("Re: [ml:00123] 件名", "件名"),
            // Words that only begin alike.
            ("Reply: x", "Reply: x"),
            ("Regarding", "Regarding"),
            ("返信", "返信"),
            ("Re", "Re"),
            ("Re:", ""),
            ("[[nested] x", "[[nested] x"),
            ("[open", "[open"),
        ] {
            assert_eq!(base_subject(subject), expected, "{subject}");
        }
    }

    #[test]
    fn answers() {
        for (subject, is_answer) in [
            ("Hello", false),
            ("[list] Hello", false),
            ("  Hello  ", false),
            ("Re: Hello", true),
            ("[list] Re: Hello", true),
            ("Hello (fwd)", true),
            ("[Fwd: Hello]", true),
            ("転送： 件名", true),
            ("返信", false),
        ] {
            assert_eq!(Subject::of(subject).is_answer, is_answer, "{subject}");
        }
    }

    proptest! {
        #[test]
        fn a_base_subject_is_its_own_base(subject in "(Re:|fwd:|\\[a\\]|\\[fwd:|\\]|\\(fwd\\)| |返信：|x|\\[){0,12}") {
            let base = base_subject(&subject);
            prop_assert_eq!(base_subject(&base), base);
        }

        #[test]
        fn answers_have_the_subject_of_the_question(subject in "[a-z日本語]{1,12}( [a-z]{1,5}){0,3}",
            prefix in prop::sample::select(vec!["Re: ", "Fw:", "[x] Re: ", "返信: ", "RE：", "Re[3]: "])) {
            prop_assume!(base_subject(&subject) == subject);
            prop_assert_eq!(base_subject(&format!("{prefix}{subject}")), subject);
        }
    }
}
