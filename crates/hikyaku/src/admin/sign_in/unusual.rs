//! Unusual sign-ins as people and programs read them.

use hikyaku_sign_in::UnusualLine;
use serde::{Deserialize, Serialize};

use super::view::{LineView, place};
use crate::admin::names::Names;
use crate::admin::print::time;
use crate::admin::table::table;

/// A sign-in that was unlike those before.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct UnusualView {
    #[serde(flatten)]
    line: LineView,
    /// Why; never empty.
    unusual: Vec<WhyView>,
}

/// One thing that was new about it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct WhyView {
    /// `new-country`, `new-network`, `new-device` or `impossible-travel`.
    code: String,
    /// The same for people.
    text: String,
}

impl UnusualView {
    pub(super) fn of(one: &UnusualLine, names: &Names) -> Self {
        let why = |why: &hikyaku_access::history::unusual::Unusual| WhyView {
            code: why.code().to_owned(),
            text: why.sentence(),
        };
        Self { line: LineView::of(&one.line, names), unusual: one.why.iter().map(why).collect() }
    }
}

pub(super) fn printed(lines: &[UnusualView]) -> String {
    let row = |one: &UnusualView| {
        let line = &one.line;
        let [account, service, ip, client] =
            [&line.account, &line.service, &line.ip, &line.client].map(Clone::clone);
        let place = place(line.country.as_ref(), line.network.as_ref());
        let why = one.unusual.iter().map(|why| why.text.as_str()).collect::<Vec<_>>().join("; ");
        vec![time(&line.at), account, service, ip, place, client, why]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(&["time", "account", "service", "source", "place", "client", "unusual"], &rows)
}
