use serde_json::json;

use super::*;
use crate::copies::Layout;
use crate::identity::Actor;
use crate::platform::Platform;
use crate::role::Permission;
use crate::value::Traits;

struct Repeating(u8);

impl Randomness for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
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
        traits: Traits { raw_bytes: 256, json_bytes: 256, nextflow_store: true, lost: false },
    }
}

/// A run with a user secret that overrides a workspace secret.
fn run() -> Run {
    let life = json!({
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
        platform: Platform::AwsBatch,
        layout: Layout::Bundle,
        created: at(0),
        not_after: at(0),
        life: serde_json::from_value(life).unwrap(),
    }
}

#[test]
fn an_entry_about_a_callers_request_names_the_caller_and_the_scope() {
    let scope = Scope::own(&Actor { user: user(), token: None }, Permission::WriteSecrets);
    let subjects = vec![Subject::of(&secret())];
    let record = AuditRecord::by(&scope, &Repeating(0), at(10), AuditAction::SecretUpdated, subjects.clone());
    assert_eq!(
        record,
        AuditRecord {
            scope: SecretOwner::User(user()),
            at: at(10),
            id: "1".into(),
            actor: Some(user()),
            action: AuditAction::SecretUpdated,
            subjects,
            run: None,
            person: None,
            detail: None,
        }
    );
}

#[test]
fn an_entry_about_a_run_names_its_secrets_and_an_actor_only_where_one_acted() {
    let overriding = Subject {
        owner: SecretOwner::User(user()),
        id: secret_id(8),
        name: secret_name(),
        version: 2,
        overrides: Some(secret_id(7)),
    };
    for actor in [None, Some(user())] {
        let record = AuditRecord::of_run(&run(), &Repeating(0xff), at(10), AuditAction::RunEnding, actor);
        assert_eq!(
            record,
            AuditRecord {
                scope: "WS#42".parse().unwrap(),
                at: at(10),
                id: "9007199254740991".into(),
                actor,
                action: AuditAction::RunEnding,
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

#[test]
fn each_action_has_a_name_of_its_own_and_reads_back_from_it() {
    for (index, action) in AuditAction::ALL.iter().enumerate() {
        let name = action.as_str();
        assert_eq!(serde_json::to_value(action).unwrap(), name);
        assert_eq!(serde_json::from_value::<AuditAction>(name.into()).unwrap(), *action, "{name}");
        assert!(!AuditAction::ALL[..index].iter().any(|other| other.as_str() == name), "{name} twice");
    }
}
