//! `hikyaku check …`: a settings file ([`config`]), and the store: do rows and objects agree, and can every content be read?

pub(crate) mod config;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use hikyaku_mailstore::check;
use hikyaku_store::{Location, Options, Scope, ServiceScope, StoreError, placement};
use hikyaku_telemetry::Metrics;
use hikyaku_types::{AccountId, Actor, ContentId, Service, ShardId, TenantId};

use crate::services::{Installation, Opening, Process};

pub(crate) fn store(data: &Path, location: &Location, key_ring: &Path) -> anyhow::Result<()> {
    if !data.is_dir() {
        bail!("there is no folder {}", data.display());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let options = Options::default();
    let opening = Opening { data, location, key_ring, options: &options, process: Process::Command };
    let installation = Installation::open(&opening, &mut Metrics::new(), &runtime)?;
    let report = runtime.block_on(examine(&installation))?;
    let report =
        Report { problems: [installation.store.engine_problems()?, report.problems].concat(), ..report };
    installation.leave(&runtime);
    for problem in &report.problems {
        println!("{problem}");
    }
    println!(
        "{} accounts, {} contents, {} objects: {} problems",
        report.accounts,
        report.contents,
        report.objects,
        report.problems.len()
    );
    if !report.problems.is_empty() {
        bail!("the store has problems");
    }
    Ok(())
}

/// What was looked at, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) accounts: usize,
    pub(crate) contents: usize,
    pub(crate) objects: usize,
    pub(crate) problems: Vec<String>,
}

/// Examines every shard and every object.
pub(crate) async fn examine(installation: &Installation) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut named = BTreeSet::new();
    let shards: Vec<ShardId> = installation.store.shards().collect();
    for shard in shards {
        let found = installation.store.read(scope(shard), "check.shard", check::check_shard).await?;
        report.problems.extend(found);
        accounts(installation, shard, &mut report).await?;
        contents(installation, shard, &mut report, &mut named).await?;
    }
    objects(installation, &mut report, &named).await?;
    Ok(report)
}

fn scope(shard: ShardId) -> ServiceScope {
    Scope::service(&Actor::Service(Service::Maintenance), shard, None)
        .expect("maintenance is a service")
        .long()
}

async fn accounts(
    installation: &Installation,
    shard: ShardId,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut after: Option<AccountId> = None;
    loop {
        let step = installation
            .store
            .read(scope(shard), "check.accounts", move |tx| check::accounts(tx, after))
            .await?;
        let Some(last) = step.last() else { return Ok(()) };
        after = Some(*last);
        for account in step {
            // The tenant is not looked at: what is compared is the account's alone.
            let tenant = TenantId::from_i64(1).expect("1 is a tenant id");
            let found = installation.store.read(scope(shard), "check.account", move |tx| {
                check::check_account(&mut tx.account(tenant, account))
            });
            report.problems.extend(found.await?.iter().map(ToString::to_string));
            report.accounts += 1;
        }
    }
}

async fn contents(
    installation: &Installation,
    shard: ShardId,
    report: &mut Report,
    named: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let mut after: Option<ContentId> = None;
    loop {
        let step = installation
            .store
            .read(scope(shard), "check.contents", move |tx| check::contents(tx, after))
            .await?;
        let Some(last) = step.last() else { return Ok(()) };
        after = Some(last.id);
        for row in step {
            named.extend(row.object);
            if row.live
                && let Err(problem) = read(installation, shard, row.tenant, row.id).await
            {
                report.problems.push(format!("content {}: {problem}", row.id));
            }
            report.contents += 1;
        }
    }
}

async fn read(
    installation: &Installation,
    shard: ShardId,
    tenant: TenantId,
    id: ContentId,
) -> Result<(), String> {
    let found = installation
        .store
        .read(scope(shard), "check.content", move |tx| placement(&mut tx.tenant(tenant), id));
    let found = found.await.map_err(|error: StoreError| error.to_string())?;
    let place = found.ok_or_else(|| "the row is gone".to_owned())?;
    installation.content.read(place).await.map(drop).map_err(|error| error.to_string())
}

/// Objects that no row names are no damage: uploads under way, or of a crash; the sweep
/// takes them after two days. Older ones should be gone.
async fn objects(
    installation: &Installation,
    report: &mut Report,
    named: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let objects = installation.content.objects();
    let mut unnamed = 0;
    for day in objects.days().await? {
        for key in objects.uploaded_on(&day).await? {
            report.objects += 1;
            if !named.contains(key.as_str()) {
                unnamed += 1;
            }
        }
    }
    if unnamed > 0 {
        println!("{unnamed} objects are named by no row; the sweep removes them when they are two days old");
    }
    Ok(())
}
