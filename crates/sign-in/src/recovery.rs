//! Recovery codes: what lets a tenant whose rules shut out all of its administrators back in,
//! without the operator.
//!
//! ```text
//! make_recovery_code     drawn by lot, shown once, printed and put into a safe
//! recover                with it: all rules only watch, and the code is used up
//! ```
//!
//! A code has the form of an app password, which people may type in their own way. It is stored
//! as a keyed hash, since it has more bits than anybody could try.
//!
//! Invariants:
//! - a tenant has one code at the most: another one replaces it;
//! - who has the code is never kept out. So tries are not counted: nobody can guess it, but
//!   anybody could use up the tries;
//! - wrong, used, replaced and missing codes, and tenants that there are not, are answered alike;
//! - a code lasts as long as its tenant: it is there while that can be undeleted, and goes after;
//! - a code is used up after the rules were released: what fails before can be tried again.
//!
//! Known weakness: two who use one code at the same moment both succeed. The second changes
//! nothing.

use std::net::IpAddr;

use hikyaku_access::rule::Mode;
use hikyaku_directory::{self as directory, Act, Action, Answer, AppPassword, Kind, Named, Request};
use hikyaku_store::{By as Whose, Component, Database, Migration, Sql, StoreError};
use hikyaku_types::{Actor, Random, TenantId};

use crate::gate::Gate;
use crate::rule_change::{By, RuleError, edits, rule_fields};
use crate::rules;

/// The table of recovery codes, in the access database.
pub const RECOVERY_SCHEMA: Component = Component {
    name: "recovery",
    within: |database| database == Database::Access,
    migrations: &[Migration {
        number: 1,
        name: "recovery codes",
        sql: "
            CREATE TABLE recovery (tenant {int} NOT NULL PRIMARY KEY, hash {blob} NOT NULL, at {int} NOT NULL)
                {clustered};
        ",
        postgres: "",
        tables: &[("recovery", Whose::Tenant)],
    }],
};

const MAKE: Sql = Sql::new(
    "INSERT INTO recovery (tenant, hash, at) VALUES ($1, $2, $3)
     ON CONFLICT (tenant) DO UPDATE SET hash = excluded.hash, at = excluded.at",
);
const FIND: Sql = Sql::new("SELECT hash FROM recovery WHERE tenant = $1");
const WHOSE: Sql = Sql::new("SELECT tenant FROM recovery WHERE tenant > $1 ORDER BY tenant LIMIT 500");
const FORGET: Sql = Sql::new("DELETE FROM recovery WHERE tenant = $1");
const USE_UP: Sql = Sql::new("DELETE FROM recovery WHERE tenant = $1 AND hash = $2");

/// Why nobody was let back in.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// It is no code of this tenant, or none any more.
    #[error("the recovery code is not right, or was used or replaced")]
    NoCode,
    /// A rule was not released; the code can be used again.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

impl From<StoreError> for RecoveryError {
    fn from(error: StoreError) -> Self {
        Self::Rule(error.into())
    }
}

/// What was released with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Whose rules they are.
    pub tenant: TenantId,
    /// The names of the rules that only watch now.
    pub rules: Vec<String>,
}

impl Gate {
    /// Makes the recovery code of a tenant, in place of the one that it had. Whoever may change
    /// the tenant may do so; with `by.dry_run` there is none, only the answer that there could be.
    ///
    /// # Errors
    /// [`RuleError`]; the code before stays.
    pub async fn make_recovery_code(
        &self,
        by: &By<'_>,
        tenant: &str,
        random: &dyn Random,
    ) -> Result<Option<AppPassword>, RuleError> {
        let object = Named { kind: Kind::Tenant, name: tenant.to_owned(), tenant: None };
        let view = self.may_change(by, object).await?;
        let tenant: TenantId =
            view.id.parse().map_err(|_| StoreError::Failed { label: "sign-in.recovery", cause: view.id })?;
        if by.dry_run {
            return Ok(None);
        }
        let (code, now) = (AppPassword::new(random), self.clock.now());
        let hash = self.hash_of(tenant, &code).as_bytes().to_vec();
        let (what, reason) = ("a new recovery code".to_owned(), by.reason.map(str::to_owned));
        let act = Act { tenant, account: None, action: "make-recovery-code", what, reason };
        self.directory.note_act(by.who, &act).await?;
        let number = tenant.as_i64();
        let write = self.write("sign-in.make_recovery_code", move |tx| {
            tx.execute(MAKE, &[number.into(), (&hash).into(), now.into()])
        });
        write.await?;
        Ok(Some(code))
    }

    /// Lets all rules of a tenant only watch, for whoever has its recovery code. Nobody need be
    /// signed in; whoever serves this to the world has a permit for each source and answers a
    /// failure when it is time to, as for sign-ins.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn recover(
        &self,
        tenant: &str,
        code: &str,
        from: Option<IpAddr>,
    ) -> Result<Recovered, RecoveryError> {
        let code = AppPassword::parse(code.as_bytes()).ok_or(RecoveryError::NoCode)?;
        let operator = By { actor: Actor::Operator, who: "", reason: None, from: None, dry_run: false };
        let object = Named { kind: Kind::Tenant, name: tenant.to_owned(), tenant: None };
        let found = self.shown(&operator, Action::Show { object }).await?;
        let tenant = found.and_then(|view| view.id.parse::<TenantId>().ok()).ok_or(RecoveryError::NoCode)?;
        let hash = self.hash_of(tenant, &code);
        let number = tenant.as_i64();
        let stored = self.read("sign-in.recovery_code", move |tx| {
            tx.row(FIND, &[number.into()], |row| row.get::<Vec<u8>>(0))
        });
        let stored = stored.await?.and_then(|stored| <[u8; 32]>::try_from(stored).ok());
        // Hashes of this library are compared in constant time.
        let is_right = stored.is_some_and(|stored| blake3::Hash::from_bytes(stored) == hash);
        if !is_right {
            return Err(RecoveryError::NoCode);
        }
        let rules = self.release_all(tenant, from).await?;
        let hash = hash.as_bytes().to_vec();
        let write = self.write("sign-in.use_recovery_code", move |tx| {
            tx.execute(USE_UP, &[number.into(), (&hash).into()])
        });
        write.await?;
        Ok(Recovered { tenant, rules })
    }

    /// Forgets the codes of tenants that are gone for good, a few hundred in a step. Their ids are
    /// never used again, so nobody makes a code meanwhile.
    pub(crate) async fn expire_recovery(&self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let read = self.read("sign-in.whose_recovery", move |tx| {
                tx.rows(WHOSE, &[after.into()], |row| row.get::<i64>(0))
            });
            let found = read.await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = *last;
            let mut gone = Vec::new();
            for number in found {
                let facts = match TenantId::from_i64(number) {
                    Some(tenant) => self.directory.tenant(tenant).await?,
                    None => None,
                };
                gone.extend(facts.is_none().then_some(number));
            }
            let forget = self.write("sign-in.expire_recovery", move |tx| {
                let forget = |tenant: &i64| tx.execute(FORGET, &[(*tenant).into()]).map(drop);
                gone.iter().try_for_each(forget)
            });
            forget.await?;
        }
    }

    /// The names of those that enforced something, or were to.
    async fn release_all(&self, tenant: TenantId, from: Option<IpAddr>) -> Result<Vec<String>, RuleError> {
        let reason = from.map_or_else(|| "recovery".to_owned(), |ip| format!("recovery from {ip}"));
        let by = By {
            actor: Actor::Administrator { tenant },
            who: "recovery code",
            reason: Some(&reason),
            from,
            dry_run: false,
        };
        let filter = directory::Filter { limit: Some(500), ..directory::Filter::default() };
        let action = Action::List { kind: Kind::Rule, tenant: Some(tenant.to_string()), of: None, filter };
        let request = Request { action, reason: None, dry_run: false };
        let Answer::Objects { objects, .. } = self.directory.execute_as(by.actor, by.who, request).await?
        else {
            return Ok(Vec::new());
        };
        let mut released = Vec::new();
        for view in objects {
            let before = rules::rule(&rule_fields(&view)?);
            let versions = [Some(&before.base), before.change.as_ref().map(|change| &change.version)];
            if versions.into_iter().flatten().all(|version| version.mode != Mode::Enforce) {
                continue;
            }
            let after = before.release(self.clock.now());
            let object = Named { kind: Kind::Rule, name: view.id, tenant: Some(view.tenant) };
            let version = Some(view.version);
            let action =
                Action::Change { object, version, rename: None, fields: edits(&after), secret: None };
            released.push(self.changed(&by, action).await?.name);
        }
        Ok(released)
    }

    fn hash_of(&self, tenant: TenantId, code: &AppPassword) -> blake3::Hash {
        self.key.recovery(tenant, code.to_text().as_bytes())
    }
}
