mod races;
mod roles;

use super::super::testing::{assert_stops_at_each_failure, only_record, org_id, token_id, transactions};
use super::*;
use crate::audit::{AuditAction, AuditRecord};
use crate::owner::SecretOwner;
use crate::testing::{
    Fixture, NOW, error_of, organization, run_now, unavailable, user, user_id, workspace, workspace_id,
};

/// The participant with this role. User 8 is not a participant, and user 9 is a second owner.
fn member(role: Role) -> UserId {
    user_id(role as i64 + 1)
}

const OUTSIDER: i64 = 8;
const OTHER_OWNER: i64 = 9;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let names = ["zoe", "adam", "max", "liam", "carl", "vera", "noah", "Sam", "olivia"];
    for (index, name) in names.into_iter().enumerate() {
        let user = user(i64::try_from(index).unwrap() + 1, name);
        fixture.table.rows.borrow_mut().users.insert(user.id, user);
    }
    for role in Role::ALL {
        fixture.table.put_member(workspace(), member(role), role);
    }
    fixture.table.put_member(workspace(), user_id(OTHER_OWNER), Role::Owner);
    fixture
}

fn place() -> WorkspacePath {
    WorkspacePath { org: organization().id, workspace: workspace_id() }
}

fn by(user: UserId) -> Actor {
    Actor { token: Some(token_id(1)), ..Actor::without_token(user) }
}

fn listed(fixture: &Fixture, caller: UserId, place: WorkspacePath) -> Result<Vec<(User, Role)>> {
    run_now(list(&*fixture.table, &by(caller), place))
}

fn add_in(
    fixture: &Fixture,
    caller: UserId,
    place: WorkspacePath,
    user_ref: &UserRef,
    role: Role,
) -> Result<User> {
    run_now(add(&*fixture.table, &by(caller), place, user_ref, role, &fixture.context()))
}

fn change_in(
    fixture: &Fixture,
    caller: UserId,
    place: WorkspacePath,
    user: UserId,
    role: Role,
) -> Result<()> {
    run_now(change_role(&*fixture.table, &by(caller), place, user, role, &fixture.context()))
}

fn remove_in(fixture: &Fixture, caller: UserId, place: WorkspacePath, user: UserId) -> Result<()> {
    run_now(remove(&*fixture.table, &by(caller), place, user, &fixture.context()))
}

fn allow_in(
    fixture: &Fixture,
    caller: UserId,
    place: WorkspacePath,
    platforms: &[Platform],
) -> Result<Workspace> {
    run_now(allow_platforms(&*fixture.table, &by(caller), place, platforms, &fixture.context()))
}

fn add_outsider(fixture: &Fixture, caller: UserId, role: Role) -> Result<User> {
    add_in(fixture, caller, place(), &UserRef::Id(user_id(OUTSIDER)), role)
}

fn change(fixture: &Fixture, caller: UserId, user: UserId, role: Role) -> Result<()> {
    change_in(fixture, caller, place(), user, role)
}

fn remove_user(fixture: &Fixture, caller: UserId, user: UserId) -> Result<()> {
    remove_in(fixture, caller, place(), user)
}

fn allow(fixture: &Fixture, caller: UserId, platforms: &[Platform]) -> Result<Workspace> {
    allow_in(fixture, caller, place(), platforms)
}

/// Every operation that makes a change, in a form that owners may use.
type Operation = fn(&Fixture, UserId) -> Result<()>;
const OPERATIONS: [(&str, Operation); 4] = [
    ("add", |it, caller| add_outsider(it, caller, Role::View).map(drop)),
    ("change", |it, caller| change(it, caller, member(Role::View), Role::Launch)),
    ("remove", |it, caller| remove_user(it, caller, member(Role::View))),
    ("allow", |it, caller| allow(it, caller, &[Platform::Lsf]).map(drop)),
];

/// The roles that may add, change or remove participants with these roles.
fn may_touch(touched: &[Role]) -> &'static [Role] {
    if touched.contains(&Role::Owner) { &[Role::Owner] } else { &[Role::Owner, Role::Admin] }
}

fn assert_forbidden(error: &Error, roles: &[Role], case: &str) {
    let needs = if roles.len() == 1 { "owner" } else { "owner or admin" };
    let text = format!("Your role in this workspace does not allow this action. Required role: {needs}.");
    assert_eq!((error.code(), error.to_string()), ("forbidden", text), "{case}");
}

/// Asserts that one change took effect, with the required membership and an audit record.
fn assert_changed(fixture: &Fixture, caller: UserId, roles: &[Role], change: &Change, case: &str) {
    let required = RequiredMembership { workspace: workspace_id(), user: caller, roles: roles.to_vec() };
    assert_eq!(transactions(fixture), [(vec![change.clone()], Some(required))], "{case}");
    let record = only_record(fixture);
    let (action, person, detail) = match change {
        Change::SetRole { user, to: Some(role), .. } => {
            (AuditAction::ParticipantSet, Some(*user), Some(role.as_str().to_owned()))
        }
        Change::SetRole { user, .. } => (AuditAction::ParticipantRemoved, Some(*user), None),
        Change::SetPlatforms(_, platforms) => {
            let names: Vec<_> = platforms.iter().map(|platform| platform.as_str()).collect();
            (AuditAction::WorkspacePlatformsChanged, None, Some(names.join(", ")))
        }
        other => panic!("{case}: {other:?}"),
    };
    let expected = AuditRecord {
        scope: SecretOwner::Workspace(workspace_id()),
        at: NOW,
        id: record.id.clone(),
        actor: Some(caller),
        action,
        subjects: Vec::new(),
        run: None,
        person,
        detail,
    };
    assert_eq!(record, expected, "{case}");
}

fn assert_unchanged(fixture: &Fixture, calls: &[&str], case: &str) {
    assert_eq!(fixture.table.faults.calls(), calls, "{case}");
    assert!(transactions(fixture).is_empty() && fixture.table.audit().is_empty(), "{case}");
}

#[test]
fn every_member_sees_the_participants_by_name() {
    let expected: Vec<_> = ["adam", "carl", "liam", "max", "olivia", "vera", "zoe"].into();
    for role in Role::ALL {
        let list = listed(&fixture(), member(role), place()).unwrap();
        assert_eq!(list.iter().map(|(user, _)| user.user_name.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!((list[0].1, list[5].1), (Role::Admin, Role::View));
    }
}

type AnyOperation<'a> = &'a dyn Fn(&Fixture) -> Result<()>;

#[test]
fn every_operation_on_a_workspace_of_others_is_not_found() {
    let elsewhere = WorkspacePath { org: org_id(99), ..place() };
    let absent = WorkspacePath { workspace: WorkspaceId::new(99).unwrap(), ..place() };
    for (case, caller, place) in [
        ("no member", user_id(OUTSIDER), place()),
        ("a member, by another organization", member(Role::Owner), elsewhere),
        ("no such workspace", member(Role::Owner), absent),
    ] {
        let (view, user_ref) = (member(Role::View), UserRef::Id(user_id(OUTSIDER)));
        let operations: [AnyOperation<'_>; 6] = [
            &|it| listed(it, caller, place).map(drop),
            &|it| add_in(it, caller, place, &user_ref, Role::View).map(drop),
            &|it| change_in(it, caller, place, view, Role::Launch),
            &|it| remove_in(it, caller, place, view),
            &|it| remove_in(it, caller, place, caller),
            &|it| allow_in(it, caller, place, &[]).map(drop),
        ];
        for (index, operation) in operations.into_iter().enumerate() {
            let fixture = fixture();
            assert_eq!(error_of(operation(&fixture)).code(), "not-found", "{case}, {index}");
            assert_unchanged(&fixture, &["role_and_workspace"], case);
        }
    }
}

#[test]
fn owners_and_admins_add_people_and_only_owners_add_owners() {
    for caller in Role::ALL {
        for role in Role::ALL {
            let (fixture, case) = (fixture(), format!("{caller:?} adds {role:?}"));
            let roles = may_touch(&[role]);
            match add_outsider(&fixture, member(caller), role) {
                Ok(user) => {
                    assert!(roles.contains(&caller), "{case}");
                    assert_eq!(user.id, user_id(OUTSIDER));
                    let change = set_role(place(), user.id, None, Some(role));
                    assert_changed(&fixture, member(caller), roles, &change, &case);
                    assert_eq!(
                        fixture.table.faults.calls(),
                        ["role_and_workspace", "user", "role_of_participant", "change_identity"]
                    );
                }
                Err(error) => {
                    assert!(!roles.contains(&caller), "{case}: {error}");
                    assert_forbidden(&error, roles, &case);
                    assert_unchanged(&fixture, &["role_and_workspace"], &case);
                }
            }
        }
    }
}

#[test]
fn a_user_to_add_is_found_by_id_name_or_address_in_any_case() {
    let longest = |at: &str| format!("{at}{}", "x".repeat(LONGEST_EMAIL - at.len()));
    let text = |text: &str| UserRef::NameOrEmail(text.into());
    let cases = [
        (UserRef::Id(user_id(OUTSIDER)), Some("user"), true),
        (UserRef::Id(user_id(99)), Some("user"), false),
        (text("sAM"), Some("user_by_name"), true),
        (text("SAM@example.ORG"), Some("user_by_email"), true),
        (text("ghost"), Some("user_by_name"), false),
        (text("ghost@example.org"), Some("user_by_email"), false),
        (text(""), None, false),
        (text(&longest("")), Some("user_by_name"), false),
        (text(&longest("@")), Some("user_by_email"), false),
        (text(&format!("{}x", longest(""))), None, false),
        (text(&format!("{}x", longest("@"))), None, false),
    ];
    for (user_ref, read, found) in cases {
        let (fixture, case) = (fixture(), format!("{user_ref:?}"));
        let outcome = add_in(&fixture, member(Role::Admin), place(), &user_ref, Role::View);
        if found {
            assert_eq!(outcome.unwrap().id, user_id(OUTSIDER), "{case}");
        } else {
            let refused = error_of(outcome);
            let text = "The user does not exist in this deployment.";
            assert_eq!((refused.code(), refused.to_string().as_str()), ("invalid", text), "{case}");
            let calls: Vec<_> = ["role_and_workspace"].into_iter().chain(read).collect();
            assert_unchanged(&fixture, &calls, &case);
        }
        assert_eq!(fixture.table.faults.calls().get(1).copied(), read, "{case}");
    }
}

#[test]
fn a_participant_is_not_added_again() {
    for role in [Role::View, Role::Launch] {
        let fixture = fixture();
        let user_ref = UserRef::Id(member(Role::View));
        let refused = error_of(add_in(&fixture, member(Role::Admin), place(), &user_ref, role));
        let text = "The user is already a participant of this workspace. Change the role instead.";
        assert_eq!((refused.code(), refused.to_string().as_str()), ("conflict", text));
        assert_unchanged(
            &fixture,
            &["role_and_workspace", "user", "role_of_participant"],
            "already a participant",
        );
    }
}

#[test]
fn owners_and_admins_set_the_allowed_platforms_sorted_and_without_duplicates() {
    for caller in Role::ALL {
        let (fixture, case) = (fixture(), format!("{caller:?}"));
        let asked = [Platform::Slurm, Platform::AwsBatch, Platform::Slurm];
        let sorted = vec![Platform::AwsBatch, Platform::Slurm];
        match allow(&fixture, member(caller), &asked) {
            Ok(allowed) => {
                assert!(may_touch(&[]).contains(&caller), "{case}");
                assert_eq!(allowed, Workspace { platforms: sorted.clone(), ..workspace() }, "{case}");
                let change = Change::SetPlatforms(workspace(), sorted);
                assert_changed(&fixture, member(caller), may_touch(&[]), &change, &case);
                let again = allow(&fixture, member(caller), &asked).unwrap();
                assert_eq!((again, transactions(&fixture).len()), (allowed, 1), "no change, no record");
            }
            Err(error) => {
                assert!(!may_touch(&[]).contains(&caller), "{case}: {error}");
                assert_forbidden(&error, may_touch(&[]), &case);
                assert_unchanged(&fixture, &["role_and_workspace"], &case);
            }
        }
    }
}
