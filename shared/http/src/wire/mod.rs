//! What travels: one file per resource. Answers are types with `Serialize`; bodies are read field by field
//! ([`crate::fields`]).

pub mod apply;
pub mod audit;
pub mod identity;
pub mod imports;
pub mod launches;
pub mod runs;
pub mod secrets;

use domain::Timestamp;

/// A date as the API writes it: `YYYY-MM-DDTHH:MM:SSZ` (contract §1).
#[must_use]
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
