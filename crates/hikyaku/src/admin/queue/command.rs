//! The options of `hikyaku admin queue`.

use clap::{Arg, ArgAction, Command, value_parser};

/// `hikyaku admin queue`.
pub(in crate::admin) fn command() -> Command {
    Command::new("queue")
        .about("Mail that waits to be sent")
        .long_about(
            "Mail that waits to be sent: submissions to elsewhere, and what addresses of ours lead to.\n\n\
             A message is called by the id that its sender was told: Accepted as r-…",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(list())
        .subcommand(
            Command::new("show")
                .about("Show one message and all its recipients")
                .arg(Arg::new("id").value_name("ID").required(true).help("As `list` shows it"))
                .arg(tenant()),
        )
        .subcommand(deed("hold", "Do not send to its recipients until they are released"))
        .subcommand(deed("release", "Send to held recipients, now"))
        .subcommand(deed("delete", "Take messages out for good; nobody is told"))
        .subcommand(Command::new("log").about("Who held, released and deleted what; the newest first").args(
            [
                tenant(),
                limit().value_parser(value_parser!(u16).range(1..=500)),
                Arg::new("before").long("before").value_name("ID").help("Only what was before this line"),
            ],
        ))
}

fn list() -> Command {
    Command::new("list").about("List what waits, oldest first").args(chosen()).args([
        limit(),
        Arg::new("after").long("after").value_name("ID").help("Behind what the page before ended with"),
        all("Every page; with --json one line for each"),
    ])
}

fn deed(name: &'static str, about: &'static str) -> Command {
    let ids = Arg::new("ids").value_name("ID").num_args(0..).help("Messages, as `list` shows them");
    let reason = Arg::new("reason").long("reason").value_name("TEXT").help("Why, for the queue's log");
    let chosen = chosen().map(|arg| match arg.get_id().as_str() {
        "tenant" => arg,
        _ => arg.conflicts_with("ids"),
    });
    Command::new(name)
        .about(about)
        .args([ids, reason])
        .args(chosen)
        .arg(all("Everything in the queue").conflicts_with("ids"))
}

/// Which messages.
fn chosen() -> [Arg; 5] {
    [
        tenant(),
        Arg::new("to").long("to").value_name("DOMAIN").help("Only with a recipient in this domain"),
        Arg::new("from")
            .long("from")
            .value_name("ADDRESS")
            .help("Only with this reverse-path; '<>' for the null one"),
        Arg::new("state")
            .long("state")
            .value_parser(["waiting", "held"])
            .help("Only with a recipient in this state"),
        Arg::new("older-than")
            .long("older-than")
            .value_name("AGE")
            .help("Only what was accepted so long ago: 15m, 2h, 3d"),
    ]
}

fn tenant() -> Arg {
    Arg::new("tenant").long("tenant").value_name("TENANT").help("Only this tenant's")
}

fn limit() -> Arg {
    Arg::new("limit")
        .long("limit")
        .value_name("N")
        .value_parser(value_parser!(u16).range(1..=100))
        .help("How many at most [default: 100]")
}

fn all(help: &'static str) -> Arg {
    Arg::new("all").long("all").action(ArgAction::SetTrue).help(help)
}
