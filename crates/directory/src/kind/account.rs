//! Accounts: mailboxes, credentials and quota of one person or role.

use hikyaku_store::TenantTx;
use hikyaku_types::Address;

use crate::addresses;
use crate::change::{Settling, invalid};
use crate::error::{DirectoryError, request};
use crate::field::{Limit, Size, Text, record};
use crate::kind::Kind;
use crate::kind::tenant::Language;
use crate::object::{self, Object};

record! {
    /// One account.
    pub struct Account {
        /// Its addresses; the first is the one that it is called by.
        addresses: Vec<Text<Address>> = Vec::new(),
        /// Its name for people.
        title: String = String::new(),
        /// What it may store; the plan's largest mailbox is a limit too.
        quota: Size = Size(None),
        /// May it use the webmail?
        webmail: bool = false,
        /// Where its mail is sent on to.
        forward_to: Vec<Text<Address>> = Vec::new(),
        /// Does its own mailbox get mail that is sent on?
        keep_copy: bool = true,
        /// Does mail to its name with a tag go into the mailbox called like the tag, if there is one?
        tag_mailbox: bool = false,
        /// The language of notices.
        language: Language = Language::Japanese,
        /// A note of the administrator.
        note: String = String::new(),
    }
}

/// What the owner may change.
pub const OWNERS_FIELDS: [&str; 5] = ["title", "forward_to", "keep_copy", "tag_mailbox", "language"];

/// Most addresses of one account, and most that its mail is sent on to.
const MOST_ADDRESSES: usize = 100;
const MOST_FORWARDS: usize = 20;

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &mut Settling<'_>,
) -> Result<(), DirectoryError> {
    let mut fields: Account = object::record(&object.data)?;
    put_name_first(object, &mut fields, settling.before)?;
    if fields.addresses.len() > MOST_ADDRESSES {
        return Err(invalid("addresses", format!("an account has at most {MOST_ADDRESSES}")));
    }
    if fields.forward_to.len() > MOST_FORWARDS {
        return Err(invalid("forward_to", format!("mail is sent on to at most {MOST_FORWARDS} addresses")));
    }
    if !fields.keep_copy && fields.forward_to.is_empty() {
        return Err(invalid("keep_copy", "mail that is not sent on is kept: say where to first"));
    }
    let [Text(main), ..] = fields.addresses.as_slice() else {
        return Err(DirectoryError::Request(request::NAME));
    };
    object.parent = Some(addresses::domain_of(tx, main)?.as_i64());
    let all: Vec<&Address> = fields.addresses.iter().map(|address| &address.0).collect();
    addresses::settle(tx, object, &all, &mut settling.forget)?;
    refuse_beyond_plan(tx, &fields, settling)?;
    object.set_record(&fields)?;
    Ok(())
}

/// The name is the first address: a new name becomes it, and a new first address the name.
fn put_name_first(
    object: &mut Object,
    fields: &mut Account,
    before: Option<&Object>,
) -> Result<(), DirectoryError> {
    let is_renamed = before.is_none_or(|before| before.name != object.name);
    if is_renamed && !object.name.is_empty() {
        let address: Address = object.name.parse().map_err(|error: hikyaku_types::AddressError| {
            invalid("name", format!("an account is called by its first address: {error}"))
        })?;
        if let Some(before) = before {
            // What it was called by goes; to keep it, add it as a further address.
            fields.addresses.retain(|old| old.0.key().as_str() != before.name);
        }
        fields.addresses.retain(|old| old.0.key() != address.key());
        fields.addresses.insert(0, Text(address));
    }
    if let Some(Text(main)) = fields.addresses.first() {
        object.name = main.key().to_string();
    }
    Ok(())
}

fn refuse_beyond_plan(
    tx: &mut TenantTx<'_>,
    fields: &Account,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    let before: Option<Account> = settling.before.map(|before| object::record(&before.data)).transpose()?;
    let refuse = |what, have: u64, Limit(most)| match most {
        Some(most) if have > most => Err(DirectoryError::Limit { what, most }),
        _ => Ok(()),
    };
    if before.is_none() {
        refuse("accounts", object::count(tx, Kind::Account)? + 1, settling.plan.accounts)?;
    }
    if fields.addresses.len() > before.as_ref().map_or(1, |before| before.addresses.len()) {
        refuse("aliases and further addresses", addresses::aliases(tx)?, settling.plan.aliases)?;
    }
    if fields.webmail && !before.is_some_and(|before| before.webmail) {
        refuse("webmail seats", seats(tx)? + 1, settling.plan.webmail_seats)?;
    }
    Ok(())
}

/// How many accounts have a seat. Counted over all of the tenant's accounts: seats are given
/// seldom.
fn seats(tx: &mut TenantTx<'_>) -> Result<u64, DirectoryError> {
    const SEATS: hikyaku_store::TenantSql = hikyaku_store::TenantSql::new(
        "SELECT COUNT(*) FROM account WHERE tenant = $1 AND data LIKE '%\"webmail\":true%'",
    );
    Ok(tx.row(SEATS, &[], |row| row.get(0))?.unwrap_or(0))
}
