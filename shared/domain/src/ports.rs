//! The ports of the domain: one trait per permission.
//!
//! The traits match the IAM policies. A use case that must not decrypt cannot name
//! [`DecryptDataKey`], and a use case that only reads cannot name a trait that writes. Every read
//! that decides something is strongly consistent. Every write is one transaction with its audit
//! record. Adapters retry AWS errors that are retryable, within their time limits. Then they return
//! [`Error::Unavailable`](crate::Error::Unavailable), or
//! [`Error::Contended`](crate::Error::Contended) for a transaction that conflicts with another one.
//! Use cases may retry the latter.

mod change_environments;
mod copies;
mod environments;
mod expiry;
mod identity;
mod runs;
mod secrets;

pub use self::change_environments::*;
pub use self::copies::*;
pub use self::environments::*;
pub use self::expiry::*;
pub use self::identity::*;
pub use self::runs::*;
pub use self::secrets::*;
pub use crate::context::{Backoff, Randomness};

/// Names sets of ports, so that a use case can hold one object that implements all of them.
macro_rules! stores {
    ($($(#[$doc:meta])* $name:ident: $first:ident $(+ $more:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub trait $name: $first $(+ $more)* {}
            impl<T: $first $(+ $more)*> $name for T {}
        )*
    };
}

stores! {
    /// Table access of the authorizer.
    AuthenticationStore: ReadTokens + ReadLogins + ReadUserStatus;
    /// Table access of the identity function.
    IdentityStore: FinishRemovals + RegisterLogins + FindExpiring + IndexExpiry;
    /// Table access for reading secrets.
    SecretReader: ReadMembership + ReadSecrets;
    /// Table access for authorizing launches.
    LaunchAuthority: ReadMembership + ReadUserRoles;
    /// Table access for previewing launches.
    LaunchPreviewer: LaunchAuthority + ReadSecrets + ReadTarget;
    /// Table access for reading the audit trail.
    AuditReader: ReadMembership + ReadAudit;
    /// Table access for writing secrets.
    SecretWriter: SecretReader + CreateSecrets + UpdateSecrets + UpsertSecrets + DeleteSecrets;
    /// Table access for reading runs.
    RunReader: ReadMembership + ReadRuns + ListRuns;
    /// Table access for launches.
    LaunchStore: LaunchPreviewer + ReadSealedValues + LaunchRuns + ListLiveRuns + ReserveCreations;
    /// Table access for cancelling runs.
    CancelStore: ReadMembership + SaveRuns;
    /// Table access for the cleanup of runs.
    CleanupStore: FindDueRuns + FindRemoved + ListLiveRuns + ListTargets;
    /// Table access for claims.
    ClaimStore: ReadMembership + ReadUserStatus + ReadRevocations + ReadSealedValues + SaveRuns;
}
