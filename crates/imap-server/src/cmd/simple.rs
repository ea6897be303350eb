//! Commands that need nothing but the session: CAPABILITY, NAMESPACE, ID.

use hikyaku_access::history::Client;
use hikyaku_imap_proto::command::Id;
use hikyaku_imap_proto::response;

use crate::session::{Failure, Session};

pub(super) fn capability(session: &mut Session<'_>) -> Result<(), Failure> {
    let told = session.capabilities();
    response::capability(&mut session.wire.out, told);
    Ok(())
}

/// RFC 2342: everything is personal.
pub(super) fn namespace(session: &mut Session<'_>) -> Result<(), Failure> {
    response::namespace(&mut session.wire.out, &[""], &[], &[], session.dialect);
    Ok(())
}

/// RFC 2971. What the client calls itself stands in the history of sign-ins and in
/// the list of sessions; the rest of what
/// it says is forgotten.
pub(super) fn id(session: &mut Session<'_>, fields: &Id) -> Result<(), Failure> {
    let said = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_deref())
    };
    let name = [said("name"), said("version")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let client = Client::new(&name);
    client.as_str().clone_into(&mut session.client);
    if let Some(visit) = &session.visit {
        visit.call(client);
    }
    response::id(&mut session.wire.out, &[("name", "Hikyaku")]);
    Ok(())
}
