//! `tw secrets …` and seqerakit, exchange by exchange, as tower-cli 0.38.0 and seqerakit 0.5.7 send them: both are read
//! from their public source. seqerakit does everything through `tw`, which no package registry has: so neither can run
//! here, and both are replayed.

use end_to_end::{Answer, Ask, Caller, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::secrets::{created, is_date};
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        tw_manages_a_users_own_secrets,
        tw_manages_secrets_of_a_workspace_that_it_is_given_by_number,
        tw_manages_secrets_of_a_workspace_that_it_is_given_by_name,
        tw_shows_what_is_wrong,
        tw_info_finds_the_service_new_enough,
        seqerakit_creates_overwrites_and_destroys,
        tw_manages_participants_by_name,
    ]
}

/// `tw` under somebody's token. Its refusals are what it prints behind `ERROR:`.
struct Tw {
    caller: Caller,
    /// What `--workspace` gives.
    workspace: Option<String>,
}

/// A secret as the command line names it.
#[derive(Clone, Copy)]
enum Ref<'a> {
    Id(i64),
    Name(&'a str),
}

impl Tw {
    fn of(world: &World, role: &str, workspace: Option<String>) -> Self {
        Self { caller: world.caller(role), workspace }
    }

    /// The generated client's headers.
    async fn send(&self, ask: Ask) -> Answer {
        let ask = ask.header("accept", "application/json").header("user-agent", "tw/0.38.0 (linux-x86_64)");
        self.caller.ask(ask).await
    }

    async fn user_workspaces(&self) -> Vec<Value> {
        let user = self.send(Ask::get("/user-info")).await.json()["user"]["id"].clone();
        let rows = self.send(Ask::get(format!("/user/{user}/workspaces"))).await.json();
        rows["orgsAndWorkspaces"].as_array().expect("rows").clone()
    }

    /// `workspaceId(…)`: none, a number as it is, or `Org/Workspace` looked up by exact names.
    async fn workspace_id(&self) -> Option<i64> {
        let given = self.workspace.as_deref()?;
        let Some((org, name)) = given.split_once('/') else {
            return Some(given.parse().expect("a number"));
        };
        let rows = self.user_workspaces().await;
        let row = rows.iter().find(|row| row["orgName"] == org && row["workspaceName"] == name);
        Some(row.expect("the workspace")["workspaceId"].as_i64().expect("an id"))
    }

    /// `workspaceRef(…)`: what an answer is headed with.
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
        let list = self.send(Ask::get(self.path("/pipeline-secrets").await)).await.json();
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
                Ok(shown(&self.send(Ask::get(path)).await)?["pipelineSecret"].clone())
            }
        }
    }

    /// `tw secrets add [--overwrite]`
    async fn add(&self, name: &str, value: &str, overwrite: bool) -> Result<i64, String> {
        if overwrite && let Some(secret) = self.by_name(name).await {
            let path = self.path(&format!("/pipeline-secrets/{}", secret["id"])).await;
            self.send(Ask::delete(path)).await.no_content();
        }
        let ask = Ask::post(self.path("/pipeline-secrets").await, &json!({"name": name, "value": value}));
        let answer = self.send(ask).await;
        shown(&answer).map(|_| created(&answer))
    }

    /// `tw secrets update`
    async fn update(&self, secret: Ref<'_>, value: &str) -> Result<(), String> {
        let found = self.fetch(secret).await?;
        let path = self.path(&format!("/pipeline-secrets/{}", found["id"])).await;
        shown(&self.send(Ask::put(path, &json!({"value": value}))).await).map(drop)
    }

    /// `tw secrets delete`
    async fn delete(&self, secret: Ref<'_>) -> Result<(), String> {
        let found = self.fetch(secret).await?;
        let path = self.path(&format!("/pipeline-secrets/{}", found["id"])).await;
        shown(&self.send(Ask::delete(path)).await).map(drop)
    }
}

/// What the generated client makes of an answer: a body, none, or the line that `tw` prints.
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
    let again = tw.add("NCBI_API_KEY", "other", true).await.expect("overwritten");
    assert_ne!(again, id, "deleted and created");
    tw.add("FRESH", "v", true).await.expect("nothing to overwrite");
    assert_eq!(tw.list().await.len(), 3);
    tw.delete(Ref::Id(again)).await.expect("deleted");
    tw.delete(Ref::Name("LICENCE")).await.expect("deleted");
    let names: Vec<_> = tw.list().await.into_iter().map(|secret| secret["name"].clone()).collect();
    assert_eq!(names, ["FRESH"]);
}

async fn tw_manages_a_users_own_secrets() {
    let world = World::make(harness().await).await;
    manages(&world, None, "user").await;
}

async fn tw_manages_secrets_of_a_workspace_that_it_is_given_by_number() {
    let world = World::make(harness().await).await;
    let reference = format!("[{} / genomics]", world.org_name);
    manages(&world, Some(world.workspace.to_string()), &reference).await;
}

async fn tw_manages_secrets_of_a_workspace_that_it_is_given_by_name() {
    let world = World::make(harness().await).await;
    let reference = format!("[{} / genomics]", world.org_name);
    manages(&world, Some(format!("{}/genomics", world.org_name)), &reference).await;
}

async fn tw_shows_what_is_wrong() {
    let world = World::make(harness().await).await;
    let workspace = Some(world.workspace.to_string());
    let (owner, viewer) =
        (Tw::of(&world, "owner", workspace.clone()), Tw::of(&world, "view", workspace.clone()));
    owner.add("TAKEN", "v", false).await.expect("added");
    let error = owner.add("TAKEN", MARK, false).await.expect_err("taken");
    assert!(error.contains("already exists"), "{error}");
    let error = owner.add("1BAD", MARK, false).await.expect_err("bad");
    assert!(error.contains("must begin with a letter"), "{error}");
    let error = viewer.add("MINE", MARK, false).await.expect_err("refused");
    assert!(error.contains("role") && error.contains("owner or admin"), "{error}");
    assert_eq!(viewer.list().await.len(), 1, "every member sees the names");
    assert!(owner.delete(Ref::Id(1)).await.expect_err("absent").starts_with("Not found"));
    // `tw secrets list` turns a 404 into "workspace not found", and any other error into an empty list.
    let stranger = Tw::of(&world, "stranger", workspace);
    let path = stranger.path("/pipeline-secrets").await;
    let _ = stranger.send(Ask::get(path)).await.problem(404);
}

async fn tw_info_finds_the_service_new_enough() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "view", None);
    let info = tw.send(Ask::get("/service-info")).await.json();
    let numbers = |text: &str| text.split('.').map(|it| it.parse().expect("a number")).collect::<Vec<u32>>();
    let version = info["serviceInfo"]["apiVersion"].as_str().expect("a version");
    assert!(
        numbers(version) >= numbers("1.198.0"),
        "tower-cli 0.38.0 asks for 1.198.0 or later, not {version}"
    );
    assert_eq!(tw.send(Ask::get("/user-info")).await.json()["user"]["userName"], world.person("view").name);
}

/// seqerakit's blocks `secrets:` with `on_exists: overwrite`, without it, and `--delete`: `tw -o json secrets list`, then
/// `delete --name`, then `add`. It tells a name that is taken from other errors by this pattern of what `tw` prints.
async fn seqerakit_creates_overwrites_and_destroys() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "admin", Some(format!("{}/genomics", world.org_name)));
    tw.send(Ask::get("/service-info")).await.json()["serviceInfo"].as_object().expect("tw info");
    assert!(tw.by_name("SEQERA_KEY").await.is_none());
    tw.add("SEQERA_KEY", MARK, false).await.expect("created");

    assert!(tw.by_name("SEQERA_KEY").await.is_some());
    tw.delete(Ref::Name("SEQERA_KEY")).await.expect("deleted to be overwritten");
    tw.add("SEQERA_KEY", "second", false).await.expect("created anew");

    let error = tw.add("SEQERA_KEY", "third", false).await.expect_err("it is there");
    assert!(error.to_lowercase().contains("already exists"), "{error}");

    tw.delete(Ref::Name("SEQERA_KEY")).await.expect("destroyed");
    assert!(tw.by_name("SEQERA_KEY").await.is_none());
}

/// `tw participants list`, `update` and `delete`, and what seqerakit looks for where somebody takes part already.
async fn tw_manages_participants_by_name() {
    let world = World::make(harness().await).await;
    let tw = Tw::of(&world, "owner", Some(world.workspace.to_string()));
    let viewer = world.person("view");
    let list = tw.send(Ask::get(world.below(&format!("/participants?search={}", viewer.name)))).await.json();
    let found = &list["participants"][0];
    assert_eq!((&found["userName"], &found["wspRole"]), (&json!(viewer.name), &json!("view")));
    assert_eq!(
        (&found["type"], &found["email"]),
        (&json!("MEMBER"), &json!(format!("{}@example.org", viewer.name)))
    );
    let one = world.below(&format!("/participants/{}", found["participantId"]));
    tw.send(Ask::put(format!("{one}/role"), &json!({"role": "LAUNCH"}))).await.no_content();
    let added =
        tw.send(Ask::put(world.below("/participants/add"), &json!({"userNameOrEmail": viewer.name}))).await;
    let message = added.problem(409).to_lowercase();
    assert!(message.contains("already a participant"), "{message}");
    tw.send(Ask::delete(one)).await.no_content();
    let added =
        tw.send(Ask::put(world.below("/participants/add"), &json!({"userNameOrEmail": viewer.name}))).await;
    assert_eq!(added.json()["participant"]["wspRole"], "launch");
}
