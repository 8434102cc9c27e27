use super::*;
use base64::engine::general_purpose::STANDARD;

#[derive(Deserialize)]
struct Body {
    name: String,
}

#[derive(Deserialize)]
struct Anything {}

#[test]
fn a_body_that_is_not_json_by_its_content_type_is_415() {
    for (content_type, expected) in [
        (Some("application/json"), Ok(())),
        (Some("Application/JSON; charset=utf-8"), Ok(())),
        (Some("application/merge-patch+json"), Ok(())),
        (None, Err(415)),
        (Some(""), Err(415)),
        (Some("text/plain"), Err(415)),
        (Some("application/x-www-form-urlencoded"), Err(415)),
        (Some("application/json5"), Err(415)),
        (Some("text/plain; application/json"), Err(415)),
    ] {
        let headers = content_type.map_or_else(|| json!({}), |value| json!({ "content-type": value }));
        let changes = json!({ "headers": headers, "body": "{\"name\": \"AB\"}" });
        let request = request(Operation::CreatePipelineSecret, &changes);
        let expected = expected.map(|()| "AB".to_owned());
        assert_eq!(outcome(request.json().map(|body: Body| body.name)), expected, "{content_type:?}");
        let text = outcome(request.json_text()).map(|text| text.len());
        assert_eq!(text, expected.map(|_| 14), "the text of {content_type:?}");
    }
}

#[test]
fn a_body_arrives_as_the_text_that_was_sent() {
    let encoded = |bytes: &[u8]| json!({ "body": STANDARD.encode(bytes), "isBase64Encoded": true });
    for (case, operation, changes, expected) in [
        ("absent", Operation::LaunchRun, json!({}), Ok("")),
        ("null", Operation::LaunchRun, json!({ "body": null }), Ok("")),
        ("text", Operation::LaunchRun, json!({ "body": "a\n\"ü\"\u{1f511}" }), Ok("a\n\"ü\"\u{1f511}")),
        ("base64", Operation::LaunchRun, encoded("a\nü".as_bytes()), Ok("a\nü")),
        ("U+FFFD sent as base64", Operation::LaunchRun, encoded("\u{fffd}".as_bytes()), Ok("\u{fffd}")),
        (
            "U+FFFD sent as text replaces lost bytes",
            Operation::LaunchRun,
            json!({ "body": "a\u{fffd}" }),
            Err(400),
        ),
        (
            "U+FFFD in a Nextflow message",
            Operation::TraceBegin,
            json!({ "body": "a\u{fffd}" }),
            Ok("a\u{fffd}"),
        ),
        ("not UTF-8", Operation::LaunchRun, encoded(b"a\xff"), Err(400)),
        ("not base64", Operation::LaunchRun, json!({ "body": "-", "isBase64Encoded": true }), Err(400)),
        ("not a string", Operation::LaunchRun, json!({ "body": { "a": 1 } }), Err(400)),
    ] {
        let body = request(operation, &changes).body();
        assert_eq!(outcome(body.map(|text| text.to_string())), expected.map(str::to_owned), "{case}");
    }
}

#[test]
fn a_body_is_accepted_up_to_the_limit_however_it_is_encoded() {
    const LIMIT: usize = 256 * 1024;
    let encoded = |length| json!({ "body": STANDARD.encode("x".repeat(length)), "isBase64Encoded": true });
    let escaped = |length| json!({ "body": "\n".repeat(length) });
    for (case, changes, expected) in [
        ("at the limit", json!({ "body": "x".repeat(LIMIT) }), Ok(LIMIT)),
        ("at the limit, escaped", escaped(LIMIT), Ok(LIMIT)),
        ("at the limit, in base64", encoded(LIMIT), Ok(LIMIT)),
        ("one byte more", json!({ "body": "x".repeat(LIMIT + 1) }), Err(413)),
        ("one byte more, in base64", encoded(LIMIT + 1), Err(413)),
        ("one byte more, escaped", escaped(LIMIT + 1), Err(413)),
        (
            "refused by its length before it is decoded",
            json!({ "body": "-".repeat(9 * LIMIT), "isBase64Encoded": true }),
            Err(413),
        ),
    ] {
        let body = request(Operation::LaunchRun, &changes).body();
        if let Err(problem) = &body {
            assert!(problem.message().contains("at most 256 KiB"), "{case}: {}", problem.message());
        }
        assert_eq!(outcome(body.map(|text| text.len())), expected, "{case}");
    }
}

#[test]
fn a_workspace_id_in_the_body_must_match_the_query() {
    for (query, body, expected) in [
        (json!({}), "{}", Ok(())),
        (json!({}), "{\"workspaceId\": null}", Ok(())),
        (json!({ "workspaceId": "42" }), "{}", Ok(())),
        (json!({ "workspaceId": "42" }), "{\"workspaceId\": 42}", Ok(())),
        (json!({ "workspaceId": "42" }), "{\"workspaceId\": 43}", Err(400)),
        (json!({}), "{\"workspaceId\": 42}", Err(400)),
        (json!({ "workspaceId": "42" }), "{\"workspaceId\": \"42\"}", Err(400)),
        (json!({ "workspaceId": "42" }), "{\"workspaceId\": 42, \"workspaceId\": 42}", Err(400)),
        (json!({ "workspaceId": "hidden" }), "{\"workspaceId\": 42}", Err(400)),
    ] {
        let changes = json!({ "queryStringParameters": query, "body": body });
        let read = request(Operation::LaunchRun, &changes).json().map(|Anything {}| ());
        if let Err(problem) = &read {
            let message = problem.message();
            assert!(message.contains("workspaceId"), "{query} {body}: {message}");
        }
        assert_eq!(outcome(read), expected, "{query} {body}");
        let text = request(Operation::ImportPipelineSecrets, &changes).json_text();
        assert_eq!(outcome(text).map(drop), Ok(()), "a name like any other in a map: {query} {body}");
    }
}

#[test]
fn the_workspace_of_a_new_token_is_in_the_body() {
    for (query, body, expected) in [
        (json!({}), "{}", Ok(())),
        (json!({}), "{\"workspaceId\": 42}", Ok(())),
        (json!({ "workspaceId": "42" }), "{\"workspaceId\": 42}", Ok(())),
        (json!({ "workspaceId": "43" }), "{\"workspaceId\": 42}", Err(400)),
        // The query alone would limit nothing.
        (json!({ "workspaceId": "42" }), "{}", Err(400)),
        (json!({ "workspaceId": "42" }), "{\"workspaceId\": null}", Err(400)),
    ] {
        let changes = json!({ "queryStringParameters": query, "body": body });
        let read = request(Operation::CreateToken, &changes).json().map(|Anything {}| ());
        assert_eq!(outcome(read), expected, "{query} {body}");
    }
}
