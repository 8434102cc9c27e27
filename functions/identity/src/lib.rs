//! Users, workspaces, participants and tokens: over HTTP for people, and by direct invocation for operators, whom IAM
//! admits.
//!
//! What comes through API Gateway always holds `requestContext`, which no client can take away, and is served by the
//! table of operations, which knows no `apply`. Only what lacks it is an operator's.

mod direct;
mod http;

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::Context;
use domain::ports::IdentityStore;
use http_api::Served;
use serde_json::value::RawValue;

/// Answers the requests of this function.
pub struct Handler {
    /// The table.
    pub store: Rc<dyn IdentityStore>,
}

impl Handler {
    /// Answers one event. An error is that of a direct invocation; over HTTP every failure is an answer.
    pub async fn handle(&self, event: &RawValue, context: &Context<'_>) -> domain::Result<Served> {
        if is_from_api_gateway(event) {
            let handle = async |request| self.over_http(request, context).await;
            return Ok(http_api::serve(context.settings, event, handle).await);
        }
        let answer = self.directly(event, context).await?;
        Ok(Served { answer, fault: None })
    }
}

/// Whether the event has the mark of API Gateway, whatever stands in it and however often.
fn is_from_api_gateway(event: &RawValue) -> bool {
    let fields: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(event.get());
    fields.is_ok_and(|fields| fields.contains_key("requestContext"))
}
