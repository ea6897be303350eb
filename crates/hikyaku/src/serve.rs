//! `hikyaku serve --config FILE`: a mail server as the operator's file says.
//!
//! Known weakness: tenants and accounts stand in the file, and it is read once, at start.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use hikyaku_directory::{Account, Directory, DomainEntry, Entry, PasswordHash, Passwords};
use hikyaku_mailstore::Quota;
use hikyaku_net::TlsAcceptor;
use hikyaku_store::{AccountHome, Location};
use hikyaku_telemetry::Metrics;
use hikyaku_telemetry::log::Format;
use hikyaku_types::{Address, Domain, ShardId, SystemRandom};
use serde::Deserialize;

use crate::listen::{Door, Listeners, Manner};
use crate::services::Installation;

/// What the operator writes. Unknown keys are mistakes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What the server calls itself.
    host_name: String,
    /// The data folder.
    data: PathBuf,
    /// URL of a PostgreSQL database; without it SQLite files lie in the data folder.
    postgres: Option<String>,
    /// `text` or `json`.
    #[serde(default)]
    log: Log,
    /// Certificate chain and key, PEM.
    tls: Option<Tls>,
    /// An address for each listener; what is not named is not opened.
    listen: Listen,
    #[serde(default, rename = "tenant")]
    tenants: Vec<Tenant>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Log {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    chain: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listen {
    smtp: Option<SocketAddr>,
    submission: Option<SocketAddr>,
    submissions: Option<SocketAddr>,
    imap: Option<SocketAddr>,
    imaps: Option<SocketAddr>,
    /// Passwords are taken in clear: for tests. Refused unless every listener is on loopback.
    #[serde(default)]
    plain_sign_in_without_tls: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenant {
    /// `t-…`; `hikyaku make tenant-id` gives one.
    id: String,
    domains: Vec<String>,
    /// Bytes that all its accounts may store together.
    pool_bytes: Option<u64>,
    #[serde(default, rename = "account")]
    accounts: Vec<FileAccount>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAccount {
    /// `a-…`; `hikyaku make account-id` gives one.
    id: String,
    address: String,
    #[serde(default)]
    aliases: Vec<String>,
    /// As `hikyaku make password-hash` prints it.
    password_hash: String,
    /// Bytes that it may store.
    quota_bytes: Option<u64>,
}

/// What the program uses.
struct Settings {
    location: Location,
    data: PathBuf,
    manner: Manner,
    listen: Vec<(Door, SocketAddr)>,
    directory: Directory,
}

pub(crate) fn run(config: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
    let file: File = parse(&text).with_context(|| config.display().to_string())?;
    crate::start_log(match file.log {
        Log::Text => Format::Text,
        Log::Json => Format::Json,
    })?;
    let settings = check(file).with_context(|| config.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut metrics = Metrics::new();
    let installation = Installation::open(&settings.data, &settings.location, &mut metrics, &runtime)?;
    let directory = Arc::new(settings.directory);
    runtime.block_on(async {
        let listeners =
            Listeners::open(&settings.listen, &settings.manner, &installation, &directory).await?;
        for (door, address) in &listeners.addresses {
            tracing::info!(listener = door.name(), %address, "listening");
        }
        listeners.serve_until_signal().await
    })?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    installation.store.close();
    Ok(())
}

/// A mistake is told with its line and without what stands there, which may be a secret.
fn parse(text: &str) -> anyhow::Result<File> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        // Only the name of an unknown key may be shown; what else is quoted is a value.
        let quotes: &[char] = if error.message().starts_with("unknown field") { &[] } else { &['"', '`'] };
        let message = error.message().lines().next().unwrap_or_default();
        let message = message.split(quotes).next().unwrap_or_default().trim_end();
        anyhow::anyhow!("line {}: {message}", before.matches('\n').count() + 1)
    })
}

/// Makes values of texts. All mistakes are reported together.
fn check(file: File) -> anyhow::Result<Settings> {
    let mut mistakes = Vec::new();
    let host_name = Domain::parse(&file.host_name);
    let host_name = host_name.map_err(|error| mistakes.push(format!("host_name: {error}"))).ok();
    let tls = file.tls.as_ref().and_then(|tls| read_tls(tls).map_err(|error| mistakes.push(error)).ok());
    let listen = listeners(&file.listen);
    if listen.is_empty() {
        mistakes.push("listen: no listener is named, so nobody could come in".into());
    }
    let (mut domains, mut entries) = (Vec::new(), Vec::new());
    for tenant in &file.tenants {
        add_tenant(tenant, &mut domains, &mut entries, &mut mistakes);
    }
    if !mistakes.is_empty() {
        bail!("{}", mistakes.join("\n"));
    }
    let Some(host_name) = host_name else { bail!("host_name is missing") };
    let plain = file.listen.plain_sign_in_without_tls;
    Ok(Settings {
        location: file
            .postgres
            .map_or_else(|| Location::Folder(file.data.clone()), |url| Location::Postgres { url }),
        data: file.data,
        manner: Manner { tls, plain_sign_in_without_tls: plain, ..Manner::new(host_name) },
        listen,
        directory: Directory::new(domains, entries, Passwords::new(2), &SystemRandom)?,
    })
}

fn listeners(listen: &Listen) -> Vec<(Door, SocketAddr)> {
    let wanted = [
        (Door::Smtp, listen.smtp),
        (Door::Submission, listen.submission),
        (Door::Submissions, listen.submissions),
        (Door::Imap, listen.imap),
        (Door::Imaps, listen.imaps),
    ];
    wanted.into_iter().filter_map(|(door, address)| Some((door, address?))).collect()
}

fn read_tls(tls: &Tls) -> Result<TlsAcceptor, String> {
    let read =
        |path: &Path| fs::read(path).map_err(|error| format!("tls: cannot read {}: {error}", path.display()));
    TlsAcceptor::from_pem(&read(&tls.chain)?, &read(&tls.key)?).map_err(|error| format!("tls: {error}"))
}

fn add_tenant(
    tenant: &Tenant,
    domains: &mut Vec<DomainEntry>,
    entries: &mut Vec<Entry>,
    mistakes: &mut Vec<String>,
) {
    let id = match tenant.id.parse() {
        Ok(id) => id,
        Err(error) => return mistakes.push(format!("tenant: {error}")),
    };
    let mut own = Vec::new();
    for name in &tenant.domains {
        match Domain::parse(name) {
            Ok(name) if domains.iter().any(|known: &DomainEntry| known.name == name) => {
                mistakes.push(format!("tenant {id}: the domain {name} stands twice in the file"));
            }
            Ok(name) => {
                own.push(name.clone());
                domains.push(DomainEntry { name, tag_separator: Some('+') });
            }
            Err(error) => mistakes.push(format!("tenant {id}: {error}")),
        }
    }
    for account in &tenant.accounts {
        match entry(account, id, &own, Quota(tenant.pool_bytes)) {
            Ok(entry)
                if entries.iter().any(|known| known.account.home.account == entry.account.home.account) =>
            {
                mistakes.push(format!(
                    "account {}: the id {} stands twice in the file",
                    account.address, account.id
                ));
            }
            Ok(entry) => entries.push(entry),
            Err(error) => mistakes.push(format!("account {}: {error}", account.address)),
        }
    }
}

fn entry(
    account: &FileAccount,
    tenant: hikyaku_types::TenantId,
    own: &[Domain],
    pool: Quota,
) -> anyhow::Result<Entry> {
    let address = |text: &str| -> anyhow::Result<Address> {
        let address = Address::parse(text)?;
        if !own.contains(&address.domain) {
            bail!("{} is no domain of tenant {tenant}", address.domain);
        }
        Ok(address)
    };
    let home = AccountHome { tenant, account: account.id.parse()?, shard: ShardId(0) };
    Ok(Entry {
        account: Account {
            home,
            address: address(&account.address)?,
            quota: Quota(account.quota_bytes),
            pool,
        },
        aliases: account.aliases.iter().map(|alias| address(alias)).collect::<Result<_, _>>()?,
        password: PasswordHash::parse(&account.password_hash)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        match parse(text) {
            Err(error) => error.to_string(),
            Ok(file) => check(file).err().map(|error| error.to_string()).unwrap_or_default(),
        }
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let found = mistakes(
            r#"
            host_name = "mx example"
            data = "/nowhere"
            tls = { chain = "/nowhere/chain.pem", key = "/nowhere/key.pem" }
            [listen]
            [[tenant]]
            id = "t-000000000002d"
            domains = ["example.org", "EXAMPLE.org", "-.example"]
            [[tenant.account]]
            id = "a-000000000002d"
            address = "ann@example.com"
            password_hash = "secret"
            "#,
        );
        for part in [
            "host_name: `mx example` is not a domain name",
            "tls: cannot read /nowhere/chain.pem",
            "no listener is named",
            "example.org stands twice",
            "`-.example` is not a domain name",
            "account ann@example.com: example.com is no domain of tenant t-000000000002d",
        ] {
            assert!(found.contains(part), "{part} in {found}");
        }
    }

    #[test]
    fn unknown_keys_are_mistakes_with_their_line() {
        let found = mistakes("host_name = \"mx.example\"\ndata = \"/x\"\nhostname = \"x\"\n[listen]\n");
        assert!(found.contains("line 3") && found.contains("hostname"), "{found}");
    }

    #[test]
    fn mistakes_show_no_secrets() {
        for line in ["postgress = 'postgres://u:SECRET@db/x'", "postgres = 7", "log = 'SECRET'"] {
            let found = mistakes(&format!("host_name = 'mx.example'\ndata = '/x'\n{line}\n[listen]\n"));
            assert!(found.contains("line 3") && !found.contains("SECRET"), "{found}");
        }
    }

    #[test]
    fn a_password_that_is_no_hash_is_refused() {
        let found = mistakes(
            r#"
            host_name = "mx.example"
            data = "/x"
            listen.smtp = "127.0.0.1:2525"
            [[tenant]]
            id = "t-000000000002d"
            domains = ["example.org"]
            [[tenant.account]]
            id = "a-000000000002d"
            address = "ann@example.org"
            password_hash = "secret"
            "#,
        );
        assert!(found.contains("account ann@example.org: password hash"), "{found}");
        assert!(!found.contains("secret"), "{found}");
    }
}
