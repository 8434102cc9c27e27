use serde_json::{Value, json};

use super::*;

fn ask_of(providers: Providers, payload: &RawValue) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    serde_json::from_str(runtime.block_on(Console::new(providers).answer(payload)).get()).unwrap()
}

fn ask(event: &Value) -> Value {
    let payload = serde_json::value::to_raw_value(event).unwrap();
    ask_of(Providers::default(), &payload)
}

fn file(path: &str) -> Value {
    ask(&json!({"pathParameters": {"proxy": path}, "headers": {"x-forwarded-proto": "https"}}))
}

#[test]
fn the_page_is_not_cached_and_its_files_are_cached_forever() {
    let page = ask(&json!({"headers": {}}));
    assert_eq!(page["statusCode"], 200);
    assert_eq!(page["headers"]["cache-control"], "no-store");
    assert_eq!(page["headers"]["content-type"], "text/html; charset=utf-8");
    let body = page["body"].as_str().unwrap();
    assert!(!body.contains("@VERSION@"), "the page names the folder of its files");
    assert!(body.contains("<meta name=\"providers\" content=\"[]\">"), "the page offers no provider");
    let version = Console::new(Providers::default()).version;
    for (name, kind, content) in FILES {
        let answer = file(&format!("{version}/{name}"));
        assert_eq!(answer["statusCode"], 200, "{name}");
        assert_eq!(answer["headers"]["cache-control"], IMMUTABLE, "{name}");
        assert_eq!(answer["headers"]["content-type"], *kind, "{name}");
        assert_eq!(answer["body"], *content, "{name}");
        assert!(body.contains(&format!("\"console/{version}/{name}\"")), "the page does not load {name}");
    }
}

#[test]
fn every_answer_has_the_strict_headers() {
    let version = Console::new(Providers::default()).version;
    for answer in [ask(&json!({})), file(&format!("{version}/main.js")), file("x/main.js")] {
        let headers = &answer["headers"];
        let policy = headers["content-security-policy"].as_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("require-trusted-types-for 'script'"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        assert!(headers["permissions-policy"].as_str().unwrap().contains("camera=()"));
    }
}

#[test]
fn browsers_require_https_only_where_the_request_came_over_https() {
    let over = |scheme: &str| ask(&json!({"headers": {"x-forwarded-proto": scheme}}))["headers"].clone();
    assert_eq!(over("https")["strict-transport-security"], "max-age=31536000");
    assert!(over("http")["strict-transport-security"].is_null());
}

#[test]
fn other_paths_and_events_do_not_exist() {
    let version = Console::new(Providers::default()).version;
    for path in [
        "",
        "/",
        &version,
        "main.js",
        "0/main.js",
        &format!("{version}/../main.js"),
        &format!("{version}main.js"),
    ] {
        let answer = file(path);
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(404), &json!("Not Found\n")), "{path}");
        assert_eq!(answer["headers"]["cache-control"], "no-store", "{path}");
    }
    assert_eq!(ask(&json!([]))["statusCode"], 200, "an event without a path is for the page");
}

#[test]
fn the_files_are_small_enough_to_be_read() {
    let bytes: usize = FILES.iter().map(|(.., content)| content.len()).sum::<usize>() + PAGE.len();
    assert!(bytes <= 100 * 1024, "{bytes} bytes");
    // The page and its files in two rounds.
    assert!(FILES.len() <= 12);
}

#[test]
fn no_file_has_markup_in_script_or_another_origin() {
    for (name, _, content) in FILES.iter().chain([&("console.html", "", PAGE)]) {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "localStorage",
            "document.cookie",
            "console.log",
        ] {
            assert!(!content.contains(forbidden), "{name} contains {forbidden}");
        }
        let allowed = content.replace("http://www.w3.org/2000/svg", "");
        assert!(!allowed.contains("http://") && !allowed.contains("https://"), "{name} names another origin");
    }
}

fn people(issuer: &str) -> Providers {
    let declared =
        json!([{"issuer": issuer, "audience": "secrets", "kind": "people", "clientId": "a\"<b>&"}]);
    Providers::of(domain::issuer::Issuers::parse(&declared.to_string()).unwrap().all())
}

fn page_with(providers: Providers) -> (String, String) {
    let payload = serde_json::value::to_raw_value(&json!({"headers": {}})).unwrap();
    let page = ask_of(providers, &payload);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&page["body"]), text(&page["headers"]["content-security-policy"]))
}

#[test]
fn a_provider_that_does_not_answer_is_shown_as_such_and_the_page_is_served() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (body, policy) = page_with(people(&issuer));
    let offer = format!("[{{&quot;issuer&quot;:&quot;{issuer}&quot;,&quot;signIn&quot;:null}}]");
    assert!(body.contains(&offer), "{body}");
    assert!(policy.ends_with("connect-src 'self'"), "{policy}");
}

#[test]
fn the_policy_gains_only_the_origin_of_the_token_endpoint_and_a_client_id_stays_text() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (body, policy, origin) = runtime.block_on(async {
        let issuer = support::oidc::Issuer::start(&[]).await;
        let payload = serde_json::value::to_raw_value(&json!({"headers": {}})).unwrap();
        let page: Value =
            serde_json::from_str(Console::new(people(&issuer.url)).answer(&payload).await.get()).unwrap();
        let origin = issuer.url.trim_end_matches("/realms/lab").to_owned();
        (
            page["body"].as_str().unwrap().to_owned(),
            page["headers"]["content-security-policy"].clone(),
            origin,
        )
    });
    assert!(policy.as_str().unwrap().ends_with(&format!("; connect-src 'self' {origin}")), "{policy}");
    assert!(body.contains("a\\&quot;&lt;b&gt;&amp;") && !body.contains("<b>"), "{body}");
    assert!(body.contains("&quot;authorize&quot;"), "{body}");
}
