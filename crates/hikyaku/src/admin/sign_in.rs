//! `hikyaku admin block …` and `hikyaku admin history …`: who is kept out from where, and who
//! signed in.
//!
//! Their requests go to the desk as [`SignInAsk`]. They are those of a running server: what it
//! has not written yet is part of the answer.

use clap::{Arg, ArgMatches, Command, value_parser};
use hikyaku_access::block::Block;
use hikyaku_access::facts::SubjectKey;
use hikyaku_directory::{Action, Answer, Kind, Named, Request};
use hikyaku_sign_in::{Gate, Line, Wanted};
use hikyaku_types::{AccountId, Actor, Clock, SystemClock, TenantId};
use serde::{Deserialize, Serialize};

use super::desk::{Ask, Desk, Reply};
use super::place::Place;
use super::print::time;
use super::refusal::Refusal;
use super::table::table;
use super::way::{Way, not_understood};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What is asked, about one account or one tenant or everybody.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignInAsk {
    account: Option<String>,
    tenant: Option<String>,
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Blocks,
    Lift,
    History { days: u16, limit: u16 },
    Stale { days: u16 },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignInReply {
    /// Those that hold, or that were lifted.
    Blocks(Vec<BlockView>),
    History(Vec<LineView>),
    Stale(Vec<DeviceView>),
}

/// A block as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BlockView {
    tenant: Option<String>,
    /// Its id, or a hash of a name that is nobody's; none for all of the tenant.
    account: Option<String>,
    source: String,
    reason: String,
    failures: u32,
    since: String,
    until: String,
}

/// A line of history as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LineView {
    at: String,
    account: String,
    service: String,
    ip: String,
    client: String,
    result: String,
    reason: Option<String>,
    times: u32,
}

/// A forgotten device as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeviceView {
    account: String,
    ip: String,
    client: String,
    times: u32,
    last: String,
    sentence: String,
}

/// `hikyaku admin block`.
pub(super) fn block_command() -> Command {
    Command::new("block")
        .about("Who is kept out from where after too many wrong passwords")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("What holds now").args(about()))
        .subcommand(Command::new("lift").about("End blocks at once").args(about()))
}

/// `hikyaku admin history`.
pub(super) fn history_command() -> Command {
    let days = || {
        let arg = Arg::new("days").long("days").value_name("N").default_value("30");
        arg.value_parser(value_parser!(u16).range(1..=90)).help("How far back")
    };
    let limit = Arg::new("limit").long("limit").value_name("N").default_value("100");
    let limit = limit.value_parser(value_parser!(u16).range(1..=500)).help("How many lines");
    Command::new("history")
        .about("Who signed in, or tried to")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("The newest first").args(about()).args([days(), limit]))
        .subcommand(
            Command::new("stale").about("Devices that offer an old password").args(about()).arg(days()),
        )
}

fn about() -> [Arg; 2] {
    [
        Arg::new("account").value_name("ACCOUNT").help("One account: its address or id"),
        Arg::new("tenant").long("tenant").value_name("TENANT").help("One tenant").conflicts_with("account"),
    ]
}

/// Carries it out; `who` asks.
pub(super) async fn answer(desk: &Desk, who: &str, ask: SignInAsk) -> Result<SignInReply, Refusal> {
    let gate = desk.gate.as_deref().ok_or_else(|| Refusal::unavailable("no server runs there: start it"))?;
    let wanted = match (&ask.account, &ask.tenant) {
        (Some(account), _) => Wanted::Account(id(desk, Kind::Account, account).await?),
        (None, Some(tenant)) => Wanted::Tenant(id(desk, Kind::Tenant, tenant).await?),
        (None, None) => Wanted::All,
    };
    let now = SystemClock.now();
    let since = |days: u16| now.before(DAY * u32::from(days));
    let failed = |error| Refusal::failed(&error);
    match ask.what {
        What::Blocks => {
            let (tenant, account) = whose(wanted);
            let mut blocks = gate.blocks(tenant);
            blocks.retain(|block| account.is_none() || block.key.subject == account.map(SubjectKey::Account));
            Ok(SignInReply::Blocks(blocks.iter().map(block_view).collect()))
        }
        What::Lift => lift(gate, who, wanted).await,
        What::History { days, limit } => {
            let lines = gate.history(wanted, since(days), None, limit).await.map_err(failed)?;
            Ok(SignInReply::History(lines.iter().map(line_view).collect()))
        }
        What::Stale { days } => {
            let found = gate.stale(wanted, since(days)).await.map_err(failed)?;
            let view = |device: &hikyaku_access::history::stale::StaleDevice| {
                let account = subject(device.subject);
                DeviceView {
                    ip: device.ip.to_string(),
                    client: device.client.as_str().to_owned(),
                    times: device.times,
                    last: device.last.to_string(),
                    sentence: device.sentence(&account),
                    account,
                }
            };
            Ok(SignInReply::Stale(found.iter().map(view).collect()))
        }
    }
}

async fn lift(gate: &Gate, who: &str, wanted: Wanted) -> Result<SignInReply, Refusal> {
    if wanted == Wanted::All {
        return Err(Refusal::usage("say whose blocks are to be lifted: an account, or --tenant"));
    }
    let (tenant, account) = whose(wanted);
    let lifted = gate.unblock(tenant, account).await.map_err(|error| Refusal::failed(&error))?;
    tracing::info!(who, ?wanted, blocks = lifted.len(), "blocks were lifted");
    Ok(SignInReply::Blocks(lifted.iter().map(block_view).collect()))
}

fn whose(wanted: Wanted) -> (Option<TenantId>, Option<AccountId>) {
    match wanted {
        Wanted::Account(account) => (None, Some(account)),
        Wanted::Tenant(tenant) => (Some(tenant), None),
        Wanted::All => (None, None),
    }
}

/// The id of an object by its name or id.
async fn id<T: std::str::FromStr>(desk: &Desk, kind: Kind, name: &str) -> Result<T, Refusal>
where
    T::Err: std::fmt::Display,
{
    let object = Named { kind, name: name.to_owned(), tenant: None };
    let request = Request { action: Action::Show { object }, reason: None, dry_run: false };
    match desk.directory.execute(Actor::Operator, request).await {
        Ok(Answer::Object(view)) => view.id.parse().map_err(|error| Refusal::failed(&error)),
        Ok(_) => Err(not_understood()),
        Err(error) => Err(Refusal::from(&error)),
    }
}

fn subject(subject: SubjectKey) -> String {
    match subject {
        SubjectKey::Account(account) => account.to_string(),
        SubjectKey::Missing(name) => format!("nobody-{name:016x}"),
    }
}

fn block_view(block: &Block) -> BlockView {
    BlockView {
        tenant: block.key.tenant.map(|tenant| tenant.to_string()),
        account: block.key.subject.map(subject),
        source: block.key.source.to_string(),
        reason: block.reason.code().to_owned(),
        failures: block.failures,
        since: block.since.to_string(),
        until: block.until.to_string(),
    }
}

fn line_view(line: &Line) -> LineView {
    let record = &line.record;
    LineView {
        at: record.at.to_string(),
        account: subject(record.subject),
        service: record.service.name().to_owned(),
        ip: record.ip.to_string(),
        client: record.client.as_str().to_owned(),
        result: line.result().to_owned(),
        reason: record.reason.map(|reason| reason.code().to_owned()),
        times: line.times,
    }
}

/// Runs a parsed command line about `word`, which is `block` or `history`; prints its answer.
pub(super) fn run(word: &str, matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see --help");
    let (verb, matches) = matches.subcommand().ok_or_else(nothing)?;
    let number = |name| matches.get_one::<u16>(name).copied().unwrap_or(1);
    let what = match (word, verb) {
        ("block", "list") => What::Blocks,
        ("block", "lift") => What::Lift,
        ("history", "list") => What::History { days: number("days"), limit: number("limit") },
        ("history", "stale") => What::Stale { days: number("days") },
        _ => return Err(nothing()),
    };
    let text = |name| matches.get_one::<String>(name).cloned();
    let ask = SignInAsk { account: text("account"), tenant: text("tenant"), what };
    let Reply::SignIn(reply) = Way::open(place)?.put(Ask::SignIn(ask))? else {
        return Err(not_understood());
    };
    if json {
        println!("{}", serde_json::to_string(&reply).map_err(|error| Refusal::failed(&error))?);
    } else {
        print!("{}", printed(&reply));
    }
    Ok(())
}

fn printed(reply: &SignInReply) -> String {
    match reply {
        SignInReply::Blocks(blocks) => {
            let row = |one: &BlockView| {
                let account = one.account.clone().unwrap_or_else(|| "all".into());
                let until = time(&one.until);
                vec![account, one.source.clone(), one.failures.to_string(), until, one.reason.clone()]
            };
            let rows: Vec<_> = blocks.iter().map(row).collect();
            table(&["account", "source", "failures", "until", "reason"], &rows)
        }
        SignInReply::History(lines) => {
            let row = |one: &LineView| {
                let reason = one.reason.clone().unwrap_or_default();
                let (at, times) = (time(&one.at), one.times.to_string());
                let [account, service, ip] = [&one.account, &one.service, &one.ip].map(Clone::clone);
                vec![at, account, service, ip, times, one.result.clone(), reason, one.client.clone()]
            };
            let rows: Vec<_> = lines.iter().map(row).collect();
            let headings = ["time", "account", "service", "source", "times", "result", "reason", "client"];
            table(&headings, &rows)
        }
        SignInReply::Stale(devices) => {
            devices.iter().map(|device| format!("{}\n", device.sentence)).collect()
        }
    }
}
