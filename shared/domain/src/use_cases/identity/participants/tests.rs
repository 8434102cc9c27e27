use super::super::testing::{
    assert_stops_at_each_failure, only_record, org_id, ports, token_id, transactions,
};
use super::*;
use crate::audit::{AuditAction, AuditRecord};
use crate::owner::SecretOwner;
use crate::testing::{
    Fixture, NOW, error_of, organization, run_now, unavailable, user, user_id, workspace, workspace_id,
};

/// A member of each role, by the role; user 8 takes no part, user 9 is a second owner.
fn member(role: Role) -> UserId {
    user_id(role as i64 + 1)
}

const STRANGER: i64 = 8;
const OTHER_OWNER: i64 = 9;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let names = ["zoe", "adam", "max", "liam", "carl", "vera", "nobody", "Sam", "olivia"];
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

fn place() -> Place {
    Place { org: organization().id, workspace: workspace_id() }
}

fn by(user: UserId) -> Actor {
    Actor { user, token: Some(token_id(1)) }
}

fn listed(fixture: &Fixture, caller: UserId, place: Place) -> Result<Vec<(User, Role)>> {
    run_now(list(&fixture.table, &by(caller), place))
}

fn add_whom(fixture: &Fixture, caller: UserId, whom: &Whom, role: Role) -> Result<User> {
    run_now(add(&ports(fixture), &by(caller), place(), whom, role, NOW))
}

fn add_stranger(fixture: &Fixture, caller: UserId, role: Role) -> Result<User> {
    add_whom(fixture, caller, &Whom::Id(user_id(STRANGER)), role)
}

fn change(fixture: &Fixture, caller: UserId, user: UserId, role: Role) -> Result<()> {
    run_now(change_role(&ports(fixture), &by(caller), place(), user, role, NOW))
}

fn remove_user(fixture: &Fixture, caller: UserId, user: UserId) -> Result<()> {
    run_now(remove(&ports(fixture), &by(caller), place(), user, NOW))
}

fn allow(fixture: &Fixture, caller: UserId, platforms: &[Platform]) -> Result<Workspace> {
    run_now(allow_platforms(&ports(fixture), &by(caller), place(), platforms, NOW))
}

/// Every operation that changes something, in a form that an owner may do.
type Operation = fn(&Fixture, UserId) -> Result<()>;
const OPERATIONS: [(&str, Operation); 4] = [
    ("add", |it, caller| add_stranger(it, caller, Role::View).map(drop)),
    ("change", |it, caller| change(it, caller, member(Role::View), Role::Launch)),
    ("remove", |it, caller| remove_user(it, caller, member(Role::View))),
    ("allow", |it, caller| allow(it, caller, &[Platform::Lsf]).map(drop)),
];

/// The roles that may give, change or take away these roles.
fn may_touch(touched: &[Role]) -> &'static [Role] {
    if touched.contains(&Role::Owner) { &[Role::Owner] } else { &[Role::Owner, Role::Admin] }
}

fn assert_forbidden(error: &Error, roles: &[Role], case: &str) {
    let needs = if roles.len() == 1 { "owner" } else { "owner or admin" };
    let text = format!("Your role in this workspace does not allow this; it takes {needs}.");
    assert_eq!((error.code(), error.to_string()), ("forbidden", text), "{case}");
}

/// One change took effect, under a membership that the store checks again, and was recorded.
fn assert_changed(fixture: &Fixture, caller: UserId, roles: &[Role], change: &Change, case: &str) {
    let standing = Standing { workspace: workspace_id(), user: caller, roles: roles.to_vec() };
    assert_eq!(transactions(fixture), [(vec![change.clone()], Some(standing))], "{case}");
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

#[test]
fn a_workspace_of_others_is_not_found_whatever_is_asked() {
    let elsewhere = Place { org: org_id(99), ..place() };
    let absent = Place { workspace: WorkspaceId::new(99).unwrap(), ..place() };
    for (case, caller, place) in [
        ("no member", user_id(STRANGER), place()),
        ("a member, by another organization", member(Role::Owner), elsewhere),
        ("no such workspace", member(Role::Owner), absent),
    ] {
        let actor = by(caller);
        let view = member(Role::View);
        let whom = Whom::Id(user_id(STRANGER));
        let operations: [&dyn Fn(&Fixture) -> Result<()>; 6] = [
            &|it| listed(it, caller, place).map(drop),
            &|it| run_now(add(&ports(it), &actor, place, &whom, Role::View, NOW)).map(drop),
            &|it| run_now(change_role(&ports(it), &actor, place, view, Role::Launch, NOW)),
            &|it| run_now(remove(&ports(it), &actor, place, view, NOW)),
            &|it| run_now(remove(&ports(it), &actor, place, caller, NOW)),
            &|it| run_now(allow_platforms(&ports(it), &actor, place, &[], NOW)).map(drop),
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
            match add_stranger(&fixture, member(caller), role) {
                Ok(user) => {
                    assert!(roles.contains(&caller), "{case}");
                    assert_eq!(user.id, user_id(STRANGER));
                    let change = set_role(place(), user.id, None, Some(role));
                    assert_changed(&fixture, member(caller), roles, &change, &case);
                    assert_eq!(
                        fixture.table.faults.calls(),
                        ["role_and_workspace", "user", "role", "change_identity"]
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
    let text = |text: &str| Whom::NameOrEmail(text.into());
    let cases = [
        (Whom::Id(user_id(STRANGER)), Some("user"), true),
        (Whom::Id(user_id(99)), Some("user"), false),
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
    for (whom, read, found) in cases {
        let (fixture, case) = (fixture(), format!("{whom:?}"));
        let outcome = add_whom(&fixture, member(Role::Admin), &whom, Role::View);
        if found {
            assert_eq!(outcome.unwrap().id, user_id(STRANGER), "{case}");
        } else {
            let refused = error_of(outcome);
            let text = "There is no such user in this deployment.";
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
        let whom = Whom::Id(member(Role::View));
        let refused = error_of(add_whom(&fixture, member(Role::Admin), &whom, role));
        let text = "This user is already a participant of the workspace: change the role instead.";
        assert_eq!((refused.code(), refused.to_string().as_str()), ("conflict", text));
        assert_unchanged(&fixture, &["role_and_workspace", "user", "role"], "already a participant");
    }
}

#[test]
fn owners_and_admins_change_roles_and_only_owners_make_and_unmake_owners() {
    for caller in Role::ALL {
        for present in Role::ALL {
            for to in Role::ALL {
                let case = format!("{caller:?} makes {present:?} {to:?}");
                let user = if present == Role::Owner { user_id(OTHER_OWNER) } else { member(present) };
                let fixture = fixture();
                match change(&fixture, member(caller), user, to) {
                    Ok(()) if present == to => {
                        assert!(may_touch(&[to]).contains(&caller), "{case}");
                        assert_unchanged(&fixture, &["role_and_workspace", "role"], &case);
                    }
                    Ok(()) => {
                        let roles = may_touch(&[present, to]);
                        assert!(roles.contains(&caller), "{case}");
                        let change = set_role(place(), user, Some(present), Some(to));
                        assert_changed(&fixture, member(caller), roles, &change, &case);
                    }
                    Err(error) => {
                        let first = may_touch(&[to]);
                        let read_role = first.contains(&caller);
                        let roles = if read_role { may_touch(&[present, to]) } else { first };
                        assert!(!roles.contains(&caller), "{case}: {error}");
                        assert_forbidden(&error, roles, &case);
                        let calls = if read_role {
                            &["role_and_workspace", "role"][..]
                        } else {
                            &["role_and_workspace"]
                        };
                        assert_unchanged(&fixture, calls, &case);
                    }
                }
            }
        }
    }
}

#[test]
fn a_user_who_takes_no_part_is_not_found_by_those_who_may_ask() {
    for caller in Role::ALL {
        let allowed = [Role::Owner, Role::Admin].contains(&caller);
        let code = if allowed { "not-found" } else { "forbidden" };
        for user in [STRANGER, 99].map(user_id) {
            let fixture = fixture();
            assert_eq!(
                error_of(change(&fixture, member(caller), user, Role::View)).code(),
                code,
                "{caller:?}"
            );
            assert_eq!(error_of(remove_user(&fixture, member(caller), user)).code(), code, "{caller:?}");
            let reads = fixture.table.faults.count("role");
            assert_eq!(reads, if allowed { 2 } else { 0 }, "{caller:?} learns nothing of others");
            assert!(transactions(&fixture).is_empty());
        }
    }
}

#[test]
fn owners_and_admins_remove_people_and_only_owners_remove_owners() {
    for caller in Role::ALL {
        for present in Role::ALL.into_iter().filter(|role| *role != caller || *role == Role::Owner) {
            let (fixture, case) = (fixture(), format!("{caller:?} removes {present:?}"));
            let user = if present == Role::Owner { user_id(OTHER_OWNER) } else { member(present) };
            let may_ask = may_touch(&[]).contains(&caller);
            let roles = if may_ask { may_touch(&[present]) } else { may_touch(&[]) };
            match remove_user(&fixture, member(caller), user) {
                Ok(()) => {
                    assert!(roles.contains(&caller), "{case}");
                    let change = set_role(place(), user, Some(present), None);
                    assert_changed(&fixture, member(caller), roles, &change, &case);
                }
                Err(error) => {
                    assert!(!roles.contains(&caller), "{case}: {error}");
                    assert_forbidden(&error, roles, &case);
                    let calls =
                        if may_ask { &["role_and_workspace", "role"][..] } else { &["role_and_workspace"] };
                    assert_unchanged(&fixture, calls, &case);
                }
            }
        }
    }
}

#[test]
fn every_member_may_leave_with_the_role_that_was_read() {
    for role in Role::ALL {
        let (fixture, case) = (fixture(), format!("{role:?} leaves"));
        remove_user(&fixture, member(role), member(role)).unwrap();
        let change = set_role(place(), member(role), Some(role), None);
        assert_changed(&fixture, member(role), &[role], &change, &case);
        assert_eq!(fixture.table.faults.calls(), ["role_and_workspace", "change_identity"], "{case}");
        assert_eq!(error_of(remove_user(&fixture, member(role), member(role))).code(), "not-found", "{case}");
    }
}

#[test]
fn owners_and_admins_allow_platforms_sorted_and_once_each() {
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

#[test]
fn a_change_that_meets_another_is_decided_again_on_what_is_there_then() {
    let workspace_key = |user: UserId| (workspace_id(), user);
    let (admin, view) = (member(Role::Admin), member(Role::View));
    type OtherWrite = fn(&mut std::collections::BTreeMap<(WorkspaceId, UserId), Role>, UserId);
    let becomes_owner: OtherWrite = |roles, user| drop(roles.insert((workspace_id(), user), Role::Owner));
    let becomes_launch: OtherWrite = |roles, user| drop(roles.insert((workspace_id(), user), Role::Launch));
    let leaves: OtherWrite = |roles, user| drop(roles.remove(&(workspace_id(), user)));
    let operation = |name: &str| OPERATIONS.iter().find(|(known, _)| *known == name).unwrap().1;
    let cases = [
        ("the new person was added by another", "add", user_id(STRANGER), becomes_launch, Some("conflict")),
        ("the caller lost the workspace", "add", admin, leaves, Some("not-found")),
        ("the caller lost the role", "add", admin, becomes_launch, Some("forbidden")),
        ("the participant became an owner", "change", view, becomes_owner, Some("forbidden")),
        ("the participant left", "change", view, leaves, Some("not-found")),
        ("the participant has that role now", "change", view, becomes_launch, None),
        ("the participant became an owner", "remove", view, becomes_owner, Some("forbidden")),
        ("the participant left", "remove", view, leaves, Some("not-found")),
        ("the caller lost the role", "remove", admin, becomes_launch, Some("forbidden")),
        ("the caller lost the role", "allow", admin, becomes_launch, Some("forbidden")),
    ];
    for (case, name, user, other, code) in cases {
        let fixture = fixture();
        fixture.table.before("change_identity", move |rows| other(&mut rows.roles, user));
        fixture.table.faults.fail("change_identity", Error::Contended);
        let outcome = operation(name)(&fixture, admin);
        assert_eq!(outcome.err().map(|error| error.code()), code, "{name}: {case}");
        assert_eq!(fixture.backoff.attempts(), [1], "{name}: {case}");
        assert!(transactions(&fixture).is_empty(), "{name}: {case}");
    }
    let fixture = fixture();
    fixture
        .table
        .before("change_identity", move |rows| drop(rows.roles.insert(workspace_key(view), Role::Connect)));
    fixture.table.faults.fail("change_identity", Error::Contended);
    change(&fixture, admin, view, Role::Launch).unwrap();
    let change = set_role(place(), view, Some(Role::Connect), Some(Role::Launch));
    assert_changed(&fixture, admin, may_touch(&[]), &change, "from the role that it is by then");
}

#[test]
fn platforms_that_another_changes_meanwhile_are_compared_again() {
    let cases = [("to the same", vec![Platform::Lsf], 0), ("to others", vec![Platform::Moab], 1)];
    for (case, meanwhile, writes) in cases {
        let fixture = fixture();
        let present = meanwhile.clone();
        fixture.table.before("change_identity", move |rows| {
            rows.workspaces.get_mut(&workspace_id()).unwrap().platforms = present;
        });
        fixture.table.faults.fail("change_identity", Error::Contended);
        let allowed = allow(&fixture, member(Role::Admin), &[Platform::Lsf]).unwrap();
        assert_eq!(allowed.platforms, [Platform::Lsf], "{case}");
        let changes: Vec<_> = transactions(&fixture).into_iter().flat_map(|(changes, _)| changes).collect();
        let from = Workspace { platforms: meanwhile, ..workspace() };
        let expected = vec![Change::SetPlatforms(from, vec![Platform::Lsf]); writes];
        assert_eq!(changes, expected, "{case}");
    }
}

#[test]
fn the_store_has_the_last_word_on_owners_and_on_the_caller_s_membership() {
    for (name, operation) in OPERATIONS {
        for (refusal, code) in
            [(Error::NotFound, "not-found"), (Error::Conflict("No owner would be left.".into()), "conflict")]
        {
            let fixture = fixture();
            fixture.table.faults.fail("change_identity", refusal);
            assert_eq!(error_of(operation(&fixture, member(Role::Owner))).code(), code, "{name}");
            assert_eq!(fixture.table.faults.count("change_identity"), 1, "{name} is not repeated");
            assert!(fixture.table.audit().is_empty(), "{name}");
        }
    }
}

#[test]
fn contention_ends_where_no_time_is_left() {
    for (name, operation) in OPERATIONS {
        let fixture = fixture();
        (0..4).for_each(|_| fixture.table.faults.fail("change_identity", Error::Contended));
        assert_eq!(error_of(operation(&fixture, member(Role::Owner))).code(), "contended", "{name}");
        assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "{name}");
        assert!(fixture.table.audit().is_empty(), "{name}");
    }
}

#[test]
fn a_failure_at_any_call_ends_it_and_changes_nothing() {
    assert_stops_at_each_failure(fixture, |it| listed(it, member(Role::View), place()));
    for (_, operation) in OPERATIONS {
        assert_stops_at_each_failure(fixture, |it| operation(it, member(Role::Owner)));
    }
}

#[test]
fn after_a_lost_answer_a_repeat_finds_the_change_and_records_nothing_twice() {
    let expected =
        [("add", Some("conflict")), ("change", None), ("remove", Some("not-found")), ("allow", None)];
    for ((name, operation), (same, code)) in OPERATIONS.into_iter().zip(expected) {
        assert_eq!(name, same);
        let fixture = fixture();
        fixture.table.faults.lose_answer("change_identity", unavailable());
        assert_eq!(error_of(operation(&fixture, member(Role::Owner))).code(), "unavailable", "{name}");
        let repeated = operation(&fixture, member(Role::Owner));
        assert_eq!(repeated.err().map(|error| error.code()), code, "{name}");
        assert_eq!(fixture.table.audit().len(), 1, "{name}");
    }
}
