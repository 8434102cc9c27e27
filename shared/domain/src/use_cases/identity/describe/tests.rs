use super::super::testing::{assert_stops_at_each_failure, org_id};
use super::*;
use crate::testing::{
    Fixture, actor, error_of, run_now, user as make_user, user_id, workspace as make_workspace,
};

fn workspace_id(number: i64) -> WorkspaceId {
    WorkspaceId::new(number).unwrap()
}

fn placed(id: i64, org: i64, org_name: &str, name: &str) -> Workspace {
    Workspace {
        id: workspace_id(id),
        org: org_id(org),
        org_name: org_name.into(),
        name: name.into(),
        ..make_workspace()
    }
}

/// The caller is a participant of four workspaces in three organizations, two of which have the
/// same name.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let caller = actor().user;
    for (workspace, role) in [
        (placed(1, 6, "beta", "alpha"), Role::View),
        (placed(2, 5, "beta", "omega"), Role::Launch),
        (placed(3, 4, "gamma", "alpha"), Role::Owner),
        (placed(4, 6, "beta", "aardvark"), Role::Admin),
    ] {
        fixture.table.put_member(workspace, caller, role);
    }
    fixture.table.put_member(placed(8, 8, "other", "other"), user_id(9), Role::Owner);
    fixture.table.rows.borrow_mut().users.insert(caller, make_user(7, "sam"));
    fixture
}

fn ids(memberships: &[(Workspace, Role)]) -> Vec<(i64, Role)> {
    memberships.iter().map(|(workspace, role)| (workspace.id.number(), *role)).collect()
}

#[test]
fn a_caller_is_described_unless_deleted() {
    let fixture = fixture();
    assert_eq!(run_now(user(&*fixture.table, &actor())).unwrap(), make_user(7, "sam"));
    let deleted = Actor::without_token(user_id(8));
    assert_eq!(error_of(run_now(user(&*fixture.table, &deleted))).code(), "not-found");
}

#[test]
fn a_token_of_one_workspace_sees_only_this_one() {
    let fixture = fixture();
    let by = Actor { workspace: WorkspaceId::new(1), ..actor() };
    assert_eq!(ids(&run_now(workspaces(&*fixture.table, &by)).unwrap()), [(1, Role::View)]);
    assert_eq!(ids(&run_now(workspaces_in(&*fixture.table, &by, org_id(6))).unwrap()), [(1, Role::View)]);
    for org in [4, 5] {
        assert_eq!(error_of(run_now(workspaces_in(&*fixture.table, &by, org_id(org)))).code(), "not-found");
    }
    assert!(run_now(workspace(&*fixture.table, &by, org_id(6), workspace_id(1))).is_ok());
    let other = run_now(workspace(&*fixture.table, &by, org_id(6), workspace_id(4)));
    assert_eq!(error_of(other).code(), "token-limited");
}

#[test]
fn memberships_are_sorted_by_organization_and_name() {
    let fixture = fixture();
    let expected = [(2, Role::Launch), (4, Role::Admin), (1, Role::View), (3, Role::Owner)];
    assert_eq!(ids(&run_now(workspaces(&*fixture.table, &actor())).unwrap()), expected);
    let own = run_now(workspaces_of(&*fixture.table, &actor(), actor().user)).unwrap();
    assert_eq!(ids(&own), expected);
    let none = Actor::without_token(user_id(8));
    assert_eq!(ids(&run_now(workspaces(&*fixture.table, &none)).unwrap()), []);
}

#[test]
fn the_workspaces_of_another_user_are_not_found_and_not_read() {
    let fixture = fixture();
    for other in [9, 99] {
        let refused = error_of(run_now(workspaces_of(&*fixture.table, &actor(), user_id(other))));
        assert_eq!(refused.code(), "not-found", "user {other}");
    }
    assert!(fixture.table.faults.calls().is_empty());
}

#[test]
fn an_organization_shows_only_the_caller_s_workspaces_in_it() {
    let fixture = fixture();
    let in_org = |org| run_now(workspaces_in(&*fixture.table, &actor(), org_id(org)));
    assert_eq!(ids(&in_org(6).unwrap()), [(4, Role::Admin), (1, Role::View)]);
    assert_eq!(ids(&in_org(5).unwrap()), [(2, Role::Launch)]);
    assert_eq!(error_of(in_org(8)).code(), "not-found", "an organization of others");
    assert_eq!(error_of(in_org(99)).code(), "not-found", "an organization that does not exist");
}

#[test]
fn an_organization_shows_only_the_participants_of_the_caller_s_workspaces_in_it() {
    let fixture = fixture();
    for (workspace, number, name) in [
        (placed(4, 6, "beta", "aardvark"), 8, "vera"),
        (placed(1, 6, "beta", "alpha"), 8, "vera"),
        (placed(1, 6, "beta", "alpha"), 9, "adam"),
        (placed(2, 5, "beta", "omega"), 10, "olga"), // another organization
        (placed(9, 6, "beta", "hidden"), 11, "hugo"), // a workspace without the caller
    ] {
        fixture.table.put_member(workspace, user_id(number), Role::Launch);
        fixture.table.rows.borrow_mut().users.insert(user_id(number), make_user(number, name));
    }
    let in_org = |org| {
        let members = run_now(members(&*fixture.table, &actor(), org_id(org)))?;
        Ok::<_, Error>(members.into_iter().map(|user| user.user_name).collect::<Vec<_>>())
    };
    assert_eq!(in_org(6).unwrap(), ["adam", "sam", "vera"]);
    assert_eq!(in_org(5).unwrap(), ["olga", "sam"]);
    let found = run_now(organization(&*fixture.table, &actor(), org_id(6))).unwrap();
    assert_eq!(found, Organization { id: org_id(6), name: "beta".into() });
    for other in [8, 99] {
        let described = run_now(organization(&*fixture.table, &actor(), org_id(other)));
        assert_eq!(error_of(described).code(), "not-found", "organization {other}");
        assert_eq!(error_of(in_org(other)).code(), "not-found", "organization {other}");
    }
}

#[test]
fn a_workspace_is_found_by_its_members_under_its_own_organization_with_one_read() {
    let cases = [
        ("a member", 6, 1, Some(Role::View)),
        ("a member, through another organization", 5, 1, None),
        ("a workspace of others", 8, 8, None),
        ("a workspace that does not exist", 6, 99, None),
    ];
    for (case, org, id, role) in cases {
        let fixture = fixture();
        let found = run_now(workspace(&*fixture.table, &actor(), org_id(org), workspace_id(id)));
        match (found, role) {
            (Ok((workspace, found)), Some(role)) => {
                assert_eq!((workspace.id.number(), found), (id, role), "{case}");
            }
            (Err(Error::NotFound), None) => {}
            (outcome, _) => panic!("{case}: {outcome:?}"),
        }
        assert_eq!(fixture.table.faults.calls(), ["role_and_workspace"], "{case}");
    }
}

#[test]
fn a_failed_read_is_returned() {
    assert_stops_at_each_failure(fixture, |it| run_now(user(&*it.table, &actor())));
    assert_stops_at_each_failure(fixture, |it| run_now(workspaces_of(&*it.table, &actor(), actor().user)));
    assert_stops_at_each_failure(fixture, |it| run_now(workspaces_in(&*it.table, &actor(), org_id(6))));
    assert_stops_at_each_failure(fixture, |it| run_now(members(&*it.table, &actor(), org_id(6))));
    assert_stops_at_each_failure(fixture, |it| {
        run_now(workspace(&*it.table, &actor(), org_id(6), workspace_id(1)))
    });
}
