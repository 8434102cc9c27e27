use serde_json::json;

use super::*;
use crate::identity::{StoredToken, User};
use crate::secret::{SealedValue, Secret};
use crate::testing::{
    Fixture, NOW, Repeating, error_of, minutes, of_user, of_workspace, run_now, secret, stored_token,
    unavailable, user, user_id, workspace,
};
use crate::token::TokenKey;

/// A workspace with an owner and a viewer. Both have a token that expires, and the workspace and
/// the owner a secret.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for (id, name, role) in [(7, "olivia", Role::Owner), (8, "victor", Role::View)] {
        fixture.table.put_member(workspace(), user_id(id), role);
        let mut rows = fixture.table.rows.borrow_mut();
        rows.users.insert(user_id(id), user(id, name));
        let token = stored_token(id, id, "ci", &TokenKey::make_claim(&Repeating(1)));
        rows.tokens.insert(token.id, StoredToken { expires: Some(minutes(5)), ..token });
    }
    for (owner, id, expires) in
        [(of_workspace(), 1, Some(minutes(5))), (of_user(), 2, Some(minutes(-5))), (of_workspace(), 3, None)]
    {
        let secret = Secret { expires, ..secret(owner, id, &format!("S{id}")) };
        let sealed = SealedValue { owner, secret: secret.id, version: secret.version, envelope: vec![7] };
        fixture.table.put_secret(secret, sealed);
    }
    fixture
}

fn index(fixture: &Fixture, after: Option<&str>) -> Result<Indexed> {
    run_now(index_expiry(&*fixture.table, after))
}

#[test]
fn every_secret_and_token_with_an_expiry_is_indexed_and_a_repetition_changes_nothing() {
    let fixture = fixture();
    let indexed = Indexed { secrets_indexed: 2, tokens_indexed: 2, next: None };
    assert_eq!(index(&fixture, None).unwrap(), indexed);
    assert_eq!(fixture.table.rows.borrow().expiring.len(), 4);
    assert_eq!(index(&fixture, None).unwrap(), Indexed::default());
    assert_eq!(fixture.table.audit(), [], "the index grants nothing");
}

#[test]
fn a_workspace_is_read_for_its_owners_only() {
    let fixture = fixture();
    index(&fixture, None).unwrap();
    // The secrets of two users and of one workspace.
    assert_eq!(fixture.table.faults.count("index_secrets"), 3);
}

#[test]
fn users_are_indexed_page_by_page() {
    let fixture = fixture();
    for id in 100..120 {
        fixture.table.rows.borrow_mut().users.insert(user_id(id), user(id, &format!("user{id}")));
    }
    let mut pages = 0;
    let (mut after, mut total) = (None, (0, 0));
    loop {
        let page = index(&fixture, after.as_deref()).unwrap();
        (pages, total) = (pages + 1, (total.0 + page.secrets_indexed, total.1 + page.tokens_indexed));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, total), (3, (2, 2)));
}

#[test]
fn a_repetition_continues_after_a_failure() {
    let fixture = fixture();
    fixture.table.faults.pass("index_secrets");
    fixture.table.faults.fail("index_secrets", unavailable());
    assert_eq!(index(&fixture, None).unwrap_err().code(), "unavailable");
    assert_eq!(index(&fixture, None).unwrap(), Indexed { secrets_indexed: 1, tokens_indexed: 1, next: None });
}

#[test]
fn a_disabled_user_is_indexed_too_because_operators_enable_users_again() {
    let fixture = fixture();
    let disabled = User { disabled: Some(NOW), ..user(7, "olivia") };
    fixture.table.rows.borrow_mut().users.insert(disabled.id, disabled);
    assert_eq!(index(&fixture, None).unwrap().secrets_indexed, 2);
}

#[test]
fn a_request_names_at_most_where_to_start() {
    assert_eq!(parse(&json!({})).unwrap(), None);
    assert_eq!(parse(&json!({ "after": "olivia" })).unwrap().as_deref(), Some("olivia"));
    for wrong in [json!(null), json!([]), json!({ "afetr": "x" }), json!({ "after": 1 })] {
        assert!(matches!(error_of(parse(&wrong)), crate::Error::Invalid(_)), "{wrong}");
    }
}
