//! The users and workspaces of one test.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::Caller;
use crate::harness::Harness;

/// The roles in a world's workspace. Each user is named after the role.
const ROLES: [&str; 6] = ["owner", "admin", "maintain", "launch", "connect", "view"];

/// A user with a token.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user's id.
    pub id: i64,
    /// The user's name, unique across worlds.
    pub name: String,
    /// A personal access token.
    pub token: String,
}

/// An organization with a workspace and a user in each role, and a second organization with a
/// workspace owned by a stranger.
pub struct World {
    /// The deployed service.
    pub harness: Arc<Harness>,
    /// The organization's name.
    pub org_name: String,
    /// The organization.
    pub org: i64,
    /// The workspace, called `genomics`.
    pub workspace: i64,
    /// The stranger's organization.
    pub other_org: i64,
    /// The stranger's workspace, called `elsewhere`.
    pub other_workspace: i64,
    people: Vec<Person>,
}

impl World {
    /// Creates a world with `apply`, as an operator does.
    pub async fn make(harness: Arc<Harness>) -> Self {
        let number = harness.next_world();
        let name = |person: &str| format!("{person}-{number}");
        let names: Vec<_> = ROLES.into_iter().chain(["stranger"]).collect();
        let users: Vec<Value> = names
            .iter()
            .map(|person| {
                let name = name(person);
                json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [{"name": "test"}]})
            })
            .collect();
        let participants: Vec<Value> =
            ROLES.iter().map(|role| json!({"user": name(role), "role": role})).collect();
        let org_name = name("example");
        let document = json!({"users": users, "organizations": [
            {"name": org_name, "workspaces": [{
                "name": "genomics", "fullName": "Example genomics", "platforms": ["aws-batch", "slurm"],
                "participants": participants,
            }]},
            {"name": name("other"), "workspaces": [{
                "name": "elsewhere", "fullName": "Elsewhere", "platforms": ["aws-batch", "slurm"],
                "participants": [{"user": name("stranger"), "role": "owner"}],
            }]},
        ]});
        let applied = apply(&harness, &document).await;
        let people =
            names.iter().zip(applied["users"].as_array().expect("users")).map(|(person, user)| Person {
                id: user["id"].as_i64().expect("an id"),
                name: name(person),
                token: user["tokens"][0]["accessKey"].as_str().expect("a new token").to_owned(),
            });
        let people: Vec<_> = people.collect();
        for person in &people {
            harness.record_token(&person.token);
        }
        let (ours, other) = (&applied["organizations"][0], &applied["organizations"][1]);
        let id = |value: &Value| value["id"].as_i64().expect("an id");
        Self {
            harness,
            org_name,
            org: id(ours),
            workspace: id(&ours["workspaces"][0]),
            other_org: id(other),
            other_workspace: id(&other["workspaces"][0]),
            people,
        }
    }

    /// Returns the user with this role, or the `stranger`.
    #[must_use]
    pub fn person(&self, role: &str) -> &Person {
        let known = ROLES.iter().position(|known| *known == role).unwrap_or(ROLES.len());
        assert!(known < ROLES.len() || role == "stranger", "no user has the role {role}");
        &self.people[known]
    }

    /// Returns a caller for the user with this role, or for the `stranger`.
    #[must_use]
    pub fn caller(&self, role: &str) -> Caller {
        Caller::bearer(&self.harness, &self.person(role).token)
    }

    /// Creates a user who is a member of no workspace.
    pub async fn guest(&self) -> Person {
        let name = format!("guest-{}", self.harness.next_world());
        let user =
            json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [{"name": "test"}]});
        let applied = apply(&self.harness, &json!({"users": [user]})).await;
        let (id, token) = (&applied["users"][0]["id"], &applied["users"][0]["tokens"][0]["accessKey"]);
        let token = token.as_str().expect("a new token").to_owned();
        self.harness.record_token(&token);
        Person { id: id.as_i64().expect("an id"), name, token }
    }

    /// Adds this world's workspace to a path's query.
    #[must_use]
    pub fn inside(&self, path: &str) -> String {
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}workspaceId={}", self.workspace)
    }

    /// Returns a path below this world's workspace.
    #[must_use]
    pub fn below(&self, path: &str) -> String {
        format!("/orgs/{}/workspaces/{}{path}", self.org, self.workspace)
    }

    /// Stores a secret in the workspace as its owner, and returns its id.
    pub async fn secret(&self, name: &str, value: &str) -> i64 {
        let body = json!({"name": name, "value": value});
        let made = self.caller("owner").post(self.inside("/pipeline-secrets"), &body).await;
        made.json()["secretId"].as_i64().expect("an id")
    }

    /// Returns the names of the workspace's secrets in list order.
    pub async fn names(&self) -> Vec<String> {
        let list = self.caller("owner").get(self.inside("/pipeline-secrets")).await.json();
        let list = list["pipelineSecrets"].as_array().expect("a list").clone();
        list.iter().map(|secret| secret["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Returns the rows of the workspace and its users, which a rejected request must not change.
    /// Token rows are excluded: they record each use.
    pub async fn rows(&self) -> Vec<String> {
        let person = |kind: &'static str| self.people.iter().map(move |it| format!("{kind}#{}", it.id));
        let scopes = person("USER").chain(person("SECRETS#USER"));
        let workspace =
            ["WS", "SECRETS#WS", "MEMBERS", "ENVS"].map(|kind| format!("{kind}#{}", self.workspace));
        let scopes = scopes.chain(workspace).chain([format!("ORG#{}", self.org)]);
        let mut rows = Vec::new();
        for scope in scopes {
            rows.extend(self.harness.rows(&scope).await);
        }
        rows
    }
}

/// Creates users and workspaces, as an operator does.
async fn apply(harness: &Harness, document: &Value) -> Value {
    let applied = harness.stack.invoke("identity", &json!({"apply": document})).await.expect("identity");
    assert!(applied["error"].is_null(), "{applied}");
    applied
}
