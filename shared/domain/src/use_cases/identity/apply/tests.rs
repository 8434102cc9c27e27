use serde_json::{Value, json};

use super::super::testing::{assert_opens, document, org_id, ports, transactions};
use super::*;
use crate::audit::AuditAction;
use crate::ports::MAX_ROWS;
use crate::role::Role;
use crate::testing::{
    Fixture, NOW, Sequence, error_of, minutes, organization, run_now, stored_token, unavailable, user,
    user_id, workspace, workspace_id,
};
use crate::token::TokenKey;

fn declare(fixture: &Fixture, json: &Value) -> Result<Applied> {
    run_now(apply(&ports(fixture), &document(json), NOW))
}

/// Two users with a token each, an organization with two workspaces.
fn story() -> Value {
    let user = |name: &str| {
        let email = format!("{name}@example.org");
        json!({"userName": name, "email": email, "tokens": [{"name": "cli"}]})
    };
    json!({
        "users": [user("olivia"), user("liam")],
        "organizations": [{"name": "lab", "workspaces": [
            {"name": "one", "participants": [
                {"user": "olivia", "role": "owner"}, {"user": "liam", "role": "launch"},
            ]},
            {"name": "two", "participants": [{"user": "liam", "role": "owner"}]},
        ]}],
    })
}

/// Sam, whom a table may know, with so many tokens.
fn tokens(count: usize) -> Value {
    let tokens: Vec<_> = (0..count).map(|n| json!({"name": format!("t{n}")})).collect();
    json!({"users": [{"userName": "sam", "email": "sam@example.org", "tokens": tokens}]})
}

fn with_sam() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.rows.borrow_mut().users.insert(user_id(4), user(4, "sam"));
    fixture
}

fn access_keys(applied: &Applied) -> usize {
    let tokens = applied.users.iter().flat_map(|user| &user.tokens);
    tokens.filter(|token| token.access_key.is_some()).count()
}

/// Every access key that is shown opens the token that is stored under its id.
fn assert_keys_open(fixture: &Fixture, applied: &Applied) {
    for token in applied.users.iter().flat_map(|user| &user.tokens) {
        if let Some(key) = &token.access_key {
            assert_opens(key, &fixture.table.rows.borrow().tokens[&token.id]);
        }
    }
}

#[test]
fn a_declaration_becomes_so_in_one_transaction_and_shows_each_new_key() {
    let fixture = Fixture::new();
    let applied = declare(&fixture, &story()).unwrap();
    // 2 users, 2 tokens, 1 organization, 2 workspaces, 3 participants.
    assert_eq!((applied.changes, access_keys(&applied)), (10, 2));
    assert_keys_open(&fixture, &applied);
    let written = transactions(&fixture);
    assert_eq!(written.len(), 1);
    assert_eq!((written[0].0.len(), &written[0].1), (10, &None), "an operator needs no membership");
    let rows = fixture.table.rows.borrow();
    let (olivia, liam) = (applied.users[0].id, applied.users[1].id);
    assert_eq!(
        (rows.users[&olivia].user_name.as_str(), rows.users[&liam].user_name.as_str()),
        ("olivia", "liam")
    );
    let [one, two] = [0, 1].map(|index| applied.organizations[0].workspaces[index].id);
    let expected = [((one, olivia), Role::Owner), ((one, liam), Role::Launch), ((two, liam), Role::Owner)];
    assert_eq!(rows.roles, expected.into());
    assert_eq!(rows.audit.len(), 9, "one of each change, none of the organization");
    assert!(rows.audit.iter().all(|record| record.actor.is_none() && record.at == NOW));
}

#[test]
fn the_same_declaration_again_writes_nothing_and_shows_no_key() {
    let fixture = Fixture::new();
    let first = declare(&fixture, &story()).unwrap();
    let again = declare(&fixture, &story()).unwrap();
    assert_eq!((again.changes, access_keys(&again)), (0, 0));
    assert_eq!(fixture.table.faults.count("change_identity"), 1);
    let ids = |applied: &Applied| -> Vec<i64> {
        let users = applied.users.iter().map(|user| user.id.number());
        let tokens = applied.users.iter().flat_map(|user| &user.tokens).map(|token| token.id.number());
        let organizations = applied.organizations.iter().map(|organization| organization.id.number());
        let workspaces = applied.organizations.iter().flat_map(|organization| &organization.workspaces);
        let workspaces = workspaces.map(|workspace| workspace.id.number());
        users.chain(tokens).chain(organizations).chain(workspaces).collect()
    };
    assert_eq!(ids(&again), ids(&first));
}

#[test]
fn an_empty_declaration_calls_nothing() {
    let fixture = Fixture::new();
    let applied = declare(&fixture, &json!({})).unwrap();
    assert_eq!(applied.changes, 0);
    assert!(fixture.table.faults.calls().is_empty());
}

#[test]
fn only_what_the_decision_needs_is_read() {
    let known = || {
        let fixture = with_sam();
        fixture.table.put_member(workspace(), user_id(4), Role::Owner);
        fixture.table.rows.borrow_mut().organizations.push(organization());
        fixture
    };
    let organizations = |workspace: &str| {
        json!({"organizations": [{"name": "ACME", "workspaces": [
            {"name": workspace, "participants": [{"user": "SAM", "role": "owner"}]},
        ]}]})
    };
    let cases = [
        ("a known user without declared tokens", tokens(0), vec!["user_by_name"]),
        ("a known user with declared tokens", tokens(1), vec!["user_by_name", "tokens", "change_identity"]),
        (
            "a new user, whose e-mail address has to be free",
            json!({"users": [{"userName": "new", "email": "new@example.org", "tokens": [{"name": "t"}]}]}),
            vec!["user_by_name", "user_by_email", "change_identity"],
        ),
        (
            "a known workspace and a participant who is not declared",
            organizations("Research"),
            vec!["user_by_name", "organization_by_name", "workspace_by_name", "participants"],
        ),
        (
            "a new workspace of a known organization",
            organizations("new"),
            vec!["user_by_name", "organization_by_name", "workspace_by_name", "change_identity"],
        ),
        (
            "a new organization",
            json!({"organizations": [{"name": "new", "workspaces": [
                {"name": "w", "participants": [{"user": "sam", "role": "owner"}]},
            ]}]}),
            vec!["user_by_name", "organization_by_name", "change_identity"],
        ),
    ];
    for (case, json, calls) in cases {
        let fixture = known();
        declare(&fixture, &json).unwrap();
        assert_eq!(fixture.table.faults.calls(), calls, "{case}");
    }
}

#[test]
fn a_user_who_is_declared_and_takes_part_is_read_once_whatever_the_case() {
    let fixture = Fixture::new();
    let json = json!({
        "users": [{"userName": "Olivia", "email": "o@example.org"}],
        "organizations": [{"name": "lab", "workspaces": [
            {"name": "w", "participants": [{"user": "oLIVIA", "role": "owner"}]},
        ]}],
    });
    declare(&fixture, &json).unwrap();
    assert_eq!(fixture.table.faults.count("user_by_name"), 1);
}

#[test]
fn participants_and_tokens_that_are_stored_are_what_a_declaration_is_compared_with() {
    let fixture = with_sam();
    fixture.table.put_member(workspace(), user_id(4), Role::Owner);
    let token = stored_token(5, 4, "Laptop", &TokenKey::make_random(&Sequence::default()));
    {
        let mut rows = fixture.table.rows.borrow_mut();
        rows.organizations.push(organization());
        rows.users.insert(user_id(3), user(3, "vera"));
        rows.roles.insert((workspace_id(), user_id(3)), Role::View);
        rows.tokens.insert(token.id, token.clone());
    }
    let json = json!({
        "users": [{"userName": "sam", "email": "sam@example.org", "tokens": [
            {"name": "laptop", "revoked": true},
        ]}],
        "organizations": [{"name": "acme", "workspaces": [{"name": "research", "participants": [
            {"user": "vera", "role": "launch"},
        ]}]}],
    });
    let applied = declare(&fixture, &json).unwrap();
    let raise = Change::SetRole {
        workspace: workspace_id(),
        user: user_id(3),
        from: Some(Role::View),
        to: Some(Role::Launch),
    };
    assert_eq!(transactions(&fixture), [(vec![raise, Change::RevokeToken(token)], None)]);
    assert_eq!((applied.changes, applied.users[0].tokens.len()), (2, 0));
    assert_eq!(applied.organizations[0].id, org_id(4));
}

#[test]
fn an_e_mail_address_that_another_user_has_is_refused_before_anything_is_written() {
    let fixture = with_sam();
    let json = json!({"users": [
        {"userName": "nina", "email": "nina@example.org"}, {"userName": "other", "email": "SAM@example.org"},
    ]});
    let refused = error_of(declare(&fixture, &json));
    let text = "Nothing was changed. The document has 1 problem(s):\n\
        users[1].email: another user has this e-mail address.";
    assert_eq!((refused.code(), refused.to_string().as_str()), ("invalid", text));
    assert_eq!(fixture.table.faults.count("change_identity"), 0);
}

#[test]
fn a_failure_at_any_call_ends_it_and_a_repeat_does_the_rest() {
    // The user is new in the first case, and everything is known but a token and a role in the second.
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
fn a_key_that_was_lost_with_the_answer_is_made_anew_by_revoking_its_token() {
    let fixture = with_sam();
    fixture.table.faults.lose_answer("change_identity", unavailable());
    assert_eq!(error_of(declare(&fixture, &tokens(1))).code(), "unavailable");
    let again = declare(&fixture, &tokens(1)).unwrap();
    assert_eq!((again.changes, access_keys(&again)), (0, 0), "it is there, and its key is not shown");
    let mut revoked = tokens(1);
    revoked["users"][0]["tokens"][0]["revoked"] = json!(true);
    assert_eq!(declare(&fixture, &revoked).unwrap().changes, 1);
    let anew = declare(&fixture, &tokens(1)).unwrap();
    assert_eq!(access_keys(&anew), 1);
    assert_keys_open(&fixture, &anew);
}

#[test]
fn a_declaration_that_meets_another_operator_s_does_what_is_left() {
    let fixture = Fixture::new();
    let token = stored_token(5, 4, "t0", &TokenKey::make_random(&Sequence::default()));
    fixture.table.before("change_identity", move |rows| {
        rows.users.insert(user_id(4), user(4, "sam"));
        rows.tokens.insert(token.id, token);
    });
    fixture.table.faults.fail("change_identity", Error::Contended);
    let applied = declare(&fixture, &tokens(2)).unwrap();
    assert_eq!((applied.changes, access_keys(&applied)), (1, 1), "the other operator has the other key");
    assert_eq!(applied.users[0].id, user_id(4), "the user who is there by now");
    assert!(applied.users[0].tokens[0].access_key.is_none());
    assert_keys_open(&fixture, &applied);
    assert_eq!(fixture.backoff.attempts(), [1]);
}

#[test]
fn contention_ends_where_no_time_is_left() {
    let fixture = Fixture::new();
    (0..4).for_each(|_| fixture.table.faults.fail("change_identity", Error::Contended));
    assert_eq!(error_of(declare(&fixture, &story())).code(), "contended");
    assert_eq!(fixture.backoff.attempts(), [1, 2, 3]);
    assert!(fixture.table.audit().is_empty());
}

#[test]
fn contention_between_transactions_loses_no_key_and_counts_every_change_once() {
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
fn a_failure_between_transactions_is_told_and_the_same_document_does_the_rest() {
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
fn reads_that_are_under_way_at_once_keep_the_order_of_the_document() {
    let fixture = Fixture::new();
    let names: Vec<_> = (0..40).map(|n| format!("u{n}")).collect();
    let users: Vec<_> = names
        .iter()
        .map(|name| {
            let token = json!({"name": "t", "expires": minutes(1).to_string()});
            json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [token]})
        })
        .collect();
    let applied = declare(&fixture, &json!({ "users": users })).unwrap();
    assert_eq!(applied.users.iter().map(|user| user.user_name.clone()).collect::<Vec<_>>(), names);
    assert_eq!((applied.changes, access_keys(&applied)), (80, 40));
    assert_keys_open(&fixture, &applied);
}

#[test]
fn problems_found_after_a_transaction_took_effect_do_not_say_that_nothing_was_changed() {
    let fixture = Fixture::new();
    fixture.table.faults.pass("change_identity");
    fixture.table.faults.fail("change_identity", Error::Contended);
    // By the second attempt the user has another e-mail address.
    fixture.table.before("user_by_name", |_| {});
    fixture.table.before("user_by_name", |rows| {
        rows.users.values_mut().for_each(|user| user.email = "other@example.org".into());
    });
    let refused = error_of(declare(&fixture, &tokens(50)));
    let problem = "users[0].email: this user has another e-mail address, and it is not changed here.";
    let text = format!(
        "24 change(s) took effect before the document was found to have problems: correct it and apply it \
         again. The document has 1 problem(s):\n{problem}"
    );
    assert_eq!((refused.code(), refused.to_string()), ("invalid", text));
    assert_eq!(fixture.table.rows.borrow().tokens.len(), 23);
}
