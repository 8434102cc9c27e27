//! What the page says when something fails, and what it keeps.

use console_tests::{Fault, Page};
use end_to_end::MARK;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Steps as _, text};

/// Fills in the dialog that adds a secret.
async fn fill_in(page: &Page<'_>, name: &str) {
    page.click("Add secret").await;
    page.type_into("Name", name).await;
    page.type_into("Value", &format!("{MARK} {name}")).await;
    page.type_into("Description (optional)", "kept").await;
}

/// The error in the open dialog.
const ERROR: &str = "return document.querySelector('dialog.view .error[role=alert]')?.textContent || null";

pub(crate) async fn a_taken_name_is_shown_while_it_is_typed_and_when_it_is_sent(fixture: &Fixture) {
    fixture.store("TAKEN").await;
    let page = fixture.view("olivia", "Secrets").await;
    fill_in(&page, "taken").await;
    page.sees("already exists").await;
    page.click("Add").await;
    let error = text(&page.until("see the error", ERROR, &[]).await);
    assert!(error.contains("already exists"), "{error}");
    assert_eq!(page.value("Description (optional)").await, "kept");
    page.set("Name", "x y").await;
    page.sees_no_more("This name is free.").await;
    page.click("Cancel").await;
}

pub(crate) async fn a_concurrent_change_is_shown_and_nothing_typed_is_lost(fixture: &Fixture) {
    fixture.store("SHARED").await;
    let page = fixture.view("olivia", "Secrets").await;
    page.click("Replace SHARED").await;
    page.type_into("New value", &format!("{MARK} first")).await;
    page.type_into("Description (optional)", "kept").await;
    let (_, list) = fixture
        .call(
            fixture.token("olivia"),
            "GET",
            &format!("/pipeline-secrets?workspaceId={}", fixture.workspace),
            &Value::Null,
        )
        .await;
    let secrets = list["pipelineSecrets"].as_array().expect("a list").clone();
    let id = &secrets.iter().find(|it| it["name"] == "SHARED").expect("the secret")["id"];
    let path = format!("/pipeline-secrets/{id}?workspaceId={}", fixture.workspace);
    assert_eq!(
        fixture.call(fixture.token("olivia"), "PUT", &path, &json!({"value": "another"})).await.0,
        204
    );
    page.click("Replace").await;
    page.sees("The secret changed after you read it.").await;
    assert_eq!(page.value("Description (optional)").await, "kept");
    page.click("Replace").await;
    page.sees("Replaced SHARED.").await;
    page.click("History SHARED").await;
    page.sees("3 versions").await;
    page.click("Close").await;
}

pub(crate) async fn throttling_and_an_unavailable_service_are_shown_with_the_services_words(
    fixture: &Fixture,
) {
    let page = fixture.view("olivia", "Secrets").await;
    fill_in(&page, "AFTER_FAULTS").await;
    let message = |text: &str| json!({ "message": text }).to_string();
    fixture
        .proxy
        .fail_next("POST /pipeline-secrets?", Fault::Answer(429, Some(1), message("Too many requests.")));
    page.click("Add").await;
    page.sees("Too many requests. Try again in 1 second.").await;
    fixture.proxy.fail_next(
        "POST /pipeline-secrets?",
        Fault::Answer(503, None, message("The table is being restored.")),
    );
    page.click("Add").await;
    page.sees("The table is being restored.").await;
    page.click("Add").await;
    page.sees("Added AFTER_FAULTS.").await;
    fixture.proxy.fail_next("GET /runs?", Fault::Answer(503, None, message("The table is being restored.")));
    page.click("Runs").await;
    page.sees("The table is being restored.").await;
    page.click("Try again").await;
    page.sees_no_more("The table is being restored.").await;
    // An answer that is not from the service.
    fixture.proxy.fail_next("GET /pipeline-secrets?", Fault::Answer(502, None, "<b>bad</b>".into()));
    page.click("Secrets").await;
    page.sees("The service answered with status 502.").await;
}

pub(crate) async fn a_lost_answer_is_repeated_with_the_same_key_and_has_one_effect(fixture: &Fixture) {
    let page = fixture.view("olivia", "Secrets").await;
    fill_in(&page, "ONCE").await;
    let before = fixture.proxy.sent_to("POST /pipeline-secrets?").len();
    fixture.proxy.fail_next("POST /pipeline-secrets?", Fault::LostAnswer);
    page.click("Add").await;
    page.sees("The service cannot be reached").await;
    assert_eq!(page.value("Description (optional)").await, "kept");
    page.click("Add").await;
    page.sees("Added ONCE.").await;
    let sent = fixture.proxy.sent_to("POST /pipeline-secrets?").split_off(before);
    assert_eq!(sent.len(), 2, "the page repeats nothing by itself");
    assert_eq!(sent[0].header("idempotency-key"), sent[1].header("idempotency-key"));
    page.click("History ONCE").await;
    page.sees("1 version").await;
    page.click("Close").await;
}

pub(crate) async fn a_refused_token_leads_to_sign_in_and_back(fixture: &Fixture) {
    let (status, made) =
        fixture.call(fixture.token("olivia"), "POST", "/tokens", &json!({"name": "short"})).await;
    assert_eq!(status, 200, "{made}");
    let token = text(&made["accessKey"]);
    let page = fixture.sign_in_with(&token).await;
    page.click_workspace().await;
    page.sees("Add secret").await;
    fill_in(&page, "AFTER_SIGN_IN").await;
    fixture
        .call(fixture.token("olivia"), "DELETE", &format!("/tokens/{}", made["token"]["id"]), &Value::Null)
        .await;
    while fixture.call(&token, "GET", "/user-info", &Value::Null).await.0 != 403 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    page.click("Add").await;
    page.sees("The service refused the token").await;
    page.type_into("Access token", "wrong").await;
    page.click("Sign in").await;
    page.until("see the refusal", "return document.querySelector('#sign-in-error').textContent || null", &[])
        .await;
    page.type_into("Access token", fixture.token("olivia")).await;
    page.click("Sign in").await;
    // Back where it was: all that was typed is there, except for the value.
    page.until("close the sign-in", "return document.querySelector('#sign-in').open ? null : true", &[])
        .await;
    assert_eq!(page.value("Name").await, "AFTER_SIGN_IN");
    assert_eq!(page.value("Description (optional)").await, "kept");
    assert_eq!(page.value("Value").await, "");
    page.type_into("Value", &format!("{MARK} again")).await;
    page.click("Add").await;
    page.sees("Added AFTER_SIGN_IN.").await;
    // A role that is too low is not a refused token.
    let message = json!({"message": "Forbidden: your role does not allow this."}).to_string();
    fixture.proxy.fail_next("GET /runs?", Fault::Answer(403, None, message));
    page.click("Runs").await;
    page.sees("Forbidden: your role does not allow this.").await;
    assert!(!page.offers().await.contains(&"Sign in".to_owned()));
}

pub(crate) async fn a_role_that_was_revoked_meanwhile_is_shown_and_nothing_typed_is_lost(fixture: &Fixture) {
    let participants = format!("/orgs/{}/workspaces/{}/participants", fixture.org, fixture.workspace);
    let add = format!("{participants}/add");
    let admin = json!({"userNameOrEmail": "maya", "role": "admin"});
    let (status, added) = fixture.call(fixture.token("olivia"), "PUT", &add, &admin).await;
    assert_eq!(status, 200, "{added}");
    let page = fixture.view("maya", "Secrets").await;
    fill_in(&page, "TOO_LATE").await;
    let role = format!("{participants}/{}/role", added["participant"]["memberId"]);
    let (status, _) = fixture.call(fixture.token("olivia"), "PUT", &role, &json!({"role": "view"})).await;
    assert_eq!(status, 204);
    page.click("Add").await;
    page.sees("Your role in this workspace does not allow this action.").await;
    assert_eq!(page.value("Description (optional)").await, "kept");
    page.click("Cancel").await;
    // The page offers what the role allows from the next choice of a workspace on.
    page.click("Workspaces").await;
    page.sees("Example genomics").await;
    page.settles().await;
    page.click_workspace().await;
    page.sees("example / genomics: Secrets").await;
    page.settles().await;
    assert!(!page.offers().await.contains(&"Add secret".to_owned()));
}

pub(crate) async fn idle_users_and_users_who_sign_out_leave_nothing_behind(fixture: &Fixture) {
    let storage = "return JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])";
    let page = fixture.view("olivia", "Secrets").await;
    assert_eq!(fixture.browser.run(storage, &[]).await, r#"[{},{},""]"#, "the token is in memory only");
    fill_in(&page, "NEVER_SENT").await;
    fixture.browser.run("const now = Date.now; Date.now = () => now() + 31 * 60_000; document.dispatchEvent(new Event('visibilitychange'))", &[]).await;
    page.sees("You were signed out after 30 minutes without activity.").await;
    let left = "return [document.querySelector('main').textContent, document.querySelectorAll('dialog.view').length]";
    assert_eq!(fixture.browser.run(left, &[]).await, json!(["", 0]));

    fixture.browser.open("about:blank").await;
    fixture.browser.open(&format!("{}/console", fixture.proxy.endpoint)).await;
    page.set("Stay signed in when this tab is reloaded", "true").await;
    page.type_into("Access token", fixture.token("vera")).await;
    page.click("Sign in").await;
    page.sees("Example genomics").await;
    fixture.browser.run("location.reload()", &[]).await;
    page.sees("Example genomics").await;
    assert!(text(&fixture.browser.run(storage, &[]).await).contains(fixture.token("vera")));
    page.click("Sign out").await;
    page.sees("You are signed out.").await;
    assert_eq!(fixture.browser.run(storage, &[]).await, r#"[{},{},""]"#);
    assert_eq!(fixture.browser.run(left, &[]).await, json!(["", 0]));
    fixture.browser.run("location.reload()", &[]).await;
    page.sees("Access token").await;
}
