//! The DNS tree walk: which records stand above a domain, and where its organization begins.
//!
//! Standards: RFC 9989 section 4.10 (the walk), section 4.10.2 (organizational domain).

use super::record::{PublicSuffix, Record};
use crate::Name;
use crate::dns::{Dns, DnsError, Kind, texts};
use crate::side_by_side::all;

/// Names with more labels are cut before the walk goes on, RFC 9989 section 4.10 step 4.
const LABELS_KEPT: usize = 7;

/// The names that are asked, from the longest: at most 8.
pub(super) fn targets(start: &Name) -> Vec<Name> {
    let mut targets = vec![start.clone()];
    let mut next =
        if start.label_count() > LABELS_KEPT { Some(start.last_labels(LABELS_KEPT)) } else { start.parent() };
    while let Some(name) = next {
        next = name.parent();
        targets.push(name);
    }
    targets
}

/// What a walk found, from the longest name.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    start: Name,
    found: Vec<(Name, Result<Option<Record>, DnsError>)>,
}

impl Walk {
    /// Asks all names of the walk at once: only a `psd=` would have spared any of them.
    pub(super) async fn take(dns: &impl Dns, start: &Name) -> Self {
        let targets = targets(start);
        let answers = all(targets.iter().map(|name| record_at(dns, name))).await;
        let found = targets.into_iter().zip(answers).collect();
        Self { start: start.clone(), found }
    }

    /// The record of the domain where the walk began.
    pub(super) fn at_start(&self) -> Result<Option<&Record>, DnsError> {
        match self.found.first() {
            Some((_, Ok(record))) => Ok(record.as_ref()),
            Some((_, Err(error))) => Err(*error),
            None => Ok(None),
        }
    }

    /// The records up to the first that says whether its domain is a public suffix; no answer
    /// on the way leaves everything open.
    fn records(&self) -> Result<Vec<(&Name, &Record)>, DnsError> {
        let mut records = Vec::new();
        for (name, answer) in &self.found {
            if let Some(record) = answer.as_ref().map_err(|error| *error)? {
                records.push((name, record));
                if record.public_suffix != PublicSuffix::Unknown {
                    break;
                }
            }
        }
        Ok(records)
    }

    /// The organizational domain of the domain where the walk began.
    pub(super) fn organizational_domain(&self) -> Result<Name, DnsError> {
        let records = self.records()?;
        for (name, record) in &records {
            match record.public_suffix {
                PublicSuffix::No => return Ok((*name).clone()),
                PublicSuffix::Yes if **name != self.start => {
                    return Ok(self.start.last_labels(name.label_count() + 1));
                }
                _ => {}
            }
        }
        Ok(records.last().map_or(&self.start, |(name, _)| name).clone())
    }

    /// The record that applies, and whose it is: that of the domain itself, of its
    /// organizational domain, or of the public suffix (section 4.10.1).
    pub(super) fn applicable(&self) -> Result<Option<(&Name, &Record)>, DnsError> {
        if let Some(record) = self.at_start()? {
            return Ok(Some((&self.start, record)));
        }
        let organizational_domain = self.organizational_domain()?;
        let records = self.records()?;
        let own = records.iter().find(|(name, _)| **name == organizational_domain);
        let suffix = records.iter().find(|(_, record)| record.public_suffix == PublicSuffix::Yes);
        Ok(own.or(suffix).copied())
    }
}

/// The record of one domain. Several are none (section 4.10 step 2).
async fn record_at(dns: &impl Dns, name: &Name) -> Result<Option<Record>, DnsError> {
    let Some(place) = name.below("_dmarc") else { return Ok(None) };
    let records = match dns.look_up(&place, Kind::Txt).await {
        Ok(records) => records,
        Err(error) if error.is_void() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut candidates = texts(&records).filter(|text| is_dmarc(text));
    match (candidates.next(), candidates.next()) {
        (Some(text), None) => Ok(Record::parse(text)),
        _ => Ok(None),
    }
}

/// Does the text begin with the version?
fn is_dmarc(text: &[u8]) -> bool {
    let version = text.split(|&octet| octet == b';').next().unwrap_or_default();
    let mut parts = version.splitn(2, |&octet| octet == b'=').map(<[u8]>::trim_ascii);
    parts.next() == Some(b"v") && parts.next() == Some(b"DMARC1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Table;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn the_names_of_rfc_9989_section_4_10() {
        let asked = |start: &str| targets(&name(start)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            asked("a.b.c.d.e.f.g.h.i.j.mail.example.com"),
            [
                "a.b.c.d.e.f.g.h.i.j.mail.example.com",
                "g.h.i.j.mail.example.com",
                "h.i.j.mail.example.com",
                "i.j.mail.example.com",
                "j.mail.example.com",
                "mail.example.com",
                "example.com",
                "com",
            ]
        );
        // Section 5.1.8: the zone cut at b.c.d.e.f.g.example.com is never seen.
        assert_eq!(
            asked("mail.a.b.c.d.e.f.g.example.com"),
            [
                "mail.a.b.c.d.e.f.g.example.com",
                "c.d.e.f.g.example.com",
                "d.e.f.g.example.com",
                "e.f.g.example.com",
                "f.g.example.com",
                "g.example.com",
                "example.com",
                "com",
            ]
        );
        assert_eq!(asked("a.b.c.d.e.f.g.com").len(), 8);
        assert_eq!(asked("a.b.c.d.e.f.com").len(), 7);
        assert_eq!(asked("a.example.com"), ["a.example.com", "example.com", "com"]);
        assert_eq!(asked("com"), ["com"]);
    }

    /// Domains with their records, a start, its organizational domain, and whose record
    /// applies.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, Option<&'a str>);

    #[tokio::test]
    async fn organizational_domains_and_records() {
        let rows: [Row<'_>; 18] = [
            // The three examples of section 4.10.2.
            (
                &[("mail.example.com", "p=none"), ("example.com", "p=none")],
                "a.mail.example.com",
                "example.com",
                Some("example.com"),
            ),
            (
                &[("mail.example.com", "p=none; psd=n"), ("example.com", "p=none")],
                "a.mail.example.com",
                "mail.example.com",
                Some("mail.example.com"),
            ),
            (&[("com", "p=reject; psd=y")], "a.mail.example.com", "example.com", Some("com")),
            // Section 4.10.2 rule 2.
            (
                &[("example.com", "p=none; psd=y")],
                "mail.example.com",
                "mail.example.com",
                Some("example.com"),
            ),
            // A public suffix that sends mail itself.
            (&[("com", "p=reject; psd=y")], "com", "com", Some("com")),
            (
                &[("example.com", "p=none; psd=y"), ("com", "p=none; psd=y")],
                "example.com",
                "example.com",
                Some("example.com"),
            ),
            // The author's own record applies, whatever the organization is.
            (
                &[("a.example.com", "p=none"), ("example.com", "p=reject")],
                "a.example.com",
                "example.com",
                Some("a.example.com"),
            ),
            (
                &[("a.example.com", "p=none; psd=n"), ("example.com", "p=reject")],
                "a.example.com",
                "a.example.com",
                Some("a.example.com"),
            ),
            // Appendix B.4.1.
            (
                &[("example.com", "p=none"), ("signing.example.com", "p=none")],
                "signing.example.com",
                "example.com",
                Some("signing.example.com"),
            ),
            // Appendix B.4.2.
            (
                &[("example.com", "p=none")],
                "a.b.c.d.e.f.g.h.i.j.k.example.com",
                "example.com",
                Some("example.com"),
            ),
            // Appendix B.4.3.
            (
                &[("giant.bank.example", "p=none"), ("bank.example", "p=none; psd=y")],
                "giant.bank.example",
                "giant.bank.example",
                Some("giant.bank.example"),
            ),
            (
                &[("giant.bank.example", "p=none"), ("bank.example", "p=none; psd=y")],
                "mail.giant.bank.example",
                "giant.bank.example",
                Some("giant.bank.example"),
            ),
            (
                &[("giant.bank.example", "p=none"), ("bank.example", "p=none; psd=y")],
                "mail.mega.bank.example",
                "mega.bank.example",
                Some("bank.example"),
            ),
            // A suffix with a record of its organization below.
            (
                &[("example.co.uk", "p=none"), ("uk", "p=reject; psd=y")],
                "a.example.co.uk",
                "co.uk",
                Some("uk"),
            ),
            (
                &[("co.uk", "p=reject; psd=y"), ("uk", "p=none; psd=y")],
                "a.example.co.uk",
                "example.co.uk",
                Some("co.uk"),
            ),
            // Records that are none.
            (&[("example.com", "p=bogus")], "a.example.com", "a.example.com", None),
            (&[], "a.example.com", "a.example.com", None),
            (
                &[("example.com", "p=none"), ("example.com", "p=reject")],
                "a.example.com",
                "a.example.com",
                None,
            ),
        ];
        for (records, start, organization, applies) in rows {
            let mut dns = Table::default();
            for (domain, text) in records {
                dns.insert_txt(name(&format!("_dmarc.{domain}")), &format!("v=DMARC1; {text}"));
            }
            let walk = Walk::take(&dns, &name(start)).await;
            assert_eq!(walk.organizational_domain(), Ok(name(organization)), "{records:?} {start}");
            let applicable = walk.applicable().unwrap().map(|(name, _)| name.as_str());
            assert_eq!(applicable, applies, "{records:?} {start}");
        }
    }

    #[tokio::test]
    async fn no_answer_leaves_everything_open_above_it() {
        let mut dns = Table::default();
        dns.insert_txt(name("_dmarc.a.example.com"), "v=DMARC1; p=reject");
        dns.fail(name("_dmarc.example.com"), Kind::Txt, DnsError::ServFail);
        let walk = Walk::take(&dns, &name("a.example.com")).await;
        assert_eq!(walk.organizational_domain(), Err(DnsError::ServFail));
        assert_eq!(walk.applicable().unwrap().unwrap().0, &name("a.example.com"));
        let walk = Walk::take(&dns, &name("b.example.com")).await;
        assert_eq!(walk.applicable(), Err(DnsError::ServFail));
        // What lies behind the end of the walk does not matter.
        dns.insert_txt(name("_dmarc.c.example.com"), "v=DMARC1; p=reject; psd=n");
        let walk = Walk::take(&dns, &name("c.example.com")).await;
        assert_eq!(walk.organizational_domain(), Ok(name("c.example.com")));
    }
}
