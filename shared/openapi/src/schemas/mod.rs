//! The shapes of answers, as the wire types write them.

mod identity;
mod runs;
mod secrets;

use domain::copies::Layout;
use domain::platform::Platform;
use domain::role::Role;
use domain::secret::Description;
use serde_json::{Map, Value, json};

use crate::parts::{described, one_of};
use crate::problems;

/// Every schema, by name.
pub(crate) fn all() -> Value {
    let mut all = Map::new();
    for (name, schema) in secrets::all().into_iter().chain(runs::all()).chain(identity::all()) {
        all.insert(name.to_owned(), schema);
    }
    all.insert("Error".to_owned(), problems::schema());
    Value::Object(all)
}

/// A platform's name.
pub(crate) fn platform() -> Value {
    described(
        one_of(Platform::ALL.map(Platform::as_str)),
        "Where a run executes. All but `aws-batch` are HPC schedulers, whose head job claims its secrets.",
    )
}

/// A layout's name.
pub(crate) fn layout() -> Value {
    described(
        one_of([Layout::Bundle.as_str(), Layout::PerName.as_str()]),
        "`bundle`: one copy a run, a JSON object, for job definitions. `per-name`: one copy a name, raw.",
    )
}

/// A role's name.
pub(crate) fn role() -> Value {
    one_of(Role::ALL.map(Role::as_str))
}

/// A note on a secret.
pub(crate) fn note() -> Value {
    json!({
        "type": "string",
        "maxLength": Description::MAX_BYTES,
        "description": format!("A note: at most {} bytes of UTF-8.", Description::MAX_BYTES),
    })
}

fn owner() -> Value {
    described(
        one_of(["user", "workspace"]),
        "Whose secret it is: a user's own takes the place of the workspace's.",
    )
}
