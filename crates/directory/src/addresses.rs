//! The index of addresses: what each one leads to.
//!
//! Objects say in their fields which addresses they have; this table is made of them in the
//! same transaction, so that an address has one meaning on the whole platform and mail asks
//! one row.

use hikyaku_store::{StoreError, TenantSql, TenantTx};
use hikyaku_types::{Address, DomainId};

use crate::change::invalid;
use crate::error::DirectoryError;
use crate::kind::{Kind, domain};
use crate::log::Cached;
use crate::object::{self, Object, State};

const PUT: TenantSql = TenantSql::new(
    "INSERT INTO address (tenant, key, domain, kind, object, main) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING",
);
const TAKE: TenantSql = TenantSql::new("DELETE FROM address WHERE tenant = $1 AND key = $2 AND object = $3");
const TAKE_ALL: TenantSql = TenantSql::new("DELETE FROM address WHERE tenant = $1 AND object = $2");
const MAIN: TenantSql = TenantSql::new(
    "UPDATE address SET main = CASE WHEN key = $3 THEN 1 ELSE 0 END WHERE tenant = $1 AND object = $2",
);
const KEYS: TenantSql =
    TenantSql::new("SELECT key FROM address WHERE tenant = $1 AND object = $2 LIMIT 1000");
const DOMAINS: TenantSql =
    TenantSql::new("SELECT DISTINCT domain FROM address WHERE tenant = $1 AND object = $2 LIMIT 100");
const WHOSE: TenantSql = TenantSql::new("SELECT kind, object FROM address WHERE tenant = $1 AND key = $2");
const FURTHER: TenantSql = TenantSql::new(
    "SELECT COUNT(*) FROM address WHERE tenant = $1 AND kind IN (1, 2) AND (kind = 2 OR main = 0)",
);

const IN_DOMAIN: TenantSql = TenantSql::new(
    "SELECT COUNT(*) FROM address a
        LEFT JOIN account c ON c.tenant = $1 AND a.kind = 1 AND c.id = a.object
        LEFT JOIN alias n ON n.tenant = $1 AND a.kind = 2 AND n.id = a.object
        LEFT JOIN list l ON l.tenant = $1 AND a.kind = 3 AND l.id = a.object
     WHERE a.tenant = $1 AND a.domain = $2 AND COALESCE(c.state, n.state, l.state) <> 3",
);

/// The number of a kind that has addresses, as it stands in the index.
pub(crate) const fn number(kind: Kind) -> i64 {
    match kind {
        Kind::Account => 1,
        Kind::Alias => 2,
        Kind::List => 3,
        _ => 0,
    }
}

pub(crate) const fn kind_of(number: i64) -> Option<Kind> {
    match number {
        1 => Some(Kind::Account),
        2 => Some(Kind::Alias),
        3 => Some(Kind::List),
        _ => None,
    }
}

/// The tenant's domain of an address, which must be there and have addresses of its own.
pub(crate) fn domain_of(tx: &mut TenantTx<'_>, address: &Address) -> Result<DomainId, DirectoryError> {
    let name = address.domain.as_str();
    let found = object::by_name(tx, Kind::Domain, name)?.filter(|domain| domain.state != State::Deleted);
    let no_domain = || DirectoryError::NoDomain { domain: name.to_owned() };
    let domain = found.ok_or_else(no_domain)?;
    let fields: domain::Domain = object::record(&domain.data)?;
    if let Some(other) = fields.alias_of {
        let problem = format!("{name} is another name of {0}: use an address in {0}", other.0);
        return Err(DirectoryError::Invalid { field: "address".into(), problem });
    }
    DomainId::from_i64(domain.id).ok_or_else(no_domain)
}

/// Gives `object` these addresses and no others; the first is its main one. What caches hold
/// of those before and after is added to `forget`.
pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &Object,
    wanted: &[&Address],
    forget: &mut Vec<Cached>,
) -> Result<(), DirectoryError> {
    let keys: Vec<String> = wanted.iter().map(|address| address.key().to_string()).collect();
    let before = keys_of(tx, object.id)?;
    for gone in before.iter().filter(|key| !keys.contains(key)) {
        tx.execute(TAKE, &[gone.into(), object.id.into()])?;
    }
    for (at, (address, key)) in wanted.iter().zip(&keys).enumerate() {
        if before.contains(key) {
            continue;
        }
        let domain = domain_of(tx, address)?;
        let params =
            [key.into(), domain.into(), number(object.kind).into(), object.id.into(), (at == 0).into()];
        if tx.execute(PUT, &params)? == 0 {
            return Err(taken(tx, address, key)?);
        }
    }
    if let Some(main) = keys.first().filter(|_| !before.is_empty()) {
        tx.execute(MAIN, &[object.id.into(), main.into()])?;
    }
    forget.extend(before.into_iter().chain(keys).map(Cached::Address));
    Ok(())
}

/// Settles an object whose name is its only address: an alias or a list.
pub(crate) fn settle_name(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    forget: &mut Vec<Cached>,
) -> Result<(), DirectoryError> {
    let address: Address = object.name.parse().map_err(|error: hikyaku_types::AddressError| {
        invalid("name", format!("it is called by its address: {error}"))
    })?;
    object.name = address.key().to_string();
    object.parent = Some(domain_of(tx, &address)?.as_i64());
    settle(tx, object, &[&address], forget)
}

fn taken(tx: &mut TenantTx<'_>, address: &Address, key: &str) -> Result<DirectoryError, StoreError> {
    let whose = whose(tx, key)?;
    let object = match whose {
        Some((kind, id)) => object::by_id(tx, kind, id)?,
        None => None,
    };
    let of = match object {
        Some(object) if object.state == State::Deleted => {
            format!("of the deleted {} {} (undelete or purge it)", object.kind, object.name)
        }
        Some(object) if object.name == key => format!("the {} {}", object.kind, object.name),
        Some(object) => format!("an address of the {} {}", object.kind, object.name),
        None => "in use".into(),
    };
    Ok(DirectoryError::AddressTaken { address: address.to_string(), of })
}

/// The keys that an object has.
pub(crate) fn keys_of(tx: &mut TenantTx<'_>, object: i64) -> Result<Vec<String>, StoreError> {
    tx.rows(KEYS, &[object.into()], |row| row.get(0))
}

/// The domains that an object has addresses in.
pub(crate) fn domains_of(tx: &mut TenantTx<'_>, object: i64) -> Result<Vec<DomainId>, StoreError> {
    tx.rows(DOMAINS, &[object.into()], |row| row.get(0))
}

/// Which object of the tenant has this key.
pub(crate) fn whose(tx: &mut TenantTx<'_>, key: &str) -> Result<Option<(Kind, i64)>, StoreError> {
    let found = tx.row(WHOSE, &[key.into()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.and_then(|(kind, id)| Some((kind_of(kind)?, id))))
}

/// Takes all addresses of an object away.
pub(crate) fn clear(tx: &mut TenantTx<'_>, object: i64) -> Result<(), StoreError> {
    tx.execute(TAKE_ALL, &[object.into()]).map(drop)
}

/// How many addresses of objects that are not deleted are in a domain.
pub(crate) fn in_domain(tx: &mut TenantTx<'_>, domain: i64) -> Result<u64, StoreError> {
    Ok(tx.row(IN_DOMAIN, &[domain.into()], |row| row.get(0))?.unwrap_or(0))
}

/// Aliases and further addresses of accounts, which a plan counts alike.
pub(crate) fn aliases(tx: &mut TenantTx<'_>) -> Result<u64, StoreError> {
    Ok(tx.row(FURTHER, &[], |row| row.get(0))?.unwrap_or(0))
}
