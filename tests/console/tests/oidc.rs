//! Sign-in with a real OpenID Connect provider.

use console_tests::{Fault, Page};
use serde_json::{Value, json};

use crate::fixture::{Fixture, text};

/// The button that leads to the provider.
fn button(issuer: &str) -> String {
    format!("Sign in with {}", issuer.trim_start_matches("http://"))
}

/// Opens the console, at a view, in a browser that is not signed in at the provider.
async fn open<'f>(fixture: &'f Fixture, rest: &str) -> Page<'f> {
    fixture.browser.devtools("Network.clearBrowserCookies", &json!({})).await;
    open_again(fixture, rest).await
}

async fn open_again<'f>(fixture: &'f Fixture, rest: &str) -> Page<'f> {
    fixture.browser.open("about:blank").await;
    fixture.browser.open(&format!("{}/console{rest}", fixture.proxy.endpoint)).await;
    fixture.page()
}

/// Signs in at the provider, and consents.
async fn sign_in_at_the_provider(page: &Page<'_>, name: &str) {
    let form = "const login = document.querySelector('[name=login]'); if (!login) return null; login.value = arguments[0]; document.querySelector('[name=password]').value = 'x'; document.querySelector('button[type=submit]').click(); return true";
    page.until("sign in at the provider", form, &[json!(name)]).await;
    consent(page).await;
}

/// Consents, which the provider asks for at each sign-in.
async fn consent(page: &Page<'_>) {
    let consent = "const consent = document.querySelector('[name=prompt][value=consent]'); consent?.form.querySelector('button').click(); return consent && true";
    page.until("consent", consent, &[]).await;
}

/// What the browser keeps: storage, cookies of the console, and its address.
const KEPT: &str =
    "return JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.search])";

pub(crate) async fn people_sign_in_and_return_to_where_they_were(fixture: &Fixture) {
    let Some(provider) = &fixture.provider else { return };
    fixture.keep_log().await;
    let page = open(fixture, "#/me/import").await;
    page.click(&button(&provider.issuer)).await;
    sign_in_at_the_provider(&page, "petra").await;
    page.sees("My secrets: Import").await;
    assert_eq!(fixture.browser.run(KEPT, &[]).await, r#"[{},{},"",""]"#, "the token is in memory only");
    let history = fixture.browser.devtools("Page.getNavigationHistory", &json!({})).await.to_string();
    let console = format!("{}/console?", fixture.proxy.endpoint);
    assert!(!history.contains(&console), "the code left the address: {history}");

    // The service refuses the token, as when it has expired.
    let message = json!({"message": "Forbidden"}).to_string();
    fixture.proxy.fail_next("GET /runs?", Fault::Answer(403, None, message));
    page.click("Runs").await;
    page.sees("The service refused the token").await;
    page.click(&button(&provider.issuer)).await;
    consent(&page).await;
    page.sees("My secrets: Runs").await;
    page.sees("No runs.").await;
    page.click("Sign out").await;
    page.sees("You are signed out.").await;
    only_the_token_endpoint_is_called(fixture, &provider.issuer).await;
}

/// The page itself calls no other origin than the service and the token endpoint.
async fn only_the_token_endpoint_is_called(fixture: &Fixture, issuer: &str) {
    let mut exchanged = 0;
    for entry in fixture.browser.log("performance").await {
        let event: Value = serde_json::from_str(&text(&entry["message"])).unwrap_or_default();
        let (event, ours) = (&event["message"], format!("{}/", fixture.proxy.endpoint));
        let sent = &event["params"];
        let from_page = sent["documentURL"].as_str().is_some_and(|page| page.starts_with(&ours));
        if event["method"] != "Network.requestWillBeSent" || !from_page || sent["type"] == "Document" {
            continue;
        }
        let url = text(&sent["request"]["url"]);
        if url == format!("{issuer}/token") {
            exchanged += 1;
        } else {
            assert!([ours.as_str(), "blob:", "data:"].iter().any(|it| url.starts_with(*it)), "{url}");
        }
    }
    assert_eq!(exchanged, 2, "one exchange for each sign-in");
    for entry in fixture.browser.log("browser").await {
        assert!(!entry.to_string().contains("Content Security Policy"), "{entry}");
    }
}

pub(crate) async fn answers_that_belong_to_no_sign_in_are_refused(fixture: &Fixture) {
    let Some(provider) = &fixture.provider else { return };
    let refusal = "This sign-in was not started in this tab";
    let page = open(fixture, "?code=forged&state=forged").await;
    page.sees(refusal).await;
    assert_eq!(fixture.browser.run(KEPT, &[]).await, r#"[{},{},"",""]"#);
    page.click(&button(&provider.issuer)).await;
    page.until("see the provider", "return document.querySelector('[name=login]') && true", &[]).await;
    open_again(fixture, "?code=forged&state=forged").await;
    page.sees(refusal).await;
    assert!(page.offers().await.contains(&"Sign in".to_owned()), "sign-in by token is still offered");
}

pub(crate) async fn a_denied_sign_in_and_an_expired_code_are_explained(fixture: &Fixture) {
    let Some(provider) = &fixture.provider else { return };
    let page = open(fixture, "").await;
    page.click(&button(&provider.issuer)).await;
    let cancel =
        "const link = document.querySelector('a[href$=\"/abort\"]'); link?.click(); return link && true";
    page.until("cancel at the provider", cancel, &[]).await;
    page.sees("The provider denied access").await;

    let pending = "sessionStorage.setItem('pipeline-secrets-sign-in', JSON.stringify({issuer: arguments[0], state: 's', verifier: 'v'.repeat(43), view: ''})); return null";
    for (rest, expected) in [
        (format!("?code=expired&state=s&iss={}", provider.issuer), "its code has expired or was used before"),
        ("?code=expired&state=s&iss=https://other.example.org".to_owned(), "from another provider"),
        ("?code=expired&state=s".to_owned(), "from another provider"),
        (format!("?error=invalid_scope&state=s&iss={}", provider.issuer), "refused the sign-in"),
    ] {
        fixture.browser.run(pending, &[json!(provider.issuer)]).await;
        fixture.browser.open(&format!("{}/console{rest}", fixture.proxy.endpoint)).await;
        page.sees(expected).await;
        assert_eq!(fixture.browser.run(KEPT, &[]).await, r#"[{},{},"",""]"#, "{rest}");
    }
}
