//! `hikyaku admin access …`: source rules are changed so that nobody is shut out by mistake.
//!
//! The rules themselves are objects of the directory (`hikyaku admin rule`); making and changing
//! one goes this way alone, as a change is tried out before it holds.

mod command;
mod view;

use std::net::IpAddr;
use std::time::Duration;

use clap::ArgMatches;
use hikyaku_access::facts::SubjectKey;
use hikyaku_access::rule::change::{Begin, OwnAddress};
use hikyaku_directory::{Allowed, Entrance, FieldValue as _, Kind, RuleMode, View};
use hikyaku_sign_in::{By, Gate, Proposal, RecoveryError, RuleError, RuleOf, RuleOwner};
use hikyaku_types::{Actor, Clock, SystemClock, SystemRandom};
use serde::{Deserialize, Serialize};

use super::desk::{Ask, Desk, Reply};
use super::place::Place;
use super::print::tell;
use super::refusal::Refusal;
use super::secret;
use super::sign_in::{id, names};
use super::way::{Way, not_understood};
use view::{HitView, NumberView};

pub(super) use command::access as access_command;

const DAY: Duration = Duration::from_secs(86_400);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AccessAsk {
    Set { rule: RuleWords, wish: Wish },
    Confirm { rule: RuleWords, from: IpAddr },
    Release { rule: RuleWords },
    Replay { tenant: String, days: u16 },
    Blocking { tenant: String },
    MakeCode { tenant: String, reason: Option<String>, dry_run: bool },
    Recover { tenant: String, code: Code },
}

/// A recovery code as somebody typed it.
#[derive(Serialize, Deserialize)]
pub(super) struct Code(String);

/// It is not for logs.
impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(…)")
    }
}

/// A rule, as people name it, and what stands beside its change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RuleWords {
    service: String,
    tenant: Option<String>,
    domain: Option<String>,
    group: Option<String>,
    account: Option<String>,
    reason: Option<String>,
    dry_run: bool,
}

/// What a rule is to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wish {
    mode: String,
    /// None leaves them as they are.
    allow: Option<Vec<String>>,
    now: bool,
    insist: bool,
    from: Option<IpAddr>,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AccessReply {
    Rule {
        rule: View,
        dry_run: bool,
        unseen: bool,
    },
    Replay {
        refused: Vec<HitView>,
        unlisted: u64,
        passed: u64,
    },
    Blocking {
        numbers: Vec<NumberView>,
    },
    /// None: there could be one.
    Code {
        code: Option<String>,
    },
    Recovered {
        rules: Vec<String>,
    },
}

/// Carries it out; `who` stands in the audit log.
pub(super) async fn answer(
    desk: &Desk,
    gate: &Gate,
    who: &str,
    ask: AccessAsk,
) -> Result<AccessReply, Refusal> {
    let (words, from) = match &ask {
        AccessAsk::Set { rule, wish } => (rule, wish.from),
        AccessAsk::Confirm { rule, from } => (rule, Some(*from)),
        AccessAsk::Release { rule } => (rule, None),
        AccessAsk::Replay { tenant, days } => return replay(desk, gate, tenant, *days).await,
        AccessAsk::Blocking { tenant } => return blocking(desk, tenant).await,
        AccessAsk::MakeCode { tenant, reason, dry_run } => {
            let by =
                By { actor: Actor::Operator, who, reason: reason.as_deref(), from: None, dry_run: *dry_run };
            return make_code(gate, &by, tenant).await;
        }
        AccessAsk::Recover { tenant, code } => return recover(gate, tenant, code).await,
    };
    let of = words.of(desk).await?;
    let reason = words.reason.as_deref();
    let by = By { actor: Actor::Operator, who, reason, from, dry_run: words.dry_run };
    let done = match &ask {
        AccessAsk::Set { wish, .. } => gate.propose_rule(&by, &of, &wish.proposal()?).await,
        AccessAsk::Confirm { from, .. } => gate.confirm_rule(&by, &of, *from).await,
        _ => gate.release_rule(&by, &of).await,
    };
    let rule = done.map_err(|error| refused(&error))?;
    Ok(AccessReply::Rule { rule, dry_run: words.dry_run, unseen: from.is_none() })
}

fn refused(error: &RuleError) -> Refusal {
    match error {
        RuleError::Directory(error) => Refusal::from(error),
        RuleError::Change(_) | RuleError::Confirm(_) => Refusal::refused("access", error.to_string()),
        RuleError::NoRule => Refusal::refused("not_found", error.to_string()),
    }
}

async fn make_code(gate: &Gate, by: &By<'_>, tenant: &str) -> Result<AccessReply, Refusal> {
    let made = gate.make_recovery_code(by, tenant, &SystemRandom).await.map_err(|error| refused(&error))?;
    Ok(AccessReply::Code { code: made.map(|code| code.to_text().to_string()) })
}

async fn recover(gate: &Gate, tenant: &str, code: &Code) -> Result<AccessReply, Refusal> {
    match gate.recover(tenant, &code.0, None).await {
        Ok(done) => Ok(AccessReply::Recovered { rules: done.rules }),
        Err(RecoveryError::Rule(error)) => Err(refused(&error)),
        Err(error @ RecoveryError::NoCode) => Err(Refusal::refused("recovery_code", error.to_string())),
    }
}

async fn replay(desk: &Desk, gate: &Gate, tenant: &str, days: u16) -> Result<AccessReply, Refusal> {
    let tenant = id(desk, Kind::Tenant, tenant).await?;
    let since = SystemClock.now().before(DAY * u32::from(days));
    let replay = gate.replay_rules(tenant, since).await.map_err(|error| refused(&error))?;
    let names = names(desk, replay.refused.iter().map(|hit| SubjectKey::Account(hit.account))).await;
    let refused = replay.refused.iter().map(|hit| HitView::of(hit, &names)).collect();
    Ok(AccessReply::Replay { refused, unlisted: replay.unlisted, passed: replay.passed })
}

/// What holds for a tenant, which may be else than what it chose.
async fn blocking(desk: &Desk, name: &str) -> Result<AccessReply, Refusal> {
    let tenant = id(desk, Kind::Tenant, name).await?;
    let found = desk.directory.tenant(tenant).await.map_err(|error| Refusal::failed(&error))?;
    let facts = found.ok_or_else(|| Refusal::refused("not_found", format!("there is no tenant {name}")))?;
    let told = desk.directory.blocking().told(&facts.fields);
    Ok(AccessReply::Blocking { numbers: told.iter().map(NumberView::of).collect() })
}

impl RuleWords {
    /// The tenant is that of its domain or account, if none is named.
    async fn of(&self, desk: &Desk) -> Result<RuleOf, Refusal> {
        let service = self.service.parse::<Entrance>().map_err(|error| Refusal::usage(error.to_string()))?;
        let owner = match (&self.domain, &self.group, &self.account) {
            (Some(domain), ..) => RuleOwner::Domain(domain.clone()),
            (_, Some(group), _) => RuleOwner::Group(group.clone()),
            (_, _, Some(account)) => RuleOwner::Account(account.clone()),
            (None, None, None) => RuleOwner::Tenant,
        };
        let tenant = match (&self.tenant, &owner) {
            (Some(tenant), _) => tenant.clone(),
            (None, RuleOwner::Domain(domain)) => {
                super::sign_in::shown(desk, Kind::Domain, domain).await?.tenant
            }
            (None, RuleOwner::Account(name)) => {
                super::sign_in::shown(desk, Kind::Account, name).await?.tenant
            }
            (None, RuleOwner::Tenant | RuleOwner::Group(_)) => {
                return Err(Refusal::usage("say whose rule it is: --tenant"));
            }
        };
        Ok(RuleOf { service, tenant: Some(tenant), owner })
    }
}

impl Wish {
    fn proposal(&self) -> Result<Proposal, Refusal> {
        let usage = |field: &str, problem: String| Refusal::usage(format!("--{field}: {problem}"));
        let mode = RuleMode::parse(&self.mode).map_err(|problem| usage("mode", problem))?;
        let entries = self.allow.as_ref().map(|entries| {
            let parts = entries.iter().flat_map(|entry| entry.split(',')).map(str::trim);
            parts.filter(|entry| !entry.is_empty()).map(str::parse::<Allowed>).collect::<Result<Vec<_>, _>>()
        });
        let allow = entries.transpose().map_err(|problem| usage("allow", problem))?;
        let begin = if self.now { Begin::AtOnce } else { Begin::AfterWatch };
        let own_address = if self.insist { OwnAddress::Insist } else { OwnAddress::MustBeAllowed };
        Ok(Proposal { mode, allow, begin, own_address })
    }
}

/// Runs a parsed command line; prints its answer.
pub(super) fn run(matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see --help");
    let (verb, matches) = matches.subcommand().ok_or_else(nothing)?;
    let mut ask = command::ask(verb, matches).ok_or_else(nothing)?;
    if let AccessAsk::Recover { code, .. } = &mut ask {
        // Other users of the machine can read arguments.
        *code = Code(secret::line()?);
    }
    let Reply::Access(reply) = Way::open(place)?.put(Ask::Access(ask))? else {
        return Err(not_understood());
    };
    tell(&reply, json, view::printed)
}
