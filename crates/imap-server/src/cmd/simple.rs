//! Commands that need nothing but the session: CAPABILITY, NAMESPACE, ID.

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

/// RFC 2971. What the client says of itself is read and forgotten.
pub(super) fn id(session: &mut Session<'_>) -> Result<(), Failure> {
    response::id(&mut session.wire.out, &[("name", "Hikyaku")]);
    Ok(())
}
