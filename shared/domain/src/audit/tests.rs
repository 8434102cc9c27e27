use serde_json::json;

use super::*;
use crate::copies::Layout;
use crate::identity::Actor;
use crate::platform::Platform;
use crate::role::Permission;
use crate::run::Run;
use crate::settings::Settings;
use crate::testing::{Backoff, Repeating};
use crate::value::ValueProperties;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Calls `make` at second 10 with this byte as every random byte.
fn with_context<T>(byte: u8, make: impl FnOnce(&Context<'_>) -> T) -> T {
    let (randomness, backoff) = (Repeating(byte), Backoff::of(0));
    let settings = Settings::new("test");
    make(&Context { now: at(10), randomness: &randomness, backoff: &backoff, settings: &settings })
}

fn user() -> UserId {
    UserId::new(5).unwrap()
}

fn run_id() -> RunId {
    RunId::new("ab12ABCDEFGHIJ").unwrap()
}

fn secret_name() -> SecretName {
    SecretName::parse("NCBI_API_KEY").unwrap()
}

fn secret_id(number: i64) -> SecretId {
    SecretId::new(number).unwrap()
}

fn secret() -> Secret {
    Secret {
        id: secret_id(7),
        owner: "WS#42".parse().unwrap(),
        name: secret_name(),
        version: 3,
        created: at(0),
        created_by: user(),
        updated: at(0),
        updated_by: user(),
        last_used: None,
        expires: None,
        description: None,
        properties: ValueProperties { raw_bytes: 256, json_bytes: 256, nextflow_store: true, lost: false },
    }
}

/// A run with a user secret that overrides a workspace secret.
fn run() -> Run {
    let lifecycle = json!({
        "revision": 1,
        "state": "pending",
        "leaseUntil": "2026-01-01T00:00:00Z",
        "secrets": [{"name": "NCBI_API_KEY", "owner": "USER#5", "id": 8, "version": 2, "overrides": 7}],
        "runToken": "hash",
    });
    Run {
        id: run_id(),
        workspace: "42".parse().ok(),
        user: user(),
        launched_with: None,
        platform: Platform::AwsBatch,
        layout: Layout::Bundle,
        created: at(0),
        not_after: at(0),
        target: crate::environment::Target::Home,
        lifecycle: serde_json::from_value(lifecycle).unwrap(),
    }
}

#[test]
fn an_entry_about_a_callers_request_names_the_caller_and_the_scope() {
    let scope = Scope::own(&Actor::without_token(user()), Permission::WriteSecrets).unwrap();
    let record = with_context(0, |context| {
        AuditRecord::of_secrets(&scope, AuditAction::SecretUpdated, [&secret()], context)
    });
    assert_eq!(
        record,
        AuditRecord {
            scope: SecretOwner::User(user()),
            at: at(10),
            id: "1".into(),
            actor: Some(user()),
            action: AuditAction::SecretUpdated,
            subjects: vec![Subject::of(&secret())],
            run: None,
            person: None,
            detail: None,
        }
    );
}

#[test]
fn an_entry_about_a_run_names_its_secrets_and_the_launcher_where_the_launcher_acted() {
    let overriding = Subject {
        owner: SecretOwner::User(user()),
        id: secret_id(8),
        name: secret_name(),
        version: 2,
        overrides: Some(secret_id(7)),
    };
    for (action, actor) in [
        (AuditAction::RunLaunched, Some(user())),
        (AuditAction::RunRepinned, Some(user())),
        (AuditAction::RunTokensRenewed, Some(user())),
        (AuditAction::RunClaimed, Some(user())),
        (AuditAction::RunHeadJobRecorded, None),
        (AuditAction::RunCancelled, None),
        (AuditAction::RunEnding, None),
        (AuditAction::RunEnded, None),
    ] {
        let record = with_context(0xff, |context| run().audit_record(action, context));
        assert_eq!(
            record,
            AuditRecord {
                scope: "WS#42".parse().unwrap(),
                at: at(10),
                id: "9007199254740991".into(),
                actor,
                action,
                subjects: vec![overriding.clone()],
                run: Some(run_id()),
                person: None,
                detail: None,
            }
        );
    }
}

#[test]
fn a_subject_in_json_mentions_an_override_only_where_there_is_one() {
    let plain = Subject::of(&secret());
    let overriding = Subject { overrides: Some(secret_id(6)), ..plain.clone() };
    for (subject, json) in [
        (plain, json!({"owner": "WS#42", "id": 7, "name": "NCBI_API_KEY", "version": 3})),
        (
            overriding,
            json!({"owner": "WS#42", "id": 7, "name": "NCBI_API_KEY", "version": 3, "overrides": 6}),
        ),
    ] {
        assert_eq!(serde_json::to_value(&subject).unwrap(), json);
        assert_eq!(serde_json::from_value::<Subject>(json).unwrap(), subject);
    }
}
