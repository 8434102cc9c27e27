//! Where values, tokens and markup must not appear.

use end_to_end::{MARK, encodings};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Steps as _, text};

pub(crate) async fn markup_stays_text(fixture: &Fixture) {
    const MARKUP: &str = "<img src=x onerror=\"document.title='hacked'\"><b>bold</b>";
    let path = format!("/pipeline-secrets?workspaceId={}", fixture.workspace);
    let body = json!({"name": "WITH_MARKUP", "value": "x", "description": MARKUP});
    assert_eq!(fixture.call(fixture.token("olivia"), "POST", &path, &body).await.0, 200);
    let (status, _) =
        fixture.call(fixture.token("olivia"), "POST", "/tokens", &json!({"name": "<i>token</i>"})).await;
    assert_eq!(status, 200);
    let page = fixture.view("olivia", "Secrets").await;
    page.sees(MARKUP).await;
    page.click("Replace WITH_MARKUP").await;
    page.click("Cancel").await;
    let message = json!({"message": MARKUP}).to_string();
    fixture.proxy.fail_next("GET /runs?", console_tests::Fault::Answer(500, None, message));
    page.click("Runs").await;
    page.sees(MARKUP).await;
    page.click("Tokens").await;
    page.sees("<i>token</i>").await;
    page.click("Revoke <i>token</i>").await;
    page.click("Revoke").await;
    page.sees_no_more("Revoke <i>token</i>").await;
    // The service refuses characters that change the direction of text; rows of an earlier version
    // can have them.
    let bidi = json!({"name": "BIDI", "value": "x", "description": "a\u{202e}b"});
    assert_eq!(fixture.call(fixture.token("olivia"), "POST", &path, &bidi).await.0, 400);
    let row = json!({"id": 1, "name": "BIDI", "description": "safe\u{202e}\u{0}evil", "lastUsed": null,
        "dateCreated": "2026-01-01T00:00:00Z", "lastUpdated": "2026-01-01T00:00:00Z"});
    let list = json!({"totalSize": 1, "pipelineSecrets": [row]}).to_string();
    fixture.proxy.fail_next("GET /pipeline-secrets?", console_tests::Fault::Answer(200, None, list));
    page.click("Workspaces").await;
    page.click_workspace().await;
    page.sees("safe\u{fffd}\u{fffd}evil").await;
    page.click("Tokens").await;
    page.sees("personal access tokens").await;
    let script = "return document.querySelectorAll('main img, main b, main i, dialog img, dialog b').length + ' ' + document.title";
    assert_eq!(fixture.browser.run(script, &[]).await, "0 Tokens – Pipeline Secrets");
}

/// Runs last: it looks at what all tests left behind.
pub(crate) async fn no_value_is_left_anywhere_and_no_other_origin_is_called(fixture: &Fixture) {
    // The page in which values were typed last, the storage, the history and the address.
    let page = fixture.view("olivia", "Import").await;
    page.set("File content", &format!("LEFT_ON_PAGE={MARK}")).await;
    page.sees("1 secret in the file.").await;
    page.click("Import secrets").await;
    page.sees("Imported 1 secret.").await;
    let page_state = "return JSON.stringify([document.documentElement.outerHTML, [...document.querySelectorAll('input, textarea, select')].map((one) => one.value), {...sessionStorage}, {...localStorage}, document.cookie, location.href, history.state, performance.getEntries().map((one) => one.name)])";
    let mut places = vec![("the page".to_owned(), text(&fixture.browser.run(page_state, &[]).await))];
    let stored = "return (async () => JSON.stringify([await caches.keys(), await indexedDB.databases(), (await navigator.serviceWorker.getRegistrations()).length]))()";
    assert_eq!(fixture.browser.run(stored, &[]).await, "[[],[],0]");
    let history = fixture.browser.devtools("Page.getNavigationHistory", &json!({})).await;
    places.push(("the history".to_owned(), history.to_string()));

    fixture.keep_log().await;
    let (mut sent_values, mut requests) = (0, 0);
    for entry in fixture.logged() {
        let message = text(&entry["message"]);
        let event: Value = serde_json::from_str(&message).unwrap_or_default();
        let event = &event["message"];
        if event["method"].is_null() {
            // The browser's console.
            let policy = ["Content Security Policy", "Trusted", "violates", "Permissions-Policy", "Uncaught"];
            assert!(!policy.iter().any(|word| message.contains(word)), "{message}");
            places.push(("the browser's console".to_owned(), message));
        } else if event["method"] == "Network.requestWillBeSent" {
            requests += 1;
            let url = text(&event["params"]["request"]["url"]);
            let ours = format!("{}/", fixture.proxy.endpoint);
            // The browser draws its own icons, such as that of a date field, from data.
            let known = [ours.as_str(), "about:", "blob:", "data:"];
            // People sign in on the pages of their provider. Of it, the console itself calls only
            // the token endpoint.
            let at_provider = fixture.provider.as_ref().is_some_and(|provider| {
                let page = event["params"]["documentURL"].as_str().unwrap_or_default();
                page.starts_with(&provider.issuer) || url == format!("{}/token", provider.issuer)
            });
            assert!(
                at_provider || known.iter().any(|origin| url.starts_with(*origin)),
                "a request to another origin: {url}"
            );
            places.push(("an address".to_owned(), url));
        }
    }
    let tokens = ["olivia", "liam", "vera"].map(|name| fixture.token(name).to_owned());
    for sent in fixture.proxy.sent() {
        let stores = [
            "POST /pipeline-secrets?",
            "POST /pipeline-secrets ",
            "PUT /pipeline-secrets/",
            "POST /pipeline-secrets/import",
        ];
        if sent.body.contains(MARK) && stores.iter().any(|line| format!("{} ", sent.line).starts_with(line)) {
            sent_values += 1;
        } else {
            places.push((format!("the body of {}", sent.line), sent.body.clone()));
        }
        let headers = sent.headers.lines().filter(|line| !line.to_lowercase().starts_with("authorization: "));
        places.push((
            "a line or header".to_owned(),
            format!("{}\n{}", sent.line, headers.collect::<Vec<_>>().join("\n")),
        ));
        // The provider's page sends its own address when it sends the user back.
        let from_elsewhere = sent.line.starts_with("GET /console?");
        let referer = sent.header("referer").is_empty() || from_elsewhere;
        assert!(sent.header("cookie").is_empty() && referer, "{}", sent.line);
    }
    assert!(sent_values > 8, "{sent_values} requests with values: the tests did not type them");
    assert!(requests > 100, "the browser logged only {requests} requests");
    for (place, content) in places {
        let value = encodings().into_iter().find(|form| content.contains(form.as_str()));
        assert!(value.is_none(), "{place} contains a value");
        assert!(!tokens.iter().any(|token| content.contains(token)), "{place} contains a token");
    }
}
