//! From a parsed command line to what is asked of the directory.

use clap::ArgMatches;
use hikyaku_directory::{Action, Edit, FieldEdit, Filter, Kind, Named, NewSecret, Request, State, Verb};

use super::command::id;
use super::refusal::Refusal;

/// What is asked, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) request: Request,
    pub(super) secret: SecretFrom,
    /// Every page of a list.
    pub(super) all: bool,
}

/// Where the secret of a credential comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SecretFrom {
    /// It gets none, or the server makes it.
    Nowhere,
    /// The terminal, or standard input if that is none.
    Terminal,
    Stdin,
    Hash(String),
}

impl Parsed {
    pub(super) fn add_secret(&mut self, new: Option<NewSecret>) {
        if let Action::Create { secret, .. } | Action::Change { secret, .. } = &mut self.request.action {
            *secret = new;
        }
    }

    pub(super) fn turn_to(&mut self, after: (String, i64)) {
        if let Action::List { filter, .. } = &mut self.request.action {
            filter.after = Some(after);
        }
    }
}

/// Reads what stands behind `hikyaku admin` and is asked of the directory.
pub(super) fn command(matches: &ArgMatches) -> Result<Parsed, Refusal> {
    let nothing = || Refusal::usage("nothing is asked: see `hikyaku admin --help`");
    let (word, matches) = matches.subcommand().ok_or_else(nothing)?;
    let (action, matches) = match Kind::of_word(word) {
        None => (audit(matches)?, matches),
        Some(kind) => {
            let (word, matches) = matches.subcommand().ok_or_else(nothing)?;
            let verb = Verb::ALL.into_iter().find(|verb| verb.word() == word).ok_or_else(nothing)?;
            (of_verb(kind, verb, matches)?, matches)
        }
    };
    let secret = secret(&action, matches)?;
    let request = Request { action, reason: text(matches, "reason"), dry_run: flag(matches, "dry-run") };
    Ok(Parsed { request, secret, all: flag(matches, "all") })
}

fn of_verb(kind: Kind, verb: Verb, matches: &ArgMatches) -> Result<Action, Refusal> {
    let object =
        || Named { kind, name: text(matches, "name").unwrap_or_default(), tenant: text(matches, "tenant") };
    let version = number(matches, "if-version");
    Ok(match verb {
        Verb::Create => Action::Create {
            id: None,
            kind,
            name: text(matches, "name"),
            tenant: text(matches, "tenant"),
            fields: fields(kind, matches),
            secret: None,
        },
        Verb::Change => {
            let (fields, rename) = (fields(kind, matches), text(matches, "rename"));
            if fields.is_empty() && rename.is_none() && kind != Kind::Credential {
                return Err(Refusal::usage(format!(
                    "nothing is to be changed: `hikyaku admin {kind} change --help` lists what can be"
                )));
            }
            Action::Change { object: object(), version, rename, fields, secret: None }
        }
        Verb::Show => Action::Show { object: object() },
        Verb::List => list(kind, matches)?,
        Verb::Suspend | Verb::Resume | Verb::Delete | Verb::Undelete | Verb::Purge => {
            Action::Move { verb, object: object(), version }
        }
    })
}

fn fields(kind: Kind, matches: &ArgMatches) -> Vec<FieldEdit> {
    let mut edits = Vec::new();
    for field in kind.fields() {
        let mut add = |edit| edits.push((field.name.to_owned(), edit));
        // A list that is given several times is one list.
        let set: Vec<String> = texts(matches, &id("set", field.name));
        if !set.is_empty() {
            add(Edit::Set(set.join(",")));
        }
        texts(matches, &id("add", field.name)).into_iter().map(Edit::Add).for_each(&mut add);
        texts(matches, &id("remove", field.name)).into_iter().map(Edit::Remove).for_each(&mut add);
    }
    edits
}

fn list(kind: Kind, matches: &ArgMatches) -> Result<Action, Refusal> {
    let tenant = text(matches, "tenant");
    let of = text(matches, "of").map(|name| Named {
        kind: if matches!(kind, Kind::Role | Kind::Credential | Kind::Rule | Kind::Exception) {
            Kind::Account
        } else {
            Kind::Domain
        },
        name,
        tenant: tenant.clone(),
    });
    let state = text(matches, "state");
    let filter = Filter {
        search: text(matches, "search"),
        state: State::ALL.into_iter().find(|one| Some(one.word()) == state.as_deref()),
        deleted_too: flag(matches, "deleted"),
        parent: None,
        after: text(matches, "after").map(|after| place(&after)).transpose()?,
        limit: limit(matches),
    };
    Ok(Action::List { kind, tenant, of, filter })
}

/// Where a page ended, as `print` writes it: name, comma, number.
fn place(after: &str) -> Result<(String, i64), Refusal> {
    let parts = after.rsplit_once(',').and_then(|(name, id)| Some((name.to_owned(), id.parse().ok()?)));
    parts.ok_or_else(|| Refusal::usage("--after takes what the page before ended with"))
}

fn audit(matches: &ArgMatches) -> Result<Action, Refusal> {
    let tenant = text(matches, "tenant");
    let object = match texts(matches, "object").as_slice() {
        [kind, name] => {
            let kinds = || Kind::ALL.map(Kind::word).join(", ");
            let unknown = || Refusal::usage(format!("`{kind}` is no kind of object: use one of {}", kinds()));
            let kind = Kind::of_word(kind).ok_or_else(unknown)?;
            Some(Named { kind, name: name.clone(), tenant: tenant.clone() })
        }
        _ => None,
    };
    Ok(Action::Audit { tenant, object, before: text(matches, "before"), limit: limit(matches) })
}

fn secret(action: &Action, matches: &ArgMatches) -> Result<SecretFrom, Refusal> {
    let is_set = |fields: &[FieldEdit], name: &str, value: &str| {
        fields.iter().any(|(field, edit)| field == name && *edit == Edit::Set(value.into()))
    };
    let (needs_one, is_made) = match action {
        Action::Create { kind: Kind::Credential, fields, .. } => {
            let is_made = is_set(fields, "kind", "app_password");
            (!is_made, is_made)
        }
        Action::Change { object, fields, .. } if object.kind == Kind::Credential => {
            (fields.is_empty(), false)
        }
        _ => return Ok(SecretFrom::Nowhere),
    };
    match (text(matches, "hash"), flag(matches, "password-stdin")) {
        (None, false) if needs_one => Ok(SecretFrom::Terminal),
        (None, false) => Ok(SecretFrom::Nowhere),
        _ if is_made => Err(Refusal::usage("an app password is made by the server, so none can be given")),
        (Some(hash), _) => Ok(SecretFrom::Hash(hash)),
        (None, true) => Ok(SecretFrom::Stdin),
    }
}

/// Commands have different options: one that this one has not is not given.
fn texts(matches: &ArgMatches, id: &str) -> Vec<String> {
    let values = matches.try_get_many::<String>(id).ok().flatten();
    values.into_iter().flatten().cloned().collect()
}

fn text(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.try_get_one::<String>(id).ok().flatten().cloned()
}

fn flag(matches: &ArgMatches, id: &str) -> bool {
    matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false)
}

fn number(matches: &ArgMatches, id: &str) -> Option<i64> {
    matches.try_get_one::<i64>(id).ok().flatten().copied()
}

fn limit(matches: &ArgMatches) -> Option<u16> {
    matches.try_get_one::<u16>("limit").ok().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `hikyaku admin LINE` asks; parts are parted by one space, `_` is a space in one.
    fn asked(line: &str) -> Result<Parsed, String> {
        let words =
            std::iter::once("admin".to_owned()).chain(line.split(' ').map(|word| word.replace('_', " ")));
        let matches =
            super::super::command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        command(&matches).map_err(|refusal| refusal.text)
    }

    fn json(line: &str) -> String {
        serde_json::to_string(&asked(line).unwrap().request.action).unwrap()
    }

    #[test]
    fn command_lines() {
        let table = [
            (
                "plan create basic --pool 50GB --accounts 100",
                r#"{"create":{"kind":"plan","name":"basic","tenant":null,"fields":[["pool",{"set":"50GB"}],["accounts",{"set":"100"}]],"secret":null}}"#,
            ),
            (
                "domain create example.org --tenant acme",
                r#"{"create":{"kind":"domain","name":"example.org","tenant":"acme","fields":[],"secret":null}}"#,
            ),
            (
                "alias create info@example.org --target ann@example.org --target bob@example.org",
                r#"{"create":{"kind":"alias","name":"info@example.org","tenant":null,"fields":[["targets",{"set":"ann@example.org,bob@example.org"}]],"secret":null}}"#,
            ),
            (
                "account change ann@example.org --if-version 3 --rename ann.lee@example.org --webmail yes --add-address a@example.org --remove-addresses b@example.org",
                r#"{"change":{"object":{"kind":"account","name":"ann@example.org","tenant":null},"version":3,"rename":"ann.lee@example.org","fields":[["addresses",{"add":"a@example.org"}],["addresses",{"remove":"b@example.org"}],["webmail",{"set":"yes"}]],"secret":null}}"#,
            ),
            (
                "group delete sales --tenant acme",
                r#"{"move":{"verb":"delete","object":{"kind":"group","name":"sales","tenant":"acme"},"version":null}}"#,
            ),
            (
                "account show ann@example.org",
                r#"{"show":{"object":{"kind":"account","name":"ann@example.org","tenant":null}}}"#,
            ),
            (
                "account list --of example.org --search ann --state suspended --after ann@example.org,77 --limit 2",
                r#"{"list":{"kind":"account","tenant":null,"of":{"kind":"domain","name":"example.org","tenant":null},"filter":{"search":"ann","state":"suspended","deleted_too":false,"parent":null,"after":["ann@example.org",77],"limit":2}}}"#,
            ),
            (
                "credential list --of ann@example.org --deleted",
                r#"{"list":{"kind":"credential","tenant":null,"of":{"kind":"account","name":"ann@example.org","tenant":null},"filter":{"search":null,"state":null,"deleted_too":true,"parent":null,"after":null,"limit":null}}}"#,
            ),
            (
                "audit --tenant acme --object account ann@example.org --limit 5",
                r#"{"audit":{"tenant":"acme","object":{"kind":"account","name":"ann@example.org","tenant":"acme"},"before":null,"limit":5}}"#,
            ),
        ];
        for (line, expected) in table {
            assert_eq!(json(line), expected, "{line}");
        }
    }

    #[test]
    fn reasons_and_dry_runs() {
        let parsed = asked("account suspend ann@example.org --reason asked_by_phone --dry-run").unwrap();
        assert_eq!(parsed.request.reason.as_deref(), Some("asked by phone"));
        assert!(parsed.request.dry_run);
    }

    #[test]
    fn where_secrets_come_from() {
        let table = [
            ("credential create --account ann@example.org", SecretFrom::Terminal),
            ("credential create --account ann@example.org --password-stdin", SecretFrom::Stdin),
            (
                "credential create --account ann@example.org --hash {SSHA}x",
                SecretFrom::Hash("{SSHA}x".into()),
            ),
            (
                "credential create --account ann@example.org --kind app_password --title phone",
                SecretFrom::Nowhere,
            ),
            ("credential change ann@example.org", SecretFrom::Terminal),
            ("credential change ann@example.org --expires 2027-03-31", SecretFrom::Nowhere),
            ("account change ann@example.org --title Ann", SecretFrom::Nowhere),
        ];
        for (line, expected) in table {
            let words = line.replace("app_password", "app\u{0}password");
            let words = words.split(' ').map(|word| word.replace('\u{0}', "_"));
            let words = std::iter::once("admin".to_owned()).chain(words);
            let matches = super::super::command().try_get_matches_from(words).unwrap();
            assert_eq!(command(&matches).unwrap().secret, expected, "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let table = [
            ("account change ann@example.org", "nothing is to be changed"),
            ("account list --after nonsense", "--after takes what the page before ended with"),
            (
                "audit --object acount ann@example.org",
                "`acount` is no kind of object: use one of plan, tenant",
            ),
            ("account create", "required arguments were not provided"),
            ("account create a@example.org --qouta 5GB", "'--quota'"),
            ("credential undelete x", "unrecognized subcommand"),
            ("account list --limit 501", "501 is not in 1..=500"),
        ];
        for (line, expected) in table {
            let told = asked(line).unwrap_err();
            assert!(told.contains(expected), "{line}: {told}");
        }
    }
}
