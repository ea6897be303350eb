//! SCRAM within AUTH: the session relays each message of the client, the directory knows the
//! passwords; here is what one exchange waits for.
//!
//! Standards: RFC 4954 section 4 (server-final is a challenge, which the client answers with
//! an empty line), RFC 9266 (what the channel is bound by).
//! Invariant: every failure has the same answer as that of a password; the gate keeps it until
//! it is time.

use std::mem;

use hikyaku_directory::scram::{self, Offer};
use hikyaku_directory::{ScramExchange, SignInError};
use hikyaku_sign_in::{Caller, Gate, Visit};
use hikyaku_smtp_proto::auth::{Mechanism, Relayed};
use hikyaku_smtp_proto::{Answer, Reply};

/// What an exchange waits for.
#[derive(Debug, Default)]
pub(crate) enum Awaits {
    /// There is none.
    #[default]
    Nothing,
    /// The client's proof.
    Proof(Box<ScramExchange>),
    /// That the client has seen ours. Then it is signed in.
    Acknowledgement(Visit),
}

/// What a message led to.
pub(crate) enum Next {
    Challenge(String),
    SignedIn(Visit),
}

/// Answers a message of the client.
pub(crate) async fn answer(
    awaits: &mut Awaits,
    gate: &Gate,
    relayed: &Relayed,
    exporter: Option<&[u8]>,
    caller: &Caller<'_>,
) -> Result<Next, Answer> {
    step(awaits, gate, relayed, exporter, caller).await.map_err(|error| match error {
        SignInError::Unavailable => Answer::Reply(Reply::sign_in_later()),
        SignInError::Refused => Answer::Reply(Reply::sign_in_failed()),
    })
}

async fn step(
    awaits: &mut Awaits,
    gate: &Gate,
    relayed: &Relayed,
    exporter: Option<&[u8]>,
    caller: &Caller<'_>,
) -> Result<Next, SignInError> {
    let message = relayed.message.expose();
    let before = mem::take(awaits);
    if relayed.is_first {
        let mechanism = match relayed.mechanism {
            Mechanism::ScramSha256Plus => scram::Mechanism::ScramSha256Plus,
            _ => scram::Mechanism::ScramSha256,
        };
        let offer = Offer { mechanism, plus_announced: exporter.is_some(), exporter, server_end_point: None };
        let (challenge, exchange) = gate.begin_scram(caller, &offer, message).await?;
        *awaits = Awaits::Proof(Box::new(exchange));
        return Ok(Next::Challenge(challenge));
    }
    match before {
        Awaits::Proof(exchange) => {
            let proven = gate.finish_scram(caller, *exchange, message).await?;
            *awaits = Awaits::Acknowledgement(proven.visit);
            Ok(Next::Challenge(proven.server_final))
        }
        Awaits::Acknowledgement(visit) if message.is_empty() => Ok(Next::SignedIn(visit)),
        Awaits::Acknowledgement(_) | Awaits::Nothing => Err(gate.break_scram(caller).await),
    }
}
