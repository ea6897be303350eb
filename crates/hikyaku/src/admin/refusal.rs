//! Why a command was not carried out: a word for programs, and a text that says what to do.

use std::fmt::Display;
use std::process::ExitCode;

use hikyaku_directory::DirectoryError;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Why not. The same in a process and over the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// [`DirectoryError::code`], or one of those below.
    pub(crate) code: String,
    pub(crate) text: String,
}

/// The command line does not make sense.
const USAGE: &str = "usage";
/// The installation cannot be used as it is.
const PLACE: &str = "place";
/// What may work later.
const UNAVAILABLE: &str = "unavailable";

impl Refusal {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE.into(), text: text.into() }
    }

    pub(crate) fn place(text: impl Into<String>) -> Self {
        Self { code: PLACE.into(), text: text.into() }
    }

    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self { code: UNAVAILABLE.into(), text: text.into() }
    }

    /// It will not be done, for a reason that has a word of its own.
    pub(crate) fn refused(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }

    /// What nobody expects: trying again is all that can be done.
    pub(crate) fn failed(error: &dyn Display) -> Self {
        Self::unavailable(format!("this cannot be done now, try again: {error}"))
    }

    /// May it work later?
    pub(crate) fn is_temporary(&self) -> bool {
        self.code == UNAVAILABLE
    }

    /// `{"error":{"code":"taken","text":"…"}}`
    pub(crate) fn json(&self) -> String {
        json!({ "error": self }).to_string()
    }

    /// See the module `admin`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn number(&self) -> u8 {
        match self.code.as_str() {
            USAGE => 2,
            UNAVAILABLE => 3,
            _ => 1,
        }
    }
}

impl From<&DirectoryError> for Refusal {
    fn from(error: &DirectoryError) -> Self {
        Self { code: error.code().into(), text: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_directory::Kind;
    use hikyaku_store::StoreError;

    use super::*;

    #[test]
    fn exit_codes() {
        let of = |error: DirectoryError| Refusal::from(&error).number();
        assert_eq!(of(DirectoryError::NotFound { kind: Kind::Plan, name: "x".into() }), 1);
        assert_eq!(
            of(DirectoryError::Store(StoreError::Busy)),
            3,
            "what is temporary in the store is here too"
        );
        assert_eq!(Refusal::usage("x").number(), 2);
        assert_eq!(Refusal::place("x").number(), 1);
    }

    #[test]
    fn programs_get_one_line() {
        assert_eq!(Refusal::usage("no `x`").json(), r#"{"error":{"code":"usage","text":"no `x`"}}"#);
    }
}
