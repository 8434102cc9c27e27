//! What the owner of the other account needs to create an environment's role.

use serde_json::{Value, json};

use super::{Duty, StoredCredentials};
use crate::copies::scope_tag;
use crate::ids::RunPrefix;
use crate::owner::SecretOwner;

/// The key of the session tag that holds the duty.
pub const SESSION_TAG: &str = "duty";

/// What roles and rules in other accounts need to know about the deployment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The ARNs of the functions' roles: one for each duty, in the order of [`Duty::ALL`]. Empty if
    /// no accounts are allowed.
    pub roles: Vec<String>,
    /// The ARN of the event bus for environments.
    pub bus: String,
    /// The deployment's name.
    pub deployment: String,
    /// The prefix of run ids.
    pub prefix: RunPrefix,
}

/// The setup of a role in another account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// The trust policy of the role.
    pub trust_policy: Value,
    /// The parameters of `infra/compute-environment.yaml`, by name.
    pub parameters: Vec<(&'static str, String)>,
}

/// Returns the setup of the credentials' role.
///
/// `sts:TagSession` has no condition on the external id, because `sts:ExternalId` is a key of
/// `sts:AssumeRole` only. Both actions must be allowed:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>.
///
/// Each function can ask for its own duty. In the service's own account, this policy alone decides
/// that: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
#[must_use]
pub fn setup(credentials: &StoredCredentials, service: &Service) -> Setup {
    let for_this_workspace = json!({
        "Sid": "ForThisWorkspace",
        "Effect": "Allow",
        "Principal": {"AWS": service.roles},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": credentials.external_id}},
    });
    let one_duty = |(duty, role): (Duty, &String)| {
        json!({
            "Effect": "Allow",
            "Principal": {"AWS": role},
            "Action": "sts:TagSession",
            "Condition": {
                "StringEquals": {format!("aws:RequestTag/{SESSION_TAG}"): duty.as_str()},
                "ForAllValues:StringEquals": {"aws:TagKeys": SESSION_TAG},
            },
        })
    };
    let duties = Duty::ALL.into_iter().zip(&service.roles).map(one_duty);
    let statements: Vec<_> = [for_this_workspace].into_iter().chain(duties).collect();
    let trust_policy = json!({"Version": "2012-10-17", "Statement": statements});
    let parameters = vec![
        ("RoleName", credentials.role.name().to_owned()),
        ("ServiceRoles", service.roles.join(",")),
        ("ServiceBus", service.bus.clone()),
        ("Deployment", service.deployment.clone()),
        ("RunPrefix", service.prefix.as_str().to_owned()),
        ("Scope", scope_tag(SecretOwner::Workspace(credentials.workspace))),
        ("ExternalId", credentials.external_id.to_string()),
    ];
    Setup { trust_policy, parameters }
}
