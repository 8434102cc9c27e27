//! A step in a run's lifecycle: the effect of an event, written with its audit record.

use crate::Result;
use crate::audit::AuditRecord;
use crate::context::Context;
use crate::ports::SaveRuns;
use crate::run::{Action, Event, Run, next};

/// The effect of an event on a run.
pub(crate) struct Advance {
    /// The new run, with the next revision; `None` if the event changes nothing.
    pub(crate) run: Option<Run>,
    pub(crate) audit: Option<AuditRecord>,
    /// The action to take once the change is written.
    pub(crate) action: Option<Action>,
}

impl Advance {
    /// Derives the effect of the event.
    pub(crate) fn of(run: &Run, event: Event, context: &Context<'_>) -> Self {
        let step = next(run, event, context.now, &context.settings.limits);
        let advanced = step.lifecycle.map(|lifecycle| Run { lifecycle, ..run.clone() });
        let audit = advanced.as_ref().zip(step.audit).map(|(run, audit)| AuditRecord {
            detail: audit.detail.map(str::to_owned),
            ..run.audit_record(audit.action, context)
        });
        Self { run: advanced, audit, action: step.action }
    }
}

/// Applies an event to a run that was just read, and writes the change. Returns
/// [`VersionConflict`](crate::Error::VersionConflict) if another writer was faster: read the run
/// and decide again.
pub(crate) async fn advance(
    store: &dyn SaveRuns,
    run: &Run,
    event: Event,
    context: &Context<'_>,
) -> Result<Advance> {
    let advance = Advance::of(run, event, context);
    if let Some(advanced) = &advance.run {
        store.save_lifecycle(run, &advanced.lifecycle, advance.audit.as_ref()).await?;
    }
    Ok(advance)
}
