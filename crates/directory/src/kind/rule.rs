//! Source rules: from where one may sign in, by tenant, domain, group or account, for each
//! service. What they lead to is decided where people sign in.
//!
//! A rule keeps two versions: the one that stands, and one that takes its place at
//! `next_from`, unless it had to be confirmed by `confirm_by` and was not. Which of them holds
//! follows from the time alone; nothing has to run for a roll-back to happen.

use std::fmt;
use std::str::FromStr;

use hikyaku_store::TenantTx;
use hikyaku_types::{AccountId, Domain, GroupId, Network, Timestamp};

use crate::change::{Settling, invalid, living_account};
use crate::credential::Entrance;
use crate::error::{DirectoryError, request};
use crate::field::{Text, choice, record, wrong};
use crate::kind::Kind;
use crate::kind::credential::Day;
use crate::kind::guessing::noted;
use crate::object::{self, Object, State};

choice! {
    /// What a rule does.
    pub enum RuleMode {
        /// Nothing.
        Off = "off",
        /// It says in the history whom it would refuse.
        Watch = "watch",
        /// It refuses.
        Enforce = "enforce",
    }
}

record! {
    /// One rule.
    pub struct Rule {
        /// For which service.
        service: Option<Text<Entrance>> = None,
        /// Whose accounts it is for: all of this domain.
        domain: Option<Text<Domain>> = None,
        /// Or the members of this group, by its id or name.
        group: Option<Text<String>> = None,
        /// Or this one; without domain, group and account all of the tenant.
        account: Option<Text<AccountId>> = None,
        /// What it does.
        mode: RuleMode = RuleMode::Watch,
        /// From where one may come, each with whose it is.
        allow: Vec<Text<Allowed>> = Vec::new(),
        /// What it will do, if it is being changed.
        next_mode: Option<Text<RuleModeWord>> = None,
        /// From where one may come then.
        next_allow: Vec<Text<Allowed>> = Vec::new(),
        /// From when on; it is watched before.
        next_from: Option<Text<Moment>> = None,
        /// Until when that must be confirmed, or it is taken back.
        confirm_by: Option<Text<Moment>> = None,
        /// A note.
        note: String = String::new(),
    }
}

/// Whose accounts a rule is for, within its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleLevel {
    /// All.
    Tenant,
    /// Those of a domain, by its number.
    Domain(i64),
    /// Those of a group, by its number.
    Group(i64),
    /// One, by its number.
    Account(i64),
}

/// From where one may come, as an entry of a rule says.
///
/// Written `192.0.2.0/24 office in Osaka`, `JP staff in Japan`, `AS2497 our provider`, or with
/// the last day on which it is allowed, `192.0.2.0/24 until 2027-03-31 auditors`. The note is
/// never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// From where.
    pub origin: Origin,
    /// The last day; `None` is for ever.
    pub until: Option<Day>,
    /// Whose it is.
    pub note: String,
}

/// A part of the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Addresses.
    Network(Network),
    /// A country, by the two letters of ISO 3166-1.
    Country([u8; 2]),
    /// A network by the number of its autonomous system.
    Asn(u32),
}

/// Most entries of a rule.
pub const MOST_ALLOWED: usize = 1_000;
/// Most rules of a tenant, and most exceptions: all are read in one closure.
pub(crate) const MOST: u16 = 200;

const FORM: &str = "a network, country or AS number and whose it is, like 192.0.2.0/24 office in Osaka, \
                    JP staff in Japan, AS2497 our provider, or 192.0.2.0/24 until 2027-03-31 auditors";

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Country(letters) => letters.iter().try_for_each(|&c| write!(f, "{}", char::from(c))),
            Self::Asn(number) => write!(f, "AS{number}"),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let upper = text.to_ascii_uppercase();
        if let [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] = *upper.as_bytes() {
            return Ok(Self::Country([a, b]));
        }
        let digits = upper.strip_prefix("AS").filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).map(Self::Asn).ok_or_else(|| wrong(text, FORM))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.origin)?;
        if let Some(day) = self.until {
            write!(f, "until {day} ")?;
        }
        f.write_str(&self.note)
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (origin, until, note) = noted(text, FORM)?;
        Ok(Self { origin, until, note })
    }
}

/// A moment, written like 2027-03-31T15:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<jiff::Timestamp>();
        let moment = parsed.map(|moment| Self(Timestamp::from_millis(moment.as_millisecond())));
        moment.map_err(|_| wrong(text, "a moment like 2027-03-31T15:00:00Z"))
    }
}

/// A mode where there may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleModeWord(pub RuleMode);

impl fmt::Display for RuleModeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::field::FieldValue as _;
        f.write_str(&self.0.print())
    }
}

impl FromStr for RuleModeWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use crate::field::FieldValue as _;
        RuleMode::parse(text).map(Self)
    }
}

/// Whose accounts a rule is for: its level, as its name says it.
pub(crate) fn level(object: &Object) -> RuleLevel {
    let parent = object.parent.unwrap_or_default();
    match object.name.split(':').nth(1) {
        Some("domain") => RuleLevel::Domain(parent),
        Some("group") => RuleLevel::Group(parent),
        Some("account") => RuleLevel::Account(parent),
        _ => RuleLevel::Tenant,
    }
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    let mut fields: Rule = object::record(&object.data)?;
    let Some(Text(service)) = fields.service else {
        return Err(invalid("service", "a rule is for one service: name it"));
    };
    let (parent, level) = owner(tx, &mut fields, object.tenant.as_i64())?;
    let name = format!("{service}:{level}");
    match settling.before {
        Some(before) if before.name != name => return Err(DirectoryError::Request(request::NOT_RENAMED)),
        Some(_) => {}
        None if object::count(tx, Kind::Rule)? >= u64::from(MOST) => {
            return Err(invalid(
                "service",
                format!("a tenant has at most {MOST} rules: make one for a group"),
            ));
        }
        None => {}
    }
    for (field, allow) in [("allow", &fields.allow), ("next_allow", &fields.next_allow)] {
        if allow.len() > MOST_ALLOWED {
            return Err(invalid(field, format!("a rule has at most {MOST_ALLOWED} entries")));
        }
    }
    if fields.next_mode.is_some() != fields.next_from.is_some() {
        return Err(invalid("next_from", "what a rule will do, and from when on, are given together"));
    }
    object.name = name;
    object.parent = Some(parent);
    object.set_record(&fields)?;
    Ok(())
}

/// The number of what a rule is of, and how its name says that.
fn owner(tx: &mut TenantTx<'_>, fields: &mut Rule, tenant: i64) -> Result<(i64, String), DirectoryError> {
    match (&fields.domain, &fields.group, fields.account) {
        (None, None, None) => Ok((tenant, "tenant".into())),
        (Some(Text(domain)), None, None) => {
            let found = object::by_name(tx, Kind::Domain, domain.as_str())?;
            let found = found.filter(|found| found.state != State::Deleted);
            let missing = || DirectoryError::NoDomain { domain: domain.to_string() };
            Ok((found.ok_or_else(missing)?.id, format!("domain:{domain}")))
        }
        (None, Some(Text(group)), None) => {
            let found = match group.parse::<GroupId>() {
                Ok(id) => object::by_id(tx, Kind::Group, id.as_i64())?,
                Err(_) => object::by_name(tx, Kind::Group, group)?,
            };
            let found = found.filter(|found| found.state != State::Deleted);
            let missing = || DirectoryError::NotFound { kind: Kind::Group, name: group.clone() };
            let id = found.ok_or_else(missing)?.id;
            let text = Kind::Group.id_text(id);
            // Groups are renamed; ids are not.
            fields.group = Some(Text(text.clone()));
            Ok((id, format!("group:{text}")))
        }
        (None, None, Some(Text(account))) => {
            living_account(tx, account)?;
            Ok((account.as_i64(), format!("account:{account}")))
        }
        _ => {
            Err(invalid("domain", "a rule is for a domain, a group or an account: name one, or none for all"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_are_printed() {
        for text in [
            "192.0.2.0/24 office in Osaka",
            "2001:db8::/32 until 2027-03-31 auditors",
            "JP 日本の社員",
            "AS2497 our provider",
        ] {
            let entry: Allowed = text.parse().unwrap();
            assert_eq!(entry.to_string(), text);
        }
        assert_eq!("jp staff".parse::<Allowed>().unwrap().to_string(), "JP staff");
        assert_eq!("as7 staff".parse::<Allowed>().unwrap().origin, Origin::Asn(7));
    }

    #[test]
    fn entries_say_whose_they_are() {
        for text in ["192.0.2.0/24", "JP", "Japan staff", "AS+7 staff", "AS4294967296 staff", "1P staff"] {
            let told = text.parse::<Allowed>().unwrap_err();
            assert!(
                told.contains("is not a network, country or AS number and whose it is"),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn moments_are_read_as_they_are_printed() {
        let moment: Moment = "2027-03-31T15:00:00Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2027-03-31T15:00:00.000Z");
        assert_eq!(moment.to_string().parse::<Moment>().unwrap(), moment);
        assert!("tomorrow".parse::<Moment>().unwrap_err().contains("`tomorrow` is not a moment"));
    }
}
