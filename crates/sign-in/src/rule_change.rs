//! Changes of source rules: tried out before they hold, never shutting out who makes them,
//! and run over the past first if one likes.
//!
//! What a rule is to become is decided by `hikyaku_access::rule::change`; the directory keeps
//! it, with its versions, rights and audit log. The version that was read is named with the
//! change, so that of two administrators who change a rule the later one is told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use hikyaku_access::facts::{AccountFacts, SubjectKey};
use hikyaku_access::history::Verdict;
use hikyaku_access::place::Place;
use hikyaku_access::rule::change::{Begin, ChangeError, ConfirmError, From as Source, OwnAddress};
use hikyaku_access::rule::replay::{Past, Replay, replay};
use hikyaku_access::rule::{Allow, Mode, Origin, Rule, Version};
use hikyaku_directory::{
    self as directory, Action, Allowed, Answer, DirectoryError, Edit, Entrance, FieldEdit, Kind, Moment,
    Named, Request, RuleMode, Verb, View,
};
use hikyaku_store::StoreError;
use hikyaku_types::{AccountId, Actor, Address, DomainId, TenantId, Timestamp};

use crate::gate::Gate;
use crate::history::Wanted;
use crate::rules;

/// Lines of history that a replay looks at.
const MOST: usize = 50_000;
/// Lines of one page.
const PAGE: u16 = 500;

/// Whose rule it is, for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOf {
    /// For which service.
    pub service: Entrance,
    /// Of which tenant, by its name or id; the actor's own without it.
    pub tenant: Option<String>,
    /// Within it: all, or fewer.
    pub owner: RuleOwner,
}

/// Whose accounts a rule is for, by names or ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleOwner {
    /// All of the tenant.
    Tenant,
    /// Those of a domain.
    Domain(String),
    /// The members of a group.
    Group(String),
    /// One.
    Account(String),
}

/// Who acts, and from where.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// With which rights.
    pub actor: Actor,
    /// As the audit log says it.
    pub who: &'a str,
    /// Why, for the audit log.
    pub reason: Option<&'a str>,
    /// From which address; `None` at the server itself, whom no rule refuses.
    pub from: Option<IpAddr>,
    /// Nothing is to be changed: only said what would.
    pub dry_run: bool,
}

/// What a rule is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it does.
    pub mode: RuleMode,
    /// From where one may come; `None` leaves that as it is.
    pub allow: Option<Vec<Allowed>>,
    /// When it begins to.
    pub begin: Begin,
    /// What if it would refuse who makes it.
    pub own_address: OwnAddress,
}

/// Why a rule was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The directory did not take it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It would be wrong to.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// It is not confirmed.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// There is none.
    #[error("there is no such rule: `hikyaku admin rule list` shows those that there are")]
    NoRule,
}

impl From<StoreError> for RuleError {
    fn from(error: StoreError) -> Self {
        Self::Directory(error.into())
    }
}

/// A rule as the directory has it.
struct Found {
    named: Named,
    view: View,
    fields: directory::Rule,
}

impl Gate {
    /// Gives a rule another version, which is tried out first; makes the rule if there is none.
    ///
    /// # Errors
    /// [`RuleError`]; the rule stays as it is.
    pub async fn propose_rule(
        &self,
        by: &By<'_>,
        of: &RuleOf,
        proposal: &Proposal,
    ) -> Result<View, RuleError> {
        let found = self.find_rule(by, of).await?;
        let before = found.as_ref().map_or_else(Rule::new, |found| rules::rule(&found.fields));
        let now = self.clock.now();
        let allow = match &proposal.allow {
            Some(allow) => allow.iter().filter_map(rules::entry).collect(),
            // What will hold is what was written last.
            None => before.change.as_ref().map_or(&before.base, |change| &change.version).allow.clone(),
        };
        let version = Version { mode: rules::mode(proposal.mode), allow };
        let place = by.from.map_or_else(Place::default, |ip| self.atlas.place(ip));
        let after = match by.from {
            Some(ip) => {
                let source = Source { ip, place: &place, now };
                before.propose(version, proposal.begin, proposal.own_address, source)?
            }
            None => before.propose_at_server(version, proposal.begin, now)?,
        };
        match found {
            Some(found) => self.write_rule(by, found, &after).await,
            None => self.make_rule(by, of, &after).await,
        }
    }

    /// Confirms a rule that waits for it.
    ///
    /// # Errors
    /// [`RuleError`]; the rule stays as it is.
    pub async fn confirm_rule(&self, by: &By<'_>, of: &RuleOf, ip: IpAddr) -> Result<View, RuleError> {
        let found = self.find_rule(by, of).await?.ok_or(RuleError::NoRule)?;
        let source = Source { ip, place: &self.atlas.place(ip), now: self.clock.now() };
        let after = rules::rule(&found.fields).confirm(source)?;
        self.write_rule(by, found, &after).await
    }

    /// Lets a rule only watch: for who is locked out.
    ///
    /// # Errors
    /// [`RuleError`]; the rule stays as it is.
    pub async fn release_rule(&self, by: &By<'_>, of: &RuleOf) -> Result<View, RuleError> {
        let found = self.find_rule(by, of).await?.ok_or(RuleError::NoRule)?;
        let after = rules::rule(&found.fields).release(self.clock.now());
        self.write_rule(by, found, &after).await
    }

    /// What a tenant's rules, those that are watched or still to come too, would have done to
    /// the sign-ins since `since`.
    ///
    /// # Errors
    /// [`RuleError`].
    pub async fn replay_rules(&self, tenant: TenantId, since: Timestamp) -> Result<Replay, RuleError> {
        let access = self.directory.access(tenant).await?;
        let (mut past, mut accounts, mut before, mut looked) = (Vec::new(), HashMap::new(), None, 0);
        while looked < MOST {
            let page = self.history(Wanted::Tenant(tenant), since, before, PAGE).await?;
            before = page.last().map(|line| line.id);
            looked += page.len();
            let is_last = page.len() < usize::from(PAGE);
            for line in page.into_iter().filter(|line| line.record.verdict == Verdict::Admitted) {
                let SubjectKey::Account(account) = line.record.subject else { continue };
                if let Entry::Vacant(free) = accounts.entry(account) {
                    let domain = self.domain_of(account).await?;
                    free.insert((domain, rules::groups(&access, account)));
                }
                past.push(line);
            }
            if is_last {
                break;
            }
        }
        let past = past.iter().filter_map(|line| {
            let SubjectKey::Account(account) = line.record.subject else { return None };
            let (domain, groups) = accounts.get(&account)?;
            let account = AccountFacts { tenant, account, domain: (*domain)?, groups, suspended: false };
            let record = &line.record;
            Some(Past { at: line.last, account, service: record.service, ip: record.ip, place: record.place })
        });
        Ok(replay(&rules::of(&access), past, self.clock.now()))
    }

    /// The domain of an account's own address; `None` if it is gone.
    async fn domain_of(&self, account: AccountId) -> Result<Option<DomainId>, RuleError> {
        let show = |kind, name: String| Action::Show { object: Named { kind, name, tenant: None } };
        let operator = By { actor: Actor::Operator, who: "", reason: None, from: None, dry_run: false };
        let Some(view) = self.shown(&operator, show(Kind::Account, account.to_string())).await? else {
            return Ok(None);
        };
        let Ok(address) = view.name.parse::<Address>() else { return Ok(None) };
        let domain = self.shown(&operator, show(Kind::Domain, address.domain.to_string())).await?;
        Ok(domain.and_then(|view| view.id.parse().ok()))
    }

    async fn find_rule(&self, by: &By<'_>, of: &RuleOf) -> Result<Option<Found>, RuleError> {
        let level = self.level_of(by, of).await?;
        let name = format!("{}:{level}", of.service);
        let named = Named { kind: Kind::Rule, name, tenant: of.tenant.clone() };
        let Some(view) = self.shown(by, Action::Show { object: named.clone() }).await? else {
            return Ok(None);
        };
        let fields = rule_fields(&view)?;
        Ok(Some(Found { named, view, fields }))
    }

    /// How the name of a rule says whose it is.
    async fn level_of(&self, by: &By<'_>, of: &RuleOf) -> Result<String, RuleError> {
        let (kind, word, name) = match &of.owner {
            RuleOwner::Tenant => return Ok("tenant".into()),
            RuleOwner::Domain(name) => (Kind::Domain, "domain", name),
            RuleOwner::Group(name) => (Kind::Group, "group", name),
            RuleOwner::Account(name) => (Kind::Account, "account", name),
        };
        let object = Named { kind, name: name.clone(), tenant: of.tenant.clone() };
        let view = self.shown(by, Action::Show { object }).await?;
        let view = view.ok_or_else(|| DirectoryError::NotFound { kind, name: name.clone() })?;
        Ok(format!("{word}:{}", if kind == Kind::Domain { view.name } else { view.id }))
    }

    /// The object, if there is one.
    pub(crate) async fn shown(&self, by: &By<'_>, action: Action) -> Result<Option<View>, RuleError> {
        let request = Request { action, reason: None, dry_run: false };
        match self.directory.execute_as(by.actor, by.who, request).await {
            Ok(Answer::Object(view)) => Ok(Some(view)),
            Ok(_) | Err(DirectoryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The object, if it is one that `by` may change.
    pub(crate) async fn may_change(&self, by: &By<'_>, object: Named) -> Result<View, RuleError> {
        let action = Action::Change { object, version: None, rename: None, fields: Vec::new(), secret: None };
        self.changed(&By { dry_run: true, ..*by }, action).await
    }

    async fn make_rule(&self, by: &By<'_>, of: &RuleOf, rule: &Rule) -> Result<View, RuleError> {
        let mut fields = edits(rule);
        fields.push(("service".into(), Edit::Set(of.service.to_string())));
        let owner = match &of.owner {
            RuleOwner::Tenant => None,
            RuleOwner::Domain(name) => Some(("domain", name)),
            RuleOwner::Group(name) => Some(("group", name)),
            RuleOwner::Account(name) => Some(("account", name)),
        };
        fields.extend(owner.map(|(field, name)| (field.to_owned(), Edit::Set(name.clone()))));
        let tenant = of.tenant.clone();
        let action = Action::Create { kind: Kind::Rule, name: None, id: None, tenant, fields, secret: None };
        self.changed(by, action).await
    }

    async fn write_rule(&self, by: &By<'_>, found: Found, rule: &Rule) -> Result<View, RuleError> {
        let (object, version) = (found.named, Some(found.view.version));
        let action = Action::Change { object, version, rename: None, fields: edits(rule), secret: None };
        self.changed(by, action).await
    }

    pub(crate) async fn changed(&self, by: &By<'_>, action: Action) -> Result<View, RuleError> {
        let request = Request { action, reason: by.reason.map(str::to_owned), dry_run: by.dry_run };
        match self.directory.execute_as(by.actor, by.who, request).await? {
            Answer::Done { after: Some(view), .. } => Ok(view),
            _ => {
                Err(DirectoryError::WrongState { state: directory::State::Deleted, verb: Verb::Change }
                    .into())
            }
        }
    }
}

/// What a rule's view says.
pub(crate) fn rule_fields(view: &View) -> Result<directory::Rule, StoreError> {
    serde_json::from_value(view.fields.clone())
        .map_err(|error| StoreError::Failed { label: "sign-in.rule", cause: error.to_string() })
}

/// The fields that say what a rule is.
pub(crate) fn edits(rule: &Rule) -> Vec<FieldEdit> {
    let change = rule.change.as_ref();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".into());
    let next = change.map(|change| word(change.version.mode).to_owned());
    let entries = change.map_or_else(String::new, |change| printed(&change.version.allow));
    let from = change.map(|change| Moment(change.from).to_string());
    let confirm = change.and_then(|change| change.confirm_by).map(|until| Moment(until).to_string());
    [
        ("mode", word(rule.base.mode).to_owned()),
        ("allow", printed(&rule.base.allow)),
        ("next_mode", or_none(next)),
        ("next_allow", entries),
        ("next_from", or_none(from)),
        ("confirm_by", or_none(confirm)),
    ]
    .map(|(field, text)| (field.to_owned(), Edit::Set(text)))
    .into()
}

const fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Watch => "watch",
        Mode::Enforce => "enforce",
    }
}

fn printed(allow: &[Allow]) -> String {
    let entry = |entry: &Allow| {
        let origin = match entry.origin {
            Origin::Network(network) => network.to_string(),
            Origin::Country(country) => country.to_string(),
            Origin::Asn(number) => number.to_string(),
        };
        // An end is the first moment after a day.
        let last = entry.until.map(|until| until.before(std::time::Duration::from_secs(1)));
        let until =
            last.map_or_else(String::new, |last| format!("until {} ", last.to_zoned().strftime("%Y-%m-%d")));
        format!("{origin} {until}{}", entry.note.as_str())
    };
    allow.iter().map(entry).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use hikyaku_access::rule::change::Change;
    use hikyaku_directory::Record;

    use super::*;

    #[test]
    fn a_rule_is_read_as_it_was_written() {
        let entries = ["192.0.2.0/24 office in Osaka", "JP until 2027-03-31 staff", "AS2497 our provider"];
        let allow: Vec<Allow> =
            entries.iter().filter_map(|text| rules::entry(&text.parse().unwrap())).collect();
        assert_eq!(allow.len(), 3);
        let base = Version { mode: Mode::Watch, allow: allow.clone() };
        let version = Version { mode: Mode::Enforce, allow };
        for confirm_by in [None, Some(Timestamp::from_secs(2_000))] {
            let change = Change { version: version.clone(), from: Timestamp::from_secs(1_000), confirm_by };
            for change in [None, Some(change)] {
                let rule = Rule { base: base.clone(), change };
                let mut fields = directory::Rule::default();
                for (name, edit) in edits(&rule) {
                    fields.edit(&name, &edit).unwrap();
                }
                assert_eq!(rules::rule(&fields), rule);
            }
        }
    }
}
