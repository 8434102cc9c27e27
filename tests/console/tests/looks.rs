//! Size, speed and accessibility.

use std::io::Write as _;
use std::time::Instant;

use console_tests::Fault;
use serde_json::{Value, json};

use crate::fixture::{Fixture, root, text};

pub(crate) async fn the_first_view_is_small(fixture: &Fixture) {
    let before = fixture.proxy.sent().len();
    fixture.browser.devtools("Network.clearBrowserCache", &json!({})).await;
    fixture.browser.open("about:blank").await;
    fixture.browser.open(&format!("{}/console", fixture.proxy.endpoint)).await;
    fixture.page().sees("Access token").await;
    let sent = fixture.proxy.sent().split_off(before);
    let files: Vec<_> = sent.iter().map(|sent| sent.line.as_str()).collect();
    assert!(files.len() <= 13, "{files:#?}");
    // Two rounds: the page names every file.
    let loaded = "return [...new Set(performance.getEntriesByType('resource').map((one) => one.initiatorType))].sort().join()";
    let initiators = fixture.browser.run(loaded, &[]).await;
    assert!(
        ["link,other,script", "link,script", "link,other"].contains(&initiators.as_str().unwrap_or_default()),
        "{initiators}"
    );
    // The second visit loads the page again, and no file.
    let before = fixture.proxy.sent().len();
    fixture.browser.open("about:blank").await;
    fixture.browser.open(&format!("{}/console", fixture.proxy.endpoint)).await;
    fixture.page().sees("Access token").await;
    let again: Vec<_> = fixture.proxy.sent().split_off(before).iter().map(|sent| sent.line.clone()).collect();
    assert_eq!(again, ["GET /console"]);
}

pub(crate) async fn a_thousand_secrets_stay_usable(fixture: &Fixture) {
    let page = fixture.view("olivia", "Runs").await;
    let secret = |number: u32| {
        json!({"id": number + 1, "name": format!("SECRET_{number}"), "description": "one of many",
        "lastUsed": null, "dateCreated": "2026-01-01T00:00:00Z", "lastUpdated": "2026-01-01T00:00:00Z"})
    };
    let list =
        json!({"totalSize": 1000, "pipelineSecrets": (0..1000).map(secret).collect::<Vec<_>>()}).to_string();
    fixture.proxy.fail_next("GET /pipeline-secrets?", Fault::Answer(200, None, list));
    let begun = Instant::now();
    page.click("Secrets").await;
    page.sees("1000 secrets").await;
    let shown = begun.elapsed();
    let begun = Instant::now();
    page.type_into("Search", "_999").await;
    page.sees("1 of 1000 secrets").await;
    let _ = writeln!(
        std::io::stderr(),
        "1,000 secrets: shown after {} ms, filtered after {} ms",
        shown.as_millis(),
        begun.elapsed().as_millis()
    );
    let visible =
        "return [...document.querySelectorAll('tbody tr')].filter((one) => one.checkVisibility()).length";
    assert_eq!(fixture.browser.run(visible, &[]).await, 1);
}

pub(crate) async fn every_view_is_accessible_wide_narrow_light_and_dark(fixture: &Fixture) {
    let axe = std::fs::read_to_string(root().join(".local/console-checks/node_modules/axe-core/axe.min.js"));
    let axe = axe.map_err(|_| "axe-core is not installed: tests/console/install-checkers installs it");
    assert!(axe.is_ok() || std::env::var_os("CI").is_none(), "no test may be skipped in CI: {axe:?}");
    furnish(fixture).await;
    let page = fixture.view("olivia", "Secrets").await;
    if let Ok(axe) = &axe {
        fixture.browser.run(axe, &[]).await;
    }
    let mut wrong = Vec::new();
    for (width, height, dark) in [(1200, 800, false), (360, 740, true)] {
        fixture.browser.show_as(width, height, dark).await;
        let suffix = if dark { "-narrow" } else { "" };
        for view in [
            "Workspaces",
            "My secrets",
            "Tokens",
            "Secrets",
            "Import",
            "Preview",
            "Runs",
            "Environments",
            "People",
            "Audit",
        ] {
            fixture.browser.show_as(width, height, dark).await;
            let name = view.to_lowercase().replace(' ', "-");
            match view {
                "Workspaces" | "My secrets" | "Tokens" => page.click(view).await,
                _ => {
                    let address = format!("#/w/{}/{}/{name}", fixture.org, fixture.other_workspace);
                    fixture.browser.run("location.hash = arguments[0]", &[json!(address)]).await;
                }
            }
            page.sees(view).await;
            page.settles().await;
            if view == "Preview" {
                page.click("Show preview").await;
                page.sees("What a launch would deliver").await;
            }
            wrong.extend(check(fixture, axe.is_ok(), &format!("{view}, {width} px")).await);
            fixture.picture(&format!("{name}{suffix}")).await;
        }
        fixture.browser.show_as(width, height, dark).await;
        fixture
            .browser
            .run(
                "location.hash = arguments[0]",
                &[json!(format!("#/w/{}/{}/secrets", fixture.org, fixture.other_workspace))],
            )
            .await;
        page.settles().await;
        page.click("Add secret").await;
        wrong.extend(check(fixture, axe.is_ok(), &format!("Add, {width} px")).await);
        fixture.picture(&format!("add{suffix}")).await;
        page.click("Cancel").await;
        page.click("Runs").await;
        page.settles().await;
        let receipt = "const link = document.querySelector('tbody a'); link?.click(); return link && true";
        page.until("open a receipt", receipt, &[]).await;
        page.sees("Receipt of run").await;
        wrong.extend(check(fixture, axe.is_ok(), &format!("receipt, {width} px")).await);
        fixture.picture(&format!("receipt{suffix}")).await;
    }
    page.click("Sign out").await;
    wrong.extend(check(fixture, axe.is_ok(), "sign-in, 360 px").await);
    fixture.picture("sign-in-narrow").await;
    fixture.browser.show_as(1200, 900, false).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    if let Err(reason) = axe {
        let _ = writeln!(std::io::stderr(), "skipped: violations of accessibility rules: {reason}");
    }
}

/// Fills the workspace of the pictures.
async fn furnish(fixture: &Fixture) {
    let (olivia, liam) = (fixture.token("olivia"), fixture.token("liam"));
    let inside = |path: &str| format!("{path}?workspaceId={}", fixture.other_workspace);
    let soon = "const soon = new Date(Date.now() + 10 * 86_400_000); return soon.toISOString().replace(/[.][0-9]+/, '')";
    let soon = fixture.browser.run(soon, &[]).await;
    for (path, token, secret) in [
        (
            inside("/pipeline-secrets"),
            olivia,
            json!({"name": "DOCKER_TOKEN", "value": "x", "description": "Pull access to the registry"}),
        ),
        (
            inside("/pipeline-secrets"),
            olivia,
            json!({"name": "NCBI_API_KEY", "value": "x", "description": "Shared key of the lab"}),
        ),
        (
            inside("/pipeline-secrets"),
            olivia,
            json!({"name": "SENTIEON_LICENSE", "value": "x", "description": "License server", "expires": soon}),
        ),
        ("/pipeline-secrets".into(), olivia, json!({"name": "NCBI_API_KEY", "value": "x"})),
    ] {
        let (status, answer) = fixture.call(token, "POST", &path, &secret).await;
        assert_eq!(status, 200, "{answer}");
    }
    for platform in ["slurm", "aws-batch"] {
        let (status, run) =
            fixture.call(liam, "POST", &inside("/launches"), &json!({ "platform": platform })).await;
        assert_eq!(status, 200, "{run}");
        if platform == "aws-batch" {
            let end = format!("/runs/{}/end", text(&run["workflowId"]));
            fixture.call(&text(&run["runToken"]), "POST", &end, &json!({"success": true})).await;
        }
    }
}

/// Returns the violations of axe's rules, and what is wider than the window.
async fn check(fixture: &Fixture, axe: bool, view: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if axe {
        let run = "return axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`)))";
        let found: Value = fixture.browser.run(run, &[]).await;
        wrong.extend(found.as_array().into_iter().flatten().map(|one| format!("{view}: {one}")));
    }
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let wide = fixture.browser.run(wide, &[]).await;
    if wide != 0 {
        wrong.push(format!("{view} is {wide} pixels wider than the window"));
    }
    wrong
}
