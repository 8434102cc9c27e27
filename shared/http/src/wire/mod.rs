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
