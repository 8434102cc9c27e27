//! Changing roles, removing participants, and leaving.

use super::*;

#[test]
fn owners_and_admins_change_roles_and_only_owners_add_or_demote_owners() {
    for caller in Role::ALL {
        for present in Role::ALL {
            for to in Role::ALL {
                let case = format!("{caller:?} makes {present:?} {to:?}");
                let user = if present == Role::Owner { user_id(OTHER_OWNER) } else { member(present) };
                let fixture = fixture();
                match change(&fixture, member(caller), user, to) {
                    Ok(()) if present == to => {
                        assert!(may_touch(&[to]).contains(&caller), "{case}");
                        assert_unchanged(&fixture, &["role_and_workspace", "role_of_participant"], &case);
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
                            &["role_and_workspace", "role_of_participant"][..]
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
fn only_owners_and_admins_learn_that_a_user_is_not_a_participant() {
    for caller in Role::ALL {
        let allowed = [Role::Owner, Role::Admin].contains(&caller);
        let code = if allowed { "not-found" } else { "forbidden" };
        for user in [OUTSIDER, 99].map(user_id) {
            let fixture = fixture();
            assert_eq!(
                error_of(change(&fixture, member(caller), user, Role::View)).code(),
                code,
                "{caller:?}"
            );
            assert_eq!(error_of(remove_user(&fixture, member(caller), user)).code(), code, "{caller:?}");
            let reads = fixture.table.faults.count("role_of_participant");
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
                    let calls = if may_ask {
                        &["role_and_workspace", "role_of_participant"][..]
                    } else {
                        &["role_and_workspace"]
                    };
                    assert_unchanged(&fixture, calls, &case);
                }
            }
        }
    }
}

#[test]
fn every_member_may_leave() {
    for role in Role::ALL {
        let (fixture, case) = (fixture(), format!("{role:?} leaves"));
        remove_user(&fixture, member(role), member(role)).unwrap();
        let change = set_role(place(), member(role), Some(role), None);
        if role == Role::Owner {
            assert_eq!(
                fixture.table.faults.calls(),
                ["role_and_workspace", "participants", "change_identity"]
            );
            assert_another_owner_stays(&fixture, &change);
        } else {
            assert_changed(&fixture, member(role), &[role], &change, &case);
            assert_eq!(fixture.table.faults.calls(), ["role_and_workspace", "change_identity"], "{case}");
        }
        assert_eq!(error_of(remove_user(&fixture, member(role), member(role))).code(), "not-found", "{case}");
    }
}

/// Asserts the only change, under the condition that the other owner stays.
fn assert_another_owner_stays(fixture: &Fixture, change: &Change) {
    let (workspace, user) = (workspace_id(), user_id(OTHER_OWNER));
    let required = RequiredMembership { workspace, user, roles: vec![Role::Owner] };
    assert_eq!(transactions(fixture), [(vec![change.clone()], Some(required))]);
    assert_eq!(only_record(fixture).actor, Some(member(Role::Owner)));
}

#[test]
fn an_owner_steps_down_if_another_owner_stays_who_is_not_disabled() {
    let owner = member(Role::Owner);
    let stepped = fixture();
    super::change(&stepped, owner, owner, Role::View).unwrap();
    assert_another_owner_stays(&stepped, &set_role(place(), owner, Some(Role::Owner), Some(Role::View)));
    let fixture = fixture();
    fixture.table.rows.borrow_mut().users.get_mut(&user_id(OTHER_OWNER)).unwrap().disabled = Some(NOW);
    for outcome in [super::change(&fixture, owner, owner, Role::View), remove_user(&fixture, owner, owner)] {
        let error = error_of(outcome);
        assert_eq!((error.code(), error.to_string()), ("conflict", LAST_OWNER.to_owned()));
    }
    assert!(transactions(&fixture).is_empty());
    remove_user(&fixture, owner, user_id(OTHER_OWNER)).unwrap();
}

#[test]
fn an_owner_who_goes_decides_again_if_the_other_owner_went_meanwhile() {
    let (fixture, owner) = (fixture(), member(Role::Owner));
    fixture.table.before("change_identity", |rows| {
        rows.users.get_mut(&user_id(OTHER_OWNER)).unwrap().disabled = Some(NOW);
    });
    fixture.table.faults.fail("change_identity", Error::NotFound);
    assert_eq!(error_of(remove_user(&fixture, owner, owner)).code(), "conflict");
    assert_eq!(fixture.backoff.attempts(), [1]);
}
