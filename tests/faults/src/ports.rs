//! Every port behind the gate: the adapters of a [`World`], each call counted and failed as a trial planned it.

use domain::audit::AuditRecord;
use domain::copies::{Copy, CopyTags};
use domain::envelope::{DataKey, EncryptionContext, PlainDataKey};
use domain::idempotency::{Idempotency, Remembered};
use domain::identity::Workspace;
use domain::ids::{RunId, SecretId, UserId, WorkspaceId};
use domain::name::SecretName;
use domain::owner::{Scope, SecretOwner};
use domain::ports::{
    AnnounceRuns, CopySighting, CreateCopies, Created, DecryptDataKey, FindDueRuns, FoundCopy,
    GenerateDataKey, HeadJobs, LaunchRuns, ObserveJobs, ReadMembership, ReadRuns, ReadSealedValues,
    ReadSecrets, RemoveCopies, RunNotice, SaveRuns, WriteSecrets,
};
use domain::role::Role;
use domain::run::{HeadJob, Life, Run, Sighting};
use domain::secret::{OldVersion, SealedValue, Secret};
use domain::{Result, Timestamp};
use zeroize::Zeroizing;

use crate::world::World;

/// The ports of a world.
pub struct Ports<'a>(pub &'a World);

macro_rules! gated {
    ($($trait:ident over $adapter:ident {
        $(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*
    })*) => {
        $(impl $trait for Ports<'_> {
            $(async fn $name(&self $(, $arg: $type)*) -> Result<$answer> {
                let what = concat!(stringify!($trait), "::", stringify!($name));
                self.0.aws.gate.call(what, self.0.$adapter.$name($($arg),*)).await
            })*
        })*
    };
}

gated! {
    ReadMembership over store {
        fn role(workspace: WorkspaceId, user: UserId) -> Option<Role>;
        fn role_and_workspace(workspace: WorkspaceId, user: UserId) -> Option<(Role, Workspace)>;
    }
    ReadSecrets over store {
        fn secrets(scope: &Scope) -> Vec<Secret>;
        fn secret(scope: &Scope, id: SecretId) -> Option<Secret>;
        fn is_name_taken(scope: &Scope, name: &SecretName) -> bool;
        fn history(scope: &Scope, id: SecretId) -> Vec<OldVersion>;
    }
    WriteSecrets over store {
        fn create_secrets(
            scope: &Scope, secrets: &[(Secret, SealedValue)], idempotency: Option<&Idempotency>, audit: &AuditRecord
        ) -> Created;
        fn update_secret(
            scope: &Scope, secret: &Secret, sealed: &SealedValue, replaced: &OldVersion, audit: &AuditRecord
        ) -> ();
        fn delete_secret(scope: &Scope, secret: &Secret, audit: &AuditRecord) -> ();
    }
    ReadSealedValues over store {
        fn sealed_values(secrets: &[(SecretOwner, SecretId)]) -> Vec<SealedValue>;
        fn current_secrets(secrets: &[(SecretOwner, SecretId)]) -> Vec<Secret>;
    }
    ReadRuns over store {
        fn run(id: &RunId) -> Option<Run>;
    }
    SaveRuns over store {
        fn save_life(run: &Run, life: &Life, audit: Option<&AuditRecord>) -> ();
    }
    LaunchRuns over store {
        fn recall(idempotency: &Idempotency, now: Timestamp) -> Option<Remembered>;
        fn begin_run(
            run: &Run, idempotency: Option<&Idempotency>, replaces: Option<&RunId>, audit: &AuditRecord
        ) -> Created;
    }
    HeadJobs over store {
        fn record_head_job(run: &Run, life: &Life, job: &HeadJob, audit: &AuditRecord) -> ();
    }
    FindDueRuns over store {
        fn due_runs(now: Timestamp, limit: u32) -> Vec<RunId>;
        fn run_of_head_job(region: &str, job_id: &str) -> Option<RunId>;
        fn note_use(owner: SecretOwner, secret: SecretId, at: Timestamp) -> ();
    }
    GenerateDataKey over sealer {
        fn generate_data_key(context: &EncryptionContext) -> DataKey;
    }
    DecryptDataKey over opener {
        fn decrypt_data_key(encrypted: &[u8], context: &EncryptionContext) -> PlainDataKey;
    }
    CreateCopies over maker {
        fn create_copy(copy: &Copy, body: Zeroizing<String>, tags: &CopyTags) -> String;
    }
    RemoveCopies over remover {
        fn describe_copy(name: &str) -> CopySighting;
        fn delete_copy(name: &str) -> ();
        fn list_copies(deployment: &str) -> Vec<FoundCopy>;
    }
    ObserveJobs over observer {
        fn observe_job(job_id: &str) -> (Sighting, Option<String>);
    }
    AnnounceRuns over announcer {
        fn announce(run: &RunId, notice: RunNotice) -> ();
    }
}
