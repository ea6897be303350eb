//! Blocks and history as people and programs read them.

use hikyaku_access::block::{Block, BlockKey};
use hikyaku_access::facts::SubjectKey;
use hikyaku_access::history::stale::StaleDevice;
use hikyaku_access::history::unusual::Unusual;
use hikyaku_sign_in::{Lift, Line};
use serde::{Deserialize, Serialize};

use super::unusual::WhyView;
use super::{SignInReply, unusual};
use crate::admin::names::Names;
use crate::admin::print::time;
use crate::admin::table::table;

/// A block.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct BlockView {
    tenant: Option<String>,
    /// None for all of the tenant.
    account: Option<String>,
    source: String,
    reason: String,
    failures: u32,
    since: String,
    until: String,
}

/// A block that was lifted.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct LiftView {
    at: String,
    who: String,
    reason: Option<String>,
    tenant: Option<String>,
    account: Option<String>,
    source: String,
}

/// A line of history.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct LineView {
    pub(super) at: String,
    pub(super) account: String,
    pub(super) service: String,
    pub(super) ip: String,
    /// `JP`, if it is known.
    pub(super) country: Option<String>,
    /// `AS2497`, if it is known.
    pub(super) network: Option<String>,
    pub(super) client: String,
    result: String,
    reason: Option<String>,
    times: u32,
    /// How it was unlike those before.
    pub(super) unusual: Vec<WhyView>,
}

/// A forgotten device.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct DeviceView {
    account: String,
    ip: String,
    client: String,
    times: u32,
    last: String,
    sentence: String,
}

impl BlockView {
    pub(super) fn of(block: &Block, names: &Names) -> Self {
        let (tenant, account) = whose(&block.key, names);
        Self {
            tenant,
            account,
            source: block.key.source.to_string(),
            reason: block.reason.code().to_owned(),
            failures: block.failures,
            since: block.since.to_string(),
            until: block.until.to_string(),
        }
    }
}

impl LiftView {
    pub(super) fn of(lift: &Lift, names: &Names) -> Self {
        let (tenant, account) = whose(&lift.key, names);
        Self {
            at: lift.at.to_string(),
            who: lift.who.clone(),
            reason: lift.why.clone(),
            tenant,
            account,
            source: lift.key.source.to_string(),
        }
    }
}

impl LineView {
    pub(super) fn of(line: &Line, why: &[Unusual], names: &Names) -> Self {
        let record = &line.record;
        Self {
            at: record.at.to_string(),
            account: subject(record.subject, names),
            service: record.service.name().to_owned(),
            ip: record.ip.to_string(),
            country: record.place.country.map(|country| country.to_string()),
            network: record.place.asn.map(|asn| asn.to_string()),
            client: record.client.as_str().to_owned(),
            result: line.result().to_owned(),
            reason: record.reason.map(|reason| reason.code().to_owned()),
            times: line.times,
            unusual: why.iter().map(WhyView::of).collect(),
        }
    }
}

impl DeviceView {
    pub(super) fn of(device: &StaleDevice, names: &Names) -> Self {
        let account = subject(device.subject, names);
        Self {
            ip: device.ip.to_string(),
            client: device.client.as_str().to_owned(),
            times: device.times,
            last: device.last.to_string(),
            sentence: device.sentence(&account),
            account,
        }
    }
}

fn whose(key: &BlockKey, names: &Names) -> (Option<String>, Option<String>) {
    let tenant = key.tenant.map(|tenant| called(&tenant.to_string(), names));
    (tenant, key.subject.map(|of| subject(of, names)))
}

/// The address of an account; of a name that is nobody's what tells it from others.
fn subject(subject: SubjectKey, names: &Names) -> String {
    match subject {
        SubjectKey::Account(account) => called(&account.to_string(), names),
        SubjectKey::Missing(name) => format!("nobody-{name:016x}"),
    }
}

pub(in crate::admin) fn called(id: &str, names: &Names) -> String {
    names.get(id).map_or(id, String::as_str).to_owned()
}

/// The answer in words.
pub(super) fn printed(reply: &SignInReply) -> String {
    match reply {
        SignInReply::Blocks(blocks) if blocks.is_empty() => "Nobody is blocked.\n".to_owned(),
        SignInReply::Blocks(blocks) => printed_blocks(blocks),
        SignInReply::Lifted(blocks) if blocks.is_empty() => "There was nothing to lift.\n".to_owned(),
        SignInReply::Lifted(blocks) => format!("Lifted:\n{}", printed_blocks(blocks)),
        SignInReply::Lifts(lifts) if lifts.is_empty() => "No block was lifted.\n".to_owned(),
        SignInReply::Lifts(lifts) => printed_lifts(lifts),
        SignInReply::History(lines) if lines.is_empty() => "Nobody tried to sign in.\n".to_owned(),
        SignInReply::History(lines) => printed_history(lines),
        SignInReply::Unusual(lines) if lines.is_empty() => "No sign-in was unusual.\n".to_owned(),
        SignInReply::Unusual(lines) => unusual::printed(lines),
        SignInReply::Stale(devices) if devices.is_empty() => "No device is known to be stale.\n".to_owned(),
        SignInReply::Stale(devices) => {
            devices.iter().map(|device| format!("{}\n", device.sentence)).collect()
        }
    }
}

fn everybody(tenant: Option<&String>) -> String {
    format!("all of {}", tenant.map_or("nobody", String::as_str))
}

fn printed_blocks(blocks: &[BlockView]) -> String {
    let row = |one: &BlockView| {
        let account = one.account.clone().unwrap_or_else(|| everybody(one.tenant.as_ref()));
        let (until, failures) = (time(&one.until), one.failures.to_string());
        vec![account, one.source.clone(), failures, until, one.reason.clone()]
    };
    let rows: Vec<_> = blocks.iter().map(row).collect();
    table(&["account", "source", "failures", "until", "reason"], &rows)
}

fn printed_lifts(lifts: &[LiftView]) -> String {
    let row = |one: &LiftView| {
        let account = one.account.clone().unwrap_or_else(|| everybody(one.tenant.as_ref()));
        let why = one.reason.clone().unwrap_or_default();
        vec![time(&one.at), account, one.source.clone(), one.who.clone(), why]
    };
    let rows: Vec<_> = lifts.iter().map(row).collect();
    table(&["time", "account", "source", "by", "reason"], &rows)
}

fn printed_history(lines: &[LineView]) -> String {
    let row = |one: &LineView| {
        let reason = one.reason.clone().unwrap_or_default();
        let (at, times) = (time(&one.at), one.times.to_string());
        let [account, service, ip] = [&one.account, &one.service, &one.ip].map(Clone::clone);
        let place = place(one.country.as_ref(), one.network.as_ref());
        // Of those that were let in there is no other reason.
        let unusual = one.unusual.iter().map(|why| why.code.as_str()).collect::<Vec<_>>().join(" ");
        let reason = [reason, unusual].concat();
        vec![at, account, service, ip, place, times, one.result.clone(), reason, one.client.clone()]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(&["time", "account", "service", "source", "place", "times", "result", "reason", "client"], &rows)
}

/// `JP AS2497`, as far as it is known.
pub(in crate::admin) fn place(country: Option<&String>, network: Option<&String>) -> String {
    [country, network].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
}
