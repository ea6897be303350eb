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
use crate::{Dialect, MailboxName, Messages};

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
    /// RFC 8437
    Unauthenticate,
}

impl Command {
    /// As a client writes it, without tag and line end. Literals are non-synchronising; the
    /// messages of APPEND are left out, as the framer does.
    pub fn print(&self, dialect: Dialect) -> Vec<u8> {
        let mut out = Vec::new();
        self.print_to(&mut out, dialect);
        out
    }

    /// Does it use what RFC 7162 section 3.1 added? Then mod-sequences are told from now on.
    /// (ENABLE says so itself.)
    pub fn enables_condstore(&self) -> bool {
        match self {
            Self::Select(select) | Self::Examine(select) => select.condstore || select.qresync.is_some(),
            Self::Status(status) => status.items.contains(&StatusItem::HighestModSeq),
            Self::List(list) => list
                .returns
                .as_ref()
                .is_some_and(|returns| returns.status.contains(&StatusItem::HighestModSeq)),
            Self::Fetch(fetch) => {
                fetch.modifiers.changed_since.is_some() || fetch.atts.contains(&FetchAtt::ModSeq)
            }
            Self::Store(store) => store.unchanged_since.is_some(),
            Self::Search(search) => search.key.names_modseq(),
            Self::Sort(sort) => sort.key.names_modseq(),
            Self::Thread(thread) => thread.key.names_modseq(),
            _ => false,
        }
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
            Self::Unauthenticate => put(out, "UNAUTHENTICATE"),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::date::tests::any_date_time;
    use crate::flag::tests::any_flag;
    use crate::mailbox::tests::{any_mailbox, any_pattern};
    use crate::sequence_set::tests::{any_messages, any_set};
    use crate::table::{State, request};
    use crate::{ModSeq, SeqSet, UidSet, UidValidity};

    fn any_by() -> impl Strategy<Value = By> {
        prop_oneof![Just(By::SeqNum), Just(By::Uid)]
    }

    fn any_modseq() -> impl Strategy<Value = ModSeq> {
        (1..=i64::MAX as u64).prop_map(|number| ModSeq::new(number).unwrap())
    }

    fn any_returns() -> impl Strategy<Value = Option<SearchReturn>> {
        let options = any::<[bool; 4]>().prop_map(|[min, max, count, save]| {
            let all = !(min || max || count || save);
            SearchReturn { min, max, all, count, save }
        });
        prop::option::of(options)
    }

    fn any_select() -> impl Strategy<Value = Select> {
        let uids = any_set().prop_map(|set| -> UidSet { set.resolve(crate::Uid::new(7)) });
        let pairs = (1u32..9, 1u32..9).prop_map(|(first, length)| {
            let end = |n| {
                (
                    SeqSet::from_ranges([(
                        crate::SeqNum::new(first).unwrap(),
                        crate::SeqNum::new(n).unwrap(),
                    )]),
                    n,
                )
            };
            let (seqs, last) = end(first + length);
            (
                seqs,
                UidSet::from_ranges([(
                    crate::Uid::new(first + 9).unwrap(),
                    crate::Uid::new(last + 9).unwrap(),
                )]),
            )
        });
        let qresync = (1u32.., any_modseq(), prop::option::of(uids), prop::option::of(pairs)).prop_map(
            |(validity, modseq, known_uids, seq_match)| {
                let uid_validity = UidValidity::new(validity).unwrap();
                QResync { uid_validity, modseq, known_uids, seq_match }
            },
        );
        (any_mailbox(), any::<bool>(), prop::option::of(qresync))
            .prop_map(|(mailbox, condstore, qresync)| Select { mailbox, condstore, qresync })
    }

    fn any_list() -> impl Strategy<Value = List> {
        let select = any::<[bool; 4]>().prop_map(|[subscribed, remote, recursive, special_use]| ListSelect {
            subscribed,
            remote,
            recursive_match: recursive && (subscribed || special_use),
            special_use,
        });
        let items = prop::sample::subsequence(StatusItem::ALL.to_vec(), 0..4);
        let returns =
            (any::<[bool; 3]>(), items).prop_map(|([subscribed, children, special_use], status)| {
                ListReturn { subscribed, children, special_use, status }
            });
        (
            prop::option::of(select),
            any_pattern(),
            prop::collection::vec(any_pattern(), 1..3),
            prop::option::of(returns),
        )
            .prop_map(|(select, reference, patterns, returns)| List {
                select,
                reference,
                patterns,
                returns,
            })
    }

    fn any_append() -> impl Strategy<Value = Append> {
        let form =
            prop_oneof![Just(MessageForm::Literal), Just(MessageForm::Literal8), Just(MessageForm::Utf8)];
        let message =
            (prop::collection::vec(any_flag(), 0..3), prop::option::of(any_date_time()), any::<u32>(), form)
                .prop_map(|(flags, date_time, size, form)| AppendMessage {
                    flags,
                    date_time,
                    size_bytes: size.into(),
                    form,
                });
        (any_mailbox(), prop::collection::vec(message, 1..4))
            .prop_map(|(mailbox, messages)| Append { mailbox, messages })
    }

    fn any_fetch() -> impl Strategy<Value = Fetch> {
        let atts = prop::collection::vec(fetch::tests::any_att(), 1..5);
        (any_by(), any_messages(), atts, prop::option::of(any_modseq()), any::<bool>()).prop_map(
            |(by, messages, atts, changed_since, vanished)| {
                let vanished = vanished && by == By::Uid && changed_since.is_some();
                Fetch { by, messages, atts, modifiers: FetchModifiers { changed_since, vanished } }
            },
        )
    }

    fn any_store() -> impl Strategy<Value = Store> {
        let action =
            prop_oneof![Just(StoreAction::Replace), Just(StoreAction::Add), Just(StoreAction::Remove)];
        let flags = prop::collection::vec(any_flag(), 0..4);
        (any_by(), any_messages(), prop::option::of(any_modseq()), action, any::<bool>(), flags).prop_map(
            |(by, messages, unchanged_since, action, silent, flags)| Store {
                by,
                messages,
                unchanged_since,
                action,
                silent,
                flags,
            },
        )
    }

    fn any_sort() -> impl Strategy<Value = Sort> {
        let criterion = (prop::sample::select(SortKey::ALL), any::<bool>())
            .prop_map(|(key, reverse)| SortCriterion { key, reverse });
        let criteria = prop::collection::vec(criterion, 1..4);
        (any_by(), any_returns(), criteria, search::tests::any_key()).prop_map(
            |(by, returns, criteria, key)| Sort { by, returns, criteria, charset: "UTF-8".to_owned(), key },
        )
    }

    fn any_thread() -> impl Strategy<Value = Thread> {
        (any_by(), prop::sample::select(ThreadAlgorithm::ALL), search::tests::any_key())
            .prop_map(|(by, algorithm, key)| Thread { by, algorithm, charset: "US-ASCII".to_owned(), key })
    }

    fn any_search() -> impl Strategy<Value = Search> {
        (any_by(), any_returns(), prop::option::of("[A-Z0-9-]{1,9}"), search::tests::any_key())
            .prop_map(|(by, returns, charset, key)| Search { by, returns, charset, key })
    }

    fn any_copy() -> impl Strategy<Value = Copy> {
        (any_by(), any_messages(), any_mailbox()).prop_map(|(by, messages, mailbox)| Copy {
            by,
            messages,
            mailbox,
        })
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let text = "[ -~é]{0,8}";
        let uses = prop::sample::subsequence(SpecialUse::ALL.to_vec(), 0..3);
        let mailboxes = prop_oneof![
            any_select().prop_map(Command::Select),
            any_select().prop_map(Command::Examine),
            (any_mailbox(), uses)
                .prop_map(|(mailbox, special_use)| Command::Create(Create { mailbox, special_use })),
            any_mailbox().prop_map(Command::Delete),
            (any_mailbox(), any_mailbox()).prop_map(|(from, to)| Command::Rename(Rename { from, to })),
            any_mailbox().prop_map(Command::Subscribe),
            any_list().prop_map(Command::List),
            (any_pattern(), any_pattern())
                .prop_map(|(reference, pattern)| Command::Lsub(Lsub { reference, pattern })),
            (any_mailbox(), prop::sample::subsequence(StatusItem::ALL.to_vec(), 1..5))
                .prop_map(|(mailbox, items)| Command::Status(Status { mailbox, items })),
            any_append().prop_map(Command::Append),
            any_mailbox().prop_map(Command::GetQuotaRoot),
        ];
        let messages = prop_oneof![
            any_fetch().prop_map(Command::Fetch),
            any_store().prop_map(Command::Store),
            any_search().prop_map(Command::Search),
            any_sort().prop_map(Command::Sort),
            any_thread().prop_map(Command::Thread),
            any_copy().prop_map(Command::Copy),
            any_copy().prop_map(Command::Move),
            any_messages().prop_map(Command::UidExpunge),
        ];
        let others = prop_oneof![
            Just(Command::Idle),
            Just(Command::Expunge),
            prop::collection::vec((text, prop::option::of(text)), 0..4).prop_map(Command::Id),
            prop::collection::vec("[A-Z=]{1,9}", 1..4).prop_map(Command::Enable),
            text.prop_map(Command::GetQuota),
        ];
        prop_oneof![2 => mailboxes, 2 => messages, 1 => others]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_is_parsed(command in any_command()) {
            for dialect in [Dialect::SevenBit, Dialect::Utf8] {
                let text = [b"a ", &command.print(dialect)[..]].concat();
                match request(&text, State::Selected, dialect) {
                    Ok(parsed) => prop_assert_eq!(&parsed.command, &command),
                    Err(error) => prop_assert!(false, "{}: {}", text.escape_ascii(), error),
                }
            }
        }
    }
}
