//! Compute environments and their credentials.

use domain::ports::MAX_ENVIRONMENTS;
use http_api::wire::environments::{
    CredentialsAnswer, CredentialsBody, CredentialsCreated, CredentialsList, EnvironmentAnswer,
    EnvironmentBody, EnvironmentCreated, EnvironmentList, EnvironmentUpdateBody, Validated,
};
use serde_json::{Value, json};

use super::{Described, example};
use crate::parts::{no_content, query};
use crate::schemas::Schemas;

const CREDENTIALS: &str = r#"{"id": "3cz5A8cuBkB5iJliCwJCFU", "name": "aws-lab", "description": null, "provider": "aws",
    "keys": {"discriminator": "aws", "mode": "role", "assumeRoleArn": "arn:aws:iam::210987654321:role/pipeline-secrets-lab",
        "externalId": "0123456789abcdefghijklmnopqrstuv"},
    "dateCreated": "2026-10-25T12:42:21Z", "lastUpdated": "2026-10-25T12:42:21Z", "lastUsed": null}"#;
const ENTRY: &str = r#"{"id": "isnEDBLvHDAIteOEF44owX", "name": "batch-eu", "platform": "aws-batch", "status": "AVAILABLE",
    "message": null, "credentialsId": "3cz5A8cuBkB5iJliCwJCFU", "region": "eu-west-1", "lastUsed": null, "primary": null,
    "visibility": null, "workspaceName": null}"#;
const ENVIRONMENT: &str = r#"{"id": "isnEDBLvHDAIteOEF44owX", "name": "batch-eu", "description": null, "platform": "aws-batch",
    "config": {"discriminator": "aws-batch", "region": "eu-west-1", "workDir": "s3://lab/work", "headQueue": "head", "computeQueue": "tasks"},
    "credentialsId": "3cz5A8cuBkB5iJliCwJCFU", "status": "AVAILABLE", "message": null, "dateCreated": "2026-10-25T12:42:21Z",
    "lastUpdated": "2026-10-25T12:42:21Z", "lastUsed": null, "primary": null, "labels": []}"#;

const ROLE: &str = "The role must be in one of the accounts that the deployment allows (422), in its partition, and its name must \
    begin with `pipeline-secrets-`. Access keys are refused: the service stores none.";

fn draft() -> Value {
    json!({"credentials": {"name": "aws-lab", "provider": "aws",
        "keys": {"mode": "role", "assumeRoleArn": "arn:aws:iam::210987654321:role/pipeline-secrets-lab"}}})
}

fn force() -> Value {
    let schema = json!({"type": "boolean", "enum": [false]});
    query("force", "Must be false: a role is valid only after a check that succeeds.", schema)
}

pub(super) fn list_credentials(schemas: &mut Schemas) -> Described {
    let list = json!({"credentials": [example(CREDENTIALS)]});
    let platform =
        query("platformId", "A platform. Only `aws-batch` has credentials.", json!({"type": "string"}));
    Described::new(
        "List credentials of compute environments",
        "Lists the credentials of the workspace: roles in other AWS accounts that the service assumes. Without a workspace, the \
         list is empty.",
        schemas.answer::<CredentialsList<'_>>("All credentials, sorted by name.", &list),
    )
    .parameters([platform])
}

pub(super) fn create_credentials(schemas: &mut Schemas) -> Described {
    let created = json!({"credentialsId": "3cz5A8cuBkB5iJliCwJCFU"});
    Described::new(
        "Create credentials",
        format!(
            "Creates credentials from the ARN of a role, which need not exist yet. The service makes their external ID, which the \
             trust policy of the role must demand; it cannot be chosen and never changes. {ROLE} Limit: {MAX_ENVIRONMENTS} per \
             workspace."
        ),
        schemas.answer::<CredentialsCreated>("The credentials were created.", &created),
    )
    .body(schemas.body::<CredentialsBody>(&draft()))
    .errors(&[409, 422])
}

pub(super) fn describe_credentials(schemas: &mut Schemas) -> Described {
    let answer = json!({
        "credentials": example(CREDENTIALS),
        "setupSnippet": "{\"Version\": \"2012-10-17\", \"Statement\": []}",
        "setup": {"parameters": {"RoleName": "pipeline-secrets-lab", "ExternalId": "0123456789abcdefghijklmnopqrstuv"}},
    });
    Described::new(
        "Describe credentials",
        "Returns credentials with the trust policy of their role (`setupSnippet`) and the parameters of \
         `infra/compute-environment.yaml` (`setup.parameters`), which creates the role.",
        schemas.answer::<CredentialsAnswer<'_>>("The credentials.", &answer),
    )
}

pub(super) fn update_credentials(schemas: &mut Schemas) -> Described {
    Described::new(
        "Update credentials",
        format!(
            "Changes the name, the description, or the role. The external ID stays; `externalId` in the body must be absent, null, or \
             the present one. While a compute environment uses the credentials, their role cannot change (409). {ROLE}"
        ),
        no_content("The credentials were updated."),
    )
    .body(schemas.body::<CredentialsBody>(&draft()))
    .errors(&[409, 422])
}

pub(super) fn delete_credentials() -> Described {
    Described::new(
        "Delete credentials",
        "Deletes credentials. While a compute environment uses them, the request returns 409.",
        no_content("The credentials were deleted."),
    )
    .errors(&[409])
}

pub(super) fn validate_credentials(schemas: &mut Schemas) -> Described {
    let answer = json!({"status": "AVAILABLE", "message": null, "transientError": false});
    Described::new(
        "Check the role of credentials",
        "Checks that the role can be assumed with its external ID and cannot be assumed with another one. What it permits is checked \
         with each compute environment, which names a region.",
        schemas.answer::<Validated<'_>>("The outcome.", &answer),
    )
    .parameters([force()])
    .errors(&[422])
}

pub(super) fn list(schemas: &mut Schemas) -> Described {
    let list = json!({"computeEnvs": [example(ENTRY)]});
    let status = query("status", "Only compute environments with this status.", json!({"type": "string"}));
    Described::new(
        "List compute environments",
        "Lists the compute environments of the workspace. Without a workspace, the list is empty.",
        schemas.answer::<EnvironmentList<'_>>("The compute environments, sorted by name.", &list),
    )
    .parameters([status])
}

pub(super) fn create(schemas: &mut Schemas) -> Described {
    let created = json!({"computeEnvId": "isnEDBLvHDAIteOEF44owX"});
    let body = json!({"computeEnv": {"name": "batch-eu", "platform": "aws-batch", "credentialsId": "3cz5A8cuBkB5iJliCwJCFU",
        "config": {"region": "eu-west-1", "workDir": "s3://lab/work", "headQueue": "head", "computeQueue": "tasks"}}});
    Described::new(
        "Create a compute environment",
        format!(
            "Registers an AWS account and region in which the workspace's runs can execute. This decides that the \
             values of runs can be sent to that account. The service first proves the role of the credentials: it can be assumed with \
             its external ID, cannot be assumed with another one, and permits `secretsmanager:DescribeSecret` and \
             `batch:DescribeJobs` in the region. While a role cannot be assumed yet, the check is repeated for 15 seconds. If the \
             proof fails, the request returns 400 and nothing is stored. Limit: {MAX_ENVIRONMENTS} per workspace."
        ),
        schemas.answer::<EnvironmentCreated>("The compute environment was created.", &created),
    )
    .body(schemas.body::<EnvironmentBody>(&body))
    .errors(&[409, 422])
}

pub(super) fn describe(schemas: &mut Schemas) -> Described {
    Described::new(
        "Describe a compute environment",
        "Returns a compute environment with its configuration as it was sent.",
        schemas.answer::<EnvironmentAnswer<'_>>(
            "The compute environment.",
            &json!({"computeEnv": example(ENVIRONMENT)}),
        ),
    )
}

pub(super) fn update(schemas: &mut Schemas) -> Described {
    Described::new(
        "Update a compute environment",
        "Changes the name, the description, or the credentials, whose role is proved as for a new compute environment and must be in \
         the same account. Runs that were launched keep their role.",
        no_content("The compute environment was updated."),
    )
    .body(schemas.body::<EnvironmentUpdateBody>(&json!({"name": "batch-eu"})))
    .errors(&[409, 422])
}

pub(super) fn delete() -> Described {
    Described::new(
        "Delete a compute environment",
        "Deletes a compute environment. Runs in it go on, and their copies are deleted when they end.",
        no_content("The compute environment was deleted."),
    )
}

pub(super) fn validate(schemas: &mut Schemas) -> Described {
    let answer = json!({"status": "AVAILABLE", "message": null, "transientError": false});
    Described::new(
        "Check the role of a compute environment",
        "Repeats the proof of `POST /compute-envs` and records its outcome as the status.",
        schemas.answer::<Validated<'_>>("The outcome.", &answer),
    )
    .parameters([force()])
    .errors(&[422])
}
