//! `hikyaku admin session …`: who is signed in at this moment, and ending that.
//!
//! Without a running server nobody is signed in at this node.

mod command;
mod view;

use clap::ArgMatches;
use hikyaku_access::facts::SubjectKey;
use hikyaku_directory::Kind;
use hikyaku_sign_in::{Gate, Session, Wanted, Which};
use hikyaku_types::SessionId;
use serde::{Deserialize, Serialize};

use super::desk::{Ask, Desk, Reply};
use super::place::Place;
use super::print::tell;
use super::refusal::Refusal;
use super::sign_in::{learn, names, wanted};
use super::way::{Way, not_understood};
use view::{EndingView, SessionView};

pub(super) use command::session as session_command;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionAsk {
    List { whose: Whose },
    End { id: Option<String>, whose: Whose, reason: Option<String> },
    Log { limit: u16 },
}

/// One account, or one tenant, or everybody.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Whose {
    account: Option<String>,
    tenant: Option<String>,
}

impl Whose {
    async fn wanted(&self, desk: &Desk) -> Result<Wanted, Refusal> {
        wanted(desk, self.account.as_deref(), self.tenant.as_deref()).await
    }
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionReply {
    Sessions(Vec<SessionView>),
    Ended(Vec<SessionView>),
    Endings(Vec<EndingView>),
}

/// Carries it out; `who` stands beside what is ended.
pub(super) async fn answer(
    desk: &Desk,
    gate: &Gate,
    who: &str,
    ask: SessionAsk,
) -> Result<SessionReply, Refusal> {
    let failed = |error| Refusal::failed(&error);
    match ask {
        SessionAsk::List { whose } => {
            let wanted = whose.wanted(desk).await?;
            let found = gate.sessions(wanted).await.map_err(failed)?;
            Ok(SessionReply::Sessions(views(desk, &found).await))
        }
        SessionAsk::End { id, whose, reason } => {
            let which = match (id, whose.wanted(desk).await?) {
                (Some(id), _) => Which::One(session(&id)?),
                (None, Wanted::Account(account)) => Which::Account(account),
                (None, Wanted::Tenant(tenant)) => Which::Tenant(tenant),
                (None, Wanted::All) => {
                    return Err(Refusal::usage("say which sessions: an id, --account or --tenant"));
                }
            };
            let ended = gate.end_sessions(which, who, reason.as_deref()).await.map_err(failed)?;
            Ok(SessionReply::Ended(views(desk, &ended).await))
        }
        SessionAsk::Log { limit } => {
            let endings = gate.endings(limit).await.map_err(failed)?;
            let accounts = endings.iter().filter_map(|ending| match ending.which {
                Which::Account(account) => Some(SubjectKey::Account(account)),
                Which::One(_) | Which::Tenant(_) => None,
            });
            let mut names = names(desk, accounts).await;
            for ending in &endings {
                learn(desk, Kind::Tenant, ending.tenant.to_string(), &mut names).await;
            }
            Ok(SessionReply::Endings(endings.iter().map(|ending| EndingView::of(ending, &names)).collect()))
        }
    }
}

fn session(id: &str) -> Result<SessionId, Refusal> {
    id.parse().map_err(|error: hikyaku_types::IdError| Refusal::usage(error.to_string()))
}

async fn views(desk: &Desk, sessions: &[Session]) -> Vec<SessionView> {
    let names = names(desk, sessions.iter().map(|session| SubjectKey::Account(session.account))).await;
    sessions.iter().map(|session| SessionView::of(session, &names)).collect()
}

/// Runs a parsed command line; prints its answer.
pub(super) fn run(matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see --help");
    let (verb, matches) = matches.subcommand().ok_or_else(nothing)?;
    let text = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let whose = Whose { account: text("account"), tenant: text("tenant") };
    let ask = match verb {
        "list" => SessionAsk::List { whose },
        "end" => SessionAsk::End { id: text("id"), whose, reason: text("reason") },
        "log" => SessionAsk::Log { limit: matches.get_one::<u16>("limit").copied().unwrap_or(100) },
        _ => return Err(nothing()),
    };
    let Reply::Session(reply) = Way::open(place)?.put(Ask::Session(ask))? else {
        return Err(not_understood());
    };
    tell(&reply, json, view::printed)
}
