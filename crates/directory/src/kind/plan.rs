//! Plans: what a tenant may have. Safety belongs to every plan; plans differ in capacity.

use crate::change::invalid;
use crate::error::{DirectoryError, request};
use crate::field::{Days, Limit, Size, Text, choice, record};
use crate::object::{self, Object};

choice! {
    /// Where a tenant of the plan lives.
    pub enum Placement {
        /// With others: shared shard, gateway and addresses to send from.
        Shared = "shared",
        /// A shard and addresses to send from of its own.
        Dedicated = "dedicated",
        /// Nodes of its own.
        Enterprise = "enterprise",
    }
}

record! {
    /// What a tenant may have.
    pub struct Plan {
        /// A title for people.
        title: String = String::new(),
        /// What all accounts of a tenant may store together.
        pool: Size = Size(None),
        /// Most accounts of a tenant.
        accounts: Limit = Limit(None),
        /// Most aliases of a tenant; further addresses of an account count as one each.
        aliases: Limit = Limit(None),
        /// Most accounts that may use the webmail.
        webmail_seats: Limit = Limit(None),
        /// What one account may store at most, whatever its own quota says.
        largest_mailbox: Size = Size(None),
        /// The largest message that an account receives or sends.
        largest_message: Size = Size(Some(50_000_000)),
        /// Recipients that one account may send to in an hour.
        recipients_per_hour: Limit = Limit(Some(500)),
        /// Recipients that one account may send to in a day.
        recipients_per_day: Limit = Limit(Some(2_000)),
        /// How long the history of sign-ins is kept, 7 at least.
        history_days: Days = Days(90),
        /// How long the trace of messages is kept, a day at least.
        trace_days: Days = Days(30),
        /// How long what was deleted can be undeleted.
        grace_days: Days = Days(30),
        /// Where its tenants live.
        placement: Placement = Placement::Shared,
        /// Names of further features, for the operator's own use.
        features: Vec<Text<String>> = Vec::new(),
    }
}

/// Names of plans and tenants: words that fit into commands and addresses of pages.
pub(crate) fn check_word(kind: crate::Kind, name: &str) -> Result<(), DirectoryError> {
    if name.is_empty() {
        return Err(DirectoryError::Request(request::NAME));
    }
    let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_word || name.len() > 60 || name.starts_with('-') || kind.id_of(name).is_some() {
        return Err(invalid("name", format!("`{name}` is not a name: use up to 60 of a-z, 0-9 and -")));
    }
    Ok(())
}

/// Fewest days of history: the decision about guessed passwords is made of those of a week.
const LEAST_HISTORY: u32 = 7;

pub(crate) fn settle(object: &Object) -> Result<(), DirectoryError> {
    check_word(object.kind, &object.name)?;
    let fields: Plan = object::record(&object.data)?;
    if fields.history_days.0 < LEAST_HISTORY {
        let problem = format!("it is {LEAST_HISTORY} at least: blocks are made of the sign-ins of a week");
        return Err(invalid("history_days", problem));
    }
    Ok(())
}
