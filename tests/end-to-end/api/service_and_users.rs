//! Operations other than secrets: the service, users, their workspaces and tokens.

use std::time::{Duration, Instant};

use end_to_end::{Answer, ApiRequest, Caller, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::secrets::is_date;
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        service_info_needs_no_token,
        user_info_has_the_platforms_shape,
        organizations_come_first_then_their_workspaces,
        a_token_is_shown_once_and_works_as_bearer_and_as_basic,
        a_revoked_token_is_rejected_once_the_cached_decision_expires,
        a_missing_token_gives_401_and_an_invalid_one_403,
        a_role_change_takes_effect_on_the_next_request,
        a_user_who_loses_launch_permission_cannot_redeem_earlier_claim_tokens,
        a_claim_token_ends_with_the_access_token_of_its_launch,
        every_participant_may_leave_except_the_last_owner,
    ]
}

async fn service_info_needs_no_token() {
    let info = Caller::with_authorization(&harness().await, None).get("/service-info").await.json();
    let info = &info["serviceInfo"];
    for field in ["version", "apiVersion"] {
        let version = info[field].as_str().expect("a version");
        assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    }
}

async fn user_info_has_the_platforms_shape() {
    let world = World::make(harness().await).await;
    let person = world.person("view");
    let info = world.caller("view").get("/user-info").await.json();
    assert_eq!(info["needConsent"], false);
    assert_eq!(info.as_object().expect("an object").get("defaultWorkspaceId"), Some(&Value::Null));
    let user = &info["user"];
    assert_eq!((&user["id"], &user["userName"]), (&json!(person.id), &json!(person.name)));
    assert_eq!(user["email"], format!("{}@example.org", person.name));
    assert!(is_date(&user["dateCreated"]), "{user}");
}

async fn organizations_come_first_then_their_workspaces() {
    let world = World::make(harness().await).await;
    let path = format!("/user/{}/workspaces", world.person("launch").id);
    let found = world.caller("launch").get(path).await.json();
    let row = |workspace: Value, name: Value, full: Value, visibility: Value, role: &str| {
        json!({"orgId": world.org, "orgName": world.org_name, "orgLogoUrl": null, "workspaceId": workspace,
            "workspaceName": name, "workspaceFullName": full, "visibility": visibility, "roles": [role]})
    };
    let organization = row(Value::Null, Value::Null, Value::Null, Value::Null, "member");
    let workspace =
        row(json!(world.workspace), json!("genomics"), json!("Example genomics"), json!("PRIVATE"), "launch");
    assert_eq!(found, json!({"orgsAndWorkspaces": [organization, workspace]}));

    let guest = world.guest().await;
    let found =
        Caller::bearer(&world.harness, &guest.token).get(format!("/user/{}/workspaces", guest.id)).await;
    assert_eq!(found.json(), json!({"orgsAndWorkspaces": []}));
}

async fn a_token_is_shown_once_and_works_as_bearer_and_as_basic() {
    let world = World::make(harness().await).await;
    let created = world.caller("view").post("/tokens", &json!({"name": "ci"})).await.json();
    let key = created["accessKey"].as_str().expect("a key");
    world.harness.record_token(key);
    let fields: Vec<_> = created["token"].as_object().expect("a token").keys().collect();
    let expected =
        ["createdWith", "dateCreated", "expires", "id", "lastUsed", "name", "scope", "workspaceId"];
    assert_eq!(fields, expected);
    assert!(created["token"]["lastUsed"].is_null() && is_date(&created["token"]["dateCreated"]), "{created}");
    for caller in [Caller::bearer(&world.harness, key), Caller::basic(&world.harness, key)] {
        let user = caller.get("/user-info").await.json();
        assert_eq!(user["user"]["id"], world.person("view").id);
    }
    let list = world.caller("view").get("/tokens").await;
    assert!(!list.body.contains(key), "the list shows the token");
    let listed = list.json()["tokens"].as_array().expect("tokens").clone();
    let listed =
        listed.iter().find(|token| token["id"] == created["token"]["id"]).expect("the token").clone();
    assert!(is_date(&listed["lastUsed"]), "{listed}");
    let taken = world.caller("view").post("/tokens", &json!({"name": "CI"})).await.problem(409);
    assert!(taken.contains("already"), "{taken}");
    for name in ["", "  ", "a\nb", &"x".repeat(51)] {
        let _ = world.caller("view").post("/tokens", &json!({"name": name})).await.problem(400);
    }
    let past = json!({"name": "past", "expires": "2020-01-01T00:00:00Z"});
    let _ = world.caller("view").post("/tokens", &past).await.problem(400);
}

async fn a_revoked_token_is_rejected_once_the_cached_decision_expires() {
    let world = World::make(harness().await).await;
    let created = world.caller("view").post("/tokens", &json!({"name": "leaked"})).await.json();
    let key = created["accessKey"].as_str().expect("a key");
    world.harness.record_token(key);
    let thief = Caller::bearer(&world.harness, key);
    let _ = thief.get("/user-info").await.json();
    world.caller("view").delete(format!("/tokens/{}", created["token"]["id"])).await.no_content();
    let answer = until_refused(&thief).await;
    let _ = answer.problem(403);
    // Also for other operations and as Basic credentials.
    let _ = thief.get("/pipeline-secrets").await.problem(403);
    let _ = Caller::basic(&world.harness, key).get("/user-info").await.problem(403);
}

/// Waits for the first rejection. The shared stack caches a token's authorization for 2 seconds.
async fn until_refused(caller: &Caller) -> Answer {
    let started = Instant::now();
    loop {
        let answer = caller.get("/user-info").await;
        if answer.status != 200 || started.elapsed() > Duration::from_secs(20) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_missing_token_gives_401_and_an_invalid_one_403() {
    let harness = harness().await;
    let world = World::make(harness.clone()).await;
    let request = |authorization: Option<&str>| {
        let caller = Caller::with_authorization(&harness, authorization);
        async move { caller.get("/pipeline-secrets").await }
    };
    assert_eq!(request(None).await.problem(401), "Unauthorized");
    let token = &world.person("view").token;
    let cut = &token[..token.len() - 4];
    let (other, own) = (&world.person("owner").token, &world.person("view").token);
    let (digest, bare) = (format!("Digest {own}"), own.clone());
    let (cut, both) = (format!("Bearer {cut}"), format!("Bearer {own} {other}"));
    // {"alg":"none"}.{"sub":"x"}. and one with an invalid signature
    let unsigned = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    let forged = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA";
    for bad in ["Bearer", "Bearer x", "Basic x", "Basic eDp5", &digest, &bare, &cut, &both, unsigned, forged]
    {
        assert_eq!(request(Some(bad)).await.problem(403), "Forbidden", "{bad}");
    }
}

async fn a_role_change_takes_effect_on_the_next_request() {
    let world = World::make(harness().await).await;
    let (owner, admin) = (world.caller("owner"), world.caller("admin"));
    let create = |name: &str| {
        ApiRequest::post(world.inside("/pipeline-secrets"), &json!({"name": name, "value": "v"}))
    };
    let _ = admin.send(create("BEFORE")).await.json();
    let participant = world.below(&format!("/participants/{}", world.person("admin").id));
    owner.put(format!("{participant}/role"), &json!({"role": "view"})).await.no_content();
    let refused = admin.send(create("LOWERED")).await.problem(403);
    assert!(refused.contains("owner or admin"), "{refused}");
    let _ = admin.get(world.inside("/pipeline-secrets")).await.json();
    owner.delete(&participant).await.no_content();
    let _ = admin.get(world.inside("/pipeline-secrets")).await.problem(404);
    let _ = admin.send(create("REMOVED")).await.problem(404);
    let _ = admin.post(world.inside("/launches"), &json!({"platform": "aws-batch"})).await.problem(404);
    assert_eq!(world.names().await, ["BEFORE"]);
    let found = admin.get(format!("/user/{}/workspaces", world.person("admin").id)).await.json();
    assert_eq!(found, json!({"orgsAndWorkspaces": []}));
}

/// A claim may come a day after its launch. Without this check it would deliver values that were
/// replaced because a user left.
async fn a_user_who_loses_launch_permission_cannot_redeem_earlier_claim_tokens() {
    let world = World::make(harness().await).await;
    let owner = world.caller("owner");
    let secret = world.secret("REPLACED", "old").await;
    let launch = async |person: &str| {
        let body = json!({"platform": "slurm"});
        let run = world.caller(person).post(world.inside("/launches"), &body).await.json();
        let token = run["claimToken"].as_str().expect("a token");
        world.harness.record_token(token);
        world.harness.record_token(run["runToken"].as_str().expect("a token"));
        let id = run["workflowId"].as_str().expect("an id").to_owned();
        (Caller::bearer(&world.harness, token), id)
    };
    let claim = |id: &str| ApiRequest::new("POST", format!("/runs/{id}/claim"));
    let (removed, lowered) = (launch("launch").await, launch("maintain").await);
    let (allowed, platform_disabled) = (launch("admin").await, launch("admin").await);
    owner.delete(world.below(&format!("/participants/{}", world.person("launch").id))).await.no_content();
    let role = world.below(&format!("/participants/{}/role", world.person("maintain").id));
    owner.put(role, &json!({"role": "view"})).await.no_content();
    owner
        .put(world.inside(&format!("/pipeline-secrets/{secret}")), &json!({"value": MARK}))
        .await
        .no_content();
    // `send` panics if an answer contains the value: these requests do not allow values.
    for (claimer, id) in [&removed, &lowered] {
        let message = claimer.send(claim(id)).await.problem(422);
        assert!(message.contains("launch"), "{message}");
        let run = owner.get(format!("/runs/{id}")).await.json();
        assert_eq!((&run["state"], &run["outcome"]["result"]), (&json!("ended"), &json!("launch-failed")));
        let _ = claimer.send(claim(id)).await.problem(410);
    }
    let (claimer, id) = &allowed;
    let store = claimer.send(claim(id).allowing_values()).await.json();
    assert_eq!(store[0], json!({"name": "REPLACED", "value": MARK}));
    assert_eq!(store[1]["name"], "PIPELINE_SECRETS_SALT");
    assert_eq!(store.as_array().map(Vec::len), Some(2));
    owner.put(world.below("/platforms"), &json!({"platforms": ["aws-batch"]})).await.no_content();
    let (claimer, id) = &platform_disabled;
    let _ = claimer.send(claim(id)).await.problem(422);
}

/// With a stolen token, someone can launch, keep the claim token, and wait until the values were
/// replaced.
async fn a_claim_token_ends_with_the_access_token_of_its_launch() {
    let world = World::make(harness().await).await;
    let owner = world.caller("owner");
    world.secret("REPLACED", "old").await;
    let created = owner.post("/tokens", &json!({"name": "stolen"})).await.json();
    let key = created["accessKey"].as_str().expect("a key");
    world.harness.record_token(key);
    let thief = Caller::bearer(&world.harness, key);
    let run = thief.post(world.inside("/launches"), &json!({"platform": "slurm"})).await.json();
    for token in ["claimToken", "runToken"] {
        world.harness.record_token(run[token].as_str().expect("a token"));
    }
    let id = run["workflowId"].as_str().expect("an id");
    let claimer = Caller::bearer(&world.harness, run["claimToken"].as_str().expect("a token"));
    owner.delete(format!("/tokens/{}", created["token"]["id"])).await.no_content();
    let claim = ApiRequest::new("POST", format!("/runs/{id}/claim"));
    let message = claimer.send(claim).await.problem(422);
    assert!(message.contains("revoked"), "{message}");
    assert_eq!(owner.get(format!("/runs/{id}")).await.json()["state"], "ended");
}

async fn every_participant_may_leave_except_the_last_owner() {
    let world = World::make(harness().await).await;
    for role in ["admin", "maintain", "launch", "connect", "view"] {
        let own = world.below(&format!("/participants/{}", world.person(role).id));
        world.caller(role).delete(&own).await.no_content();
        let _ = world.caller(role).delete(&own).await.problem(404);
    }
    let own = world.below(&format!("/participants/{}", world.person("owner").id));
    let refused = world.caller("owner").delete(&own).await.problem(409);
    assert!(refused.contains("owner"), "{refused}");
    let refused = world.caller("owner").put(format!("{own}/role"), &json!({"role": "admin"})).await;
    let _ = refused.problem(409);
    assert_eq!(world.caller("owner").get(world.below("/participants")).await.json()["totalSize"], 1);
}
