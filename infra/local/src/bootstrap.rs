//! The example organisation: made by a direct invocation of `identity`, as an operator does it on AWS.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Result, Stack};

/// The example's users, with their role in the workspace.
const USERS: [(&str, &str); 3] = [("olivia", "owner"), ("liam", "launch"), ("vera", "view")];

/// What the example made: enough to call the API as each of its users.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The workspace's id.
    pub workspace_id: u64,
    /// Its users.
    pub users: Vec<ExampleUser>,
}

/// A user of the example.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleUser {
    /// Its name.
    pub user_name: String,
    /// Its role in the workspace.
    pub role: String,
    /// Its personal access token.
    pub token: String,
}

/// Makes the example on a freshly deployed stack.
pub async fn bootstrap(stack: &Stack) -> Result<Example> {
    let answer = stack.invoke("identity", &json!({ "apply": order() })).await?;
    if let Some(refusal) = answer["error"]["message"].as_str() {
        return Err(Error::answer("identity's answer to apply", &refusal));
    }
    read(&answer)
        .ok_or_else(|| Error::answer("identity's answer to apply", &"it lacks the workspace or a token"))
}

fn order() -> Value {
    // A key is shown once, when its token is made: a new name for each example.
    let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let token = json!({ "name": format!("local-{made}") });
    let users: Vec<Value> = USERS
        .iter()
        .map(|(name, _)| json!({ "userName": name, "email": format!("{name}@example.org"), "tokens": [token] }))
        .collect();
    let participants: Vec<Value> =
        USERS.iter().map(|(name, role)| json!({ "user": name, "role": role })).collect();
    json!({
        "users": users,
        "organizations": [{
            "name": "example",
            "workspaces": [{
                "name": "genomics",
                "fullName": "Example genomics",
                "platforms": ["aws-batch", "slurm"],
                "participants": participants,
            }],
        }],
    })
}

fn read(answer: &Value) -> Option<Example> {
    let workspace_id = answer["organizations"][0]["workspaces"][0]["id"].as_u64()?;
    let users = USERS.iter().map(|(name, role)| {
        let made = answer["users"].as_array()?.iter().find(|user| user["userName"] == *name)?;
        let key = made["tokens"].as_array()?.iter().find_map(|token| token["accessKey"].as_str())?;
        Some(ExampleUser { user_name: (*name).to_owned(), role: (*role).to_owned(), token: key.to_owned() })
    });
    Some(Example { workspace_id, users: users.collect::<Option<_>>()? })
}
