//! Response codes: what stands in brackets before the text of a status response.
//!
//! Standards: RFC 3501 section 7.1, RFC 4315 section 3 (APPENDUID, COPYUID), RFC 5530
//! (most of the words), RFC 7162 (HIGHESTMODSEQ, MODIFIED, CLOSED), RFC 7889 (TOOBIG),
//! RFC 8474 section 4.2 (MAILBOXID), RFC 9208 section 4.3 (OVERQUOTA).

use std::fmt;

use crate::capability::Capability;
use crate::{Flag, ModSeq, SeqNum, SeqSet, Uid, UidSet, UidValidity};

/// `resp-text-code`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// The text must be shown to the user.
    Alert,
    /// The charset is not known; these are.
    BadCharset(&'static [&'static str]),
    /// What the server can do from now on.
    Capability(Vec<Capability>),
    /// Flags that can be kept, and whether clients may make up keywords (`\*`).
    PermanentFlags(Vec<Flag>, MayCreate),
    /// The mailbox is open for reading.
    ReadOnly,
    /// The mailbox is open for changes.
    ReadWrite,
    /// CREATE the mailbox, then try again.
    TryCreate,
    /// The next UID.
    UidNext(Uid),
    /// The UIDVALIDITY.
    UidValidity(UidValidity),
    /// The first message without \Seen.
    Unseen(SeqNum),
    /// UIDs of the messages that were appended.
    AppendUid(UidValidity, UidSet),
    /// UIDVALIDITY of the target, UIDs there were, UIDs there are now, in the same order.
    CopyUid(UidValidity, UidSet, UidSet),
    /// The highest mod-sequence.
    HighestModSeq(ModSeq),
    /// These messages were not stored: they changed meanwhile.
    ModifiedSeqs(SeqSet),
    /// As [`Code::ModifiedSeqs`], for UID STORE.
    ModifiedUids(UidSet),
    /// The mailbox's id.
    MailboxId(String),
    /// A code that is only a word.
    Word(Word),
}

/// May clients make up keywords?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayCreate {
    /// `\*` is told.
    Yes,
    /// It is not.
    No,
}

crate::words::words! {
    /// The codes without arguments.
    Word "expected a response code" {
        /// It exists already.
        AlreadyExists "ALREADYEXISTS",
        /// Wrong name or password.
        AuthenticationFailed "AUTHENTICATIONFAILED",
        /// May not act for the other identity.
        AuthorizationFailed "AUTHORIZATIONFAILED",
        /// Can never be done.
        Cannot "CANNOT",
        /// The client sent something that it should not have.
        ClientBug "CLIENTBUG",
        /// The old mailbox is closed; what follows is of the new one.
        Closed "CLOSED",
        /// The connection is compressed already.
        CompressionActive "COMPRESSIONACTIVE",
        /// A person must see to it.
        ContactAdmin "CONTACTADMIN",
        /// Password or account has expired.
        Expired "EXPIRED",
        /// Some of the messages are gone.
        ExpungeIssued "EXPUNGEISSUED",
        /// The mailbox has children.
        HasChildren "HASCHILDREN",
        /// Somebody else is at it.
        InUse "INUSE",
        /// A limit of the server.
        Limit "LIMIT",
        /// There is no such thing.
        NonExistent "NONEXISTENT",
        /// The mailbox has no mod-sequences.
        NoModSeq "NOMODSEQ",
        /// Not permitted.
        NoPerm "NOPERM",
        /// The result of SEARCH was not saved.
        NotSaved "NOTSAVED",
        /// Over quota.
        OverQuota "OVERQUOTA",
        /// The message cannot be parsed.
        Parse "PARSE",
        /// Encrypt first.
        PrivacyRequired "PRIVACYREQUIRED",
        /// Something is wrong on this side.
        ServerBug "SERVERBUG",
        /// The message is too large.
        TooBig "TOOBIG",
        /// UIDs do not last.
        UidNotSticky "UIDNOTSTICKY",
        /// Try again later.
        Unavailable "UNAVAILABLE",
        /// The part has a transfer encoding that is not known.
        UnknownCte "UNKNOWN-CTE",
        /// The special use cannot be had.
        UseAttr "USEATTR",
    }
}

impl From<Word> for Code {
    fn from(word: Word) -> Self {
        Self::Word(word)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert => f.write_str("ALERT"),
            Self::BadCharset(known) => write!(f, "BADCHARSET ({})", known.join(" ")),
            Self::Capability(told) => {
                f.write_str("CAPABILITY")?;
                told.iter().try_for_each(|capability| write!(f, " {capability}"))
            }
            Self::PermanentFlags(flags, may_create) => permanent_flags(f, flags, *may_create),
            Self::ReadOnly => f.write_str("READ-ONLY"),
            Self::ReadWrite => f.write_str("READ-WRITE"),
            Self::TryCreate => f.write_str("TRYCREATE"),
            Self::UidNext(uid) => write!(f, "UIDNEXT {uid}"),
            Self::UidValidity(validity) => write!(f, "UIDVALIDITY {validity}"),
            Self::Unseen(seq) => write!(f, "UNSEEN {seq}"),
            Self::AppendUid(validity, uids) => write!(f, "APPENDUID {validity} {uids}"),
            Self::CopyUid(validity, from, to) => write!(f, "COPYUID {validity} {from} {to}"),
            Self::HighestModSeq(modseq) => write!(f, "HIGHESTMODSEQ {modseq}"),
            Self::ModifiedSeqs(seqs) => write!(f, "MODIFIED {seqs}"),
            Self::ModifiedUids(uids) => write!(f, "MODIFIED {uids}"),
            Self::MailboxId(id) => write!(f, "MAILBOXID ({id})"),
            Self::Word(word) => word.fmt(f),
        }
    }
}

fn permanent_flags(f: &mut fmt::Formatter<'_>, flags: &[Flag], may_create: MayCreate) -> fmt::Result {
    f.write_str("PERMANENTFLAGS (")?;
    let star = (may_create == MayCreate::Yes).then_some("\\*");
    for (index, name) in flags.iter().map(Flag::as_str).chain(star).enumerate() {
        write!(f, "{}{name}", if index > 0 { " " } else { "" })?;
    }
    f.write_str(")")
}
