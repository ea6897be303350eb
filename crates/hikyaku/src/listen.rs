//! The listeners of a process: opened together, ended together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use hikyaku_directory::Directory;
use hikyaku_imap_server::{Memory, Mode as ImapMode, Start};
use hikyaku_net::{Listener, Shutdown, TlsAcceptor};
use hikyaku_sender_auth::dns::{Network as DnsNetwork, Resolver};
use hikyaku_sign_in::{Atlas, Gate, Number};
use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_smtp_proto::{Listener as Kind, Settings};
use hikyaku_smtp_server::{Judge, Mode as SmtpMode};
use hikyaku_trace::RefusalLog;
use hikyaku_types::{Domain, Network};
use tokio::task::JoinSet;

use crate::admin::{AdminSocket, Desk, serve_admin};
use crate::bounds::{Bounds, ImapBounds};
use crate::maintenance::{self, TraceSettings};
use crate::services::Installation;
use crate::settings::ResolverSettings;

/// What can be listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    Smtp,
    Submission,
    Submissions,
    Imap,
    Imaps,
    Lmtp,
}

impl Door {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Lmtp => "lmtp",
        }
    }

    /// Connections beyond the limit are told this; under TLS there is nothing to tell.
    const fn refusal(self) -> &'static [u8] {
        match self {
            Self::Smtp | Self::Submission | Self::Lmtp => b"421 4.7.0 Too many connections\r\n",
            Self::Imap => b"* BYE Too many connections\r\n",
            Self::Submissions | Self::Imaps => b"",
        }
    }

    pub(crate) const fn needs_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Imaps)
    }
}

/// How all of them behave.
pub(crate) struct Manner {
    /// What the server calls itself.
    pub(crate) host_name: Domain,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Passwords are taken in clear; only on loopback addresses.
    pub(crate) plain_sign_in_without_tls: bool,
    pub(crate) bounds: Bounds,
    /// LMTP also listens on a Unix socket with this path.
    pub(crate) lmtp_socket: Option<PathBuf>,
    /// Networks whose connections begin with a PROXY header of version 2.
    pub(crate) proxies: Vec<Network>,
    /// What becomes of bare CR and LF in content that comes in by SMTP.
    pub(crate) line_ends: LineEnds,
    /// Whom to ask who sent mail that comes in by SMTP; nobody is asked without.
    pub(crate) resolver: Option<ResolverSettings>,
    /// Where those are who sign in.
    pub(crate) atlas: Atlas,
    pub(crate) trace: TraceSettings,
}

impl Manner {
    /// Every default.
    pub(crate) fn new(host_name: Domain) -> Self {
        Self {
            host_name,
            tls: None,
            plain_sign_in_without_tls: false,
            bounds: Bounds::default(),
            lmtp_socket: None,
            proxies: Vec::new(),
            line_ends: LineEnds::Normalise,
            resolver: None,
            atlas: Atlas::default(),
            trace: TraceSettings::default(),
        }
    }
}

/// Open listeners.
pub(crate) struct Listeners {
    pub(crate) addresses: Vec<(Door, SocketAddr)>,
    shutdown: Shutdown,
    refusals: RefusalLog,
    running: JoinSet<()>,
    /// Ended between two of its steps, which are transactions.
    background: tokio::task::AbortHandle,
    gate: Arc<Gate>,
    number: Number,
}

impl Listeners {
    /// Opens every wanted listener, or none.
    pub(crate) async fn open(
        wanted: &[(Door, SocketAddr)],
        manner: &Manner,
        installation: &Installation,
        directory: &Arc<Directory>,
    ) -> anyhow::Result<Self> {
        let (mut bound, mut addresses) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (door, address) in wanted {
            let listener = bind(*door, *address, manner).await?;
            addresses.push((*door, listener.address()?));
            bound.push((*door, listener));
        }
        if let Some(path) = &manner.lmtp_socket {
            let (name, refusal) = (Door::Lmtp.name(), Door::Lmtp.refusal());
            let listener = Listener::bind_path(path, name, manner.bounds.connections, refusal)
                .with_context(|| format!("cannot listen on {} for lmtp", path.display()))?;
            bound.push((Door::Lmtp, listener));
        }
        let gate = installation.gate(directory, manner.atlas.clone()).await?;
        let smtp = installation.smtp(
            Arc::clone(directory),
            Arc::clone(&gate),
            manner.bounds.shared,
            usize::try_from(manner.bounds.smtp.size_bytes)?,
            judge(wanted, manner)?,
        );
        let largest = manner.bounds.imap.message_bytes.max(manner.bounds.smtp.size_bytes);
        let memory = Memory::new(manner.bounds.imap.memory_bytes, largest);
        let imap = installation.imap(Arc::clone(directory), Arc::clone(&gate), memory);
        let mut listeners = Self {
            addresses,
            shutdown: Shutdown::new(),
            refusals: installation.refusals.clone(),
            running: JoinSet::new(),
            background: tokio::spawn(background(installation, directory, &gate, manner.trace)?)
                .abort_handle(),
            gate,
            number: installation.number.clone(),
        };
        for (door, listener) in bound {
            let listener = listener.counting(&installation.net_metrics).behind(manner.proxies.clone());
            let ending = listeners.shutdown.ending();
            match door {
                Door::Smtp | Door::Submission | Door::Submissions | Door::Lmtp => {
                    let mode =
                        SmtpMode { settings: Arc::new(smtp_settings(door, manner)), tls: manner.tls.clone() };
                    let services = smtp.clone();
                    let serve = move |it| hikyaku_smtp_server::serve(it, mode.clone(), services.clone());
                    listeners.running.spawn(listener.run(ending, serve));
                }
                Door::Imap | Door::Imaps => {
                    let start = if door == Door::Imaps { Start::Tls } else { Start::Clear };
                    let mut mode = ImapMode::new(start, manner.tls.clone());
                    mode.plain_sign_in_without_tls = manner.plain_sign_in_without_tls;
                    let ImapBounds { message_bytes, silence, silence_before_sign_in, errors, .. } =
                        manner.bounds.imap;
                    mode = ImapMode { message_bytes, silence, silence_before_sign_in, errors, ..mode };
                    let services = imap.clone();
                    let serve = move |it| hikyaku_imap_server::serve(it, mode.clone(), services.clone());
                    listeners.running.spawn(listener.run(ending, serve));
                }
            }
        }
        Ok(listeners)
    }

    /// Where this one listens.
    pub(crate) fn address(&self, wanted: Door) -> Option<SocketAddr> {
        self.addresses.iter().find(|(door, _)| *door == wanted).map(|(_, address)| *address)
    }

    /// Serves until the process is told to end, or has lost its number; then lets sessions end.
    pub(crate) async fn serve_until_signal(mut self) -> anyhow::Result<()> {
        let mut is_lost = false;
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
            () = self.number.lost() => is_lost = true,
        }
        tracing::info!("ending");
        self.shutdown.begin();
        while self.running.join_next().await.is_some() {}
        self.background.abort();
        if let Err(error) = self.gate.flush().await {
            tracing::error!(%error, "the last sign-ins could not be written to the history");
        }
        if let Err(error) = self.gate.leave().await {
            tracing::warn!(%error, "other nodes are not told that this one has ended");
        }
        if let Err(error) = self.refusals.flush().await {
            tracing::warn!(%error, "the last refusals are not in the trace");
        }
        if is_lost {
            bail!("another server has taken the number {} meanwhile", self.number.node().number());
        }
        Ok(())
    }
}

/// What goes on beside the listeners until it is dropped: maintenance, indexing for search,
/// writing down what was refused,
/// the socket for administration, and where nodes share a database, hearing of each other.
fn background(
    installation: &Installation,
    directory: &Arc<Directory>,
    gate: &Arc<Gate>,
    trace: TraceSettings,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let (store, content) = (Arc::clone(&installation.store), Arc::clone(&installation.content));
    let socket =
        AdminSocket::open(&installation.data).context("cannot open the socket for administration")?;
    let admin = serve_admin(socket, Desk::new(installation, Arc::clone(directory), Some(Arc::clone(gate))));
    let (search, refusals) = (installation.search.clone(), installation.refusals.clone());
    let maintenance =
        maintenance::run(store, content, Arc::clone(directory), Arc::clone(gate), search.clone(), trace);
    let history = maintenance::write_history(Arc::clone(gate));
    let sessions = maintenance::watch_sessions(Arc::clone(gate));
    let (is_shared, directory, gate) = (installation.is_shared, Arc::clone(directory), Arc::clone(gate));
    let keep_up = async move {
        if is_shared {
            maintenance::keep_up(directory, gate).await;
        }
    };
    Ok(async move {
        tokio::join!(maintenance, history, sessions, search.run(), refusals.run(), keep_up, admin);
    })
}

/// Who asks about the senders of mail, if any comes from other servers.
fn judge(wanted: &[(Door, SocketAddr)], manner: &Manner) -> anyhow::Result<Option<Arc<Judge>>> {
    let comes_in = wanted.iter().any(|(door, _)| *door == Door::Smtp);
    let Some(ResolverSettings { options, budget }) = manner.resolver.as_ref().filter(|_| comes_in) else {
        return Ok(None);
    };
    let network =
        DnsNetwork::with(options).context("nobody can be asked who sent mail: set resolver.servers")?;
    Ok(Some(Arc::new(Judge::new(Resolver::Network(Box::new(network)), *budget))))
}

async fn bind(door: Door, address: SocketAddr, manner: &Manner) -> anyhow::Result<Listener> {
    let name = door.name();
    if manner.plain_sign_in_without_tls && !address.ip().is_loopback() {
        bail!("{name} listens on {address}: passwords are taken without TLS on loopback addresses only");
    }
    if door == Door::Lmtp && !address.ip().is_loopback() {
        bail!("lmtp listens on {address}: it believes its clients, so only loopback addresses can have it");
    }
    if door.needs_tls() && manner.tls.is_none() {
        bail!("{name} needs a certificate and its key");
    }
    let bound = Listener::bind(address, name, manner.bounds.connections, door.refusal()).await;
    bound.with_context(|| format!("cannot listen on {address} for {name}"))
}

fn smtp_settings(door: Door, manner: &Manner) -> Settings {
    let kind = match door {
        Door::Submission => Kind::Submission,
        Door::Submissions => Kind::Submissions,
        Door::Lmtp => Kind::Lmtp,
        Door::Smtp | Door::Imap | Door::Imaps => Kind::Mx,
    };
    let mut settings = hikyaku_smtp_server::settings(manner.host_name.clone(), kind, manner.tls.is_some());
    settings.offers.plain_sign_in_without_tls = manner.plain_sign_in_without_tls;
    settings.limits = manner.bounds.smtp;
    settings.deadlines = manner.bounds.deadlines;
    settings.line_ends = manner.line_ends;
    settings
}
