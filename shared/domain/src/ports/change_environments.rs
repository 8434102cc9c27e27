//! Changes of credentials and compute environments.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{ListTargets, ReadEnvironments, ReadMembership};
use crate::Result;
use crate::audit::AuditRecord;
use crate::environment::{StoredCredentials, StoredEnvironment};
use crate::owner::Scope;

/// A change of a workspace's credentials or environments. It states the facts on which it was
/// decided, and does not take effect if they no longer hold.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "a request makes one")]
pub enum EnvironmentChange {
    /// Creates credentials with an unused name.
    CreateCredentials(StoredCredentials),
    /// Changes name, description or role. The role can change only while no environment uses the
    /// credentials. The external id never changes.
    UpdateCredentials {
        /// The current credentials.
        from: StoredCredentials,
        /// The new ones.
        to: StoredCredentials,
    },
    /// Deletes credentials that no environment uses.
    DeleteCredentials(StoredCredentials),
    /// Creates an environment with an unused name, whose role is that of its credentials.
    CreateEnvironment(StoredEnvironment),
    /// Changes name, description, credentials or the outcome of the last check.
    UpdateEnvironment {
        /// The current environment.
        from: StoredEnvironment,
        /// The new one.
        to: StoredEnvironment,
    },
    /// Deletes an environment. The list in which the sweep looks for orphans keeps it until the
    /// last run in it is over.
    DeleteEnvironment {
        /// The environment.
        environment: StoredEnvironment,
        /// Until when the list keeps it.
        listed_until: Timestamp,
    },
}

/// Changes credentials and environments.
#[async_trait(?Send)]
pub trait ChangeEnvironments: ReadEnvironments + ReadMembership + ListTargets {
    /// Makes the change and its audit record, or neither. `scope` is `None` for an operator.
    ///
    /// Returns [`Error::NotFound`](crate::Error::NotFound) if the membership no longer permits it,
    /// [`Error::Conflict`](crate::Error::Conflict) if the name is taken or an environment uses the
    /// credentials, [`Error::LimitExceeded`](crate::Error::LimitExceeded) if the workspace has
    /// [`MAX_ENVIRONMENTS`], and [`Error::Contended`](crate::Error::Contended) if another fact no
    /// longer holds: read and decide again.
    async fn change_environment(
        &self,
        scope: Option<&Scope>,
        change: &EnvironmentChange,
        audit: &AuditRecord,
    ) -> Result<()>;
}

/// The maximum number of environments in a workspace, and of credentials.
pub const MAX_ENVIRONMENTS: u32 = 50;

/// The maximum number of a workspace's entries in the list of all environments, which keeps deleted
/// environments for weeks.
pub const MAX_LISTED: u32 = 200;
