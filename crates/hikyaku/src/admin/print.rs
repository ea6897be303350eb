//! Answers as people read them.

use std::fmt::Write;

use hikyaku_directory::{Answer, AuditLine, State, View};
use serde_json::Value;

/// The answer, each line ended.
pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Done { before, after, secret, dry_run } => {
            done(before.as_ref(), after.as_ref(), secret.as_deref(), *dry_run)
        }
        Answer::Object(view) => shown(view),
        Answer::Objects { objects, next } => {
            let mut text = list(objects);
            if let Some((name, id)) = next {
                writeln!(text, "There are more: --all, or --after {name}/{id}").unwrap_or_default();
            }
            text
        }
        Answer::Audit { lines, next } => {
            let mut text: String = lines.iter().map(audit).collect();
            if let Some(next) = next {
                writeln!(text, "There are more: --before {next}").unwrap_or_default();
            }
            text
        }
    }
}

fn done(before: Option<&View>, after: Option<&View>, secret: Option<&str>, dry_run: bool) -> String {
    let mut text = match (before, after) {
        (None, Some(after)) => format!("{} {} is created ({})\n", after.kind, after.name, after.id),
        (Some(before), None) => format!("{} {} is gone\n", before.kind, before.name),
        (Some(before), Some(after)) if before.state != after.state || after.until.is_some() => {
            let until = after.until.as_ref();
            let until = until.map(|until| format!(", and will be removed after {until}")).unwrap_or_default();
            format!("{} {} is {}{until}\n", after.kind, after.name, after.state.word())
        }
        (Some(before), Some(after)) => {
            let mut text = format!("{} {} is changed, version {}\n", after.kind, after.name, after.version);
            if before.name != after.name {
                text.push_str(&format!("  name: {} → {}\n", before.name, after.name));
            }
            let old = before.kind.shown(&before.fields);
            for ((name, was), (_, is)) in old.into_iter().zip(after.kind.shown(&after.fields)) {
                if was != is {
                    text.push_str(&format!("  {name}: {was} → {is}\n"));
                }
            }
            text
        }
        (None, None) => "nothing was changed\n".into(),
    };
    if let Some(secret) = secret {
        text.push_str(&format!("\n  {secret}\n\nThis is shown once: give it to the device now.\n"));
    }
    if dry_run {
        text.push_str("Nothing was changed: this was a dry run.\n");
    }
    text
}

fn shown(view: &View) -> String {
    let mut rows = vec![
        ("name", view.name.clone()),
        ("id", view.id.clone()),
        ("tenant", view.tenant.clone()),
        ("state", view.state.word().to_owned()),
        ("version", view.version.to_string()),
        ("created", view.created.clone()),
        ("changed", view.changed.clone()),
    ];
    rows.extend(view.until.clone().map(|until| ("until", until)));
    rows.extend(view.kind.shown(&view.fields));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let row = |(name, value): (&str, String)| format!("{name:<width$}  {value}\n");
    rows.into_iter().map(row).collect()
}

fn list(objects: &[View]) -> String {
    let width = objects.iter().map(|view| view.name.chars().count()).max().unwrap_or(0).min(60);
    let row = |view: &View| {
        let state = if view.state == State::Active { "" } else { view.state.word() };
        let title = view.fields.get("title").and_then(Value::as_str).unwrap_or_default();
        format!("{:<width$}  {}  {state:<9}  {title}\n", view.name, view.id).trim_end().to_owned() + "\n"
    };
    if objects.is_empty() { "none\n".into() } else { objects.iter().map(row).collect() }
}

fn audit(line: &AuditLine) -> String {
    let reason = line.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let mut text =
        format!("{}  {}  {} {} {}{reason}\n", line.at, line.actor, line.action, line.kind, line.name);
    for (name, was, is) in differences(line.before.as_ref(), line.after.as_ref()) {
        text.push_str(&format!("    {name}: {was} → {is}\n"));
    }
    text
}

/// Fields that differ; of something new or gone there are none.
fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<(String, Value, Value)> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let mut all = Vec::new();
    let outer = ["name", "state"].map(|name| (name, before.get(name), after.get(name)));
    for (name, was, is) in outer {
        all.push((name.to_owned(), was.cloned().unwrap_or_default(), is.cloned().unwrap_or_default()));
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before.get("data"), after.get("data")) {
        for (name, is) in new {
            all.push((name.clone(), old.get(name).cloned().unwrap_or_default(), is.clone()));
        }
    }
    if let Some(secret) = after.get("secret") {
        all.push(("secret".into(), Value::Null, secret.clone()));
    }
    all.retain(|(_, was, is)| was != is);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_directory::Kind;
    use serde_json::json;

    fn view(version: i64, state: State, fields: Value) -> View {
        View {
            kind: Kind::List,
            id: "l-1".into(),
            tenant: "t-1".into(),
            name: "all@example.org".into(),
            state,
            version,
            created: "C".into(),
            changed: "D".into(),
            until: None,
            fields,
        }
    }

    #[test]
    fn what_was_done() {
        let old = view(1, State::Active, json!({"title": "All"}));
        let new = view(2, State::Active, json!({"title": "Everybody"}));
        let away = view(2, State::Suspended, json!({"title": "All"}));
        let said = |before: Option<&View>, after: Option<&View>, secret: Option<&str>, dry_run| {
            let (before, after) = (before.cloned(), after.cloned());
            answer(&Answer::Done { before, after, secret: secret.map(str::to_owned), dry_run })
        };
        assert_eq!(said(None, Some(&old), None, false), "list all@example.org is created (l-1)\n");
        assert_eq!(
            said(Some(&old), Some(&new), None, true),
            "list all@example.org is changed, version 2\n  title: All → Everybody\n\
             Nothing was changed: this was a dry run.\n"
        );
        assert_eq!(said(Some(&old), Some(&away), None, false), "list all@example.org is suspended\n");
        assert_eq!(said(Some(&old), None, None, false), "list all@example.org is gone\n");
        assert!(said(None, Some(&old), Some("abcd-efgh"), false).contains("\n  abcd-efgh\n"));
    }

    #[test]
    fn what_the_audit_log_tells() {
        let before = json!({"name": "a", "state": "active", "data": {"title": "x", "note": ""}});
        let after = json!({"name": "a", "state": "suspended", "data": {"title": "y", "note": ""}});
        let line = AuditLine {
            id: "u-1".into(),
            at: "NOW".into(),
            tenant: "t-1".into(),
            actor: "operator (user 0)".into(),
            action: "change".into(),
            kind: "account".into(),
            object: "a-1".into(),
            name: "a".into(),
            reason: Some("asked for".into()),
            before: Some(before),
            after: Some(after),
        };
        assert_eq!(
            answer(&Answer::Audit { lines: vec![line], next: None }),
            "NOW  operator (user 0)  change account a (asked for)\n    state: \"active\" → \"suspended\"\n    title: \"x\" → \"y\"\n"
        );
    }
}
