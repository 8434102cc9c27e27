use jiff::Timestamp;

use super::*;
use crate::audit::{AuditAction, Subject};
use crate::role::Role;
use crate::testing::*;

fn list(fixture: &Fixture, workspace: Option<WorkspaceId>) -> Result<Vec<Secret>> {
    run_now(super::list(&*fixture.table, &fixture.settings, &actor(), workspace))
}

fn describe(fixture: &Fixture, workspace: Option<WorkspaceId>) -> Result<Secret> {
    run_now(super::describe(&*fixture.table, &fixture.settings, &actor(), workspace, licence().id))
}

fn validate_name(fixture: &Fixture, workspace: Option<WorkspaceId>, name: &str) -> Result<()> {
    run_now(super::validate_name(&*fixture.table, &fixture.settings, &actor(), workspace, name))
}

fn history(fixture: &Fixture, workspace: Option<WorkspaceId>) -> Result<(Secret, Vec<OldVersion>)> {
    run_now(super::history(&*fixture.table, &fixture.settings, &actor(), workspace, licence().id))
}

fn audit_trail(
    fixture: &Fixture,
    workspace: Option<WorkspaceId>,
    month: &str,
    limit: u32,
) -> Result<Vec<AuditRecord>> {
    run_now(super::audit_trail(&*fixture.table, &fixture.settings, &actor(), workspace, month, limit))
}

fn licence() -> Secret {
    secret(of_workspace(), 1, "LICENCE")
}

/// Has the same id as the workspace's licence, so only the scope distinguishes them.
fn token() -> Secret {
    secret(of_user(), 1, "TOKEN")
}

fn replaced(version: u64) -> OldVersion {
    OldVersion { version, written: minutes(-90), written_by: user_id(8), replaced: minutes(-80) }
}

fn record(id: &str, owner: crate::owner::SecretOwner, at: Timestamp) -> AuditRecord {
    AuditRecord {
        scope: owner,
        at,
        id: id.into(),
        actor: Some(user_id(8)),
        action: AuditAction::SecretCreated,
        subjects: vec![Subject::of(&secret(owner, 1, "LICENCE"))],
        run: None,
        person: None,
        detail: None,
    }
}

const MONTH: &str = "2026-09";

fn fixture(role: Option<Role>) -> Fixture {
    let fixture = Fixture::new();
    if let Some(role) = role {
        fixture.table.put_member(workspace(), actor().user, role);
    }
    fixture.put_secret(&licence(), "licence text");
    fixture.put_secret(&token(), "token text");
    let mut rows = fixture.table.rows.borrow_mut();
    rows.history = vec![(licence().id, replaced(1)), (licence().id, replaced(2))];
    rows.audit = vec![
        record("1", of_workspace(), minutes(-60 * 24 * 60)),
        record("2", of_workspace(), minutes(-2)),
        record("3", of_user(), minutes(-1)),
        record("4", of_workspace(), NOW),
    ];
    drop(rows);
    fixture
}

#[test]
fn a_scopes_secrets_are_shown_and_no_others() {
    let fixture = fixture(Some(Role::View));
    let here = Some(workspace_id());
    assert_eq!(list(&fixture, here).unwrap(), [licence()]);
    assert_eq!(list(&fixture, None).unwrap(), [token()]);
    assert_eq!(describe(&fixture, here).unwrap(), licence());
    assert_eq!(describe(&fixture, None).unwrap(), token());
    assert_eq!(history(&fixture, here).unwrap(), (licence(), vec![replaced(2), replaced(1)]));
    assert_eq!(fixture.table.faults.count("sealed_values"), 0);
}

#[test]
fn a_deleted_secret_and_its_history_are_not_found() {
    let fixture = fixture(Some(Role::View));
    fixture.table.rows.borrow_mut().secrets.clear();
    assert_eq!(error_of(describe(&fixture, Some(workspace_id()))).code(), "not-found");
    assert_eq!(error_of(history(&fixture, Some(workspace_id()))).code(), "not-found");
    assert_eq!(fixture.table.faults.count("history"), 0);
}

#[test]
fn the_validation_of_a_name_says_why_it_cannot_be_used() {
    let cases = [
        ("free", Some(workspace_id()), "TOKEN", None),
        ("taken", Some(workspace_id()), "LICENCE", Some("named LICENCE already exists")),
        ("taken in another case", Some(workspace_id()), "licence", Some("named licence already exists")),
        ("taken in the workspace, free for the user", None, "LICENCE", None),
        ("taken by the user", None, "TOKEN", Some("named TOKEN already exists")),
        ("malformed", Some(workspace_id()), "1ST", Some("it must start with a letter or an underscore")),
        ("reserved", Some(workspace_id()), "PATH", Some("Choose another name")),
        ("reserved for AWS", Some(workspace_id()), "AWS_REGION", Some("Choose another name")),
    ];
    for (case, workspace, name, refusal) in cases {
        let fixture = fixture(Some(Role::View));
        let outcome = validate_name(&fixture, workspace, name);
        match refusal {
            None => assert!(outcome.is_ok(), "{case}"),
            Some(text) => {
                let error = error_of(outcome).to_string();
                assert!(error.contains(text), "{case}: {error}");
            }
        }
    }
    let mut fixture = fixture(Some(Role::View));
    fixture.settings.allow_aws_names = true;
    assert!(validate_name(&fixture, Some(workspace_id()), "AWS_REGION").is_ok());
}

#[test]
fn the_audit_trail_is_read_by_scope_and_month_newest_first() {
    let here = Some(workspace_id());
    let cases = [
        ("workspace's", here, MONTH, 9, vec!["4", "2"]),
        ("the newest", here, MONTH, 1, vec!["4"]),
        ("an earlier month", here, "2026-07", 9, vec!["1"]),
        ("the user's", None, MONTH, 9, vec!["3"]),
    ];
    for (case, workspace, month, limit, expected) in cases {
        let records = audit_trail(&fixture(Some(Role::Admin)), workspace, month, limit).unwrap();
        assert_eq!(records.iter().map(|record| &record.id).collect::<Vec<_>>(), expected, "{case}");
    }
}

/// An operation on the workspace, whether every participant may use it, and its reads after the
/// role.
type Operation = (&'static str, fn(&Fixture) -> Result<()>, bool, &'static [&'static str]);

const OPERATIONS: [Operation; 5] = [
    ("list", |f| list(f, Some(workspace_id())).map(drop), true, &["secrets"]),
    ("describe", |f| describe(f, Some(workspace_id())).map(drop), true, &["secret"]),
    ("validate_name", |f| validate_name(f, Some(workspace_id()), "FREE"), true, &["secret_named"]),
    ("history", |f| history(f, Some(workspace_id())).map(drop), true, &["secret", "history"]),
    ("audit_trail", |f| audit_trail(f, Some(workspace_id()), MONTH, 9).map(drop), false, &["audit"]),
];

#[test]
fn every_member_reads_secrets_and_owners_and_admins_the_audit_trail() {
    for (operation, act, every_member, calls) in OPERATIONS {
        for role in Role::ALL {
            let fixture = fixture(Some(role));
            let outcome = act(&fixture);
            let allowed = every_member || matches!(role, Role::Owner | Role::Admin);
            assert_eq!(outcome.is_ok(), allowed, "{operation} as {role:?}");
            if allowed {
                assert_eq!(fixture.table.faults.calls(), [&["role"], calls].concat(), "{operation}");
            } else {
                let error = error_of(outcome);
                assert!(error.to_string().contains("Required role: owner or admin"), "{operation}: {error}");
                assert_eq!(fixture.table.faults.calls(), ["role"], "{operation} as {role:?}");
            }
        }
        let outsider = fixture(None);
        assert_eq!(error_of(act(&outsider)).code(), "not-found", "{operation}");
        assert_eq!(outsider.table.faults.calls(), ["role"], "{operation}");
    }
}

#[test]
fn a_failed_read_is_an_error() {
    for (operation, act, _, calls) in OPERATIONS {
        for call in [&["role"], calls].concat() {
            let fixture = fixture(Some(Role::Owner));
            fixture.table.faults.fail(call, unavailable());
            assert_eq!(error_of(act(&fixture)).code(), "unavailable", "{operation}, {call}");
        }
    }
}
