//! GETQUOTA and GETQUOTAROOT.
//!
//! Standards: RFC 9208 section 4.1. SETQUOTA is absent: quotas are the provider's.

use super::Command;
use crate::Dialect;
use crate::parse::{Parsed, astring_utf8, mailbox, sp};

pub(crate) fn get_quota(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let (rest, root) = astring_utf8(sp(input)?)?;
    Ok((rest, Command::GetQuota(root)))
}

pub(crate) fn get_quota_root(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, mailbox) = mailbox(sp(input)?, dialect)?;
    Ok((rest, Command::GetQuotaRoot(mailbox)))
}
