//! Domains of a tenant.

use hikyaku_store::TenantTx;
use hikyaku_types::{Address, Domain as Name, Network};

use crate::change::{Settling, invalid};
use crate::error::{DirectoryError, request};
use crate::field::{Text, record};
use crate::kind::Kind;
use crate::kind::forged_mail::DomainForgedMail;
use crate::object::{self, Object, State};

record! {
    /// One domain.
    pub struct Domain {
        /// Another domain of the tenant whose addresses this one has too.
        alias_of: Option<Text<Name>> = None,
        /// Who gets mail to addresses that there are not.
        catch_all: Option<Text<Address>> = None,
        /// What parts a name from its tag in `ann+shop@…`.
        tag_separator: Option<Text<char>> = Some(Text('+')),
        /// What is done with mail whose author's domain asks to refuse it (DMARC).
        forged_mail: DomainForgedMail = DomainForgedMail::AsTenant,
        /// More domains of those who pass mail on, and are believed about who sent it.
        forwarder_domains: Vec<Text<Name>> = Vec::new(),
        /// More networks of such.
        forwarder_networks: Vec<Text<Network>> = Vec::new(),
        /// A note.
        note: String = String::new(),
    }
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    let name = Name::parse(&object.name).map_err(|error| invalid("name", error.to_string()))?;
    name.as_str().clone_into(&mut object.name);
    if settling.before.is_some_and(|before| before.name != object.name) {
        return Err(DirectoryError::Request(request::NOT_RENAMED));
    }
    let fields: Domain = object::record(&object.data)?;
    if let Some(Text(separator)) = fields.tag_separator
        && !"+-_=.#!~".contains(separator)
    {
        return Err(invalid("tag_separator", "use one of + - _ = . # ! ~, or none"));
    }
    object.parent = match fields.alias_of {
        Some(Text(other)) => Some(other_domain(tx, object, &other)?),
        None => None,
    };
    Ok(())
}

/// The domain that this one is another name of.
fn other_domain(tx: &mut TenantTx<'_>, object: &Object, other: &Name) -> Result<i64, DirectoryError> {
    let not_there = || DirectoryError::NoDomain { domain: other.to_string() };
    let found = object::by_name(tx, Kind::Domain, other.as_str())?;
    let found = found.filter(|domain| domain.state != State::Deleted).ok_or_else(not_there)?;
    let fields: Domain = object::record(&found.data)?;
    if found.id == object.id || fields.alias_of.is_some() {
        let problem = format!("{other} is no domain with addresses of its own: name one that is");
        return Err(invalid("alias_of", problem));
    }
    for kind in [Kind::Account, Kind::Alias, Kind::List, Kind::Domain] {
        if let Some(user) = object::children(tx, kind, object.id, 1)?.first() {
            let problem = format!("it has addresses of its own ({kind} {}): move those first", user.name);
            return Err(invalid("alias_of", problem));
        }
    }
    Ok(found.id)
}
