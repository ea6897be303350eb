//! The queue as people read it.

use hikyaku_queue::{Deed, Item, ItemRecipient, LogLine, Page, State};

use crate::admin::print::time;
use crate::admin::table::{clipped, pairs, table};

/// Cells of an address at most; `show` and JSON tell all.
const CELLS: usize = 40;

/// A list. With `is_all` the next page follows by itself.
pub(super) fn page(page: &Page, is_all: bool) -> String {
    if page.messages.is_empty() {
        return "Nothing waits.\n".to_owned();
    }
    let row = |item: &Item| {
        vec![
            item.id.clone(),
            time(&item.queued_at),
            item.kind.clone(),
            item.size_bytes.to_string(),
            clipped(&reverse_path(&item.reverse_path), CELLS),
            recipients(item),
        ]
    };
    let rows: Vec<Vec<String>> = page.messages.iter().map(row).collect();
    let mut text = table(&["id", "accepted", "kind", "bytes", "from", "to"], &rows);
    if let Some(next) = page.next.as_ref().filter(|_| !is_all) {
        text.push_str(&format!("\nThere may be more: --after {next}, or --all.\n"));
    }
    text
}

/// `ann@example.org (held), 3 more`
fn recipients(item: &Item) -> String {
    let Some(first) = item.recipients.first() else { return String::new() };
    let held = if first.state == State::Held { " (held)" } else { "" };
    let more = match item.recipient_count {
        0 | 1 => String::new(),
        count => format!(", {} more", count - 1),
    };
    format!("{}{held}{more}", clipped(&first.address, CELLS))
}

fn reverse_path(text: &str) -> String {
    if text.is_empty() { "<>".to_owned() } else { text.to_owned() }
}

/// One message with all that is known of it.
pub(super) fn message(item: &Item) -> String {
    let mut told = vec![
        ("tenant".to_owned(), item.tenant.clone()),
        ("kind".to_owned(), item.kind.clone()),
        ("accepted".to_owned(), time(&item.queued_at)),
        ("bytes".to_owned(), item.size_bytes.to_string()),
        ("from".to_owned(), reverse_path(&item.reverse_path)),
    ];
    let further = [("account", &item.account), ("envid", &item.envid), ("ret", &item.ret)];
    told.extend(further.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?))));
    let row = |one: &ItemRecipient| {
        vec![
            one.address.clone(),
            one.state.word().to_owned(),
            time(&one.due_at),
            one.notify.clone().unwrap_or_default(),
            one.original_recipient.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = item.recipients.iter().map(row).collect();
    format!("{}\n{}\n{}", item.id, pairs(&told), table(&["to", "state", "due", "notify", "orcpt"], &rows))
}

/// What a deed did.
pub(super) fn changed(deed: Deed, id: &str, recipients: u64) -> String {
    let done = match deed {
        Deed::Hold => "held",
        Deed::Release => "released",
        Deed::Delete => "deleted",
    };
    let many = if recipients == 1 { "recipient" } else { "recipients" };
    match recipients {
        0 => format!("{id}: nobody is different.\n"),
        count => format!("{id}: {count} {many} {done}.\n"),
    }
}

/// Lines of the log.
pub(super) fn log(lines: &[LogLine]) -> String {
    if lines.is_empty() {
        return "Nothing was changed.\n".to_owned();
    }
    let row = |line: &LogLine| {
        vec![
            line.id.clone(),
            time(&line.at),
            line.actor.clone(),
            line.deed.clone(),
            line.message.clone(),
            line.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    table(&["line", "at", "who", "deed", "message", "reason"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(count: u64, state: State) -> Item {
        let recipient = ItemRecipient {
            id: "r-1".into(),
            address: "x@far.example".into(),
            destination: "far.example".into(),
            state,
            due_at: "2026-11-24T12:00:00Z".into(),
            notify: Some("NEVER".into()),
            original_recipient: None,
        };
        Item {
            id: "r-1".into(),
            tenant: "t-1".into(),
            account: None,
            kind: "report".into(),
            queued_at: "2026-11-24T12:00:00Z".into(),
            size_bytes: 512,
            reverse_path: String::new(),
            envid: Some("QQ314159".into()),
            ret: None,
            recipient_count: count,
            recipients: vec![recipient],
        }
    }

    #[test]
    fn lists() {
        assert_eq!(page(&Page::default(), false), "Nothing waits.\n");
        let messages = vec![item(1, State::Held), item(3, State::Waiting)];
        let list = page(&Page { messages, next: Some("r-1".into()) }, false);
        let expected = "\
ID   ACCEPTED                 KIND    BYTES  FROM  TO
r-1  2026-11-24 12:00:00 UTC  report  512    <>    x@far.example (held)
r-1  2026-11-24 12:00:00 UTC  report  512    <>    x@far.example, 2 more

There may be more: --after r-1, or --all.
";
        assert_eq!(list, expected);
    }

    #[test]
    fn messages() {
        let expected = "\
r-1
  tenant    t-1
  kind      report
  accepted  2026-11-24 12:00:00 UTC
  bytes     512
  from      <>
  envid     QQ314159

TO             STATE    DUE                      NOTIFY  ORCPT
x@far.example  waiting  2026-11-24 12:00:00 UTC  NEVER
";
        assert_eq!(message(&item(1, State::Waiting)), expected);
    }

    #[test]
    fn deeds() {
        assert_eq!(changed(Deed::Hold, "r-1", 2), "r-1: 2 recipients held.\n");
        assert_eq!(changed(Deed::Release, "r-1", 1), "r-1: 1 recipient released.\n");
        assert_eq!(changed(Deed::Release, "r-1", 0), "r-1: nobody is different.\n");
    }
}
