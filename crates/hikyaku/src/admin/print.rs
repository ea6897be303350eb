//! Answers as people read them.

use hikyaku_directory::{Action, Answer, AuditLine, Kind, Verb, View};
use serde::Serialize;
use serde_json::Value;

use super::names::{Names, named};
use super::refusal::Refusal;
use super::table::{clipped, pairs, table};

/// Cells of a column at most; `show` and JSON tell all.
const CELLS: usize = 44;

/// The text of an answer. With `is_all` the next page follows by itself.
pub(super) fn answer(action: &Action, answer: &Answer, names: &Names, is_all: bool) -> String {
    match answer {
        Answer::Done { before, after, secret, dry_run } => {
            let (before, after) = (before.as_ref(), after.as_ref());
            let mut text = done(verb(action), before, after, *dry_run, names);
            if let Some(secret) = secret {
                text.push_str(&format!(
                    "\n    {secret}\n\nThis is shown once: hand it over, or put it in now.\n"
                ));
            }
            text
        }
        Answer::Object(view) => object(view, names),
        Answer::Objects { objects, next } => {
            let is_over_tenants = matches!(action, Action::List { tenant: None, of: None, .. });
            let mut text = list(objects, is_over_tenants, names);
            if let Some((name, id)) = next.as_ref().filter(|_| !is_all) {
                text.push_str(&format!("\nThere may be more: --after '{name},{id}', or --all.\n"));
            }
            text
        }
        Answer::Audit { lines, next } => {
            let mut text = match lines.as_slice() {
                [] => "Nothing was changed.\n".to_owned(),
                lines => lines.iter().map(|line| audit_line(line, names)).collect(),
            };
            if let Some(next) = next {
                text.push_str(&format!("\nThere may be more: --before {next}.\n"));
            }
            text
        }
    }
}

fn verb(action: &Action) -> Verb {
    match action {
        Action::Create { .. } => Verb::Create,
        Action::Move { verb, .. } => *verb,
        _ => Verb::Change,
    }
}

/// One sentence, and what is different.
fn done(verb: Verb, before: Option<&View>, after: Option<&View>, dry_run: bool, names: &Names) -> String {
    let Some(view) = after.or(before) else { return String::new() };
    let subject = format!("{} {}", view.kind, named(names, &view.name));
    let differences = match (before, after) {
        (Some(before), Some(after)) if verb == Verb::Change => differences(before, after, names),
        _ => Vec::new(),
    };
    let mut what = done_word(verb).to_owned();
    if verb == Verb::Change && differences.is_empty() && view.kind == Kind::Credential {
        what.push_str(": it has another secret");
    } else if verb == Verb::Change && differences.is_empty() {
        what.push_str(", but nothing is different");
    } else if verb == Verb::Delete && after.is_none() {
        what.push_str(" for good");
    } else if let Some(until) = view.until.as_deref().filter(|_| verb == Verb::Delete) {
        what.push_str(&format!("; until {} it can be undeleted", time(until)));
    }
    let mut text = match dry_run {
        true => format!("{subject} would be {what}. Nothing was changed (--dry-run).\n"),
        false if verb == Verb::Create => format!("{subject} was {what}; its id is {}.\n", view.id),
        false => format!("{subject} was {what}.\n"),
    };
    text.push_str(&pairs(&differences));
    text
}

fn done_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "created",
        Verb::Show | Verb::List => "read",
        Verb::Change => "changed",
        Verb::Suspend => "suspended",
        Verb::Resume => "resumed",
        Verb::Delete => "deleted",
        Verb::Undelete => "undeleted",
        Verb::Purge => "purged",
    }
}

fn differences(before: &View, after: &View, names: &Names) -> Vec<(String, String)> {
    let mut all = Vec::new();
    add_difference(&mut all, "name", &before.name, &after.name, names);
    add_differences(&mut all, after.kind, Some(&before.fields), Some(&after.fields), names);
    all
}

fn add_difference(all: &mut Vec<(String, String)>, name: &str, before: &str, after: &str, names: &Names) {
    if before != after {
        let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { named(names, text) };
        all.push((name.to_owned(), format!("{} → {}", dash(before), dash(after))));
    }
}

fn add_differences(
    all: &mut Vec<(String, String)>,
    kind: Kind,
    before: Option<&Value>,
    after: Option<&Value>,
    names: &Names,
) {
    // Against the fields of nothing, a new object shows those that are not as they would be.
    let nothing = Value::Object(serde_json::Map::new());
    let before = kind.shown(before.unwrap_or(&nothing));
    let after = kind.shown(after.unwrap_or(&nothing));
    for (name, after) in &after {
        let old = before.iter().find(|(old, _)| old == name).map_or("", |(_, text)| text);
        add_difference(all, name, old, after, names);
    }
}

fn object(view: &View, names: &Names) -> String {
    let mut all = vec![("id".to_owned(), view.id.clone())];
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    if !matches!(view.kind, Kind::Plan | Kind::Tenant) {
        let tenant = named(names, &view.tenant);
        add("tenant", if tenant == view.tenant { tenant } else { format!("{tenant} ({})", view.tenant) });
    }
    add("state", view.state.word().to_owned());
    if let Some(until) = &view.until {
        add("kept until", time(until));
    }
    add("version", view.version.to_string());
    add("created", time(&view.created));
    add("changed", time(&view.changed));
    for (name, text) in view.kind.shown(&view.fields) {
        add(name, if text.is_empty() { "-".to_owned() } else { named(names, &text) });
    }
    format!("{} {}\n{}", view.kind, named(names, &view.name), pairs(&all))
}

/// The fields that lists show.
const fn columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Plan => &["title", "pool", "accounts", "largest_mailbox"],
        Kind::Tenant => &["title", "plan"],
        Kind::Domain => &["alias_of", "catch_all"],
        Kind::Account => &["title", "quota", "forward_to"],
        Kind::Alias => &["targets"],
        Kind::List | Kind::Group => &["title", "members"],
        Kind::Role => &["domain"],
        Kind::Credential => &["kind", "services", "expires"],
        Kind::Rule => &["mode", "allow", "next_mode", "next_from"],
        Kind::Exception => &["services", "until", "note"],
    }
}

fn list(objects: &[View], is_over_tenants: bool, names: &Names) -> String {
    let Some(first) = objects.first() else { return "There are none.\n".to_owned() };
    let columns = columns(first.kind);
    let has_tenant = is_over_tenants && !matches!(first.kind, Kind::Plan | Kind::Tenant);
    let mut headings = vec!["name", "state"];
    headings.extend(has_tenant.then_some("tenant"));
    headings.extend(columns);
    let row = |view: &View| {
        let mut cells = vec![named(names, &view.name), view.state.word().to_owned()];
        cells.extend(has_tenant.then(|| named(names, &view.tenant)));
        let shown = view.kind.shown(&view.fields);
        for column in columns {
            let text = shown.iter().find(|(name, _)| name == column).map_or("", |(_, text)| text);
            cells.push(if text.is_empty() { "-".to_owned() } else { clipped(&named(names, text), CELLS) });
        }
        cells
    };
    table(&headings, &objects.iter().map(row).collect::<Vec<_>>())
}

fn audit_line(line: &AuditLine, names: &Names) -> String {
    let mut text = format!(
        "{}  {}  {} {} {}\n",
        time(&line.at),
        line.actor,
        line.action,
        line.kind,
        named(names, &line.name)
    );
    let part = |value: &Option<Value>, name: &str| value.as_ref().and_then(|value| value.get(name)).cloned();
    let word = |value: &Option<Value>, name: &str| {
        part(value, name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let mut all = Vec::new();
    if line.before.is_some() && line.after.is_some() {
        for name in ["name", "state"] {
            add_difference(&mut all, name, &word(&line.before, name), &word(&line.after, name), names);
        }
    }
    if let Some(kind) = Kind::of_word(&line.kind).filter(|_| part(&line.after, "data").is_some()) {
        let (before, after) = (part(&line.before, "data"), part(&line.after, "data"));
        add_differences(&mut all, kind, before.as_ref(), after.as_ref(), names);
    }
    let what = word(&line.after, "what");
    if !what.is_empty() {
        all.push(("what".into(), what));
    }
    if part(&line.after, "secret").is_some() {
        all.push(("secret".into(), "set anew (never shown)".into()));
    }
    if let Some(reason) = &line.reason {
        all.push(("reason".into(), reason.clone()));
    }
    text.push_str(&pairs(&all));
    text
}

/// Prints an answer: for programs as it is, for people in words.
pub(super) fn tell<R: Serialize>(reply: &R, json: bool, words: fn(&R) -> String) -> Result<(), Refusal> {
    if json {
        println!("{}", serde_json::to_string(reply).map_err(|error| Refusal::failed(&error))?);
    } else {
        print!("{}", words(reply));
    }
    Ok(())
}

/// `2026-11-24 09:00:00 UTC` of RFC 3339.
pub(super) fn time(text: &str) -> String {
    let parts = text.split_once('T').and_then(|(day, time)| Some((day, time.get(..8)?)));
    parts.map_or_else(|| text.to_owned(), |(day, time)| format!("{day} {time} UTC"))
}

#[cfg(test)]
mod tests {
    use hikyaku_directory::{Filter, Named, State};
    use serde_json::json;

    use super::*;

    fn account(version: i64, fields: Value) -> View {
        View {
            kind: Kind::Account,
            id: "a-000000000002d".into(),
            tenant: "t-000000000002d".into(),
            name: "ann@example.org".into(),
            state: State::Active,
            version,
            created: "2026-11-24T12:00:00.000Z".into(),
            changed: "2026-11-24T12:00:00.000Z".into(),
            until: None,
            fields,
        }
    }

    fn names() -> Names {
        Names::from([
            ("t-000000000002d".into(), "acme".into()),
            ("a-000000000002d".into(), "ann@example.org".into()),
        ])
    }

    fn moved(verb: Verb) -> Action {
        let object = Named { kind: Kind::Account, name: "x".into(), tenant: None };
        Action::Move { verb, object, version: None }
    }

    fn said(action: &Action, before: Option<View>, after: Option<View>, dry_run: bool) -> String {
        answer(action, &Answer::Done { before, after, secret: None, dry_run }, &names(), false)
    }

    #[test]
    fn what_was_done_is_one_sentence() {
        let account = |fields| Some(account(1, fields));
        let change = Action::Change {
            object: Named { kind: Kind::Account, name: "x".into(), tenant: None },
            version: None,
            rename: None,
            fields: Vec::new(),
            secret: None,
        };
        let (small, large) = (json!({ "quota": 5_000_000_000u64 }), json!({ "quota": 10_000_000_000u64 }));
        let deleted =
            account(json!({})).map(|view| View { until: Some("2026-12-24T12:00:00.000Z".into()), ..view });
        let table = [
            (
                said(&change, account(small.clone()), account(large), false),
                "account ann@example.org was changed.\n  quota  5GB → 10GB\n",
            ),
            (
                said(&change, account(small.clone()), account(small), false),
                "account ann@example.org was changed, but nothing is different.\n",
            ),
            (
                said(&moved(Verb::Suspend), account(json!({})), account(json!({})), true),
                "account ann@example.org would be suspended. Nothing was changed (--dry-run).\n",
            ),
            (
                said(&moved(Verb::Delete), account(json!({})), deleted, false),
                "account ann@example.org was deleted; until 2026-12-24 12:00:00 UTC it can be undeleted.\n",
            ),
            (
                said(&moved(Verb::Delete), account(json!({})), None, false),
                "account ann@example.org was deleted for good.\n",
            ),
        ];
        for (said, expected) in table {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn one_object() {
        let view = account(3, json!({ "addresses": ["ann@example.org"], "quota": 5_000_000_000u64 }));
        let said = answer(&moved(Verb::Show), &Answer::Object(view), &names(), false);
        for line in [
            "account ann@example.org\n",
            "  tenant       acme (t-000000000002d)\n",
            "  version      3\n",
            "  quota        5GB\n",
            "  title        -\n",
            "  keep_copy    yes\n",
        ] {
            assert!(said.contains(line), "{line} in {said}");
        }
    }

    #[test]
    fn a_page_says_how_to_go_on() {
        let list = Action::List { kind: Kind::Account, tenant: None, of: None, filter: Filter::default() };
        let objects = vec![account(1, json!({ "title": "Ann" }))];
        let page = Answer::Objects { objects, next: Some(("ann@example.org".into(), 77)) };
        let said = answer(&list, &page, &names(), false);
        assert_eq!(
            said,
            "NAME             STATE   TENANT  TITLE  QUOTA  FORWARD_TO\n\
             ann@example.org  active  acme    Ann    none   -\n\n\
             There may be more: --after 'ann@example.org,77', or --all.\n"
        );
        let none = Answer::Objects { objects: Vec::new(), next: None };
        assert_eq!(answer(&list, &none, &names(), false), "There are none.\n");
    }

    #[test]
    fn a_secret_stands_out() {
        let done = Answer::Done {
            before: None,
            after: Some(account(1, json!({}))),
            secret: Some("abcd-efgh".into()),
            dry_run: false,
        };
        let said = answer(&moved(Verb::Resume), &done, &names(), false);
        assert!(said.contains("\n    abcd-efgh\n"), "{said}");
    }

    #[test]
    fn the_audit_log_tells_what_is_different() {
        let line = AuditLine {
            id: "u-1".into(),
            at: "2026-11-24T12:00:00.123Z".into(),
            tenant: "t-000000000002d".into(),
            actor: "operator (unix user root)".into(),
            action: "change".into(),
            kind: "account".into(),
            object: "a-000000000002d".into(),
            name: "ann@example.org".into(),
            reason: Some("asked by phone".into()),
            before: Some(json!({ "name": "ann@example.org", "state": "active", "data": { "title": "" } })),
            after: Some(json!({ "name": "ann@example.org", "state": "active", "data": { "title": "Ann" } })),
        };
        let answered = Answer::Audit { lines: vec![line], next: None };
        assert_eq!(
            answer(&moved(Verb::Show), &answered, &names(), false),
            "2026-11-24 12:00:00 UTC  operator (unix user root)  change account ann@example.org\n  \
             title   - → Ann\n  reason  asked by phone\n"
        );
    }
}
