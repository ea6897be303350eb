//! LIST and LSUB.
//!
//! Standards: RFC 3501 sections 6.3.8 and 6.3.9, RFC 3348 (CHILDREN), RFC 6154 (special use).
//! Known weakness: of RFC 5258 only the selection and return options SUBSCRIBED,
//! SPECIAL-USE and CHILDREN have an effect; LIST-EXTENDED is not announced.

use std::collections::HashSet;

use hikyaku_imap_proto::ListPattern;
use hikyaku_imap_proto::command::{List, Lsub, SpecialUse};
use hikyaku_imap_proto::mailbox::SEPARATOR;
use hikyaku_imap_proto::response::{self, ListAttribute, ListEntry};
use hikyaku_mailstore::{Mailbox, Role};

use crate::mailboxes::Tree;
use crate::session::{Failure, Session};

pub(super) async fn list(session: &mut Session<'_>, list: &List) -> Result<(), Failure> {
    if !list.is_extended() && list.patterns.iter().all(|pattern| pattern.as_str().is_empty()) {
        response::list_separator(&mut session.wire.out);
        return Ok(());
    }
    let select = list.select.as_ref();
    let wanted = |mailbox: &Mailbox| {
        select.is_none_or(|select| {
            (!select.subscribed || mailbox.subscribed)
                && (!select.special_use || special_use(mailbox.role).is_some())
        })
    };
    let says_subscribed = select.is_some_and(|select| select.subscribed)
        || list.returns.as_ref().is_some_and(|returns| returns.subscribed);
    let patterns: Vec<ListPattern> =
        list.patterns.iter().map(|pattern| pattern.under(&list.reference)).collect();
    let tree = Tree::load(session).await?;
    for (name, mailbox) in tree.mailboxes.iter().filter(|(_, mailbox)| wanted(mailbox)) {
        if patterns.iter().any(|pattern| pattern.matches(name.as_str())) {
            let mut attributes = vec![children(&tree, mailbox)];
            if says_subscribed && mailbox.subscribed {
                attributes.push(ListAttribute::Subscribed);
            }
            let special_use = special_use(mailbox.role);
            let entry = ListEntry {
                name,
                attributes: &attributes,
                special_use: special_use.as_slice(),
                child_info: false,
            };
            response::list(&mut session.wire.out, &entry, session.dialect);
        }
    }
    Ok(())
}

pub(super) async fn lsub(session: &mut Session<'_>, lsub: &Lsub) -> Result<(), Failure> {
    let pattern = lsub.pattern.under(&lsub.reference);
    let tree = Tree::load(session).await?;
    let hidden = above_hidden(&tree, &pattern);
    for (name, mailbox) in &tree.mailboxes {
        let stands_for_others = !mailbox.subscribed && hidden.contains(name.as_str());
        if (mailbox.subscribed || stands_for_others) && pattern.matches(name.as_str()) {
            let attribute =
                if stands_for_others { ListAttribute::NoSelect } else { children(&tree, mailbox) };
            let attributes = [attribute];
            let entry = ListEntry { name, attributes: &attributes, special_use: &[], child_info: false };
            response::lsub(&mut session.wire.out, &entry, session.dialect);
        }
    }
    Ok(())
}

/// Names above subscribed mailboxes that the pattern does not reach: `%` shows the former in
/// place of the latter (RFC 3501 section 6.3.9).
fn above_hidden<'t>(tree: &'t Tree, pattern: &ListPattern) -> HashSet<&'t str> {
    let is_hidden = |name: &&str| !pattern.matches(name);
    let subscribed = tree.mailboxes.iter().filter(|(_, mailbox)| mailbox.subscribed);
    let hidden = subscribed.map(|(name, _)| name.as_str()).filter(is_hidden);
    hidden.flat_map(|name| name.match_indices(SEPARATOR).map(|(at, _)| &name[..at])).collect()
}

fn children(tree: &Tree, mailbox: &Mailbox) -> ListAttribute {
    if tree.has_children(mailbox.id) { ListAttribute::HasChildren } else { ListAttribute::HasNoChildren }
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
