//! ENABLE, and the commands that turn CONDSTORE on by the way.
//!
//! Standards: RFC 5161, RFC 7162 sections 3.1 and 3.2.3, RFC 6855 section 3 (UTF8=ACCEPT),
//! RFC 9051 appendix A and section 6.3.1 (IMAP4rev2).

use hikyaku_imap_proto::Dialect;
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
    /// Names and strings are UTF-8.
    pub(crate) utf8: bool,
    /// The client speaks IMAP4rev2: names are UTF-8, nothing is recent, SEARCH is answered
    /// with ESEARCH.
    pub(crate) rev2: bool,
}

impl Enabled {
    /// Do FETCH responses that nobody asked for tell the UID? A client with QRESYNC goes by
    /// UIDs (RFC 7162 section 3.2.3), one of IMAP4rev2 should not have to ask.
    pub(crate) fn tells_uids(self) -> bool {
        self.qresync || self.rev2
    }

    /// How strings stand on the wire.
    pub(crate) fn dialect(self) -> Dialect {
        if self.utf8 || self.rev2 { Dialect::Utf8 } else { Dialect::SevenBit }
    }

    /// The extensions that are on.
    fn names(self) -> Vec<Capability> {
        let all = [
            (self.rev2, Capability::Imap4Rev2),
            (self.condstore, Capability::CondStore),
            (self.qresync, Capability::QResync),
            (self.utf8, Capability::Utf8Accept),
        ];
        all.into_iter().filter_map(|(is_on, name)| is_on.then_some(name)).collect()
    }

    /// With the extension of this name; what is not known is passed over (RFC 5161 section
    /// 3.1). QRESYNC brings CONDSTORE with it.
    fn with(self, name: &str) -> Self {
        match name {
            "CONDSTORE" => Self { condstore: true, ..self },
            "QRESYNC" => Self { condstore: true, qresync: true, ..self },
            "UTF8=ACCEPT" => Self { utf8: true, ..self },
            "IMAP4REV2" => Self { rev2: true, ..self },
            _ => self,
        }
    }
}

pub(super) fn enable(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    let before = session.enabled;
    session.enabled = names.iter().fold(before, |enabled, name| enabled.with(name));
    session.dialect = session.enabled.dialect();
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
