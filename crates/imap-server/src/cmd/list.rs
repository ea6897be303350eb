//! LIST and LSUB.
//!
//! Standards: RFC 3501 sections 6.3.8 and 6.3.9, RFC 3348 (CHILDREN), RFC 5258 (LIST-EXTENDED),
//! RFC 5819 (LIST-STATUS), RFC 6154 (special use). Children and special uses are always told. A
//! subscribed name may have no mailbox, or none any more: \NonExistent (RFC 9051 section 6.3.7).

use std::collections::HashSet;

use hikyaku_imap_proto::command::{List, ListSelect, Lsub, SpecialUse};
use hikyaku_imap_proto::mailbox::SEPARATOR;
use hikyaku_imap_proto::response::{self, ListAttribute, ListEntry};
use hikyaku_imap_proto::{ListPattern, MailboxName};
use hikyaku_mailstore::{Mailbox, Role};

use super::status;
use crate::mailboxes::{Tree, normal_pattern};
use crate::session::{Failure, Session};

pub(super) async fn list(session: &mut Session<'_>, list: &List) -> Result<(), Failure> {
    if !list.is_extended() && list.patterns.iter().all(|pattern| pattern.as_str().is_empty()) {
        response::list_separator(&mut session.wire.out);
        return Ok(());
    }
    let patterns: Vec<ListPattern> =
        list.patterns.iter().map(|pattern| normal_pattern(&pattern.under(&list.reference))).collect();
    let matches = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let select = list.select.unwrap_or_default();
    let returns = list.returns.clone().unwrap_or_default();
    let tree = Tree::load(session).await?;
    let above = if select.recursive_match { above_selected(&tree, select, matches) } else { HashSet::new() };
    for (name, mailbox) in tree.names(select.subscribed, &above) {
        let child_info = above.contains(name.as_str());
        let is_shown = matches(name.as_str()) && (child_info || is_selected(select, mailbox));
        if !is_shown {
            continue;
        }
        let mut attributes = vec![existence(&tree, mailbox)];
        if (select.subscribed || returns.subscribed) && tree.is_subscribed(&name, mailbox) {
            attributes.push(ListAttribute::Subscribed);
        }
        let special_use = mailbox.and_then(|mailbox| special_use(mailbox.role));
        let entry = ListEntry {
            name: &name,
            attributes: &attributes,
            special_use: special_use.as_slice(),
            child_info,
            old_name: None,
        };
        response::list(&mut session.wire.out, &entry, session.dialect);
        if let Some(mailbox) = mailbox.filter(|_| !returns.status.is_empty()) {
            status::tell(session, &name, mailbox, &returns.status).await?;
        }
        session.wire.relieve().await?;
    }
    Ok(())
}

/// The selection options that are a mailbox's own; there are no remote ones to leave out. A
/// name without a mailbox is there because it is subscribed.
fn is_selected(select: ListSelect, mailbox: Option<&Mailbox>) -> bool {
    let Some(mailbox) = mailbox else { return select.subscribed && !select.special_use };
    (!select.subscribed || mailbox.subscribed) && (!select.special_use || special_use(mailbox.role).is_some())
}

/// Names above those that are selected and are not shown themselves: RECURSIVEMATCH shows the
/// former in place of the latter (RFC 5258 section 3.5).
fn above_selected(tree: &Tree, select: ListSelect, matches: impl Fn(&str) -> bool) -> HashSet<&str> {
    let mailboxes = tree.mailboxes.iter().map(|(name, mailbox)| (name, Some(mailbox)));
    let names = mailboxes.chain(tree.only_subscribed.iter().map(|name| (name, None)));
    let selected = names.filter(|(_, mailbox)| is_selected(select, *mailbox));
    above(selected.map(|(name, _)| name.as_str()).filter(|name| !matches(name)))
}

pub(super) async fn lsub(session: &mut Session<'_>, lsub: &Lsub) -> Result<(), Failure> {
    let pattern = normal_pattern(&lsub.pattern.under(&lsub.reference));
    let tree = Tree::load(session).await?;
    let hidden = above_hidden(&tree, &pattern);
    for (name, mailbox) in tree.names(true, &hidden) {
        let is_subscribed = tree.is_subscribed(&name, mailbox);
        let stands_for_others = !is_subscribed && hidden.contains(name.as_str());
        if !pattern.matches(name.as_str()) || !(is_subscribed || stands_for_others) {
            continue;
        }
        let attribute = if stands_for_others { ListAttribute::NoSelect } else { existence(&tree, mailbox) };
        let entry = ListEntry {
            name: &name,
            attributes: &[attribute],
            special_use: &[],
            child_info: false,
            old_name: None,
        };
        response::lsub(&mut session.wire.out, &entry, session.dialect);
        session.wire.relieve().await?;
    }
    Ok(())
}

/// Names above subscribed ones that the pattern does not reach: `%` shows the former in
/// place of the latter (RFC 3501 section 6.3.9).
fn above_hidden<'t>(tree: &'t Tree, pattern: &ListPattern) -> HashSet<&'t str> {
    let mailboxes = tree.mailboxes.iter().filter(|(_, mailbox)| mailbox.subscribed);
    let subscribed = mailboxes.map(|(name, _)| name).chain(&tree.only_subscribed);
    above(subscribed.map(MailboxName::as_str).filter(|name| !pattern.matches(name)))
}

/// All names above these.
fn above<'t>(names: impl Iterator<Item = &'t str>) -> HashSet<&'t str> {
    names.flat_map(|name| name.match_indices(SEPARATOR).map(|(at, _)| &name[..at])).collect()
}

/// Has it children, or is there no such mailbox (RFC 5258 section 3)?
fn existence(tree: &Tree, mailbox: Option<&Mailbox>) -> ListAttribute {
    match mailbox {
        None => ListAttribute::NonExistent,
        Some(mailbox) if tree.has_children(mailbox.id) => ListAttribute::HasChildren,
        Some(_) => ListAttribute::HasNoChildren,
    }
}

fn special_use(role: Role) -> Option<SpecialUse> {
    match role {
        Role::None | Role::Inbox => None,
        Role::Drafts => Some(SpecialUse::Drafts),
        Role::Sent => Some(SpecialUse::Sent),
        Role::Archive => Some(SpecialUse::Archive),
        Role::Junk => Some(SpecialUse::Junk),
        Role::Trash => Some(SpecialUse::Trash),
    }
}
