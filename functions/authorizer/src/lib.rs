//! answers). It says who; what a caller may do is read by each request itself.
//!
//! API Gateway keeps an answer for up to 60 seconds under the value of the `Authorization` header, for every route. A
//! credential that is refused is answered `{"isAuthorized": false}`, which API Gateway turns into 403. What could not be
//! decided, because the table or the issuer did not answer, is an **error of the function**: API Gateway answers 500 and
//! keeps nothing, so that the client's next attempt is decided anew. It is never an answer of "yes", nor a "no" that
//! would be kept.

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
    /// The issuer of JSON Web Tokens, or none.
    pub jwts: Rc<dyn VerifyJwt>,
}

impl Handler {
    /// Answers one request. An error says that it could not be decided.
    pub async fn handle(&self, event: &RawValue, context: &Context<'_>) -> Result<Box<RawValue>> {
        let caller = match authorization(event) {
            Some(header) => authenticate(&*self.store, &*self.jwts, &header, context).await?,
            None => None,
        };
        answer(caller)
    }
}

/// The one value of the identity source, which is the `Authorization` header, and under which the answer is kept.
fn authorization(event: &RawValue) -> Option<String> {
    // No `Debug`: it holds a token.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        identity_source: Vec<String>,
    }
    let Ok(event) = serde_json::from_str::<Event>(event.get()) else {
        tracing::warn!("refused an event that has no identity source");
        return None;
    };
    let mut sources = event.identity_source.into_iter();
    sources.next().filter(|_| sources.next().is_none())
}

/// The context of an answer, as `http_api::Request::caller` reads it.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct CallerContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

fn answer(caller: Option<Caller>) -> Result<Box<RawValue>> {
    let context = match caller {
        None => None,
        Some(Caller::User(Actor { user, token })) => Some(CallerContext {
            user_id: Some(user.to_string()),
            token_id: token.map(|token| token.to_string()),
            ..CallerContext::default()
        }),
        Some(Caller::NewLogin(vouched)) => Some(CallerContext {
            issuer: Some(vouched.login.issuer),
            subject: Some(vouched.login.subject),
            email: vouched.verified_email,
            ..CallerContext::default()
        }),
    };
    let answer = match context {
        None => json!({ "isAuthorized": false }),
        Some(context) => json!({ "isAuthorized": true, "context": context }),
    };
    to_raw_value(&answer).map_err(|_| Error::bug("an answer does not serialize"))
}
