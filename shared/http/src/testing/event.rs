//! Events as API Gateway sends them (payload format 2.0).

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;

/// An event of an operation, with the members of `changes` set.
pub(crate) fn event(operation: Operation, changes: &Value) -> String {
    let mut event = json!({
        "version": "2.0",
        "routeKey": operation.route_key(),
        "rawPath": "/",
        "rawQueryString": "",
        "headers": { "content-type": "application/json" },
        "requestContext": {
            "accountId": "123456789012",
            "authorizer": { "lambda": { "userId": "17", "tokenId": "5" } },
        },
        "isBase64Encoded": false,
    });
    event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    event.to_string()
}

/// Sends a JSON body to a reader. API Gateway passes a JSON body on as text, with U+FFFD in place of
/// bytes that are not UTF-8.
pub(crate) fn read_body<B: DeserializeOwned, T>(
    operation: Operation,
    body: &[u8],
    read: impl FnOnce(B) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let event = event(operation, &json!({ "body": String::from_utf8_lossy(body) }));
    read(Request::parse(&event)?.json()?)
}
