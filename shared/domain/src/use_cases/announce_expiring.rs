//! The daily check for secrets and tokens that expire within [`NOTICE_DAYS`]: an event for each,
//! and their numbers, from which alarms follow. Only the schedule and operators reach this code, by
//! invoking the function directly, which IAM guards. There is no authorization here.
//!
//! It keeps no state, as the events of AWS Certificate Manager: a lost or failed check loses one
//! day's events, and a repeated one repeats them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use crate::context::Context;
use crate::expiry::{ExpiringKey, ExpiringKeys, ExpiryKind, ExpiryNotice, NOTICE_DAYS};
use crate::ports::{AnnounceExpiry, FindExpiring, MOST_NOTICES};
use crate::{Error, Result, log};

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpirySummary {
    /// Secrets that expire soon.
    pub secrets: u32,
    /// Tokens that expire soon.
    pub tokens: u32,
    /// Secrets and tokens that could not be read, and events that could not be published.
    pub failed: u32,
}

/// A check, and its first failure.
#[derive(Debug)]
pub struct Checked {
    /// What it found.
    pub summary: ExpirySummary,
    /// The first failure. The check continued after it, so the summary counts the others as well.
    pub failure: Option<Error>,
}

/// The most secrets and tokens of a check, so that it ends within the time and memory of a
/// function. The others are a failure.
const MOST: u32 = 10_000;
/// The rows of one read.
const PAGE: usize = 100;
/// The minimum remaining time for another call, which takes up to 6 seconds.
const LAST: Duration = Duration::from_secs(8);

/// Publishes an event for each secret and token that expires soon, except those of disabled and
/// removed users, who can use none of them. Returns `None` if the table is restored and not
/// reconciled yet.
pub async fn announce_expiring(
    store: &dyn FindExpiring,
    events: &dyn AnnounceExpiry,
    context: &Context<'_>,
) -> Result<Option<Checked>> {
    if context.settings.restored {
        return Ok(None);
    }
    let notice = SignedDuration::from_hours(24 * NOTICE_DAYS);
    let until = context.now.saturating_add(notice).map_err(|_| Error::bug("a notice is not a duration"))?;
    let ExpiringKeys { keys, complete } = store.expiring(context.now, until, MOST).await?;
    let mut check = Check { store, events, context, summary: ExpirySummary::default(), failure: None };
    if !complete {
        check.fail(1, Error::unavailable("expiry", "more secrets and tokens than a check can announce"));
    }
    for page in keys.chunks(PAGE) {
        if let Err(error) = check.page(page).await {
            check.fail(page.len(), error);
        }
    }
    Ok(Some(Checked { summary: check.summary, failure: check.failure }))
}

struct Check<'a> {
    store: &'a dyn FindExpiring,
    events: &'a dyn AnnounceExpiry,
    context: &'a Context<'a>,
    summary: ExpirySummary,
    failure: Option<Error>,
}

impl Check<'_> {
    async fn page(&mut self, keys: &[ExpiringKey]) -> Result<()> {
        self.in_time()?;
        let mut notices = Vec::with_capacity(keys.len());
        for expiring in self.store.read_expiring(keys).await? {
            match expiring {
                Ok(expiring) => notices.extend(ExpiryNotice::of(expiring, self.context.now)),
                Err(error) => self.fail(1, error),
            }
        }
        let users: BTreeSet<_> = notices.iter().filter_map(|notice| notice.user_id).collect();
        if !users.is_empty() {
            let enabled = self.store.enabled_users(&users).await?;
            notices.retain(|notice| notice.user_id.is_none_or(|user| enabled.contains(&user)));
        }
        for notices in notices.chunks(MOST_NOTICES) {
            self.count(notices);
            if let Err(error) = self.announce(notices).await {
                self.fail(notices.len(), error);
            }
        }
        Ok(())
    }

    /// Counts what expires, also if its event cannot be published.
    fn count(&mut self, notices: &[ExpiryNotice]) {
        for notice in notices {
            match notice.kind {
                ExpiryKind::Secret => self.summary.secrets += 1,
                ExpiryKind::Token => self.summary.tokens += 1,
            }
        }
    }

    async fn announce(&mut self, notices: &[ExpiryNotice]) -> Result<()> {
        self.in_time()?;
        let rejected = self.events.announce_expiry(notices).await?;
        if rejected > 0 {
            self.fail(rejected, Error::unavailable("events PutEvents", "the bus rejected entries"));
        }
        Ok(())
    }

    fn in_time(&self) -> Result<()> {
        if self.context.backoff.remaining() < LAST {
            return Err(Error::unavailable("expiry", "there was no time for all secrets and tokens"));
        }
        Ok(())
    }

    fn fail(&mut self, count: usize, error: Error) {
        log::error(&error).error("could not announce what expires");
        self.summary.failed += u32::try_from(count).unwrap_or(u32::MAX);
        self.failure.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests;
