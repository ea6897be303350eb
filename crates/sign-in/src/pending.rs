//! Lines of history that need not be written at once: what was not checked, and good sign-ins
//! from sources that everybody knows already. Equal ones share a line, so that a flood costs
//! one line for each source and name and second.
//!
//! Invariant: bounded. Beyond [`MOST`] different lines attempts are counted and not kept.

use std::collections::HashMap;

use hikyaku_access::history::Client;

use crate::line::Line;

/// Most different lines between two flushes.
const MOST: usize = 20_000;

/// What makes attempts equal.
type Key = (hikyaku_access::facts::SubjectKey, &'static str, std::net::IpAddr, Option<&'static str>, Client);

/// Lines that wait.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    lines: HashMap<Key, Line>,
    lost: u64,
}

impl Pending {
    pub(crate) fn add(&mut self, line: Line) {
        let record = &line.record;
        let reason = record.reason.map(hikyaku_access::reason::Reason::code);
        let key = (record.subject, record.service.name(), record.ip, reason, record.client.clone());
        if let Some(known) = self.lines.get_mut(&key) {
            known.times = known.times.saturating_add(line.times);
            known.last = known.last.max(line.last);
        } else if self.lines.len() < MOST {
            self.lines.insert(key, line);
        } else {
            self.lost += u64::from(line.times);
        }
    }

    /// All of them, in the order of their ids, and how many attempts were not kept.
    pub(crate) fn take(&mut self) -> (Vec<Line>, u64) {
        let mut lines: Vec<Line> = self.lines.drain().map(|(_, line)| line).collect();
        lines.sort_by_key(|line| line.id);
        (lines, std::mem::take(&mut self.lost))
    }
}
