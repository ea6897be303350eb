//! LOGIN and AUTHENTICATE PLAIN; AUTHENTICATE by SCRAM is in [`super::scram`].
//!
//! Standards: RFC 3501 sections 6.2.2 and 6.2.3, RFC 4616.
//! Invariant: every failure has the same answer; the gate keeps it until it is time.

use std::sync::Arc;

use hikyaku_access::facts::Service;
use hikyaku_directory::SignInError;
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_mailstore::account;
use hikyaku_sign_in::{Offer, Visit};

use crate::session::{Outcome, Session};

pub(crate) async fn login(session: &mut Session<'_>, user: &str, password: &[u8]) -> Outcome {
    sign_in(session, None, user, password).await
}

async fn sign_in(
    session: &mut Session<'_>,
    authorization: Option<&str>,
    name: &str,
    password: &[u8],
) -> Outcome {
    if !session.may_sign_in() {
        return Err(StatusResponse::privacy_required().into());
    }
    let (service, source, client) = (Service::Imap, session.peer, session.client.as_str());
    let offer = Offer { service, source, client, name, authorization, password };
    match session.services.gate.sign_in(&offer).await {
        Ok(visit) => begin(session, visit).await,
        Err(SignInError::Unavailable) => Err(StatusResponse::authentication_unavailable().into()),
        Err(SignInError::Refused) => Err(StatusResponse::authentication_failed().into()),
    }
}

/// The session is this account's from now on.
pub(crate) async fn begin(session: &mut Session<'_>, visit: Visit) -> Outcome {
    session.account = Some(Arc::clone(visit.account()));
    session.visit = Some(visit);
    // The first sign-in can be earlier than the first mail.
    let now = session.services.clock.now();
    let made = session.write("imap.account", move |tx| account::create_account(tx, now)).await;
    if let Err(error) = made {
        session.account = None;
        session.visit = None;
        return Err(error);
    }
    Ok(StatusResponse::signed_in(session.capabilities()))
}

/// `authzid NUL authcid NUL password`, RFC 4616 section 2. Nobody acts on behalf of another.
pub(crate) async fn plain(session: &mut Session<'_>, response: &[u8]) -> Outcome {
    let mut parts = response.splitn(3, |byte| *byte == 0);
    let (authzid, authcid, password) = (parts.next(), parts.next(), parts.next());
    let (Some(authzid), Some(authcid), Some(password)) = (authzid, authcid, password) else {
        return Err(StatusResponse::authentication_malformed().into());
    };
    let (Ok(authzid), Ok(authcid)) = (std::str::from_utf8(authzid), std::str::from_utf8(authcid)) else {
        return Err(StatusResponse::authentication_malformed().into());
    };
    sign_in(session, Some(authzid), authcid, password).await
}
