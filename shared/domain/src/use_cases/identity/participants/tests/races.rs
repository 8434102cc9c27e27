//! Concurrent writers, failures and lost answers.

use super::*;

/// Another caller gives the user this role, or removes the user, just before the write, so the
/// write is contended.
fn contend(fixture: &Fixture, user: UserId, role: Option<Role>) {
    fixture.table.before("change_identity", move |rows| {
        match role {
            Some(role) => rows.roles.insert((workspace_id(), user), role),
            None => rows.roles.remove(&(workspace_id(), user)),
        };
    });
    fixture.table.faults.fail("change_identity", Error::Contended);
}

#[test]
fn a_contended_change_is_decided_again_on_the_current_roles() {
    let (admin, view) = (member(Role::Admin), member(Role::View));
    let (becomes_owner, becomes_launch, leaves) = (Some(Role::Owner), Some(Role::Launch), None);
    let operation = |name: &str| OPERATIONS.iter().find(|(known, _)| *known == name).unwrap().1;
    let cases = [
        ("the new person was added by another", "add", user_id(OUTSIDER), becomes_launch, Some("conflict")),
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
    for (case, name, user, role, code) in cases {
        let fixture = fixture();
        contend(&fixture, user, role);
        let outcome = operation(name)(&fixture, admin);
        assert_eq!(outcome.err().map(|error| error.code()), code, "{name}: {case}");
        assert_eq!(fixture.backoff.attempts(), [1], "{name}: {case}");
        assert!(transactions(&fixture).is_empty(), "{name}: {case}");
    }
    let fixture = fixture();
    contend(&fixture, view, Some(Role::Connect));
    change(&fixture, admin, view, Role::Launch).unwrap();
    let change = set_role(place(), view, Some(Role::Connect), Some(Role::Launch));
    assert_changed(&fixture, admin, may_touch(&[]), &change, "from the current role");
}

#[test]
fn a_contended_change_of_platforms_is_decided_again_on_the_current_ones() {
    let cases = [("to the same", vec![Platform::Lsf], 0), ("to others", vec![Platform::Moab], 1)];
    for (case, concurrent, writes) in cases {
        let fixture = fixture();
        let present = concurrent.clone();
        fixture.table.before("change_identity", move |rows| {
            rows.workspaces.get_mut(&workspace_id()).unwrap().platforms = present;
        });
        fixture.table.faults.fail("change_identity", Error::Contended);
        let allowed = allow(&fixture, member(Role::Admin), &[Platform::Lsf]).unwrap();
        assert_eq!(allowed.platforms, [Platform::Lsf], "{case}");
        let changes: Vec<_> = transactions(&fixture).into_iter().flat_map(|(changes, _)| changes).collect();
        let from = Workspace { platforms: concurrent, ..workspace() };
        let expected = vec![Change::SetPlatforms(from, vec![Platform::Lsf]); writes];
        assert_eq!(changes, expected, "{case}");
    }
}

#[test]
fn refusals_of_the_store_are_returned_and_not_retried() {
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
fn contended_is_returned_when_no_time_is_left_for_a_retry() {
    for (name, operation) in OPERATIONS {
        let fixture = fixture();
        (0..4).for_each(|_| fixture.table.faults.fail("change_identity", Error::Contended));
        assert_eq!(error_of(operation(&fixture, member(Role::Owner))).code(), "contended", "{name}");
        assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "{name}");
        assert!(fixture.table.audit().is_empty(), "{name}");
    }
}

#[test]
fn a_failure_of_any_call_is_returned_and_nothing_is_changed() {
    assert_stops_at_each_failure(fixture, |it| listed(it, member(Role::View), place()));
    for (_, operation) in OPERATIONS {
        assert_stops_at_each_failure(fixture, |it| operation(it, member(Role::Owner)));
    }
}

#[test]
fn a_retry_after_a_lost_answer_records_nothing_twice() {
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
