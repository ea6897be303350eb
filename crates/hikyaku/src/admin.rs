//! `hikyaku admin …`: the operator's command line.
//!
//! A command line becomes a [`Request`](hikyaku_directory::Request) (`command`, `parse`), is
//! asked of the running server or, when none runs, of the databases themselves (`way`), and
//! its answer is printed (`print`). Nothing is decided here: the directory decides.
//!
//! Exit codes: 0 done, 1 refused, 2 the command line is wrong, 3 it may work later.

mod access;
mod command;
mod desk;
mod import;
mod names;
mod parse;
mod place;
mod print;
mod queue;
mod refusal;
mod secret;
mod seed;
mod session;
mod sign_in;
mod socket;
mod table;
mod trace;
mod user;
mod way;

use std::process::ExitCode;

use clap::ArgMatches;
use hikyaku_directory::{Action, Answer};

pub(crate) use command::command;
pub(crate) use desk::Desk;
pub(crate) use socket::{AdminSocket, serve_admin};

use parse::Parsed;
use refusal::Refusal;
use way::Way;

/// Runs a parsed command line; prints its answer, or why there is none.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let json = matches.get_flag("json");
    match carry_out(matches, json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("{}", if json { refusal.json() } else { format!("error: {}", refusal.text) });
            refusal.exit_code()
        }
    }
}

fn carry_out(matches: &ArgMatches, json: bool) -> Result<(), Refusal> {
    let place = place::find(matches)?;
    if let Some(("seed", matches)) = matches.subcommand() {
        return seed::run(matches, place, json);
    }
    if let Some(("queue", matches)) = matches.subcommand() {
        return queue::run(matches, place, json);
    }
    if let Some((word @ ("block" | "history"), matches)) = matches.subcommand() {
        return sign_in::run(word, matches, place, json);
    }
    if let Some(("access", matches)) = matches.subcommand() {
        return access::run(matches, place, json);
    }
    if let Some(("session", matches)) = matches.subcommand() {
        return session::run(matches, place, json);
    }
    if let Some(("trace", matches)) = matches.subcommand() {
        return trace::run(matches, place, json);
    }
    if let Some(("import-mail", matches)) = matches.subcommand() {
        return import::run(matches, place, json);
    }
    let mut parsed = parse::command(matches)?;
    // Before anything is opened: a server need not wait for somebody who types.
    parsed.add_secret(secret::read(&parsed.secret)?);
    let mut way = Way::open(place)?;
    names::to_ids(&mut way, &mut parsed.request)?;
    loop {
        let answer = way.ask(&parsed.request)?;
        print(&mut way, &parsed, &answer, json)?;
        match next_page(&parsed, &answer) {
            Some(after) => parsed.turn_to(after),
            None => return Ok(()),
        }
    }
}

fn print(way: &mut Way, parsed: &Parsed, answer: &Answer, json: bool) -> Result<(), Refusal> {
    if json {
        let line = serde_json::to_string(answer).map_err(|error| Refusal::failed(&error))?;
        println!("{line}");
        return Ok(());
    }
    let names = names::of(way, answer)?;
    print!("{}", print::answer(&parsed.request.action, answer, &names, parsed.all));
    Ok(())
}

/// Where `--all` goes on.
fn next_page(parsed: &Parsed, answer: &Answer) -> Option<(String, i64)> {
    match (&parsed.request.action, answer) {
        (Action::List { .. }, Answer::Objects { next, .. }) if parsed.all => next.clone(),
        _ => None,
    }
}
