//! `hikyaku serve --config FILE`: a mail server as the operator's file says.

use std::path::Path;

use hikyaku_net::TlsAcceptor;
use hikyaku_sign_in::Atlas;
use hikyaku_telemetry::Metrics;

use crate::listen::{Listeners, Manner};
use crate::reload::{self, Files, FreshCertificates, FreshPlaces};
use crate::services::{Installation, Opening, Process};
use crate::settings::{self, certificates};

pub(crate) fn run(config: &Path) -> anyhow::Result<()> {
    let (settings, warnings) = settings::load(config)?;
    crate::start_log(settings.log.format, settings.log.level)?;
    for warning in &warnings {
        tracing::warn!(file = %config.display(), "{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut metrics = Metrics::new();
    let opening = Opening {
        data: &settings.data,
        location: &settings.location,
        key_ring: &settings.key_ring,
        options: &settings.store,
        process: Process::Server(settings.node),
    };
    let installation = Installation::open(&opening, &mut metrics, &runtime)?;
    let directory =
        installation.directory(settings.passwords_at_once, settings.breached, settings.blocking)?;
    let tls = certificates::by_name(&settings.certificates)?.map(TlsAcceptor::new).transpose()?;
    let mut fresh: Vec<Box<dyn Files>> = Vec::new();
    if let Some(acceptor) = tls.clone() {
        fresh.push(Box::new(FreshCertificates::new(acceptor, &settings.certificates)));
    }
    let atlas = Atlas::new(settings.places);
    if let Some(files) = settings.place_files {
        fresh.push(Box::new(FreshPlaces::new(atlas.clone(), files)));
    }
    let manner = Manner {
        tls,
        plain_sign_in_without_tls: settings.plain_sign_in_without_tls,
        lmtp_socket: settings.lmtp_socket,
        proxies: settings.proxies,
        line_ends: settings.line_ends,
        bounds: settings.bounds,
        host_name: settings.host_name,
        resolver: Some(settings.resolver),
        atlas,
        trace: settings.trace,
    };
    let served = runtime.block_on(async {
        let hangup = reload::hangup()?;
        let listeners = Listeners::open(&settings.listen, &manner, &installation, &directory).await?;
        for (door, address) in &listeners.addresses {
            tracing::info!(listener = door.name(), %address, "listening");
        }
        tokio::spawn(reload::keep_fresh(fresh, hangup));
        listeners.serve_until_signal().await
    });
    installation.leave(&runtime);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    installation.store.close();
    served
}
