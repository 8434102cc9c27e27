//! Direct invocations by operators and schedules.
//!
//! An invalid request returns the answer `{"error":{"code","message"}}`, which names every problem:
//! an error of the invocation has room only for a code. A failure of the service is an error of the
//! invocation.

use domain::use_cases::announce_expiring::announce_expiring;
use domain::use_cases::identity::apply::apply;
use domain::use_cases::identity::document::Document;
use domain::use_cases::identity::finish::finish;
use domain::use_cases::identity::index_expiry::{self, index_expiry};
use domain::use_cases::identity::operators::{self, ListUsers};
use domain::use_cases::identity::reconcile::reconcile;
use domain::use_cases::identity::trail::Trail;
use domain::{Context, Error, Result};
use http_api::wire::apply::AppliedAnswer;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::Handler;

impl Handler {
    /// Handles a direct invocation.
    pub(crate) async fn directly(&self, event: &RawValue, context: &Context<'_>) -> Result<Box<RawValue>> {
        match self.execute(event, context).await {
            Err(error) if !error.is_service_fault() && !error.retryable() => {
                domain::log::error(&error).operation("Direct").by_fault();
                let message = error.to_string();
                raw(&json!({ "error": { "code": error.code(), "message": message } }))
            }
            outcome => outcome,
        }
    }

    /// Runs the command in the event, which is its only field.
    async fn execute(&self, event: &RawValue, context: &Context<'_>) -> Result<Box<RawValue>> {
        let unknown = || {
            Error::Invalid(
                "The event must be a JSON object with exactly one field: apply, list, revoke, reconcile, finish, \
                 announceExpiry or indexExpiry."
                    .into(),
            )
        };
        let event: Value = serde_json::from_str(event.get()).map_err(|_| unknown())?;
        let fields = event.as_object().filter(|fields| fields.len() == 1).ok_or_else(unknown)?;
        if let Some(order) = fields.get("reconcile") {
            let lines = order.get("events").and_then(Value::as_array).ok_or_else(|| {
                Error::Invalid(
                    "reconcile must contain events: a list of lines of the logged audit trail.".into(),
                )
            })?;
            let reconciled = reconcile(&*self.store, &Trail::parse(lines)?, context).await?;
            tracing::info!(operation = "Reconcile", lines = lines.len(), "reconciled a restored table");
            return raw(&reconciled);
        }
        if let Some(request) = fields.get("list") {
            return raw(&operators::list(&*self.store, &ListUsers::parse(request)?, &self.issuers).await?);
        }
        if let Some(request) = fields.get("revoke") {
            let revoked = operators::revoke_tokens(&*self.store, request, context).await?;
            tracing::info!(
                operation = "Revoke",
                tokens = revoked.tokens_revoked,
                "revoked the tokens of a user"
            );
            return raw(&revoked);
        }
        if fields.contains_key("finish") {
            return raw(&finish(&*self.store, context).await?);
        }
        if fields.contains_key("announceExpiry") {
            return self.announce_expiry(context).await;
        }
        if let Some(request) = fields.get("indexExpiry") {
            let after = index_expiry::parse(request)?;
            return raw(&index_expiry(&*self.store, after.as_deref()).await?);
        }
        let declared = fields.get("apply").ok_or_else(unknown)?;
        let document = Document::parse(declared)?;
        document.check_issuers(&self.issuers)?;
        let applied = apply(&*self.store, &document, context).await?;
        // What fails here is repeated by the schedule.
        if document.deletes()
            && let Err(error) = finish(&*self.store, context).await
        {
            domain::log::error(&error).error("could not finish a deletion");
        }
        tracing::info!(operation = "Apply", changes = applied.changes, "applied a declaration");
        raw(&AppliedAnswer::from(&applied))
    }

    /// A check that failed in part is an error, so that Lambda repeats it.
    async fn announce_expiry(&self, context: &Context<'_>) -> Result<Box<RawValue>> {
        let checked = announce_expiring(&*self.store, &*self.expiry.events, context).await?;
        let Some(checked) = checked else {
            return raw(&json!({}));
        };
        (self.expiry.report)(&checked.summary);
        checked.failure.map_or_else(|| raw(&checked.summary), Err)
    }
}

fn raw(answer: &impl Serialize) -> Result<Box<RawValue>> {
    to_raw_value(answer).map_err(|_| Error::bug("an answer does not serialize"))
}
