//! ENABLE, and the commands that turn CONDSTORE on by the way.
//!
//! Standards: RFC 5161, RFC 7162 sections 3.1 and 3.2.3.

use hikyaku_imap_proto::capability::Capability;
use hikyaku_imap_proto::response::{self, StatusResponse};

use crate::session::{Failure, Session};

/// What the client has turned on, for the rest of the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// FETCH responses tell mod-sequences.
    pub(crate) condstore: bool,
    /// VANISHED is told in place of EXPUNGE.
    pub(crate) qresync: bool,
}

impl Enabled {
    /// Do FETCH responses that nobody asked for tell the UID? A client with QRESYNC goes by
    /// UIDs (RFC 7162 section 3.2.3).
    pub(crate) fn tells_uids(self) -> bool {
        self.qresync
    }

    /// The extensions that are on.
    fn names(self) -> Vec<Capability> {
        let all = [(self.condstore, Capability::CondStore), (self.qresync, Capability::QResync)];
        all.into_iter().filter_map(|(is_on, name)| is_on.then_some(name)).collect()
    }

    /// With the extension of this name; what is not known is passed over (RFC 5161 section
    /// 3.1). QRESYNC brings CONDSTORE with it.
    fn with(self, name: &str) -> Self {
        match name {
            "CONDSTORE" => Self { condstore: true, ..self },
            "QRESYNC" => Self { condstore: true, qresync: true },
            _ => self,
        }
    }
}

pub(super) fn enable(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    let before = session.enabled;
    session.enabled = names.iter().fold(before, |enabled, name| enabled.with(name));
    let known = before.names();
    let new: Vec<Capability> =
        session.enabled.names().into_iter().filter(|name| !known.contains(name)).collect();
    response::enabled(&mut session.wire.out, &new);
    if session.enabled.condstore && !before.condstore {
        tell_modseq(session);
    }
    Ok(())
}

/// A command has used CONDSTORE: that turns it on.
pub(super) fn condstore(session: &mut Session<'_>) {
    if !session.enabled.condstore {
        session.enabled.condstore = true;
        tell_modseq(session);
    }
}

/// What the client knows of the open mailbox, as SELECT would have told.
fn tell_modseq(session: &mut Session<'_>) {
    let modseq = session.selected.as_ref().and_then(|selected| selected.highest_modseq());
    if let Some(modseq) = modseq {
        StatusResponse::highest_modseq(modseq).untagged(&mut session.wire.out);
    }
}
