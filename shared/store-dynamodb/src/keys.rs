//! The key of each row (docs/ARCHITECTURE.md, "Data"). Permanent keys contain ids, not names.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::audit::AuditRecord;
use domain::environment::{CredentialsId, EnvironmentId};
use domain::idempotency::Idempotency;
use domain::identity::fold;
use domain::ids::{RunId, SecretId, TokenId, UserId, WorkspaceId};
use domain::name::SecretName;
use domain::owner::SecretOwner;
use domain::run::JobLocation;

/// The primary key of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// The sort key prefix of a scope's secrets.
pub(crate) const SECRETS: &str = "SECRET#";

/// The sort key prefix of a workspace's compute environments.
pub(crate) const ENVIRONMENT: &str = "ENV#";
/// The sort key prefix of a workspace's credentials of compute environments.
pub(crate) const CREDENTIALS: &str = "CRED#";
/// The partition of the list of all compute environments.
pub(crate) const ENVIRONMENTS: &str = "ENVIRONMENTS";

/// The sparse index of runs by due time, and of secrets and tokens by expiry, in other partitions.
pub(crate) const DUE_INDEX: &str = "due";
/// The index of runs by scope.
pub(crate) const SCOPE_INDEX: &str = "by-workspace";
/// The sparse index of live runs by scope.
pub(crate) const LIVE_INDEX: &str = "live";

/// The partitions of the due index: enough for the runs that are due at once, and few enough to
/// query all of them every time.
pub(crate) const DUE_SHARDS: [&str; 4] = ["DUE#0", "DUE#1", "DUE#2", "DUE#3"];

/// The partitions of the due index with the secrets and tokens that expire.
pub(crate) const EXPIRY_SHARDS: [&str; 4] = ["EXPIRY#0", "EXPIRY#1", "EXPIRY#2", "EXPIRY#3"];

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn secret(owner: SecretOwner, id: SecretId) -> Self {
        Self::new(secrets_of(owner), format!("{SECRETS}{id}"))
    }

    pub(crate) fn value(owner: SecretOwner, id: SecretId) -> Self {
        Self::new(secrets_of(owner), format!("VALUE#{id}"))
    }

    pub(crate) fn name(owner: SecretOwner, name: &SecretName) -> Self {
        Self::new(secrets_of(owner), format!("NAME#{}", name.folded()))
    }

    /// Zero-padded, so that versions sort as numbers.
    pub(crate) fn history(owner: SecretOwner, id: SecretId, version: u64) -> Self {
        Self::new(secrets_of(owner), format!("{}{version:020}", history_of(id)))
    }

    /// The number of the scope's secrets.
    pub(crate) fn count(owner: SecretOwner) -> Self {
        Self::new(secrets_of(owner), "COUNT")
    }

    /// The workspace or the user itself.
    pub(crate) fn meta(owner: SecretOwner) -> Self {
        Self::new(owner.to_string(), "META")
    }

    pub(crate) fn member(workspace: WorkspaceId, user: UserId) -> Self {
        Self::new(members_of(workspace), format!("MEMBER#{user}"))
    }

    pub(crate) fn environment(workspace: WorkspaceId, id: &EnvironmentId) -> Self {
        Self::new(environments_of(workspace), format!("{ENVIRONMENT}{id}"))
    }

    pub(crate) fn credentials(workspace: WorkspaceId, id: &CredentialsId) -> Self {
        Self::new(environments_of(workspace), format!("{CREDENTIALS}{id}"))
    }

    pub(crate) fn environment_name(workspace: WorkspaceId, name: &str) -> Self {
        Self::new(environments_of(workspace), format!("ENV-NAME#{}", fold(name)))
    }

    pub(crate) fn credentials_name(workspace: WorkspaceId, name: &str) -> Self {
        Self::new(environments_of(workspace), format!("CRED-NAME#{}", fold(name)))
    }

    /// The numbers of the workspace's environments and credentials.
    pub(crate) fn environment_count(workspace: WorkspaceId) -> Self {
        Self::new(environments_of(workspace), "COUNT")
    }

    /// The entry of an environment in the list of all environments.
    pub(crate) fn listed_environment(id: &EnvironmentId) -> Self {
        Self::new(ENVIRONMENTS, id.as_str())
    }

    pub(crate) fn token(id: TokenId) -> Self {
        Self::new(format!("TOKEN#{id}"), "TOKEN")
    }

    pub(crate) fn run(id: &RunId) -> Self {
        Self::new(format!("RUN#{id}"), "RUN")
    }

    /// The ids of jobs are unique in an account and region. A job without an account is in that of
    /// the deployment.
    pub(crate) fn job(job: &JobLocation<'_>) -> Self {
        let JobLocation { account, region, job_id } = job;
        let place = account.map_or_else(|| (*region).to_owned(), |account| format!("{account}#{region}"));
        Self::new(format!("JOB#{place}#{job_id}"), "JOB")
    }

    /// The queue of reserved creations.
    pub(crate) fn creations() -> Self {
        Self::new("QUOTA#CREATIONS", "QUEUE")
    }

    /// The idempotency record of a request that creates secrets.
    pub(crate) fn idempotency(idempotency: &Idempotency) -> Self {
        Self::new(format!("IDEM#{}", idempotency.user()), idempotency.key_hash())
    }

    /// The idempotency record of a launch. It has a separate partition, because only `launch-run`
    /// may write it: a repeated launch gets new tokens for the run that this row names.
    pub(crate) fn launch_idempotency(idempotency: &Idempotency) -> Self {
        Self::new(format!("LAUNCH#{}", idempotency.user()), idempotency.key_hash())
    }

    /// Milliseconds in a fixed width, so that records sort by time. The id distinguishes records of
    /// the same millisecond.
    pub(crate) fn audit(record: &AuditRecord) -> Self {
        let at = record.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        let month = record.at.strftime("%Y-%m").to_string();
        Self::new(audit_of(record.scope, &month), format!("{at}#{}", record.id))
    }

    /// The attributes of the primary key.
    pub(crate) fn attributes(self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk)),
            ("sk".to_owned(), AttributeValue::S(self.sk)),
        ])
    }
}

/// The partition of a scope's secrets. It differs from that of the workspace or user: IAM
/// distinguishes rows by their partition, and a function that writes secrets must not be able to
/// write an identity.
pub(crate) fn secrets_of(owner: SecretOwner) -> String {
    format!("{SECRETS_OF}{owner}")
}

/// The prefix of a partition of secrets.
pub(crate) const SECRETS_OF: &str = "SECRETS#";

/// The scope of a partition of secrets.
pub(crate) fn owner_of_secrets(pk: &str) -> Option<SecretOwner> {
    pk.strip_prefix(SECRETS_OF)?.parse().ok()
}

/// The partition of a workspace's memberships. It differs from that of its secrets: IAM
/// distinguishes rows by their partition, and a function that writes secrets must not be able to
/// write a role.
pub(crate) fn members_of(workspace: WorkspaceId) -> String {
    format!("MEMBERS#{workspace}")
}

/// The partition of a workspace's compute environments. Only `identity` may write it: it decides
/// to which account the workspace's values are sent.
pub(crate) fn environments_of(workspace: WorkspaceId) -> String {
    format!("ENVS#{workspace}")
}

/// The sort key prefix of a secret's replaced versions.
pub(crate) fn history_of(id: SecretId) -> String {
    format!("HISTORY#{id}#")
}

/// The partition of a scope's audit trail in one month.
pub(crate) fn audit_of(scope: SecretOwner, month: &str) -> String {
    format!("AUDIT#{scope}#{month}")
}

/// The partition of the due index for a run. Only writers use it: readers query all partitions.
pub(crate) fn due_shard(id: &RunId) -> &'static str {
    let sum: usize = id.as_str().bytes().map(usize::from).sum();
    DUE_SHARDS[sum % DUE_SHARDS.len()]
}

/// The partition of the due index for a secret or token.
pub(crate) fn expiry_shard(id: i64) -> &'static str {
    // The remainder is 0 to 3.
    EXPIRY_SHARDS[usize::try_from(id.rem_euclid(4)).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::audit::AuditAction;

    #[test]
    fn keys_match_the_design() {
        let owner: SecretOwner = "WS#42".parse().unwrap();
        let id = SecretId::new(7).unwrap();
        let name = SecretName::parse("NCBI_API_KEY").unwrap();
        let run = RunId::new("ab12ABCDEFGHIJ").unwrap();
        let environment = EnvironmentId::parse("0123456789abcdefghijkl").unwrap();
        let credentials = CredentialsId::parse("0123456789abcdefghijkl").unwrap();
        let workspace = WorkspaceId::new(42).unwrap();
        let job = |account| JobLocation { account, region: "eu-west-1", job_id: "j-1" };
        for (key, pk, sk) in [
            (Key::secret(owner, id), "SECRETS#WS#42", "SECRET#7"),
            (Key::value(owner, id), "SECRETS#WS#42", "VALUE#7"),
            (Key::name(owner, &name), "SECRETS#WS#42", "NAME#ncbi_api_key"),
            (Key::history(owner, id, 12), "SECRETS#WS#42", "HISTORY#7#00000000000000000012"),
            (Key::count("USER#3".parse().unwrap()), "SECRETS#USER#3", "COUNT"),
            (Key::meta("USER#3".parse().unwrap()), "USER#3", "META"),
            (Key::member(WorkspaceId::new(42).unwrap(), UserId::new(3).unwrap()), "MEMBERS#42", "MEMBER#3"),
            (Key::token(TokenId::new(5).unwrap()), "TOKEN#5", "TOKEN"),
            (Key::run(&run), "RUN#ab12ABCDEFGHIJ", "RUN"),
            (Key::job(&job(None)), "JOB#eu-west-1#j-1", "JOB"),
            (Key::job(&job(Some("210987654321"))), "JOB#210987654321#eu-west-1#j-1", "JOB"),
            (Key::environment(workspace, &environment), "ENVS#42", "ENV#0123456789abcdefghijkl"),
            (Key::credentials(workspace, &credentials), "ENVS#42", "CRED#0123456789abcdefghijkl"),
            (Key::environment_name(workspace, "Lab-EU"), "ENVS#42", "ENV-NAME#lab-eu"),
            (Key::credentials_name(workspace, "Lab-EU"), "ENVS#42", "CRED-NAME#lab-eu"),
            (Key::environment_count(workspace), "ENVS#42", "COUNT"),
            (Key::listed_environment(&environment), "ENVIRONMENTS", "0123456789abcdefghijkl"),
            (Key::creations(), "QUOTA#CREATIONS", "QUEUE"),
        ] {
            assert_eq!(key, Key::new(pk, sk));
        }
    }

    #[test]
    fn the_sweep_and_the_check_of_expiries_share_no_partition_of_the_index() {
        assert!(EXPIRY_SHARDS.iter().all(|shard| !DUE_SHARDS.contains(shard)));
        assert_eq!(
            [4, 5, 6, 7, (1 << 53) - 1].map(expiry_shard),
            ["EXPIRY#0", "EXPIRY#1", "EXPIRY#2", "EXPIRY#3", "EXPIRY#3"]
        );
    }

    #[test]
    fn a_partition_of_secrets_names_its_scope_and_no_other_partition_does() {
        for owner in ["WS#42", "USER#3"] {
            let owner: SecretOwner = owner.parse().unwrap();
            assert_eq!(owner_of_secrets(&secrets_of(owner)), Some(owner));
        }
        for pk in
            ["WS#42", "SECRETS#", "SECRETS#WS#", "SECRETS#WS#0", "SECRETS#ORG#1", "SECRETS#SECRETS#WS#42", ""]
        {
            assert_eq!(owner_of_secrets(pk), None, "{pk}");
        }
    }

    #[test]
    fn audit_keys_sort_by_time_to_the_millisecond() {
        let key = |at: &str| {
            Key::audit(&AuditRecord {
                scope: "WS#42".parse().unwrap(),
                at: at.parse().unwrap(),
                id: "9".into(),
                actor: None,
                action: AuditAction::RunEnded,
                subjects: Vec::new(),
                run: None,
                person: None,
                detail: None,
            })
        };
        assert_eq!(
            key("2026-11-23T10:20:30.0456789Z"),
            Key::new("AUDIT#WS#42#2026-11", "2026-11-23T10:20:30.045Z#9")
        );
        assert!(key("2026-11-23T10:20:30Z").sk < key("2026-11-23T10:20:30.001Z").sk);
    }
}
