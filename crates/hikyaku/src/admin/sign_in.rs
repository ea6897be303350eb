//! `hikyaku admin block …` and `hikyaku admin history …`: who is kept out from where, and who
//! signed in.
//!
//! Their requests go to the desk as [`SignInAsk`]. A running server answers from what it has in
//! memory; without one the gate is opened as a server would, and knows what was written.

mod command;
mod unusual;
mod view;

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::time::Duration;

use clap::ArgMatches;
use hikyaku_access::block::{Block, BlockKey};
use hikyaku_access::facts::SubjectKey;
use hikyaku_directory::{Action, Answer, Edit, Kind, Named, Request, View};
use hikyaku_sign_in::{Gate, Line, Wanted};
use hikyaku_types::{AccountId, Actor, Clock, SystemClock, TenantId};
use serde::{Deserialize, Serialize};

use super::desk::{Ask, Desk, Reply};
use super::names::Names;
use super::place::Place;
use super::print::tell;
use super::refusal::Refusal;
use super::way::{Way, not_understood};
use view::{BlockView, DeviceView, LiftView, LineView};

pub(super) use view::{called, place};

pub(super) use command::{block as block_command, history as history_command};

const DAY: Duration = Duration::from_secs(86_400);

/// What is asked, about one account or one tenant or everybody.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignInAsk {
    account: Option<String>,
    tenant: Option<String>,
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Blocks,
    /// And their sources are exempt from then on; the text says whose these are.
    Lift {
        reason: Option<String>,
        exempt: Option<String>,
    },
    Lifts {
        limit: u16,
    },
    History {
        days: u16,
        limit: u16,
    },
    Unusual {
        days: u16,
        limit: u16,
    },
    Stale {
        days: u16,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignInReply {
    Blocks(Vec<BlockView>),
    Lifted(Vec<BlockView>),
    Lifts(Vec<LiftView>),
    History(Vec<LineView>),
    Unusual(Vec<LineView>),
    Stale(Vec<DeviceView>),
}

/// Carries it out; `who` stands beside what is lifted.
pub(super) async fn answer(
    desk: &Desk,
    gate: &Gate,
    who: &str,
    ask: SignInAsk,
) -> Result<SignInReply, Refusal> {
    let wanted = wanted(desk, ask.account.as_deref(), ask.tenant.as_deref()).await?;
    let (tenant, account) = whose(wanted);
    let now = SystemClock.now();
    let since = |days: u16| now.before(DAY * u32::from(days));
    let failed = |error| Refusal::failed(&error);
    match ask.what {
        What::Blocks => {
            let blocks = blocks_of(gate, tenant, account).await?;
            Ok(SignInReply::Blocks(block_views(desk, &blocks).await))
        }
        What::Lift { .. } if wanted == Wanted::All => {
            Err(Refusal::usage("say whose blocks are to be lifted: an account, or --tenant"))
        }
        What::Lift { reason, exempt } => {
            if let Some(note) = exempt {
                let blocks = blocks_of(gate, tenant, account).await?;
                exempt_sources(desk, who, &blocks, &note, reason.as_deref()).await?;
            }
            let lifted = gate.unblock(tenant, account, who, reason.as_deref()).await.map_err(failed)?;
            Ok(SignInReply::Lifted(block_views(desk, &lifted).await))
        }
        What::Lifts { limit } => {
            let lifts = gate.lifts(tenant, limit).await.map_err(failed)?;
            let names = of_keys(desk, lifts.iter().map(|lift| lift.key)).await;
            Ok(SignInReply::Lifts(lifts.iter().map(|lift| LiftView::of(lift, &names)).collect()))
        }
        What::History { days, limit } => {
            let lines = gate.history(wanted, since(days), None, limit).await.map_err(failed)?;
            let why = gate.why_unusual(wanted, &lines).await.map_err(failed)?;
            let names = names(desk, lines.iter().map(|line| line.record.subject)).await;
            let why = |line: &Line| why.get(&line.id).map_or(&[][..], Vec::as_slice);
            let views = lines.iter().map(|line| LineView::of(line, why(line), &names));
            Ok(SignInReply::History(views.collect()))
        }
        What::Unusual { days, limit } => {
            let found = gate.unusual(wanted, since(days), None, limit).await.map_err(failed)?;
            let names = names(desk, found.iter().map(|one| one.line.record.subject)).await;
            let views = found.iter().map(|one| LineView::of(&one.line, &one.why, &names));
            Ok(SignInReply::Unusual(views.collect()))
        }
        What::Stale { days } => {
            let found = gate.stale(wanted, since(days)).await.map_err(failed)?;
            let names = names(desk, found.iter().map(|device| device.subject)).await;
            Ok(SignInReply::Stale(found.iter().map(|device| DeviceView::of(device, &names)).collect()))
        }
    }
}

async fn blocks_of(
    gate: &Gate,
    tenant: Option<TenantId>,
    account: Option<AccountId>,
) -> Result<Vec<Block>, Refusal> {
    let mut blocks = gate.blocks(tenant).await.map_err(|error| Refusal::failed(&error))?;
    blocks.retain(|block| account.is_none() || block.key.subject == account.map(SubjectKey::Account));
    Ok(blocks)
}

/// Adds the sources of blocks to the exempt networks of whose they are.
async fn exempt_sources(
    desk: &Desk,
    who: &str,
    blocks: &[Block],
    note: &str,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    let sources: BTreeSet<_> =
        blocks.iter().filter_map(|block| Some((block.key.tenant?, block.key.source.to_string()))).collect();
    for (tenant, source) in sources {
        let object = Named { kind: Kind::Tenant, name: tenant.to_string(), tenant: None };
        let fields = vec![("exempt_networks".to_owned(), Edit::Add(format!("{source} {note}")))];
        let action = Action::Change { object, version: None, rename: None, fields, secret: None };
        let request = Request { action, reason: reason.map(str::to_owned), dry_run: false };
        let done = desk.directory.execute_as(Actor::Operator, who, request).await;
        done.map_err(|error| Refusal::from(&error))?;
    }
    Ok(())
}

/// One account, or one tenant, or everybody.
pub(super) async fn wanted(
    desk: &Desk,
    account: Option<&str>,
    tenant: Option<&str>,
) -> Result<Wanted, Refusal> {
    match (account, tenant) {
        (Some(account), _) => Ok(Wanted::Account(id(desk, Kind::Account, account).await?)),
        (None, Some(tenant)) => Ok(Wanted::Tenant(id(desk, Kind::Tenant, tenant).await?)),
        (None, None) => Ok(Wanted::All),
    }
}

async fn block_views(desk: &Desk, blocks: &[Block]) -> Vec<BlockView> {
    let names = of_keys(desk, blocks.iter().map(|block| block.key)).await;
    blocks.iter().map(|block| BlockView::of(block, &names)).collect()
}

fn whose(wanted: Wanted) -> (Option<TenantId>, Option<AccountId>) {
    match wanted {
        Wanted::Account(account) => (None, Some(account)),
        Wanted::Tenant(tenant) => (Some(tenant), None),
        Wanted::All => (None, None),
    }
}

/// The names of whom blocks are about.
async fn of_keys(desk: &Desk, keys: impl Iterator<Item = BlockKey> + Clone) -> Names {
    let mut found = names(desk, keys.clone().filter_map(|key| key.subject)).await;
    for tenant in keys.filter_map(|key| key.tenant) {
        learn(desk, Kind::Tenant, tenant.to_string(), &mut found).await;
    }
    found
}

/// The addresses of accounts.
pub(super) async fn names(desk: &Desk, subjects: impl Iterator<Item = SubjectKey>) -> Names {
    let mut found = Names::new();
    for subject in subjects {
        if let SubjectKey::Account(account) = subject {
            learn(desk, Kind::Account, account.to_string(), &mut found).await;
        }
    }
    found
}

/// What cannot be shown any more keeps its id.
pub(super) async fn learn(desk: &Desk, kind: Kind, id: String, names: &mut Names) {
    if let Entry::Vacant(free) = names.entry(id) {
        let name = shown(desk, kind, free.key()).await.map_or_else(|_| free.key().clone(), |view| view.name);
        free.insert(name);
    }
}

/// The id of an object by its name or id.
pub(super) async fn id<T>(desk: &Desk, kind: Kind, name: &str) -> Result<T, Refusal>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    shown(desk, kind, name).await?.id.parse().map_err(|error| Refusal::failed(&error))
}

pub(super) async fn shown(desk: &Desk, kind: Kind, name: &str) -> Result<View, Refusal> {
    let object = Named { kind, name: name.to_owned(), tenant: None };
    let request = Request { action: Action::Show { object }, reason: None, dry_run: false };
    match desk.directory.execute(Actor::Operator, request).await {
        Ok(Answer::Object(view)) => Ok(view),
        Ok(_) => Err(not_understood()),
        Err(error) => Err(Refusal::from(&error)),
    }
}

/// Runs a parsed command line about `word`, which is `block` or `history`; prints its answer.
pub(super) fn run(word: &str, matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see --help");
    let (verb, matches) = matches.subcommand().ok_or_else(nothing)?;
    let number = |name| matches.get_one::<u16>(name).copied().unwrap_or(1);
    let text = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let what = match (word, verb) {
        ("block", "list") => What::Blocks,
        ("block", "lift") => What::Lift { reason: text("reason"), exempt: text("exempt") },
        ("block", "log") => What::Lifts { limit: number("limit") },
        ("history", "list") if matches.get_flag("unusual") => {
            What::Unusual { days: number("days"), limit: number("limit") }
        }
        ("history", "list") => What::History { days: number("days"), limit: number("limit") },
        ("history", "stale") => What::Stale { days: number("days") },
        _ => return Err(nothing()),
    };
    let ask = SignInAsk { account: text("account"), tenant: text("tenant"), what };
    let Reply::SignIn(reply) = Way::open(place)?.put(Ask::SignIn(ask))? else {
        return Err(not_understood());
    };
    tell(&reply, json, view::printed)
}
