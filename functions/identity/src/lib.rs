//! Users, workspaces, participants and tokens: over HTTP for people, and by direct invocation for operators, whom IAM
//! admits.
//!
//! What comes through API Gateway always holds `requestContext`, which no client can take away, and is served by the
//! table of operations, which knows no `apply`. Only what lacks it is an operator's.

mod direct;
mod http;

use domain::ports::{Pace, Randomness, Reconcile};
use domain::settings::Settings;
use http_api::Served;
use http_api::fields::Fields;
use serde_json::value::RawValue;

/// What the function holds between requests.
pub struct Handler<Store, Rng> {
    /// The table.
    pub store: Store,
    /// Randomness.
    pub randomness: Rng,
    /// The deployment's choices.
    pub settings: Settings,
}

impl<Store, Rng> Handler<Store, Rng>
where
    Store: Reconcile,
    Rng: Randomness,
{
    /// Answers one event within the time that `pace` has. An error is that of a direct invocation; over HTTP every
    /// failure is an answer.
    pub async fn handle(&self, event: &RawValue, pace: &impl Pace) -> domain::Result<Served> {
        if is_from_api_gateway(event) {
            return Ok(http_api::serve(&self.settings, event, async |request| {
                self.over_http(request, pace).await
            })
            .await);
        }
        let answer = self.directly(event, pace).await?;
        Ok(Served { answer, fault: None })
    }
}

/// Whether the event has the mark of API Gateway, whatever stands in it and however often.
fn is_from_api_gateway(event: &RawValue) -> bool {
    Fields::parse(event.get()).is_ok_and(|fields| fields.iter().any(|(name, _)| name == "requestContext"))
}
