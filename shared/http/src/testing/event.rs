//! Events in the format of API Gateway (payload format 2.0).

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;

/// Returns an event of an operation, with the members of `changes`.
pub(crate) fn event(operation: Operation, changes: &Value) -> String {
    let mut event = json!({
        "version": "2.0",
        "routeKey": operation.route_key(),
        "rawPath": "/",
        "rawQueryString": "",
        "headers": { "content-type": "application/json" },
        "requestContext": {
            "accountId": "123456789012",
            "authorizer": { "lambda": { "userId": "17", "tokenId": "5", "scope": "all" } },
        },
        "isBase64Encoded": false,
    });
    event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    event.to_string()
}

/// Passes a JSON body to a reader. Like API Gateway, replaces bytes that are not UTF-8 by U+FFFD.
pub(crate) fn read_body<B: DeserializeOwned, T>(
    operation: Operation,
    body: &[u8],
    read: impl FnOnce(B) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let event = event(operation, &json!({ "body": String::from_utf8_lossy(body) }));
    read(Request::parse(&event)?.json()?)
}
