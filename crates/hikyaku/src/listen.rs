//! The listeners of a process: opened together, ended together.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use hikyaku_directory::Directory;
use hikyaku_imap_server::{Mode as ImapMode, Start};
use hikyaku_net::{Listener, Shutdown, TlsAcceptor};
use hikyaku_smtp_proto::{Listener as Kind, Settings};
use hikyaku_smtp_server::{Budget, Mode as SmtpMode};
use hikyaku_types::Domain;
use tokio::task::JoinSet;

use crate::bounds::{Bounds, ImapBounds};
use crate::maintenance;
use crate::services::Installation;

/// What can be listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    Smtp,
    Submission,
    Submissions,
    Imap,
    Imaps,
}

impl Door {
    pub(crate) const ALL: [Self; 5] =
        [Self::Smtp, Self::Submission, Self::Submissions, Self::Imap, Self::Imaps];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
        }
    }

    /// Connections beyond the limit are told this; under TLS there is nothing to tell.
    const fn refusal(self) -> &'static [u8] {
        match self {
            Self::Smtp | Self::Submission => b"421 4.7.0 Too many connections\r\n",
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
}

/// Open listeners.
pub(crate) struct Listeners {
    pub(crate) addresses: Vec<(Door, SocketAddr)>,
    shutdown: Shutdown,
    running: JoinSet<()>,
    /// Ended between two of its steps, which are transactions.
    maintenance: tokio::task::AbortHandle,
}

impl Listeners {
    /// Opens every wanted listener, or none.
    pub(crate) async fn open(
        wanted: &[(Door, SocketAddr)],
        manner: &Manner,
        installation: &Installation,
        directory: &Arc<Directory>,
    ) -> anyhow::Result<Self> {
        let mut bound = Vec::with_capacity(wanted.len());
        for (door, address) in wanted {
            bound.push((*door, bind(*door, *address, manner).await?));
        }
        let largest = usize::try_from(manner.bounds.smtp.size_bytes)?;
        let budget = Budget::new(manner.bounds.content_bytes, largest);
        let smtp = installation.smtp(Arc::clone(directory), budget);
        let imap = installation.imap(Arc::clone(directory));
        let work = maintenance::run(Arc::clone(&installation.store), Arc::clone(&installation.content));
        let mut listeners = Self {
            addresses: Vec::new(),
            shutdown: Shutdown::new(),
            running: JoinSet::new(),
            maintenance: tokio::spawn(work).abort_handle(),
        };
        for (door, listener) in bound {
            listeners.addresses.push((door, listener.address()?));
            let ending = listeners.shutdown.ending();
            match door {
                Door::Smtp | Door::Submission | Door::Submissions => {
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
                    let ImapBounds { message_bytes, silence, silence_before_sign_in, errors } =
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

    /// Serves until the process is told to end, then lets sessions end.
    pub(crate) async fn serve_until_signal(mut self) -> anyhow::Result<()> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
        tracing::info!("ending");
        self.shutdown.begin();
        while self.running.join_next().await.is_some() {}
        self.maintenance.abort();
        Ok(())
    }
}

async fn bind(door: Door, address: SocketAddr, manner: &Manner) -> anyhow::Result<Listener> {
    let name = door.name();
    if manner.plain_sign_in_without_tls && !address.ip().is_loopback() {
        bail!("{name} listens on {address}: passwords are taken without TLS on loopback addresses only");
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
        Door::Smtp | Door::Imap | Door::Imaps => Kind::Mx,
    };
    let mut settings = Settings::new(manner.host_name.clone(), kind);
    settings.offers.start_tls = manner.tls.is_some();
    settings.offers.plain_sign_in_without_tls = manner.plain_sign_in_without_tls;
    settings.limits = manner.bounds.smtp;
    settings.deadlines = manner.bounds.deadlines;
    settings
}
