//! `hikyaku demo`: a mail server with two small customers, on loopback, without root and
//! without configuration.
//!
//! What it makes at the first start stays in its folder: `demo.json` has the passwords
//! (0600), `tls/` a certificate authority of its own. A second start finds the same.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use hikyaku_directory::{
    Action, Answer, BlockBounds, Directory, DirectoryError, Edit, Filter, Kind, Named, NewSecret,
    PasswordHash, Request,
};
use hikyaku_net::TlsAcceptor;
use hikyaku_store::{DataLock, Location, Options, Store};
use hikyaku_telemetry::Metrics;
use hikyaku_types::{AccountId, Actor, Clock, Domain, NodeId, SystemClock, SystemRandom, TenantId};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::bounds::Bounds;
use crate::listen::{Door, Listeners, Manner};
use crate::make::password;
use crate::services::{COMPONENTS, Installation, Opening, Process, usual_key_ring};
use crate::settings::ResolverSettings;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where everything is kept; made if it is not there.
    #[arg(long)]
    data: PathBuf,
    /// SMTP listens here; submission, submissions, imap and imaps on the four ports above, and
    /// lmtp twelve above.
    #[arg(long, default_value_t = 2525)]
    base_port: u16,
    /// Ask the resolver at this address and port who sent mail that comes in by SMTP; nobody
    /// is asked without.
    #[arg(long)]
    resolver: Option<SocketAddr>,
    /// Print one line of JSON when ready, for programs.
    #[arg(long)]
    json: bool,
    /// For test suites: more accounts (test1, test2, u1 to u10 @suite.test, password `pass1`),
    /// sign-in without TLS, and higher limits.
    #[arg(long)]
    suite: bool,
}

/// The ports that the demo takes, counted from the base port.
const PORTS: [(Door, u16); 6] = [
    (Door::Smtp, 0),
    (Door::Submission, 1),
    (Door::Submissions, 2),
    (Door::Imap, 3),
    (Door::Imaps, 4),
    (Door::Lmtp, 12),
];
/// The highest of them.
const LAST_PORT: u16 = 12;

/// The customers: tenant, domain, accounts.
const TENANTS: [(&str, &str, [&str; 5]); 2] = [
    ("Sakura Trading", "sakura.demo", ["tanaka", "sato", "suzuki", "info", "postmaster"]),
    ("Northwind Studio", "northwind.demo", ["ann", "bob", "carol", "office", "postmaster"]),
];

/// What the server calls itself.
const HOST_NAME: &str = "mx.demo";
const SUITE_DOMAIN: &str = "suite.test";
/// The tenant of the provider's own people.
const PROVIDER: &str = "provider";

/// What each may store.
const ACCOUNT_BYTES: u64 = 1 << 30;
const TENANT_BYTES: u64 = 4 << 30;

/// `demo.json`.
#[derive(Serialize, Deserialize)]
struct State {
    operator: Login,
    tenants: Vec<TenantState>,
    /// The first mails have been delivered.
    has_mail: bool,
}

#[derive(Serialize, Deserialize)]
struct TenantState {
    name: String,
    id: String,
    admin: Login,
    domain: String,
    accounts: Vec<AccountState>,
}

/// Who administers.
#[derive(Serialize, Deserialize)]
struct Login {
    user: String,
    password: String,
}

#[derive(Serialize, Deserialize)]
struct AccountState {
    address: String,
    id: String,
    password: String,
}

/// The line of `--json`.
#[derive(Serialize)]
struct Ready<'r> {
    smtp: SocketAddr,
    submission: SocketAddr,
    submissions: SocketAddr,
    imap: SocketAddr,
    imaps: SocketAddr,
    lmtp: SocketAddr,
    ca: &'r Path,
    operator: &'r Login,
    tenants: Vec<ReadyTenant<'r>>,
}

#[derive(Serialize)]
struct ReadyTenant<'r> {
    name: &'r str,
    admin: &'r Login,
    domains: [ReadyDomain<'r>; 1],
    accounts: Vec<ReadyAccount<'r>>,
}

#[derive(Serialize)]
struct ReadyDomain<'r> {
    name: &'r str,
}

#[derive(Serialize)]
struct ReadyAccount<'r> {
    address: &'r str,
    password: &'r str,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.base_port == 0 || arguments.base_port > u16::MAX - LAST_PORT {
        bail!("--base-port must be from 1 to {}", u16::MAX - LAST_PORT);
    }
    let lock = DataLock::take(&arguments.data)?;
    let mut state = State::load_or_make(&arguments.data)?;
    if arguments.suite {
        state.add_suite(&arguments.data)?;
    }
    let location = Location::Folder(arguments.data.clone());
    Store::migrate(&location, &Options::default(), &COMPONENTS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut metrics = Metrics::new();
    let opening = Opening {
        data: &arguments.data,
        location: &location,
        key_ring: &usual_key_ring(&arguments.data),
        options: &Options::default(),
        process: Process::Server(NodeId::FIRST),
    };
    let installation = Installation::open_locked(lock, &opening, &mut metrics, &runtime)?;
    let directory = installation.directory(2, None, BlockBounds::default())?;
    runtime.block_on(state.make_known(&directory))?;
    let tls = Certificates::load_or_make(&arguments.data.join("tls"))?;
    runtime.block_on(serve(arguments, &mut state, &installation, directory, &tls))?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    installation.store.close();
    Ok(())
}

/// Listens, delivers the first mails, says that it is ready, and waits for the end.
async fn serve(
    arguments: &Arguments,
    state: &mut State,
    installation: &Installation,
    directory: Arc<Directory>,
    tls: &Certificates,
) -> anyhow::Result<()> {
    let wanted = PORTS.map(|(door, above)| {
        (door, SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.base_port.saturating_add(above))))
    });
    let manner = Manner {
        tls: Some(tls.acceptor.clone()),
        plain_sign_in_without_tls: arguments.suite,
        bounds: if arguments.suite { Bounds::of_suites() } else { Bounds::default() },
        resolver: arguments.resolver.map(ResolverSettings::at),
        ..Manner::new(Domain::parse(HOST_NAME)?)
    };
    let listeners = Listeners::open(&wanted, &manner, installation, &directory)
        .await
        .context("the demo needs free ports: try another --base-port")?;
    if let Some(smtp) = listeners.address(Door::Smtp).filter(|_| !state.has_mail) {
        deliver_first_mails(smtp, state).await.context("cannot deliver the first mails")?;
        state.has_mail = true;
        state.save(&arguments.data)?;
    }
    announce(arguments, state, &wanted, tls)?;
    listeners.serve_until_signal().await
}

fn announce(
    arguments: &Arguments,
    state: &State,
    listeners: &[(Door, SocketAddr)],
    tls: &Certificates,
) -> anyhow::Result<()> {
    let addresses: Vec<SocketAddr> = listeners.iter().map(|(_, address)| *address).collect();
    let ready = Ready {
        smtp: addresses[0],
        submission: addresses[1],
        submissions: addresses[2],
        imap: addresses[3],
        imaps: addresses[4],
        lmtp: addresses[5],
        operator: &state.operator,
        ca: &tls.authority,
        tenants: state.tenants.iter().map(ready_tenant).collect(),
    };
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&ready)?)?;
    } else {
        writeln!(out, "\nHikyaku demo is ready.\n")?;
        writeln!(
            out,
            "  SMTP         {}   mail for the accounts below, from anybody on this machine",
            ready.smtp
        )?;
        writeln!(out, "  Submission   {}   with STARTTLS, for signed-in senders", ready.submission)?;
        writeln!(out, "  Submissions  {}   the same under TLS from the start", ready.submissions)?;
        writeln!(out, "  IMAP         {}   with STARTTLS, to read mail", ready.imap)?;
        writeln!(out, "  IMAPS        {}   the same under TLS from the start", ready.imaps)?;
        writeln!(out, "  LMTP         {}   for a mail server that hands mail over", ready.lmtp)?;
        writeln!(out, "  CA           {}\n", ready.ca.display())?;
        for tenant in &ready.tenants {
            writeln!(out, "  {}", tenant.name)?;
            for account in &tenant.accounts {
                writeln!(out, "    {:<28} {}", account.address, account.password)?;
            }
        }
        writeln!(
            out,
            "\nCtrl-C ends it. `hikyaku check store --data {}` then examines its mail.",
            arguments.data.display()
        )?;
    }
    out.flush()?;
    Ok(())
}

fn ready_tenant(tenant: &TenantState) -> ReadyTenant<'_> {
    let accounts = tenant.accounts.iter();
    ReadyTenant {
        name: &tenant.name,
        admin: &tenant.admin,
        domains: [ReadyDomain { name: &tenant.domain }],
        accounts: accounts
            .map(|account| ReadyAccount { address: &account.address, password: &account.password })
            .collect(),
    }
}

impl State {
    fn load_or_make(data: &Path) -> anyhow::Result<Self> {
        let file = data.join("demo.json");
        match fs::read_to_string(&file) {
            Ok(text) => {
                serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let state = Self::make();
                state.save(data)?;
                Ok(state)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn make() -> Self {
        let account = |name: &str, domain: &str| AccountState {
            address: format!("{name}@{domain}"),
            id: AccountId::random(&SystemRandom).to_string(),
            password: password(),
        };
        let tenants = TENANTS.iter().map(|(name, domain, accounts)| TenantState {
            name: (*name).to_owned(),
            id: TenantId::random(&SystemRandom).to_string(),
            admin: Login { user: format!("admin@{domain}"), password: password() },
            domain: (*domain).to_owned(),
            accounts: accounts.iter().map(|name| account(name, domain)).collect(),
        });
        let operator = Login { user: format!("operator@{HOST_NAME}"), password: password() };
        Self { operator, tenants: tenants.collect(), has_mail: false }
    }

    /// The accounts of test suites, unless they are there.
    fn add_suite(&mut self, data: &Path) -> anyhow::Result<()> {
        if self.tenants.iter().any(|tenant| tenant.domain == SUITE_DOMAIN) {
            return Ok(());
        }
        let names =
            ["test1".to_owned(), "test2".to_owned()].into_iter().chain((1..=10).map(|n| format!("u{n}")));
        let accounts = names.map(|name| AccountState {
            address: format!("{name}@{SUITE_DOMAIN}"),
            id: AccountId::random(&SystemRandom).to_string(),
            password: "pass1".into(),
        });
        self.tenants.push(TenantState {
            name: "Test suite".into(),
            id: TenantId::random(&SystemRandom).to_string(),
            admin: Login { user: format!("admin@{SUITE_DOMAIN}"), password: password() },
            domain: SUITE_DOMAIN.into(),
            accounts: accounts.collect(),
        });
        self.save(data)
    }

    /// Written beside and renamed, so that a crash leaves the old or the new one.
    fn save(&self, data: &Path) -> anyhow::Result<()> {
        write_private(&data.join("demo.json"), serde_json::to_string_pretty(self)?.as_bytes())
    }

    /// Makes what is not there yet, as an operator would.
    async fn make_known(&self, directory: &Directory) -> anyhow::Result<()> {
        let setup = Setup(directory);
        let pool = TENANT_BYTES.to_string();
        setup.make(Kind::Plan, "demo", None, &[("title", "Demo"), ("pool", &pool)]).await?;
        setup.make(Kind::Tenant, PROVIDER, None, &[("title", "The provider"), ("plan", "demo")]).await?;
        setup.make_in(PROVIDER, Kind::Domain, HOST_NAME, &[]).await?;
        // Mail to <Postmaster>, which has no domain, is for the host's (RFC 5321 section 4.5.1).
        let addresses = format!("{},postmaster@{HOST_NAME}", self.operator.user);
        setup.make(Kind::Account, &self.operator.user, None, &[("addresses", &addresses)]).await?;
        setup.password(&self.operator.user, &self.operator.password).await?;
        setup.role(&self.operator.user, "operator").await?;
        for tenant in &self.tenants {
            let name = tenant.domain.replace('.', "-");
            let fields = [("title", tenant.name.as_str()), ("plan", "demo")];
            setup.make(Kind::Tenant, &name, Some(&tenant.id), &fields).await?;
            setup.make_in(&name, Kind::Domain, &tenant.domain, &[]).await?;
            setup.make(Kind::Account, &tenant.admin.user, None, &[]).await?;
            setup.password(&tenant.admin.user, &tenant.admin.password).await?;
            setup.role(&tenant.admin.user, "administrator").await?;
            let quota = ACCOUNT_BYTES.to_string();
            for account in &tenant.accounts {
                setup.make(Kind::Account, &account.address, Some(&account.id), &[("quota", &quota)]).await?;
                setup.password(&account.address, &account.password).await?;
            }
        }
        Ok(())
    }
}

/// Makes objects unless they are there.
struct Setup<'d>(&'d Directory);

impl Setup<'_> {
    async fn make(
        &self,
        kind: Kind,
        name: &str,
        id: Option<&str>,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.create(kind, Some(name), id, None, fields, None).await
    }

    async fn make_in(
        &self,
        tenant: &str,
        kind: Kind,
        name: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.create(kind, Some(name), None, Some(tenant), fields, None).await
    }

    async fn role(&self, account: &str, power: &str) -> anyhow::Result<()> {
        self.create(Kind::Role, None, None, None, &[("account", account), ("power", power)], None).await
    }

    /// Passwords of suites are shorter than any policy likes: their hashes are imported.
    async fn password(&self, account: &str, password: &str) -> anyhow::Result<()> {
        let named = Named { kind: Kind::Account, name: account.to_owned(), tenant: None };
        let of = Some(named);
        let list = Action::List { kind: Kind::Credential, tenant: None, of, filter: Filter::default() };
        if let Answer::Objects { objects, .. } = self.ask(list).await?
            && !objects.is_empty()
        {
            return Ok(());
        }
        let hash = PasswordHash::of(password.as_bytes(), &SystemRandom)?;
        let secret = Some(NewSecret::Hash(hash.as_str().to_owned()));
        self.create(Kind::Credential, None, None, None, &[("account", account)], secret).await
    }

    async fn create(
        &self,
        kind: Kind,
        name: Option<&str>,
        id: Option<&str>,
        tenant: Option<&str>,
        fields: &[(&str, &str)],
        secret: Option<NewSecret>,
    ) -> anyhow::Result<()> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Edit::Set((*value).to_owned())));
        let action = Action::Create {
            kind,
            name: name.map(str::to_owned),
            id: id.map(str::to_owned),
            tenant: tenant.map(str::to_owned),
            fields: fields.collect(),
            secret,
        };
        match self.ask(action).await {
            Ok(_) | Err(DirectoryError::Taken { .. } | DirectoryError::AddressTaken { .. }) => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("cannot make {kind} {}", name.unwrap_or_default()))
            }
        }
    }

    async fn ask(&self, action: Action) -> Result<Answer, DirectoryError> {
        let request = Request { action, reason: Some("demo".into()), dry_run: false };
        self.0.execute(Actor::Operator, request).await
    }
}

fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = file.with_extension("new");
    let write = || {
        let mut out =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&beside, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// An authority of the demo's own, and a certificate for `localhost` and `mx.demo`.
struct Certificates {
    authority: PathBuf,
    acceptor: TlsAcceptor,
}

impl Certificates {
    fn load_or_make(folder: &Path) -> anyhow::Result<Self> {
        let (authority, chain, key) =
            (folder.join("ca.pem"), folder.join("chain.pem"), folder.join("key.pem"));
        if !key.exists() {
            fs::create_dir_all(folder)?;
            let made = make_certificates()?;
            fs::write(&authority, made.authority)?;
            fs::write(&chain, made.chain)?;
            // Last: it says that all are there.
            write_private(&key, made.key.as_bytes())?;
        }
        let acceptor = TlsAcceptor::from_pem(&fs::read(&chain)?, &fs::read(&key)?)?;
        Ok(Self { authority, acceptor })
    }
}

struct Made {
    authority: String,
    chain: String,
    key: String,
}

fn make_certificates() -> anyhow::Result<Made> {
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.distinguished_name.push(rcgen::DnType::CommonName, "Hikyaku demo authority");
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let authority_key = rcgen::KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    let issuer = rcgen::Issuer::new(params, authority_key);

    let names = ["localhost", HOST_NAME, "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, HOST_NAME);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Made { authority: authority.pem(), chain: certificate.pem(), key: key.serialize_pem() })
}

/// The first mails, for every account: names of the sender, subjects and bodies with the
/// header fields that describe them. In the ways in which Japanese and other mail really
/// comes: UTF-8, ISO-2022-JP, quoted-printable with HTML beside the text, an attachment.
const FIRST_MAILS: [FirstMail; 5] = [
    FirstMail {
        from: "Welcome",
        subject: "Welcome to the Hikyaku demo",
        rest: "Content-Type: text/plain; charset=utf-8\r\n\r\n\
            This mail came in over SMTP, as any other does.\r\n\r\nYour mailbox is ready.\r\n",
    },
    FirstMail {
        from: "=?utf-8?B?55Sw5Lit5LiA6YOO?=",
        subject: "=?utf-8?B?44GK6KaL56mN44KK44Gu5Lu2?=",
        rest: "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
            お世話になっております。\r\n\r\n\
            先日ご依頼いただきましたお見積りをお送りいたします。\r\n\
            ご確認のほど、よろしくお願い申し上げます。\r\n",
    },
    FirstMail {
        from: "=?ISO-2022-JP?B?GyRCM3Q8MDJxPFIlNSVzJVclaxsoQiAbJEIxRDZISXQbKEI=?=",
        subject: "=?ISO-2022-JP?B?GyRCIVo9RU1XIVslNyU5JUYlYCVhJXMlRiVKJXMlOSROJCpDTiRpJDsbKEI=?=",
        rest: "Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
            \x1b$BJ?AG$h$j3JJL$N$*0z$-N)$F$r;r$j!\"8|$/8fNi?=$7>e$2$^$9!#\x1b(B\r\n\
            \x1b$B2<5-$NF|Dx$G%7%9%F%`%a%s%F%J%s%9$r<B;\\$$$?$7$^$9!#\x1b(B\r\n\r\n\
            \x20 \x1b$BF|;~!'#1#17n#3#0F|!J7n!K8aA0#2;~$+$i8aA0#4;~\x1b(B\r\n\r\n\
            \x1b$B$4ITJX$r$*$+$1$$$?$7$^$9$,!\"2?B4$h$m$7$/$*4j$$$$$?$7$^$9!#\x1b(B\r\n",
    },
    FirstMail {
        from: "Northwind Newsletter",
        subject: "Three new lamps, and 10% for you",
        rest: "Content-Type: multipart/alternative; boundary=\"=_alt\"\r\n\r\n\
            --=_alt\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            Three new lamps have arrived =E2=80=93 have a look.\r\n\
            --=_alt\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            <html><body><h1 style=3D\"color:#246\">Three new lamps</h1>=\r\n\
            <p>have arrived =E2=80=93 have a look.</p></body></html>\r\n\
            --=_alt--\r\n",
    },
    FirstMail {
        from: "=?utf-8?B?5L2Q6Jek6Iqx5a2Q?=",
        subject: "=?utf-8?B?5Lya6K2w5a6k5aSJ5pu044Gu44GK55+l44KJ44Gb?=",
        rest: "Content-Type: multipart/mixed; boundary=\"=_mixed\"\r\n\r\n\
            --=_mixed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            5piO5pel44Gu5Lya6K2w44Gv56ys5LqM5Lya6K2w5a6k44Gr5aSJ5pu044Gr44Gq44KK44G+44GX\r\n44Gf44CCDQo=\r\n\
            --=_mixed\r\nContent-Type: text/csv; charset=utf-8; name=\"=?utf-8?B?5Y+C5Yqg6ICFLmNzdg==?=\"\r\n\
            Content-Disposition: attachment; filename*=utf-8''%E5%8F%82%E5%8A%A0%E8%80%85.csv\r\n\
            Content-Transfer-Encoding: base64\r\n\r\n\
            5rCP5ZCNLOmDqOe9sg0K55Sw5LitLOWWtualremDqA0K\r\n\
            --=_mixed--\r\n",
    },
];

struct FirstMail {
    from: &'static str,
    subject: &'static str,
    rest: &'static str,
}

/// Over SMTP, like a stranger's.
async fn deliver_first_mails(smtp: SocketAddr, state: &State) -> anyhow::Result<()> {
    let mut client = Client::connect(smtp).await?;
    client.command("EHLO client.demo", 250).await?;
    let date = SystemClock.now().to_rfc5322();
    for tenant in state.tenants.iter().filter(|tenant| tenant.domain != SUITE_DOMAIN) {
        for (number, mail) in FIRST_MAILS.iter().enumerate() {
            client.command("MAIL FROM:<hello@client.demo> BODY=8BITMIME", 250).await?;
            for account in &tenant.accounts {
                client.command(&format!("RCPT TO:<{}>", account.address), 250).await?;
            }
            client.command("DATA", 354).await?;
            let FirstMail { from, subject, rest } = mail;
            let mail = format!(
                "From: {from} <hello@client.demo>\r\nTo: {}: ;\r\nSubject: {subject}\r\nDate: {date}\r\n\
                 Message-ID: <{number}.{}@client.demo>\r\nMIME-Version: 1.0\r\n{rest}.",
                tenant.name, tenant.id
            );
            client.command(&mail, 250).await?;
        }
    }
    client.command("QUIT", 221).await
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Self(BufReader::new(TcpStream::connect(address).await?));
        client.expect(220).await?;
        Ok(client)
    }

    async fn command(&mut self, text: &str, expected: u16) -> anyhow::Result<()> {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).await?;
        self.expect(expected).await
    }

    /// Reads one reply.
    async fn expect(&mut self, expected: u16) -> anyhow::Result<()> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await? == 0 {
                bail!("the server closed the connection");
            }
            if !line.starts_with(&expected.to_string()) {
                bail!("expected {expected}, got {}", line.trim_end());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
