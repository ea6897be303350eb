//! The one program: a mail platform for hosting providers.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to people")]

mod admin;
mod bounds;
mod check;
mod demo;
mod listen;
mod maintenance;
mod make;
mod reload;
mod sender_check;
mod serve;
mod services;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use hikyaku_sender_auth::dns::DNSSEC_LOG;
use hikyaku_store::{Location, Options, Store};
use hikyaku_telemetry::log::{self, Format};

/// A mail platform for hosting providers.
#[derive(Parser)]
#[command(name = "hikyaku", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a mail server with two small customers on this machine's loopback addresses.
    Demo(demo::Arguments),
    /// Start the mail server that a settings file describes.
    Serve {
        /// The settings file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Make what a settings file needs.
    #[command(subcommand)]
    Make(make::What),
    /// Bring the databases up to date.
    Migrate(Place),
    /// Look for mistakes and damage.
    #[command(subcommand)]
    Check(Check),
}

#[derive(Subcommand)]
enum Check {
    /// Tell every mistake of a settings file, and what a server with it would do.
    Config {
        /// The settings file.
        file: PathBuf,
        /// Print one line of JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Compare databases and objects in both directions.
    Store(Place),
    /// Check whether a client may send for a domain (SPF), step by step.
    Spf(sender_check::Question),
    /// Check who really sent a message (SPF, DKIM, DMARC, ARC), step by step.
    Message {
        /// The message as it was received.
        file: PathBuf,
        #[command(flatten)]
        question: sender_check::Question,
    },
}

/// Where an installation is.
#[derive(clap::Args)]
struct Place {
    /// The settings file, which says where everything is.
    #[arg(long, conflicts_with_all = ["data", "postgres"])]
    config: Option<PathBuf>,
    /// The data folder: objects, and the databases unless `--postgres` is given.
    #[arg(long, required_unless_present = "config")]
    data: Option<PathBuf>,
    /// URL of the PostgreSQL database.
    #[arg(long)]
    postgres: Option<String>,
}

impl Place {
    /// The data folder, where the databases are, and the key ring.
    fn find(self) -> anyhow::Result<(PathBuf, Location, PathBuf)> {
        if let Some(config) = self.config {
            let (settings, _) = settings::load(&config)?;
            return Ok((settings.data, settings.location, settings.key_ring));
        }
        let data = self.data.context("--data or --config is needed")?;
        let location = match self.postgres {
            Some(url) => Location::Postgres { url },
            None => Location::Folder(data.clone()),
        };
        let key_ring = services::usual_key_ring(&data);
        Ok((data, location, key_ring))
    }
}

fn main() -> ExitCode {
    let matches = Arguments::command().subcommand(admin::command()).get_matches();
    if let Some(("admin", matches)) = matches.subcommand() {
        return match start_log(Format::Text, "warn") {
            Ok(()) => admin::run(matches),
            Err(error) => failed(&error),
        };
    }
    match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => match run(arguments.command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        Err(error) => error.exit(),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("Error: {error:?}");
    ExitCode::FAILURE
}

fn run(command: Command) -> anyhow::Result<()> {
    // The settings file of `serve` says how to log.
    if !matches!(command, Command::Serve { .. }) {
        start_log(Format::Text, "info")?;
    }
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve { config } => serve::run(&config),
        Command::Make(what) => make::run(what),
        Command::Migrate(place) => migrate(place),
        Command::Check(Check::Config { file, json }) => check::config::run(&file, json),
        Command::Check(Check::Store(place)) => {
            let (data, location, key_ring) = place.find()?;
            check::store(&data, &location, &key_ring)
        }
        Command::Check(Check::Spf(question)) => sender_check::check_spf(&question),
        Command::Check(Check::Message { file, question }) => sender_check::check_message(&file, &question),
    }
}

/// `HIKYAKU_LOG` chooses what is logged: `debug`, or `info,hikyaku_imap_server=debug`.
/// Without it `level` does, see [`usual_filter`].
fn start_log(format: Format, level: &str) -> anyhow::Result<()> {
    Ok(log::init(format, &std::env::var("HIKYAKU_LOG").unwrap_or_else(|_| usual_filter(level)))?)
}

/// A level, without what nobody can act upon. Who wants more than is usual gets everything.
fn usual_filter(level: &str) -> String {
    match level {
        "warn" | "info" => format!("{level},{DNSSEC_LOG}=error"),
        level => level.to_owned(),
    }
}

fn migrate(place: Place) -> anyhow::Result<()> {
    let (data, location, _) = place.find()?;
    let _lock = hikyaku_store::DataLock::take(&data)?;
    let done = Store::migrate(&location, &Options::default(), &services::COMPONENTS)?;
    for step in &done {
        println!("{}: {} {}: {}", step.database, step.component, step.number, step.name);
    }
    println!("{} steps done, everything is up to date", done.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn names_without_signatures_are_usually_not_told() {
        // What is taken: warnings and errors about signatures, warnings of the resolver, our own.
        for (filter, expected) in [
            (usual_filter("info"), [false, true, true, true]),
            (usual_filter("warn"), [false, true, true, false]),
            (usual_filter("error"), [false, true, false, false]),
            (usual_filter("debug"), [true, true, true, true]),
            // As the operator writes it.
            ("info".to_owned(), [true, true, true, true]),
        ] {
            let lines = tracing_subscriber::registry().with(EnvFilter::new(&filter));
            let taken = tracing::subscriber::with_default(lines, || {
                [
                    tracing::enabled!(target: DNSSEC_LOG, Level::WARN),
                    tracing::enabled!(target: DNSSEC_LOG, Level::ERROR),
                    tracing::enabled!(target: "hickory_resolver::name_server", Level::WARN),
                    tracing::enabled!(target: "hikyaku_smtp_server", Level::INFO),
                ]
            });
            assert_eq!(taken, expected, "{filter}");
        }
    }
}
