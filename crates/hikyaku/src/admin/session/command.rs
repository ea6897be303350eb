//! The options of `hikyaku admin session`.

use clap::{Arg, Command, value_parser};

/// `hikyaku admin session`.
pub(in crate::admin) fn session() -> Command {
    let id = Arg::new("id").value_name("ID").help("One session, as `list` shows it");
    let reason = Arg::new("reason").long("reason").value_name("TEXT").help("Why; `log` shows it");
    let limit = Arg::new("limit").long("limit").value_name("N").default_value("100");
    let limit = limit.value_parser(value_parser!(u16).range(1..=500)).help("How many lines");
    Command::new("session")
        .about("Who is signed in at this moment")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("On all nodes; the newest first").args(whose()))
        .subcommand(
            Command::new("end")
                .about("End sessions at once")
                .arg(id.conflicts_with_all(["account", "tenant"]))
                .args(whose())
                .arg(reason),
        )
        .subcommand(Command::new("log").about("Who ended which sessions; the newest first").arg(limit))
}

fn whose() -> [Arg; 2] {
    let account = Arg::new("account").long("account").value_name("ACCOUNT");
    let tenant = Arg::new("tenant").long("tenant").value_name("TENANT");
    [
        account.help("Those of one account: its address or id").conflicts_with("tenant"),
        tenant.help("Those of one tenant: its name or id"),
    ]
}
