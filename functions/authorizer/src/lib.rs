//! 2.0, simple responses). It identifies the caller; each request checks the caller's permissions
//! itself.
//!
//! API Gateway caches an answer for up to 60 seconds under the value of the `Authorization` header,
//! for every route. The answer to a refused credential is `{"isAuthorized": false}`, which API
//! Gateway turns into 403. If the table or the issuer does not answer, the function **fails**: API
//! Gateway returns 500 and caches nothing, so that the client's next attempt is checked again. A
//! failure never authorizes a caller and never caches a refusal.

pub mod oidc;

use std::rc::Rc;

use domain::identity::{Actor, Caller};
use domain::ports::{AuthenticationStore, VerifyJwt};
use domain::use_cases::authenticate::authenticate;
use domain::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// Answers the requests of this function.
pub struct Handler {
    /// The table.
    pub store: Rc<dyn AuthenticationStore>,
    /// The verifier of JSON Web Tokens.
    pub jwts: Rc<dyn VerifyJwt>,
}

impl Handler {
    /// Answers one request. An error means that the credential could not be checked.
    pub async fn handle(&self, event: &RawValue, context: &Context<'_>) -> Result<Box<RawValue>> {
        let caller = match authorization(event) {
            Some(header) => authenticate(&*self.store, &*self.jwts, &header, context).await?,
            None => None,
        };
        answer(caller)
    }
}

/// Returns the value of the `Authorization` header if it is the only value of the identity source:
/// API Gateway caches the answer under this value.
fn authorization(event: &RawValue) -> Option<String> {
    // No `Debug`: it contains a token.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        identity_source: Vec<String>,
    }
    let Ok(event) = serde_json::from_str::<Event>(event.get()) else {
        tracing::warn!("refused an event without an identity source");
        return None;
    };
    let mut sources = event.identity_source.into_iter();
    sources.next().filter(|_| sources.next().is_none())
}

/// The context of an answer, which `http_api::Request::caller` reads.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct CallerContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_up: Option<&'static str>,
}

fn answer(caller: Option<Caller>) -> Result<Box<RawValue>> {
    let context = match caller {
        None => None,
        Some(Caller::User(Actor { user, token, workspace, scope })) => Some(CallerContext {
            user_id: Some(user.to_string()),
            token_id: token.map(|token| token.to_string()),
            // Functions refuse a token without its scope.
            scope: token.map(|_| scope.as_str()),
            workspace_id: workspace.map(|workspace| workspace.to_string()),
            ..CallerContext::default()
        }),
        Some(Caller::NewLogin(verified)) => Some(CallerContext {
            issuer: Some(verified.login.issuer),
            subject: Some(verified.login.subject),
            email: verified.verified_email,
            sign_up: Some(if verified.sign_up { "true" } else { "false" }),
            ..CallerContext::default()
        }),
    };
    let answer = match context {
        None => json!({ "isAuthorized": false }),
        Some(context) => json!({ "isAuthorized": true, "context": context }),
    };
    to_raw_value(&answer).map_err(|_| Error::bug("an answer does not serialize"))
}
