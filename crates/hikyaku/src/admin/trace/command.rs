//! The options of `hikyaku admin trace`.

use clap::{Arg, ArgAction, Command, value_parser};

/// `hikyaku admin trace`.
pub(in crate::admin) fn command() -> Command {
    Command::new("trace")
        .about("Where is my mail? What was accepted and what was refused")
        .long_about(
            "Where is my mail? What was delivered, queued and refused, and why.\n\n\
             Mail that was accepted is called by the id that its sender was told: Accepted as r-…\n\
             Refusals of one minute that are alike are one line, which names the first of them.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(list())
        .subcommand(
            Command::new("show")
                .about("Show all that is known of one mail or refusal")
                .arg(Arg::new("id").value_name("ID").required(true).help("As `list` shows it"))
                .arg(tenant()),
        )
}

fn list() -> Command {
    let text = |id: &'static str, name: &'static str| Arg::new(id).long(id).value_name(name);
    Command::new("list").about("List what happened, the newest last").args([
        tenant(),
        text("to", "ADDRESS").help("Only for this recipient, or for this domain"),
        text("from", "ADDRESS").help("Only with this reverse-path, or of this domain; '<>' for the null one"),
        text("since", "AGE").help("Only what is at most so old: 15m, 2h, 3d"),
        Arg::new("refused").long("refused").action(ArgAction::SetTrue).help("Only what was refused"),
        text("before", "ID").help("Only what was before this: where an earlier search ended"),
        text("limit", "N")
            .value_parser(value_parser!(u16).range(1..=1000))
            .help("How many of the newest at most [default: 100]"),
    ])
}

fn tenant() -> Arg {
    Arg::new("tenant").long("tenant").value_name("TENANT").help("Only this tenant's")
}
