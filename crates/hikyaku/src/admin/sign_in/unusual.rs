//! Unusual sign-ins as people and programs read them.

use hikyaku_access::history::unusual::Unusual;
use serde::{Deserialize, Serialize};

use super::view::{LineView, place};
use crate::admin::print::time;
use crate::admin::table::table;

/// One thing that was new about it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct WhyView {
    /// `new-country`, `new-network`, `new-device` or `impossible-travel`.
    pub(super) code: String,
    /// The same for people.
    text: String,
}

impl WhyView {
    pub(super) fn of(why: &Unusual) -> Self {
        Self { code: why.code().to_owned(), text: why.sentence() }
    }
}

pub(super) fn printed(lines: &[LineView]) -> String {
    let row = |line: &LineView| {
        let [account, service, ip, client] =
            [&line.account, &line.service, &line.ip, &line.client].map(Clone::clone);
        let place = place(line.country.as_ref(), line.network.as_ref());
        let why = line.unusual.iter().map(|why| why.text.as_str()).collect::<Vec<_>>().join("; ");
        vec![time(&line.at), account, service, ip, place, client, why]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(&["time", "account", "service", "source", "place", "client", "unusual"], &rows)
}
