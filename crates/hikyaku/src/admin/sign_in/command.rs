//! The options of `hikyaku admin block` and `hikyaku admin history`.

use clap::{Arg, ArgAction, Command, value_parser};

/// `hikyaku admin block`.
pub(in crate::admin) fn block() -> Command {
    let reason = Arg::new("reason").long("reason").value_name("TEXT").help("Why; `log` shows it");
    Command::new("block")
        .about("Who is kept out from where after too many wrong passwords")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("What holds now").args(about()))
        .subcommand(Command::new("lift").about("End blocks at once").args(about()).args([reason, exempt()]))
        .subcommand(
            Command::new("log")
                .about("Who lifted which blocks; the newest first")
                .args([tenant(), limit("How many lines")]),
        )
}

/// `hikyaku admin history`.
pub(in crate::admin) fn history() -> Command {
    Command::new("history")
        .about("Who signed in, or tried to")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("The newest first").args(about()).args([
            days(),
            limit("How many lines"),
            unusual(),
        ]))
        .subcommand(
            Command::new("stale").about("Devices that offer an old password").args(about()).arg(days()),
        )
}

fn exempt() -> Arg {
    Arg::new("exempt").long("exempt").value_name("WHOSE").help(
        "And exempt their sources for the tenant from now on: says whose they are, like \"office in Osaka\", \
         or until when, \"until 2027-03-31 auditors\"",
    )
}

fn unusual() -> Arg {
    Arg::new("unusual")
        .long("unusual")
        .action(ArgAction::SetTrue)
        .help("Only sign-ins from a new country or network, with a new program, or too far away")
}

fn about() -> [Arg; 2] {
    let account = Arg::new("account").value_name("ACCOUNT").help("One account: its address or id");
    [account.conflicts_with("tenant"), tenant()]
}

fn tenant() -> Arg {
    Arg::new("tenant").long("tenant").value_name("TENANT").help("One tenant: its name or id")
}

fn days() -> Arg {
    let arg = Arg::new("days").long("days").value_name("N").default_value("30");
    arg.value_parser(value_parser!(u16).range(1..=3650)).help("How far back")
}

fn limit(help: &'static str) -> Arg {
    let arg = Arg::new("limit").long("limit").value_name("N").default_value("100");
    arg.value_parser(value_parser!(u16).range(1..=500)).help(help)
}
