//! Untagged data about server and account: CAPABILITY, ENABLED, ID, NAMESPACE, QUOTA.
//!
//! Standards: RFC 3501 section 7.2.1, RFC 5161 section 3.2, RFC 2971 section 3.2, RFC 2342
//! section 5, RFC 9208 section 4.2.

use crate::capability::Capability;
use crate::mailbox::SEPARATOR;
use crate::print::{self, put};
use crate::{Dialect, MailboxName};

/// `* CAPABILITY IMAP4rev1 …`
pub fn capability(out: &mut Vec<u8>, told: impl IntoIterator<Item = Capability>) {
    put(out, "* CAPABILITY");
    for capability in told {
        put(out, format_args!(" {capability}"));
    }
    put(out, "\r\n");
}

/// `* ENABLED CONDSTORE`: what is on now that was not before; perhaps nothing.
pub fn enabled(out: &mut Vec<u8>, names: &[Capability]) {
    put(out, "* ENABLED");
    for name in names {
        put(out, format_args!(" {name}"));
    }
    put(out, "\r\n");
}

/// `* ID ("name" "Hikyaku")`; NIL without fields.
pub fn id(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    put(out, "* ID ");
    if fields.is_empty() {
        put(out, "NIL");
    } else {
        print::list(out, fields.iter().flat_map(|(field, value)| [field, value]), |out, text| {
            print::string(out, text.as_bytes(), Dialect::SevenBit);
        });
    }
    put(out, "\r\n");
}

/// The prefixes of one kind of namespace; none: NIL.
pub type Namespace<'a> = &'a [&'a str];

/// `* NAMESPACE (("" "/")) NIL NIL`
pub fn namespace(
    out: &mut Vec<u8>,
    personal: Namespace<'_>,
    others: Namespace<'_>,
    shared: Namespace<'_>,
    dialect: Dialect,
) {
    put(out, "* NAMESPACE");
    for prefixes in [personal, others, shared] {
        put(out, " ");
        if prefixes.is_empty() {
            put(out, "NIL");
            continue;
        }
        put(out, "(");
        for prefix in prefixes {
            let wire = match dialect {
                Dialect::SevenBit => crate::utf7::encode(prefix),
                Dialect::Utf8 => (*prefix).to_owned(),
            };
            put(out, "(");
            print::string(out, wire.as_bytes(), dialect);
            put(out, format_args!(" \"{SEPARATOR}\")"));
        }
        put(out, ")");
    }
    put(out, "\r\n");
}

/// One resource of a quota root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaResource {
    /// `STORAGE` (in units of 1,024 bytes) or `MESSAGE`.
    pub name: &'static str,
    /// How much is used.
    pub usage: u64,
    /// How much may be.
    pub limit: u64,
}

/// `* QUOTA root (STORAGE 10 512)`
pub fn quota(out: &mut Vec<u8>, root: &str, resources: &[QuotaResource], dialect: Dialect) {
    put(out, "* QUOTA ");
    print::astring(out, root.as_bytes(), dialect);
    put(out, " ");
    print::list(out, resources, |out, resource| {
        put(out, format_args!("{} {} {}", resource.name, resource.usage, resource.limit));
    });
    put(out, "\r\n");
}

/// `* QUOTAROOT mailbox root`
pub fn quota_root(out: &mut Vec<u8>, mailbox: &MailboxName, roots: &[&str], dialect: Dialect) {
    put(out, "* QUOTAROOT ");
    print::mailbox(out, mailbox, dialect);
    for root in roots {
        put(out, " ");
        print::astring(out, root.as_bytes(), dialect);
    }
    put(out, "\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines() {
        let mut out = Vec::new();
        capability(&mut out, [Capability::Imap4Rev1, Capability::Idle]);
        enabled(&mut out, &[Capability::CondStore]);
        enabled(&mut out, &[]);
        id(&mut out, &[("name", "Hikyaku"), ("vendor", "a \"b\"")]);
        id(&mut out, &[]);
        namespace(&mut out, &[""], &["Été/"], &[], Dialect::SevenBit);
        let storage = QuotaResource { name: "STORAGE", usage: 10, limit: 512 };
        quota(&mut out, "", &[storage], Dialect::SevenBit);
        quota_root(&mut out, &MailboxName::inbox(), &["", "user"], Dialect::SevenBit);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* CAPABILITY IMAP4rev1 IDLE\r\n\
             * ENABLED CONDSTORE\r\n\
             * ENABLED\r\n\
             * ID (\"name\" \"Hikyaku\" \"vendor\" \"a \\\"b\\\"\")\r\n\
             * ID NIL\r\n\
             * NAMESPACE ((\"\" \"/\")) ((\"&AMk-t&AOk-/\" \"/\")) NIL\r\n\
             * QUOTA \"\" (STORAGE 10 512)\r\n\
             * QUOTAROOT INBOX \"\" user\r\n"
        );
    }
}
