//! Imports: a JSON map, or the lines of a `.env` file. Nothing is evaluated, and no error shows a
//! value.

mod dotenv;

use std::cell::Cell;
use std::fmt;

use domain::ids::SecretId;
use domain::name::SecretName;
use domain::secret::{WriteOutcome, Written};
use domain::settings::Settings;
use domain::use_cases::create_secrets::{Draft, MAX_IN_IMPORT};
use domain::use_cases::import_secrets::ImportMode;
use domain::value::SecretValue;
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::error::Category;

use super::secrets::Plaintext;
use crate::body::{malformed, present};
use crate::problem::Problem;
use crate::request::Request;

pub use dotenv::from_dotenv;

/// The response to `POST /pipeline-secrets/import`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretsImported"))]
pub struct Imported {
    secrets: Vec<ImportedSecret>,
    total_size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ImportedSecret {
    name: SecretName,
    secret_id: SecretId,
    outcome: WriteOutcome,
}

impl Imported {
    /// Creates the answer with names, IDs and outcomes, in the order of the import.
    #[must_use]
    pub fn new(drafts: &[Draft], written: &[Written]) -> Self {
        let secrets: Vec<_> = drafts
            .iter()
            .zip(written)
            .map(|(draft, Written { id, outcome })| ImportedSecret {
                name: draft.name.clone(),
                secret_id: *id,
                outcome: *outcome,
            })
            .collect();
        Self { total_size: secrets.len(), secrets }
    }
}

/// Reads the query parameter `mode`. API Gateway joins repeated parameters with commas, so a
/// repeated mode is not a mode.
pub fn mode(request: &Request<'_>) -> Result<ImportMode, Problem> {
    match request.query("mode") {
        None => Ok(ImportMode::Create),
        Some(text) => text.parse().map_err(|_| {
            Problem::bad_request(format!(
                "mode must be {} or {}, once. Omit it to create secrets only.",
                ImportMode::Create,
                ImportMode::Upsert
            ))
        }),
    }
}

/// Reads a JSON map of names to values. Keeps duplicate names: the use case refuses them.
pub fn from_json(text: &str, settings: &Settings) -> Result<Vec<Draft>, Problem> {
    present(text)?;
    let entry = Cell::new(0);
    let mut json = serde_json::Deserializer::from_str(text);
    let entries = Entries(&entry).deserialize(&mut json).map_err(|error| unreadable(&error, entry.get()))?;
    json.end().map_err(|error| malformed(&error, None))?;
    let drafts = entries.into_iter().enumerate().map(|(index, (name, value))| {
        draft(&format!("Entry {}", index + 1), &name, value.into_value(), settings)
    });
    drafts.collect()
}

/// Converts an error of an entry or, if `entry` is 0, of the map.
fn unreadable(error: &serde_json::Error, entry: usize) -> Problem {
    match error.classify() {
        _ if entry > MAX_IN_IMPORT => too_many(),
        Category::Data if entry == 0 => {
            Problem::bad_request("Malformed body: it must be a JSON object of names and values.")
        }
        _ if entry == 0 => malformed(error, None),
        Category::Data => Problem::bad_request(format!("Entry {entry}: the value must be a JSON string.")),
        _ => Problem::bad_request(format!("Entry {entry}: {}", malformed(error, None).message())),
    }
}

/// The entries of a JSON map, in order. The cell contains the number of the entry that is being
/// read, so that an error can name it, and 0 between entries.
struct Entries<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<(String, Plaintext)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<(String, Plaintext)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key()? {
            self.0.set(entries.len() + 1);
            if entries.len() == MAX_IN_IMPORT {
                return Err(A::Error::custom("too many entries"));
            }
            entries.push((name, map.next_value()?));
            self.0.set(0);
        }
        Ok(entries)
    }
}

/// The schema of the body of `POST /pipeline-secrets/import`, which [`from_json`] reads.
#[cfg(feature = "schema")]
pub struct SecretMap;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for SecretMap {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretMap".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": MAX_IN_IMPORT,
            "propertyNames": generator.subschema_for::<SecretName>(),
            "additionalProperties": generator.subschema_for::<Plaintext>(),
            "description": "A map of secret names to values.",
        })
    }
}

fn too_many() -> Problem {
    Problem::bad_request(format!(
        "The import has too many secrets: the limit is {MAX_IN_IMPORT}. Split the import."
    ))
}

fn draft(
    place: &str,
    name: &str,
    value: domain::Result<SecretValue>,
    settings: &Settings,
) -> Result<Draft, Problem> {
    let placed = |error: domain::Error| {
        let problem = Problem::from(error);
        Problem::new(problem.status(), format!("{place}: {}", problem.message()))
    };
    Ok(Draft {
        name: SecretName::new(name, settings).map_err(placed)?,
        value: value.map_err(placed)?,
        description: None,
        expires: None,
    })
}

#[cfg(test)]
mod tests;
