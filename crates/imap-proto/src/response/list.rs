//! LIST and LSUB responses.
//!
//! Standards: RFC 3501 sections 7.2.2 and 7.2.3, RFC 5258 section 4 (attributes, CHILDINFO),
//! RFC 6154 section 2 (special uses), RFC 9051 section 6.3.9.7 (OLDNAME).

use crate::command::SpecialUse;
use crate::mailbox::SEPARATOR;
use crate::print::{self, put};
use crate::words::words;
use crate::{Dialect, MailboxName};

words! {
    /// `mbx-list-flags` without the special uses.
    ListAttribute "expected a mailbox attribute" {
        /// Has children.
        HasChildren "\\HasChildren",
        /// Has none.
        HasNoChildren "\\HasNoChildren",
        /// New messages since it was last opened.
        Marked "\\Marked",
        /// There is no such mailbox; it has children or is subscribed.
        NonExistent "\\NonExistent",
        /// It cannot have children.
        NoInferiors "\\Noinferiors",
        /// It cannot be opened.
        NoSelect "\\Noselect",
        /// On another server.
        Remote "\\Remote",
        /// Subscribed.
        Subscribed "\\Subscribed",
        /// No new messages since it was last opened.
        Unmarked "\\Unmarked",
    }
}

/// One mailbox of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry<'a> {
    /// Its name.
    pub name: &'a MailboxName,
    /// What it is.
    pub attributes: &'a [ListAttribute],
    /// What it is for.
    pub special_use: &'a [SpecialUse],
    /// It has subscribed descendants that the patterns do not match: CHILDINFO, for
    /// RECURSIVEMATCH (RFC 5258 section 3.5).
    pub child_info: bool,
    /// The name that it had, or by which the client called it: OLDNAME.
    pub old_name: Option<&'a MailboxName>,
}

/// `* LIST (…) "/" name`
pub fn list(out: &mut Vec<u8>, entry: &ListEntry<'_>, dialect: Dialect) {
    print_entry(out, "LIST", entry, dialect);
}

/// `* LSUB (…) "/" name`
pub fn lsub(out: &mut Vec<u8>, entry: &ListEntry<'_>, dialect: Dialect) {
    print_entry(out, "LSUB", entry, dialect);
}

/// The answer to the empty pattern: the separator and the root (RFC 3501 section 6.3.8).
pub fn list_separator(out: &mut Vec<u8>) {
    put(out, format_args!("* LIST (\\Noselect) \"{SEPARATOR}\" \"\"\r\n"));
}

fn print_entry(out: &mut Vec<u8>, response: &str, entry: &ListEntry<'_>, dialect: Dialect) {
    put(out, format_args!("* {response} "));
    let attributes = entry.attributes.iter().map(|attribute| attribute.as_str());
    let uses = entry.special_use.iter().map(|special_use| special_use.as_str());
    print::list(out, attributes.chain(uses), put);
    put(out, format_args!(" \"{SEPARATOR}\" "));
    print::mailbox(out, entry.name, dialect);
    if entry.child_info || entry.old_name.is_some() {
        put(out, " (");
        print_extended(out, entry, dialect);
        put(out, ")");
    }
    put(out, "\r\n");
}

/// `mbox-list-extended` without its brackets
fn print_extended(out: &mut Vec<u8>, entry: &ListEntry<'_>, dialect: Dialect) {
    if entry.child_info {
        put(out, "\"CHILDINFO\" (\"SUBSCRIBED\")");
    }
    if let Some(old_name) = entry.old_name {
        put(out, if entry.child_info { " \"OLDNAME\" (" } else { "\"OLDNAME\" (" });
        print::mailbox(out, old_name, dialect);
        put(out, ")");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines() {
        let name = MailboxName::new("Foo/Gesendet é").unwrap();
        let entry = ListEntry {
            name: &name,
            attributes: &[ListAttribute::HasNoChildren],
            special_use: &[SpecialUse::Sent],
            child_info: false,
            old_name: None,
        };
        let mut out = Vec::new();
        list(&mut out, &entry, Dialect::SevenBit);
        list(&mut out, &entry, Dialect::Utf8);
        lsub(
            &mut out,
            &ListEntry { attributes: &[], special_use: &[], child_info: true, ..entry },
            Dialect::SevenBit,
        );
        let old = MailboxName::new("Sent").unwrap();
        list(&mut out, &ListEntry { attributes: &[], old_name: Some(&old), ..entry }, Dialect::Utf8);
        list(&mut out, &ListEntry { child_info: true, old_name: Some(&old), ..entry }, Dialect::Utf8);
        list_separator(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* LIST (\\HasNoChildren \\Sent) \"/\" \"Foo/Gesendet &AOk-\"\r\n\
             * LIST (\\HasNoChildren \\Sent) \"/\" \"Foo/Gesendet é\"\r\n\
             * LSUB () \"/\" \"Foo/Gesendet &AOk-\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n\
             * LIST (\\Sent) \"/\" \"Foo/Gesendet é\" (\"OLDNAME\" (Sent))\r\n\
             * LIST (\\HasNoChildren \\Sent) \"/\" \"Foo/Gesendet é\" \
             (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (Sent))\r\n\
             * LIST (\\Noselect) \"/\" \"\"\r\n"
        );
    }
}
