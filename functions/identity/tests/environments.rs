//! Credentials and compute environments over HTTP: the exchanges of `tw` (tower-cli 0.38.0) and of
//! the Terraform provider `seqera` (0.42.0), derived from their public source, and refusals that
//! store nothing.

use crate::harness::{Harness, Ids, TestRequest, event};
use domain::ports::Verdict;
use domain::role::Role;
use http_api::Operation;
use http_api::operation::{Function, Needs};
use serde_json::{Value, json};

pub(crate) const ROLE: &str = "arn:aws:iam::210987654321:role/pipeline-secrets-lab";

/// A client with a user's token and a workspace.
pub(crate) struct Client<'a> {
    harness: &'a Harness,
    user: i64,
    workspace: Option<i64>,
}

impl<'a> Client<'a> {
    pub(crate) fn of(harness: &'a Harness, ids: &Ids, user: &str) -> Self {
        Self { harness, user: ids.user(user), workspace: Some(ids.workspace) }
    }

    /// Sends a request. `id` is the last part of the path, if it has one.
    async fn send(
        &self,
        operation: Operation,
        id: &str,
        query: &[(&'static str, &str)],
        body: Option<Value>,
    ) -> (u64, Value) {
        let mut request = TestRequest { body, ..TestRequest::by(self.user) };
        for (name, value) in query {
            request = request.query(name, value);
        }
        if let Some(workspace) = self.workspace {
            request = request.query("workspaceId", &workspace.to_string());
        }
        let mut event = event(operation, request);
        event["pathParameters"] = json!({"credentialsId": id, "computeEnvId": id});
        let answer = self.harness.send(&event).await.unwrap();
        let body = answer["body"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
        (answer["statusCode"].as_u64().unwrap(), body)
    }

    async fn get(&self, operation: Operation, id: &str) -> (u64, Value) {
        self.send(operation, id, &[], None).await
    }

    /// `tw credentials add aws --mode role`: creates the credentials, then describes them.
    pub(crate) async fn tw_adds_credentials(&self, name: &str, role: &str) -> Value {
        let body = json!({"credentials": {"name": name, "provider": "aws",
            "keys": {"discriminator": "aws", "mode": "role", "assumeRoleArn": role}}});
        let query = [("useExternalId", "true")];
        let (status, created) = self.send(Operation::CreateCredentials, "", &query, Some(body)).await;
        assert_eq!(status, 200, "{created}");
        let id = created["credentialsId"].as_str().unwrap();
        let (status, described) = self.get(Operation::DescribeCredentials, id).await;
        assert_eq!(status, 200, "{described}");
        described
    }

    /// The request of `tw compute-envs add aws-batch manual -n NAME -c CREDENTIALS`.
    pub(crate) async fn tw_adds_an_environment(&self, name: &str, credentials: &str) -> (u64, Value) {
        let body = json!({"computeEnv": {"name": name, "platform": "aws-batch", "credentialsId": credentials,
            "config": {"discriminator": "aws-batch", "region": "eu-west-1", "workDir": "s3://lab/work",
                "headQueue": "head", "computeQueue": "tasks", "fusion2Enabled": false, "waveEnabled": false,
                "nvnmeStorageEnabled": false}}});
        self.send(Operation::CreateComputeEnv, "", &[], Some(body)).await
    }
}

pub(crate) fn id_of(described: &Value) -> &str {
    described["credentials"]["id"].as_str().unwrap()
}

#[tokio::test]
async fn tw_adds_lists_views_validates_and_deletes_an_environment() {
    let (harness, ids) = Harness::with_declaration().await;
    let tw = Client::of(&harness, &ids, "admin");
    let described = tw.tw_adds_credentials("aws-lab", ROLE).await;
    let keys = &described["credentials"]["keys"];
    let external_id = keys["externalId"].as_str().unwrap();
    assert_eq!((&keys["discriminator"], &keys["assumeRoleArn"]), (&json!("aws"), &json!(ROLE)));
    // `tw` prints it under "Trust policy (paste this into your IAM role's trust relationship)".
    let snippet = described["setupSnippet"].as_str().unwrap();
    let policy: Value = serde_json::from_str(snippet).unwrap();
    assert_eq!(policy["Statement"][0]["Condition"], json!({"StringEquals": {"sts:ExternalId": external_id}}));
    assert_eq!(described["setup"]["parameters"]["ExternalId"], external_id);
    assert_eq!(described["setup"]["parameters"]["Scope"], format!("workspace/{}", ids.workspace));

    // Without -c, `tw` takes the only credentials of the platform.
    let query = [("platformId", "aws-batch")];
    let (_, list) = tw.send(Operation::ListCredentials, "", &query, None).await;
    assert_eq!(list["credentials"].as_array().unwrap().len(), 1);
    let (status, created) =
        tw.tw_adds_an_environment("batch-eu", list["credentials"][0]["id"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{created}");
    let id = created["computeEnvId"].as_str().unwrap();
    let (_, list) = tw.get(Operation::ListComputeEnvs, "").await;
    let entry = &list["computeEnvs"][0];
    assert_eq!((&entry["id"], &entry["status"]), (&json!(id), &json!("AVAILABLE")));
    let query = [("attributes", "labels")];
    let (status, view) = tw.send(Operation::DescribeComputeEnv, id, &query, None).await;
    assert_eq!((status, &view["computeEnv"]["config"]["workDir"]), (200, &json!("s3://lab/work")));
    assert_eq!(view["computeEnv"]["config"]["discriminator"], "aws-batch", "Jackson needs it");

    harness.roles.answer(Verdict::Refused);
    let query = [("force", "false")];
    let (status, checked) = tw.send(Operation::ValidateComputeEnv, id, &query, None).await;
    assert_eq!((status, &checked["status"]), (200, &json!("INVALID")));
    let (_, list) = tw.send(Operation::ListComputeEnvs, "", &[("status", "AVAILABLE")], None).await;
    assert_eq!(list["computeEnvs"], json!([]));
    harness.roles.answer(Verdict::Proved);
    let (_, checked) = tw.send(Operation::ValidateComputeEnv, id, &query, None).await;
    assert_eq!(checked, json!({"status": "AVAILABLE", "message": null, "transientError": false}));
    let (status, _) = tw.send(Operation::ValidateComputeEnv, id, &[("force", "true")], None).await;
    assert_eq!(status, 400, "no role is valid without a check");
    let (_, checked) = tw.send(Operation::ValidateCredentials, id_of(&described), &query, None).await;
    assert_eq!(checked["status"], "AVAILABLE");

    let update = json!({"name": "batch-ireland", "description": "moved"});
    assert_eq!(tw.send(Operation::UpdateComputeEnv, id, &[], Some(update)).await.0, 204);
    let (status, _) = tw.get(Operation::DeleteCredentials, id_of(&described)).await;
    assert_eq!(status, 409, "an environment uses them");
    assert_eq!(tw.get(Operation::DeleteComputeEnv, id).await.0, 204);
    assert_eq!(tw.get(Operation::DescribeComputeEnv, id).await.0, 404);
    assert_eq!(tw.get(Operation::DeleteCredentials, id_of(&described)).await.0, 204);
    assert_eq!(tw.get(Operation::DeleteCredentials, id_of(&described)).await.0, 404);
}

#[tokio::test]
async fn terraform_creates_polls_reads_updates_and_deletes() {
    let (harness, ids) = Harness::with_declaration().await;
    let provider = Client::of(&harness, &ids, "owner");
    let credentials = |role: &str, external_id: Value| {
        json!({"credentials": {"name": "aws_lab", "provider": "aws", "keys": {"accessKey": null, "secretKey": null,
            "assumeRoleArn": role, "mode": "role", "externalId": external_id}}})
    };
    let query = [("useExternalId", "true")];
    let sent = Some(credentials(ROLE, Value::Null));
    let (status, created) = provider.send(Operation::CreateCredentials, "", &query, sent.clone()).await;
    assert_eq!(status, 200, "{created}");
    // The provider repeats a POST after 429 and 5xx.
    let (status, repeated) = provider.send(Operation::CreateCredentials, "", &query, sent).await;
    assert!(status == 409 && repeated["message"].as_str().unwrap().contains("already exists"), "{repeated}");
    let id = created["credentialsId"].as_str().unwrap();
    let (_, read) = provider.get(Operation::DescribeCredentials, id).await;
    let external_id = read["credentials"]["keys"]["externalId"].clone();
    // An update in place sends the external id of the state.
    let role = "arn:aws:iam::210987654321:role/pipeline-secrets-two";
    let sent = Some(credentials(role, external_id.clone()));
    assert_eq!(provider.send(Operation::UpdateCredentials, id, &query, sent).await.0, 204);
    let (_, read) = provider.get(Operation::DescribeCredentials, id).await;
    let keys = &read["credentials"]["keys"];
    assert_eq!((&keys["assumeRoleArn"], &keys["externalId"]), (&json!(role), &external_id));

    let config = json!({"region": "eu-west-1", "workDir": "s3://lab/work", "headQueue": "head",
        "computeQueue": "tasks", "waveEnabled": true, "headJobCpus": 2, "volumes": [], "environment": []});
    let sent = json!({"computeEnv": {"credentialsId": id, "workspaceId": ids.workspace, "name": "tf_batch",
        "platform": "aws-batch", "config": config}});
    let (status, created) = provider.send(Operation::CreateComputeEnv, "", &[], Some(sent.clone())).await;
    assert_eq!(status, 200, "{created}");
    let checks = harness.roles.checks();
    let (status, repeated) = provider.send(Operation::CreateComputeEnv, "", &[], Some(sent)).await;
    assert!(status == 409 && repeated["message"].as_str().unwrap().contains("already exists"), "{repeated}");
    assert_eq!(harness.roles.checks(), checks, "a repeat assumes no role");
    let env = created["computeEnvId"].as_str().unwrap();
    let (_, polled) = provider.get(Operation::DescribeComputeEnv, env).await;
    let read = &polled["computeEnv"];
    assert_eq!(read["status"], "AVAILABLE", "the provider polls until then");
    assert!(read.get("deleted").is_none(), "any value removes the resource from the state");
    for (name, value) in config.as_object().unwrap() {
        assert_eq!(&read["config"][name], value, "{name} comes back as it was sent");
    }
    let update = json!({"credentialsId": id, "description": "by Terraform", "name": "tf_batch"});
    assert_eq!(provider.send(Operation::UpdateComputeEnv, env, &[], Some(update)).await.0, 204);
    let (_, read) = provider.get(Operation::DescribeComputeEnv, env).await;
    assert_eq!(read["computeEnv"]["description"], "by Terraform");
    assert_eq!(provider.get(Operation::DeleteComputeEnv, env).await.0, 204);
    assert_eq!(provider.get(Operation::DescribeComputeEnv, env).await.0, 404, "polled until 404");
    assert_eq!(provider.get(Operation::DeleteComputeEnv, env).await.0, 404);
}

#[tokio::test]
async fn nothing_is_stored_of_a_refused_request() {
    let (harness, ids) = Harness::with_declaration().await;
    let owner = Client::of(&harness, &ids, "owner");
    let described = owner.tw_adds_credentials("aws-lab", ROLE).await;
    let before = harness.rows().await;
    for verdict in [Verdict::LetsAnyoneIn, Verdict::Refused, Verdict::GrantsNothing] {
        harness.roles.answer(verdict);
        let (status, refused) = owner.tw_adds_an_environment("batch", id_of(&described)).await;
        assert_eq!(status, 400, "{verdict:?}: {refused}");
    }
    let keys = json!({"credentials": {"name": "keys", "provider": "aws",
        "keys": {"accessKey": "AKIAkAnArIeNvOgEl", "secretKey": "kAnArIeNvOgEl"}}});
    let (status, refused) = owner.send(Operation::CreateCredentials, "", &[], Some(keys)).await;
    assert!(status == 400 && !refused.to_string().contains("kAnArIeNvOgEl"), "{refused}");
    for user in ["maintain", "launch", "connect", "view"] {
        let other = Client::of(&harness, &ids, user);
        assert_eq!(other.tw_adds_an_environment("batch", id_of(&described)).await.0, 403, "{user}");
        assert_eq!(other.get(Operation::DescribeCredentials, id_of(&described)).await.0, 200, "{user}");
    }
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn every_role_has_exactly_the_permissions_of_the_table() {
    let (harness, ids) = Harness::with_declaration().await;
    let owner = Client::of(&harness, &ids, "owner");
    let described = owner.tw_adds_credentials("aws-lab", ROLE).await;
    let (_, created) = owner.tw_adds_an_environment("batch", id_of(&described)).await;
    let before = harness.rows().await;
    let mut allowed = 0;
    for operation in Operation::ALL.iter().filter(|it| it.path().starts_with("/c")) {
        let (Needs::InWorkspace(permission), true) =
            (operation.needs(), operation.function() == Function::Identity)
        else {
            continue;
        };
        let roles = permission.roles(&harness.settings);
        for user in Role::ALL.map(Some).into_iter().chain([None]) {
            let id = match operation.path().starts_with("/credentials") {
                true => id_of(&described),
                false => created["computeEnvId"].as_str().unwrap(),
            };
            let body = match operation {
                Operation::CreateComputeEnv => json!({"computeEnv": {"name": "new", "platform": "aws-batch",
                    "credentialsId": id_of(&described), "config": {"region": "eu-west-1"}}}),
                Operation::UpdateComputeEnv => json!({"name": "new"}),
                _ => {
                    json!({"credentials": {"name": "new", "provider": "aws", "keys": {"assumeRoleArn": ROLE}}})
                }
            };
            let expected = match user {
                None => 404,
                Some(role) if roles.contains(&role) && operation.method() != "GET" => continue,
                Some(role) if roles.contains(&role) => 200,
                Some(_) => 403,
            };
            let client = Client::of(&harness, &ids, user.map_or("outsider", Role::as_str));
            let (status, answer) = client.send(*operation, id, &[], Some(body)).await;
            assert_eq!(status, expected, "{} as {user:?}: {answer}", operation.id());
            allowed += usize::from(status == 200);
        }
    }
    assert_eq!(allowed, 4 * Role::ALL.len(), "every participant can read");
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn a_foreign_environment_gets_the_answer_and_the_calls_of_an_unknown_one() {
    let (harness, ids) = Harness::with_declaration().await;
    let owner = Client::of(&harness, &ids, "owner");
    let credentials = owner.tw_adds_credentials("aws-lab", ROLE).await;
    let (_, created) = owner.tw_adds_an_environment("batch", id_of(&credentials)).await;
    let mut declared = crate::harness::declaration();
    declared["organizations"][0]["workspaces"] = json!([{"name": "second", "fullName": "Second",
        "participants": [{"user": "outsider", "role": "owner"}]}]);
    let second = harness.apply(&declared).await["organizations"][0]["workspaces"][0]["id"].as_i64();
    let unknown = "0000000000000000000000";
    for (operation, id) in [
        (Operation::DescribeComputeEnv, created["computeEnvId"].as_str().unwrap()),
        (Operation::DeleteComputeEnv, created["computeEnvId"].as_str().unwrap()),
        (Operation::ValidateComputeEnv, created["computeEnvId"].as_str().unwrap()),
        (Operation::DescribeCredentials, id_of(&credentials)),
        (Operation::DeleteCredentials, id_of(&credentials)),
        (Operation::ValidateCredentials, id_of(&credentials)),
    ] {
        for workspace in [second, Some(ids.workspace)] {
            let outsider = Client { harness: &harness, user: ids.user("outsider"), workspace };
            let mut answers = Vec::new();
            for id in [id, unknown, "short"] {
                harness.table.faults.forget();
                answers.push((outsider.get(operation, id).await, harness.table.faults.operations()));
            }
            assert_eq!(answers[0].0.0, 404, "{}", operation.id());
            assert_eq!(answers[0], answers[1], "{}", operation.id());
            assert_eq!(answers[0].0, answers[2].0, "{}", operation.id());
        }
    }
    let outsider = Client { harness: &harness, user: ids.user("outsider"), workspace: second };
    let foreign = outsider.tw_adds_an_environment("batch", id_of(&credentials)).await;
    assert_eq!((foreign.0, &foreign), (422, &outsider.tw_adds_an_environment("batch", unknown).await));
    assert_eq!(harness.roles.checks(), 1, "only the owner's own role was assumed");
}

#[tokio::test]
async fn without_a_workspace_lists_are_empty_and_the_rest_is_refused() {
    let (harness, ids) = Harness::with_declaration().await;
    let user = Client { workspace: None, ..Client::of(&harness, &ids, "owner") };
    for operation in Operation::ALL.iter().filter(|it| it.path().starts_with("/c")) {
        let body =
            json!({"credentials": {"name": "lab", "provider": "aws", "keys": {"assumeRoleArn": ROLE}}});
        let body = match operation {
            Operation::CreateComputeEnv => json!({"computeEnv": {"name": "lab", "platform": "aws-batch",
                "credentialsId": "0000000000000000000000", "config": {"region": "eu-west-1"}}}),
            _ => body,
        };
        if operation.path().contains("claim") {
            continue;
        }
        let (status, answer) = user.send(*operation, "0000000000000000000000", &[], Some(body)).await;
        match operation.requires_workspace() {
            true => assert_eq!(status, 400, "{}: {answer}", operation.id()),
            false => assert_eq!(status, 200, "{}: {answer}", operation.id()),
        }
    }
}
