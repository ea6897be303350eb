//! Rules and what they would have done, as people and programs read them.

use std::fmt::Write as _;

use hikyaku_access::rule::Level;
use hikyaku_access::rule::replay::Hit;
use hikyaku_directory::{HeldNumber, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AccessReply;
use crate::admin::names::Names;
use crate::admin::print::time;
use crate::admin::sign_in::called;
use crate::admin::table::table;

/// Somebody who would have been refused.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct HitView {
    account: String,
    ip: String,
    service: String,
    /// `tenant`, `domain`, `group` or `account`.
    level: String,
    times: u64,
    last: String,
}

impl HitView {
    pub(super) fn of(hit: &Hit, names: &Names) -> Self {
        Self {
            account: called(&hit.account.to_string(), names),
            ip: hit.ip.to_string(),
            service: hit.service.name().to_owned(),
            level: match hit.level {
                Level::Tenant => "tenant",
                Level::Domain(_) => "domain",
                Level::Group(_) => "group",
                Level::Account(_) => "account",
            }
            .to_owned(),
            times: hit.times,
            last: hit.last.to_string(),
        }
    }
}

/// A number of a tenant's blocks.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct NumberView {
    field: String,
    holds: u64,
    /// What the tenant chose, whether it is allowed still or not.
    chosen: Option<u64>,
    least: u64,
    most: u64,
    /// Something else holds than what the tenant chose.
    is_moved: bool,
}

impl NumberView {
    pub(super) fn of(number: &HeldNumber) -> Self {
        Self {
            field: number.field.to_owned(),
            holds: number.held,
            chosen: number.chosen,
            least: number.least,
            most: number.most,
            is_moved: number.is_moved(),
        }
    }
}

/// The answer in words.
pub(super) fn printed(reply: &AccessReply) -> String {
    match reply {
        AccessReply::Rule { rule, dry_run, unseen } => rule_in_words(rule, *dry_run, *unseen),
        AccessReply::Blocking { numbers } => numbers_in_words(numbers),
        AccessReply::Code { code: Some(code) } => format!(
            "{code}\nIt is shown this once, and replaces the one before. Print it, and keep it where nobody\n\
             need sign in for it.\n"
        ),
        AccessReply::Code { code: None } => "Nothing was changed (--dry-run).\n".to_owned(),
        AccessReply::Recovered { rules } if rules.is_empty() => {
            "No rule enforced anything. The code is used up.\n".to_owned()
        }
        AccessReply::Recovered { rules } => {
            format!("These rules only watch now: {}. The code is used up.\n", rules.join(", "))
        }
        AccessReply::Replay { refused, passed, .. } if refused.is_empty() => {
            format!("Nobody would have been refused; {passed} sign-ins would have passed.\n")
        }
        AccessReply::Replay { refused, unlisted, passed } => {
            let row = |hit: &HitView| {
                let (times, last) = (hit.times.to_string(), time(&hit.last));
                vec![hit.account.clone(), hit.ip.clone(), hit.service.clone(), hit.level.clone(), times, last]
            };
            let rows: Vec<_> = refused.iter().map(row).collect();
            let mut text = table(&["account", "from", "service", "refused by", "times", "last"], &rows);
            if *unlisted > 0 {
                let _ = writeln!(text, "Further {unlisted} are not listed.");
            }
            let _ = writeln!(text, "{passed} sign-ins would have passed.");
            text
        }
    }
}

fn numbers_in_words(numbers: &[NumberView]) -> String {
    let row = |number: &NumberView| {
        let chosen = number.chosen.map_or_else(|| "-".into(), |chosen| chosen.to_string());
        let allowed = format!("{} to {}", number.least, number.most);
        vec![number.field.clone(), number.holds.to_string(), chosen, allowed]
    };
    let rows: Vec<_> = numbers.iter().map(row).collect();
    let mut text = table(&["field", "holds", "chosen", "allowed"], &rows);
    if numbers.iter().any(|number| number.is_moved) {
        text.push_str("What was chosen and is not allowed any more counts as the nearest that is.\n");
    }
    text
}

fn rule_in_words(rule: &View, dry_run: bool, unseen: bool) -> String {
    let field = |name: &str| rule.fields.get(name).and_then(Value::as_str);
    let mode = field("mode").unwrap_or("off");
    let mut text = format!("The rule {} is now: {mode}.\n", rule.name);
    if let (Some(next), Some(from)) = (field("next_mode"), field("next_from")) {
        let _ = writeln!(
            text,
            "From {} on: {next}; before, the history tells whom that would refuse.",
            time(from)
        );
        if next == "enforce" && unseen {
            text.push_str("Whether it refuses you was not checked, as no --from was given.\n");
        }
    }
    if let Some(until) = field("confirm_by") {
        let _ = writeln!(
            text,
            "It refuses where you are: confirm it until {} from an address that it allows, or it is taken back.",
            time(until)
        );
    }
    if dry_run {
        text.push_str("Nothing was changed (--dry-run).\n");
    }
    text
}
