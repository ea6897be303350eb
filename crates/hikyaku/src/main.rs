//! The one program: a mail platform for hosting providers.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to people")]

mod check;
mod demo;
mod services;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
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
    /// Bring the databases up to date.
    Migrate(Place),
    /// Look for mistakes and damage.
    #[command(subcommand)]
    Check(Check),
}

#[derive(Subcommand)]
enum Check {
    /// Compare databases and objects in both directions.
    Store(Place),
}

/// Where an installation is.
#[derive(clap::Args)]
struct Place {
    /// The data folder: objects, and the databases unless `--postgres` is given.
    #[arg(long)]
    data: PathBuf,
    /// URL of the PostgreSQL database.
    #[arg(long)]
    postgres: Option<String>,
}

impl Place {
    fn location(&self) -> Location {
        match &self.postgres {
            Some(url) => Location::Postgres { url: url.clone() },
            None => Location::Folder(self.data.clone()),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    log::init(Format::Text, &std::env::var("HIKYAKU_LOG").unwrap_or_else(|_| "info".into()))?;
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Migrate(place) => migrate(&place),
        Command::Check(Check::Store(place)) => check::store(&place.data, &place.location()),
    }
}

fn migrate(place: &Place) -> anyhow::Result<()> {
    let _lock = hikyaku_store::DataLock::take(&place.data)?;
    let done = Store::migrate(&place.location(), &Options::default(), &services::COMPONENTS)?;
    for step in &done {
        println!("{}: {} {}: {}", step.database, step.component, step.number, step.name);
    }
    println!("{} steps done, everything is up to date", done.len());
    Ok(())
}
