//! `hikyaku check config FILE`: what is wrong with a settings file, and what it would do.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hikyaku_store::Location;
use hikyaku_types::Timestamp;
use serde::Serialize;

use crate::settings::{self, Finding, Findings, Settings, Surroundings, certificates};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'r> {
    file: &'r Path,
    is_right: bool,
    findings: &'r [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
}

/// What a server with these settings would do.
#[derive(Serialize)]
struct Summary {
    host_name: String,
    data: PathBuf,
    database: &'static str,
    /// Where servers share the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u16>,
    listen: Vec<Listening>,
    certificates: Vec<CertificateSummary>,
}

#[derive(Serialize)]
struct Listening {
    name: &'static str,
    address: SocketAddr,
}

#[derive(Serialize)]
struct CertificateSummary {
    chain: PathBuf,
    names: Vec<String>,
    /// `2027-02-01`
    ends: String,
    days_left: i64,
}

pub(crate) fn run(file: &Path, is_json: bool) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let around = Surroundings::of(file);
    let mut findings = Findings::new(&text);
    let settings = settings::read(&text, &around, &mut findings);
    let findings = findings.into_sorted();
    let summary = settings.as_ref().map(|settings| summary(settings, around.now));
    let mistakes = findings.iter().filter(|finding| finding.is_mistake()).count();
    if is_json {
        let report = Report { file, is_right: settings.is_some(), findings: &findings, summary };
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(file, &findings, summary.as_ref());
    }
    if settings.is_none() {
        bail!("{} has {}", file.display(), counted(mistakes, "mistake"));
    }
    Ok(())
}

fn print(file: &Path, findings: &[Finding], summary: Option<&Summary>) {
    if !findings.is_empty() {
        println!("{}", settings::lines(file, findings));
    }
    let Some(Summary { host_name, data, database, node, listen, certificates }) = summary else { return };
    let warnings = match findings.len() {
        0 => String::new(),
        count => format!(", with {}", counted(count, "warning")),
    };
    println!("{} is right{warnings}.", file.display());
    println!("  host name    {host_name}");
    println!("  data         {}", data.display());
    println!("  database     {database}");
    if let Some(node) = node {
        println!("  node         {node}");
    }
    for Listening { name, address } in listen {
        println!("  listener     {name} on {address}");
    }
    for CertificateSummary { names, ends, days_left, .. } in certificates {
        let names = certificates::listed(names);
        println!("  certificate  {names}, until {ends}: {}", counted(*days_left, "day"));
    }
    if certificates.is_empty() {
        println!("  certificate  none: no TLS");
    }
}

fn summary(settings: &Settings, now: Timestamp) -> Summary {
    let certificates = settings.certificates.iter().map(|loaded| {
        let ends = loaded.facts.ends;
        CertificateSummary {
            chain: loaded.pair.chain.clone(),
            names: loaded.facts.names.clone(),
            ends: ends.to_zoned().strftime("%Y-%m-%d").to_string(),
            days_left: (ends.as_secs() - now.as_secs()).div_euclid(86_400),
        }
    });
    Summary {
        host_name: settings.host_name.to_string(),
        data: settings.data.clone(),
        database: match settings.location {
            Location::Folder(_) => "SQLite files in the data folder",
            Location::Postgres { .. } => "PostgreSQL",
        },
        node: settings.location.folder().is_none().then(|| settings.node.number()),
        listen: settings
            .listen
            .iter()
            .map(|(door, address)| Listening { name: door.name(), address: *address })
            .collect(),
        certificates: certificates.collect(),
    }
}

/// `1 day`, `2 days`
fn counted<N: PartialEq + From<u8> + std::fmt::Display>(count: N, what: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{plural}")
}
