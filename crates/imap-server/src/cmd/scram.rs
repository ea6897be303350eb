//! AUTHENTICATE SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: message by message; the directory knows
//! the passwords.
//!
//! Standards: RFC 5802, RFC 7677, RFC 3501 section 6.2.2 (server-final is one more challenge,
//! which the client answers with an empty line), RFC 9266 (what the channel is bound by).
//! Invariant: every failure has the same answer as that of LOGIN; the gate keeps it until it is
//! time.

use hikyaku_access::facts::Service;
use hikyaku_directory::scram::{Mechanism, Offer};
use hikyaku_directory::{ScramExchange, SignInError};
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_sign_in::{Caller, Visit};

use super::auth::begin;
use crate::session::{Failure, Outcome, Session};

/// What an exchange waits for.
#[derive(Debug)]
pub(crate) enum Awaits {
    /// The client's first message.
    Name(Mechanism),
    /// Its proof.
    Proof(Box<ScramExchange>),
    /// That it has seen ours. Then it is signed in.
    Acknowledgement(Visit),
}

/// What a message led to.
pub(crate) enum Next {
    /// To be sent in base64; what the exchange waits for then.
    Challenge(String, Awaits),
    /// The command's answer.
    End(Outcome),
}

/// The mechanism of this name, if it is offered now.
pub(crate) fn mechanism(session: &Session<'_>, name: &str) -> Option<Mechanism> {
    let is_offered = |mechanism: &Mechanism| match mechanism {
        Mechanism::ScramSha256 => session.offers_scram,
        Mechanism::ScramSha256Plus => session.offers_scram && session.exporter.is_some(),
    };
    Mechanism::ALL.into_iter().filter(is_offered).find(|mechanism| mechanism.name() == name)
}

/// Takes a message of the client.
pub(crate) async fn step(session: &mut Session<'_>, awaits: Awaits, message: &[u8]) -> Next {
    if !session.may_sign_in() {
        return Next::End(Err(StatusResponse::privacy_required().into()));
    }
    let result = match awaits {
        Awaits::Name(mechanism) => name(session, mechanism, message).await,
        Awaits::Proof(exchange) => proof(session, *exchange, message).await,
        Awaits::Acknowledgement(visit) if message.is_empty() => {
            return Next::End(begin(session, visit).await);
        }
        Awaits::Acknowledgement(_) => Err(session.services.gate.break_scram(&caller(session)).await),
    };
    let failed: Failure = match result {
        Ok(next) => return next,
        Err(SignInError::Unavailable) => StatusResponse::authentication_unavailable().into(),
        Err(SignInError::Refused) => StatusResponse::authentication_failed().into(),
    };
    Next::End(Err(failed))
}

async fn name(session: &Session<'_>, mechanism: Mechanism, message: &[u8]) -> Result<Next, SignInError> {
    let exporter = session.exporter.as_ref().map(|exporter| exporter.as_slice());
    let offer = Offer { mechanism, plus_announced: exporter.is_some(), exporter, server_end_point: None };
    let (challenge, exchange) = session.services.gate.begin_scram(&caller(session), &offer, message).await?;
    Ok(Next::Challenge(challenge, Awaits::Proof(Box::new(exchange))))
}

async fn proof(session: &Session<'_>, exchange: ScramExchange, message: &[u8]) -> Result<Next, SignInError> {
    let proven = session.services.gate.finish_scram(&caller(session), exchange, message).await?;
    Ok(Next::Challenge(proven.server_final, Awaits::Acknowledgement(proven.visit)))
}

fn caller<'s>(session: &'s Session<'_>) -> Caller<'s> {
    Caller { service: Service::Imap, source: session.peer, client: &session.client }
}
