mod body;

use super::*;
use crate::operation::{Credential, UnknownNames};
use crate::testing::event::event;
use crate::testing::sample::{at, user_id};
use serde_json::{Value, json};

/// Reduces an error to its status.
fn outcome<T>(result: Result<T, Problem>) -> Result<T, u16> {
    result.map_err(|problem| problem.status())
}

/// Returns a request for an operation whose event has the members of `changes`. Leaks the event,
/// because the request borrows from it.
fn request(operation: Operation, changes: &Value) -> Request<'static> {
    Request::parse(event(operation, changes).leak()).unwrap()
}

fn with_query(query: &Value) -> Request<'static> {
    request(Operation::ListRuns, &json!({ "queryStringParameters": query }))
}

fn with_header(name: &str, value: Option<&str>) -> Request<'static> {
    let headers = value.map_or_else(|| json!({}), |value| json!({ name: value }));
    request(Operation::UpdatePipelineSecret, &json!({ "headers": headers }))
}

#[test]
fn every_route_finds_its_operation_and_others_are_not_implemented() {
    for operation in Operation::ALL {
        let event = event(*operation, &json!({}));
        assert_eq!(Request::parse(&event).unwrap().operation, *operation, "{}", operation.id());
    }
    for route in ["", "$default", "GET /", "get /runs", "POST /runs", "GET /runs/", "GET /runs/{id}"] {
        let event = event(Operation::ListRuns, &json!({ "routeKey": route }));
        assert_eq!(Request::parse(&event).err().unwrap().status(), 501, "{route}");
    }
}

#[test]
fn a_malformed_event_is_refused_without_quoting_it() {
    for event in ["", "hidden", "[]", "{\"hidden\":1}", "{\"routeKey\":[\"hidden\"]}"] {
        let problem = Request::parse(event).err().unwrap();
        assert_eq!(problem.status(), 400, "{event}");
        assert!(!problem.message().contains("hidden"), "{event}: {}", problem.message());
    }
}

#[test]
fn the_caller_is_the_user_that_the_authorizer_names() {
    let token = TokenId::new(5);
    for (case, context, expected) in [
        (
            "a token",
            json!({ "authorizer": { "lambda": { "userId": "17", "tokenId": "5", "scope": "all" } } }),
            Ok(token),
        ),
        ("a JSON Web Token", json!({ "authorizer": { "lambda": { "userId": "17" } } }), Ok(None)),
        ("no token id", json!({ "authorizer": { "lambda": { "userId": "17", "tokenId": null } } }), Ok(None)),
        ("no authorizer", json!({}), Err(403)),
        ("no user", json!({ "authorizer": { "lambda": { "userId": "" } } }), Err(403)),
        ("not a number", json!({ "authorizer": { "lambda": { "userId": "liam" } } }), Err(403)),
        ("out of range", json!({ "authorizer": { "lambda": { "userId": "0" } } }), Err(403)),
        (
            "no token's id",
            json!({ "authorizer": { "lambda": { "userId": "17", "tokenId": "x", "scope": "all" } } }),
            Err(403),
        ),
        ("a new login", json!({ "authorizer": { "lambda": { "issuer": "i", "subject": "s" } } }), Err(403)),
        (
            "a user and a login",
            json!({ "authorizer": { "lambda": { "userId": "17", "issuer": "i", "subject": "s" } } }),
            Err(403),
        ),
    ] {
        let actor = request(Operation::ListRuns, &json!({ "requestContext": context })).actor();
        let expected = expected.map(|token| Actor { token, ..Actor::without_token(user_id(17)) });
        assert_eq!(outcome(actor), expected, "{case}");
    }
}

#[test]
fn a_caller_is_a_user_or_a_new_login_and_never_both_or_half() {
    let login = |email: Option<&str>| {
        Caller::NewLogin(VerifiedLogin {
            login: Login { issuer: "i".into(), subject: "s".into() },
            verified_email: email.map(str::to_owned),
            sign_up: email.is_some(),
        })
    };
    for (context, expected) in [
        (json!({ "userId": "17" }), Ok(Caller::User(Actor::without_token(user_id(17))))),
        (json!({ "issuer": "i", "subject": "s", "signUp": "false" }), Ok(login(None))),
        (json!({ "issuer": "i", "subject": "s", "email": "a@b", "signUp": "true" }), Ok(login(Some("a@b")))),
        (json!({ "issuer": "i", "subject": "s" }), Err(403)),
        (json!({ "issuer": "i", "subject": "s", "signUp": "yes" }), Err(403)),
        (json!({ "userId": "17", "signUp": "true" }), Err(403)),
        (json!({ "issuer": "i" }), Err(403)),
        (json!({ "subject": "s" }), Err(403)),
        (json!({ "email": "a@b" }), Err(403)),
        (json!({ "userId": "17", "email": "a@b" }), Err(403)),
        (json!({ "tokenId": "5", "issuer": "i", "subject": "s" }), Err(403)),
        (json!({ "scope": "all", "issuer": "i", "subject": "s" }), Err(403)),
        (json!({ "workspaceId": "42", "issuer": "i", "subject": "s" }), Err(403)),
        (json!({}), Err(403)),
    ] {
        let event = json!({ "requestContext": { "authorizer": { "lambda": context } } });
        assert_eq!(outcome(request(Operation::DescribeUser, &event).caller()), expected, "{context}");
    }
}

#[test]
fn a_token_is_accepted_only_with_its_limits() {
    let limited = |scope, workspace| {
        let workspace = WorkspaceId::new(workspace);
        Ok(Actor { user: user_id(17), token: TokenId::new(5), workspace, scope })
    };
    for (limits, expected) in [
        (json!({ "tokenId": "5", "scope": "all" }), limited(TokenScope::All, 0)),
        (json!({ "tokenId": "5", "scope": "read" }), limited(TokenScope::Read, 0)),
        (json!({ "tokenId": "5", "scope": "launch", "workspaceId": "42" }), limited(TokenScope::Launch, 42)),
        (json!({ "tokenId": "5" }), Err(403)),
        (json!({ "tokenId": "5", "workspaceId": "42" }), Err(403)),
        (json!({ "tokenId": "5", "scope": null }), Err(403)),
        (json!({ "tokenId": "5", "scope": "" }), Err(403)),
        (json!({ "tokenId": "5", "scope": "All" }), Err(403)),
        (json!({ "tokenId": "5", "scope": "all", "workspaceId": "" }), Err(403)),
        (json!({ "tokenId": "5", "scope": "all", "workspaceId": "0" }), Err(403)),
        (json!({ "tokenId": "5", "scope": "all", "workspaceId": "x" }), Err(403)),
        (json!({ "scope": "all" }), Err(403)),
        (json!({ "workspaceId": "42" }), Err(403)),
    ] {
        let mut context = limits.clone();
        context["userId"] = json!("17");
        let event = json!({ "requestContext": { "authorizer": { "lambda": context } } });
        assert_eq!(outcome(request(Operation::DescribeUser, &event).actor()), expected, "{limits}");
    }
}

#[test]
fn a_token_is_refused_where_its_scope_does_not_have_the_operation() {
    let by = |operation: Operation, scope: TokenScope| {
        let lambda = json!({ "userId": "17", "tokenId": "5", "scope": scope });
        request(operation, &json!({ "requestContext": { "authorizer": { "lambda": lambda } } })).actor()
    };
    for operation in Operation::ALL.iter().filter(|it| it.credential() == Credential::User) {
        for scope in TokenScope::ALL {
            let expected = operation.scopes().contains(&scope);
            let case = format!("{} with {scope}", operation.id());
            match by(*operation, scope) {
                Ok(actor) => assert!(expected && actor.scope == scope, "{case}"),
                Err(problem) => {
                    assert!(!expected && problem.status() == 403, "{case}: {}", problem.message());
                }
            }
        }
    }
    for (operation, scope, needs) in [
        (
            Operation::ListPipelineSecrets,
            TokenScope::Launch,
            "launch, and this operation needs the scope all or read.",
        ),
        (Operation::LaunchRun, TokenScope::Read, "read, and this operation needs the scope all or launch."),
        (Operation::CreateToken, TokenScope::Launch, "launch, and this operation needs the scope all."),
    ] {
        let refused = by(operation, scope).unwrap_err();
        let text = format!("The token of this request does not allow this: it has the scope {needs}");
        assert_eq!(refused.message(), text);
    }
}

#[test]
fn a_new_login_is_refused_with_instructions_to_register() {
    for (sign_up, words) in [
        ("true", "Call GET /user-info once"),
        ("false", "Ask an operator to declare it: issuer https://i.example, subject s"),
    ] {
        let lambda = json!({ "issuer": "https://i.example", "subject": "s", "signUp": sign_up });
        let event = json!({ "requestContext": { "authorizer": { "lambda": lambda } } });
        let refused = request(Operation::ListRuns, &event).actor().unwrap_err();
        assert_eq!(refused.status(), 403);
        assert!(refused.message().contains(words), "{}", refused.message());
    }
}

#[test]
fn the_workspace_is_a_number_and_a_misspelt_parameter_is_refused() {
    for (query, expected) in [
        (Value::Null, Ok(None)),
        (json!({}), Ok(None)),
        (json!({ "max": "5", "workspaces": "42" }), Ok(None)),
        (json!({ "workspaceId": "42" }), Ok(Some(42))),
        (json!({ "workspaceId": "42", "workspace": "43" }), Err(400)),
        (json!({ "workspaceId": "9007199254740991" }), Ok(Some(9_007_199_254_740_991))),
        (json!({ "workspaceId": "9007199254740992" }), Err(404)),
        (json!({ "workspaceId": "0" }), Err(404)),
        (json!({ "workspaceId": "-42" }), Err(400)),
        (json!({ "workspaceId": "+42" }), Err(400)),
        (json!({ "workspaceId": "042" }), Err(400)),
        (json!({ "workspaceId": "00" }), Err(400)),
        (json!({ "workspaceId": "\u{664}\u{662}" }), Err(400)),
        (json!({ "workspaceId": "" }), Err(400)),
        (json!({ "workspaceId": "hidden" }), Err(400)),
        (json!({ "workspaceId": " 42" }), Err(400)),
        (json!({ "workspaceId": "42,42" }), Err(400)),
        (json!({ "workspaceId": "4.2" }), Err(400)),
        (json!({ "workspaceId": "99999999999999999999" }), Err(400)),
        (json!({ "workspace": "42" }), Err(400)),
        (json!({ "workspaceid": "42" }), Err(400)),
        (json!({ "workspace_id": "42" }), Err(400)),
        (json!({ "WORKSPACE-ID": "" }), Err(400)),
    ] {
        let workspace = with_query(&query).workspace();
        if let Err(problem) = &workspace {
            let message = problem.message();
            assert!(!message.contains("hidden"), "{query}: {message}");
            assert!(problem.status() == 404 || message.contains("workspaceId"), "{query}: {message}");
        }
        let number = workspace.map(|workspace| workspace.map(WorkspaceId::number));
        assert_eq!(outcome(number), expected, "{query}");
    }
}

/// Seqera Platform's clients send parameters that this service does not have. A misspelled
/// parameter must never select more than the parameter does.
#[test]
fn a_misspelt_query_parameter_is_refused_on_every_operation_but_nextflows() {
    for operation in Operation::ALL {
        let outcome = |name: &str| {
            let query = json!({ "queryStringParameters": { name: "1" } });
            outcome(request(*operation, &query).check_query())
        };
        let refused = |strict: bool| if strict { Err(400) } else { Ok(()) };
        for name in [operation.query(), &["workspaceId"]].concat() {
            assert_eq!(outcome(name), Ok(()), "{}: {name}", operation.id());
            let misspelled = operation.unknown_names() != UnknownNames::Ignored;
            for name in [name.to_uppercase(), format!("{name}_"), format!("_{name}"), format!(" {name}")] {
                assert_eq!(outcome(&name), refused(misspelled), "{}: {name}", operation.id());
            }
        }
        let strict = operation.unknown_names() == UnknownNames::Refused;
        assert_eq!(outcome("unknown"), refused(strict), "{}", operation.id());
    }
}

#[test]
fn a_query_parameter_without_a_value_is_present_and_empty() {
    for (query, expected) in
        [(Value::Null, None), (json!({ "other": "1" }), None), (json!({ "name": "" }), Some(""))]
    {
        assert_eq!(with_query(&query).query("name"), expected, "{query}");
    }
    assert_eq!(with_query(&json!({ "name": "AB" })).query("name"), Some("AB"));
}

#[test]
fn a_secret_id_must_be_a_number_and_out_of_range_is_not_found() {
    for (text, expected) in [
        ("1", Ok(1)),
        ("9007199254740991", Ok(9_007_199_254_740_991)),
        ("9007199254740992", Err(404)),
        ("0", Err(404)),
        ("-1", Err(400)),
        ("+1", Err(400)),
        ("01", Err(400)),
        ("1 ", Err(400)),
        ("\u{661}", Err(400)),
        ("validate", Err(501)),
        ("import", Err(501)),
        ("", Err(400)),
        ("NCBI_API_KEY", Err(400)),
        ("1.5", Err(400)),
        ("99999999999999999999", Err(400)),
    ] {
        let path = json!({ "pathParameters": { "secretId": text } });
        let id = request(Operation::DescribePipelineSecret, &path).secret_id();
        assert_eq!(outcome(id.map(SecretId::number)), expected, "{text}");
    }
}

#[test]
fn a_malformed_run_id_is_not_found() {
    for (parameters, expected) in [
        (json!({ "workflowId": "0a1bABCDEFGHIJ" }), Ok("0a1bABCDEFGHIJ")),
        (json!({ "workflowId": "0a1bABCDEFGHI" }), Err(404)),
        (json!({ "workflowId": "0a1bABCDEFGH-J" }), Err(404)),
        (json!({ "runId": "0a1bABCDEFGHIJ" }), Err(404)),
        (Value::Null, Err(404)),
    ] {
        let id = request(Operation::DescribeRun, &json!({ "pathParameters": parameters })).run_id();
        let id = outcome(id);
        assert_eq!(id.as_ref().map(RunId::as_str).map_err(|status| *status), expected, "{parameters}");
    }
}

#[test]
fn a_missing_authorization_header_is_401_and_an_unreadable_one_403() {
    for (header, expected) in [
        (None, Err(401)),
        (Some(""), Err(403)),
        (Some("Bearer"), Err(403)),
        (Some("Digest hidden"), Err(403)),
        (Some("Bearer claim-token"), Ok("claim-token")),
    ] {
        let presented = with_header("authorization", header).presented();
        let key = outcome(presented).map(|presented| match presented {
            PresentedToken::Opaque(key) => key.expose().to_owned(),
            _ => "another kind of token".to_owned(),
        });
        assert_eq!(key, expected.map(str::to_owned), "{header:?}");
    }
}

#[test]
fn if_match_is_a_version_or_any_and_otherwise_412() {
    for (header, expected) in [
        (None, Ok(None)),
        (Some("*"), Ok(None)),
        (Some(" * "), Ok(None)),
        (Some("\"3\""), Ok(Some(3))),
        (Some("3"), Ok(Some(3))),
        (Some(" \"18446744073709551615\" "), Ok(Some(u64::MAX))),
        (Some("\"18446744073709551616\""), Err(412)),
        (Some(""), Err(412)),
        (Some("\"\""), Err(412)),
        (Some("W/\"3\""), Err(412)),
        (Some("\"3\", \"4\""), Err(412)),
        (Some("\"-3\""), Err(412)),
    ] {
        let version = with_header("if-match", header).if_version();
        assert_eq!(outcome(version), expected, "{header:?}");
    }
}

#[test]
fn a_header_is_returned_unchanged() {
    for value in [None, Some(""), Some("0b6bd7a5-6f0e-4f2a-9a38-3b0a8f6f2a10")] {
        let request = with_header("idempotency-key", value);
        assert_eq!(request.idempotency_key(), value);
        assert_eq!(request.header("if-match"), None, "another header");
    }
}

#[test]
fn plain_text_is_answered_only_if_accept_names_it_and_not_json() {
    for (accept, expected) in [
        (None, false),
        (Some("*/*"), false),
        (Some("text/html"), false),
        (Some("application/json"), false),
        (Some("application/json, text/plain, */*"), false),
        (Some("text/plain"), true),
        (Some("text/plain; charset=utf-8"), true),
    ] {
        assert_eq!(with_header("accept", accept).wants_text(), expected, "{accept:?}");
    }
}

#[test]
fn a_media_type_is_compared_without_its_parameters_and_case() {
    for (header, expected) in [
        (None, ""),
        (Some("text/plain"), "text/plain"),
        (Some(" Text/Plain ; charset=utf-8; boundary=x"), "text/plain"),
    ] {
        assert_eq!(with_header("content-type", header).content_type(), expected, "{header:?}");
    }
}

#[test]
fn a_month_has_one_form_and_defaults_to_the_current_one() {
    let now = at("2026-10-31T23:59:59Z");
    for (month, expected) in [
        (None, Some("2026-10")),
        (Some("2026-01"), Some("2026-01")),
        (Some("0000-12"), Some("0000-12")),
        (Some(""), None),
        (Some("2026-00"), None),
        (Some("2026-13"), None),
        (Some("2026-1"), None),
        (Some("2026-1x"), None),
        (Some("2026-010"), None),
        (Some("2026/01"), None),
        (Some("2026001"), None),
        (Some("x026-01"), None),
        (Some("202é-01"), None),
        (Some("20é-01"), None),
        (Some("2026-01-01"), None),
    ] {
        let query = month.map_or_else(|| json!({}), |month| json!({ "month": month }));
        let read = with_query(&query).month(now);
        if let Err(problem) = &read {
            assert!(problem.message().contains("month"), "{month:?}: {}", problem.message());
        }
        assert_eq!(outcome(read), expected.map(str::to_owned).ok_or(400), "{month:?}");
    }
}

#[test]
fn a_flag_is_true_or_false_and_false_if_it_is_absent() {
    for (text, expected) in [
        (None, Ok(false)),
        (Some("false"), Ok(false)),
        (Some("true"), Ok(true)),
        (Some(""), Err(400)),
        (Some("1"), Err(400)),
        (Some("True"), Err(400)),
    ] {
        let query = text.map_or_else(|| json!({}), |text| json!({ "force": text }));
        assert_eq!(outcome(with_query(&query).flag("force")), expected, "{text:?}");
    }
}

#[test]
fn a_limit_is_a_number_from_1_to_the_maximum() {
    for (text, expected) in [
        (None, Ok(50)),
        (Some("1"), Ok(1)),
        (Some("2"), Ok(2)),
        (Some("100"), Ok(100)),
        (Some("101"), Err(400)),
        (Some("0"), Err(400)),
        (Some("-1"), Err(400)),
        (Some("+1"), Err(400)),
        (Some("01"), Err(400)),
        (Some(""), Err(400)),
        (Some("hidden"), Err(400)),
        (Some("4294967296"), Err(400)),
    ] {
        let query = text.map_or_else(|| json!({}), |text| json!({ "max": text }));
        let limit = with_query(&query).limit("max", 50, 100);
        if let Err(problem) = &limit {
            let message = problem.message();
            assert!(message.contains("max") && !message.contains("hidden"), "{text:?}: {message}");
        }
        assert_eq!(outcome(limit), expected, "{text:?}");
    }
}
