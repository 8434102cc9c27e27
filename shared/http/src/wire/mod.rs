//! What travels: one file per resource. Bodies are types with `Deserialize`, read by [`crate::body`]; answers are types
//! with `Serialize`. With the feature `schema` both carry a `JsonSchema`, from which `shared/openapi` makes the API's
//! description: there the comments on types and fields are texts for users of the API.

pub mod apply;
pub mod audit;
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

/// A date as the API writes it: `YYYY-MM-DDTHH:MM:SSZ`.
#[must_use]
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An instant of a body's field.
pub(crate) fn instant(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(format!(
            "`{field}` must be a date and time like 2027-01-31T00:00:00Z, before 9999-12-30."
        ))
    })
}

/// A date and time of an answer.
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

/// 1 when it is created, one more with each new value.
#[derive(Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, extend("minimum" = 1)))]
pub(crate) struct Version(u64);

/// Whose secret it is: a user's own takes the place of the workspace's.
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
