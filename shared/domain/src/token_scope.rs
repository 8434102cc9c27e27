//! What a personal access token can be used for.

use serde::{Deserialize, Deserializer};

use crate::names::names;

names! {
    /// The operations for which a personal access token can be used. The table of operations in
    /// `shared/http` has the scopes of each operation.
    "scope" pub enum TokenScope {
        /// Every operation that the user's roles permit.
        All = "all",
        /// Operations that change nothing.
        Read = "read",
        /// Launches, and what a launcher has to read for one.
        Launch = "launch",
    }
}

impl TokenScope {
    /// Returns whether a token of this scope may create a token of the other.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == Self::All || self == other
    }

    /// Whether rows omit the scope: rows that are older than scopes have none.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Reads a stored scope. Rows that are older than scopes have none and belong to full tokens.
    pub(crate) fn stored<'de, D: Deserializer<'de>>(row: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(row)?.unwrap_or(Self::All))
    }

    /// The scope of rows without one.
    pub(crate) fn absent() -> Self {
        Self::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_scope_includes_another() {
        for scope in TokenScope::ALL {
            for other in TokenScope::ALL {
                let expected = scope == TokenScope::All || scope == other;
                assert_eq!(scope.includes(other), expected, "{scope} and {other}");
            }
        }
    }
}
