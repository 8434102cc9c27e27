use super::*;
use crate::identity::StoredToken;
use crate::testing::{Fixture, Sequence, run_now, stored_token, user};
use crate::token::TokenKey;

fn token(id: i64, of: i64) -> StoredToken {
    stored_token(id, of, &format!("t{id}"), &TokenKey::make_random(&Sequence::default()))
}

fn revoke(fixture: &Fixture) -> Result<usize> {
    let request = serde_json::json!({ "user": "sam" });
    run_now(revoke_tokens(&*fixture.table, &request, &fixture.context())).map(|done| done.tokens_revoked)
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let mut rows = fixture.table.rows.borrow_mut();
    rows.users.insert(user(7, "sam").id, user(7, "sam"));
    rows.tokens.extend([token(1, 7), token(2, 7), token(3, 8)].map(|token| (token.id, token)));
    drop(rows);
    fixture
}

#[test]
fn every_token_of_the_user_is_revoked_also_one_that_is_created_meanwhile() {
    for created_meanwhile in [false, true] {
        let fixture = fixture();
        if created_meanwhile {
            fixture.table.before("change_identity", |rows| {
                rows.tokens.insert(token(4, 7).id, token(4, 7));
            });
        }
        assert_eq!(revoke(&fixture).unwrap(), 2 + usize::from(created_meanwhile));
        let left: Vec<_> =
            fixture.table.rows.borrow().tokens.values().map(|token| token.id.number()).collect();
        assert_eq!(left, [3], "{created_meanwhile}");
    }
}

#[test]
fn a_user_without_tokens_has_nothing_to_revoke() {
    let fixture = fixture();
    fixture.table.rows.borrow_mut().tokens.clear();
    assert_eq!(revoke(&fixture).unwrap(), 0);
    assert_eq!(fixture.table.audit(), []);
}
