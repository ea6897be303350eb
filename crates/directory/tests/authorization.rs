//! Who may do what: every operation by every kind of actor, against a checked-in table.
//!
//! `HIKYAKU_BLESS=1 cargo nextest run -p hikyaku-directory authorization` writes the table
//! anew; whoever does that reads the difference. Every operation takes an actor, so there is
//! none for "nobody": who is not signed in has no actor.

use std::fmt::Write;

use hikyaku_directory::{
    Action, Answer, DirectoryError, Filter, Kind, Named, NewSecret, PasswordHash, Request, Standing, Verb,
};
use hikyaku_testkit::{SeededRandom, TestDirectory, TestStore, both_engines, set};
use hikyaku_types::{AccountId, Actor, DomainId, TenantId};

both_engines! { every_operation_by_every_actor }

const TABLE: &str = "tests/authorization.txt";

struct Rig {
    mail: TestStore,
    test: TestDirectory,
    hash: String,
}

/// The object of each kind that the actors try at.
fn object(kind: Kind, ids: &Ids) -> String {
    match kind {
        Kind::Plan => "spare".into(),
        Kind::Tenant => "acme".into(),
        Kind::Domain => "example.org".into(),
        Kind::Account => "ann@example.org".into(),
        Kind::Alias => "alias@example.org".into(),
        Kind::List => "list@example.org".into(),
        Kind::Group => "group".into(),
        Kind::Role => format!("administrator:{}", ids.bob),
        Kind::Credential => format!("{}:password", ids.ann),
        Kind::Rule => format!("imap:account:{}", ids.ann),
        Kind::Exception => ids.ann.to_string(),
    }
}

struct Ids {
    acme: TenantId,
    other: TenantId,
    ann: AccountId,
    bob: AccountId,
    domain: DomainId,
    second: DomainId,
}

impl Rig {
    fn ask(&self, actor: Actor, action: Action, dry_run: bool) -> Result<Answer, DirectoryError> {
        let request = Request { action, reason: None, dry_run };
        self.mail.block_on(self.test.directory.execute(actor, request))
    }

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, kind: Kind, name: &str) -> T {
        match self.ask(Actor::Operator, Action::Show { object: named(kind, name) }, false).unwrap() {
            Answer::Object(view) => view.id.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn creation(&self, kind: Kind, suffix: &str, tenant: Option<&str>) -> Action {
        let account = set("account", "ann@example.org");
        let (name, fields) = match kind {
            Kind::Plan => (Some(format!("plan{suffix}")), Vec::new()),
            Kind::Tenant => (Some(format!("tenant{suffix}")), vec![set("plan", "small")]),
            Kind::Domain => (Some(format!("new{suffix}.example")), Vec::new()),
            Kind::Account => (Some(format!("new{suffix}@example.org")), Vec::new()),
            Kind::Alias => {
                (Some(format!("new{suffix}@example.org")), vec![set("targets", "ann@example.org")])
            }
            Kind::List => (Some(format!("new{suffix}@example.org")), Vec::new()),
            Kind::Group => (Some(format!("new{suffix}")), Vec::new()),
            Kind::Role => (None, vec![account, set("power", "administrator")]),
            Kind::Credential => {
                (None, vec![account, set("kind", "app_password"), set("title", format!("phone{suffix}"))])
            }
            Kind::Rule => (None, vec![account, set("service", format!("submission{suffix}"))]),
            Kind::Exception => {
                let bob = set("account", "bob@example.org");
                (None, vec![bob, set("until", "2030-01-01"), set("note", "travels")])
            }
        };
        let tenant = match kind {
            Kind::Plan | Kind::Tenant => None,
            _ => tenant.map(str::to_owned),
        };
        Action::Create { kind, name, id: None, tenant, fields, secret: None }
    }

    /// What the actor would do to the object; nothing is done.
    fn action(&self, kind: Kind, verb: Verb, ids: &Ids) -> Action {
        let object = named(kind, &object(kind, ids));
        match verb {
            Verb::Create => self.creation(kind, "", Some("acme")),
            Verb::Show => Action::Show { object },
            Verb::List => {
                let tenant = (kind != Kind::Plan).then(|| "acme".to_owned());
                Action::List { kind, tenant, of: None, filter: Filter::default() }
            }
            Verb::Change => {
                let field =
                    if matches!(kind, Kind::Role) { set("power", "administrator") } else { title(kind) };
                Action::Change { object, version: None, rename: None, fields: vec![field], secret: None }
            }
            verb => Action::Move { verb, object, version: None },
        }
    }
}

/// A field that everybody who may change the object may change.
fn title(kind: Kind) -> hikyaku_directory::FieldEdit {
    match kind {
        Kind::Domain | Kind::Alias | Kind::Tenant | Kind::Rule | Kind::Exception => set("note", "n"),
        _ => set("title", "t"),
    }
}

fn named(kind: Kind, name: &str) -> Named {
    Named { kind, name: name.to_owned(), tenant: None }
}

fn rig(mail: TestStore) -> (Rig, Ids) {
    let test = TestDirectory::new(&mail);
    let hash = PasswordHash::of(b"secret", &SeededRandom::new(1)).unwrap().as_str().to_owned();
    let rig = Rig { mail, test, hash };
    let make = |kind, name: &str, tenant: Option<&str>, fields| {
        let action = Action::Create {
            kind,
            name: Some(name.to_owned()),
            id: None,
            tenant: tenant.map(str::to_owned),
            fields,
            secret: None,
        };
        rig.ask(Actor::Operator, action, false).unwrap();
    };
    make(Kind::Plan, "small", None, Vec::new());
    make(Kind::Plan, "spare", None, Vec::new());
    for tenant in ["acme", "other"] {
        make(Kind::Tenant, tenant, None, vec![set("plan", "small")]);
    }
    make(Kind::Domain, "example.org", Some("acme"), Vec::new());
    make(Kind::Domain, "second.example", Some("acme"), Vec::new());
    make(Kind::Domain, "example.net", Some("other"), Vec::new());
    for name in ["ann", "bob"] {
        make(Kind::Account, &format!("{name}@example.org"), None, Vec::new());
    }
    make(Kind::Alias, "alias@example.org", None, vec![set("targets", "ann@example.org")]);
    make(Kind::List, "list@example.org", None, Vec::new());
    make(Kind::Group, "group", Some("acme"), Vec::new());
    let of = |account: &str| vec![set("account", account)];
    let role = Action::Create {
        kind: Kind::Role,
        name: None,
        id: None,
        tenant: None,
        fields: of("bob@example.org"),
        secret: None,
    };
    rig.ask(Actor::Operator, role, false).unwrap();
    let password = Action::Create {
        kind: Kind::Credential,
        name: None,
        id: None,
        tenant: None,
        fields: of("ann@example.org"),
        secret: Some(NewSecret::Hash(rig.hash.clone())),
    };
    rig.ask(Actor::Operator, password, false).unwrap();
    for (kind, field, text) in [(Kind::Rule, "service", "imap"), (Kind::Exception, "until", "2030-01-01")] {
        let mut fields = of("ann@example.org");
        fields.extend([set(field, text), set("note", "travels")]);
        let action = Action::Create { kind, name: None, id: None, tenant: None, fields, secret: None };
        rig.ask(Actor::Operator, action, false).unwrap();
    }
    let ids = Ids {
        acme: rig.id(Kind::Tenant, "acme"),
        other: rig.id(Kind::Tenant, "other"),
        ann: rig.id(Kind::Account, "ann@example.org"),
        bob: rig.id(Kind::Account, "bob@example.org"),
        domain: rig.id(Kind::Domain, "example.org"),
        second: rig.id(Kind::Domain, "second.example"),
    };
    (rig, ids)
}

fn every_operation_by_every_actor(mail: TestStore) {
    let (rig, ids) = rig(mail);
    let tenant = ids.acme;
    let actors = [
        ("foreign owner", Actor::Owner { tenant: ids.other, account: ids.ann }),
        ("foreign administrator", Actor::Administrator { tenant: ids.other }),
        ("other owner", Actor::Owner { tenant, account: ids.bob }),
        ("owner", Actor::Owner { tenant, account: ids.ann }),
        ("other domain's administrator", Actor::DomainAdministrator { tenant, domain: ids.second }),
        ("domain's administrator", Actor::DomainAdministrator { tenant, domain: ids.domain }),
        ("administrator", Actor::Administrator { tenant }),
        ("support", Actor::Support),
        ("operator", Actor::Operator),
    ];
    let mut table = String::from(
        "# Who may do what. Made by tests/authorization.rs; every operation is here.\n\
         # yes: may · no: sees that it is there, may not · hidden: not found\n",
    );
    for kind in Kind::ALL {
        for verb in Verb::ALL {
            write!(table, "\n{kind} {}\n", verb.word()).unwrap();
            for (name, actor) in actors {
                let result = rig.ask(actor, rig.action(kind, verb, &ids), true);
                writeln!(table, "    {name:<30}{}", outcome(kind, verb, result)).unwrap();
            }
        }
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("HIKYAKU_BLESS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(table, expected, "the table in {TABLE} says otherwise");
}

fn outcome(kind: Kind, verb: Verb, result: Result<Answer, DirectoryError>) -> String {
    match result {
        Ok(_) => "yes".into(),
        Err(DirectoryError::Forbidden { needs }) => format!("no, {}", nearest(needs)),
        Err(DirectoryError::NotFound { .. }) => "hidden".into(),
        // Whoever gets as far as to hear that the object itself does not allow it, may.
        Err(DirectoryError::WrongState { .. } | DirectoryError::InUse { .. }) => "yes".into(),
        Err(error) => panic!("{kind} {}: {error}", verb.word()),
    }
}

fn nearest(standing: Standing) -> &'static str {
    match standing {
        Standing::Stranger | Standing::Owner => "the owner may",
        Standing::Domain => "the domain's administrator may",
        Standing::Tenant => "the tenant's administrator may",
        Standing::Operator => "the operator may",
    }
}
