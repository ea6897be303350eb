//! `hikyaku check spf` and `hikyaku check message`: who sent this, and how do we know?
//!
//! Prints every look-up and every step, so that an operator can tell a sender what is wrong.
//! With `--dns FILE` nothing is asked of the network, with `--now` the clock is not read.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use hikyaku_sender_auth::dns::{Budget, Data, Lookup, Network, Resolver, Table};
use hikyaku_sender_auth::policy::{Policy, Verdict, judge};
use hikyaku_sender_auth::{Client, Message, Results, SPF_LOOKUPS, TIME, check_within, dkim, dmarc, spf};
use hikyaku_types::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

/// What is known of the client, and whom to ask.
#[derive(clap::Args)]
pub(crate) struct Question {
    /// Address of the client.
    #[arg(long)]
    ip: IpAddr,
    /// The name that the client gave in EHLO.
    #[arg(long)]
    helo: String,
    /// The reverse-path, with or without brackets; empty for the null reverse-path.
    #[arg(long)]
    mail_from: String,
    /// Our own name, as in Authentication-Results.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Answer from this file and ask nobody.
    #[arg(long, conflicts_with = "resolver")]
    dns: Option<PathBuf>,
    /// Ask the resolver at this address and port instead of the system's.
    #[arg(long)]
    resolver: Option<SocketAddr>,
    /// Seconds since 1970, instead of the clock.
    #[arg(long)]
    now: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Question {
    fn client(&self) -> Client<'_> {
        let path = self.mail_from.trim();
        let path = path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).unwrap_or(path);
        Client { ip: self.ip, helo: &self.helo, reverse_path: path }
    }

    fn now(&self) -> Timestamp {
        self.now.map_or_else(|| SystemClock.now(), Timestamp::from_secs)
    }

    fn resolver(&self) -> anyhow::Result<Resolver> {
        Ok(match (&self.dns, self.resolver) {
            (Some(file), _) => Resolver::Table(Table::from_json(&read(file)?)?),
            (None, Some(address)) => Resolver::Network(Box::new(Network::at(address)?)),
            (None, None) => Resolver::Network(Box::new(Network::system()?)),
        })
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// `hikyaku check spf`.
pub(crate) fn check_spf(question: &Question) -> anyhow::Result<()> {
    let found = runtime()?.block_on(async {
        let resolver = question.resolver()?;
        let budget = Budget::new(&resolver).with_log();
        let client = question.client();
        let spf =
            spf::check(&budget.share(SPF_LOOKUPS, TIME), &client, &question.host, question.now().as_secs())
                .await;
        anyhow::Ok((spf, budget.log()))
    });
    let (spf, lookups) = found?;
    if question.json {
        return print_json(&json!({ "lookups": lookups_json(&lookups), "spf": spf_json(&spf) }));
    }
    print_lookups(&lookups);
    print_spf(&spf);
    Ok(())
}

/// `hikyaku check message`.
pub(crate) fn check_message(file: &Path, question: &Question) -> anyhow::Result<()> {
    let content = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let found = runtime()?.block_on(async {
        let resolver = question.resolver()?;
        let budget = Budget::new(&resolver).with_log();
        let message = Message::new(&content);
        let client = question.client();
        let results = check_within(&budget, &client, &message, &question.host, question.now(), TIME).await;
        anyhow::Ok((results, budget.log()))
    });
    let (results, lookups) = found?;
    let verdict = judge(&results, &Policy::default());
    if question.json {
        return print_json(&message_json(&results, &verdict, &lookups, &question.host));
    }
    print_lookups(&lookups);
    print_message(&results, &verdict, &question.host);
    Ok(())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

// What people read. Texts of strangers are shown with `{:?}`, so that they cannot play with
// the terminal.

fn print_lookups(lookups: &[Lookup]) {
    println!("DNS");
    for Lookup { name, kind, answer } in lookups {
        match answer {
            Ok(records) => {
                for record in records.iter() {
                    println!("  {} {name}  {}", kind.as_str(), shown(record));
                }
            }
            Err(error) => println!("  {} {name}  -- {error}", kind.as_str()),
        }
    }
}

fn shown(data: &Data) -> String {
    match data {
        Data::Address(address) => address.to_string(),
        Data::Mx { preference, exchange: Some(exchange) } => format!("{preference} {exchange}"),
        Data::Mx { preference, exchange: None } => format!("{preference} ."),
        Data::Ptr(name) => name.to_string(),
        Data::Txt(text) => format!("{:?}", String::from_utf8_lossy(text)),
    }
}

fn print_spf(spf: &spf::Spf) {
    println!("SPF of {:?}", spf.sender);
    for step in &spf.steps {
        println!("  {}: {:?} {}", step.domain, step.text, step.note);
    }
    print_result(spf.outcome.as_str(), spf.reason.as_deref());
    if let Some(explanation) = &spf.explanation {
        println!("  the domain explains: {explanation:?}");
    }
}

fn print_result(result: &str, reason: Option<&str>) {
    match reason {
        Some(reason) => println!("  result: {result}, as {reason:?}"),
        None => println!("  result: {result}"),
    }
}

fn print_message(results: &Results, verdict: &Verdict, host: &str) {
    println!("Reverse DNS of {}", results.iprev.ip);
    if let Some(name) = &results.iprev.name {
        println!("  {name} leads back");
    }
    print_result(results.iprev.outcome.as_str(), None);
    print_spf(&results.spf);
    for verified in &results.dkim {
        print_signature(verified);
    }
    if results.dkim.is_empty() {
        println!("DKIM\n  result: none");
    }
    println!("ARC");
    for (index, set) in results.arc.sets.iter().enumerate() {
        let saw = if set.saw_dmarc_pass() { "saw it pass DMARC" } else { "did not see it pass DMARC" };
        println!("  {}: sealed by {}, who {saw}", index + 1, set.sealer);
    }
    print_result(results.arc.outcome.as_str(), results.arc.reason.as_deref());
    print_dmarc(&results.dmarc);
    println!("Verdict\n  {}: {}", verdict.action.as_str(), verdict.reason);
    print!("\n{}", results.stamp(host).to_field());
}

fn print_signature(verified: &dkim::Verified) {
    let name = |name: &Option<_>| {
        name.as_ref().map_or("nobody".to_owned(), |name: &hikyaku_sender_auth::Name| name.to_string())
    };
    print!("DKIM of {} (selector {}", name(&verified.domain), name(&verified.selector));
    if let Some(algorithm) = verified.algorithm {
        print!(", {}", algorithm.as_str());
    }
    if let Some(bits) = verified.key_bits {
        print!(", {bits} bits");
    }
    println!("){}", if verified.testing { ", which only tests DKIM" } else { "" });
    print_result(verified.outcome.as_str(), verified.reason.as_deref());
}

fn print_dmarc(dmarc: &dmarc::Dmarc) {
    match &dmarc.author {
        Some(author) => println!("DMARC of {author}"),
        None => println!("DMARC"),
    }
    if let Some(policy) = &dmarc.policy {
        println!("  {}: {:?}", policy.domain, policy.record.text);
        println!(
            "  asks for p={}{}",
            policy.published,
            if policy.record.testing { ", and only tests (t=y)" } else { "" }
        );
        if let Some(percent) = policy.record.percent {
            println!("  pct={percent} has no meaning any more (RFC 9989)");
        }
    }
    if let Some((mechanism, domain)) = &dmarc.aligned {
        println!("  {} vouches for {domain}, which is aligned", mechanism.as_str());
    }
    print_result(dmarc.outcome.as_str(), dmarc.reason.as_deref());
}

// What programs read.

fn print_json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

fn lookups_json(lookups: &[Lookup]) -> Value {
    let one = |Lookup { name, kind, answer }: &Lookup| match answer {
        Ok(records) => {
            let records: Vec<Value> = records.iter().map(record_json).collect();
            json!({ "name": name.as_str(), "type": kind.as_str(), "data": records })
        }
        Err(error) => json!({ "name": name.as_str(), "type": kind.as_str(), "error": error.to_string() }),
    };
    lookups.iter().map(one).collect()
}

fn record_json(data: &Data) -> Value {
    match data {
        Data::Txt(text) => String::from_utf8_lossy(text).into(),
        other => shown(other).into(),
    }
}

fn spf_json(spf: &spf::Spf) -> Value {
    let step =
        |step: &spf::Step| json!({ "domain": step.domain.as_str(), "text": step.text, "note": step.note });
    json!({
        "result": spf.outcome.as_str(),
        "identity": match spf.identity {
            spf::Identity::MailFrom => "mailfrom",
            spf::Identity::Helo => "helo",
        },
        "domain": spf.domain.as_ref().map(|domain| domain.as_str()),
        "sender": spf.sender,
        "reason": spf.reason,
        "explanation": spf.explanation,
        "steps": spf.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn dkim_json(verified: &dkim::Verified) -> Value {
    json!({
        "result": verified.outcome.as_str(),
        "domain": verified.domain.as_ref().map(|domain| domain.as_str()),
        "selector": verified.selector.as_ref().map(|selector| selector.as_str()),
        "algorithm": verified.algorithm.map(dkim::Algorithm::as_str),
        "key_bits": verified.key_bits,
        "testing": verified.testing,
        "reason": verified.reason,
    })
}

fn dmarc_json(dmarc: &dmarc::Dmarc) -> Value {
    let policy = dmarc.policy.as_ref();
    json!({
        "result": dmarc.outcome.as_str(),
        "author": dmarc.author.as_ref().map(|author| author.as_str()),
        "policy": policy.map(|policy| policy.requested.as_str()),
        "published": policy.map(|policy| policy.published.as_str()),
        "testing": policy.map(|policy| policy.record.testing),
        "pct": policy.and_then(|policy| policy.record.percent),
        "policy_domain": policy.map(|policy| policy.domain.as_str()),
        "aligned": dmarc.aligned.as_ref().map(|(mechanism, domain)| {
            json!({ "mechanism": mechanism.as_str(), "domain": domain.as_str() })
        }),
        "reason": dmarc.reason,
    })
}

fn message_json(results: &Results, verdict: &Verdict, lookups: &[Lookup], host: &str) -> Value {
    let sets: Vec<Value> = results
        .arc
        .sets
        .iter()
        .map(|set| json!({ "sealer": set.sealer.as_str(), "saw_dmarc_pass": set.saw_dmarc_pass() }))
        .collect();
    json!({
        "lookups": lookups_json(lookups),
        "iprev": {
            "result": results.iprev.outcome.as_str(),
            "name": results.iprev.name.as_ref().map(|name| name.as_str()),
        },
        "spf": spf_json(&results.spf),
        "dkim": results.dkim.iter().map(dkim_json).collect::<Vec<_>>(),
        "arc": { "result": results.arc.outcome.as_str(), "sets": sets, "reason": results.arc.reason },
        "dmarc": dmarc_json(&results.dmarc),
        "verdict": { "action": verdict.action.as_str(), "reason": verdict.reason.to_string() },
        "authentication_results": results.stamp(host).to_field(),
    })
}
