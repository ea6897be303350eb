//! The texts of all status responses, each with its name and code.
//!
//! Standards: RFC 3501 section 7.1, RFC 5530 (which code for which failure).
//! Invariant: a text tells the client what to do and nothing of our insides; the cause is
//! in the log.

use super::status_response::{Condition, StatusResponse};
use super::{Code, MayCreate, Word};
use crate::capability::Capability;
use crate::framer::Refusal;
use crate::table::{Reason, Row};
use crate::{Flag, ModSeq, SeqNum, SeqSet, Uid, UidSet, UidValidity};

fn with(condition: Condition, code: impl Into<Option<Code>>, text: &'static str) -> StatusResponse {
    StatusResponse { condition, code: code.into(), text: text.into() }
}

fn ok(code: impl Into<Option<Code>>, text: &'static str) -> StatusResponse {
    with(Condition::Ok, code, text)
}

fn no(code: impl Into<Option<Code>>, text: &'static str) -> StatusResponse {
    with(Condition::No, code, text)
}

/// Declares constructors without arguments: name, function, word of the code, text.
macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $condition:ident $word:ident $text:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> Self {
            with(Condition::$condition, Code::Word(Word::$word), $text)
        }
    )*};
}

/// Greeting and end of a connection.
impl StatusResponse {
    /// The greeting.
    pub fn greeting(told: Vec<Capability>) -> Self {
        ok(Code::Capability(told), "Hikyaku ready")
    }

    /// LOGOUT.
    pub fn bye() -> Self {
        with(Condition::Bye, None, "Good-bye")
    }

    /// The server goes down.
    pub fn bye_shutdown() -> Self {
        with(Condition::Bye, Code::Word(Word::Unavailable), "Server is shutting down, please reconnect")
    }

    /// The client was silent for too long.
    pub fn bye_idle() -> Self {
        with(Condition::Bye, None, "Connection was idle for too long")
    }

    /// An administrator, or a change of what was signed in with, ends the session.
    pub fn bye_ended() -> Self {
        with(Condition::Bye, None, "This session was ended, please sign in again")
    }

    /// Too many connections.
    pub fn bye_too_many() -> Self {
        with(Condition::Bye, Code::Word(Word::Limit), "Too many connections")
    }

    /// The framer gave up, see [`crate::framer::Event::Close`].
    pub fn bye_too_much() -> Self {
        with(Condition::Bye, Code::Word(Word::ClientBug), "Too much data")
    }

    /// Too many wrong commands.
    pub fn bye_too_many_errors() -> Self {
        with(Condition::Bye, Code::Word(Word::ClientBug), "Too many errors")
    }

    /// Another session has deleted the mailbox that is open here (RFC 2180 section 3.3).
    pub fn bye_mailbox_deleted() -> Self {
        with(Condition::Bye, None, "Mailbox was deleted by another session")
    }
}

/// Success.
impl StatusResponse {
    /// The command was carried out.
    pub fn completed(row: &Row) -> Self {
        let text = format!("{} completed", row.name).into();
        Self { condition: Condition::Ok, code: None, text }
    }

    /// STARTTLS: what follows is encrypted.
    pub fn begin_tls() -> Self {
        ok(None, "Begin TLS negotiation")
    }

    /// Signed in.
    pub fn signed_in(told: Vec<Capability>) -> Self {
        ok(Code::Capability(told), "Signed in")
    }

    /// UNAUTHENTICATE: the next client may sign in.
    pub fn signed_out(told: Vec<Capability>) -> Self {
        ok(Code::Capability(told), "UNAUTHENTICATE completed")
    }

    /// COMPRESS: what follows is compressed.
    pub fn begin_compression() -> Self {
        ok(None, "Begin compression")
    }

    /// The mailbox that was open is closed by SELECT (RFC 7162 section 3.2.11).
    pub fn closed() -> Self {
        ok(Code::Word(Word::Closed), "Previous mailbox closed")
    }

    /// SELECT.
    pub fn selected() -> Self {
        ok(Code::ReadWrite, "SELECT completed")
    }

    /// EXAMINE, or SELECT without the right to change.
    pub fn selected_read_only() -> Self {
        ok(Code::ReadOnly, "Mailbox is open for reading")
    }

    /// Of SELECT: which flags last.
    pub fn permanent_flags(flags: Vec<Flag>, may_create: MayCreate) -> Self {
        ok(Code::PermanentFlags(flags, may_create), "Flags that are kept")
    }

    /// Of SELECT.
    pub fn uid_validity(validity: UidValidity) -> Self {
        ok(Code::UidValidity(validity), "UIDs are valid")
    }

    /// Of SELECT.
    pub fn uid_next(uid: Uid) -> Self {
        ok(Code::UidNext(uid), "Predicted next UID")
    }

    /// Of SELECT: the first message without \Seen.
    pub fn unseen(seq: SeqNum) -> Self {
        ok(Code::Unseen(seq), "First unseen message")
    }

    /// Of SELECT, and wherever a client must learn it (RFC 7162 section 3.1.2.1).
    pub fn highest_modseq(modseq: ModSeq) -> Self {
        ok(Code::HighestModSeq(modseq), "Highest mod-sequence")
    }

    /// Of SELECT: the mailbox's id (RFC 8474 section 4.2).
    pub fn mailbox_id(id: String) -> Self {
        ok(Code::MailboxId(id), "Mailbox id")
    }

    /// CREATE: the new mailbox's id (RFC 8474 section 4.1).
    pub fn created(id: String) -> Self {
        ok(Code::MailboxId(id), "CREATE completed")
    }

    /// APPEND.
    pub fn appended(validity: UidValidity, uids: UidSet) -> Self {
        ok(Code::AppendUid(validity, uids), "APPEND completed")
    }

    /// COPY; for MOVE it is sent untagged, before the EXPUNGEs (RFC 6851 section 4.3).
    pub fn copied(validity: UidValidity, from: UidSet, to: UidSet) -> Self {
        ok(Code::CopyUid(validity, from, to), "Copied")
    }

    /// STORE with UNCHANGEDSINCE: these were left as they are.
    pub fn modified_seqs(seqs: SeqSet) -> Self {
        ok(Code::ModifiedSeqs(seqs), "Some messages have changed")
    }

    /// UID STORE with UNCHANGEDSINCE: these were left as they are.
    pub fn modified_uids(uids: UidSet) -> Self {
        ok(Code::ModifiedUids(uids), "Some messages have changed")
    }

    /// IDLE is over.
    pub fn idle_done() -> Self {
        ok(None, "IDLE completed")
    }
}

/// Failure to sign in.
impl StatusResponse {
    fixed! {
        /// Name or password is wrong, or access was refused: the client is not told which.
        authentication_failed = No AuthenticationFailed "Authentication failed";
        /// Too many failures from here, or a check that failed for now.
        authentication_unavailable = No Unavailable "Cannot sign in now, try again later";
        /// Signing in needs TLS.
        privacy_required = No PrivacyRequired "Start TLS first";
        /// The account is closed.
        account_closed = No ContactAdmin "Account is closed, ask your administrator";
        /// The mechanism is not offered.
        unknown_mechanism = No Cannot "Authentication mechanism is not supported";
    }

    /// `*` in place of the next step (RFC 3501 section 6.2.2).
    pub fn authentication_cancelled() -> Self {
        with(Condition::Bad, None, "Authentication cancelled")
    }

    /// A step that is not base 64, or not what the mechanism wants.
    pub fn authentication_malformed() -> Self {
        with(Condition::Bad, None, "Authentication exchange is malformed")
    }
}

/// Failure about mailboxes and messages.
impl StatusResponse {
    fixed! {
        /// No such mailbox.
        no_such_mailbox = No NonExistent "No such mailbox";
        /// The name is taken.
        mailbox_exists = No AlreadyExists "Mailbox exists already";
        /// INBOX cannot be deleted.
        inbox_stays = No Cannot "INBOX cannot be deleted";
        /// A name that cannot be had.
        cannot_create = No Cannot "Mailbox name cannot be used";
        /// DELETE of a mailbox with children.
        has_children = No HasChildren "Mailbox has children";
        /// CREATE with a special use that cannot be had.
        cannot_use = No UseAttr "Special use cannot be given to this mailbox";
        /// The mailbox is open for reading only, or the user may only read.
        read_only = No NoPerm "Mailbox is read-only";
        /// Over quota.
        over_quota = No OverQuota "Account is over quota";
        /// The message is larger than APPEND takes.
        too_big = No TooBig "Message is too big";
        /// A limit of the plan or the server.
        limit = No Limit "Limit reached";
        /// Somebody else is at it.
        in_use = No InUse "Mailbox is in use, try again";
        /// The set names messages that are gone.
        expunge_issued = No ExpungeIssued "Some messages have been expunged";
        /// The result of SEARCH RETURN (SAVE) could not be kept.
        not_saved = No NotSaved "Search result was not saved";
        /// BINARY of a part that cannot be decoded.
        unknown_cte = No UnknownCte "Transfer encoding of the part is not known";
        /// COMPRESS for the second time.
        compression_active = No CompressionActive "Connection is compressed already";
        /// No such quota root.
        no_such_quota_root = No NonExistent "No such quota root";
        /// Temporary failure: nothing was changed.
        unavailable = No Unavailable "Temporary failure, try again later";
        /// There is no memory for it at the moment.
        busy = No Unavailable "Server is busy, try again later";
        /// A failure that we did not foresee.
        server_bug = No ServerBug "Internal error, try again later";
    }

    /// COPY, MOVE or APPEND to a mailbox that does not exist.
    pub fn try_create() -> Self {
        no(Code::TryCreate, "No such mailbox")
    }

    /// The charset of SEARCH, SORT or THREAD is not known.
    pub fn bad_charset() -> Self {
        no(Code::BadCharset(&["US-ASCII", "UTF-8"]), "Charset is not supported")
    }
}

/// Commands that are wrong.
impl StatusResponse {
    /// A command that could not be read.
    pub fn bad(reason: &Reason) -> Self {
        Self { condition: Condition::Bad, code: None, text: reason.to_string().into() }
    }

    /// A command that the framer did not deliver. For [`Refusal::Decided`] the server has a
    /// better answer.
    pub fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::LineTooLong => with(Condition::Bad, None, "Command line is too long"),
            Refusal::LiteralTooLarge => {
                with(Condition::Bad, Code::Word(Word::TooBig), "Literal is too large")
            }
            Refusal::MessageTooLarge => Self::too_big(),
            Refusal::Decided => no(None, "Message was refused"),
        }
    }

    /// A sequence number that no message has.
    pub fn out_of_range() -> Self {
        with(Condition::Bad, None, "No message has this number")
    }

    /// COMPRESS with another mechanism than DEFLATE (RFC 4978 section 3: it is BAD).
    pub fn unknown_compression() -> Self {
        with(Condition::Bad, None, "Compression mechanism is not supported")
    }

    /// Not `DONE` to end IDLE.
    pub fn expected_done() -> Self {
        with(Condition::Bad, None, "Expected DONE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tag, table};

    fn printed(response: &StatusResponse) -> String {
        let mut out = Vec::new();
        response.tagged(&mut out, &Tag::parse(b"a1").unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_answers() {
        let set = |ranges: &[(u32, u32)]| {
            UidSet::from_ranges(ranges.iter().map(|(a, b)| (Uid::new(*a).unwrap(), Uid::new(*b).unwrap())))
        };
        let validity = UidValidity::new(38505).unwrap();
        for (response, expected) in [
            (StatusResponse::completed(&table::TABLE[1]), "a1 OK NOOP completed\r\n"),
            // RFC 4315 section 3
            (
                StatusResponse::appended(validity, set(&[(3955, 3955)])),
                "a1 OK [APPENDUID 38505 3955] APPEND completed\r\n",
            ),
            (
                StatusResponse::copied(validity, set(&[(304, 304), (319, 320)]), set(&[(3956, 3958)])),
                "a1 OK [COPYUID 38505 304,319:320 3956:3958] Copied\r\n",
            ),
            (
                StatusResponse::permanent_flags(vec![Flag::Deleted, Flag::Seen], MayCreate::Yes),
                "a1 OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Flags that are kept\r\n",
            ),
            (
                StatusResponse::permanent_flags(vec![], MayCreate::No),
                "a1 OK [PERMANENTFLAGS ()] Flags that are kept\r\n",
            ),
            (
                StatusResponse::bad_charset(),
                "a1 NO [BADCHARSET (US-ASCII UTF-8)] Charset is not supported\r\n",
            ),
            (
                StatusResponse::signed_in(vec![Capability::Imap4Rev1, Capability::Idle]),
                "a1 OK [CAPABILITY IMAP4rev1 IDLE] Signed in\r\n",
            ),
            (StatusResponse::mailbox_id("M1".into()), "a1 OK [MAILBOXID (M1)] Mailbox id\r\n"),
            (StatusResponse::refused(Refusal::MessageTooLarge), "a1 NO [TOOBIG] Message is too big\r\n"),
            (StatusResponse::bad(&Reason::UnknownCommand), "a1 BAD Unknown command\r\n"),
        ] {
            assert_eq!(printed(&response), expected);
        }
    }
}
