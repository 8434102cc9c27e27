//! Replays the HTTP exchanges of `tw secrets …` (tower-cli 0.38.0) and seqerakit 0.5.7, derived
//! from their public source. `tw` is not in any package registry and seqerakit needs it, so neither
//! can run in these tests.

use end_to_end::{Answer, ApiRequest, Caller, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::secrets::{created, is_date};
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        tw_manages_user_secrets,
        tw_manages_secrets_of_a_workspace_given_by_id,
        tw_manages_secrets_of_a_workspace_given_by_name,
        tw_prints_error_messages,
        tw_info_accepts_the_service_version,
        seqerakit_creates_overwrites_and_destroys,
        tw_manages_participants_by_name,
        tw_adds_participants_by_name_and_by_email,
        tw_shows_organizations_and_members,
        tw_leaves_a_workspace,
        tw_cancels_a_run,
    ]
}

/// `tw` with a user's token. An `Err` is what it prints after `ERROR:`.
struct Tw {
    caller: Caller,
    /// The value of `--workspace`.
    workspace: Option<String>,
}

/// A secret in a command-line argument.
#[derive(Clone, Copy)]
enum Ref<'a> {
    Id(i64),
    Name(&'a str),
}

impl Tw {
    fn of(world: &World, role: &str, workspace: Option<String>) -> Self {
        Self { caller: world.caller(role), workspace }
    }

    /// Sends a request with the generated client's headers.
    async fn send(&self, request: ApiRequest) -> Answer {
        let request =
            request.header("accept", "application/json").header("user-agent", "tw/0.38.0 (linux-x86_64)");
        self.caller.send(request).await
    }

    async fn user_workspaces(&self) -> Vec<Value> {
        let user = self.send(ApiRequest::get("/user-info")).await.json()["user"]["id"].clone();
        let rows = self.send(ApiRequest::get(format!("/user/{user}/workspaces"))).await.json();
        rows["orgsAndWorkspaces"].as_array().expect("rows").clone()
    }

    /// `workspaceId(…)`: none, a number, or `Org/Workspace`, which is looked up by exact names.
    async fn workspace_id(&self) -> Option<i64> {
        let given = self.workspace.as_deref()?;
        let Some((org, name)) = given.split_once('/') else {
            return Some(given.parse().expect("a number"));
        };
        let rows = self.user_workspaces().await;
        let row = rows.iter().find(|row| row["orgName"] == org && row["workspaceName"] == name);
        Some(row.expect("the workspace")["workspaceId"].as_i64().expect("an id"))
    }

    /// `workspaceRef(…)`: the heading of an answer.
    async fn workspace_ref(&self, id: Option<i64>) -> String {
        let Some(id) = id else {
            return "user".to_owned();
        };
        let rows = self.user_workspaces().await;
        let row = rows.iter().find(|row| row["workspaceId"] == id).expect("the workspace");
        format!(
            "[{} / {}]",
            row["orgName"].as_str().expect("a name"),
            row["workspaceName"].as_str().expect("a name")
        )
    }

    async fn path(&self, path: &str) -> String {
        match self.workspace_id().await {
            Some(id) => format!("{path}?workspaceId={id}"),
            None => path.to_owned(),
        }
    }

    async fn list(&self) -> Vec<Value> {
        let list = self.send(ApiRequest::get(self.path("/pipeline-secrets").await)).await.json();
        list["pipelineSecrets"].as_array().expect("a list").clone()
    }

    async fn by_name(&self, name: &str) -> Option<Value> {
        self.list().await.into_iter().find(|secret| secret["name"] == name)
    }

    async fn fetch(&self, secret: Ref<'_>) -> Result<Value, String> {
        match secret {
            Ref::Name(name) => self.by_name(name).await.ok_or_else(|| format!("Secret '{name}' not found")),
            Ref::Id(id) => {
                let path = self.path(&format!("/pipeline-secrets/{id}")).await;
                Ok(shown(&self.send(ApiRequest::get(path)).await)?["pipelineSecret"].clone())
            }
        }
    }

    /// `tw secrets add [--overwrite]`
    async fn add(&self, name: &str, value: &str, overwrite: bool) -> Result<i64, String> {
        if overwrite && let Some(secret) = self.by_name(name).await {
            let path = self.path(&format!("/pipeline-secrets/{}", secret["id"])).await;
            self.send(ApiRequest::delete(path)).await.no_content();
        }
        let request =
            ApiRequest::post(self.path("/pipeline-secrets").await, &json!({"name": name, "value": value}));
        let answer = self.send(request).await;
        shown(&answer).map(|_| created(&answer))
    }

    /// `tw secrets update`
    async fn update(&self, secret: Ref<'_>, value: &str) -> Result<(), String> {
        let found = self.fetch(secret).await?;
        let path = self.path(&format!("/pipeline-secrets/{}", found["id"])).await;
        shown(&self.send(ApiRequest::put(path, &json!({"value": value}))).await).map(drop)
    }

    /// `tw secrets delete`
    async fn delete(&self, secret: Ref<'_>) -> Result<(), String> {
        let found = self.fetch(secret).await?;
        let path = self.path(&format!("/pipeline-secrets/{}", found["id"])).await;
        shown(&self.send(ApiRequest::delete(path)).await).map(drop)
    }
}

/// Converts an answer like the generated client: a body, no body, or the line that `tw` prints.
fn shown(answer: &Answer) -> Result<Value, String> {
    match answer.status {
        200 => Ok(answer.json()),
        204 => {
            answer.no_content();
            Ok(Value::Null)
        }
        401 => Err("Unauthorized. Check your access token, workspace id and tower server url.".to_owned()),
        status => Err(answer.problem(status)),
    }
}

async fn manages(world: &World, workspace: Option<String>, reference: &str) {
    let tw = Tw::of(world, "owner", workspace);
    assert!(tw.list().await.is_empty());
    let id = tw.add("NCBI_API_KEY", MARK, false).await.expect("added");
    assert_eq!(tw.workspace_ref(tw.workspace_id().await).await, reference);
    tw.add("LICENCE", &format!("{MARK}\nline 2\n"), false).await.expect("added");
    // The table of `tw secrets list` reads these.
    for secret in tw.list().await {
        assert!(
            secret["id"].is_i64() && secret["name"].is_string() && is_date(&secret["lastUpdated"]),
            "{secret}"
        );
    }
    for secret in [Ref::Name("NCBI_API_KEY"), Ref::Id(id)] {
        let viewed = tw.fetch(secret).await.expect("viewed");
        assert_eq!((&viewed["id"], &viewed["name"]), (&json!(id), &json!("NCBI_API_KEY")));
        assert!(viewed["lastUsed"].is_null() && is_date(&viewed["dateCreated"]), "{viewed}");
        tw.update(secret, "new").await.expect("updated");
    }
    let overwritten = tw.add("NCBI_API_KEY", "other", true).await.expect("overwritten");
    assert_ne!(overwritten, id, "deleted and created");
    tw.add("FRESH", "v", true).await.expect("nothing to overwrite");
    assert_eq!(tw.list().await.len(), 3);
    tw.delete(Ref::Id(overwritten)).await.expect("deleted");
    tw.delete(Ref::Name("LICENCE")).await.expect("deleted");
    let names: Vec<_> = tw.list().await.into_iter().map(|secret| secret["name"].clone()).collect();
    assert_eq!(names, ["FRESH"]);
}

async fn tw_manages_user_secrets() {
    let world = World::make(harness().await).await;
    manages(&world, None, "user").await;
}

async fn tw_manages_secrets_of_a_workspace_given_by_id() {
    let world = World::make(harness().await).await;
    let reference = format!("[{} / genomics]", world.org_name);
    manages(&world, Some(world.workspace.to_string()), &reference).await;
}

async fn tw_manages_secrets_of_a_workspace_given_by_name() {
    let world = World::make(harness().await).await;
    let reference = format!("[{} / genomics]", world.org_name);
    manages(&world, Some(format!("{}/genomics", world.org_name)), &reference).await;
}

async fn tw_prints_error_messages() {
    let world = World::make(harness().await).await;
    let workspace = Some(world.workspace.to_string());
    let (owner, viewer) =
        (Tw::of(&world, "owner", workspace.clone()), Tw::of(&world, "view", workspace.clone()));
    owner.add("TAKEN", "v", false).await.expect("added");
    let error = owner.add("TAKEN", MARK, false).await.expect_err("taken");
    assert!(error.contains("already exists"), "{error}");
    let error = owner.add("1BAD", MARK, false).await.expect_err("bad");
    assert!(error.contains("must start with a letter"), "{error}");
    let error = viewer.add("MINE", MARK, false).await.expect_err("rejected");
    assert!(error.contains("role") && error.contains("owner or admin"), "{error}");
    assert_eq!(viewer.list().await.len(), 1, "every member sees the names");
    assert!(owner.delete(Ref::Id(1)).await.expect_err("absent").starts_with("Not found"));
    // `tw secrets list` turns a 404 into "workspace not found", and any other error into an empty
    // list.
    let stranger = Tw::of(&world, "stranger", workspace);
    let path = stranger.path("/pipeline-secrets").await;
    let _ = stranger.send(ApiRequest::get(path)).await.problem(404);
}

async fn tw_info_accepts_the_service_version() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "view", None);
    let info = tw.send(ApiRequest::get("/service-info")).await.json();
    let numbers = |text: &str| text.split('.').map(|it| it.parse().expect("a number")).collect::<Vec<u32>>();
    let version = info["serviceInfo"]["apiVersion"].as_str().expect("a version");
    assert!(
        numbers(version) >= numbers("1.181.0"),
        "tower-cli 0.38.0 requires 1.181.0 or later, not {version}"
    );
    assert_eq!(
        tw.send(ApiRequest::get("/user-info")).await.json()["user"]["userName"],
        world.person("view").name
    );
}

/// seqerakit's `secrets:` blocks with and without `on_exists: overwrite`, and `--delete`: `tw -o
/// json secrets list`, then `delete --name`, then `add`. seqerakit recognizes a taken name by the
/// text "already exists".
async fn seqerakit_creates_overwrites_and_destroys() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "admin", Some(format!("{}/genomics", world.org_name)));
    tw.send(ApiRequest::get("/service-info")).await.json()["serviceInfo"].as_object().expect("tw info");
    assert!(tw.by_name("SEQERA_KEY").await.is_none());
    tw.add("SEQERA_KEY", MARK, false).await.expect("created");

    assert!(tw.by_name("SEQERA_KEY").await.is_some());
    tw.delete(Ref::Name("SEQERA_KEY")).await.expect("deleted before the overwrite");
    tw.add("SEQERA_KEY", "second", false).await.expect("created again");

    let error = tw.add("SEQERA_KEY", "third", false).await.expect_err("taken");
    assert!(error.to_lowercase().contains("already exists"), "{error}");

    tw.delete(Ref::Name("SEQERA_KEY")).await.expect("destroyed");
    assert!(tw.by_name("SEQERA_KEY").await.is_none());
}

/// `tw participants list`, `update` and `delete`, and the message by which seqerakit recognizes an
/// existing participant.
async fn tw_manages_participants_by_name() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "owner", Some(world.workspace.to_string()));
    let viewer = world.person("view");
    let list =
        tw.send(ApiRequest::get(world.below(&format!("/participants?search={}", viewer.name)))).await.json();
    let found = &list["participants"][0];
    assert_eq!((&found["userName"], &found["wspRole"]), (&json!(viewer.name), &json!("view")));
    assert_eq!(
        (&found["type"], &found["email"]),
        (&json!("MEMBER"), &json!(format!("{}@example.org", viewer.name)))
    );
    let one = world.below(&format!("/participants/{}", found["participantId"]));
    tw.send(ApiRequest::put(format!("{one}/role"), &json!({"role": "LAUNCH"}))).await.no_content();
    let added = tw
        .send(ApiRequest::put(world.below("/participants/add"), &json!({"userNameOrEmail": viewer.name})))
        .await;
    let message = added.problem(409).to_lowercase();
    assert!(message.contains("already a participant"), "{message}");
    tw.send(ApiRequest::delete(one)).await.no_content();
    let added = tw
        .send(ApiRequest::put(world.below("/participants/add"), &json!({"userNameOrEmail": viewer.name})))
        .await;
    assert_eq!(added.json()["participant"]["wspRole"], "view", "the role of least rights");
}

impl Tw {
    /// `findOrganizationByRef(…)`: the row of an organization, by name or ID.
    async fn organization(&self, reference: &str) -> i64 {
        let rows = self.user_workspaces().await;
        let row = rows.iter().find(|row| {
            row["workspaceName"].is_null()
                && (row["orgName"] == reference || row["orgId"].as_i64() == reference.parse().ok())
        });
        row.expect("the organization")["orgId"].as_i64().expect("an id")
    }

    /// `orgId(…)` and the workspace's ID: the path of the workspace.
    async fn below(&self, path: &str) -> String {
        let id = self.workspace_id().await.expect("a workspace");
        let rows = self.user_workspaces().await;
        let row = rows.iter().find(|row| row["workspaceId"] == id).expect("the workspace");
        format!("/orgs/{}/workspaces/{id}{path}", row["orgId"])
    }

    /// `listOrganizationMembers(…)`
    async fn members(&self, org: i64, query: &str) -> Vec<Value> {
        let list = self.send(ApiRequest::get(format!("/orgs/{org}/members{query}"))).await.json();
        list["members"].as_array().expect("a list").clone()
    }

    /// `tw participants add -t MEMBER [--overwrite]`: the first member that the search finds, or
    /// else the name as given.
    async fn add_participant(&self, org: i64, name: &str, overwrite: bool) -> Result<Value, String> {
        let search = name.replace('@', "%40");
        let member = self.members(org, &format!("?search={search}")).await.into_iter().next();
        let body = match &member {
            Some(member) => json!({"memberId": member["memberId"]}),
            None => json!({"userNameOrEmail": name}),
        };
        if overwrite {
            let path = self.below(&format!("/participants?search={search}")).await;
            let list = self.send(ApiRequest::get(path)).await.json();
            let found = list["participants"].as_array().expect("a list");
            if let Some(found) = found.iter().find(|row| row["type"] == "MEMBER") {
                let path = self.below(&format!("/participants/{}", found["participantId"])).await;
                self.send(ApiRequest::delete(path)).await.no_content();
            }
        }
        let path = self.below("/participants/add").await;
        let answer = self.send(ApiRequest::put(path, &body)).await;
        shown(&answer).map(|answer| answer["participant"].clone())
    }
}

async fn tw_adds_participants_by_name_and_by_email() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "owner", Some(format!("{}/genomics", world.org_name)));
    let (by_email, by_name) = (world.guest().await, world.guest().await);
    for (guest, name) in
        [(&by_email, format!("{}@example.org", by_email.name)), (&by_name, by_name.name.clone())]
    {
        let added = tw.add_participant(world.org, &name, false).await.expect("added");
        assert_eq!(
            (&added["memberId"], &added["userName"], &added["wspRole"]),
            (&json!(guest.id), &json!(guest.name), &json!("view"))
        );
        let error = tw.add_participant(world.org, &name, false).await.expect_err("a participant");
        assert!(error.contains("already a participant"), "{error}");
        let again = tw.add_participant(world.org, &name, true).await.expect("overwritten");
        assert_eq!(again["memberId"], json!(guest.id));
    }
    // A part of a name is no name: no other person gets access.
    let part = &by_name.name[..by_name.name.len() - 1];
    let error = tw.add_participant(world.org, part, false).await.expect_err("a part of a name");
    assert!(error.contains("does not exist"), "{error}");
    let viewer = Tw::of(&world, "view", tw.workspace.clone());
    let error =
        viewer.add_participant(world.org, &world.guest().await.name, false).await.expect_err("a role");
    assert!(error.contains("owner or admin"), "{error}");
}

async fn tw_shows_organizations_and_members() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "view", None);
    for reference in [world.org_name.clone(), world.org.to_string()] {
        let org = tw.organization(&reference).await;
        // `tw organizations view`
        let viewed = tw.send(ApiRequest::get(format!("/orgs/{org}"))).await.json();
        let viewed = &viewed["organization"];
        assert_eq!((&viewed["orgId"], &viewed["name"]), (&json!(world.org), &json!(world.org_name)));
        assert!(viewed["fullName"].is_string(), "{viewed}");
        // `tw members list`, with the client's defaults of `--max` and `--offset`
        let members = tw.members(org, "?max=100&offset=0").await;
        assert_eq!(members.len(), 6, "{members:?}");
        for member in &members {
            assert!(member["memberId"].is_i64() && member["userName"].is_string(), "{member}");
            assert!(member["email"].is_string() && member["role"] == "member", "{member}");
        }
        let page = tw.members(org, "?max=2&offset=2").await;
        assert_eq!(page, members[2..4]);
    }
}

async fn tw_leaves_a_workspace() {
    let world = World::make(harness().await).await;
    let workspace = Some(world.workspace.to_string());
    let tw = Tw::of(&world, "launch", workspace.clone());
    let path = tw.below("/participants").await;
    tw.send(ApiRequest::delete(&path)).await.no_content();
    assert_eq!(tw.user_workspaces().await, [] as [Value; 0]);
    let _ = tw.send(ApiRequest::delete(&path)).await.problem(404);
    let owner = Tw::of(&world, "owner", workspace);
    let error = shown(&owner.send(ApiRequest::delete(path)).await).expect_err("the last owner");
    assert!(error.contains("at least one owner"), "{error}");
}

/// `tw runs cancel --id`: a POST without a body.
async fn tw_cancels_a_run() {
    let world = World::make(harness().await).await;
    let body = json!({"platform": "slurm", "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller("launch").post(world.inside("/launches"), &body).await.json();
    for token in [&run["runToken"], &run["claimToken"]] {
        world.harness.record_token(token.as_str().expect("a token"));
    }
    let path = format!("/workflow/{}/cancel", run["workflowId"].as_str().expect("an id"));
    let tw = Tw::of(&world, "maintain", Some(world.workspace.to_string()));
    // Without --workspace, tw names none.
    let _ = tw.send(ApiRequest::new("POST", &path)).await.problem(404);
    for _ in 0..2 {
        tw.send(ApiRequest::new("POST", world.inside(&path))).await.no_content();
    }
    let receipt = world.inside(&format!("/runs/{}", run["workflowId"].as_str().expect("an id")));
    let receipt = world.caller("view").get(receipt).await.json();
    let expected = json!({"result": "cancelled", "exitStatus": null, "reportedBy": "user",
        "cancelledBy": world.person("maintain").id});
    assert_eq!((&receipt["state"], &receipt["outcome"]), (&json!("ended"), &expected));
}
