//! The commands of a client, parsed.
//!
//! One file for each command or close family: its types, its parser, its printer. The table
//! that names them all is [`crate::table`]. Printers write what a client would send; the
//! test client uses them, and they prove the parsers.

mod append;
mod auth;
mod copy;
mod create;
mod fetch;
mod list;
mod quota;
mod search;
mod select;
mod sort;
mod status;
mod store;
mod tuning;

pub use append::{Append, AppendMessage, MessageForm};
pub use auth::{Authenticate, Login, Secret};
pub use copy::Copy;
pub use create::{Create, Rename, SpecialUse};
pub use fetch::{Fetch, FetchAtt, FetchModifiers};
pub use list::{List, ListReturn, ListSelect, Lsub};
pub use search::{DateKind, DateTest, EnvelopeField, Search, SearchKey, SearchReturn};
pub use select::{QResync, Select};
pub use sort::{Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm};
pub use status::{Status, StatusItem};
pub use store::{Store, StoreAction};
pub use tuning::{Id, MAX_ID_FIELDS};

pub(crate) use append::append;
pub(crate) use auth::{authenticate, login};
pub(crate) use copy::{copy, expunge, move_messages, uid_copy, uid_expunge, uid_move};
pub(crate) use create::{create, delete, rename, subscribe, unsubscribe};
pub(crate) use fetch::{fetch, uid_fetch};
pub(crate) use list::{list, lsub};
pub(crate) use quota::{get_quota, get_quota_root};
pub(crate) use search::{search, uid_search};
pub(crate) use select::{examine, select};
pub(crate) use sort::{sort, thread, uid_sort, uid_thread};
pub(crate) use status::status;
pub(crate) use store::{store, uid_store};
pub(crate) use tuning::{compress, enable, id};

use crate::parse::is_astring_char;
use crate::print::put;
use crate::{Dialect, MailboxName, Messages, SequenceSet};

/// By which numbers a command names messages and is answered: `FETCH` or `UID FETCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Message sequence numbers.
    SeqNum,
    /// Unique identifiers.
    Uid,
}

/// A command without its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// RFC 3501 section 6.1.1
    Capability,
    /// RFC 3501 section 6.1.2
    Noop,
    /// RFC 3501 section 6.1.3
    Logout,
    /// RFC 3501 section 6.2.1
    StartTls,
    /// RFC 3501 section 6.2.2, with an initial response by RFC 4959
    Authenticate(Authenticate),
    /// RFC 3501 section 6.2.3
    Login(Login),
    /// RFC 3501 section 6.3.1
    Select(Select),
    /// RFC 3501 section 6.3.2
    Examine(Select),
    /// RFC 3501 section 6.3.3
    Create(Create),
    /// RFC 3501 section 6.3.4
    Delete(MailboxName),
    /// RFC 3501 section 6.3.5
    Rename(Rename),
    /// RFC 3501 section 6.3.6
    Subscribe(MailboxName),
    /// RFC 3501 section 6.3.7
    Unsubscribe(MailboxName),
    /// RFC 3501 section 6.3.8, RFC 5258
    List(List),
    /// RFC 3501 section 6.3.9
    Lsub(Lsub),
    /// RFC 3501 section 6.3.10
    Status(Status),
    /// RFC 3501 section 6.3.11
    Append(Append),
    /// RFC 3501 section 6.4.1
    Check,
    /// RFC 3501 section 6.4.2
    Close,
    /// RFC 3691
    Unselect,
    /// RFC 3501 section 6.4.3
    Expunge,
    /// RFC 4315 section 2.1
    UidExpunge(Messages),
    /// RFC 3501 section 6.4.4
    Search(Search),
    /// RFC 5256 section 3
    Sort(Sort),
    /// RFC 5256 section 3
    Thread(Thread),
    /// RFC 3501 section 6.4.5
    Fetch(Fetch),
    /// RFC 3501 section 6.4.6
    Store(Store),
    /// RFC 3501 section 6.4.7
    Copy(Copy),
    /// RFC 6851
    Move(Copy),
    /// RFC 2177
    Idle,
    /// RFC 2342
    Namespace,
    /// RFC 2971
    Id(Id),
    /// RFC 5161: names of capabilities, in capitals.
    Enable(Vec<String>),
    /// RFC 9208 section 4.1.2: a quota root.
    GetQuota(String),
    /// RFC 9208 section 4.1.3
    GetQuotaRoot(MailboxName),
    /// RFC 4978: DEFLATE, in capitals.
    Compress(String),
}

impl Command {
    /// As a client writes it, without tag and line end. Literals are non-synchronising; the
    /// messages of APPEND are left out, as the framer does.
    pub fn print(&self, dialect: Dialect) -> Vec<u8> {
        let mut out = Vec::new();
        self.print_to(&mut out, dialect);
        out
    }

    fn print_to(&self, out: &mut Vec<u8>, dialect: Dialect) {
        match self {
            Self::Capability => put(out, "CAPABILITY"),
            Self::Noop => put(out, "NOOP"),
            Self::Logout => put(out, "LOGOUT"),
            Self::StartTls => put(out, "STARTTLS"),
            Self::Authenticate(command) => command.print(out),
            Self::Login(command) => command.print(out),
            Self::Select(command) => command.print(out, "SELECT", dialect),
            Self::Examine(command) => command.print(out, "EXAMINE", dialect),
            Self::Create(command) => command.print(out, dialect),
            Self::Delete(mailbox) => print_with_mailbox(out, "DELETE", mailbox, dialect),
            Self::Rename(command) => command.print(out, dialect),
            Self::Subscribe(mailbox) => print_with_mailbox(out, "SUBSCRIBE", mailbox, dialect),
            Self::Unsubscribe(mailbox) => print_with_mailbox(out, "UNSUBSCRIBE", mailbox, dialect),
            Self::List(command) => command.print(out, dialect),
            Self::Lsub(command) => command.print(out, dialect),
            Self::Status(command) => command.print(out, dialect),
            Self::Append(command) => command.print(out, dialect),
            Self::Check => put(out, "CHECK"),
            Self::Close => put(out, "CLOSE"),
            Self::Unselect => put(out, "UNSELECT"),
            Self::Expunge => put(out, "EXPUNGE"),
            Self::UidExpunge(messages) => put(out, format_args!("UID EXPUNGE {messages}")),
            Self::Search(command) => command.print(out),
            Self::Sort(command) => command.print(out),
            Self::Thread(command) => command.print(out),
            Self::Fetch(command) => command.print(out),
            Self::Store(command) => command.print(out),
            Self::Copy(command) => command.print(out, "COPY", dialect),
            Self::Move(command) => command.print(out, "MOVE", dialect),
            Self::Idle => put(out, "IDLE"),
            Self::Namespace => put(out, "NAMESPACE"),
            Self::Id(fields) => tuning::print_id(out, fields),
            Self::Enable(names) => put(out, format_args!("ENABLE {}", names.join(" "))),
            Self::GetQuota(root) => {
                put(out, "GETQUOTA ");
                put_astring(out, root.as_bytes());
            }
            Self::GetQuotaRoot(mailbox) => print_with_mailbox(out, "GETQUOTAROOT", mailbox, dialect),
            Self::Compress(mechanism) => put(out, format_args!("COMPRESS {mechanism}")),
        }
    }
}

fn print_with_mailbox(out: &mut Vec<u8>, name: &str, mailbox: &MailboxName, dialect: Dialect) {
    put(out, format_args!("{name} "));
    put_astring(out, mailbox.to_wire(dialect).as_bytes());
}

/// `UID ` before a command's name, or nothing.
fn print_by(out: &mut Vec<u8>, by: By) {
    if by == By::Uid {
        put(out, "UID ");
    }
}

/// An astring as a client writes it: 7-bit, with non-synchronising literals.
fn put_astring(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() && bytes.iter().all(|byte| is_astring_char(*byte)) {
        out.extend_from_slice(bytes);
    } else {
        put_string(out, bytes);
    }
}

/// A string as a client writes it: 7-bit, with non-synchronising literals.
fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.iter().all(|byte| (b' '..=b'~').contains(byte) && !matches!(byte, b'"' | b'\\')) {
        put(out, format_args!("\"{}\"", String::from_utf8_lossy(bytes)));
    } else {
        put(out, format_args!("{{{}+}}\r\n", bytes.len()));
        out.extend_from_slice(bytes);
    }
}

impl From<SequenceSet> for Messages {
    fn from(set: SequenceSet) -> Self {
        Self::Set(set)
    }
}
