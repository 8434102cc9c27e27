//! The error responses: one for each status.

use http_api::problem::ErrorBody;
use serde_json::{Map, Value, json};

use crate::schemas::Schemas;

/// Status, name, description, example message, and whether the response has `Retry-After`.
const PROBLEMS: [(u16, &str, &str, &str, bool); 13] = [
    (
        400,
        "BadRequest",
        "The request violates a rule. The message names the rule and never quotes a value.",
        "Invalid secret name: it must start with a letter or an underscore.",
        false,
    ),
    (401, "Unauthorized", "The `Authorization` header is missing.", "Unauthorized", false),
    (
        403,
        "Forbidden",
        "The service refuses the token: the body is exactly `{\"message\":\"Forbidden\"}`. With any other message, the token \
        is valid, and the message says why the caller may not do this, such as the role that is required.",
        "Your role in this workspace does not allow this action. Required role: owner or admin.",
        false,
    ),
    (
        404,
        "NotFound",
        "The resource does not exist, or the caller has no access to it. Both cases return the same response.",
        "Not found: the resource does not exist, or you do not have access to it.",
        false,
    ),
    (
        409,
        "Conflict",
        "The request conflicts with the current state: a name is taken (the message contains `already exists`), the first \
        request with the same `Idempotency-Key` is still in progress, or the operators must restore the deployment's \
        encryption key.",
        "A secret named NCBI_API_KEY already exists, or its name differs only in case. Choose another name.",
        true,
    ),
    (
        410,
        "Gone",
        "The run has ended, or the claim token has already been used.",
        "The run has ended. Launch it again.",
        false,
    ),
    (
        412,
        "PreconditionFailed",
        "The version in `If-Match` is not the current one. Nothing was changed.",
        "The secret changed after you read it. Read it again, and repeat your change.",
        false,
    ),
    (
        413,
        "TooLarge",
        "The body or a value exceeds its size limit.",
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
        "Too many requests, too many concurrent changes to the same resource, or a launch beyond the limit of live runs \
        or copies, which succeeds when runs have ended. Nothing was changed, except by a claim without `Retry-After`.",
        "Too many concurrent requests. Nothing was changed. Retry in a moment.",
        true,
    ),
    (
        500,
        "InternalError",
        "An internal error.",
        "Internal error. The failure was logged for the operators.",
        false,
    ),
    (
        503,
        "Unavailable",
        "A service that this API depends on is not available. Nothing is lost, except the token of a claim without \
        `Retry-After`.",
        "A service that this request needs is unavailable. Retry in a moment.",
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
