//! Bodies of requests and answers: one file per resource. Request bodies implement `Deserialize`,
//! and [`crate::body`] reads them; answers implement `Serialize`. With the feature `schema`, both
//! implement `JsonSchema`, from which `shared/openapi` generates the OpenAPI document. The doc
//! comments of these types and fields are the descriptions that users of the API read.

pub mod apply;
pub mod audit;
pub mod environments;
pub mod identity;
pub mod imports;
pub mod launches;
pub mod reports;
pub mod runs;
pub mod secrets;

use domain::Timestamp;
use domain::owner::SecretOwner;
use serde::Serialize;

use crate::problem::Problem;

/// Formats a date as the API writes it: `YYYY-MM-DDTHH:MM:SSZ`.
#[must_use]
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads the date and time in a field of a body.
pub(crate) fn instant(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(format!(
            "`{field}` must be a date and time before 9999-12-30, such as 2027-01-31T00:00:00Z."
        ))
    })
}

/// A date and time in an answer.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Date(String);

impl Date {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Timestamp> for Date {
    fn from(at: Timestamp) -> Self {
        Self(date(at))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Date {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The version of the secret: 1 for a new secret, incremented with each new value.
#[derive(Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, extend("minimum" = 1)))]
pub(crate) struct Version(u64);

/// Whether this is a user secret or a workspace secret. A user secret overrides the workspace
/// secret of the same name.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub(crate) enum Owner {
    User,
    Workspace,
}

impl From<SecretOwner> for Owner {
    fn from(owner: SecretOwner) -> Self {
        match owner {
            SecretOwner::User(_) => Self::User,
            SecretOwner::Workspace(_) => Self::Workspace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc_to_the_second() {
        for (instant, expected) in [
            ("2026-10-25T12:42:21.999999999Z", "2026-10-25T12:42:21Z"),
            ("2026-10-25T14:42:21+02:00", "2026-10-25T12:42:21Z"),
            ("0999-01-02T03:04:05Z", "0999-01-02T03:04:05Z"),
        ] {
            assert_eq!(date(instant.parse().unwrap()), expected, "{instant}");
        }
    }
}
