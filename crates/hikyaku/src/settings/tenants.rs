//! Tenants and accounts as the settings file has them, until the control database does.

use hikyaku_directory::{Account, DomainEntry, Entry, PasswordHash};
use hikyaku_mailstore::Quota;
use hikyaku_store::AccountHome;
use hikyaku_types::{Address, Domain, ShardId, TenantId};

use super::findings::Findings;
use super::kind::{Kind, Value, Wrong, from_text, list};
use super::section::{Given, Needed, section};

section! {
    /// A customer. Never change or reuse an id: an account's mail hangs on it.
    struct Tenant {
        /// `hikyaku make tenant-id` gives one.
        id: Needed<Text>;
        /// Its domains.
        domains: Needed<Texts>;
        /// Bytes that all its accounts may store together.
        pool_bytes: Option<Given<u64>>;
        account: Vec<TenantAccount>;
    }
}

section! {
    /// An account of the `[[tenant]]` above.
    struct TenantAccount {
        /// `hikyaku make account-id` gives one.
        id: Needed<Text>;
        /// Its address.
        address: Needed<Text>;
        /// Its other addresses.
        aliases: Given<Texts> = [];
        /// What `printf %s PASSWORD | hikyaku make password-hash` prints.
        password_hash: Needed<Text>;
        /// Bytes that it may store.
        quota_bytes: Option<Given<u64>>;
    }
}

/// Read further in [`who_exists`].
#[derive(Clone, PartialEq, PartialOrd)]
pub(crate) struct Text(String);

#[derive(Clone, PartialEq, PartialOrd)]
pub(crate) struct Texts(Vec<Text>);

impl Kind for Text {
    const NAME: &'static str = "a text";
    const EXAMPLE: &'static str = "\"…\"";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        from_text(value, |text| Some(Self(text.to_owned())))
    }
}

impl Kind for Texts {
    const NAME: &'static str = "a list of texts";
    const EXAMPLE: &'static str = "[\"…\", \"…\"]";

    fn read(value: &Value<'_>) -> Result<Self, Wrong> {
        list(value).map(Self)
    }
}

/// A hash is among them.
impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(…)")
    }
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Texts(…)")
    }
}

/// All domains and accounts of the file.
pub(crate) fn who_exists(tenants: &[Tenant], findings: &mut Findings<'_>) -> (Vec<DomainEntry>, Vec<Entry>) {
    let (mut domains, mut entries) = (Vec::new(), Vec::new());
    for tenant in tenants {
        add_tenant(tenant, &mut domains, &mut entries, findings);
    }
    (domains, entries)
}

fn add_tenant(
    tenant: &Tenant,
    domains: &mut Vec<DomainEntry>,
    entries: &mut Vec<Entry>,
    findings: &mut Findings<'_>,
) -> Option<()> {
    let id: TenantId = parsed(&tenant.id, "tenant.id", findings, |text| text.parse().ok())?;
    let names = tenant.domains.0.as_ref()?;
    let mut own = Vec::new();
    for Text(name) in &names.value.0 {
        match Domain::parse(name) {
            Err(_) => {
                findings.mistake(&names.span, "tenant.domains", "one of these is no domain name", "mend it");
            }
            Ok(name) if domains.iter().any(|known: &DomainEntry| known.name == name) => {
                let what = format!("the domain {name} stands twice in the file");
                findings.mistake(&names.span, "tenant.domains", what, "remove one of them");
            }
            Ok(name) => {
                own.push(name.clone());
                domains.push(DomainEntry { name, tag_separator: Some('+') });
            }
        }
    }
    for account in &tenant.account {
        if let Some(entry) = entry(account, id, &own, Quota(tenant.pool_bytes.as_deref().copied()), findings)
        {
            if entries.iter().any(|known| known.account.home.account == entry.account.home.account) {
                let span = account.id.0.as_ref().and_then(|id| id.span.clone());
                findings.mistake(
                    &span,
                    "tenant.account.id",
                    "this id stands twice in the file",
                    "make a new one",
                );
            }
            entries.push(entry);
        }
    }
    Some(())
}

fn entry(
    account: &TenantAccount,
    tenant: TenantId,
    own: &[Domain],
    pool: Quota,
    findings: &mut Findings<'_>,
) -> Option<Entry> {
    let address = |text: &str| Address::parse(text).ok().filter(|address| own.contains(&address.domain));
    let id = parsed(&account.id, "tenant.account.id", findings, |text| text.parse().ok())?;
    let main = parsed(&account.address, "tenant.account.address", findings, address)?;
    let hash = |text: &str| PasswordHash::parse(text).ok();
    let password = parsed(&account.password_hash, "tenant.account.password_hash", findings, hash)?;
    let aliases: Option<Vec<Address>> = account.aliases.0.iter().map(|Text(text)| address(text)).collect();
    if aliases.is_none() {
        let what = "one of these is no address in a domain of its tenant";
        findings.mistake(&account.aliases.span, "tenant.account.aliases", what, "mend it");
    }
    let home = AccountHome { tenant, account: id, shard: ShardId(0) };
    let quota = Quota(account.quota_bytes.as_deref().copied());
    Some(Entry { account: Account { home, address: main, quota, pool }, aliases: aliases?, password })
}

fn parsed<T>(
    given: &Needed<Text>,
    key: &str,
    findings: &mut Findings<'_>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let given = given.0.as_ref()?;
    let value = parse(&given.value.0);
    if value.is_none() {
        let (what, remedy) = match key {
            "tenant.account.address" => ("this is no address in a domain of its tenant", "mend it"),
            "tenant.account.password_hash" => {
                ("this is no password hash", "write what `hikyaku make password-hash` prints")
            }
            "tenant.id" => ("this is no tenant id", "write what `hikyaku make tenant-id` prints"),
            _ => ("this is no account id", "write what `hikyaku make account-id` prints"),
        };
        findings.mistake(&given.span, key, what, remedy);
    }
    value
}
