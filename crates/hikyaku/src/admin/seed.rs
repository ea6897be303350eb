//! `hikyaku admin seed`: invented tenants and accounts, to try and to measure an installation.
//!
//! Made through the same functions as real ones, many in a transaction, and the same each
//! time. Sizes fall as they do among real customers (Zipf's law): a few tenants are large,
//! most have a handful of accounts.

use std::time::Instant;

use clap::ArgMatches;
use hikyaku_directory::{Action, Edit, Kind, MOST_AT_ONCE, Named, NewSecret, PasswordHash, Request};
use hikyaku_types::{Domain, SystemRandom};
use serde_json::json;

use super::place::Place;
use super::refusal::Refusal;
use super::secret;
use super::way::Way;

/// The plan of all of them.
const PLAN: &str = "seed";
/// Larger, and the largest tenant is less far from the others.
const FLATNESS: f64 = 10.0;

/// Surname and given names in letters of addresses, and as they are written.
const JAPANESE: [(&str, &str); 20] = [
    ("sato", "佐藤"),
    ("suzuki", "鈴木"),
    ("takahashi", "高橋"),
    ("tanaka", "田中"),
    ("ito", "伊藤"),
    ("watanabe", "渡辺"),
    ("yamamoto", "山本"),
    ("nakamura", "中村"),
    ("kobayashi", "小林"),
    ("kato", "加藤"),
    ("yoshida", "吉田"),
    ("yamada", "山田"),
    ("sasaki", "佐々木"),
    ("yamaguchi", "山口"),
    ("matsumoto", "松本"),
    ("inoue", "井上"),
    ("kimura", "木村"),
    ("hayashi", "林"),
    ("shimizu", "清水"),
    ("mori", "森"),
];
const JAPANESE_GIVEN: [(&str, &str); 12] = [
    ("haruto", "陽翔"),
    ("yui", "結衣"),
    ("hiroshi", "浩"),
    ("akiko", "明子"),
    ("kenta", "健太"),
    ("sakura", "さくら"),
    ("takashi", "隆"),
    ("naoko", "直子"),
    ("daisuke", "大輔"),
    ("yoko", "洋子"),
    ("makoto", "誠"),
    ("emi", "恵美"),
];
const LATIN: [(&str, &str); 20] = [
    ("smith", "Smith"),
    ("jones", "Jones"),
    ("miller", "Miller"),
    ("davis", "Davis"),
    ("garcia", "García"),
    ("mueller", "Müller"),
    ("schmidt", "Schmidt"),
    ("martin", "Martin"),
    ("bernard", "Bernard"),
    ("rossi", "Rossi"),
    ("novak", "Novák"),
    ("silva", "Silva"),
    ("andersen", "Andersen"),
    ("kowalski", "Kowalski"),
    ("jansen", "Jansen"),
    ("nguyen", "Nguyễn"),
    ("kim", "Kim"),
    ("khan", "Khan"),
    ("oconnor", "O'Connor"),
    ("larsson", "Larsson"),
];
const LATIN_GIVEN: [(&str, &str); 12] = [
    ("ann", "Ann"),
    ("bob", "Bob"),
    ("carol", "Carol"),
    ("david", "David"),
    ("elena", "Elena"),
    ("frank", "Frank"),
    ("grace", "Grace"),
    ("jose", "José"),
    ("ingrid", "Ingrid"),
    ("jack", "Jack"),
    ("zoe", "Zoë"),
    ("leo", "Leo"),
];

/// An invented tenant.
struct Tenant {
    name: String,
    domain: Domain,
    accounts: u32,
    is_japanese: bool,
}

pub(super) fn run(matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let number = |name| matches.get_one::<u32>(name).copied().unwrap_or(0);
    let suffix = matches.get_one::<String>("domain-suffix").map_or("example", String::as_str);
    let tenants = tenants(number("tenants"), number("accounts"), suffix)?;
    let password = match matches.get_flag("password-stdin") {
        true => secret::line()?,
        false => crate::make::password(),
    };
    // One hash for all: each takes tens of milliseconds.
    let hash =
        PasswordHash::of(password.as_bytes(), &SystemRandom).map_err(|error| Refusal::failed(&error))?;
    let begun = Instant::now();
    let mut way = Way::open(place)?;
    make_plan(&mut way)?;
    let mut bulk = Bulk { way, waiting: Vec::new(), done: 0, quiet: json };
    for request in tenants.iter().map(tenant) {
        bulk.add(request)?;
    }
    // Each step names what the one before has made, so that must be there.
    bulk.flush()?;
    for tenant in &tenants {
        bulk.add(create(Kind::Domain, Some(tenant.domain.as_str()), &tenant.name, &[]))?;
    }
    bulk.flush()?;
    for tenant in &tenants {
        for number in 0..tenant.accounts {
            bulk.add_all(account(tenant, number, hash.as_str()))?;
        }
    }
    bulk.flush()?;
    report(&tenants, &password, bulk.done, begun, json);
    Ok(())
}

fn report(tenants: &[Tenant], password: &str, objects: usize, begun: Instant, json: bool) {
    let accounts: u64 = tenants.iter().map(|tenant| u64::from(tenant.accounts)).sum();
    let (count, seconds) = (tenants.len(), begun.elapsed().as_secs_f64());
    if json {
        let done = json!({
            "tenants": count, "accounts": accounts, "objects": objects, "seconds": seconds, "password": password,
        });
        println!("{done}");
        return;
    }
    println!(
        "{count} tenants with {accounts} accounts were made: {objects} objects in {seconds:.1} seconds."
    );
    if let Some(first) = tenants.first() {
        println!("The first is {}, {}. Everybody's password: {password}", first.name, first.domain);
    }
}

/// Requests that wait for their transaction.
struct Bulk {
    way: Way,
    waiting: Vec<Request>,
    done: usize,
    quiet: bool,
}

impl Bulk {
    fn add(&mut self, request: Request) -> Result<(), Refusal> {
        self.add_all(vec![request])
    }

    /// Adds requests that belong into one transaction.
    fn add_all(&mut self, requests: Vec<Request>) -> Result<(), Refusal> {
        if self.waiting.len() + requests.len() > MOST_AT_ONCE {
            self.flush()?;
        }
        self.waiting.extend(requests);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        let requests = std::mem::take(&mut self.waiting);
        let before = self.done;
        self.done += requests.len();
        if !requests.is_empty() {
            self.way.ask_many(requests)?;
        }
        if !self.quiet && self.done / 50_000 > before / 50_000 {
            eprintln!("{} objects", self.done);
        }
        Ok(())
    }
}

/// The plan that all have, unless an earlier seed has made it.
fn make_plan(way: &mut Way) -> Result<(), Refusal> {
    let object = Named { kind: Kind::Plan, name: PLAN.into(), tenant: None };
    let show = Request { action: Action::Show { object }, reason: None, dry_run: false };
    if way.ask(&show).is_ok() {
        return Ok(());
    }
    way.ask(&create(
        Kind::Plan,
        Some(PLAN),
        "",
        &[("title", "Invented tenants"), ("largest_mailbox", "10GB")],
    ))
    .map(drop)
}

/// So many tenants, with so many accounts together.
fn tenants(count: u32, accounts: u32, suffix: &str) -> Result<Vec<Tenant>, Refusal> {
    let sizes = sizes(count, accounts);
    let tenant = |(number, accounts): (u32, u32)| {
        let name = format!("seed-{number:06}");
        let domain = Domain::parse(&format!("{name}.{suffix}"));
        let domain = domain.map_err(|error| Refusal::usage(format!("--domain-suffix: {error}")))?;
        Ok(Tenant { name, domain, accounts, is_japanese: number % 2 == 1 })
    };
    (1..).zip(sizes).map(tenant).collect()
}

/// Falls like 1/rank; what rounding leaves goes to the largest.
fn sizes(count: u32, accounts: u32) -> Vec<u32> {
    let share = |rank: u32| 1.0 / (f64::from(rank) + FLATNESS);
    let all: f64 = (0..count).map(share).sum();
    let mut sizes: Vec<u32> =
        (0..count).map(|rank| (f64::from(accounts) * share(rank) / all) as u32).collect();
    let left = accounts.saturating_sub(sizes.iter().sum());
    // Less than one for each is left, as each was rounded down.
    for size in sizes.iter_mut().take(left as usize) {
        *size += 1;
    }
    sizes
}

fn create(kind: Kind, name: Option<&str>, tenant: &str, fields: &[(&str, &str)]) -> Request {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Edit::Set((*value).to_owned())));
    let action = Action::Create {
        kind,
        id: None,
        name: name.map(str::to_owned),
        tenant: (!tenant.is_empty()).then(|| tenant.to_owned()),
        fields: fields.collect(),
        secret: None,
    };
    Request { action, reason: Some("seed".into()), dry_run: false }
}

fn tenant(tenant: &Tenant) -> Request {
    let language = if tenant.is_japanese { "ja" } else { "en" };
    let title = format!("{} {}", if tenant.is_japanese { "株式会社" } else { "Company" }, tenant.name);
    let fields = [("title", title.as_str()), ("plan", PLAN), ("language", language)];
    create(Kind::Tenant, Some(&tenant.name), "", &fields)
}

/// An account with its password. The first has the addresses that every domain has, and each
/// eighth an alias beside its own.
fn account(tenant: &Tenant, number: u32, hash: &str) -> Vec<Request> {
    let (local, title) = person(number, tenant.is_japanese);
    let of = |local: &str| format!("{local}@{}", tenant.domain);
    let address = of(&local);
    let quota = ["1GB", "5GB", "none"][number as usize % 3];
    let fields = [("title", title.as_str()), ("quota", quota)];
    let mut requests = vec![create(Kind::Account, Some(&address), &tenant.name, &fields)];
    let mut credential = create(Kind::Credential, None, &tenant.name, &[("account", &address)]);
    if let Action::Create { secret, .. } = &mut credential.action {
        *secret = Some(NewSecret::Hash(hash.to_owned()));
    }
    requests.push(credential);
    let mut alias = |name: String| {
        requests.push(create(Kind::Alias, Some(&name), &tenant.name, &[("targets", &address)]));
    };
    if number == 0 {
        alias(of("postmaster"));
        alias(of("info"));
    } else if number.is_multiple_of(8) {
        alias(of(&format!("team{number}")));
    }
    requests
}

/// Local part and title of the person with this number, another for each.
fn person(number: u32, is_japanese: bool) -> (String, String) {
    let (surnames, given) = if is_japanese { (&JAPANESE, &JAPANESE_GIVEN) } else { (&LATIN, &LATIN_GIVEN) };
    let number = number as usize;
    let (surname, written) = surnames[number % surnames.len()];
    let (name, written_name) = given[number / surnames.len() % given.len()];
    let round = number / (surnames.len() * given.len());
    let round = if round == 0 { String::new() } else { format!("{}", round + 1) };
    match is_japanese {
        true => (format!("{surname}.{name}{round}"), format!("{written} {written_name}")),
        false => (format!("{name}.{surname}{round}"), format!("{written_name} {written}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_few_are_large_and_most_are_small() {
        for (count, accounts) in [(20_000, 650_000), (10, 3), (1, 1), (7, 1_000)] {
            let sizes = sizes(count, accounts);
            assert_eq!((sizes.len(), sizes.iter().sum::<u32>()), (count as usize, accounts));
            assert!(sizes.is_sorted_by(|a, b| a >= b), "the first is the largest");
        }
        let sizes = sizes(20_000, 650_000);
        assert!(
            sizes[0] > 5_000 && sizes[10_000] < 15 && sizes[19_999] >= 1,
            "{} {}",
            sizes[0],
            sizes[10_000]
        );
    }

    #[test]
    fn nobody_is_there_twice() {
        for is_japanese in [true, false] {
            let all: BTreeSet<String> = (0..5_000).map(|number| person(number, is_japanese).0).collect();
            assert_eq!(all.len(), 5_000);
        }
        assert_eq!(person(3, true), ("tanaka.haruto".into(), "田中 陽翔".into()));
        assert_eq!(person(241, false), ("ann.jones2".into(), "Ann Jones".into()));
    }

    #[test]
    fn the_suffix_is_part_of_a_domain() {
        let told = tenants(1, 1, "not a domain").err().map(|refusal| refusal.text).unwrap_or_default();
        assert!(told.starts_with("--domain-suffix: "), "{told}");
    }
}
