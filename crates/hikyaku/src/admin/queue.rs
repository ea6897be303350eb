//! `hikyaku admin queue …`: what waits to be sent, held, released, deleted.
//!
//! Its requests are not the directory's: they go to the desk as [`QueueAsk`]. Several
//! messages are changed one by one, each in a transaction of its own with its line in the
//! queue's log; what was done stays done if a later one fails.

mod command;
mod print;

use std::time::SystemTime;

use clap::ArgMatches;
use hikyaku_directory::{Action, Answer, Kind, Named, Request};
use hikyaku_queue::{Deed, Filter, Item, LogLine, Page, QueueError, State};
use hikyaku_types::{Actor, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::desk::{Ask, Desk, Reply};
use super::place::Place;
use super::refusal::Refusal;
use super::way::{Way, not_understood};

pub(super) use command::command;

/// What is asked of the queue.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct QueueAsk {
    /// Only what is this tenant's: its name or id.
    tenant: Option<String>,
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    List(Filter),
    Show { id: String },
    Change { deed: Deed, id: String, reason: Option<String> },
    Log { before: Option<String>, limit: Option<u16> },
}

/// What the queue answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum QueueReply {
    Page(Page),
    Message(Item),
    /// So many recipients.
    Changed(u64),
    Log(Vec<LogLine>),
}

/// Carries it out; `who` stands in the queue's log.
pub(super) async fn answer(desk: &Desk, who: &str, ask: QueueAsk) -> Result<QueueReply, Refusal> {
    let queue = &desk.queue;
    let actor = Actor::Operator;
    let tenant = match &ask.tenant {
        Some(name) => Some(tenant_named(desk, name).await?),
        None => None,
    };
    let done = match &ask.what {
        What::List(filter) => queue.list(&actor, tenant, filter).await.map(QueueReply::Page),
        What::Show { id } => queue.show(&actor, tenant, id).await.map(QueueReply::Message),
        What::Change { deed, id, reason } => {
            let changed = queue.change(&actor, tenant, who, *deed, id, reason.clone()).await;
            changed.map(QueueReply::Changed)
        }
        What::Log { before, limit } => {
            queue.log(&actor, tenant, before.as_deref(), *limit).await.map(QueueReply::Log)
        }
    };
    done.map_err(|error| refused(&error))
}

/// The tenant of this name or id.
pub(super) async fn tenant_named(desk: &Desk, name: &str) -> Result<TenantId, Refusal> {
    let object = Named { kind: Kind::Tenant, name: name.to_owned(), tenant: None };
    let request = Request { action: Action::Show { object }, reason: None, dry_run: false };
    match desk.directory.execute(Actor::Operator, request).await {
        Ok(Answer::Object(view)) => view.id.parse().map_err(|error| Refusal::failed(&error)),
        Ok(_) => Err(not_understood()),
        Err(error) => Err(Refusal::from(&error)),
    }
}

fn refused(error: &QueueError) -> Refusal {
    let text = error.to_string();
    match error {
        QueueError::NotFound(_) => Refusal { code: "not_found".into(), text },
        QueueError::Request(_) => Refusal::usage(text),
        QueueError::Store(error) => Refusal::failed(error),
    }
}

/// Runs a parsed command line; prints its answer.
pub(super) fn run(matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see `hikyaku admin queue --help`");
    let (word, matches) = matches.subcommand().ok_or_else(nothing)?;
    let tenant = matches.get_one::<String>("tenant").cloned();
    match word {
        "list" => list(matches, place, tenant, json),
        "show" => {
            let id = matches.get_one::<String>("id").cloned().unwrap_or_default();
            let mut to = To { way: Way::open(place)?, tenant };
            let QueueReply::Message(message) = to.put(What::Show { id })? else {
                return Err(not_understood());
            };
            print_as(json, &message, || print::message(&message))
        }
        "log" => {
            let before = matches.get_one::<String>("before").cloned();
            let limit = matches.get_one::<u16>("limit").copied();
            let mut to = To { way: Way::open(place)?, tenant };
            let QueueReply::Log(lines) = to.put(What::Log { before, limit })? else {
                return Err(not_understood());
            };
            print_as(json, &json!({ "lines": lines }), || print::log(&lines))
        }
        word => {
            let deed = Deed::ALL.into_iter().find(|deed| deed.word() == word).ok_or_else(nothing)?;
            change(deed, matches, place, tenant, json)
        }
    }
}

/// Whom to ask, and about whose mail.
struct To {
    way: Way,
    tenant: Option<String>,
}

impl To {
    fn put(&mut self, what: What) -> Result<QueueReply, Refusal> {
        match self.way.put(Ask::Queue(QueueAsk { tenant: self.tenant.clone(), what }))? {
            Reply::Queue(reply) => Ok(reply),
            _ => Err(not_understood()),
        }
    }

    fn page(&mut self, filter: &Filter) -> Result<Page, Refusal> {
        match self.put(What::List(filter.clone()))? {
            QueueReply::Page(page) => Ok(page),
            _ => Err(not_understood()),
        }
    }
}

fn list(matches: &ArgMatches, place: Place, tenant: Option<String>, json: bool) -> Result<(), Refusal> {
    let mut filter = filter(matches)?;
    let is_all = matches.get_flag("all");
    let mut to = To { way: Way::open(place)?, tenant };
    loop {
        let page = to.page(&filter)?;
        print_as(json, &page, || print::page(&page, is_all))?;
        match page.next.filter(|_| is_all) {
            Some(next) => filter.after = Some(next),
            None => return Ok(()),
        }
    }
}

fn change(
    deed: Deed,
    matches: &ArgMatches,
    place: Place,
    tenant: Option<String>,
    json: bool,
) -> Result<(), Refusal> {
    let reason = matches.get_one::<String>("reason").cloned();
    let mut ids: Vec<String> = matches.get_many::<String>("ids").into_iter().flatten().cloned().collect();
    let mut filter = filter(matches)?;
    let is_chosen = filter != Filter::default() || tenant.is_some() || matches.get_flag("all");
    if ids.is_empty() && !is_chosen {
        return Err(Refusal::usage("say which: ids, or --to, --from, --older-than, --tenant, or --all"));
    }
    let mut to = To { way: Way::open(place)?, tenant };
    if ids.is_empty() {
        loop {
            let page = to.page(&filter)?;
            ids.extend(page.messages.into_iter().map(|message| message.id));
            match page.next {
                Some(next) => filter.after = Some(next),
                None => break,
            }
        }
    }
    for id in ids {
        let what = What::Change { deed, id: id.clone(), reason: reason.clone() };
        let QueueReply::Changed(recipients) = to.put(what)? else { return Err(not_understood()) };
        let told = json!({ "id": id, "deed": deed, "recipients": recipients });
        print_as(json, &told, || print::changed(deed, &id, recipients))?;
    }
    Ok(())
}

fn filter(matches: &ArgMatches) -> Result<Filter, Refusal> {
    let text = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
    let state = match text("state").as_deref() {
        Some("held") => Some(State::Held),
        Some("waiting") => Some(State::Waiting),
        _ => None,
    };
    let destination = text("to").map(|name| {
        hikyaku_types::Domain::parse(&name)
            .map(|domain| domain.as_str().to_owned())
            .map_err(|error| Refusal::usage(format!("--to takes a domain: {error}")))
    });
    Ok(Filter {
        destination: destination.transpose()?,
        reverse_path: text("from").map(|path| path.trim_matches(['<', '>']).to_owned()),
        state,
        before_ms: text("older-than").map(|age| before(&age, "--older-than")).transpose()?,
        after: text("after"),
        limit: matches.try_get_one::<u16>("limit").ok().flatten().copied(),
    })
}

/// The time that is so long ago, in milliseconds: `30s`, `15m`, `2h`, `3d`.
pub(super) fn before(age: &str, option: &str) -> Result<i64, Refusal> {
    let wrong = || Refusal::usage(format!("{option} takes a number and s, m, h or d: 2h is two hours"));
    let millis = millis(age).ok_or_else(wrong)?;
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| Refusal::failed(&error))?;
    Ok(i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_sub(millis))
}

fn millis(age: &str) -> Option<i64> {
    let (number, unit) = age.split_at_checked(age.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    number.parse::<u32>().ok().map(|number| i64::from(number) * seconds * 1000)
}

/// One line of JSON for programs, or the text for people.
pub(super) fn print_as(
    json: bool,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    if json {
        println!("{}", serde_json::to_string(value).map_err(|error| Refusal::failed(&error))?);
    } else {
        print!("{}", text());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (age, expected) in [
            ("30s", Some(30_000)),
            ("2h", Some(7_200_000)),
            ("3d", Some(259_200_000)),
            ("2", None),
            ("h", None),
            ("", None),
            ("-1h", None),
            ("2日", None),
        ] {
            assert_eq!(millis(age), expected, "{age}");
        }
    }

    fn filter_of(line: &str) -> Result<Filter, String> {
        let words = ["queue", "list"].into_iter().chain(line.split_whitespace());
        let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        let (_, matches) = matches.subcommand().unwrap();
        filter(matches).map_err(|refusal| refusal.text)
    }

    #[test]
    fn filters() {
        let of = |line| filter_of(line).unwrap();
        assert_eq!(of(""), Filter::default());
        assert_eq!(of("--from <>").reverse_path.as_deref(), Some(""));
        assert_eq!(of("--to 例え.Example").destination.as_deref(), Some("xn--r8jz45g.example"));
        assert_eq!(of("--state held").state, Some(State::Held));
        for (line, expected) in [
            ("--to a..b", "--to takes a domain"),
            ("--older-than soon", "--older-than takes a number"),
            ("--limit 101", "101 is not in 1..=100"),
            ("--state lost", "[possible values: waiting, held]"),
        ] {
            let told = filter_of(line).unwrap_err();
            assert!(told.contains(expected), "{line}: {told}");
        }
    }
}
