//! Users and workspaces of one test.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::Caller;
use crate::harness::Harness;

/// The roles of a world's people in its workspace; each is named like the role.
const ROLES: [&str; 6] = ["owner", "admin", "maintain", "launch", "connect", "view"];

/// Somebody with a token.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user's id.
    pub id: i64,
    /// The user's name, unlike any other world's.
    pub name: String,
    /// A personal access token.
    pub token: String,
}

/// An organization with a workspace and somebody in each role; and beside it another organization, whose workspace
/// belongs to a stranger.
pub struct World {
    /// Where it is.
    pub harness: Arc<Harness>,
    /// The organization's name.
    pub org_name: String,
    /// The organization.
    pub org: i64,
    /// The workspace, called `genomics`.
    pub workspace: i64,
    /// The stranger's organization.
    pub foreign_org: i64,
    /// The stranger's workspace, called `elsewhere`.
    pub foreign_workspace: i64,
    people: Vec<Person>,
}

impl World {
    /// Has an operator declare a world.
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
            {"name": name("foreign"), "workspaces": [{
                "name": "elsewhere", "fullName": "Elsewhere", "platforms": ["aws-batch", "slurm"],
                "participants": [{"user": name("stranger"), "role": "owner"}],
            }]},
        ]});
        let made = apply(&harness, &document).await;
        let people =
            names.iter().zip(made["users"].as_array().expect("users")).map(|(person, made)| Person {
                id: made["id"].as_i64().expect("an id"),
                name: name(person),
                token: made["tokens"][0]["accessKey"].as_str().expect("a new token").to_owned(),
            });
        let people: Vec<_> = people.collect();
        for person in &people {
            harness.handed_out(&person.token);
        }
        let (ours, theirs) = (&made["organizations"][0], &made["organizations"][1]);
        let id = |value: &Value| value["id"].as_i64().expect("an id");
        Self {
            harness,
            org_name,
            org: id(ours),
            workspace: id(&ours["workspaces"][0]),
            foreign_org: id(theirs),
            foreign_workspace: id(&theirs["workspaces"][0]),
            people,
        }
    }

    /// Who has this role, or the `stranger`.
    #[must_use]
    pub fn person(&self, role: &str) -> &Person {
        let known = ROLES.iter().position(|known| *known == role).unwrap_or(ROLES.len());
        assert!(known < ROLES.len() || role == "stranger", "nobody is {role}");
        &self.people[known]
    }

    /// Calls of who has this role, or of the `stranger`.
    #[must_use]
    pub fn caller(&self, role: &str) -> Caller {
        Caller::bearer(&self.harness, &self.person(role).token)
    }

    /// A further user, who takes part in no workspace.
    pub async fn guest(&self) -> Person {
        let name = format!("guest-{}", self.harness.next_world());
        let user =
            json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [{"name": "test"}]});
        let made = apply(&self.harness, &json!({"users": [user]})).await;
        let (id, token) = (&made["users"][0]["id"], &made["users"][0]["tokens"][0]["accessKey"]);
        let token = token.as_str().expect("a new token").to_owned();
        self.harness.handed_out(&token);
        Person { id: id.as_i64().expect("an id"), name, token }
    }

    /// A path with this world's workspace in its query.
    #[must_use]
    pub fn inside(&self, path: &str) -> String {
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}workspaceId={}", self.workspace)
    }

    /// A path below this world's workspace.
    #[must_use]
    pub fn below(&self, path: &str) -> String {
        format!("/orgs/{}/workspaces/{}{path}", self.org, self.workspace)
    }

    /// Stores a secret in the workspace as its owner, and gives its id.
    pub async fn secret(&self, name: &str, value: &str) -> i64 {
        let body = json!({"name": name, "value": value});
        let made = self.caller("owner").post(self.inside("/pipeline-secrets"), &body).await;
        made.json()["secretId"].as_i64().expect("an id")
    }

    /// The names of the workspace's secrets, in the list's order.
    pub async fn names(&self) -> Vec<String> {
        let list = self.caller("owner").get(self.inside("/pipeline-secrets")).await.json();
        let list = list["pipelineSecrets"].as_array().expect("a list").clone();
        list.iter().map(|secret| secret["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// The workspace's rows, and its people's own ones: what no refused request changes. Tokens note when they are used.
    pub async fn rows(&self) -> Vec<String> {
        let person = |kind: &'static str| self.people.iter().map(move |it| format!("{kind}#{}", it.id));
        let scopes = person("USER").chain(person("SECRETS#USER"));
        let workspace = ["WS", "SECRETS#WS", "MEMBERS"].map(|kind| format!("{kind}#{}", self.workspace));
        let scopes = scopes.chain(workspace).chain([format!("ORG#{}", self.org)]);
        let mut rows = Vec::new();
        for scope in scopes {
            rows.extend(self.harness.rows(&scope).await);
        }
        rows
    }
}

/// Declares users and workspaces, as an operator does.
async fn apply(harness: &Harness, document: &Value) -> Value {
    let made = harness.stack.invoke("identity", &json!({"apply": document})).await.expect("identity");
    assert!(made["error"].is_null(), "{made}");
    made
}
