//! Objects as those who administer them see them, on both engines.

use hikyaku_directory::{
    Action, Answer, Attempt, DirectoryError, Edit, Entrance, Filter, Kind, MOST_AT_ONCE, Named, NewSecret,
    Request, Resolution, State, Verb, View,
};
use hikyaku_testkit::{TestDirectory, TestStore, both_engines, set};
use hikyaku_types::{Actor, TenantId};

both_engines! {
    a_new_operator_sets_up_a_customer
    an_address_has_one_meaning
    what_is_deleted_can_be_undeleted_until_its_time
    a_change_on_an_older_version_is_refused_with_both_shown
    a_domain_that_another_has_is_refused_without_saying_whose
    a_plan_limits_what_a_tenant_has
    jobs_are_told_the_plan_of_each_tenant
    what_is_in_use_stays
    a_domain_with_further_addresses_stays
    what_is_undeleted_in_time_is_not_removed
    addresses_lead_where_they_should
    lists_are_paged_and_filtered
    a_dry_run_changes_nothing
    caches_forget_what_was_changed
    the_audit_log_tells_who_what_and_why
    secrets_are_never_shown
    removal_takes_what_hung_on_it
    a_group_may_have_a_thousand_members
    app_passwords_open_what_they_are_for
    an_imported_hash_is_replaced_at_the_next_sign_in
}

struct Rig {
    mail: TestStore,
    test: TestDirectory,
}

impl Rig {
    /// With two tenants: `acme` with example.org, `other` with example.net.
    fn new(mail: TestStore) -> Self {
        let test = TestDirectory::new(&mail);
        let rig = Self { mail, test };
        let small = [("accounts", "3"), ("aliases", "2"), ("webmail_seats", "1"), ("pool", "10MB")];
        rig.create(Kind::Plan, "small", &small);
        rig.create(Kind::Tenant, "acme", &[("plan", "small")]);
        rig.create(Kind::Tenant, "other", &[("plan", "small")]);
        rig.create_in("acme", Kind::Domain, "example.org", &[]);
        rig.create_in("other", Kind::Domain, "example.net", &[]);
        rig
    }

    fn ask(&self, actor: Actor, action: Action) -> Result<Answer, DirectoryError> {
        let request = Request { action, reason: Some("test".into()), dry_run: false };
        self.mail.block_on(self.test.directory.execute(actor, request))
    }

    fn operate(&self, action: Action) -> Result<Answer, DirectoryError> {
        self.ask(Actor::Operator, action)
    }

    fn create(&self, kind: Kind, name: &str, fields: &[(&str, &str)]) -> View {
        after(self.operate(creation(None, kind, name, fields)).unwrap())
    }

    fn create_in(&self, tenant: &str, kind: Kind, name: &str, fields: &[(&str, &str)]) -> View {
        after(self.operate(creation(Some(tenant), kind, name, fields)).unwrap())
    }

    fn refused(&self, kind: Kind, name: &str, fields: &[(&str, &str)]) -> String {
        self.operate(creation(None, kind, name, fields)).unwrap_err().to_string()
    }

    fn edit(&self, kind: Kind, name: &str, field: &str, edit: Edit) -> Result<Answer, DirectoryError> {
        let fields = vec![(field.to_owned(), edit)];
        self.operate(Action::Change {
            object: named(kind, name),
            version: None,
            rename: None,
            fields,
            secret: None,
        })
    }

    fn set(&self, kind: Kind, name: &str, field: &str, value: &str) {
        self.edit(kind, name, field, Edit::Set(value.into())).unwrap();
    }

    fn go(&self, verb: Verb, kind: Kind, name: &str) -> Result<Answer, DirectoryError> {
        self.operate(Action::Move { verb, object: named(kind, name), version: None })
    }

    fn show(&self, kind: Kind, name: &str) -> Result<View, DirectoryError> {
        match self.operate(Action::Show { object: named(kind, name) })? {
            Answer::Object(view) => Ok(view),
            other => panic!("{other:?}"),
        }
    }

    fn names(&self, kind: Kind, filter: Filter) -> Vec<String> {
        match self.operate(Action::List { kind, tenant: None, of: None, filter }).unwrap() {
            Answer::Objects { objects, .. } => objects.into_iter().map(|view| view.name).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// What an address leads to: `ann@example.org >x@example.com` is a mailbox and a forward.
    fn leads(&self, address: &str) -> String {
        let address = address.parse().unwrap();
        match self.mail.block_on(self.test.directory.resolve(&address)).unwrap() {
            Resolution::Recipients(recipients) => {
                let accounts = recipients.accounts.iter().map(|one| {
                    let tag = one.tag.iter().map(|tag| format!("[{tag}]"));
                    one.account.address().to_string() + &tag.collect::<String>()
                });
                let forwards = recipients.forwards.iter().map(|address| format!(">{address}"));
                let mut all: Vec<String> = accounts.chain(forwards).collect();
                all.sort();
                all.join(" ")
            }
            Resolution::Suspended => "suspended".into(),
            Resolution::NoMailbox => "nobody".into(),
            Resolution::Foreign => "foreign".into(),
        }
    }

    fn signs_in(&self, name: &str, password: &str) -> bool {
        let attempt = Attempt { entrance: Entrance::Imap, source: [127, 0, 0, 1].into() };
        self.mail.block_on(self.test.directory.sign_in(name, password.as_bytes(), &attempt)).is_ok()
    }

    fn set_password(&self, account: &str, password: &str) -> Answer {
        let secret = Some(NewSecret::Password(password.into()));
        let fields = vec![set("account", account)];
        let kind = Kind::Credential;
        self.operate(Action::Create { kind, name: None, id: None, tenant: None, fields, secret }).unwrap()
    }

    fn tenant(&self, name: &str) -> TenantId {
        self.show(Kind::Tenant, name).unwrap().id.parse().unwrap()
    }
}

fn creation(tenant: Option<&str>, kind: Kind, name: &str, fields: &[(&str, &str)]) -> Action {
    let fields = fields.iter().map(|(name, value)| set(name, *value)).collect();
    let (name, tenant) = (Some(name.to_owned()), tenant.map(str::to_owned));
    Action::Create { kind, name, id: None, tenant, fields, secret: None }
}

fn named(kind: Kind, name: &str) -> Named {
    Named { kind, name: name.to_owned(), tenant: None }
}

fn after(answer: Answer) -> View {
    match answer {
        Answer::Done { after: Some(view), .. } => view,
        other => panic!("{other:?}"),
    }
}

fn days(days: u64) -> std::time::Duration {
    std::time::Duration::from_secs(days * 24 * 3600)
}

fn a_new_operator_sets_up_a_customer(mail: TestStore) {
    let rig = Rig::new(mail);
    let account =
        rig.create(Kind::Account, "Tanaka@Example.org", &[("title", "田中 一郎"), ("quota", "5MB")]);
    assert_eq!((account.name.as_str(), account.version), ("tanaka@example.org", 1));
    assert_eq!(account.fields["addresses"][0], "Tanaka@example.org");
    let (ann, right) = ("tanaka@example.org", "correct horse");
    rig.set_password(ann, right);
    assert!(rig.signs_in("TANAKA@example.org", right));
    assert!(!rig.signs_in(ann, "wrong horse"));
    assert!(!rig.signs_in("suzuki@example.org", right));
    let found = rig.mail.block_on(rig.test.directory.resolve(&ann.parse().unwrap())).unwrap();
    let Resolution::Recipients(found) = found else { panic!("{found:?}") };
    // The quota is its own, the pool the plan's.
    let account = &found.accounts[0].account;
    assert_eq!((account.quota.0, account.pool.0), (Some(5_000_000), Some(10_000_000)));

    for (kind, name) in [(Kind::Account, ann), (Kind::Domain, "example.org"), (Kind::Tenant, "acme")] {
        rig.go(Verb::Suspend, kind, name).unwrap();
        assert_eq!(rig.leads(ann), "suspended");
        assert!(!rig.signs_in(ann, right), "{kind}");
        rig.go(Verb::Resume, kind, name).unwrap();
        assert_eq!(rig.leads(ann), "Tanaka@example.org");
        assert!(rig.signs_in(ann, right), "{kind}");
    }
    let twice = rig.go(Verb::Resume, Kind::Tenant, "acme").unwrap_err();
    assert_eq!(twice.to_string(), "it is active, so it cannot be resumed: nothing needs to be done");
}

fn an_address_has_one_meaning(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.create(Kind::Account, "ann@example.org", &[("addresses", "ann@example.org,sales@example.org")]);
    let to_ann = [("targets", "ann@example.org")];
    for (kind, name, fields, expected) in [
        (
            Kind::Account,
            "ann@example.org",
            &[][..],
            "`ann@example.org` is the account ann@example.org already",
        ),
        (Kind::Account, "sales@example.org", &[], "is an address of the account ann@example.org already"),
        (Kind::Alias, "SALES@example.org", &to_ann, "is an address of the account ann@example.org already"),
        (Kind::List, "ann@example.org", &[], "is the account ann@example.org already"),
        (Kind::Account, "ann@example.com", &[], "`example.com` is no domain of this tenant"),
        (Kind::Account, "ann", &[], "an address has the form name@domain"),
        (Kind::Alias, "x@example.org", &[], "targets: an alias points somewhere"),
        (Kind::Account, "x@example.org", &[("quota", "much")], "quota: `much` is not a size"),
        (Kind::Account, "x@example.org", &[("colour", "red")], "colour: there is no such field: use one of"),
        (Kind::Tenant, "Not A Word", &[("plan", "small")], "name: `Not A Word` is not a name"),
        (Kind::Tenant, "third", &[], "plan: a tenant has a plan"),
        (Kind::Tenant, "third", &[("plan", "huge")], "there is no plan `huge`"),
        (Kind::Domain, "example.org", &[], "say for which tenant"),
    ] {
        let error = rig.refused(kind, name, fields);
        assert!(error.contains(expected), "{kind} {name}: {error}");
    }
    // An address that was given up is free.
    let sales = "sales@example.org";
    rig.edit(Kind::Account, "ann@example.org", "addresses", Edit::Remove(sales.into())).unwrap();
    rig.create(Kind::Alias, sales, &to_ann);
    assert_eq!(rig.leads(sales), "ann@example.org");
}

fn what_is_deleted_can_be_undeleted_until_its_time(mail: TestStore) {
    let rig = Rig::new(mail);
    let ann = "ann@example.org";
    rig.create(Kind::Account, ann, &[]);
    rig.set_password(ann, "secret word");
    let gone = after(rig.go(Verb::Delete, Kind::Account, ann).unwrap());
    assert_eq!((gone.state, gone.until.is_some()), (State::Deleted, true));
    assert_eq!(rig.leads(ann), "nobody");
    assert!(!rig.signs_in(ann, "secret word"));
    let error = rig.refused(Kind::Account, ann, &[]);
    assert!(error.contains("of the deleted account ann@example.org (undelete or purge it)"), "{error}");
    assert_eq!(rig.names(Kind::Account, Filter::default()), Vec::<String>::new());
    let deleted = Filter { state: Some(State::Deleted), ..Filter::default() };
    assert_eq!(rig.names(Kind::Account, deleted), [ann]);

    let back = after(rig.go(Verb::Undelete, Kind::Account, ann).unwrap());
    assert_eq!((back.state, back.until, back.id), (State::Active, None, gone.id));
    assert!(rig.signs_in(ann, "secret word"));
    let error = rig.go(Verb::Purge, Kind::Account, ann).unwrap_err().to_string();
    assert_eq!(error, "it is active, so it cannot be purged: delete it first");
}

fn a_change_on_an_older_version_is_refused_with_both_shown(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.create(Kind::Account, "ann@example.org", &[]);
    let change = |version, title: &str| Action::Change {
        object: named(Kind::Account, "ann@example.org"),
        version,
        rename: None,
        fields: vec![set("title", title)],
        secret: None,
    };
    assert_eq!(after(rig.operate(change(Some(1), "one")).unwrap()).version, 2);
    let error = rig.operate(change(Some(1), "two")).unwrap_err().to_string();
    assert!(error.contains("has version 2 by now, and not 1"), "{error}");
    assert!(error.contains("yours: title=two") && error.contains("\"title\":\"one\""), "{error}");
    // Without a version a change is of its fields only, and loses nothing of another's.
    rig.set(Kind::Account, "ann@example.org", "note", "n");
    let now = rig.show(Kind::Account, "ann@example.org").unwrap();
    assert_eq!((now.version, &now.fields["title"], &now.fields["note"]), (3, &"one".into(), &"n".into()));
}

fn a_domain_that_another_has_is_refused_without_saying_whose(mail: TestStore) {
    let rig = Rig::new(mail);
    let administrator = Actor::Administrator { tenant: rig.tenant("acme") };
    for (actor, action) in [
        (administrator, creation(None, Kind::Domain, "EXAMPLE.net", &[])),
        (Actor::Operator, creation(Some("acme"), Kind::Domain, "example.net", &[])),
    ] {
        let error = rig.ask(actor, action).unwrap_err().to_string();
        assert!(error.starts_with("`example.net` cannot be used here"), "{error}");
        assert!(!error.contains("other"), "{error}");
    }
    // Another tenant's objects are not found, by name or by id.
    let foreign = rig.show(Kind::Domain, "example.net").unwrap();
    for name in ["example.net", &foreign.id, "nonsense.example"] {
        let error = rig.ask(administrator, Action::Show { object: named(Kind::Domain, name) }).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("there is no domain `{name}`: `hikyaku admin domain list` shows those that there are")
        );
    }
}

fn a_plan_limits_what_a_tenant_has(mail: TestStore) {
    let rig = Rig::new(mail);
    for name in ["a", "b", "c"] {
        rig.create(Kind::Account, &format!("{name}@example.org"), &[]);
    }
    let error = rig.refused(Kind::Account, "d@example.org", &[]);
    assert_eq!(error, "the plan allows 3 accounts: delete some, or move the tenant to a larger plan");
    let to_a = [("targets", "a@example.org")];
    rig.create(Kind::Alias, "x@example.org", &to_a);
    rig.edit(Kind::Account, "a@example.org", "addresses", Edit::Add("aa@example.org".into())).unwrap();
    let error = rig.refused(Kind::Alias, "y@example.org", &to_a);
    assert!(error.contains("allows 2 aliases and further addresses"), "{error}");
    let more = rig.edit(Kind::Account, "b@example.org", "addresses", Edit::Add("bb@example.org".into()));
    assert!(more.unwrap_err().to_string().contains("allows 2 aliases"));
    rig.set(Kind::Account, "a@example.org", "webmail", "yes");
    let seat = rig.edit(Kind::Account, "b@example.org", "webmail", Edit::Set("yes".into()));
    assert!(seat.unwrap_err().to_string().contains("allows 1 webmail seats"));
    // A larger plan is felt at once.
    rig.set(Kind::Plan, "small", "accounts", "4");
    rig.create(Kind::Account, "d@example.org", &[]);
}

fn jobs_are_told_the_plan_of_each_tenant(mail: TestStore) {
    let rig = Rig::new(mail);
    let days = || -> Vec<(TenantId, u32)> {
        let plans = rig.mail.block_on(rig.test.directory.plans()).unwrap();
        plans.iter().map(|of| (of.tenant, of.plan.trace_days.0)).collect()
    };
    let id = |name: &str| rig.show(Kind::Tenant, name).unwrap().id.parse::<TenantId>().unwrap();
    let mut expected = vec![(id("acme"), 30), (id("other"), 30)];
    expected.sort_by_key(|(tenant, _)| tenant.as_i64());
    assert_eq!(days(), expected);
    // Plans, and who has which, are as they are now; a deleted tenant keeps its own.
    rig.create(Kind::Plan, "long", &[("trace_days", "365")]);
    rig.set(Kind::Plan, "small", "trace_days", "7");
    rig.set(Kind::Tenant, "other", "plan", "long");
    rig.go(Verb::Delete, Kind::Tenant, "other").unwrap();
    let expected: Vec<_> =
        expected.iter().map(|(tenant, _)| (*tenant, if *tenant == id("acme") { 7 } else { 365 })).collect();
    assert_eq!(days(), expected);
}

fn what_is_in_use_stays(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.create(Kind::Account, "ann@example.org", &[]);
    let error = rig.go(Verb::Delete, Kind::Plan, "small").unwrap_err().to_string();
    assert!(error.starts_with("plan `small` is in use by the tenant "), "{error}");
    let error = rig.go(Verb::Delete, Kind::Domain, "example.org").unwrap_err().to_string();
    assert!(error.starts_with("domain `example.org` is in use by the account ann@example.org"), "{error}");
    rig.go(Verb::Delete, Kind::Account, "ann@example.org").unwrap();
    rig.go(Verb::Delete, Kind::Domain, "example.org").unwrap();
    assert_eq!(rig.leads("ann@example.org"), "nobody");
}

fn a_domain_with_further_addresses_stays(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.create_in("acme", Kind::Domain, "example.jp", &[]);
    rig.create(Kind::Account, "ann@example.org", &[("addresses", "ann@example.org,ann@example.jp")]);
    let refused = |expected: &str| {
        let error = rig.go(Verb::Delete, Kind::Domain, "example.jp").unwrap_err().to_string();
        assert!(error.starts_with(&format!("domain `example.jp` is in use by {expected}: ")), "{error}");
    };
    refused("one further address of an account");
    rig.create(Kind::Account, "bob@example.org", &[("addresses", "bob@example.org,bob@example.jp")]);
    refused("2 further addresses of accounts");
    // Who is deleted does not hold it up.
    rig.go(Verb::Delete, Kind::Account, "bob@example.org").unwrap();
    refused("one further address of an account");
    rig.edit(Kind::Account, "ann@example.org", "addresses", Edit::Remove("ann@example.jp".into())).unwrap();
    rig.go(Verb::Delete, Kind::Domain, "example.jp").unwrap();
}

fn addresses_lead_where_they_should(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.set(Kind::Plan, "small", "accounts", "none");
    rig.set(Kind::Plan, "small", "aliases", "none");
    rig.create_in("acme", Kind::Domain, "例え.example", &[("alias_of", "example.org")]);
    rig.create(Kind::Account, "ann@example.org", &[]);
    rig.create(Kind::Account, "bob@example.org", &[("forward_to", "bob@example.com,ann@example.org")]);
    rig.create(Kind::Account, "away@example.org", &[("forward_to", "x@example.com"), ("keep_copy", "no")]);
    rig.create(Kind::Account, "a.b+c@example.org", &[]);
    rig.create(Kind::Account, "carol@example.net", &[]);
    rig.create(Kind::Alias, "sales@example.org", &[("targets", "ann@example.org,bob@example.org")]);
    rig.create(Kind::Alias, "out@example.org", &[("targets", "carol@example.net")]);
    rig.create(Kind::Alias, "one@example.org", &[("targets", "two@example.org")]);
    rig.create(Kind::Alias, "two@example.org", &[("targets", "one@example.org")]);
    rig.create(Kind::Alias, "lost@example.org", &[("targets", "nobody@example.org")]);
    let members = [("members", "sales@example.org,ann@example.org,x@example.com")];
    rig.create(Kind::List, "all@example.org", &members);
    rig.create(Kind::List, "empty@example.org", &[]);
    for (address, expected) in [
        ("ann@example.org", "ann@example.org"),
        ("ANN+shop@例え.example", "ann@example.org"),
        ("bob@example.org", ">bob@example.com ann@example.org bob@example.org"),
        ("away@example.org", ">x@example.com"),
        ("a.b+c@example.org", "a.b+c@example.org"),
        ("sales@example.org", ">bob@example.com ann@example.org bob@example.org"),
        // Another tenant's address is sent to as any foreign one.
        ("out@example.org", ">carol@example.net"),
        ("one@example.org", "nobody"),
        ("lost@example.org", "nobody"),
        ("all@example.org", ">bob@example.com >x@example.com ann@example.org bob@example.org"),
        ("empty@example.org", "nobody"),
        ("nobody@example.org", "nobody"),
        ("x@example.com", "foreign"),
    ] {
        assert_eq!(rig.leads(address), expected, "{address}");
    }
    rig.set(Kind::Domain, "example.org", "catch_all", "ann@example.org");
    assert_eq!(rig.leads("nobody@example.org"), "ann@example.org");
    assert_eq!(rig.leads("nobody+x@例え.example"), "ann@example.org");
    rig.set(Kind::Account, "ann@example.org", "tag_mailbox", "yes");
    for (address, expected) in [
        ("ann@example.org", "ann@example.org"),
        ("ann+Shop@example.org", "ann@example.org[Shop]"),
        ("sales+shop@example.org", ">bob@example.com ann@example.org bob@example.org"),
    ] {
        assert_eq!(rig.leads(address), expected, "{address}");
    }
    rig.set(Kind::Domain, "example.org", "tag_separator", "none");
    rig.set(Kind::Domain, "example.org", "catch_all", "none");
    assert_eq!(rig.leads("ann+shop@example.org"), "nobody");
    rig.go(Verb::Suspend, Kind::Account, "ann@example.org").unwrap();
    // Who is left gets it; whoever is suspended does not hold up the others.
    assert_eq!(rig.leads("sales@example.org"), ">bob@example.com bob@example.org");
    rig.go(Verb::Suspend, Kind::Domain, "例え.example").unwrap();
    assert_eq!(rig.leads("bob@例え.example"), "suspended");
    assert_eq!(rig.leads("bob@example.org"), ">bob@example.com bob@example.org");
}

fn lists_are_paged_and_filtered(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.set(Kind::Plan, "small", "accounts", "none");
    for name in ["anna", "ann", "bob", "a_b", "axb", "%"] {
        rig.create(Kind::Account, &format!("{name}@example.org"), &[]);
    }
    rig.create(Kind::Account, "ann@example.net", &[]);
    let search = |text: &str| Filter { search: Some(text.to_owned()), ..Filter::default() };
    let anns = ["ann@example.net", "ann@example.org", "anna@example.org"];
    assert_eq!(rig.names(Kind::Account, search("ANN")), anns);
    assert_eq!(rig.names(Kind::Account, search("a_b")), ["a_b@example.org"]);
    assert_eq!(rig.names(Kind::Account, search("%")), ["%@example.org"]);
    let mut filter = Filter { limit: Some(3), ..Filter::default() };
    let mut seen = Vec::new();
    loop {
        let action = Action::List { kind: Kind::Account, tenant: None, of: None, filter: filter.clone() };
        let Answer::Objects { objects, next } = rig.operate(action).unwrap() else { panic!() };
        seen.extend(objects.into_iter().map(|view| view.name));
        match next {
            Some(next) => filter.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted(), "{seen:?}");
    let of = Some(named(Kind::Domain, "example.net"));
    let action = Action::List { kind: Kind::Account, tenant: None, of, filter: Filter::default() };
    let Answer::Objects { objects, .. } = rig.operate(action).unwrap() else { panic!() };
    assert_eq!(objects.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["ann@example.net"]);
    // The platform's own tenant is nobody's business, and takes nobody's place.
    for limit in [1, 2, 3] {
        let filter = Filter { limit: Some(limit), ..Filter::default() };
        assert_eq!(rig.names(Kind::Tenant, filter).len(), usize::from(limit).min(2));
    }
    assert_eq!(rig.names(Kind::Tenant, Filter::default()), ["acme", "other"]);
}

fn a_dry_run_changes_nothing(mail: TestStore) {
    let rig = Rig::new(mail);
    let action = creation(None, Kind::Account, "ann@example.org", &[]);
    let request = Request { action, reason: None, dry_run: true };
    let answer = rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    assert_eq!(after(answer).name, "ann@example.org");
    assert_eq!(rig.leads("ann@example.org"), "nobody");
    assert!(rig.show(Kind::Account, "ann@example.org").is_err());
}

fn caches_forget_what_was_changed(mail: TestStore) {
    let rig = Rig::new(mail);
    // Another node has caches of its own.
    let other = TestDirectory::new(&rig.mail);
    let address = "ann@example.org".parse().unwrap();
    let elsewhere = || match rig.mail.block_on(other.directory.resolve(&address)).unwrap() {
        Resolution::Recipients(_) => "found",
        Resolution::Suspended => "suspended",
        _ => "nobody",
    };
    assert_eq!((rig.leads("ann@example.org").as_str(), elsewhere()), ("nobody", "nobody"));
    rig.create(Kind::Account, "ann@example.org", &[]);
    assert_eq!((rig.leads("ann@example.org").as_str(), elsewhere()), ("ann@example.org", "nobody"));
    rig.mail.block_on(other.directory.catch_up()).unwrap();
    assert_eq!(elsewhere(), "found");
    rig.go(Verb::Suspend, Kind::Tenant, "acme").unwrap();
    assert_eq!(elsewhere(), "found");
    rig.mail.block_on(other.directory.catch_up()).unwrap();
    assert_eq!(elsewhere(), "suspended");
    // A node that hears nothing for too long does not believe its caches.
    rig.go(Verb::Resume, Kind::Tenant, "acme").unwrap();
    rig.mail.clock.advance(std::time::Duration::from_secs(11));
    assert_eq!(elsewhere(), "found");
}

fn the_audit_log_tells_who_what_and_why(mail: TestStore) {
    let rig = Rig::new(mail);
    let acme = rig.tenant("acme");
    let administrator = Actor::Administrator { tenant: acme };
    rig.ask(administrator, creation(None, Kind::Account, "ann@example.org", &[])).unwrap();
    let object = named(Kind::Account, "ann@example.org");
    let change = Action::Change {
        object: object.clone(),
        version: None,
        rename: None,
        fields: vec![set("title", "Ann")],
        secret: None,
    };
    rig.ask(administrator, change).unwrap();
    let audit = |actor, tenant: Option<&str>, object| {
        let tenant = tenant.map(str::to_owned);
        match rig.ask(actor, Action::Audit { tenant, object, before: None, limit: None }) {
            Ok(Answer::Audit { lines, .. }) => Ok(lines),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        }
    };
    let lines = audit(administrator, None, Some(object)).unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.reason.as_deref())).collect();
    assert_eq!(told, [("change", Some("test")), ("create", Some("test"))]);
    assert_eq!(lines[0].actor, format!("administrator of {acme}"));
    assert_eq!(lines[0].before.as_ref().unwrap()["data"]["title"], "");
    assert_eq!(lines[0].after.as_ref().unwrap()["data"]["title"], "Ann");
    // Its tenant reads it, and nobody else's.
    let lines = audit(administrator, None, None).unwrap();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.tenant == acme.to_string()), "{lines:?}");
    let other = audit(administrator, Some("other"), None).unwrap_err();
    assert!(matches!(other, DirectoryError::NotFound { .. }), "{other}");
    assert_eq!(audit(Actor::Operator, Some("other"), None).unwrap().len(), 2);
}

fn secrets_are_never_shown(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.create(Kind::Account, "ann@example.org", &[]);
    let answer = format!("{:?}", rig.set_password("ann@example.org", "uncommon-7-word"));
    let of = Some(named(Kind::Account, "ann@example.org"));
    let list = Action::List { kind: Kind::Credential, tenant: None, of, filter: Filter::default() };
    let list = format!("{:?}", rig.operate(list).unwrap());
    let audit = Action::Audit { tenant: Some("acme".into()), object: None, before: None, limit: None };
    let audit = format!("{:?}", rig.operate(audit).unwrap());
    for text in [&answer, &list, &audit] {
        assert!(!text.contains("uncommon") && !text.contains("argon2"), "{text}");
    }
    assert!(audit.contains("\"secret\": String(\"changed\")"), "{audit}");
}

fn removal_takes_what_hung_on_it(mail: TestStore) {
    let rig = Rig::new(mail);
    let (ann, directory) = ("ann@example.org", &rig.test.directory);
    rig.create(Kind::Account, ann, &[]);
    rig.set_password(ann, "secret word");
    rig.go(Verb::Delete, Kind::Account, ann).unwrap();
    let dying = || rig.mail.block_on(directory.dying()).unwrap();
    assert!(dying().is_empty());
    rig.mail.clock.advance(days(31));
    let gone = dying();
    assert_eq!((gone.len(), gone[0].kind, gone[0].homes.len()), (1, Kind::Account, 1));
    assert!(rig.mail.block_on(directory.remove(&gone[0])).unwrap());
    assert!(dying().is_empty());
    // The name can be had anew, and has nothing of the old one.
    rig.create(Kind::Account, ann, &[]);
    assert!(!rig.signs_in(ann, "secret word"));
    // A tenant goes with everything; purge does not wait.
    rig.go(Verb::Delete, Kind::Tenant, "acme").unwrap();
    rig.go(Verb::Purge, Kind::Tenant, "acme").unwrap();
    rig.mail.clock.advance(std::time::Duration::from_secs(1));
    let gone = dying();
    assert_eq!(gone.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::Tenant]);
    let mut steps = 0;
    while !rig.mail.block_on(directory.remove(&gone[0])).unwrap() {
        steps += 1;
        assert!(steps < 20);
    }
    assert_eq!(rig.leads(ann), "foreign");
    rig.create_in("other", Kind::Domain, "example.org", &[]);
    rig.create(Kind::Account, ann, &[]);
}

fn what_is_undeleted_in_time_is_not_removed(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.create(Kind::Plan, "large", &[]);
    for (kind, name) in [(Kind::Plan, "large"), (Kind::Domain, "example.net")] {
        rig.go(Verb::Delete, kind, name).unwrap();
        rig.go(Verb::Purge, kind, name).unwrap();
        rig.mail.clock.advance(std::time::Duration::from_secs(1));
        let dying = rig.mail.block_on(rig.test.directory.dying()).unwrap();
        assert_eq!(dying.len(), 1, "{kind}");
        rig.go(Verb::Undelete, kind, name).unwrap();
        assert!(rig.mail.block_on(rig.test.directory.remove(&dying[0])).unwrap());
        assert_eq!(rig.show(kind, name).unwrap().state, State::Active);
    }
}

fn a_group_may_have_a_thousand_members(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.set(Kind::Plan, "small", "accounts", "none");
    let members: Vec<String> = (0..1_000).map(|n| format!("a{n}@example.org")).collect();
    for part in members.chunks(MOST_AT_ONCE) {
        let requests = part.iter().map(|name| Request {
            action: creation(None, Kind::Account, name, &[]),
            reason: None,
            dry_run: false,
        });
        let many = rig.test.directory.execute_many(Actor::Operator, "test", requests.collect());
        rig.mail.block_on(many).unwrap();
    }
    let group = creation(None, Kind::Group, "everybody", &[("members", &members.join(","))]);
    let administrator = Actor::Administrator { tenant: rig.tenant("acme") };
    let group = after(rig.ask(administrator, group).unwrap());
    assert_eq!(group.fields["members"].as_array().unwrap().len(), 1_000);
    // Ids are kept: a new address changes nothing.
    let renamed = Action::Change {
        object: named(Kind::Account, "a0@example.org"),
        version: None,
        rename: Some("first@example.org".into()),
        fields: Vec::new(),
        secret: None,
    };
    let account = after(rig.operate(renamed).unwrap());
    assert_eq!(
        (account.name.as_str(), &group.fields["members"][0]),
        ("first@example.org", &account.id.into())
    );
    assert_eq!(rig.leads("a0@example.org"), "nobody");
}

fn app_passwords_open_what_they_are_for(mail: TestStore) {
    let rig = Rig::new(mail);
    let ann = "ann@example.org";
    rig.create(Kind::Account, ann, &[]);
    let mut fields = vec![set("account", ann), set("kind", "app_password"), set("title", "phone")];
    fields.extend([set("services", "imap"), set("sources", "192.0.2.0/24"), set("expires", "2026-11-30")]);
    let kind = Kind::Credential;
    let action = Action::Create { kind, name: None, id: None, tenant: None, fields, secret: None };
    let Answer::Done { secret: Some(secret), after: Some(credential), .. } = rig.operate(action).unwrap()
    else {
        panic!("an app password is shown once");
    };
    let opens = |secret: &str, entrance, source: [u8; 4]| {
        let attempt = Attempt { entrance, source: source.into() };
        rig.mail.block_on(rig.test.directory.sign_in(ann, secret.as_bytes(), &attempt)).is_ok()
    };
    let (inside, outside) = ([192, 0, 2, 7], [198, 51, 100, 7]);
    let typed = secret.to_uppercase().replace('-', " ");
    assert!(opens(&secret, Entrance::Imap, inside) && opens(&typed, Entrance::Imap, inside));
    assert!(!opens(&secret, Entrance::Submission, inside));
    assert!(!opens(&secret, Entrance::Imap, outside));
    let wrong = if secret.ends_with('0') {
        secret.replace('0', "1")
    } else {
        secret[..secret.len() - 1].to_owned() + "0"
    };
    assert!(!opens(&wrong, Entrance::Imap, inside));
    // Its last day is whole, and the next is none of its.
    rig.mail.clock.advance(days(6) + std::time::Duration::from_secs(11 * 3600));
    assert!(opens(&secret, Entrance::Imap, inside));
    rig.mail.clock.advance(std::time::Duration::from_secs(3600));
    assert!(!opens(&secret, Entrance::Imap, inside));
    rig.set(Kind::Credential, &credential.id, "expires", "none");
    assert!(opens(&secret, Entrance::Imap, inside));
    rig.go(Verb::Delete, Kind::Credential, &credential.id).unwrap();
    assert!(!opens(&secret, Entrance::Imap, inside));
    assert!(rig.go(Verb::Undelete, Kind::Credential, &credential.id).is_err(), "gone for good");
}

fn an_imported_hash_is_replaced_at_the_next_sign_in(mail: TestStore) {
    let rig = Rig::new(mail);
    let ann = "ann@example.org";
    rig.create(Kind::Account, ann, &[]);
    // openssl passwd -6 -salt saltsalt 'old password'
    let hash =
        "$6$saltsalt$cjN4ginv/86Pz7FgJ8mb6sxg8SsLkypH6/NPciUM9qqHiz4BKBOwJ9W4GAAEWcIe5N.RxHJp9dx7piMTd5kgk0";
    let secret = Some(NewSecret::Hash(hash.into()));
    let fields = vec![set("account", ann)];
    let action =
        Action::Create { kind: Kind::Credential, name: None, id: None, tenant: None, fields, secret };
    let credential = after(rig.operate(action).unwrap());
    let version = || rig.show(Kind::Credential, &credential.id).unwrap().version;
    assert!(!rig.signs_in(ann, "another password"));
    assert_eq!(version(), 1);
    assert!(rig.signs_in(ann, "old password"));
    assert_eq!(version(), 2, "by one of our own");
    assert!(rig.signs_in(ann, "old password") && !rig.signs_in(ann, "another password"));
    assert_eq!(version(), 2, "once");
}
