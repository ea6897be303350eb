//! The commands and options, made from the directory's own tables of kinds and fields.

use clap::{Arg, ArgAction, Command, value_parser};
use hikyaku_directory::{Field, Kind, Verb};

/// The options that say where an installation is and how to answer; each command takes them.
fn general() -> [Arg; 4] {
    let place = |name, value, help| {
        Arg::new(name).long(name).value_name(value).help(help).global(true).help_heading("Installation")
    };
    [
        place("data", "FOLDER", "The data folder [default: HIKYAKU_DATA, or /var/lib/hikyaku]")
            .value_parser(value_parser!(std::path::PathBuf)),
        place("config", "FILE", "The settings file of the server, which says where everything is")
            .value_parser(value_parser!(std::path::PathBuf))
            .conflicts_with_all(["data", "postgres"]),
        place("postgres", "URL", "The PostgreSQL database, if no server runs and it is not SQLite"),
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .global(true)
            .help("Answer in JSON, for programs")
            .help_heading("Installation"),
    ]
}

/// `hikyaku admin`.
pub(crate) fn command() -> Command {
    Command::new("admin")
        .about("Administer plans, tenants, domains, accounts and all that they have")
        .long_about(
            "Administer plans, tenants, domains, accounts and all that they have.\n\n\
             A running server is asked through its socket in the data folder; when none runs, \
             the databases are opened.",
        )
        .after_help(
            "Begin with: hikyaku admin plan create basic\n            \
             hikyaku admin tenant create acme --plan basic\n            \
             hikyaku admin domain create example.org --tenant acme\n            \
             hikyaku admin account create ann@example.org\n            \
             hikyaku admin credential create --account ann@example.org",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(general())
        .subcommands(Kind::ALL.map(of_kind))
        .subcommand(audit())
        .subcommand(super::import::command())
        .subcommand(super::queue::command())
        .subcommand(super::sign_in::block_command())
        .subcommand(super::sign_in::history_command())
        .subcommand(super::access::access_command())
        .subcommand(super::session::session_command())
        .subcommand(super::trace::command())
        .subcommand(seed())
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Plan => "What a tenant may have: storage, accounts, limits",
        Kind::Tenant => "Customers, each with a plan",
        Kind::Domain => "Domains of tenants",
        Kind::Account => "Accounts: mailboxes, addresses, quota",
        Kind::Alias => "Addresses that point to others",
        Kind::List => "Addresses whose mail goes to all members",
        Kind::Group => "Named accounts of a tenant",
        Kind::Role => "What an account may administer",
        Kind::Credential => "What an account signs in with",
        Kind::Rule => "From where one may sign in, by tenant, domain, group or account",
        Kind::Exception => "Accounts that may sign in from anywhere for a while",
    }
}

/// `a plan`, `an account`.
pub(super) fn one(kind: Kind) -> String {
    let article = if matches!(kind, Kind::Account | Kind::Alias | Kind::Exception) { "an" } else { "a" };
    format!("{article} {kind}")
}

fn of_kind(kind: Kind) -> Command {
    Command::new(kind.word())
        .about(about(kind))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(verbs(kind).map(|verb| of_verb(kind, verb)))
}

/// Credentials, rules and exceptions are gone at once when they are deleted.
fn verbs(kind: Kind) -> impl Iterator<Item = Verb> {
    let is_there = move |verb: &Verb| match kind {
        Kind::Credential | Kind::Exception => !matches!(verb, Verb::Undelete | Verb::Purge),
        // `admin access` changes them.
        Kind::Rule => matches!(verb, Verb::Show | Verb::List | Verb::Delete),
        _ => true,
    };
    Verb::ALL.into_iter().filter(is_there)
}

fn of_verb(kind: Kind, verb: Verb) -> Command {
    let command = Command::new(verb.word());
    let one = one(kind);
    match verb {
        Verb::Create => create(kind, command),
        Verb::Show => command.about(format!("Show {one}")).arg(name(kind)).args(tenant(kind)),
        Verb::List => list(kind, command),
        Verb::Change => change(kind, command),
        Verb::Suspend => moves(kind, command.about(format!("Make {one} stop to work; nothing is lost"))),
        Verb::Resume => moves(kind, command.about(format!("Make a suspended {kind} work again"))),
        Verb::Delete if matches!(kind, Kind::Credential | Kind::Rule | Kind::Exception) => {
            moves(kind, command.about(format!("Delete {one} for good")))
        }
        Verb::Delete => moves(
            kind,
            command.about(format!("Delete {one}; for a while, as its plan says, it can be undeleted")),
        ),
        Verb::Undelete => moves(kind, command.about(format!("Bring a deleted {kind} back"))),
        Verb::Purge => {
            moves(kind, command.about(format!("Remove a deleted {kind} for good, with all that it has")))
        }
    }
}

fn create(kind: Kind, command: Command) -> Command {
    let command = command.about(format!("Make {}", new(kind)));
    let command = match kind {
        Kind::Role | Kind::Credential | Kind::Rule | Kind::Exception => command,
        _ => command.arg(name(kind)),
    };
    let fields = kind.fields().iter().map(|field| {
        let arg = set(field);
        if field.is_list { arg.visible_alias(singular(field.name)).action(ArgAction::Append) } else { arg }
    });
    let command = command.args(fields).args(secret(kind)).args(tenant(kind)).args(change_options());
    match kind {
        Kind::Credential => command.after_help(
            "A password is asked for on the terminal, or read from standard input; it is never an argument.\n\
             An app password (--kind app_password --title \"Ann's phone\") is made by the server and shown once.",
        ),
        _ => command,
    }
}

fn new(kind: Kind) -> String {
    format!("a new {kind}")
}

fn change(kind: Kind, command: Command) -> Command {
    let command = command.about(format!("Change {}", one(kind))).arg(name(kind));
    let mut args = Vec::new();
    for field in kind.fields() {
        args.push(set(field));
        if field.is_list {
            args.extend([each(field, "add", "Add one"), each(field, "remove", "Take one away")]);
        }
    }
    let rename =
        Arg::new("rename").long("rename").value_name("NAME").help("Another name").help_heading("Fields");
    let is_named =
        !matches!(kind, Kind::Role | Kind::Credential | Kind::Domain | Kind::Rule | Kind::Exception);
    command
        .args(args)
        .args(is_named.then_some(rename))
        .args(secret(kind))
        .arg(if_version())
        .args(tenant(kind))
        .args(change_options())
}

fn moves(kind: Kind, command: Command) -> Command {
    command.arg(name(kind)).arg(if_version()).args(tenant(kind)).args(change_options())
}

fn name(kind: Kind) -> Arg {
    let help = match kind {
        Kind::Plan | Kind::Tenant => "Its name: a-z, 0-9 and -",
        Kind::Domain => "Its name: example.org",
        Kind::Account => "Its first address; later, any of its addresses or its id",
        Kind::Alias | Kind::List => "Its address",
        Kind::Group => "Its name",
        Kind::Role => "As `role list` shows it: administrator:ann@example.org",
        Kind::Rule => {
            "As `rule list` shows it: imap:tenant, imap:domain:example.org, imap:account:ann@example.org"
        }
        Kind::Exception => "The account's address",
        Kind::Credential => {
            "The account's address for its password; ann@example.org:TITLE for an app password"
        }
    };
    Arg::new("name").value_name("NAME").required(true).help(help)
}

/// `largest-mailbox`
fn long(field: &str) -> String {
    field.replace('_', "-")
}

/// `address` of `addresses`, `member` of `members`, `forward-to` of `forward_to`.
fn singular(field: &str) -> String {
    let long = long(field);
    match long.strip_suffix("sses") {
        Some(stem) => format!("{stem}ss"),
        None => long.strip_suffix('s').unwrap_or(&long).to_owned(),
    }
}

fn value_name(field: &Field) -> &'static str {
    let words = [
        ("a size", "SIZE"),
        ("a number", "NUMBER"),
        ("yes or no", "YES/NO"),
        ("an account", "ACCOUNT"),
        ("an address or network", "NETWORK"),
        ("an address", "ADDRESS"),
        ("a domain", "DOMAIN"),
        ("a day", "DAY"),
        ("a text", "TEXT"),
    ];
    words.iter().find(|(form, _)| field.form.starts_with(form)).map_or("WORD", |(_, name)| name)
}

fn help(field: &Field) -> String {
    let doc = field.doc.trim().trim_end_matches('.');
    match (field.form, field.is_list) {
        ("a text", _) => doc.to_owned(),
        (form, true) => format!("{doc} ({form}; several with commas)"),
        (form, false) => format!("{doc} ({form})"),
    }
}

/// The id of the option that sets a field, and of those that add to and take from it.
pub(super) fn id(verb: &str, field: &str) -> String {
    format!("{verb}.{field}")
}

fn set(field: &Field) -> Arg {
    Arg::new(id("set", field.name))
        .long(long(field.name))
        .value_name(value_name(field))
        .help(help(field))
        .help_heading("Fields")
}

fn each(field: &Field, verb: &str, does: &str) -> Arg {
    Arg::new(id(verb, field.name))
        .long(format!("{verb}-{}", singular(field.name)))
        .alias(format!("{verb}-{}", long(field.name)))
        .value_name(value_name(field))
        .action(ArgAction::Append)
        .help(format!("{does}: see --{}", long(field.name)))
        .help_heading("Fields")
}

fn secret(kind: Kind) -> Vec<Arg> {
    if kind != Kind::Credential {
        return Vec::new();
    }
    vec![
        Arg::new("password-stdin")
            .long("password-stdin")
            .action(ArgAction::SetTrue)
            .help("Read the password from the first line of standard input")
            .help_heading("Fields"),
        Arg::new("hash")
            .long("hash")
            .value_name("HASH")
            .conflicts_with("password-stdin")
            .help("The hash that another system made: '{SSHA}…', '{BLF-CRYPT}…', '$argon2id$…'")
            .help_heading("Fields"),
    ]
}

fn tenant(kind: Kind) -> Option<Arg> {
    let arg = Arg::new("tenant").long("tenant").value_name("TENANT");
    match kind {
        Kind::Plan | Kind::Tenant => None,
        Kind::Domain | Kind::Group | Kind::Rule => Some(arg.help("Whose it is: the tenant's name or id")),
        _ => Some(arg.help("Whose it is; its address says it, too")),
    }
}

fn if_version() -> Arg {
    Arg::new("if-version")
        .long("if-version")
        .value_name("N")
        .value_parser(value_parser!(i64))
        .help("Only if it still has this version, as `show` told it")
}

fn change_options() -> [Arg; 2] {
    [
        Arg::new("reason").long("reason").value_name("TEXT").help("Why, for the audit log"),
        Arg::new("dry-run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help("Only say what would become of it"),
    ]
}

fn list(kind: Kind, command: Command) -> Command {
    let of = Arg::new("of").long("of");
    let of = match kind {
        Kind::Role | Kind::Credential | Kind::Rule | Kind::Exception => {
            Some(of.value_name("ACCOUNT").help("Only those of this account"))
        }
        Kind::Account | Kind::Alias | Kind::List => {
            Some(of.value_name("DOMAIN").help("Only those whose first address is in this domain"))
        }
        Kind::Domain => Some(of.value_name("DOMAIN").help("Only the other names of this domain")),
        Kind::Plan | Kind::Tenant | Kind::Group => None,
    };
    command
        .about(format!("List {kind}s, by name"))
        .args([
            Arg::new("search").long("search").value_name("TEXT").help("Only those with this in their name"),
            Arg::new("state")
                .long("state")
                .value_parser(["active", "suspended", "deleted"])
                .help("Only those in this state"),
            Arg::new("deleted").long("deleted").action(ArgAction::SetTrue).help("Deleted ones too"),
        ])
        .args(tenant(kind).map(|arg| arg.help("Only this tenant's")))
        .args(of)
        .args([
            limit(),
            Arg::new("after")
                .long("after")
                .value_name("PLACE")
                .help("Behind what the page before ended with"),
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("Every page; with --json one line for each"),
        ])
}

fn limit() -> Arg {
    Arg::new("limit")
        .long("limit")
        .value_name("N")
        .value_parser(value_parser!(u16).range(1..=500))
        .help("How many at most [default: 100, at most 500]")
}

fn audit() -> Command {
    Command::new("audit").about("Who changed what, when and why; the newest first").args([
        Arg::new("tenant").long("tenant").value_name("TENANT").help("Only what this tenant has"),
        Arg::new("object")
            .long("object")
            .num_args(2)
            .value_names(["KIND", "NAME"])
            .help("Only this object: --object account ann@example.org"),
        limit(),
        Arg::new("before").long("before").value_name("ID").help("Only what was before this line"),
    ])
}

fn seed() -> Command {
    let number = |name, help| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .required(true)
            .value_parser(value_parser!(u32).range(1..=10_000_000))
            .help(help)
    };
    Command::new("seed")
        .about("Fill an installation with invented tenants and accounts, to try and measure it")
        .args([
            number("tenants", "So many tenants: most small, a few large"),
            number("accounts", "So many accounts over all of them"),
            Arg::new("domain-suffix")
                .long("domain-suffix")
                .value_name("DOMAIN")
                .default_value("example")
                .help("What all domains end with"),
            Arg::new("password-stdin")
                .long("password-stdin")
                .action(ArgAction::SetTrue)
                .help("The password of all of them, from standard input; else one is made and shown"),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_stands_for_two_things() {
        command().debug_assert();
    }

    #[test]
    fn options_are_called_as_people_say_them() {
        let table = [
            ("addresses", "address"),
            ("members", "member"),
            ("services", "service"),
            ("forward_to", "forward-to"),
            ("targets", "target"),
        ];
        for (field, expected) in table {
            assert_eq!(singular(field), expected);
        }
    }

    /// A field without a doc comment would be an option without help.
    #[test]
    fn every_option_has_help() {
        for kind in Kind::ALL {
            for command in of_kind(kind).get_subcommands() {
                for arg in command.get_arguments() {
                    assert!(
                        arg.get_help().is_some_and(|help| help.to_string().len() > 5),
                        "{kind} {} {}",
                        command.get_name(),
                        arg.get_id()
                    );
                }
            }
        }
    }
}
