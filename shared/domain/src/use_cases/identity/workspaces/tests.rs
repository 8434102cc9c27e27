use super::super::testing::{assert_stops_at_each_failure, only_record, org_id, transactions};
use super::*;
use crate::audit::AuditAction;
use crate::testing::{
    Fixture, NOW, error_of, of_workspace, organization, run_now, user, user_id, workspace, workspace_id,
};

/// The participant with this role.
fn member(role: Role) -> UserId {
    user_id(role as i64 + 1)
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for role in Role::ALL {
        let user = user(member(role).number(), role.as_str());
        fixture.table.rows.borrow_mut().users.insert(user.id, user);
        fixture.table.put_member(workspace(), member(role), role);
    }
    fixture
}

fn place() -> WorkspacePath {
    WorkspacePath { org: organization().id, workspace: workspace_id() }
}

fn delete_as(fixture: &Fixture, user: UserId) -> Result<()> {
    run_now(delete(&*fixture.table, &Actor::without_token(user), place(), &fixture.context()))
}

#[test]
fn only_an_owner_deletes_a_workspace() {
    for role in Role::ALL {
        let fixture = fixture();
        let deleted = delete_as(&fixture, member(role));
        assert_eq!(deleted.is_ok(), role == Role::Owner, "{role:?}");
        if let Err(error) = deleted {
            assert_eq!((error.code(), transactions(&fixture).len()), ("forbidden", 0), "{role:?}");
        }
    }
    let fixture = fixture();
    assert_eq!(error_of(delete_as(&fixture, user_id(99))).code(), "not-found");
    let elsewhere = WorkspacePath { org: org_id(99), ..place() };
    let owner = Actor::without_token(member(Role::Owner));
    let error = error_of(run_now(delete(&*fixture.table, &owner, elsewhere, &fixture.context())));
    assert_eq!(error.code(), "not-found", "in another organization");
}

#[test]
fn a_token_of_another_workspace_deletes_nothing() {
    let fixture = fixture();
    let mut actor = Actor::without_token(member(Role::Owner));
    actor.workspace = crate::ids::WorkspaceId::new(43);
    let error = error_of(run_now(delete(&*fixture.table, &actor, place(), &fixture.context())));
    assert_eq!(error.code(), "token-limited");
    assert!(fixture.table.faults.calls().is_empty());
}

#[test]
fn a_deletion_removes_everyone_at_once_and_is_recorded_under_the_owner() {
    let fixture = fixture();
    delete_as(&fixture, member(Role::Owner)).unwrap();
    let [(changes, required)] = &transactions(&fixture)[..] else { panic!("one transaction") };
    let members: Vec<_> = Role::ALL.map(member).to_vec();
    assert_eq!(changes[..], [Change::DeleteWorkspace { workspace: workspace(), members, at: NOW }]);
    let required = required.clone().unwrap();
    assert_eq!((required.user, required.roles), (member(Role::Owner), vec![Role::Owner]));
    let record = only_record(&fixture);
    assert_eq!((record.action, record.scope), (AuditAction::WorkspaceDeleted, of_workspace()));
    assert_eq!(record.actor, Some(member(Role::Owner)));
    assert_eq!(error_of(delete_as(&fixture, member(Role::Owner))).code(), "not-found", "a second time");
    assert_eq!(fixture.table.audit().len(), 1);
}

#[test]
fn a_participant_who_joins_meanwhile_is_removed_as_well() {
    let fixture = fixture();
    fixture.table.before("change_identity", |rows| {
        rows.users.insert(user_id(50), user(50, "new"));
        rows.roles.insert((workspace_id(), user_id(50)), Role::Launch);
        rows.workspaces.get_mut(&workspace_id()).unwrap().grants += 1;
    });
    delete_as(&fixture, member(Role::Owner)).unwrap();
    assert_eq!(fixture.table.rows.borrow().roles.len(), 0);
    assert_eq!(fixture.backoff.attempts(), [1]);
}

#[test]
fn a_failed_deletion_changes_nothing() {
    assert_stops_at_each_failure(fixture, |fixture| delete_as(fixture, member(Role::Owner)));
}

#[test]
fn more_participants_than_a_transaction_takes_leave_before_except_the_caller_and_owners() {
    let fixture = Fixture::new();
    let participants: Vec<_> = (1..=60)
        .map(|id| (user(id, "u"), if [3, 60].contains(&id) { Role::Owner } else { Role::View }))
        .collect();
    for (caller, first) in [(Some(user_id(60)), [60, 3]), (None, [3, 60])] {
        let changes = deletion(workspace(), &participants, caller, &fixture.context());
        let (last, before) = changes.split_last().unwrap();
        assert_eq!(before.len(), 60 - MOST_MEMBERS);
        assert!(
            before.iter().all(|it| matches!(it, Change::SetRole { from: Some(Role::View), to: None, .. }))
        );
        let Change::DeleteWorkspace { members, .. } = last else { panic!("{last:?}") };
        assert_eq!((members.len(), &members[..2]), (MOST_MEMBERS, &first.map(user_id)[..]));
    }
}
