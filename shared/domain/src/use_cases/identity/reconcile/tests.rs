mod repeats;

use super::super::testing::{put_environment, token_id, transactions};
use super::*;
use crate::audit::AuditRecord;
use crate::identity::Workspace;
use crate::secret::SealedValue;
use crate::testing::{
    Fixture, NOW, Sequence, error_of, minutes, of_user, of_workspace, run_now, secret, stored_token,
    unavailable, user_id, workspace, workspace_id,
};
use crate::token::TokenKey;
use crate::use_cases::identity::finish::finish;

fn reconcile_with(fixture: &Fixture, trail: &Trail) -> Result<ReconcileSummary> {
    run_now(reconcile(&*fixture.table, trail, &fixture.context()))
}

fn restored() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.settings.restored = true;
    fixture
}

fn put(fixture: &Fixture, secret: Secret) {
    let sealed =
        SealedValue { owner: secret.owner, secret: secret.id, version: secret.version, envelope: vec![7] };
    fixture.table.put_secret(secret, sealed);
}

/// A secret at version 3 in each scope.
fn with_secrets() -> Fixture {
    let fixture = restored();
    put(&fixture, secret(of_workspace(), 1, "LICENCE"));
    put(&fixture, secret(of_user(), 2, "LICENCE"));
    fixture
}

fn key(owner: SecretOwner, id: i64) -> (SecretOwner, SecretId) {
    (owner, SecretId::new(id).unwrap())
}

fn deleted(id: i64) -> Trail {
    Trail { deleted: [key(of_workspace(), id)].into(), ..Trail::default() }
}

fn written(id: i64, version: u64) -> Trail {
    Trail { written: [(key(of_workspace(), id), version)].into(), ..Trail::default() }
}

fn role(user: i64, to: Option<Role>) -> Trail {
    Trail { roles: [((workspace_id(), user_id(user)), (minutes(-5), to))].into(), ..Trail::default() }
}

fn platforms(allowed: &[Platform]) -> Trail {
    Trail { platforms: [(workspace_id(), (minutes(-5), allowed.to_vec()))].into(), ..Trail::default() }
}

fn with_member(role: Role) -> Fixture {
    let fixture = restored();
    fixture.table.put_member(workspace(), user_id(7), role);
    fixture
}

fn with_platforms(platforms: &[Platform]) -> Fixture {
    let fixture = restored();
    let workspace = Workspace { platforms: platforms.to_vec(), ..workspace() };
    fixture.table.put_member(workspace, user_id(7), Role::Owner);
    fixture
}

fn with_token() -> Fixture {
    let fixture = restored();
    let token = stored_token(5, 7, "laptop", &TokenKey::make_random(&Sequence::default()));
    fixture.table.rows.borrow_mut().tokens.insert(token.id, token);
    fixture
}

fn revoked(id: i64) -> Trail {
    Trail { revoked: [token_id(id)].into(), ..Trail::default() }
}

/// A kind of change: a table on which the trail makes a change, the trail, and the call that writes
/// it.
type Case = (&'static str, fn() -> Fixture, Trail, &'static str);

fn changes() -> [Case; 5] {
    [
        ("a deletion", with_secrets, deleted(1), "delete_secret_unscoped"),
        ("a lost version", with_secrets, written(1, 4), "mark_value_lost"),
        ("a revocation", with_token, revoked(5), "change_identity"),
        ("a role", || with_member(Role::Admin), role(7, None), "change_identity"),
        ("platforms", || with_platforms(&Platform::ALL), platforms(&[]), "change_identity"),
    ]
}

/// Asserts the single record: of an operator, at the current time.
fn assert_recorded(
    fixture: &Fixture,
    action: AuditAction,
    scope: SecretOwner,
    subjects: Vec<Subject>,
    person: Option<i64>,
    detail: &str,
) {
    let audit = fixture.table.audit();
    let expected = AuditRecord {
        scope,
        at: NOW,
        id: audit[0].id.clone(),
        actor: None,
        action,
        subjects,
        run: None,
        person: person.map(user_id),
        detail: Some(detail.into()),
    };
    assert_eq!(audit, [expected]);
}

#[test]
fn a_table_that_is_not_marked_as_restored_is_not_touched() {
    for (case, prepare, trail, _) in changes() {
        let mut fixture = prepare();
        fixture.settings.restored = false;
        let refused = error_of(reconcile_with(&fixture, &trail));
        let text = "The stack is not marked as restored. \
            You can reconcile only while its parameter Restored is true.";
        assert_eq!((refused.code(), refused.to_string().as_str()), ("conflict", text), "{case}");
        assert!(fixture.table.faults.calls().is_empty(), "{case}");
    }
}

#[test]
fn an_empty_trail_does_nothing() {
    let fixture = with_secrets();
    assert_eq!(reconcile_with(&fixture, &Trail::default()).unwrap(), ReconcileSummary::default());
    assert!(fixture.table.faults.calls().is_empty());
}

#[test]
fn a_deleted_secret_is_deleted_again_and_recorded() {
    let fixture = with_secrets();
    let done = reconcile_with(&fixture, &deleted(1)).unwrap();
    assert_eq!(done, ReconcileSummary { secrets_deleted: 1, ..ReconcileSummary::default() });
    let subject = Subject::of(&secret(of_workspace(), 1, "LICENCE"));
    assert_recorded(&fixture, AuditAction::SecretDeleted, of_workspace(), vec![subject], None, "reconciled");
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.secrets.keys().copied().collect::<Vec<_>>(), [key(of_user(), 2)], "the other one stays");
    assert_eq!(rows.sealed.len(), 1);
}

#[test]
fn a_deleted_secret_that_is_absent_is_not_counted() {
    let fixture = with_secrets();
    // Number 2 exists, but in another scope.
    for id in [2, 99] {
        assert_eq!(reconcile_with(&fixture, &deleted(id)).unwrap(), ReconcileSummary::default(), "{id}");
    }
    assert_eq!(fixture.table.faults.calls(), ["stored_secret", "stored_secret"]);
}

#[test]
fn a_value_older_than_its_newest_version_is_marked_as_lost() {
    let fixture = with_secrets();
    let done = reconcile_with(&fixture, &written(1, 5)).unwrap();
    assert_eq!(done, ReconcileSummary { secrets_outdated: 1, ..ReconcileSummary::default() });
    let mut lost = secret(of_workspace(), 1, "LICENCE");
    lost.version = 5;
    lost.properties.lost = true;
    let subject = Subject::of(&lost);
    assert_recorded(&fixture, AuditAction::SecretUpdated, of_workspace(), vec![subject], None, "reconciled");
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.secrets[&key(of_workspace(), 1)], lost);
    assert!(!rows.sealed.contains_key(&key(of_workspace(), 1)), "the older value is deleted");
}

#[test]
fn a_secret_at_its_newest_version_or_later_is_left() {
    for version in [1, 2, 3] {
        let fixture = with_secrets();
        let done = reconcile_with(&fixture, &written(1, version)).unwrap();
        assert_eq!(done, ReconcileSummary::default(), "{version}");
        assert_eq!(fixture.table.faults.calls(), ["stored_secret"], "{version}");
    }
}

#[test]
fn a_secret_stored_since_the_backup_is_reported_as_missing_unless_it_was_deleted() {
    let fixture = with_secrets();
    let done = reconcile_with(&fixture, &written(99, 1)).unwrap();
    assert_eq!(done, ReconcileSummary { secrets_missing: 1, ..ReconcileSummary::default() });
    let both = Trail { deleted: deleted(99).deleted, ..written(99, 1) };
    assert_eq!(reconcile_with(&fixture, &both).unwrap(), ReconcileSummary::default());
    let both = Trail { deleted: deleted(1).deleted, ..written(1, 7) };
    let done = reconcile_with(&fixture, &both).unwrap();
    assert_eq!(
        done,
        ReconcileSummary { secrets_deleted: 1, ..ReconcileSummary::default() },
        "deleted, and that is all"
    );
    assert_eq!(fixture.table.faults.count("mark_value_lost"), 0);
}

#[test]
fn a_revoked_token_is_revoked_again_with_its_id_in_the_record() {
    let fixture = with_token();
    let done = reconcile_with(&fixture, &revoked(5)).unwrap();
    assert_eq!(done, ReconcileSummary { tokens_revoked: 1, ..ReconcileSummary::default() });
    let scope = SecretOwner::User(user_id(7));
    assert_recorded(&fixture, AuditAction::TokenRevoked, scope, vec![], Some(7), "token 5");
    assert!(fixture.table.rows.borrow().tokens.is_empty());
    assert_eq!(reconcile_with(&fixture, &revoked(5)).unwrap(), ReconcileSummary::default(), "once");
}

#[test]
fn a_role_is_removed_or_lowered_but_never_raised() {
    for present in Role::ALL {
        for last in Role::ALL.map(Some).into_iter().chain([None]) {
            let (fixture, case) = (with_member(present), format!("{present:?}, and last {last:?}"));
            let done = reconcile_with(&fixture, &role(7, last)).unwrap();
            let expected = match last {
                None => ReconcileSummary { roles_removed: 1, ..ReconcileSummary::default() },
                // Strongest first.
                Some(last) if last > present => {
                    ReconcileSummary { roles_lowered: 1, ..ReconcileSummary::default() }
                }
                Some(_) => ReconcileSummary::default(),
            };
            assert_eq!(done, expected, "{case}");
            if expected == ReconcileSummary::default() {
                assert_eq!(fixture.table.faults.calls(), ["role_of_participant"], "{case}");
                continue;
            }
            let (workspace, user) = (workspace_id(), user_id(7));
            let change = Change::SetRole { workspace, user, from: Some(present), to: last };
            assert_eq!(transactions(&fixture), [(vec![change], None)], "{case}");
            let action = last.map_or(AuditAction::ParticipantRemoved, |_| AuditAction::ParticipantSet);
            let detail = last.map_or("reconciled", Role::as_str);
            assert_recorded(&fixture, action, of_workspace(), vec![], Some(7), detail);
        }
    }
}

#[test]
fn a_user_who_is_not_a_participant_gets_no_role() {
    for last in [None, Some(Role::View), Some(Role::Owner)] {
        let fixture = with_member(Role::Owner);
        assert_eq!(
            reconcile_with(&fixture, &role(8, last)).unwrap(),
            ReconcileSummary::default(),
            "{last:?}"
        );
        assert_eq!(fixture.table.faults.calls(), ["role_of_participant"], "{last:?}");
    }
}

#[test]
fn the_last_owner_is_kept_and_reported() {
    for last in [None, Some(Role::Admin)] {
        let fixture = with_member(Role::Owner);
        fixture.table.faults.fail("change_identity", Error::Conflict("No owner would be left.".into()));
        let done = reconcile_with(&fixture, &role(7, last)).unwrap();
        let kept = vec![KeptOwner { workspace_id: workspace_id(), user_id: user_id(7) }];
        assert_eq!(done, ReconcileSummary { owners_kept: kept, ..ReconcileSummary::default() }, "{last:?}");
        assert!(fixture.table.audit().is_empty(), "{last:?}");
    }
}

#[test]
fn a_workspace_keeps_only_platforms_that_it_and_the_trail_allow() {
    use Platform::{AwsBatch, Lsf, Moab, Slurm};

    type Platforms = &'static [Platform];
    let cases: [(Platforms, Platforms, Option<Platforms>, &str); 6] = [
        (&[AwsBatch, Slurm, Lsf], &[Lsf, AwsBatch], Some(&[AwsBatch, Lsf]), "aws-batch, lsf"),
        (&[AwsBatch, Slurm], &[], Some(&[]), "none"),
        (&[AwsBatch, Slurm], &[Moab], Some(&[]), "none"),
        (&[AwsBatch], &[AwsBatch], None, ""),
        (&[AwsBatch], &[AwsBatch, Slurm], None, ""),
        (&[], &[Slurm], None, ""),
    ];
    for (present, last, kept, detail) in cases {
        let (fixture, case) = (with_platforms(present), format!("{present:?}, and last {last:?}"));
        let done = reconcile_with(&fixture, &platforms(last)).unwrap();
        let narrowed = u32::from(kept.is_some());
        assert_eq!(
            done,
            ReconcileSummary { platforms_narrowed: narrowed, ..ReconcileSummary::default() },
            "{case}"
        );
        let Some(kept) = kept else {
            assert_eq!(fixture.table.faults.calls(), ["workspace"], "{case}");
            continue;
        };
        let from = Workspace { platforms: present.to_vec(), ..workspace() };
        let change = Change::SetPlatforms(from, kept.to_vec());
        assert_eq!(transactions(&fixture), [(vec![change], None)], "{case}");
        let action = AuditAction::WorkspacePlatformsChanged;
        assert_recorded(&fixture, action, of_workspace(), vec![], None, detail);
    }
    let absent = restored();
    assert_eq!(
        reconcile_with(&absent, &platforms(&[])).unwrap(),
        ReconcileSummary::default(),
        "no such workspace"
    );
}

#[test]
fn each_change_is_counted_and_a_second_reconciliation_changes_nothing() {
    let fixture = with_secrets();
    for id in [3, 4] {
        put(&fixture, secret(of_workspace(), id, &format!("S{id}")));
    }
    for (user, role) in [(7, Role::Owner), (8, Role::Admin), (9, Role::Launch), (10, Role::Admin)] {
        fixture.table.put_member(workspace(), user_id(user), role);
    }
    for id in [5, 6] {
        let token = stored_token(id, 7, &format!("t{id}"), &TokenKey::make_random(&Sequence::default()));
        fixture.table.rows.borrow_mut().tokens.insert(token.id, token);
    }
    for (id, disabled) in [(7, None), (8, None), (9, Some(NOW))] {
        let user = crate::identity::User { disabled, ..crate::testing::user(id, &format!("u{id}")) };
        fixture.table.rows.borrow_mut().users.insert(user.id, user);
    }
    let roles = [(7, Some(Role::Owner)), (8, Some(Role::View)), (9, None), (10, None)];
    let trail = Trail {
        deleted: [key(of_workspace(), 1), key(of_user(), 2), key(of_user(), 99)].into(),
        workspaces_deleted: [WorkspaceId::new(99).unwrap()].into(),
        users_removed: [user_id(99)].into(),
        written: [(key(of_workspace(), 3), 4), (key(of_workspace(), 4), 3), (key(of_workspace(), 99), 1)]
            .into(),
        revoked: [token_id(5), token_id(6), token_id(99)].into(),
        disabled: [(7, false), (8, true), (9, true), (99, true)]
            .map(|(user, disabled)| (user_id(user), (minutes(-1), disabled)))
            .into(),
        roles: roles.map(|(user, to)| ((workspace_id(), user_id(user)), (minutes(-1), to))).into(),
        platforms: platforms(&[Platform::Lsf]).platforms,
        ..Trail::default()
    };
    let done = reconcile_with(&fixture, &trail).unwrap();
    let expected = ReconcileSummary {
        secrets_deleted: 2,
        secrets_outdated: 1,
        secrets_missing: 1,
        tokens_revoked: 2,
        workspaces_deleted: 0,
        users_removed: 0,
        users_disabled: 1,
        roles_removed: 2,
        roles_lowered: 1,
        platforms_narrowed: 1,
        ..ReconcileSummary::default()
    };
    assert_eq!(done, expected);
    assert_eq!(fixture.table.audit().len(), 10);
    let again = reconcile_with(&fixture, &trail).unwrap();
    assert_eq!(again, ReconcileSummary { secrets_missing: 1, ..ReconcileSummary::default() });
    assert_eq!(fixture.table.audit().len(), 10, "nothing is recorded twice");
}

#[test]
fn a_reconciliation_reports_its_counts_and_the_owners_it_kept() {
    let done = ReconcileSummary {
        secrets_deleted: 1,
        secrets_outdated: 2,
        secrets_missing: 3,
        tokens_revoked: 4,
        workspaces_deleted: 9,
        users_removed: 10,
        users_disabled: 8,
        roles_removed: 5,
        roles_lowered: 6,
        platforms_narrowed: 7,
        compute_envs_deleted: 8,
        credentials_deleted: 9,
        owners_kept: vec![KeptOwner { workspace_id: workspace_id(), user_id: user_id(17) }],
    };
    let expected = serde_json::json!({
        "secretsDeleted": 1,
        "secretsOutdated": 2,
        "secretsMissing": 3,
        "tokensRevoked": 4,
        "workspacesDeleted": 9,
        "usersRemoved": 10,
        "usersDisabled": 8,
        "rolesRemoved": 5,
        "rolesLowered": 6,
        "platformsNarrowed": 7,
        "computeEnvsDeleted": 8,
        "credentialsDeleted": 9,
        "ownersKept": [{ "workspaceId": workspace_id(), "userId": 17 }],
    });
    assert_eq!(serde_json::to_value(done).unwrap(), expected);
}

#[test]
fn deleted_environments_and_then_their_credentials_are_deleted_again() {
    let fixture = restored();
    let (env_id, cred_id) = put_environment(&fixture, workspace_id());
    let trail = Trail {
        environments: [(workspace_id(), env_id.clone())].into(),
        credentials: [(workspace_id(), cred_id)].into(),
        ..Trail::default()
    };
    let done = reconcile_with(&fixture, &trail).unwrap();
    let expected =
        ReconcileSummary { compute_envs_deleted: 1, credentials_deleted: 1, ..ReconcileSummary::default() };
    assert_eq!(done, expected);
    assert_eq!(fixture.table.actions(), [AuditAction::ComputeEnvDeleted, AuditAction::CredentialsDeleted]);
    assert!(fixture.table.rows.borrow().listed_until.contains_key(&env_id), "the sweep still looks there");
    assert_eq!(reconcile_with(&fixture, &trail).unwrap(), ReconcileSummary::default(), "once");
}

#[test]
fn credentials_that_a_restored_environment_uses_stay() {
    let fixture = restored();
    let key = (workspace_id(), put_environment(&fixture, workspace_id()).1);
    fixture.table.faults.fail("change_environment", Error::Conflict("in use".into()));
    let trail = Trail { credentials: [key].into(), ..Trail::default() };
    assert_eq!(reconcile_with(&fixture, &trail).unwrap(), ReconcileSummary::default());
}

#[test]
fn a_restored_workspace_that_was_deleted_is_deleted_again_once() {
    let mut fixture = with_secrets();
    put_environment(&fixture, workspace_id());
    for (id, role) in [(7, Role::Owner), (8, Role::Launch)] {
        let user = crate::testing::user(id, &format!("u{id}"));
        fixture.table.rows.borrow_mut().users.insert(user.id, user);
        fixture.table.put_member(workspace(), user_id(id), role);
    }
    let trail = Trail { workspaces_deleted: [workspace_id()].into(), ..Trail::default() };
    let done = reconcile_with(&fixture, &trail).unwrap();
    assert_eq!(done, ReconcileSummary { workspaces_deleted: 1, ..ReconcileSummary::default() });
    assert_recorded(&fixture, AuditAction::WorkspaceDeleted, of_workspace(), vec![], None, "reconciled");
    let rows = fixture.table.rows.borrow();
    assert!(rows.roles.is_empty(), "no user has a role in it");
    assert_eq!(rows.removed, [(of_workspace(), NOW)].into(), "its secrets are deleted by the next pass");
    drop(rows);
    assert_eq!(reconcile_with(&fixture, &trail).unwrap(), ReconcileSummary::default());
    fixture.settings.restored = false;
    run_now(finish(&*fixture.table, &fixture.context())).unwrap();
    let rows = fixture.table.rows.borrow();
    assert!(rows.environments.is_empty() && rows.credentials.is_empty(), "nor has it an environment");
}

#[test]
fn a_restored_user_who_was_removed_is_removed_again_and_a_last_owner_is_disabled_and_kept() {
    for (role, kept) in [(Role::Launch, false), (Role::Owner, true)] {
        let fixture = with_member(role);
        let user = crate::testing::user(7, "sam");
        fixture.table.rows.borrow_mut().users.insert(user.id, user);
        if kept {
            fixture.table.faults.pass("change_identity");
            fixture.table.faults.fail("change_identity", Error::Conflict("last".into()));
        }
        let trail = Trail { users_removed: [user_id(7)].into(), ..Trail::default() };
        let done = reconcile_with(&fixture, &trail).unwrap();
        assert_eq!((done.users_removed, done.owners_kept.len()), (u32::from(!kept), usize::from(kept)));
        let user = fixture.table.rows.borrow().users[&user_id(7)].clone();
        assert_eq!((user.disabled, user.removed), (Some(NOW), (!kept).then_some(NOW)), "{role:?}");
        assert_eq!(fixture.table.rows.borrow().roles.len(), usize::from(kept));
        let again = reconcile_with(&fixture, &trail).unwrap();
        assert_eq!(again.users_removed, u32::from(kept), "once the workspace has another owner");
    }
}
