//! The README's story in the console: as owner, launcher and viewer.

use end_to_end::MARK;
use serde_json::{Value, json};

use crate::fixture::{Fixture, OTHER_ACCOUNT, Steps as _, text};

pub(crate) async fn an_owner_stores_secrets(fixture: &Fixture) {
    let page = fixture.view("olivia", "Secrets").await;
    page.sees("There are no secrets yet.").await;
    page.click("Add secret").await;
    page.type_into("Name", "NCBI_API_KEY").await;
    page.sees("This name is free.").await;
    page.type_into("Value", &format!("{MARK} typed\nsecond line")).await;
    let mask = "return getComputedStyle(document.querySelector('dialog textarea')).webkitTextSecurity";
    assert_eq!(fixture.browser.run(mask, &[]).await, "disc");
    page.set("Show", "true").await;
    assert_eq!(fixture.browser.run(mask, &[]).await, "none");
    page.type_into("Description (optional)", "Renew with the library").await;
    page.set("Expires (optional)", "2099-01-31T12:00").await;
    page.click("Add").await;
    page.sees("Added NCBI_API_KEY.").await;
    page.sees("Renew with the library").await;
    page.sees("Jan 31, 2099").await;

    page.click("Replace NCBI_API_KEY").await;
    assert_eq!(page.value("Description (optional)").await, "Renew with the library");
    page.type_into("New value", &format!("{MARK} replaced")).await;
    page.click("Replace").await;
    page.sees("Replaced NCBI_API_KEY.").await;
    page.settles().await;
    let author = "return [...document.querySelectorAll('tbody tr')].find((one) => one.textContent.includes('NCBI_API_KEY'))?.querySelector('td[data-label=By]')?.textContent ?? null";
    assert_eq!(page.until("see who wrote it", author, &[]).await, "olivia");
    page.click("History NCBI_API_KEY").await;
    page.sees("2 versions").await;
    page.sees("olivia").await;
    page.click("Close").await;

    fixture.store("SOON_GONE").await;
    page.click("Runs").await;
    page.sees("No runs.").await;
    page.click("Secrets").await;
    page.click("Delete SOON_GONE").await;
    assert!(!page.offers().await.contains(&"Add".to_owned()));
    page.type_into("Type SOON_GONE to confirm", "SOON_GONE").await;
    page.click("Delete").await;
    page.sees("Deleted SOON_GONE.").await;
    page.sees("1 secret").await;

    let sent = fixture.proxy.sent_to("POST /pipeline-secrets?");
    let body: Value = serde_json::from_str(&sent[0].body).expect("JSON");
    assert_eq!(body["value"], format!("{MARK} typed\nsecond line"), "a value keeps its line breaks");
    assert!(!sent[0].header("idempotency-key").is_empty());
}

pub(crate) async fn a_launcher_previews_a_launch_and_reads_its_receipt(fixture: &Fixture) {
    fixture.store("NCBI_API_KEY").await;
    fixture.store("SENTIEON_LICENSE").await;
    let page = fixture.sign_in("liam").await;
    // Liam's own secret overrides that of the workspace.
    page.click("My secrets").await;
    page.click("Add secret").await;
    page.type_into("Name", "NCBI_API_KEY").await;
    page.type_into("Value", &format!("{MARK} of liam")).await;
    page.click("Add").await;
    page.sees("Added NCBI_API_KEY.").await;
    page.click("Workspaces").await;
    page.click_workspace().await;
    page.sees("overridden by yours").await;
    assert!(!page.offers().await.iter().any(|it| it == "Add secret" || it.starts_with("Delete")));

    page.click("Preview").await;
    page.set("Platform", "slurm").await;
    page.click("Show preview").await;
    page.sees("overrides the workspace secret").await;
    page.sees("job script line").await;
    let shown = page.text().await;
    let command = format!("--workspace {} \\\n  --platform slurm", fixture.workspace);
    assert!(shown.contains(&command) && shown.contains("-- nextflow run main.nf"), "{shown}");
    page.set("Platform", "aws-batch").await;
    page.click("Show preview").await;
    page.sees("The launch would create 1 copy in AWS Secrets Manager (bundle).").await;
    page.sees("-- nextflow run main.nf -profile awsbatch").await;
    page.set("Layout of the copies", "bundle").await;
    page.click("Show preview").await;
    page.sees(r#"-d '{"platform":"aws-batch","layout":"bundle"}'"#).await;

    let path = format!("/launches?workspaceId={}", fixture.workspace);
    let (status, run) =
        fixture.call(fixture.token("liam"), "POST", &path, &json!({"platform": "aws-batch"})).await;
    assert_eq!(status, 200, "{run}");
    let id = text(&run["workflowId"]);
    page.click("Runs").await;
    page.sees(&id).await;
    page.click(&id).await;
    page.sees(&format!("Receipt of run {id}")).await;
    page.sees("the launcher").await;
    let end = format!("/runs/{id}/end");
    let (status, _) = fixture.call(&text(&run["runToken"]), "POST", &end, &json!({"success": true})).await;
    assert_eq!(status, 200);
    let ended = "if (document.body.innerText.includes('Copies, deleted')) return true; document.querySelectorAll('main button').forEach((one) => { if (one.textContent === 'Refresh') one.click(); }); return null";
    page.until("see the copies deleted", ended, &[]).await;
    page.sees("Ended: the run reported its end").await;
    page.sees("succeeded").await;
    page.sees("NCBI_API_KEY").await;
    fixture.picture("receipt").await;
    page.click("All runs").await;
    // The list of all runs may still be loading.
    page.set("State", "running").await;
    page.sees("No runs.").await;
}

pub(crate) async fn a_token_of_one_workspace_shows_its_secrets_and_previews_a_launch(fixture: &Fixture) {
    fixture.store("OF_THE_WORKSPACE").await;
    let limits = json!({"name": "genomics only", "workspaceId": fixture.workspace});
    let (status, created) = fixture.call(fixture.token("olivia"), "POST", "/tokens", &limits).await;
    assert_eq!(status, 200, "{created}");
    let platforms = format!("/orgs/{}/workspaces/{}/platforms", fixture.org, fixture.workspace);
    let allowed = json!({"platforms": ["aws-batch", "slurm", "kubernetes"]});
    let (status, _) = fixture.call(fixture.token("olivia"), "PUT", &platforms, &allowed).await;
    assert_eq!(status, 204);
    let page = fixture.sign_in_with(&text(&created["accessKey"])).await;
    page.click_workspace().await;
    page.sees("OF_THE_WORKSPACE").await;
    page.sees("Your token is only for this workspace").await;
    page.click("Preview").await;
    page.set("Platform", "kubernetes").await;
    page.click("Show preview").await;
    page.sees("What a launch would deliver").await;
    let workspace = format!(r#""--workspace","{}","--platform","kubernetes","--"]"#, fixture.workspace);
    page.sees(&workspace).await;
    page.sees(r#"args: ["nextflow","-c""#).await;
}

pub(crate) async fn a_run_is_ended_after_a_confirmation_and_with_a_live_head_job_only_by_force(
    fixture: &Fixture,
) {
    let path = format!("/launches?workspaceId={}", fixture.workspace);
    let launch = async |platform: &str| {
        let body = json!({"platform": platform, "workspaceSecrets": [], "userSecrets": []});
        let (status, run) = fixture.call(fixture.token("liam"), "POST", &path, &body).await;
        assert_eq!(status, 200, "{run}");
        (text(&run["workflowId"]), text(&run["runToken"]))
    };
    let (run, _) = launch("slurm").await;
    let page = fixture.view("liam", "Runs").await;
    page.click(&run).await;
    page.sees(&format!("Receipt of run {run}")).await;
    page.click("End run").await;
    page.sees("This stops no job").await;
    page.click("Cancel").await;
    page.click("End run").await;
    page.click("End run").await;
    page.sees(&format!("Ended run {run}.")).await;
    page.sees("Ended: cancelled by liam").await;
    assert!(!page.offers().await.contains(&"End run".to_owned()));

    let (run, token) = launch("aws-batch").await;
    fixture.record_head_job(&run, &token).await;
    let page = fixture.view("olivia", "Runs").await;
    page.click(&run).await;
    page.sees(&format!("Receipt of run {run}")).await;
    page.click("End run").await;
    let force = "End it although its head job may need the secrets";
    assert!(!page.text().await.contains(force), "force is not offered before it is needed");
    page.click("End run").await;
    page.sees("has not ended in AWS Batch").await;
    page.set(force, "true").await;
    page.click("End run").await;
    page.sees("Ended: cancelled by olivia").await;

    // A viewer may end no run of others.
    let (run, _) = launch("slurm").await;
    let page = fixture.view("vera", "Runs").await;
    page.click(&run).await;
    page.sees(&format!("Receipt of run {run}")).await;
    page.settles().await;
    assert!(!page.offers().await.contains(&"End run".to_owned()));
}

pub(crate) async fn an_owner_imports_a_file(fixture: &Fixture) {
    fixture.store("SENTIEON_LICENSE").await;
    let page = fixture.view("olivia", "Import").await;
    let file = tempfile::Builder::new().suffix(".env").tempfile().expect("a file");
    let content = format!(
        "# keys\nSENTIEON_LICENSE={MARK}-imported\nexport DOCKER_TOKEN=\"{MARK}\nNOT_A_NAME=x\"\nBAD=a # b\n"
    );
    std::fs::write(file.path(), &content).expect("a file");
    page.choose_file("Choose a file", file.path().to_str().expect("a path")).await;
    page.sees("3 secrets in the file.").await;
    page.sees("exists: the import is refused").await;
    page.set("Replace secrets that exist", "true").await;
    page.sees_no_more("exists: the import is refused").await;
    page.click("Import secrets").await;
    page.sees("ine 5").await; // the service names the line
    assert_eq!(page.value("File content").await, content, "a refused file is still there to be corrected");
    page.set("File content", &content.replace("a # b", "'a # b'")).await;
    page.sees("3 secrets in the file.").await;
    page.click("Import secrets").await;
    page.sees("Imported 3 secrets.").await;
    page.sees("updated").await;
    assert_eq!(page.value("File content").await, "");
    page.set("File content", &json!({"FROM_JSON": format!("{MARK} json")}).to_string()).await;
    page.sees("1 secret in the file.").await;
    page.click("Import secrets").await;
    page.sees("Imported 1 secret.").await;
}

pub(crate) async fn an_owner_manages_people_and_tokens_and_reads_the_audit_trail(fixture: &Fixture) {
    let page = fixture.view("olivia", "People").await;
    page.click("Add participant").await;
    page.type_into("User name or email address", "maya").await;
    page.set("Role", "connect").await;
    page.click("Add").await;
    page.sees("Added maya.").await;
    page.set("Role of maya", "launch").await;
    page.click("Change role").await;
    page.sees("maya has the role launch.").await;
    page.click("Remove maya").await;
    page.click("Remove").await;
    page.sees("Removed maya.").await;
    page.set("lsf", "true").await;
    page.click("Save platforms").await;
    page.sees("Saved the platforms.").await;
    page.set("Role of olivia", "view").await;
    page.click("Change role").await;
    page.sees("owner").await; // the service refuses: the last owner stays
    page.until(
        "see the refusal",
        "return document.querySelector('dialog.view .error')?.textContent || null",
        &[],
    )
    .await;
    page.click("Cancel").await;

    page.click("Tokens").await;
    page.click("Create token").await;
    page.type_into("Name", "ci").await;
    page.set("Scope", "read").await;
    page.click("Create").await;
    page.sees("it is shown only once").await;
    let token = text(
        &page
            .until(
                "see the token",
                "return document.querySelector('dialog[open] pre')?.textContent ?? null",
                &[],
            )
            .await,
    );
    page.click("Close").await;
    let gone = "return document.documentElement.outerHTML.includes(arguments[0]) ? null : true";
    page.until("remove the token from the page", gone, &[json!(token)]).await;
    assert_eq!(fixture.call(&token, "GET", "/user-info", &Value::Null).await.0, 200);
    assert_eq!(fixture.call(&token, "POST", "/tokens", &json!({"name": "more"})).await.0, 403);
    page.click("Revoke ci").await;
    page.click("Revoke").await;
    page.sees("Revoked ci.").await;

    page.click("Workspaces").await;
    page.click_workspace().await;
    page.click("Audit").await;
    page.sees("participant.removed").await;
    page.set("Action", "participant.set").await;
    let actions = "const rows = [...document.querySelectorAll('tbody tr')].filter((one) => one.checkVisibility()); return [...new Set(rows.map((one) => one.cells[1].textContent))]";
    assert_eq!(fixture.browser.run(actions, &[]).await, json!(["participant.set"]));
    let keep = "const make = URL.createObjectURL; URL.createObjectURL = (file) => { window.csv = file; return make.call(URL, file); }";
    fixture.browser.run(keep, &[]).await;
    page.click("Download CSV").await;
    let csv = text(&fixture.browser.run("return window.csv.text()", &[]).await);
    assert!(csv.starts_with("\"time\",\"id\",\"action\""), "{csv}");
    assert!(csv.contains("\"participant.set\"") && !csv.contains("participant.removed"), "{csv}");
    page.type_into("Secret", "no such secret").await;
    page.sees("0 of ").await;
}

pub(crate) async fn an_owner_adds_an_environment_and_previews_a_launch_there(fixture: &Fixture) {
    let page = fixture.view("olivia", "Environments").await;
    page.sees("No environments.").await;
    page.click("Add role").await;
    page.type_into("Name", "lab").await;
    let role = format!("arn:aws:iam::{OTHER_ACCOUNT}:role/pipeline-secrets-lab");
    page.type_into("ARN of the role", &role).await;
    page.click("Add").await;
    page.sees("Added lab.").await;
    page.sees("infra/compute-environment --credentials").await;
    page.sees("sts:ExternalId").await;
    page.click("Close").await;
    fixture.deploy_the_role("eu-west-1").await;
    page.click("Add environment").await;
    for (label, text) in [
        ("Name", "ireland"),
        ("Region", "eu-west-1"),
        ("Work directory", "s3://work"),
        ("Job queue of head jobs", "heads"),
        ("Job queue of tasks", "tasks"),
    ] {
        page.type_into(label, text).await;
    }
    page.click("Prove and add").await;
    page.sees("Added ireland.").await;
    page.sees("available").await;
    page.click("Check ireland").await;
    page.sees("Checked ireland.").await;
    page.settles().await;

    let path = format!("/compute-envs?workspaceId={}", fixture.workspace);
    let (_, list) = fixture.call(fixture.token("olivia"), "GET", &path, &Value::Null).await;
    let id = text(&list["computeEnvs"][0]["id"]);
    page.click("Preview").await;
    page.set("Environment", &id).await;
    page.click("Show preview").await;
    page.sees(&format!("AWS Secrets Manager of account {OTHER_ACCOUNT}, region eu-west-1")).await;
    page.sees(&format!("--compute-env {id}")).await;

    // A viewer sees the environment and cannot change it.
    let page = fixture.view("vera", "Environments").await;
    page.sees("ireland").await;
    let offers = page.offers().await;
    assert!(offers.contains(&"Set up lab".to_owned()), "{offers:?}");
    for hidden in ["Add role", "Add environment", "Check ireland", "Delete ireland", "Delete lab"] {
        assert!(offers.iter().all(|it| it != hidden), "{hidden}: {offers:?}");
    }

    let page = fixture.view("olivia", "Environments").await;
    page.click("Delete lab").await;
    page.click("Delete").await;
    page.sees("A compute environment uses these credentials.").await;
    page.click("Cancel").await;
    for name in ["ireland", "lab"] {
        page.click(&format!("Delete {name}")).await;
        page.click("Delete").await;
        page.sees(&format!("Deleted {name}.")).await;
        page.settles().await;
    }
    page.sees("No roles.").await;
}

pub(crate) async fn a_viewer_is_offered_only_what_the_role_allows(fixture: &Fixture) {
    fixture.store("NCBI_API_KEY").await;
    let page = fixture.view("vera", "Secrets").await;
    page.sees("NCBI_API_KEY").await;
    let offers = page.offers().await;
    for offered in ["Secrets", "Runs", "People", "History NCBI_API_KEY"] {
        assert!(offers.iter().any(|it| it == offered), "{offered}: {offers:?}");
    }
    for hidden in ["Add secret", "Import", "Preview", "Audit", "Replace NCBI_API_KEY", "Delete NCBI_API_KEY"]
    {
        assert!(offers.iter().all(|it| it != hidden), "{hidden}: {offers:?}");
    }
    for forced in ["import", "preview", "audit"] {
        let address = format!("#/w/{}/{}/{forced}", fixture.org, fixture.workspace);
        fixture.browser.run("location.hash = arguments[0]", &[json!(address)]).await;
        page.sees("Your role in this workspace does not offer this view.").await;
    }
    page.click("People").await;
    page.sees("3 participants").await;
    let offers = page.offers().await;
    assert!(offers.contains(&"Leave the workspace".to_owned()), "{offers:?}");
    assert!(!offers.iter().any(|it| it.starts_with("Remove") || it == "Add participant"), "{offers:?}");
    // The service decides, whatever the page offers.
    let path = format!("/pipeline-secrets?workspaceId={}", fixture.workspace);
    let body = json!({"name": "FORCED", "value": "x"});
    assert_eq!(fixture.call(fixture.token("vera"), "POST", &path, &body).await.0, 403);
    // A workspace of others and one that does not exist look the same.
    fixture.browser.run("location.hash = '#/w/1/2/secrets'", &[]).await;
    page.sees("This page does not exist, or you are not a participant of the workspace.").await;
}

pub(crate) async fn the_keyboard_is_enough_to_sign_in_and_store_a_secret(fixture: &Fixture) {
    const ENTER: &str = "\u{e007}";
    fixture.keep_log().await;
    fixture.browser.open("about:blank").await;
    fixture.browser.open(&format!("{}/console", fixture.proxy.endpoint)).await;
    let page = fixture.page();
    page.sees("Access token").await;
    // The button of a provider comes first.
    for _ in 0..5 {
        if fixture.browser.run("return document.activeElement.id", &[]).await == "token" {
            break;
        }
        fixture.browser.press("\u{e004}").await;
    }
    fixture.browser.press(&format!("{}{ENTER}", fixture.token("olivia"))).await;
    page.sees("Example genomics").await;
    tab_to(fixture, "example / genomics").await;
    fixture.browser.press(ENTER).await;
    page.sees("example / genomics: Secrets").await;
    page.settles().await;
    tab_to(fixture, "Add secret").await;
    fixture.browser.press(ENTER).await;
    page.sees("Add a secret to example / genomics").await;
    fixture.browser.press("BY_KEYBOARD\u{e004}").await;
    fixture.browser.press(&format!("{MARK} keys\u{e004}\u{e004}\u{e004}\u{e004}")).await;
    tab_to(fixture, "Add").await;
    fixture.browser.press(ENTER).await;
    page.sees("Added BY_KEYBOARD.").await;
    page.settles().await;
    // Escape closes a dialog, and the focus returns to the button that opened it.
    tab_to(fixture, "History BY_KEYBOARD").await;
    fixture.browser.press(ENTER).await;
    page.sees("1 version").await;
    fixture.browser.press("\u{e00c}").await;
    let focus = "const name = document.activeElement.getAttribute('aria-label'); return document.querySelector('dialog[open]') ? null : name";
    assert_eq!(page.until("close the dialog", focus, &[]).await, "History BY_KEYBOARD");
}

/// Presses the tab key until the element with this name has the focus.
async fn tab_to(fixture: &Fixture, name: &str) {
    let focused =
        "const one = document.activeElement; return one.getAttribute('aria-label') ?? one.textContent.trim()";
    for _ in 0..200 {
        fixture.browser.press("\u{e004}").await;
        let found = fixture.browser.run(focused, &[]).await;
        if found.as_str().is_some_and(|found| found == name || found.starts_with(&format!("{name}E"))) {
            return;
        }
    }
    panic!("the tab key does not reach {name}");
}
