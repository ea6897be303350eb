//! The queue on both engines: what an acceptance leaves there, who sees it, and what
//! administrators do to it.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_mailstore::{ContentHash, DeliverError, DeliveryKey, Prelude, Quota, TenantPart};
use hikyaku_queue::{
    AcceptError, Acceptance, Accepted, Administration, Deed, Filter, Item, Kind, Outgoing, OutgoingRecipient,
    QueueError, Queued, SendLimits, Sending, State, Window, accept, forget_account,
};
use hikyaku_smtp_proto::command::{MailParams, Notify, Ret};
use hikyaku_store::AccountHome;
use hikyaku_testkit::{SHARD, TestStore, both_engines};
use hikyaku_trace::Event;
use hikyaku_types::{Actor, ContentId, NodeId, RisingIds, TenantId, TraceId};

both_engines! {
    what_is_accepted_waits_with_all_that_was_asked
    mailboxes_and_queue_share_a_content
    a_key_admits_one_copy
    a_full_mailbox_keeps_the_queue_empty
    limits_count_and_refuse
    pages_and_filters
    an_administrator_sees_its_own_tenant
    held_and_released
    what_is_deleted_is_gone_and_its_content_dies
}

const CONTENT: &[u8] = b"From: ann@example.org\r\n\r\nHello\r\n";

fn tenant(number: i64) -> TenantId {
    TenantId::from_i64(number).unwrap()
}

fn outgoing(mail: &TestStore, of: TenantId, addresses: &[&str]) -> Outgoing {
    let recipient = |address: &&str| {
        let address = address.parse().unwrap();
        let key = DeliveryKey::elsewhere("ann@example.org", of, &address, &ContentHash::of(CONTENT));
        OutgoingRecipient {
            id: TraceId::from_i64(mail.next_id()).unwrap(),
            address,
            notify: None,
            original_recipient: None,
            key: Some(key),
        }
    };
    Outgoing {
        tenant: of,
        account: Some(TestStore::home(1, 10).account),
        kind: Kind::Submission,
        reverse_path: "ann@example.org".into(),
        params: MailParams::default(),
        prelude: Prelude::of_lines(b"Received: x\r\n".to_vec()),
        recipients: addresses.iter().map(recipient).collect(),
    }
}

/// Into these mailboxes, and out; the tenants of what goes out have a part.
fn acceptance(
    mail: &TestStore,
    content: &[u8],
    homes: &[AccountHome],
    outgoing: Vec<Outgoing>,
) -> Acceptance {
    let mut delivery = mail.delivery(content, homes);
    for one in &outgoing {
        if !delivery.parts.iter().any(|part| part.tenant == one.tenant) {
            let now = hikyaku_types::Clock::now(&*mail.clock);
            let prepared =
                mail.content.prepare(&mail.store, SHARD, one.tenant, content, true, now, &mail.random);
            delivery.parts.push(TenantPart {
                tenant: one.tenant,
                pool: Quota(None),
                content: mail.block_on(prepared).unwrap(),
                content_id: ContentId::from_i64(mail.next_id()).unwrap(),
                recipients: Vec::new(),
            });
        }
    }
    Acceptance { delivery, outgoing, sending: None, report: None }
}

fn carry_out(mail: &TestStore, acceptance: Acceptance) -> Result<Accepted, AcceptError> {
    mail.write(move |tx| accept(tx, &acceptance))
}

/// Puts a message of the tenant into the queue; its id.
fn enqueue(mail: &TestStore, of: TenantId, addresses: &[&str]) -> String {
    let outgoing = outgoing(mail, of, addresses);
    let id = outgoing.recipients[0].id.to_string();
    let content = format!("Subject: {id}\r\n\r\n");
    let mut outgoing = outgoing;
    outgoing.recipients.iter_mut().for_each(|recipient| recipient.key = None);
    carry_out(mail, acceptance(mail, content.as_bytes(), &[], vec![outgoing])).unwrap();
    id
}

fn administration(mail: &TestStore) -> Administration {
    let ids = Arc::new(RisingIds::new(NodeId::new(5).unwrap()));
    Administration::new(Arc::clone(&mail.store), ids, Arc::clone(&mail.clock) as _)
}

fn list(mail: &TestStore, actor: Actor, filter: &Filter) -> Vec<Item> {
    mail.block_on(administration(mail).list(&actor, None, filter)).unwrap().messages
}

fn ids(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

fn live_contents(mail: &TestStore) -> i64 {
    let count = hikyaku_store::Sql::new("SELECT count(*) FROM content WHERE state = 0");
    let counted: Result<_, hikyaku_store::StoreError> =
        mail.read(move |tx| tx.row(count, &[], |row| row.get(0)));
    counted.unwrap().unwrap()
}

fn what_is_accepted_waits_with_all_that_was_asked(mail: TestStore) {
    let mut one = outgoing(&mail, tenant(1), &["x@far.example", "田中@例え.example"]);
    one.params = MailParams {
        smtputf8: true,
        ret: Some(Ret::Headers),
        envid: Some("QQ314159".into()),
        ..MailParams::default()
    };
    one.recipients[0].notify = Some(Notify::Never);
    one.recipients[1].notify = Some(Notify::On { success: true, failure: true, delay: false });
    one.recipients[1].original_recipient = Some("rfc822;t@example.org".into());
    let first = one.recipients[0].id;
    let accepted = carry_out(&mail, acceptance(&mail, CONTENT, &[], vec![one])).unwrap();
    assert_eq!(accepted.queued[0][0], Queued::New(first));
    let shown =
        mail.block_on(administration(&mail).show(&Actor::Operator, None, &first.to_string())).unwrap();
    assert_eq!((shown.envid.as_deref(), shown.ret.as_deref()), (Some("QQ314159"), Some("HDRS")));
    assert_eq!(shown.queued_at, "2026-11-24T12:00:00.000Z");
    assert_eq!(shown.size_bytes, CONTENT.len() as u64 + 13);
    let recipients = shown.recipients.iter().map(|one| {
        (
            one.address.as_str(),
            one.destination.as_str(),
            one.state,
            one.notify.as_deref(),
            one.due_at.as_str(),
        )
    });
    let noon = "2026-11-24T12:00:00.000Z";
    assert_eq!(
        recipients.collect::<Vec<_>>(),
        [
            ("x@far.example", "far.example", State::Waiting, Some("NEVER"), noon),
            (
                "田中@xn--r8jz45g.example",
                "xn--r8jz45g.example",
                State::Waiting,
                Some("SUCCESS,FAILURE"),
                noon
            ),
        ]
    );
    assert_eq!(shown.recipients[1].original_recipient.as_deref(), Some("rfc822;t@example.org"));
    let trace = mail.read(move |tx| hikyaku_trace::find(&mut tx.tenant(tenant(1)), first)).unwrap().unwrap();
    assert_eq!((trace.event, trace.recipient.as_str()), (Event::Queued, "x@far.example"));
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn mailboxes_and_queue_share_a_content(mail: TestStore) {
    // In a row, a shared one in a row, and an object.
    for size in [100, 20_000, 400_000] {
        let mut content = vec![0; size];
        hikyaku_types::Random::fill(&mail.random, &mut content);
        let before = live_contents(&mail);
        let one = outgoing(&mail, tenant(1), &[&format!("x{size}@far.example")]);
        let two = outgoing(&mail, tenant(1), &[&format!("y{size}@far.example")]);
        let other = outgoing(&mail, tenant(2), &[&format!("z{size}@far.example")]);
        let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
        let accepted = carry_out(&mail, acceptance(&mail, &content, &homes, vec![one, two, other])).unwrap();
        assert_eq!((accepted.outcomes.len(), accepted.queued.len()), (2, 3));
        assert_eq!(live_contents(&mail) - before, 2, "one for each tenant");
    }
    assert_eq!(list(&mail, Actor::Operator, &Filter::default()).len(), 9);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_key_admits_one_copy(mail: TestStore) {
    let first = outgoing(&mail, tenant(1), &["x@far.example", "y@far.example"]);
    let known = first.recipients[0].id;
    carry_out(&mail, acceptance(&mail, CONTENT, &[], vec![first])).unwrap();
    // Sent again, with one more; then with nobody new.
    let again = outgoing(&mail, tenant(1), &["x@far.example", "Y@far.example"]);
    let new = again.recipients[1].id;
    let accepted = carry_out(&mail, acceptance(&mail, CONTENT, &[], vec![again])).unwrap();
    assert_eq!(
        accepted.queued,
        [[Queued::Duplicate(known), Queued::New(new)]],
        "only a host knows its local parts"
    );
    let nobody = outgoing(&mail, tenant(1), &["x@far.example"]);
    carry_out(&mail, acceptance(&mail, CONTENT, &[], vec![nobody])).unwrap();
    let waiting = list(&mail, Actor::Operator, &Filter::default());
    assert_eq!(waiting.iter().map(|item| item.recipient_count).collect::<Vec<_>>(), [2, 1]);
    // Another tenant's message to the same person is another message.
    let other = outgoing(&mail, tenant(2), &["x@far.example"]);
    let accepted = carry_out(&mail, acceptance(&mail, CONTENT, &[], vec![other])).unwrap();
    assert!(matches!(accepted.queued[0][0], Queued::New(_)));
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_full_mailbox_keeps_the_queue_empty(mail: TestStore) {
    let one = outgoing(&mail, tenant(1), &["x@far.example"]);
    let mut acceptance = acceptance(&mail, CONTENT, &[TestStore::home(1, 10)], vec![one]);
    acceptance.delivery.parts[0].recipients[0].quota = Quota(Some(10));
    let error = carry_out(&mail, acceptance).unwrap_err();
    assert!(matches!(error, AcceptError::Deliver(DeliverError::Full(_))), "{error}");
    assert_eq!(list(&mail, Actor::Operator, &Filter::default()), []);
    // Nor is its key kept: the same again is new.
    let again = outgoing(&mail, tenant(1), &["x@far.example"]);
    let accepted = carry_out(&mail, self::acceptance(&mail, CONTENT, &[], vec![again])).unwrap();
    assert!(matches!(accepted.queued[0][0], Queued::New(_)));
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn limits_count_and_refuse(mail: TestStore) {
    let home = TestStore::home(1, 10);
    let send = |recipients: u32, number: u32| {
        let one = outgoing(&mail, tenant(1), &["x@far.example"]);
        let content = format!("Subject: {number}\r\n\r\n");
        let mut one = acceptance(&mail, content.as_bytes(), &[], vec![one]);
        // The key is of another content each time.
        one.outgoing[0].recipients[0].key = Some(DeliveryKey::elsewhere(
            "a",
            tenant(1),
            &"x@far.example".parse().unwrap(),
            &ContentHash::of(content.as_bytes()),
        ));
        one.sending = Some(Sending {
            tenant: home.tenant,
            account: home.account,
            limits: SendLimits { per_hour: Some(10), per_day: Some(25) },
            recipients,
        });
        match carry_out(&mail, one) {
            Ok(_) => None,
            Err(AcceptError::Limit(reached)) => Some((reached.window, reached.most)),
            Err(error) => panic!("{error}"),
        }
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(send(11, 1), Some((Window::Hour, 10)), "one message beyond it");
    assert_eq!(send(26, 1), Some((Window::Day, 25)));
    assert_eq!(send(10, 2), None);
    assert_eq!(send(1, 3), Some((Window::Hour, 10)));
    assert_eq!(send(1, 2), None, "what was sent already is not counted again");
    mail.clock.advance(hour);
    assert_eq!(send(10, 4), None);
    mail.clock.advance(hour);
    assert_eq!(send(6, 5), Some((Window::Day, 25)));
    assert_eq!(send(5, 6), None);
    mail.clock.advance(21 * hour);
    assert_eq!(send(1, 7), Some((Window::Day, 25)));
    mail.clock.advance(hour);
    assert_eq!(send(10, 8), None);
    assert_eq!(send(1, 9), Some((Window::Hour, 10)));
    assert_eq!(list(&mail, Actor::Operator, &Filter::default()).len(), 4, "what is refused does not wait");
    mail.write_as(home, forget_account).unwrap();
    assert_eq!(send(1, 9), None, "nothing is left of an account that was removed");
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn pages_and_filters(mail: TestStore) {
    let first = enqueue(&mail, tenant(1), &["x@far.example", "y@other.example"]);
    let second = enqueue(&mail, tenant(2), &["z@other.example"]);
    mail.clock.advance(Duration::from_secs(60));
    let third = enqueue(&mail, tenant(1), &["x@far.example"]);
    let of = |filter: Filter| {
        let found = list(&mail, Actor::Operator, &filter);
        found.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    let everything = Filter::default();
    assert_eq!(of(everything.clone()), [first.clone(), second.clone(), third.clone()]);
    let to = |domain: &str| Filter { destination: Some(domain.into()), ..Filter::default() };
    assert_eq!(of(to("other.example")), [first.clone(), second.clone()]);
    assert_eq!(of(to("example")), Vec::<String>::new());
    let from = |path: &str| Filter { reverse_path: Some(path.into()), ..Filter::default() };
    assert_eq!(of(from("ann@example.org")).len(), 3);
    assert_eq!(of(from("")), Vec::<String>::new());
    let later = hikyaku_types::Clock::now(&*mail.clock);
    let old = Filter { before_ms: Some(later.as_millis()), ..Filter::default() };
    assert_eq!(of(old), [first.clone(), second.clone()]);
    let page = |after: Option<&String>| Filter { after: after.cloned(), limit: Some(2), ..Filter::default() };
    assert_eq!(of(page(None)), [first.clone(), second.clone()]);
    assert_eq!(of(page(Some(&second))), [third]);
    let whole = mail.block_on(administration(&mail).list(&Actor::Operator, None, &page(None))).unwrap();
    assert_eq!(whole.next, Some(second));
    let wrong = Filter { after: Some("r-1".into()), ..Filter::default() };
    let error = mail.block_on(administration(&mail).list(&Actor::Operator, None, &wrong)).unwrap_err();
    assert!(matches!(error, QueueError::Request(_)), "{error}");
}

fn an_administrator_sees_its_own_tenant(mail: TestStore) {
    let (own, foreign) =
        (enqueue(&mail, tenant(1), &["x@far.example"]), enqueue(&mail, tenant(2), &["x@far.example"]));
    let administrator = Actor::Administrator { tenant: tenant(1) };
    assert_eq!(ids(&list(&mail, administrator, &Filter::default())), [own.as_str()]);
    let queue = administration(&mail);
    let not_found = |done: Result<(), QueueError>| matches!(done, Err(QueueError::NotFound(_)));
    assert!(mail.block_on(queue.show(&administrator, None, &own)).is_ok());
    assert!(not_found(mail.block_on(queue.show(&administrator, None, &foreign)).map(drop)));
    let delete = |actor: Actor, of: Option<TenantId>, id: &str| {
        let (queue, id) = (queue.clone(), id.to_owned());
        mail.block_on(async move { queue.change(&actor, of, "ann", Deed::Delete, &id, None).await }).map(drop)
    };
    assert!(not_found(delete(administrator, None, &foreign)));
    assert!(not_found(delete(administrator, Some(tenant(2)), &foreign)));
    let account = TestStore::home(1, 10).account;
    for actor in [Actor::Owner { tenant: tenant(1), account }, Actor::Support] {
        assert!(not_found(delete(actor, None, &own)));
        assert!(not_found(mail.block_on(queue.list(&actor, None, &Filter::default())).map(drop)));
        assert!(not_found(mail.block_on(queue.log(&actor, None, None, None)).map(drop)));
    }
    delete(administrator, None, &own).unwrap();
    delete(Actor::Operator, None, &foreign).unwrap();
    let lines = |actor: Actor| mail.block_on(queue.log(&actor, None, None, None)).unwrap();
    let messages = |actor: Actor| lines(actor).into_iter().map(|line| line.message).collect::<Vec<_>>();
    assert_eq!(messages(administrator), std::slice::from_ref(&own));
    assert_eq!(messages(Actor::Operator), [foreign, own]);
}

fn held_and_released(mail: TestStore) {
    let id = enqueue(&mail, tenant(1), &["x@far.example", "y@far.example"]);
    let other = enqueue(&mail, tenant(1), &["x@far.example"]);
    let queue = administration(&mail);
    let change = |deed, reason: Option<&str>| {
        let done = queue.change(&Actor::Operator, None, "operator", deed, &id, reason.map(str::to_owned));
        mail.block_on(done).unwrap()
    };
    let in_state = |state| list(&mail, Actor::Operator, &Filter { state: Some(state), ..Filter::default() });
    assert_eq!(change(Deed::Hold, Some("asked by phone")), 2);
    assert_eq!(change(Deed::Hold, None), 0, "once is enough");
    assert_eq!(ids(&in_state(State::Held)), [id.as_str()]);
    assert_eq!(ids(&in_state(State::Waiting)), [other.as_str()]);
    mail.clock.advance(Duration::from_secs(60));
    assert_eq!(change(Deed::Release, None), 2);
    assert_eq!(ids(&in_state(State::Held)), Vec::<&str>::new());
    let shown = mail.block_on(queue.show(&Actor::Operator, None, &id)).unwrap();
    assert_eq!(shown.recipients[0].due_at, "2026-11-24T12:01:00.000Z", "due at once");
    let log = mail.block_on(queue.log(&Actor::Operator, Some(tenant(1)), None, Some(3))).unwrap();
    let lines = log.iter().map(|line| (line.deed.as_str(), line.recipients, line.reason.as_deref()));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [("release", 2, None), ("hold", 0, None), ("hold", 2, Some("asked by phone"))]
    );
    assert_eq!((log[0].actor.as_str(), log[0].at.as_str()), ("operator", "2026-11-24T12:01:00.000Z"));
    let older = mail.block_on(queue.log(&Actor::Operator, None, Some(&log[1].id), None)).unwrap();
    assert_eq!(older, log[2..]);
}

fn what_is_deleted_is_gone_and_its_content_dies(mail: TestStore) {
    let id = enqueue(&mail, tenant(1), &["x@far.example", "y@far.example"]);
    let queue = administration(&mail);
    let delete = || queue.change(&Actor::Operator, None, "operator", Deed::Delete, &id, None);
    assert_eq!(live_contents(&mail), 1);
    assert_eq!(mail.block_on(delete()).unwrap(), 2);
    assert!(matches!(mail.block_on(delete()), Err(QueueError::NotFound(_))));
    assert_eq!((list(&mail, Actor::Operator, &Filter::default()).len(), live_contents(&mail)), (0, 0));
    let rows = mail.read(|tx| hikyaku_trace::newest(&mut tx.tenant(tenant(1)), None, 2)).unwrap();
    let told = rows.iter().map(|row| (row.event, row.recipient.as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(Event::Removed, "y@far.example"), (Event::Removed, "x@far.example")]
    );
    assert_eq!(mail.problems(), Vec::<String>::new());
}
