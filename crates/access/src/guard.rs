//! The decision about one attempt, in two halves around the password hash.
//!
//! ```text
//! let delay = answer_after(ip, &state, now);
//! let admission = before(&attempt, &settings, &state);   // may the password be checked?
//! state.claim(&attempt, &admission);
//! let outcome = …;                                        // the hash, or NotChecked
//! let changes = after(&attempt, &admission, outcome, &settings, &state);
//! state.keep(&attempt, &changes);                         // and the shared database
//! …                                                       // a failure is answered after `delay`
//! ```
//!
//! Invariants:
//! - from a source that is known to the account the password is always checked, unless a
//!   source rule or the suspension of the account forbids it: nobody else's failures shut
//!   the owner out;
//! - what is too long to guess is always checked and never counted;
//! - what is decided about a name without an account is decided as for an account that
//!   nobody uses, and nobody outside can tell which of the decisions fell;
//! - the answer's delay depends on the source alone.
//!
//! Known weakness: whoever sits at a source that is known to an account guesses at it as
//! fast as parked connections allow, since the owner must always get in from there. With the
//! permits of one source at P and the longest delay of a minute, that is P guesses a minute.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::{AccountId, Network, TenantId, Timestamp};

use crate::block::{Block, BlockKey};
use crate::event::{Event, Standing, What};
use crate::facts::{Attempt, Class, Credential, Subject, SubjectKey, Tag};
use crate::policy::{Exempt, Policy, Scope};
use crate::reason::Reason;
use crate::rule::{Allow, Level, Rules, allows};
use crate::source::{around, source_of};
use crate::state::State;

/// What a tenant has set, as the node has it in its cache.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its policy for mail, within the operator's bounds.
    pub mail: Policy,
    /// Its policy for the panel.
    pub panel: Policy,
    /// Networks whose failures are not held against them.
    pub exempt: Vec<Exempt>,
    /// From where one may sign in.
    pub rules: Rules,
    /// How many accounts it has.
    pub accounts: u32,
}

/// May the password be checked?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Check,
    /// No: from here only an app password, a token or a second factor. A link opened from a
    /// known source makes this one known.
    Challenge(Reason),
    /// No.
    Refuse(Reason),
}

/// The first half of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// May the password be checked?
    pub decision: Decision,
    /// What the source is to the account.
    pub standing: Standing,
    /// Rules that would refuse if they were enforced.
    pub would_refuse: Vec<Level>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Right, and signed in.
    Good,
    /// Wrong, or no such account.
    Wrong,
    /// The password was right, and the second factor that the account needs is missing. The
    /// source stays unknown, and nothing counts as a guess.
    SecondFactorMissing,
    /// It was not looked at.
    NotChecked,
    /// It could not be checked, by our own fault.
    Unavailable,
}

/// What is to be remembered of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// For the attempts after it.
    pub event: Option<Event>,
    /// A block that begins.
    pub block: Option<Block>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mail: Policy::default_for(Class::Mail),
            panel: Policy::default_for(Class::Panel),
            exempt: Vec::new(),
            rules: Rules::default(),
            accounts: 0,
        }
    }
}

impl Settings {
    fn policy(&self, class: Class) -> &Policy {
        match class {
            Class::Mail => &self.mail,
            Class::Panel => &self.panel,
        }
    }

    fn is_exempt(&self, ip: IpAddr, now: Timestamp) -> bool {
        self.exempt.iter().any(|exempt| exempt.holds_for(ip, now))
    }
}

impl Changes {
    /// Must they be written to the shared database? All others stay in the node.
    pub fn are_shared(&self) -> bool {
        self.block.is_some() || self.event.is_some_and(|event| event.is_shared())
    }
}

/// May the password of `attempt` be checked?
pub fn before(attempt: &Attempt<'_>, settings: &Settings, state: &State) -> Admission {
    let standing = standing(attempt, settings, state);
    let admit = |decision, would_refuse| Admission { decision, standing, would_refuse };
    let mut would_refuse = Vec::new();
    if let Subject::Account(account) = &attempt.subject {
        if account.suspended {
            return admit(Decision::Refuse(Reason::Suspended), would_refuse);
        }
        let judgement =
            settings.rules.judge(account, attempt.service, attempt.ip, &attempt.place, attempt.now);
        would_refuse = judgement.would_refuse;
        if let Some(level) = judgement.refused {
            return admit(Decision::Refuse(level.reason()), would_refuse);
        }
    }
    let decision = match attempt.credential {
        Credential::LongSecret { allow } => long_secret(attempt, allow),
        Credential::SecondFactor => Decision::Check,
        Credential::Password(tag) => password(attempt, tag, standing, settings, state),
    };
    admit(decision, would_refuse)
}

fn long_secret(attempt: &Attempt<'_>, allow: &[Allow]) -> Decision {
    if allow.is_empty() || allows(allow, attempt.ip, &attempt.place, attempt.now) {
        Decision::Check
    } else {
        Decision::Refuse(Reason::CredentialRule)
    }
}

/// What the source is to the account.
fn standing(attempt: &Attempt<'_>, settings: &Settings, state: &State) -> Standing {
    let (ip, now) = (attempt.ip, attempt.now);
    if settings.is_exempt(ip, now) {
        return Standing::Exempt;
    }
    if state.is_known(attempt.subject.key(), ip, now) {
        return Standing::Known;
    }
    let goodwill = attempt.subject.tenant().map_or(0, |tenant| state.goodwill_of(tenant, ip, now));
    if goodwill >= state.limits.office as usize {
        return Standing::Office;
    }
    match (state.suspect(ip, now), goodwill) {
        (Some(_), _) => Standing::Suspect,
        (None, 0) => Standing::Fresh,
        (None, _) => Standing::Neighbour,
    }
}

/// Decides about a password that a person chose.
fn password(
    attempt: &Attempt<'_>,
    tag: Tag,
    standing: Standing,
    settings: &Settings,
    state: &State,
) -> Decision {
    let (subject, now) = (attempt.subject.key(), attempt.now);
    if matches!(standing, Standing::Exempt | Standing::Known) {
        return Decision::Check;
    }
    if let Some(block) = live_block(attempt, state) {
        return Decision::Refuse(block.refusal());
    }
    if standing == Standing::Office {
        return match state.may_guess_in_office(subject, now) {
            true => Decision::Check,
            false => Decision::Challenge(Reason::AccountAttacked),
        };
    }
    let doubt = match standing {
        Standing::Suspect => why_not_suspect(attempt, settings, state),
        // While the account is under attack, the benefit of the doubt is given once.
        _ if state.has_guessed(attempt.ip, now) && state.is_attacked(subject, attempt.ip, now) => {
            Some(Reason::AccountAttacked)
        }
        _ => None,
    };
    if let Some(reason) = doubt {
        return Decision::Challenge(reason);
    }
    // A password that was wrong today tells a guesser nothing new.
    if state.was_wrong(subject, tag, now) || state.may_guess(subject, tag, now) {
        Decision::Check
    } else {
        Decision::Challenge(Reason::AccountAttacked)
    }
}

/// Why a source that failed before is not believed this time.
fn why_not_suspect(attempt: &Attempt<'_>, settings: &Settings, state: &State) -> Option<Reason> {
    let (subject, ip, now) = (attempt.subject.key(), attempt.ip, attempt.now);
    // Others share a loud address if accounts sign in well from it: each may still try once.
    let is_loud = state.suspect(ip, now).is_some_and(|network| state.is_loud(network, now))
        && (!state.is_shared(ip, now) || state.was_guessed_from(subject, ip, now));
    let tenant_attacked = || {
        let tenant = attempt.subject.tenant()?;
        state.is_tenant_attacked(tenant, settings.accounts, now).then_some(Reason::TenantAttacked)
    };
    if is_loud {
        Some(Reason::LoudSource)
    } else if state.is_attacked(subject, ip, now) {
        Some(Reason::AccountAttacked)
    } else if let Some(reason) = tenant_attacked() {
        Some(reason)
    } else {
        state.is_platform_attacked(now).then_some(Reason::PlatformAttacked)
    }
}

/// The block that the attempt runs into: of its source, or of a wider network around it.
fn live_block<'s>(attempt: &Attempt<'_>, state: &'s State) -> Option<&'s Block> {
    let tenant = attempt.subject.tenant();
    let class = attempt.service.class();
    let source = source_of(attempt.ip);
    let mut networks = std::iter::once(source).chain(around(source).map(|(network, _)| network));
    networks.find_map(|source| {
        let key = |subject| BlockKey { tenant, subject, source, class };
        let blocks = &state.blocks;
        let of_account = blocks.live(&key(Some(attempt.subject.key())), attempt.now);
        of_account.or_else(|| blocks.live(&key(None), attempt.now))
    })
}

/// What is to be remembered of `attempt`, now that it was checked or not.
pub fn after(
    attempt: &Attempt<'_>,
    admission: &Admission,
    outcome: Outcome,
    settings: &Settings,
    state: &State,
) -> Changes {
    let what = match (outcome, attempt.credential) {
        (Outcome::Good, _) => good(attempt, state),
        (Outcome::Wrong, Credential::Password(tag)) => wrong(attempt, admission.standing, tag),
        (Outcome::NotChecked, Credential::Password(tag)) => unchecked(attempt, admission.standing, tag),
        _ => None,
    };
    let event = what.map(|what| Event { at: attempt.now, node: state.node(), ip: attempt.ip, what });
    let block = match (attempt.credential, outcome) {
        (Credential::Password(tag), Outcome::Wrong | Outcome::NotChecked) => {
            new_block(attempt, admission, tag, settings, state)
        }
        _ => None,
    };
    Changes { event, block }
}

/// A good sign-in makes its source known, which others need to hear once an hour.
fn good(attempt: &Attempt<'_>, state: &State) -> Option<What> {
    let Subject::Account(account) = attempt.subject else { return None };
    let (tenant, account) = (account.tenant, account.account);
    if state.is_freshly_known(account, attempt.ip, attempt.now) {
        return None;
    }
    let vouches = state.may_vouch(account, attempt.ip, attempt.now);
    Some(What::Good { tenant, account, vouches })
}

fn wrong(attempt: &Attempt<'_>, standing: Standing, tag: Tag) -> Option<What> {
    (standing != Standing::Exempt).then_some(What::Wrong {
        tenant: attempt.subject.tenant(),
        subject: attempt.subject.key(),
        tag,
        class: attempt.service.class(),
        standing,
    })
}

fn unchecked(attempt: &Attempt<'_>, standing: Standing, tag: Tag) -> Option<What> {
    (standing != Standing::Exempt).then_some(What::Unchecked {
        tenant: attempt.subject.tenant(),
        subject: attempt.subject.key(),
        tag,
        class: attempt.service.class(),
    })
}

/// A link that `account` opened at a known source makes the source of `ip` known to it, and
/// speaks for it to nobody else.
pub fn introduce(tenant: TenantId, account: AccountId, ip: IpAddr, now: Timestamp, state: &State) -> Event {
    Event { at: now, node: state.node(), ip, what: What::Good { tenant, account, vouches: false } }
}

/// The block that this failure brings, if it is one too many.
///
/// A source from which accounts of the tenant sign in well is never blocked: there failures
/// are slowed down, and bounded by the guesses that an account may have in a day.
fn new_block(
    attempt: &Attempt<'_>,
    admission: &Admission,
    tag: Tag,
    settings: &Settings,
    state: &State,
) -> Option<Block> {
    let (now, tenant, subject) = (attempt.now, attempt.subject.tenant(), attempt.subject.key());
    let has_goodwill = tenant.is_some_and(|tenant| state.goodwill_of(tenant, attempt.ip, now) > 0);
    let was_refused = matches!(admission.decision, Decision::Refuse(_));
    if !admission.standing.is_unknown() || has_goodwill || was_refused {
        return None;
    }
    let class = attempt.service.class();
    let policy = settings.policy(class);
    let source = state.suspect(attempt.ip, now).unwrap_or_else(|| source_of(attempt.ip));
    let offer = Offer { source, tenant, subject, class, tag };
    let (mine, of_tenant) = state.failures_with(&offer, policy.window, now);
    let of_whole_tenant = policy.scope == Scope::Tenant && class == Class::Mail && tenant.is_some();
    let failures = if of_whole_tenant { of_tenant } else { mine };
    if failures < policy.failures {
        return None;
    }
    let key = BlockKey { tenant, subject: (!of_whole_tenant).then_some(subject), source, class };
    let earlier = state.blocks.earlier(&key, now);
    let until = now.after(policy.block_for(earlier));
    Some(Block { key, since: now, until, reason: Reason::ManyFailures, earlier, failures })
}

/// A password that a source offered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) source: Network,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) subject: SubjectKey,
    pub(crate) class: Class,
    pub(crate) tag: Tag,
}

/// How long after the attempt its failure is answered: the same whatever was done, and
/// growing with what the source offered in the last hour.
pub fn answer_after(ip: IpAddr, state: &State, now: Timestamp) -> Duration {
    /// Every so many further failures double the delay.
    const DOUBLING: u32 = 5;
    let too_much = u32::try_from(state.offered_too_much(ip, now)).unwrap_or(u32::MAX);
    let doublings = too_much.div_ceil(DOUBLING).min(16);
    state.limits.answer.saturating_mul(1 << doublings).min(state.limits.answer_longest)
}
