//! Sessions as people and programs read them.

use hikyaku_access::history::Proof;
use hikyaku_sign_in::{Ending, Session, Which};
use serde::{Deserialize, Serialize};

use super::SessionReply;
use crate::admin::names::Names;
use crate::admin::print::time;
use crate::admin::sign_in::{called, place};
use crate::admin::table::table;

/// A session.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct SessionView {
    id: String,
    tenant: String,
    account: String,
    service: String,
    ip: String,
    country: Option<String>,
    network: Option<String>,
    client: String,
    since: String,
    /// The id of the credential.
    credential: String,
    /// `password` or `app-password`.
    proof: String,
}

/// Sessions that were ended.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct EndingView {
    at: String,
    who: String,
    reason: Option<String>,
    tenant: String,
    /// None for one session, or all of the tenant.
    account: Option<String>,
    session: Option<String>,
}

impl SessionView {
    pub(super) fn of(session: &Session, names: &Names) -> Self {
        Self {
            id: session.id.to_string(),
            tenant: session.tenant.to_string(),
            account: called(&session.account.to_string(), names),
            service: session.service.name().to_owned(),
            ip: session.ip.to_string(),
            country: session.place.country.map(|country| country.to_string()),
            network: session.place.asn.map(|asn| asn.to_string()),
            client: session.client.as_str().to_owned(),
            since: session.since.to_string(),
            credential: session.credential.to_string(),
            proof: match session.proof {
                Proof::Password => "password",
                Proof::SecondFactor => "second-factor",
                Proof::LongSecret => "app-password",
            }
            .to_owned(),
        }
    }
}

impl EndingView {
    pub(super) fn of(ending: &Ending, names: &Names) -> Self {
        let (account, session) = match ending.which {
            Which::One(session) => (None, Some(session.to_string())),
            Which::Account(account) => (Some(called(&account.to_string(), names)), None),
            Which::Tenant(_) => (None, None),
        };
        Self {
            at: ending.at.to_string(),
            who: ending.who.clone(),
            reason: ending.why.clone(),
            tenant: called(&ending.tenant.to_string(), names),
            account,
            session,
        }
    }
}

/// The answer in words.
pub(super) fn printed(reply: &SessionReply) -> String {
    match reply {
        SessionReply::Sessions(sessions) if sessions.is_empty() => "Nobody is signed in.\n".to_owned(),
        SessionReply::Sessions(sessions) => printed_sessions(sessions),
        SessionReply::Ended(sessions) if sessions.is_empty() => "There was nothing to end.\n".to_owned(),
        SessionReply::Ended(sessions) => format!("Ended:\n{}", printed_sessions(sessions)),
        SessionReply::Endings(endings) if endings.is_empty() => "Nobody ended a session.\n".to_owned(),
        SessionReply::Endings(endings) => printed_endings(endings),
    }
}

fn printed_sessions(sessions: &[SessionView]) -> String {
    let row = |one: &SessionView| {
        let place = place(one.country.as_ref(), one.network.as_ref());
        let [id, account, service, ip] = [&one.id, &one.account, &one.service, &one.ip].map(Clone::clone);
        vec![id, account, service, ip, place, time(&one.since), one.proof.clone(), one.client.clone()]
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    table(&["id", "account", "service", "source", "place", "since", "with", "client"], &rows)
}

fn printed_endings(endings: &[EndingView]) -> String {
    let row = |one: &EndingView| {
        let whole = || format!("all of {}", one.tenant);
        let which = one.session.clone().or_else(|| one.account.clone()).unwrap_or_else(whole);
        vec![time(&one.at), which, one.who.clone(), one.reason.clone().unwrap_or_default()]
    };
    let rows: Vec<_> = endings.iter().map(row).collect();
    table(&["time", "which", "by", "reason"], &rows)
}
