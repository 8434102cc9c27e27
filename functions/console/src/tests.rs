use serde_json::{Value, json};

use super::*;

fn ask(event: &Value) -> Value {
    let payload = serde_json::value::to_raw_value(event).unwrap();
    serde_json::from_str(Console::new().answer(&payload).get()).unwrap()
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
    let version = Console::new().version;
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
    let version = Console::new().version;
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
    let version = Console::new().version;
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
    assert!(FILES.len() < 12);
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
