//! Every command in one table: its name, the states that allow it, whether its answer may
//! tell of expunged messages, and its parser.
//!
//! Standards: RFC 3501 section 6 (states), section 7.4.1 (EXPUNGE), RFC 5256 section 3
//! (the same for SORT), RFC 7162 section 3.2.10 (the same for VANISHED).
//!
//! A new command is a file in `command/` and a row here.

use crate::command::{self as c, Command};
use crate::parse::{self, Malformed, Parsed, take_while};
use crate::{Dialect, Tag};

/// Where a session stands, RFC 3501 section 3. (In logout state it reads no commands.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has signed in.
    NotAuthenticated,
    /// Signed in, no mailbox open.
    Authenticated,
    /// A mailbox is open.
    Selected,
}

/// May untagged EXPUNGE (or VANISHED) be sent in answer to the command?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunge {
    /// Yes, what is known to be gone may be told.
    May,
    /// No: the client speaks of sequence numbers, or reads numbers that must stay true.
    MustWait,
}

/// What the table says of one command.
#[derive(Debug)]
pub struct Row {
    /// In capitals; `UID FETCH` is a command of its own.
    pub name: &'static str,
    /// The states that allow it.
    pub states: &'static [State],
    /// May its answer tell of expunged messages?
    pub expunge: Expunge,
    /// Reads what stands behind the name.
    parse: for<'a> fn(&'a [u8], Dialect) -> Parsed<'a, Command>,
}

/// A whole command.
#[derive(Debug)]
pub struct Request {
    /// The client's name for it.
    pub tag: Tag,
    /// What the table says of it.
    pub row: &'static Row,
    /// What is asked.
    pub command: Command,
}

/// Why a text is not a command that can be carried out: answer BAD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RequestError {
    /// The command's tag; without one the answer is untagged.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub reason: Reason,
}

/// The kinds of wrong commands; each displays as a short text for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No tag.
    #[error("Command has no tag")]
    NoTag,
    /// A name that is not in the table.
    #[error("Unknown command")]
    UnknownCommand,
    /// In the table, but not in this state.
    #[error("Command is not allowed now")]
    WrongState,
    /// An extension that ENABLE must turn on first.
    #[error("ENABLE the extension first")]
    NotEnabled,
    /// Arguments that the grammar does not allow.
    #[error("Syntax error: {0}")]
    Syntax(#[from] Malformed),
}

use Expunge::{May, MustWait};
use State::{Authenticated, NotAuthenticated, Selected};

const ANY: &[State] = &[NotAuthenticated, Authenticated, Selected];
const BEFORE_SIGN_IN: &[State] = &[NotAuthenticated];
const SIGNED_IN: &[State] = &[Authenticated, Selected];
const SELECTED: &[State] = &[Selected];

/// Declares the parser of a command without arguments.
macro_rules! bare {
    ($($function:ident $command:ident;)*) => {$(
        fn $function(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
            Ok((input, Command::$command))
        }
    )*};
}

bare! {
    capability Capability;
    noop Noop;
    logout Logout;
    starttls StartTls;
    check Check;
    close Close;
    unselect Unselect;
    idle Idle;
    namespace Namespace;
    unauthenticate Unauthenticate;
}

macro_rules! rows {
    ($($name:literal $states:ident $expunge:ident $parse:expr;)*) => {
        &[$(Row { name: $name, states: $states, expunge: $expunge, parse: $parse },)*]
    };
}

/// All commands.
#[rustfmt::skip]
pub static TABLE: &[Row] = rows! {
    "CAPABILITY"   ANY            May      capability;
    "NOOP"         ANY            May      noop;
    "LOGOUT"       ANY            May      logout;
    "ID"           ANY            May      c::id;

    "STARTTLS"     BEFORE_SIGN_IN May      starttls;
    "AUTHENTICATE" BEFORE_SIGN_IN May      c::authenticate;
    "LOGIN"        BEFORE_SIGN_IN May      c::login;

    "ENABLE"       SIGNED_IN      May      c::enable;
    "SELECT"       SIGNED_IN      May      c::select;
    "EXAMINE"      SIGNED_IN      May      c::examine;
    "CREATE"       SIGNED_IN      May      c::create;
    "DELETE"       SIGNED_IN      May      c::delete;
    "RENAME"       SIGNED_IN      May      c::rename;
    "SUBSCRIBE"    SIGNED_IN      May      c::subscribe;
    "UNSUBSCRIBE"  SIGNED_IN      May      c::unsubscribe;
    "LIST"         SIGNED_IN      May      c::list;
    "LSUB"         SIGNED_IN      May      c::lsub;
    "NAMESPACE"    SIGNED_IN      May      namespace;
    "STATUS"       SIGNED_IN      May      c::status;
    "APPEND"       SIGNED_IN      May      c::append;
    "IDLE"         SIGNED_IN      May      idle;
    "GETQUOTA"     SIGNED_IN      May      c::get_quota;
    "GETQUOTAROOT" SIGNED_IN      May      c::get_quota_root;
    "COMPRESS"     SIGNED_IN      May      c::compress;
    "UNAUTHENTICATE" SIGNED_IN    May      unauthenticate;

    "CHECK"        SELECTED       May      check;
    "CLOSE"        SELECTED       May      close;
    "UNSELECT"     SELECTED       May      unselect;
    "EXPUNGE"      SELECTED       May      c::expunge;
    "UID EXPUNGE"  SELECTED       May      c::uid_expunge;
    "SEARCH"       SELECTED       MustWait c::search;
    "UID SEARCH"   SELECTED       May      c::uid_search;
    "SORT"         SELECTED       MustWait c::sort;
    "UID SORT"     SELECTED       May      c::uid_sort;
    "THREAD"       SELECTED       MustWait c::thread;
    "UID THREAD"   SELECTED       May      c::uid_thread;
    "FETCH"        SELECTED       MustWait c::fetch;
    "UID FETCH"    SELECTED       May      c::uid_fetch;
    "STORE"        SELECTED       MustWait c::store;
    "UID STORE"    SELECTED       May      c::uid_store;
    "COPY"         SELECTED       May      c::copy;
    "UID COPY"     SELECTED       May      c::uid_copy;
    "MOVE"         SELECTED       May      c::move_messages;
    "UID MOVE"     SELECTED       May      c::uid_move;
};

/// The row of the command that `input` begins with, and what stands behind its name.
fn find(input: &[u8]) -> Option<(&'static Row, &[u8])> {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    let (mut rest, mut name) = take_while(input, is_letter);
    if name.eq_ignore_ascii_case(b"UID") {
        let (after, _) = take_while(rest.strip_prefix(b" ")?, is_letter);
        name = input.get(..input.len() - after.len())?;
        rest = after;
    }
    let row = TABLE.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))?;
    (rest.is_empty() || rest.starts_with(b" ")).then_some((row, rest))
}

/// Reads one whole command: what [`crate::Framer`] delivered, or its beginning up to the
/// announcement of a message in APPEND.
pub fn request(text: &[u8], state: State, dialect: Dialect) -> Result<Request, RequestError> {
    let Ok((rest, tag)) = parse::tag(text) else {
        return Err(RequestError { tag: None, reason: Reason::NoTag });
    };
    match tagged(rest, state, dialect) {
        Ok((row, command)) => Ok(Request { tag, row, command }),
        Err(reason) => Err(RequestError { tag: Some(tag), reason }),
    }
}

/// What stands behind the tag.
fn tagged(input: &[u8], state: State, dialect: Dialect) -> Result<(&'static Row, Command), Reason> {
    let (row, arguments) = find(parse::sp(input)?).ok_or(Reason::UnknownCommand)?;
    if !row.states.contains(&state) {
        return Err(Reason::WrongState);
    }
    let (rest, command) = (row.parse)(arguments, dialect)?;
    parse::end(rest)?;
    Ok((row, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str, state: State) -> (Option<String>, Reason) {
        let error = request(text.as_bytes(), state, Dialect::SevenBit).unwrap_err();
        (error.tag.map(|tag| tag.to_string()), error.reason)
    }

    #[test]
    fn expunge_waits_for_the_five_commands_of_sequence_numbers() {
        // RFC 3501 section 7.4.1, RFC 5256 section 3.
        let waiting: Vec<_> =
            TABLE.iter().filter(|row| row.expunge == MustWait).map(|row| row.name).collect();
        assert_eq!(waiting, ["SEARCH", "SORT", "THREAD", "FETCH", "STORE"]);
    }

    #[test]
    fn states() {
        for (text, not_authenticated, authenticated, selected) in [
            ("a NOOP", true, true, true),
            ("a STARTTLS", true, false, false),
            ("a LOGIN a b", true, false, false),
            ("a SELECT inbox", false, true, true),
            ("a IDLE", false, true, true),
            ("a CLOSE", false, false, true),
            ("a UID COPY 1 x", false, false, true),
        ] {
            for (state, allowed) in
                [(NotAuthenticated, not_authenticated), (Authenticated, authenticated), (Selected, selected)]
            {
                let outcome = request(text.as_bytes(), state, Dialect::SevenBit);
                assert_eq!(outcome.is_ok(), allowed, "{text} in {state:?}");
                if let Err(error) = outcome {
                    assert_eq!(error.reason, Reason::WrongState);
                }
            }
        }
    }

    #[test]
    fn names_are_words_and_none_comes_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.name, row.name.to_ascii_uppercase());
            assert!(TABLE[..index].iter().all(|other| other.name != row.name), "{}", row.name);
            let lower = format!("a {}x", row.name.to_ascii_lowercase());
            assert_eq!(reason(&lower, Selected).1, Reason::UnknownCommand, "{lower}");
        }
    }

    #[test]
    fn errors_carry_the_tag_when_there_is_one() {
        for (text, tag, expected) in [
            ("", None, Reason::NoTag),
            ("* NOOP", None, Reason::NoTag),
            ("+ NOOP", None, Reason::NoTag),
            (" NOOP", None, Reason::NoTag),
            ("\0", None, Reason::NoTag),
            ("a1 XYZZY", Some("a1"), Reason::UnknownCommand),
            ("a1 UID NOOP", Some("a1"), Reason::UnknownCommand),
            ("a1 UID", Some("a1"), Reason::UnknownCommand),
            ("a1 NOOP\0", Some("a1"), Reason::UnknownCommand),
            ("a1  NOOP", Some("a1"), Reason::UnknownCommand),
        ] {
            assert_eq!(reason(text, Selected), (tag.map(str::to_owned), expected), "{text}");
        }
        for text in ["a1", "a1 NOOP ", "a1 NOOP x", "a1 LIST", "a1 CHECK\r\n", "a1 SELECT a b"] {
            let (tag, reason) = reason(text, Selected);
            assert_eq!(tag.as_deref(), Some("a1"), "{text}");
            assert!(matches!(reason, Reason::Syntax(_) | Reason::UnknownCommand), "{text}: {reason:?}");
        }
        assert_eq!(reason("a1 FETCH 1 x", Selected).1.to_string(), "Syntax error: unknown item of FETCH");
    }
}
