//! Compute environments: AWS accounts and regions outside the deployment's own where the runs of
//! one workspace execute, and the roles there that trust the service for this workspace alone.
//!
//! A role is assumed for one duty at a time, which is a tag of the session. IAM checks the duty
//! twice: a function can ask only for its own duties, and the role grants each duty its own
//! actions ([ADR 23](../../../docs/adr/0023-one-role-one-duty-per-session.md)).

mod setup;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::Randomness;
use crate::iam::CopyLocation;
use crate::ids::{UserId, WorkspaceId, base62};
use crate::names::names;
use crate::{Error, Result};

pub use self::setup::{SESSION_TAG, Service, Setup, setup};

names! {
    /// What a session of an environment's role is for.
    "duty" pub enum Duty {
        /// To prove, when an environment is registered, that its role works.
        Check = "check",
        /// To create the copies of a run.
        Deliver = "deliver",
        /// To read the status of a head job.
        Observe = "observe",
        /// To delete the copies of a run, and to read the status of its head job.
        Remove = "remove",
    }
}

/// Defines a text type whose values are checked when they are made and when they are read.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $is_valid:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text from outside. [`Error::Invalid`] names the rule.
            pub fn parse(text: &str) -> Result<Self> {
                match $is_valid(text) {
                    true => Ok(Self(text.to_owned())),
                    false => Err(Error::Invalid($rule.into())),
                }
            }

            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }
    };
}

checked_text! {
    /// The id of a compute environment: 22 characters of `[0-9A-Za-z]`, as Seqera Platform's.
    EnvironmentId, is_id, "the ID of a compute environment has 22 letters and digits: GET /compute-envs lists the IDs"
}
checked_text! {
    /// The id of the credentials of compute environments, of the same form.
    CredentialsId, is_id, "the ID of credentials has 22 letters and digits: GET /credentials lists the IDs"
}
checked_text! {
    /// What the trust policy of an environment's role demands as `sts:ExternalId`: 32 random
    /// characters of `[0-9A-Za-z]`. The service makes it for one workspace and never takes it from
    /// a caller. It is not a secret: it proves for which workspace the service acts.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html>
    ExternalId, is_external_id, "an external ID has 32 letters and digits"
}
checked_text! {
    /// An AWS region.
    Region, is_region, "an AWS region has lower-case letters, digits and hyphens, as in eu-west-1"
}

const ID_LENGTH: usize = 22;
const EXTERNAL_ID_LENGTH: usize = 32;

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_external_id(text: &str) -> bool {
    text.len() == EXTERNAL_ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The region is part of a host name.
fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = |text: &str| text.starts_with('-') || text.ends_with('-');
    (5..=32).contains(&text.len()) && text.bytes().all(plain) && text.contains('-') && !ends(text)
}

impl EnvironmentId {
    /// Creates a random id.
    pub fn make_random(randomness: &dyn Randomness) -> Self {
        Self(base62(String::new(), ID_LENGTH, randomness))
    }
}

impl CredentialsId {
    /// Creates a random id.
    pub fn make_random(randomness: &dyn Randomness) -> Self {
        Self(base62(String::new(), ID_LENGTH, randomness))
    }
}

impl ExternalId {
    /// Creates a random external id (190 bits).
    pub fn make_random(randomness: &dyn Randomness) -> Self {
        Self(base62(String::new(), EXTERNAL_ID_LENGTH, randomness))
    }
}

/// The ARN of a role that environments may have. Its name begins with `pipeline-secrets-`, because
/// the functions may assume no other roles.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn {
    partition: String,
    account: String,
    name: String,
}

impl RoleArn {
    /// The prefix of the names of all roles.
    pub const NAME_PREFIX: &str = "pipeline-secrets-";
    /// The maximum length of a role's name, in characters.
    const MAX_NAME: usize = 64;

    /// Checks an ARN from outside. [`Error::Invalid`] names the rule.
    pub fn parse(text: &str) -> Result<Self> {
        let rule = || {
            Error::Invalid(format!(
                "The role must be an ARN of the form arn:aws:iam::<account>:role/{}<name>.",
                Self::NAME_PREFIX
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else {
            return Err(rule());
        };
        let name = resource.strip_prefix("role/").ok_or_else(rule)?;
        let own = name.strip_prefix(Self::NAME_PREFIX).unwrap_or_default();
        let is_known = matches!(partition, "aws" | "aws-cn" | "aws-us-gov");
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        // A role with a path is not accepted: the policies of the functions name none.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let is_name = !own.is_empty() && name.len() <= Self::MAX_NAME && name.bytes().all(plain);
        match is_known && is_account && is_name {
            true => Ok(Self {
                partition: partition.to_owned(),
                account: account.to_owned(),
                name: name.to_owned(),
            }),
            false => Err(rule()),
        }
    }

    /// Returns the partition: `aws`, `aws-cn` or `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// Returns the account, 12 digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Returns the role's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, account, name } = self;
        write!(f, "arn:{partition}:iam::{account}:role/{name}")
    }
}

impl From<RoleArn> for String {
    fn from(arn: RoleArn) -> Self {
        arn.to_string()
    }
}

impl TryFrom<String> for RoleArn {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

/// An environment as runs need it. Its account is that of its role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Its region.
    pub region: Region,
    /// Its role.
    pub role: RoleArn,
    /// The external id that the role demands.
    pub external_id: ExternalId,
    /// The KMS key of the copies (id, ARN or alias); `None` for `aws/secretsmanager`.
    #[serde(default)]
    pub copy_key: Option<String>,
}

impl Environment {
    /// Returns where its copies are stored.
    #[must_use]
    pub fn location(&self) -> CopyLocation {
        CopyLocation {
            partition: self.role.partition.clone(),
            region: self.region.to_string(),
            account: self.role.account.clone(),
        }
    }
}

/// As the audit trail names it. A reconciliation reads the id.
impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, region, role, .. } = self;
        write!(f, "compute environment {id}, {region}, {role}")
    }
}

/// Where a run executes. It is fixed at launch: a change of the environment affects later runs
/// only.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(from = "Option<Environment>", into = "Option<Environment>")]
pub enum Target {
    /// The account and region of the deployment.
    #[default]
    Home,
    /// An environment.
    Elsewhere(Environment),
}

impl Target {
    /// Returns the environment, unless the target is the deployment's own account and region.
    #[must_use]
    pub fn environment(&self) -> Option<&Environment> {
        match self {
            Self::Home => None,
            Self::Elsewhere(environment) => Some(environment),
        }
    }

    /// Whether the target is the deployment's own account and region.
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.environment().is_none()
    }
}

impl From<Option<Environment>> for Target {
    fn from(environment: Option<Environment>) -> Self {
        environment.map_or(Self::Home, Self::Elsewhere)
    }
}

impl From<Target> for Option<Environment> {
    fn from(target: Target) -> Self {
        match target {
            Target::Home => None,
            Target::Elsewhere(environment) => Some(environment),
        }
    }
}

/// Credentials as stored: a role, and the external id that was made for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCredentials {
    /// Their id.
    pub id: CredentialsId,
    /// The workspace that owns them.
    pub workspace: WorkspaceId,
    /// Their name, unique in the workspace (case-insensitive).
    pub name: String,
    /// A description.
    #[serde(default)]
    pub description: Option<String>,
    /// The role.
    pub role: RoleArn,
    /// The external id. It never changes.
    pub external_id: ExternalId,
    /// When they were created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// Who created them.
    pub created_by: UserId,
    /// When they were last changed.
    #[serde(rename = "updatedAt")]
    pub updated: Timestamp,
}

/// An environment as stored, for the workspace that owns it. Nothing is stored that was not
/// proved: its role and external id are those of the last proof.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredEnvironment {
    /// The environment.
    #[serde(flatten)]
    pub environment: Environment,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace (case-insensitive).
    pub name: String,
    /// A description.
    #[serde(default)]
    pub description: Option<String>,
    /// The credentials from which role and external id were taken.
    pub credentials: CredentialsId,
    /// The client's `config` as it was sent, as JSON text: clients expect every field back.
    pub config: String,
    /// When the role was last proved to work.
    #[serde(rename = "provedAt")]
    pub proved: Timestamp,
    /// What a later check found to be wrong with the role.
    #[serde(default)]
    pub failure: Option<String>,
    /// When the environment was created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// Who created it.
    pub created_by: UserId,
    /// When it was last changed.
    #[serde(rename = "updatedAt")]
    pub updated: Timestamp,
}

/// An entry of the list of all environments, in which the sweep looks for orphans. It outlives its
/// environment by the longest run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedEnvironment {
    /// The environment.
    #[serde(flatten)]
    pub environment: Environment,
    /// The workspace that owns it. The role can delete this workspace's copies only.
    pub workspace: WorkspaceId,
    /// If the environment was deleted: until when the list keeps it, in epoch seconds. Its owner
    /// may have deleted the role, too.
    #[serde(rename = "ttl", default)]
    pub kept_until: Option<i64>,
}

impl ListedEnvironment {
    /// Whether the list no longer keeps it. DynamoDB deletes such rows days later.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.kept_until.is_some_and(|until| until <= now.as_second())
    }
}

#[cfg(test)]
mod tests;
