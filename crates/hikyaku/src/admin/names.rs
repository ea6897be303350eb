//! Accounts and tenants by name where the directory keeps their ids, which never change.
//!
//! Roles and credentials are called by their account's id. People write and read its address
//! there: `administrator:ann@example.org`, `ann@example.org:password`.

use std::collections::BTreeMap;

use hikyaku_directory::{Action, Answer, Kind, Named, Request, View};

use super::refusal::Refusal;
use super::way::Way;

/// Names by ids.
pub(super) type Names = BTreeMap<String, String>;

/// Most ids whose names are asked for; those beyond are shown as they are.
const MOST: usize = 600;

/// The text with names for ids.
pub(super) fn named(names: &Names, text: &str) -> String {
    let mut named = text.to_owned();
    for id in ids(text) {
        if let Some(name) = names.get(id) {
            named = named.replace(id, name);
        }
    }
    named
}

/// Puts ids into the names of roles and credentials.
pub(super) fn to_ids(way: &mut Way, request: &mut Request) -> Result<(), Refusal> {
    let named = match &mut request.action {
        Action::Change { object, .. } | Action::Move { object, .. } | Action::Show { object } => object,
        Action::Audit { object: Some(object), .. } => object,
        _ => return Ok(()),
    };
    if let Some((address, template)) = address_in(named) {
        let account = Named { kind: Kind::Account, name: address, tenant: named.tenant.clone() };
        if let Answer::Object(account) = way.ask(&show(account))? {
            named.name = template.replace("{}", &account.id);
        }
    }
    Ok(())
}

/// The address in a name, and the name without it.
fn address_in(named: &Named) -> Option<(String, String)> {
    let name = named.name.as_str();
    match named.kind {
        Kind::Credential => {
            let (address, title) = name.split_once(':').unwrap_or((name, "password"));
            address.contains('@').then(|| (address.to_owned(), format!("{{}}:{title}")))
        }
        Kind::Role => {
            let (power, rest) = name.split_once(':')?;
            let (address, domain) = rest.split_once(':').map_or((rest, None), |(of, at)| (of, Some(at)));
            let domain = domain.map_or_else(String::new, |domain| format!(":{domain}"));
            address.contains('@').then(|| (address.to_owned(), format!("{power}:{{}}{domain}")))
        }
        Kind::Rule => {
            let (service, address) = name.split_once(":account:")?;
            address.contains('@').then(|| (address.to_owned(), format!("{service}:account:{{}}")))
        }
        Kind::Exception => name.contains('@').then(|| (name.to_owned(), "{}".to_owned())),
        _ => None,
    }
}

fn show(object: Named) -> Request {
    Request { action: Action::Show { object }, reason: None, dry_run: false }
}

/// The names of all tenants and accounts whose ids are in the answer. What cannot be shown
/// keeps its id.
pub(super) fn of(way: &mut Way, answer: &Answer) -> Result<Names, Refusal> {
    let mut names = Names::new();
    for text in texts(answer) {
        for id in ids(&text) {
            if names.len() >= MOST || names.contains_key(id) {
                continue;
            }
            let kind = if Kind::Account.id_of(id).is_some() { Kind::Account } else { Kind::Tenant };
            let object = Named { kind, name: id.to_owned(), tenant: None };
            let name = match way.ask(&show(object)) {
                Ok(Answer::Object(view)) => view.name,
                Err(refusal) if refusal.is_temporary() => return Err(refusal),
                _ => id.to_owned(),
            };
            names.insert(id.to_owned(), name);
        }
    }
    Ok(names)
}

/// All texts that are shown.
fn texts(answer: &Answer) -> Vec<String> {
    let of_view = |view: &View| {
        let fields = view.kind.shown(&view.fields).into_iter().map(|(_, text)| text);
        fields.chain([view.tenant.clone(), view.name.clone()]).collect::<Vec<_>>()
    };
    match answer {
        Answer::Done { before, after, .. } => before.iter().chain(after).flat_map(of_view).collect(),
        Answer::Object(view) => of_view(view),
        Answer::Objects { objects, .. } => objects.iter().flat_map(of_view).collect(),
        Answer::Audit { lines, .. } => {
            let of_line = |value: &serde_json::Value| value.get("data").map(ToString::to_string);
            let values = lines.iter().flat_map(|line| line.before.iter().chain(&line.after));
            values.filter_map(of_line).chain(lines.iter().map(|line| line.name.clone())).collect()
        }
    }
}

/// Ids of accounts and tenants in a text.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| Kind::Account.id_of(word).is_some() || Kind::Tenant.id_of(word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_names() {
        let table = [
            (Kind::Credential, "ann@example.org", Some(("ann@example.org", "{}:password"))),
            (Kind::Credential, "ann@example.org:My @home", Some(("ann@example.org", "{}:My @home"))),
            (Kind::Credential, "a-000000000002d:phone", None),
            (Kind::Role, "administrator:ann@example.org", Some(("ann@example.org", "administrator:{}"))),
            (
                Kind::Role,
                "domain_administrator:ann@example.org:example.org",
                Some(("ann@example.org", "domain_administrator:{}:example.org")),
            ),
            (Kind::Role, "operator:a-000000000002d", None),
            (Kind::Account, "ann@example.org", None),
        ];
        for (kind, name, expected) in table {
            let found = address_in(&Named { kind, name: name.into(), tenant: None });
            let expected = expected.map(|(address, template)| (address.to_owned(), template.to_owned()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn ids_become_names() {
        let names = Names::from([("a-000000000002d".into(), "ann@example.org".into())]);
        for (text, expected) in [
            ("administrator:a-000000000002d", "administrator:ann@example.org"),
            ("a-000000000002d, a-000000000003d", "ann@example.org, a-000000000003d"),
            ("ann@a-b.example", "ann@a-b.example"),
        ] {
            assert_eq!(named(&names, text), expected);
        }
    }
}
