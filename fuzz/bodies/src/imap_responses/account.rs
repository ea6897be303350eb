//! CAPABILITY, ENABLED, ID, NAMESPACE, QUOTA and QUOTAROOT.

use hikyaku_imap_proto::capability::Capability;
use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::{Dialect, MailboxName};
use imap_codec::imap_types::core::AString;
use imap_codec::imap_types::response::{Data, Response};

use super::values::Values;
use super::wire::{self, Node, without_nul};
use super::{in_dialects, name_on_the_wire, read, same_in_dialects, same_name};

pub(super) fn account(values: &mut Values<'_>) {
    match values.byte() % 4 {
        0 => capabilities(values),
        1 => ids(values),
        2 => namespaces(values),
        _ => quotas(values),
    }
}

fn words(name: &str, told: &[Capability]) -> Vec<Node> {
    std::iter::once(Node::atom(name)).chain(told.iter().map(Node::atom)).collect()
}

fn capabilities(values: &mut Values<'_>) {
    let mut told = values.chosen(Capability::ALL);
    let mut out = Vec::new();
    enabled(&mut out, &told);
    assert_eq!(wire::data(&out, Dialect::SevenBit), words("ENABLED", &told));
    let Response::Data(Data::Enabled { capabilities }) = read(&out) else { panic!("not ENABLED") };
    assert!(capabilities.iter().map(ToString::to_string).eq(told.iter().map(ToString::to_string)));
    // There is always one.
    told.push(Capability::Imap4Rev1);
    out.clear();
    capability(&mut out, told.iter().copied());
    assert_eq!(wire::data(&out, Dialect::SevenBit), words("CAPABILITY", &told));
    let Response::Data(Data::Capability(theirs)) = read(&out) else { panic!("not CAPABILITY") };
    for (theirs, ours) in theirs.as_ref().iter().zip(&told) {
        assert!(theirs.to_string().eq_ignore_ascii_case(ours.as_str()), "{theirs} for {ours}");
    }
}

fn ids(values: &mut Values<'_>) {
    let fields = values.some(|values| (values.utf8(), values.utf8()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut out = Vec::new();
    id(&mut out, &fields);
    wire::data(&out, Dialect::SevenBit);
    let Response::Data(Data::Id { parameters }) = read(&out) else { panic!("not ID") };
    let theirs: Vec<(Vec<u8>, Vec<u8>)> = parameters
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_ref().to_vec(), value.into_option().expect("a value").to_vec()))
        .collect();
    let told = |(name, value): &(&str, &str)| (without_nul(name.as_bytes()), without_nul(value.as_bytes()));
    assert_eq!(theirs, fields.iter().map(told).collect::<Vec<_>>());
}

fn namespaces(values: &mut Values<'_>) {
    let kinds: Vec<Vec<MailboxName>> = (0..3).map(|_| values.some(Values::name)).collect();
    let kinds: Vec<Vec<&str>> =
        kinds.iter().map(|prefixes| prefixes.iter().map(MailboxName::as_str).collect()).collect();
    let descriptor = |prefix: &&str, dialect| {
        Node::List(vec![Node::Text(name_on_the_wire(prefix, dialect)), Node::Text(b"/".to_vec())])
    };
    let printed = in_dialects(|out, dialect| namespace(out, &kinds[0], &kinds[1], &kinds[2], dialect));
    for (nodes, dialect) in printed.nodes {
        let mut expected = vec![Node::atom("NAMESPACE")];
        expected.extend(kinds.iter().map(|prefixes| match prefixes.as_slice() {
            [] => Node::atom("NIL"),
            prefixes => Node::List(prefixes.iter().map(|prefix| descriptor(prefix, dialect)).collect()),
        }));
        assert_eq!(nodes, expected);
    }
    let Response::Data(Data::Namespace { personal, other, shared }) = read(&printed.seven_bit) else {
        panic!("not NAMESPACE")
    };
    for (theirs, ours) in [personal, other, shared].iter().zip(&kinds) {
        assert!(
            theirs
                .iter()
                .map(|theirs| theirs.prefix.as_ref().to_vec())
                .eq(ours.iter().map(|prefix| name_on_the_wire(prefix, Dialect::SevenBit)))
        );
    }
}

fn quotas(values: &mut Values<'_>) {
    let root = values.utf8();
    let mut resource = |name| QuotaResource { name, usage: values.number64(), limit: values.number64() };
    let resources = [resource("STORAGE"), resource("MESSAGE")];
    let resources = &resources[usize::from(values.flag())..];
    let out = same_in_dialects(|out, dialect| quota(out, &root, resources, dialect));
    let Response::Data(Data::Quota { root: theirs, quotas }) = read(&out) else { panic!("not QUOTA") };
    same_root(&theirs, &root);
    assert_eq!(quotas.as_ref().len(), resources.len());
    for (theirs, ours) in quotas.as_ref().iter().zip(resources) {
        assert_eq!(theirs.resource.to_string(), ours.name);
        assert_eq!((theirs.usage, theirs.limit), (ours.usage, ours.limit));
    }
    let (mailbox, roots) = (values.name(), values.some(Values::utf8));
    let roots: Vec<&str> = roots.iter().map(|root| &**root).collect();
    let printed = in_dialects(|out, dialect| quota_root(out, &mailbox, &roots, dialect));
    for (nodes, dialect) in &printed.nodes {
        assert_eq!(nodes[1].as_bytes(), name_on_the_wire(mailbox.as_str(), *dialect));
        assert!(
            nodes[2..]
                .iter()
                .map(|node| node.as_bytes().to_vec())
                .eq(roots.iter().map(|root| without_nul(root.as_bytes())))
        );
    }
    let Response::Data(Data::QuotaRoot { mailbox: theirs, roots: their_roots }) = read(&printed.seven_bit)
    else {
        panic!("not QUOTAROOT")
    };
    same_name(&theirs, &mailbox);
    assert_eq!(their_roots.len(), roots.len());
    their_roots.iter().zip(roots).for_each(|(theirs, ours)| same_root(theirs, ours));
}

fn same_root(theirs: &AString<'_>, ours: &str) {
    assert_eq!(theirs.as_ref(), without_nul(ours.as_bytes()));
}
