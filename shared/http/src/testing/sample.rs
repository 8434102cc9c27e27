//! Sample values of domain types.

use domain::Timestamp;
use domain::copies::{Layout, RunCopy};
use domain::identity::{User, Workspace};
use domain::ids::{OrgId, RunId, SecretId, UserId, WorkspaceId};
use domain::name::SecretName;
use domain::owner::SecretOwner;
use domain::platform::Platform;
use domain::run::{Lifecycle, PinnedSecret, Run, State};
use domain::secret::Secret;
use domain::token::TokenHash;
use domain::value::ValueProperties;

pub(crate) const RUN: &str = "0a1bABCDEFGHIJ";
pub(crate) const ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1bABCDEFGHIJ-AbCdEf";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

pub(crate) fn user_id(number: i64) -> UserId {
    UserId::new(number).unwrap()
}

pub(crate) fn workspace_id(number: i64) -> WorkspaceId {
    WorkspaceId::new(number).unwrap()
}

pub(crate) fn secret_id(number: i64) -> SecretId {
    SecretId::new(number).unwrap()
}

pub(crate) fn user(number: i64, name: &str) -> User {
    User {
        id: user_id(number),
        user_name: name.to_owned(),
        email: format!("{name}@example.org"),
        created: at("2026-10-25T12:42:21.987Z"),
        disabled: None,
        grants: 0,
        removed: None,
    }
}

pub(crate) fn workspace(org: i64, number: i64) -> Workspace {
    Workspace {
        id: workspace_id(number),
        org: OrgId::new(org).unwrap(),
        org_name: format!("org{org}"),
        name: format!("space{number}"),
        full_name: format!("Space {number}"),
        platforms: vec![Platform::AwsBatch, Platform::Slurm],
        created: at("2026-10-25T12:42:21.987Z"),
        grants: 0,
        deleted: None,
    }
}

/// Version 3 of workspace 42's `NCBI_API_KEY`, never used, without description and expiry.
pub(crate) fn secret() -> Secret {
    Secret {
        id: secret_id(501),
        owner: SecretOwner::Workspace(workspace_id(42)),
        name: name("NCBI_API_KEY"),
        version: 3,
        created: at("2026-10-25T12:42:21.987Z"),
        created_by: user_id(17),
        updated: at("2026-10-26T07:05:17Z"),
        updated_by: user_id(18),
        last_used: None,
        expires: None,
        description: None,
        properties: ValueProperties { raw_bytes: 256, json_bytes: 256, nextflow_store: true, lost: false },
    }
}

pub(crate) fn pin(secret: &str, number: i64, owner: SecretOwner) -> PinnedSecret {
    PinnedSecret { name: name(secret), owner, id: secret_id(number), version: 3, overrides: None }
}

pub(crate) fn copy(name: &str, arn: Option<&str>, holds: &[&str]) -> RunCopy {
    RunCopy {
        name: name.to_owned(),
        arn: arn.map(str::to_owned),
        holds: holds.iter().map(|text| self::name(text)).collect(),
        store: false,
    }
}

/// A pending run of user 17 in workspace 42 with one workspace secret. On AWS Batch, it has one
/// copy.
pub(crate) fn run(platform: Platform, layout: Layout) -> Run {
    let hash: TokenHash = serde_json::from_str("\"hash\"").unwrap();
    let on_batch = platform == Platform::AwsBatch;
    Run {
        id: RunId::new(RUN).unwrap(),
        workspace: Some(workspace_id(42)),
        user: user_id(17),
        launched_with: None,
        platform,
        layout,
        created: at("2026-10-25T12:42:21Z"),
        not_after: at("2026-11-24T12:42:21Z"),
        target: domain::environment::Target::Home,
        lifecycle: Lifecycle {
            revision: 2,
            state: State::Pending,
            due: Some(at("2026-10-26T12:42:22Z")),
            lease_until: at("2026-10-26T12:42:21Z"),
            secrets: vec![pin("NCBI_API_KEY", 501, SecretOwner::Workspace(workspace_id(42)))],
            copies: on_batch
                .then(|| copy("tower-0a1bABCDEFGHIJ", Some(ARN), &["NCBI_API_KEY"]))
                .into_iter()
                .collect(),
            run_token: hash.clone(),
            claim_token: (!on_batch).then_some(hash),
            claimed: None,
            delivered: None,
            head_job: None,
            outcome: None,
            ending: None,
            removed: None,
        },
    }
}
