//! Which plan each tenant has: what jobs ask that do the same for all of them.

use hikyaku_store::{ControlTx, Sql, StoreError};
use hikyaku_types::{ShardId, TenantId};

use crate::Directory;
use crate::kind::plan::Plan;
use crate::kind::tenant::Tenant;
use crate::object::parse;

/// Tenants that are read at once.
const PAGE: u16 = 500;

// The platform, whose number is the highest, is no tenant with a plan.
const PLANS: Sql = Sql::new(
    "SELECT t.id, t.data, p.data FROM tenant t LEFT JOIN plan p ON p.id = t.parent
     WHERE t.id > $1 AND t.id < 9223372036854775807 ORDER BY t.id LIMIT $2",
);

/// A tenant's plan, and where its mail is.
#[derive(Debug)]
pub struct TenantPlan {
    /// The tenant, which may be suspended, or deleted and not gone yet.
    pub tenant: TenantId,
    /// Where its mail is.
    pub shard: ShardId,
    /// Its plan.
    pub plan: Plan,
}

impl Directory {
    /// The plans of all tenants, as they are in the database now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plans(&self) -> Result<Vec<TenantPlan>, StoreError> {
        let mut all = Vec::new();
        let mut last = 0;
        loop {
            let page = self.read("directory.plans", move |tx| page(tx, last)).await?;
            let Some(one) = page.last() else { return Ok(all) };
            last = one.tenant.as_i64();
            all.extend(page);
        }
    }
}

fn page(tx: &mut ControlTx<'_>, after: i64) -> Result<Vec<TenantPlan>, StoreError> {
    tx.rows(PLANS, &[after.into(), PAGE.into()], |row| {
        let plan: Option<String> = row.get(2)?;
        Ok(TenantPlan {
            tenant: row.get(0)?,
            shard: parse::<Tenant>(&row.get::<String>(1)?)?.shard(),
            plan: plan.map_or_else(|| Ok(Plan::default()), |data| parse(&data))?,
        })
    })
}
