//! The error responses: one for each status.

use http_api::problem::ErrorBody;
use serde_json::{Map, Value, json};

use crate::schemas::Schemas;

/// Status, name, description, example message, and whether the response has `Retry-After`.
const PROBLEMS: [(u16, &str, &str, &str, bool); 13] = [
    (
        400,
        "BadRequest",
        "The request breaks a rule; the message names it, and never quotes a value.",
        "Invalid secret name: it must start with a letter or an underscore.",
        false,
    ),
    (401, "Unauthorized", "The `Authorization` header is missing.", "Unauthorized", false),
    (
        403,
        "Forbidden",
        "The token is refused, or the caller's role does not allow this.",
        "Your role in this workspace does not allow this action. Required role: owner or admin.",
        false,
    ),
    (
        404,
        "NotFound",
        "It does not exist, or the caller has no access to it: one answer for both.",
        "Not found: the resource does not exist, or you do not have access to it.",
        false,
    ),
    (
        409,
        "Conflict",
        "It contradicts what is there: a name that is taken (the message holds `already exists`), a first request \
        with the same `Idempotency-Key` that is still under way, or an encryption key that its operators have to restore.",
        "A secret named NCBI_API_KEY already exists, or its name differs only in case. Choose another name.",
        true,
    ),
    (
        410,
        "Gone",
        "The run is over, or the claim token was used before.",
        "The run has ended. Launch it again.",
        false,
    ),
    (
        412,
        "PreconditionFailed",
        "`If-Match` names another version than the current one; nothing was changed.",
        "The secret changed after you read it. Read it again, and repeat your change.",
        false,
    ),
    (
        413,
        "TooLarge",
        "The body or a value is larger than it may be.",
        "The secret value is too large. The maximum is 32768 bytes.",
        false,
    ),
    (
        415,
        "UnsupportedMediaType",
        "The media type of the body is not supported.",
        "The body must be JSON: send it with Content-Type: application/json.",
        false,
    ),
    (
        422,
        "Unprocessable",
        "The request is well formed but cannot be carried out; the message lists up to twenty reasons. Or the \
        `Idempotency-Key` was used with a different request.",
        "The launch is refused: there is no workspace secret NCBI_API_KEY.",
        false,
    ),
    (
        429,
        "TooManyRequests",
        "Too many requests, or too many at once that change the same thing; nothing was changed.",
        "Too many concurrent requests. Nothing was changed. Retry in a moment.",
        true,
    ),
    (
        500,
        "InternalError",
        "A fault of the service.",
        "Internal error. The operators have been notified.",
        false,
    ),
    (
        503,
        "Unavailable",
        "A service that this depends on does not answer; nothing is lost.",
        "A service that this request needs is unavailable. Nothing was lost. Retry in a moment.",
        true,
    ),
];

/// Returns a reference to the response for a status.
pub(crate) fn reference(status: u16) -> Value {
    let found = PROBLEMS.iter().find(|problem| problem.0 == status);
    let name = found.map_or("InternalError", |problem| problem.1);
    json!({"$ref": format!("#/components/responses/{name}")})
}

/// Returns all error responses by name.
pub(crate) fn all(schemas: &mut Schemas) -> Value {
    let mut answers = Map::new();
    for (_, name, description, example, retry) in PROBLEMS {
        let (_, mut answer) = schemas.answer::<ErrorBody<'_>>(description, &json!({"message": example}));
        if retry {
            answer["headers"] = json!({"Retry-After": {
                "description": "Seconds to wait before the request is repeated. Present if a retry can succeed.",
                "schema": {"type": "integer", "minimum": 1},
            }});
        }
        answers.insert(name.to_owned(), answer);
    }
    Value::Object(answers)
}
