//! Failures, lost answers and concurrent operators: the same document makes the remaining changes.

use super::*;

#[test]
fn after_a_failure_of_any_call_the_same_document_can_be_applied() {
    // Nina, her role and one token are new. Everything else exists.
    let known = || {
        let fixture = with_sam();
        fixture.table.put_member(workspace(), user_id(4), Role::Owner);
        fixture.table.rows.borrow_mut().organizations.push(organization());
        fixture
    };
    let mut json = tokens(1);
    json["users"].as_array_mut().unwrap().push(json!({"userName": "nina", "email": "nina@example.org"}));
    json["organizations"] = json!([{"name": "acme", "workspaces": [
        {"name": "research", "participants": [{"user": "nina", "role": "view"}]},
    ]}]);
    let probe = known();
    let changes = declare(&probe, &json).unwrap().changes;
    let calls: HashSet<_> = probe.table.faults.calls().into_iter().collect();
    assert_eq!(calls.len(), 7, "every kind of call: {calls:?}");
    for call in calls {
        let fixture = known();
        fixture.table.faults.fail(call, unavailable());
        assert_eq!(error_of(declare(&fixture, &json)).code(), "unavailable", "{call}");
        assert!(transactions(&fixture).is_empty() && fixture.table.audit().is_empty(), "{call}");
        assert_eq!(fixture.backoff.attempts(), [] as [u32; 0], "{call}");
        assert_eq!(declare(&fixture, &json).unwrap().changes, changes, "{call}");
    }
}

#[test]
fn a_lost_access_key_is_replaced_by_revoking_and_declaring_its_token_again() {
    let fixture = with_sam();
    fixture.table.faults.lose_answer("change_identity", unavailable());
    assert_eq!(error_of(declare(&fixture, &tokens(1))).code(), "unavailable");
    let again = declare(&fixture, &tokens(1)).unwrap();
    assert_eq!((again.changes, access_keys(&again)), (0, 0), "it exists, and its key is not shown");
    let mut revoked = tokens(1);
    revoked["users"][0]["tokens"][0]["revoked"] = json!(true);
    assert_eq!(declare(&fixture, &revoked).unwrap().changes, 1);
    let redeclared = declare(&fixture, &tokens(1)).unwrap();
    assert_eq!(access_keys(&redeclared), 1);
    assert_keys_open(&fixture, &redeclared);
}

#[test]
fn after_contention_only_what_another_operator_left_is_applied() {
    let fixture = Fixture::new();
    let token = stored_token(5, 4, "t0", &TokenKey::make_random(&Sequence::default()));
    fixture.table.before("change_identity", move |rows| {
        rows.users.insert(user_id(4), user(4, "sam"));
        rows.tokens.insert(token.id, token);
    });
    fixture.table.faults.fail("change_identity", Error::Contended);
    let applied = declare(&fixture, &tokens(2)).unwrap();
    assert_eq!((applied.changes, access_keys(&applied)), (1, 1), "the other operator has the other key");
    assert_eq!(applied.users[0].id, user_id(4), "the user who exists by then");
    assert!(applied.users[0].tokens[0].access_key.is_none());
    assert_keys_open(&fixture, &applied);
    assert_eq!(fixture.backoff.attempts(), [1]);
}

#[test]
fn contended_is_returned_when_no_time_is_left_for_a_retry() {
    let fixture = Fixture::new();
    (0..4).for_each(|_| fixture.table.faults.fail("change_identity", Error::Contended));
    assert_eq!(error_of(declare(&fixture, &declaration())).code(), "contended");
    assert_eq!(fixture.backoff.attempts(), [1, 2, 3]);
    assert!(fixture.table.audit().is_empty());
}

#[test]
fn contention_between_transactions_loses_no_access_key_and_counts_each_change_once() {
    let fixture = Fixture::new();
    fixture.table.faults.pass("change_identity");
    fixture.table.faults.fail("change_identity", Error::Contended);
    let applied = declare(&fixture, &tokens(50)).unwrap();
    assert_eq!((applied.changes, access_keys(&applied)), (51, 50));
    assert_keys_open(&fixture, &applied);
    let audit = fixture.table.audit();
    let created = audit.iter().filter(|record| record.action == AuditAction::TokenCreated).count();
    assert_eq!((audit.len(), created), (51, 50));
    let written = transactions(&fixture);
    let rows = |changes: &[Change]| changes.iter().map(Change::rows).sum::<usize>();
    assert!(written.len() == 3 && written.iter().all(|(changes, _)| rows(changes) <= MAX_ROWS));
}

#[test]
fn after_a_failure_between_transactions_the_same_document_applies_the_rest() {
    for lost in [false, true] {
        let fixture = Fixture::new();
        fixture.table.faults.pass("change_identity");
        let faults = &fixture.table.faults;
        if lost {
            faults.lose_answer("change_identity", unavailable());
        } else {
            faults.fail("change_identity", unavailable());
        }
        assert_eq!(error_of(declare(&fixture, &tokens(50))).code(), "unavailable", "lost: {lost}");
        let written: usize = transactions(&fixture).iter().map(|(changes, _)| changes.len()).sum();
        let rest = declare(&fixture, &tokens(50)).unwrap();
        assert_eq!((rest.changes, access_keys(&rest)), (51 - written, 51 - written), "lost: {lost}");
        assert_eq!(fixture.table.audit().len(), 51, "lost: {lost}");
        assert_eq!(declare(&fixture, &tokens(50)).unwrap().changes, 0, "lost: {lost}");
    }
}

#[test]
fn a_late_problem_reports_the_changes_that_took_effect() {
    let fixture = Fixture::new();
    fixture.table.faults.pass("change_identity");
    fixture.table.faults.fail("change_identity", Error::Contended);
    // Before the second attempt the user gets another e-mail address.
    fixture.table.before("user_by_name", |_| {});
    fixture.table.before("user_by_name", |rows| {
        rows.users.values_mut().for_each(|user| user.email = "other@example.org".into());
    });
    let refused = error_of(declare(&fixture, &tokens(50)));
    let problem = "users[0].email: the user has a different e-mail address, which a document cannot change.";
    let text = format!(
        "19 change(s) took effect before the document was found to have problems: correct it and apply it \
         again. The document has 1 problem(s):\n{problem}"
    );
    assert_eq!((refused.code(), refused.to_string()), ("invalid", text));
    assert_eq!(fixture.table.rows.borrow().tokens.len(), 18);
}

/// The changes that disable a user, with the number of workspaces of each.
fn disabled_in(fixture: &Fixture) -> Vec<usize> {
    let changes = transactions(fixture).into_iter().flat_map(|(changes, _)| changes);
    let workspaces = changes.filter_map(|change| match change {
        Change::SetDisabled { workspaces, .. } => Some(workspaces.len()),
        _ => None,
    });
    workspaces.collect()
}

#[test]
fn a_role_that_is_given_while_a_user_is_disabled_is_marked_as_well() {
    for call in ["memberships", "change_identity"] {
        let fixture = with_sam();
        fixture.table.before(call, |rows| {
            rows.workspaces.insert(workspace().id, workspace());
            rows.roles.insert((workspace().id, user_id(4)), Role::View);
            rows.users.get_mut(&user_id(4)).unwrap().grants += 1;
        });
        let json = json!({"users": [
            {"userName": "sam", "email": "sam@example.org", "disabled": true},
        ]});
        assert_eq!(declare(&fixture, &json).unwrap().changes, 1, "{call}");
        assert_eq!((disabled_in(&fixture), fixture.backoff.attempts()), (vec![1], vec![1]), "{call}");
    }
}
