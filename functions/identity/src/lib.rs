//! Users, workspaces, participants and tokens: over HTTP for users, and by direct invocation for
//! operators, authorized by IAM.
//!
//! An event from API Gateway always contains `requestContext`, which clients cannot remove, and
//! goes to the table of operations, which does not contain `apply`. Only an event without it comes
//! from an operator or a schedule.

mod direct;
mod environments;
mod http;

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::Context;
use domain::issuer::Issuers;
use domain::ports::{AnnounceExpiry, IdentityStore};
use domain::use_cases::announce_expiring::ExpirySummary;
use http_api::Served;
use serde_json::value::RawValue;

pub use self::environments::Environments;

/// Answers the requests of this function.
pub struct Handler {
    /// The table.
    pub store: Rc<dyn IdentityStore>,
    /// The issuers whose logins operators can declare.
    pub issuers: Issuers,
    /// Credentials and compute environments.
    pub environments: Environments,
    /// The daily check for secrets and tokens that expire.
    pub expiry: Expiry,
}

/// What the daily check for secrets and tokens that expire needs besides the table.
pub struct Expiry {
    /// The event bus.
    pub events: Rc<dyn AnnounceExpiry>,
    /// Reports what a check found, for metrics. Also called if the check failed in part.
    pub report: Box<dyn Fn(&ExpirySummary)>,
}

impl Handler {
    /// Answers one event. Only direct invocations return errors; over HTTP, every failure is an
    /// answer.
    pub async fn handle(&self, event: &RawValue, context: &Context<'_>) -> domain::Result<Served> {
        if is_from_api_gateway(event) {
            let handle = async |request| self.over_http(request, context).await;
            return Ok(http_api::serve(context.settings, event, handle).await);
        }
        let answer = self.directly(event, context).await?;
        Ok(Served { answer, fault: None })
    }
}

/// Returns whether the event contains `requestContext`, with any content and any number of times.
fn is_from_api_gateway(event: &RawValue) -> bool {
    let fields: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(event.get());
    fields.is_ok_and(|fields| fields.contains_key("requestContext"))
}
