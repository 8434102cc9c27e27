//! Fixtures of the identity tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::document::Document;
use crate::Result;
use crate::audit::AuditRecord;
use crate::environment::{CredentialsId, EnvironmentId, StoredCredentials, StoredEnvironment};
use crate::identity::{Change, RequiredMembership, StoredToken};
use crate::ids::{OrgId, TokenId, WorkspaceId};
use crate::testing::{Fixture, NOW, environment, error_of, unavailable, user_id};
use crate::token::PresentedToken;

pub(super) fn org_id(number: i64) -> OrgId {
    OrgId::new(number).unwrap()
}

pub(super) fn token_id(number: i64) -> TokenId {
    TokenId::new(number).unwrap()
}

pub(super) fn document(json: &Value) -> Document {
    Document::parse(json).unwrap_or_else(|error| panic!("{error}"))
}

/// Stores an environment and its credentials.
pub(super) fn put_environment(fixture: &Fixture, workspace: WorkspaceId) -> (EnvironmentId, CredentialsId) {
    let (environment, credentials) = (environment(), CredentialsId::parse(&"c".repeat(22)).unwrap());
    let ids = (environment.id.clone(), credentials.clone());
    let stored = StoredCredentials {
        id: credentials.clone(),
        workspace,
        name: "lab".into(),
        description: None,
        role: environment.role.clone(),
        external_id: environment.external_id.clone(),
        created: NOW,
        created_by: user_id(7),
        updated: NOW,
    };
    let mut rows = fixture.table.rows.borrow_mut();
    rows.credentials.insert((workspace, credentials.clone()), stored);
    let stored = StoredEnvironment {
        environment,
        workspace,
        name: "lab".into(),
        description: None,
        credentials,
        config: "{}".into(),
        proved: NOW,
        failure: None,
        created: NOW,
        created_by: user_id(7),
        updated: NOW,
    };
    rows.environments.insert((workspace, ids.0.clone()), stored);
    ids
}

/// The changes of each transaction so far, with the required membership.
pub(super) fn transactions(fixture: &Fixture) -> Vec<(Vec<Change>, Option<RequiredMembership>)> {
    fixture.table.rows.borrow().changes.clone()
}

/// Returns the only audit record.
pub(super) fn only_record(fixture: &Fixture) -> AuditRecord {
    let mut audit = fixture.table.audit();
    assert_eq!(audit.len(), 1, "{audit:?}");
    audit.remove(0)
}

/// Asserts that the access key is `{"tid": <id>}.<key>` in base64, and that the table stores only
/// the hash of the key.
pub(super) fn assert_opens(access_key: &str, token: &StoredToken) {
    let text = String::from_utf8(STANDARD.decode(access_key).unwrap()).unwrap();
    assert!(
        text.starts_with(&format!("{{\"tid\": {}}}.", token.id)),
        "the form that Nextflow sends as Bearer"
    );
    let Some(PresentedToken::Access(id, key)) =
        PresentedToken::from_authorization(&format!("Bearer {access_key}"))
    else {
        panic!("not an access token");
    };
    assert_eq!(id, token.id);
    assert!(token.hash.matches(&key));
    assert!(!format!("{token:?}").contains(key.expose()));
}

/// Asserts that a failure of any call fails the operation: nothing is called after it, retried or
/// written.
pub(super) fn assert_stops_at_each_failure<T>(
    prepare: impl Fn() -> Fixture,
    operate: impl Fn(&Fixture) -> Result<T>,
) {
    let probe = prepare();
    assert!(operate(&probe).is_ok(), "without a failure it succeeds");
    let calls = probe.table.faults.calls();
    for (index, call) in calls.iter().enumerate() {
        let fixture = prepare();
        for _ in calls[..index].iter().filter(|earlier| *earlier == call) {
            fixture.table.faults.pass(call);
        }
        fixture.table.faults.fail(call, unavailable());
        let error = error_of(operate(&fixture));
        assert_eq!(error.code(), "unavailable", "call {index}, {call}");
        assert_eq!(fixture.table.faults.calls(), calls[..=index], "nothing is called after {call} failed");
        assert_eq!(fixture.table.audit(), [], "{call}");
        assert_eq!(fixture.backoff.attempts(), [] as [u32; 0], "only contention is repeated");
    }
}
