//! `hikyaku admin trace …`: where is my mail? What was accepted, queued and refused.
//!
//! Its requests are not the directory's: they go to the desk as [`TraceAsk`]. A running server
//! writes the refusals that wait before it answers, so that the newest are in the answer.

mod command;
mod print;

use clap::ArgMatches;
use hikyaku_trace::{Entry, Filter, Found, TraceError};
use hikyaku_types::Actor;
use serde::{Deserialize, Serialize};

use super::desk::{Ask, Desk, Reply};
use super::place::Place;
use super::queue;
use super::refusal::Refusal;
use super::way::{Way, not_understood};

pub(super) use command::command;

/// What is asked of the trace.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TraceAsk {
    /// Only what is this tenant's: its name or id.
    tenant: Option<String>,
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    List(Filter),
    Show { id: String },
}

/// What the trace answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TraceReply {
    Found(Found),
    Entry(Box<Entry>),
}

/// Carries it out.
pub(super) async fn answer(desk: &Desk, ask: TraceAsk) -> Result<TraceReply, Refusal> {
    desk.refusals.flush().await.map_err(|error| Refusal::failed(&error))?;
    let tenant = match &ask.tenant {
        Some(name) => Some(queue::tenant_named(desk, name).await?),
        None => None,
    };
    let (actor, archive) = (Actor::Operator, &desk.trace);
    let done = match &ask.what {
        What::List(filter) => archive.search(&actor, tenant, filter).await.map(TraceReply::Found),
        What::Show { id } => archive.show(&actor, tenant, id).await.map(Box::new).map(TraceReply::Entry),
    };
    done.map_err(|error| refused(&error))
}

fn refused(error: &TraceError) -> Refusal {
    let text = error.to_string();
    match error {
        TraceError::NotFound(_) => Refusal { code: "not_found".into(), text },
        TraceError::Request(_) => Refusal::usage(text),
        TraceError::Store(error) => Refusal::failed(error),
    }
}

/// Runs a parsed command line; prints its answer.
pub(super) fn run(matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see `hikyaku admin trace --help`");
    let (word, matches) = matches.subcommand().ok_or_else(nothing)?;
    let tenant = matches.get_one::<String>("tenant").cloned();
    let what = match word {
        "list" => What::List(filter(matches)?),
        _ => What::Show { id: matches.get_one::<String>("id").cloned().unwrap_or_default() },
    };
    match Way::open(place)?.put(Ask::Trace(TraceAsk { tenant, what }))? {
        Reply::Trace(TraceReply::Found(found)) => queue::print_as(json, &found, || print::found(&found)),
        Reply::Trace(TraceReply::Entry(entry)) => queue::print_as(json, &entry, || print::entry(&entry)),
        _ => Err(not_understood()),
    }
}

fn filter(matches: &ArgMatches) -> Result<Filter, Refusal> {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    let without_brackets = |path: String| path.trim_matches(['<', '>']).to_owned();
    Ok(Filter {
        recipient: text("to").map(without_brackets),
        reverse_path: text("from").map(without_brackets),
        since_ms: text("since").map(|age| queue::before(&age, "--since")).transpose()?,
        is_refused: matches.get_flag("refused"),
        before: text("before"),
        limit: matches.get_one::<u16>("limit").copied(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(line: &str) -> Result<Filter, String> {
        let words = ["trace", "list"].into_iter().chain(line.split_whitespace());
        let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        let (_, matches) = matches.subcommand().unwrap();
        filter(matches).map_err(|refusal| refusal.text)
    }

    #[test]
    fn filters() {
        let of = |line| filter_of(line).unwrap();
        assert_eq!(of(""), Filter::default());
        assert_eq!(of("--from <>").reverse_path.as_deref(), Some(""));
        assert_eq!(of("--to <ann@example.org>").recipient.as_deref(), Some("ann@example.org"));
        assert!(of("--refused").is_refused && of("--since 2h").since_ms.is_some());
        for (line, expected) in [
            ("--since soon", "--since takes a number"),
            ("--limit 1001", "1001 is not in 1..=1000"),
            ("--all", "unexpected argument"),
        ] {
            let told = filter_of(line).unwrap_err();
            assert!(told.contains(expected), "{line}: {told}");
        }
    }
}
