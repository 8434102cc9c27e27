//! A launch with many copies waits for its share of the account's quota.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Intent, Launcher};
use crate::context::Context;
use crate::reservation::{self, Slot, SlotRequest};
use crate::use_cases::preview::{authorize_launch, count_copies};
use crate::{Error, Result, log};

/// The current time during a launch. [`Context::now`] is the time of its start.
pub(super) struct Clock<'a> {
    context: &'a Context<'a>,
    remaining: Duration,
}

impl<'a> Clock<'a> {
    pub(super) fn start(context: &'a Context<'a>) -> Self {
        Self { context, remaining: context.backoff.remaining() }
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.remaining.saturating_sub(self.context.backoff.remaining());
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or_default();
        self.context.now.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

impl Launcher {
    /// Reserves the creations of a launch and waits for its slot, or refuses the launch. A refused
    /// launch has written nothing else.
    ///
    /// If the reservation fails because of the service, the launch continues without one. At worst
    /// AWS Secrets Manager throttles it, and it is refused later, after more calls. Refusing it
    /// here instead would make every such launch fail for as long as this one row cannot be
    /// written.
    pub(super) async fn reserve(
        &self,
        intent: &Intent<'_>,
        clock: &Clock<'_>,
        context: &Context<'_>,
    ) -> Result<()> {
        let copies = count_copies(intent.request, intent.resolved, context);
        if !reservation::is_needed(copies) {
            return Ok(());
        }
        let request = SlotRequest::new(copies, clock.now(), context.backoff.remaining());
        match self.store.reserve_creations(&request).await {
            Ok(Slot::Reserved(start)) => self.wait_until(start, intent, clock, context).await,
            Ok(Slot::Promised(start)) => {
                Err(Error::QuotaReached { retry_after: reservation::retry_after(start, clock.now()) })
            }
            Err(error) if error.is_service_fault() => {
                log::error(&error).warn("could not reserve creations; the launch continues without a slot");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the start of the slot. A launch that waited is authorized again: the user may have
    /// lost the right to launch in the meantime.
    async fn wait_until(
        &self,
        start: Timestamp,
        intent: &Intent<'_>,
        clock: &Clock<'_>,
        context: &Context<'_>,
    ) -> Result<()> {
        let Ok(wait) = Duration::try_from(start.duration_since(clock.now())) else {
            return Ok(());
        };
        if wait.is_zero() {
            return Ok(());
        }
        context.backoff.pause(wait).await;
        authorize_launch(&*self.store, intent.actor, intent.request, context).await.map(drop)
    }
}
