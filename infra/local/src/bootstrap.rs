//! The example organization, created with a direct invocation of `identity`, as operators do on
//! AWS.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Result, Stack};

/// The example users, with their roles in the workspace.
const USERS: [(&str, &str); 3] = [("olivia", "owner"), ("liam", "launch"), ("vera", "view")];

/// The example organization: what is needed to call the API as each of its users.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The workspace id.
    pub workspace_id: u64,
    /// The users.
    pub users: Vec<ExampleUser>,
}

/// An example user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleUser {
    /// The user name.
    pub user_name: String,
    /// The role in the workspace.
    pub role: String,
    /// A personal access token.
    pub token: String,
}

/// Creates the example organization on a new stack.
pub async fn bootstrap(stack: &Stack) -> Result<Example> {
    let answer = stack.invoke("identity", &json!({ "apply": example() })).await?;
    if let Some(refusal) = answer["error"]["message"].as_str() {
        return Err(Error::answer("identity refused to apply the example organization", &refusal));
    }
    read(&answer)
        .ok_or_else(|| Error::answer("the response of identity", &"the workspace or a token is missing"))
}

fn example() -> Value {
    // A token is shown only when it is created, so each example needs a new token name.
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let token = json!({ "name": format!("local-{created}") });
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
        let user = answer["users"].as_array()?.iter().find(|user| user["userName"] == *name)?;
        let key = user["tokens"].as_array()?.iter().find_map(|token| token["accessKey"].as_str())?;
        Some(ExampleUser { user_name: (*name).to_owned(), role: (*role).to_owned(), token: key.to_owned() })
    });
    Some(Example { workspace_id, users: users.collect::<Option<_>>()? })
}
