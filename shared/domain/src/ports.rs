//! Everything the domain asks of the outside, one trait per right.
//!
//! The traits are cut as the IAM policies are: a use case that may not decrypt cannot name [`DecryptDataKey`], and one
//! that only reads cannot name a writing trait. Every read that decides something is strongly consistent. Every write
//! is one transaction with its audit record. Adapters retry what AWS calls retryable within their time limits; what
//! remains is [`Error::Unavailable`](crate::Error::Unavailable), or
//! [`Error::Contended`](crate::Error::Contended) for a transaction that met another one, which a use case may repeat.

mod copies;
mod identity;
mod runs;
mod secrets;

pub use self::copies::*;
pub use self::identity::*;
pub use self::runs::*;
pub use self::secrets::*;
pub use crate::context::{Backoff, Randomness};

/// Gives sets of ports a name, so that a use case can hold one object that has them all.
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
    /// What the authorizer asks of the table.
    AuthenticationStore: ReadTokens + ReadLogins;
    /// What identity asks of the table.
    IdentityStore: Reconcile + RegisterLogins;
    /// What reading secrets, and the preview of a launch, ask of the table.
    SecretReader: ReadMembership + ReadSecrets;
    /// What reading the audit trail asks of the table.
    AuditReader: ReadMembership + ReadAudit;
    /// What writing secrets asks of the table.
    SecretWriter: SecretReader + CreateSecrets + UpdateSecrets + DeleteSecrets;
    /// What receipts ask of the table.
    RunReader: ReadMembership + ReadRuns + ListRuns;
    /// What a launch asks of the table.
    LaunchStore: SecretReader + ReadSealedValues + LaunchRuns;
    /// What a claim asks of the table.
    ClaimStore: ReadMembership + ReadSealedValues + SaveRuns;
}
