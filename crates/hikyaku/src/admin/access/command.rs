//! The options of `hikyaku admin access`.

use std::net::IpAddr;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{AccessAsk, Code, RuleWords, Wish};

/// `hikyaku admin access`.
pub(in crate::admin) fn access() -> Command {
    Command::new("access")
        .about("Change from where one may sign in, without shutting anybody out by mistake")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("set")
                .about("Make a rule or give it another version; to enforce is watched for a day first")
                .args(rule())
                .args(wish()),
        )
        .subcommand(
            Command::new("confirm")
                .about("Confirm a rule that would refuse who made it, from an address that it allows")
                .args(rule())
                .arg(from().required(true)),
        )
        .subcommand(
            Command::new("release").about("Let a rule only watch, for who is locked out").args(rule()),
        )
        .subcommand(
            Command::new("replay")
                .about("Whom the rules, watched ones too, would have refused of those who signed in")
                .arg(text("tenant", "TENANT", "Whose: the tenant's name or id").required(true))
                .arg(days()),
        )
        .subcommand(
            Command::new("blocking")
                .about("When sources are blocked that guess at a tenant's passwords, and what it may choose")
                .arg(text("tenant", "TENANT", "Whose: the tenant's name or id").required(true)),
        )
        .subcommand(
            Command::new("recovery-code")
                .about("Make the code that lets a tenant out which shut itself out; it is shown this once")
                .arg(text("tenant", "TENANT", "Whose: the tenant's name or id").required(true))
                .arg(text("reason", "TEXT", "Why, for the audit log"))
                .arg(flag("dry-run", "Only say whether it could be made")),
        )
        .subcommand(
            Command::new("recover")
                .about("Let all rules of a tenant only watch, for who gives its recovery code on standard input")
                .arg(text("tenant", "TENANT", "Whose: the tenant's name or id").required(true)),
        )
        .after_help(
            "The rules that there are: hikyaku admin rule list --tenant acme\n\
             Begin with:               hikyaku admin access set --tenant acme --service imap --mode watch \\\n                              \
             --allow \"192.0.2.0/24 office in Osaka\"\n\
             Then look:                hikyaku admin access replay --tenant acme",
        )
}

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn rule() -> [Arg; 7] {
    [
        text("service", "SERVICE", "For which: imap, pop3, submission, sieve, webmail or api").required(true),
        text("tenant", "TENANT", "Whose: the tenant's name or id"),
        text("domain", "DOMAIN", "For accounts of this domain").conflicts_with_all(["group", "account"]),
        text("group", "GROUP", "For members of this group").conflicts_with("account"),
        text("account", "ACCOUNT", "For this account"),
        text("reason", "TEXT", "Why, for the audit log"),
        flag("dry-run", "Only say what would become of it"),
    ]
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn from() -> Arg {
    text("from", "ADDRESS", "From where you act: it must be allowed").value_parser(value_parser!(IpAddr))
}

fn wish() -> [Arg; 5] {
    [
        text("mode", "MODE", "What it does: off, watch or enforce").required(true),
        text("allow", "ENTRY", "From where one may come and whose that is, like \"192.0.2.0/24 office\"; several times or with commas; without it as before")
            .action(ArgAction::Append),
        flag("now", "Enforce it at once, without a day of watching"),
        flag("insist", "Though it refuses where you are: taken back after 15 minutes unless confirmed"),
        from(),
    ]
}

fn days() -> Arg {
    let arg = text("days", "N", "How far back").default_value("30");
    arg.value_parser(value_parser!(u16).range(1..=90))
}

/// What a command line asks.
pub(super) fn ask(verb: &str, matches: &ArgMatches) -> Option<AccessAsk> {
    let text = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let flag = |name| matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default();
    let from = || matches.try_get_one::<IpAddr>("from").ok().flatten().copied();
    let rule = || {
        Some(RuleWords {
            service: text("service")?,
            tenant: text("tenant"),
            domain: text("domain"),
            group: text("group"),
            account: text("account"),
            reason: text("reason"),
            dry_run: flag("dry-run"),
        })
    };
    Some(match verb {
        "set" => {
            let allow = matches.get_many::<String>("allow").map(|entries| entries.cloned().collect());
            let (now, insist) = (flag("now"), flag("insist"));
            AccessAsk::Set {
                rule: rule()?,
                wish: Wish { mode: text("mode")?, allow, now, insist, from: from() },
            }
        }
        "confirm" => AccessAsk::Confirm { rule: rule()?, from: from()? },
        "release" => AccessAsk::Release { rule: rule()? },
        "replay" => AccessAsk::Replay {
            tenant: text("tenant")?,
            days: matches.get_one::<u16>("days").copied().unwrap_or(30),
        },
        "blocking" => AccessAsk::Blocking { tenant: text("tenant")? },
        "recovery-code" => {
            AccessAsk::MakeCode { tenant: text("tenant")?, reason: text("reason"), dry_run: flag("dry-run") }
        }
        "recover" => AccessAsk::Recover { tenant: text("tenant")?, code: Code(String::new()) },
        _ => return None,
    })
}
