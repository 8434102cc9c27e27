mod repeats;

use serde_json::{Value, json};

use super::super::testing::{assert_opens, document, org_id, transactions};
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
    run_now(apply(&*fixture.table, &document(json), &fixture.context()))
}

/// Two users with a token each, an organization with two workspaces.
fn declaration() -> Value {
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

/// Sam, with this number of tokens.
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

/// Asserts that every access key that is shown opens the stored token with its id.
fn assert_keys_open(fixture: &Fixture, applied: &Applied) {
    for token in applied.users.iter().flat_map(|user| &user.tokens) {
        if let Some(key) = &token.access_key {
            assert_opens(key, &fixture.table.rows.borrow().tokens[&token.id]);
        }
    }
}

#[test]
fn a_declaration_is_applied_in_one_transaction_and_returns_each_new_access_key() {
    let fixture = Fixture::new();
    let applied = declare(&fixture, &declaration()).unwrap();
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
fn applying_the_same_declaration_again_writes_nothing_and_returns_no_access_key() {
    let fixture = Fixture::new();
    let first = declare(&fixture, &declaration()).unwrap();
    let again = declare(&fixture, &declaration()).unwrap();
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
            "a new user, whose e-mail address must be unused",
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
fn a_user_named_twice_in_different_case_is_read_once() {
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
fn a_declaration_is_compared_with_the_stored_participants_and_tokens() {
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
fn concurrent_reads_keep_the_order_of_the_document() {
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
