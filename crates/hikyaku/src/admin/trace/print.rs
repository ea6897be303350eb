//! The trace as people read it.

use hikyaku_trace::{Entry, Found};

use crate::admin::print::time;
use crate::admin::table::{clipped, pairs, table};

/// Cells of an address at most; `show` and JSON tell all.
const CELLS: usize = 40;

/// A list, and how far the search looked.
pub(super) fn found(found: &Found) -> String {
    let mut text = match found.entries.as_slice() {
        [] => "Nothing was found.\n".to_owned(),
        entries => {
            let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
            table(&["at", "what", "from", "to", "source", "id", "why"], &rows)
        }
    };
    if let (Some(back_to), Some(next)) = (&found.looked_back_to, &found.next) {
        text.push_str(&format!("\nLooked back to {}. Older: --before {next}\n", time(back_to)));
    }
    text
}

fn row(entry: &Entry) -> Vec<String> {
    vec![
        time(&entry.at),
        what(entry),
        clipped(&reverse_path(entry), CELLS),
        clipped(&entry.recipient, CELLS),
        entry.peer.clone().unwrap_or_default(),
        entry.id.clone(),
        why(entry),
    ]
}

/// `refused ×12`
fn what(entry: &Entry) -> String {
    match entry.count {
        0 | 1 => entry.event.clone(),
        count => format!("{} ×{count}", entry.event),
    }
}

/// `550 5.7.26 … (dmarc=fail p=reject d=example.com)`
fn why(entry: &Entry) -> String {
    let why = entry.why.clone().unwrap_or_default();
    match &entry.finding {
        Some(finding) => format!("{why} ({finding})"),
        None => why,
    }
}

fn reverse_path(entry: &Entry) -> String {
    if entry.reverse_path.is_empty() { "<>".to_owned() } else { entry.reverse_path.clone() }
}

/// One mail, or refusals that are alike, with all that is known.
pub(super) fn entry(entry: &Entry) -> String {
    let size = entry.size_bytes.map(|bytes| bytes.to_string());
    let last_at = entry.last_at.as_deref().filter(|_| entry.count > 1).map(time);
    let told = [
        ("what", Some(what(entry))),
        ("why", entry.why.clone()),
        ("finding", entry.finding.clone()),
        ("at", Some(time(&entry.at))),
        ("last", last_at),
        ("from", Some(reverse_path(entry))),
        ("to", Some(entry.recipient.clone()).filter(|recipient| !recipient.is_empty())),
        ("source", entry.peer.clone()),
        ("listener", entry.listener.clone()),
        ("tenant", entry.tenant.clone()),
        ("account", entry.account.clone()),
        ("email", entry.email.clone()),
        ("bytes", size),
        ("message-id", entry.message_id.clone()),
    ];
    let told: Vec<(String, String)> =
        told.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect();
    format!("{}\n{}", entry.id, pairs(&told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered() -> Entry {
        Entry {
            id: "r-1".into(),
            at: "2026-11-24T12:00:00.000Z".into(),
            tenant: Some("t-1".into()),
            event: "delivered".into(),
            reverse_path: String::new(),
            recipient: "ann@example.org".into(),
            peer: Some("192.0.2.1".into()),
            why: None,
            finding: None,
            count: 1,
            last_at: None,
            listener: None,
            account: Some("a-1".into()),
            email: Some("m-1".into()),
            size_bytes: Some(512),
            message_id: Some("1@client.example".into()),
        }
    }

    fn refused() -> Entry {
        Entry {
            id: "r-2".into(),
            event: "refused".into(),
            reverse_path: "joe@client.example".into(),
            why: Some("550 5.7.26 Forged".into()),
            finding: Some("dmarc=fail p=reject d=example.com".into()),
            count: 12,
            last_at: Some("2026-11-24T12:00:40.000Z".into()),
            listener: Some("smtp".into()),
            account: None,
            email: None,
            size_bytes: None,
            message_id: None,
            ..delivered()
        }
    }

    #[test]
    fn lists() {
        assert_eq!(found(&Found::default()), "Nothing was found.\n");
        let list = found(&Found {
            entries: vec![delivered(), refused()],
            looked_back_to: Some("2026-11-23T12:00:00.000Z".into()),
            next: Some("r-0".into()),
        });
        let expected = "\
AT                       WHAT         FROM                TO               SOURCE     ID   WHY
2026-11-24 12:00:00 UTC  delivered    <>                  ann@example.org  192.0.2.1  r-1
2026-11-24 12:00:00 UTC  refused ×12  joe@client.example  ann@example.org  192.0.2.1  r-2  550 5.7.26 Forged (dmarc=fail p=reject d=example.com)

Looked back to 2026-11-23 12:00:00 UTC. Older: --before r-0
";
        assert_eq!(list, expected);
    }

    #[test]
    fn entries() {
        let expected = "\
r-2
  what      refused ×12
  why       550 5.7.26 Forged
  finding   dmarc=fail p=reject d=example.com
  at        2026-11-24 12:00:00 UTC
  last      2026-11-24 12:00:40 UTC
  from      joe@client.example
  to        ann@example.org
  source    192.0.2.1
  listener  smtp
  tenant    t-1
";
        assert_eq!(entry(&refused()), expected);
        let shown = entry(&delivered());
        assert!(shown.contains("bytes") && shown.contains("1@client.example"), "{shown}");
        assert!(!shown.contains("why") && !shown.contains("last"), "{shown}");
    }
}
