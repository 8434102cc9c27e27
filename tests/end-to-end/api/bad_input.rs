//! Invalid names, values, bodies, ids and content types get the right status, change nothing and
//! are never echoed, including through the gateway's encodings. Only a few of each kind are tested
//! here. The unit tests in `shared/domain` and `shared/http` are complete.

use end_to_end::{ApiRequest, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::secrets::created;
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        an_invalid_name_is_rejected_on_every_path,
        a_reserved_name_is_rejected_in_any_case,
        a_value_that_is_not_a_string_is_never_coerced,
        values_over_a_limit_are_rejected_and_values_at_it_arrive_unchanged,
        awkward_values_arrive_unchanged_in_both_layouts,
        a_malformed_body_is_rejected_with_its_position,
        a_body_of_another_content_type_is_rejected,
        an_oversized_body_is_rejected,
        a_non_numeric_id_gives_400_and_an_unknown_id_404,
        invalid_query_parameters_are_rejected,
        an_invalid_idempotency_key_is_rejected,
        other_origins_get_no_cors_headers,
    ]
}

async fn world() -> World {
    World::make(harness().await).await
}

/// Sends each request as the owner. Checks the status, that the message contains the words, and
/// that nothing changed.
async fn rejected(world: &World, cases: Vec<(ApiRequest, u16, &str)>) {
    let before = world.rows().await;
    for (request, status, words) in cases {
        let description = format!("{request:?}").chars().take(300).collect::<String>();
        let answer = world.caller("owner").send(request).await;
        assert_eq!(answer.status, status, "{description}: {answer:?}");
        let message = answer.problem(status);
        assert!(message.contains(words), "{description}: {message}");
    }
    assert_eq!(world.rows().await, before);
}

fn create(world: &World, body: impl Into<Vec<u8>>) -> ApiRequest {
    ApiRequest::new("POST", world.inside("/pipeline-secrets")).body("application/json", body)
}

async fn an_invalid_name_is_rejected_on_every_path() {
    let world = world().await;
    let mut cases = Vec::new();
    // JSON, query strings and the gateway encode these differently.
    for name in ["A-B", "\u{ff21}1", "A\u{200b}B", "a/b", "a=b", "AB\n", "A\u{0}B"] {
        let body = json!({"name": name, "value": MARK}).to_string();
        cases.push((create(&world, body), 400, "Invalid secret name: it "));
        let import =
            ApiRequest::post(world.inside("/pipeline-secrets/import"), &json!({"GOOD": MARK, name: MARK}));
        cases.push((import, 400, "Invalid secret name: it "));
        let query = url_encoded(name);
        let validate = ApiRequest::get(world.inside(&format!("/pipeline-secrets/validate?name={query}")));
        cases.push((validate, 400, "Invalid secret name: it "));
        let launch = json!({"platform": "aws-batch", "workspaceSecrets": [name]});
        cases.push((ApiRequest::post(world.inside("/launches"), &launch), 400, "Invalid secret name: it "));
    }
    rejected(&world, cases).await;
}

async fn a_reserved_name_is_rejected_in_any_case() {
    let world = world().await;
    let case = |name: &str| {
        let words = "is reserved for shells and runtimes";
        (create(&world, json!({"name": name, "value": MARK}).to_string()), 400, words)
    };
    // The last name depends on a setting of the deployment.
    let names = ["PATH", "ld_preload", "AWS_ACCESS_KEY_ID"];
    rejected(&world, names.map(case).into()).await;
}

async fn a_value_that_is_not_a_string_is_never_coerced() {
    let world = world().await;
    let id = world.secret("KEPT", "kept").await;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    let mut cases = Vec::new();
    for value in [json!(1), json!({MARK: MARK}), Value::Null] {
        cases.push((create(&world, json!({"name": "AB", "value": value}).to_string()), 400, "`value`"));
        cases.push((ApiRequest::put(&one, &json!({"value": value})), 400, "`value`"));
        let import = ApiRequest::post(world.inside("/pipeline-secrets/import"), &json!({"AB": value}));
        cases.push((import, 400, "Entry 1: the value must be"));
    }
    rejected(&world, cases).await;
}

async fn values_over_a_limit_are_rejected_and_values_at_it_arrive_unchanged() {
    let world = world().await;
    let largest = format!("{MARK}{}{}", "é".repeat(10_000), "x".repeat(12_768 - MARK.len()));
    assert_eq!(largest.len(), 32_768);
    // In a JSON string, a control character takes six bytes and the quotes take two.
    let plain = 60_000 - 2 - MARK.len();
    let widest = format!("{MARK}{}{}", "\u{1}".repeat(plain / 6), "x".repeat(plain % 6));
    let value = |value: &str| json!({"name": "AB", "value": value}).to_string();
    // API Gateway converts bodies with a text content type to text, whatever their bytes are.
    let bytes = [br#"{"name":"AB","value":""#.as_slice(), &[0xff, 0xfe], br#""}"#].concat();
    let not_unicode = |media: &'static str| {
        ApiRequest::new("POST", world.inside("/pipeline-secrets")).body(media, bytes.clone())
    };
    let env = ApiRequest::new("POST", world.inside("/pipeline-secrets/import"))
        .body("text/plain", b"AB=\xe9t\xe9\n".to_vec());
    rejected(
        &world,
        vec![
            (create(&world, value(&format!("{largest}x"))), 413, "maximum is 32768 bytes"),
            (create(&world, value(&format!("{widest}x"))), 413, "at most 60000 bytes"),
            (create(&world, format!(r#"{{"name":"AB","value":"{MARK}\ud800"}}"#)), 400, "`value`"),
            (create(&world, format!(r#"{{"name":"AB","value":"{MARK}\udc00\ud800"}}"#)), 400, "`value`"),
            (not_unicode("application/vnd.example+json"), 400, "UTF-8"),
            (not_unicode("application/json"), 400, "UTF-8"),
            (env, 400, "UTF-8"),
        ],
    )
    .await;
    values_arrive(&world, "per-name", &[largest.clone(), widest.clone()]).await;
    values_arrive(&world, "bundle", &[largest, widest]).await;
}

async fn awkward_values_arrive_unchanged_in_both_layouts() {
    let world = world().await;
    let values: Vec<String> = [
        "x",
        "\n",
        "\n\n\r\n",
        " x ",
        "\u{feff}bom",
        "\u{2028}\u{2029}",
        "SECRET_0",
        "FOO=bar SECRET_1=x",
        "\";touch x;\"",
        "`id` $(id) $HOME ${HOME}",
        "\\n\\\\ \\\" \" '",
        "0123",
        "true",
        "{\"a\": 1}",
        "\u{1}\u{1f}\u{7f}\u{80}\u{10ffff}",
        "é€😀",
    ]
    .map(|value| if value.len() > 3 { format!("{value}{MARK}") } else { value.to_owned() })
    .into();
    values_arrive(&world, "per-name", &values).await;
    values_arrive(&world, "bundle", &values).await;
}

/// Stores the values, launches a run, and compares the copies in the account.
async fn values_arrive(world: &World, layout: &str, values: &[String]) {
    let owner = world.caller("owner");
    let names: Vec<_> =
        (0..values.len()).map(|at| format!("SECRET_{at}_{}", layout.replace('-', "_"))).collect();
    for (name, value) in names.iter().zip(values) {
        world.secret(name, value).await;
    }
    let body =
        json!({"platform": "aws-batch", "layout": layout, "userSecrets": [], "workspaceSecrets": names});
    let launched = owner.post(world.inside("/launches"), &body).await.json();
    let run = launched["workflowId"].as_str().expect("an id");
    let receipt = owner.get(world.inside(&format!("/runs/{run}"))).await.json();
    let mut arrived = serde_json::Map::new();
    for copy in receipt["copies"].as_array().expect("copies") {
        let copy = copy.as_str().expect("a name");
        let text = world.harness.copy(copy).await.expect("a copy");
        match copy.split_once('/') {
            Some((_, name)) => drop(arrived.insert(name.to_owned(), text.into())),
            None => arrived.extend(serde_json::from_str::<serde_json::Map<_, _>>(&text).expect("JSON")),
        }
    }
    assert_eq!(arrived.len(), values.len());
    for (name, value) in names.iter().zip(values) {
        assert!(arrived[name] == json!(value), "{name} of {} bytes arrived changed", value.len());
    }
}

async fn a_malformed_body_is_rejected_with_its_position() {
    let world = world().await;
    let id = world.secret("KEPT", "kept").await;
    let paths = [
        ("POST", world.inside("/pipeline-secrets")),
        ("PUT", world.inside(&format!("/pipeline-secrets/{id}"))),
        ("POST", world.inside("/pipeline-secrets/import")),
        ("POST", world.inside("/launches")),
        ("POST", world.inside("/launches/preview")),
        ("POST", "/tokens".to_owned()),
        ("PUT", world.below("/platforms")),
        ("PUT", world.below("/participants/add")),
    ];
    let broken = format!(r#"{{"value":"{MARK}""#);
    let mut cases: Vec<_> = paths
        .iter()
        .map(|(method, path)| {
            let request = ApiRequest::new(method, path).body("application/json", broken.clone());
            (request, 400, "at line 1, column")
        })
        .collect();
    let secret = format!(r#"{{"name":"AB","value":"{MARK}"}}"#);
    let bodies: [(Vec<u8>, &str); 4] = [
        (Vec::new(), "body is missing"),
        (format!("[{secret}]").into(), "must be a JSON object"),
        (format!("\u{feff}{secret}").into(), "at line 1, column"),
        ("[".repeat(100_000).into(), "Malformed body"),
    ];
    cases.extend(bodies.map(|(body, words)| (create(&world, body), 400, words)));
    rejected(&world, cases).await;
}

async fn a_body_of_another_content_type_is_rejected() {
    let world = world().await;
    let id = world.secret("KEPT", "kept").await;
    let body = json!({"name": "AB", "value": MARK}).to_string();
    let mut cases = Vec::new();
    // Text, and a type that the gateway encodes in base64.
    for other in ["text/plain", "multipart/form-data; boundary=x"] {
        for (method, path) in [
            ("POST", world.inside("/pipeline-secrets")),
            ("PUT", world.inside(&format!("/pipeline-secrets/{id}"))),
            ("POST", world.inside("/launches")),
        ] {
            let request = ApiRequest::new(method, &path).body(other, body.clone());
            cases.push((request, 415, "application/json"));
        }
    }
    let csv = ApiRequest::new("POST", world.inside("/pipeline-secrets/import")).body("text/csv", body);
    cases.push((csv, 415, "application/json"));
    rejected(&world, cases).await;
    let json = "Application/JSON; charset=UTF-8";
    let request =
        ApiRequest::new("POST", world.inside("/pipeline-secrets")).body(json, r#"{"name":"AB","value":"v"}"#);
    created(&world.caller("owner").send(request).await);
}

async fn an_oversized_body_is_rejected() {
    let world = world().await;
    let padded = |bytes: usize| {
        let head = format!(r#"{{"name":"AB","value":"v","padding":"{MARK}"#);
        format!("{head}{}\"}}", "x".repeat(bytes - head.len() - 2))
    };
    let import = |body: String| {
        ApiRequest::new("POST", world.inside("/pipeline-secrets/import")).body("text/plain", body)
    };
    let comment = |bytes: usize| format!("AC=v\n#{}", "x".repeat(bytes - 6));
    rejected(
        &world,
        vec![
            (create(&world, padded(256 * 1024 + 1)), 413, "at most 256 KiB"),
            (create(&world, padded(3 * 1024 * 1024)), 413, "at most 256 KiB"),
            (import(comment(1024 * 1024 + 1)), 413, "at most 1024 KiB"),
        ],
    )
    .await;
    created(&world.caller("owner").send(create(&world, padded(256 * 1024))).await);
    let _ = world.caller("owner").send(import(comment(1024 * 1024))).await.json();
}

async fn a_non_numeric_id_gives_400_and_an_unknown_id_404() {
    let world = world().await;
    let absent = "Not found: the resource does not exist, or you do not have access to it.";
    let mut cases = Vec::new();
    for (id, status) in [("x", 400), ("%20", 400), ("0", 404)] {
        let words = if status == 400 { "whole number" } else { absent };
        let secret = world.inside(&format!("/pipeline-secrets/{id}"));
        cases.push((ApiRequest::get(&secret), status, words));
        cases.push((ApiRequest::delete(&secret), status, words));
        cases.push((ApiRequest::put(&secret, &json!({"value": MARK})), status, words));
        cases.push((
            ApiRequest::get(world.inside(&format!("/pipeline-secrets/{id}/history"))),
            status,
            words,
        ));
        cases.push((ApiRequest::get(format!("/pipeline-secrets?workspaceId={id}")), status, words));
        cases.push((ApiRequest::post(format!("/launches?workspaceId={id}"), &json!({})), status, words));
        cases.push((ApiRequest::get(format!("/user/{id}/workspaces")), status, words));
        cases.push((ApiRequest::delete(format!("/tokens/{id}")), status, words));
        for path in ["", "/members", "/workspaces"] {
            cases.push((ApiRequest::get(format!("/orgs/{id}{path}")), status, words));
        }
        cases.push((ApiRequest::get(format!("/orgs/{id}/workspaces/{}", world.workspace)), status, words));
        cases.push((ApiRequest::get(format!("/orgs/{}/workspaces/{id}", world.org)), status, words));
        cases.push((ApiRequest::delete(world.below(&format!("/participants/{id}"))), status, words));
    }
    for run in ["ABCDEFGHIJKLMN", "ABCDEFGHIJKLM-"] {
        cases.push((ApiRequest::get(world.inside(&format!("/runs/{run}"))), 404, absent));
    }
    let twice = format!("/pipeline-secrets?workspaceId={0}&workspaceId={0}", world.workspace);
    cases.push((ApiRequest::get(twice), 400, "whole number"));
    // An empty workspaceId does not select the user's secrets.
    let lost = ApiRequest::post("/pipeline-secrets?workspaceId=", &json!({"name": "AB", "value": MARK}));
    cases.push((lost, 400, "workspaceId must be"));
    for name in ["workspaceid", "workspaceId%5B%5D"] {
        let path = format!("/pipeline-secrets?{name}={}", world.workspace);
        cases.push((
            ApiRequest::post(path, &json!({"name": "AB", "value": MARK})),
            400,
            "write `workspaceId`",
        ));
    }
    rejected(&world, cases).await;
}

async fn invalid_query_parameters_are_rejected() {
    let world = world().await;
    let cases = [
        ("/runs?max=101", "max must be a number from 1 to 100"),
        ("/runs?max=", "max must be a number from 1 to 100"),
        ("/runs?state=", "state must be one of"),
        ("/audit-events?month=", "month must have the form"),
        ("/audit-events?month=2026-01%23", "month must have the form"),
    ];
    let mut cases: Vec<_> =
        cases.into_iter().map(|(path, words)| (ApiRequest::get(world.inside(path)), 400, words)).collect();
    cases.push((ApiRequest::get(world.below("/participants?offset=-1")), 400, "whole number"));
    let launch = |body: Value| ApiRequest::post(world.inside("/launches/preview"), &body);
    cases.push((launch(json!({"platform": "k8s"})), 400, "platform must be one of"));
    cases.push((launch(json!({"platform": "lsf"})), 422, "lsf"));
    let many: Vec<_> = (0..10_000).map(|number| format!("NONE_{number}")).collect();
    let many = json!({"platform": "aws-batch", "workspaceSecrets": many});
    cases.push((launch(many), 422, "; and 9980 more."));
    rejected(&world, cases).await;
}

async fn an_invalid_idempotency_key_is_rejected() {
    let world = world().await;
    let mut cases = Vec::new();
    for key in ["fifteen-letters", "sixteen letters and blanks"] {
        let request = create(&world, json!({"name": "AB", "value": MARK}).to_string());
        cases.push((request.header("idempotency-key", key), 400, "Idempotency-Key must have 16 to 256"));
        let launch = ApiRequest::post(world.inside("/launches"), &json!({"platform": "aws-batch"}));
        cases.push((launch.header("idempotency-key", key), 400, "Idempotency-Key must have 16 to 256"));
    }
    rejected(&world, cases).await;
}

async fn other_origins_get_no_cors_headers() {
    let world = world().await;
    for origin in ["https://evil.example", "null"] {
        let requests = [
            ApiRequest::get("/pipeline-secrets").header("origin", origin),
            ApiRequest::get("/pipeline-secrets").header("origin", origin).header("cookie", "session=x"),
            ApiRequest::new("OPTIONS", "/pipeline-secrets")
                .header("origin", origin)
                .header("access-control-request-method", "POST"),
        ];
        for request in requests {
            let answer = world.caller("owner").send(request).await;
            let header = answer.headers.keys().find(|name| name.starts_with("access-control-"));
            assert!(header.is_none(), "{answer:?}");
        }
    }
}

fn url_encoded(text: &str) -> String {
    let encoded: Vec<_> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    encoded.concat()
}
