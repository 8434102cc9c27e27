use super::*;
use crate::identity::{StoredToken, User};
use crate::ids::{SecretId, TokenId};
use crate::owner::SecretOwner;
use crate::ports::ReadTokens as _;
use crate::secret::{SealedValue, Secret};
use crate::testing::{
    Fixture, NOW, Repeating, minutes, of_user, of_workspace, run_now, secret, stored_token, unavailable,
    user, user_id,
};
use crate::token::TokenKey;

const DAY: i64 = 24 * 60;

/// Stores a secret that expires, and lists it in the index.
fn put_secret(fixture: &Fixture, owner: SecretOwner, id: i64, expires: i64) -> ExpiringKey {
    let secret = Secret { expires: Some(minutes(expires)), ..secret(owner, id, &format!("S{id}")) };
    let sealed = SealedValue { owner, secret: secret.id, version: secret.version, envelope: vec![7] };
    let key = ExpiringKey::Secret(owner, secret.id);
    fixture.table.put_secret(secret, sealed);
    fixture.table.rows.borrow_mut().expiring.push((minutes(expires), key));
    key
}

fn put_token(fixture: &Fixture, owner: i64, id: i64, expires: i64) {
    let token = stored_token(id, owner, &format!("t{id}"), &TokenKey::make_claim(&Repeating(1)));
    let token = StoredToken { expires: Some(minutes(expires)), ..token };
    let mut rows = fixture.table.rows.borrow_mut();
    rows.expiring.push((minutes(expires), ExpiringKey::Token(token.id)));
    rows.tokens.insert(token.id, token);
}

fn put_user(fixture: &Fixture, id: i64, disabled: bool) {
    let user = User { disabled: disabled.then_some(NOW), ..user(id, &format!("user{id}")) };
    fixture.table.rows.borrow_mut().users.insert(user.id, user);
}

fn check(fixture: &Fixture) -> Result<Option<Checked>> {
    run_now(announce_expiring(&*fixture.table, &*fixture.bus, &fixture.context()))
}

fn summary(fixture: &Fixture) -> (u32, u32, u32) {
    let Checked { summary, failure } = check(fixture).unwrap().unwrap();
    assert_eq!(failure.is_some(), summary.failed > 0);
    (summary.secrets, summary.tokens, summary.failed)
}

/// The names and days of all events, in order.
fn announced(fixture: &Fixture) -> Vec<(String, i64)> {
    let calls = fixture.bus.notices.borrow();
    calls.iter().flatten().map(|notice| (notice.name.clone(), notice.days_to_expiry)).collect()
}

#[test]
fn each_secret_and_token_within_14_days_is_announced_once_earliest_first() {
    let fixture = Fixture::new();
    put_user(&fixture, 7, false);
    for (id, expires) in [(1, 14 * DAY), (2, 1), (3, 14 * DAY + 1), (4, 0), (5, -1)] {
        put_secret(&fixture, of_workspace(), id, expires);
    }
    put_secret(&fixture, of_user(), 6, 2 * DAY);
    put_token(&fixture, 7, 8, 3 * DAY);
    put_token(&fixture, 7, 9, 15 * DAY);
    assert_eq!(summary(&fixture), (3, 1, 0));
    let expected = [("S2", 1), ("S6", 2), ("t8", 3), ("S1", 14)];
    assert_eq!(announced(&fixture), expected.map(|(name, days)| (name.to_owned(), days)));
    assert_eq!(summary(&fixture), (3, 1, 0), "a check leaves nothing that another one depends on");
    assert_eq!(announced(&fixture).len(), 8);
}

#[test]
fn the_row_decides_and_the_index_is_a_hint() {
    let fixture = Fixture::new();
    let key = put_secret(&fixture, of_workspace(), 1, DAY);
    put_secret(&fixture, of_workspace(), 2, DAY);
    let deleted = ExpiringKey::Secret(of_workspace(), SecretId::new(3).unwrap());
    let mut rows = fixture.table.rows.borrow_mut();
    rows.expiring.push((minutes(DAY), deleted));
    let ExpiringKey::Secret(owner, id) = key else { unreachable!() };
    rows.secrets.get_mut(&(owner, id)).unwrap().expires = Some(minutes(100 * DAY));
    drop(rows);
    assert_eq!(summary(&fixture), (1, 0, 0));
    assert_eq!(announced(&fixture), [("S2".to_owned(), 1)]);
}

#[test]
fn what_a_disabled_or_removed_user_has_is_not_announced() {
    let fixture = Fixture::new();
    put_user(&fixture, 7, true);
    put_user(&fixture, 8, false);
    put_token(&fixture, 7, 1, DAY);
    put_token(&fixture, 8, 2, DAY);
    put_token(&fixture, 9, 3, DAY);
    put_secret(&fixture, of_user(), 4, DAY);
    put_secret(&fixture, SecretOwner::User(user_id(8)), 5, DAY);
    put_secret(&fixture, of_workspace(), 6, DAY);
    assert_eq!(summary(&fixture), (2, 1, 0));
    let mut names: Vec<_> = announced(&fixture).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["S5", "S6", "t2"]);
    assert!(run_now(fixture.table.token(TokenId::new(1).unwrap())).unwrap().is_some(), "tokens stay");
}

#[test]
fn events_are_put_ten_at_a_time_and_one_failure_stops_no_other() {
    let fixture = Fixture::new();
    for id in 1..=25 {
        put_secret(&fixture, of_workspace(), id, DAY + id);
    }
    fixture.bus.faults.fail("announce_expiry", unavailable());
    assert_eq!(summary(&fixture), (25, 0, 10), "what expires counts, also without its event");
    let sizes: Vec<_> = fixture.bus.notices.borrow().iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 5]);
    assert_eq!(announced(&fixture)[0].0, "S11");
}

#[test]
fn an_event_that_the_bus_rejects_is_a_failure() {
    let fixture = Fixture::new();
    put_secret(&fixture, of_workspace(), 1, DAY);
    put_secret(&fixture, of_workspace(), 2, DAY);
    fixture.bus.rejects.set(1);
    assert_eq!(summary(&fixture), (2, 0, 1));
    assert_eq!(check(&fixture).unwrap().unwrap().failure.unwrap().code(), "unavailable");
}

#[test]
fn a_row_that_cannot_be_read_and_a_page_that_fails_stop_no_other() {
    let fixture = Fixture::new();
    for id in 1..=150 {
        put_secret(&fixture, of_workspace(), id, DAY + id);
    }
    let key = ExpiringKey::Secret(of_workspace(), SecretId::new(150).unwrap());
    fixture.table.rows.borrow_mut().unreadable.insert(key);
    assert_eq!(summary(&fixture), (149, 0, 1));
    fixture.table.faults.fail("read_expiring", unavailable());
    assert_eq!(summary(&fixture), (49, 0, 101));
}

#[test]
fn users_that_cannot_be_read_fail_their_page() {
    let fixture = Fixture::new();
    put_user(&fixture, 7, false);
    put_token(&fixture, 7, 1, DAY);
    fixture.table.faults.fail("enabled_users", unavailable());
    assert_eq!(summary(&fixture), (0, 0, 1));
    assert_eq!(announced(&fixture), []);
}

#[test]
fn what_there_is_no_time_for_is_a_failure() {
    let fixture = Fixture::new();
    for id in 1..=150 {
        put_secret(&fixture, of_workspace(), id, DAY + id);
    }
    // Time for the first page and its first two calls.
    fixture.backoff.set_remaining(Duration::from_secs(10));
    fixture.backoff.pass_on_read(Duration::from_secs(1));
    assert_eq!(summary(&fixture), (100, 0, 130));
    assert_eq!(announced(&fixture).len(), 20);
}

#[test]
fn a_failed_search_is_an_error_and_nothing_is_announced() {
    let fixture = Fixture::new();
    put_secret(&fixture, of_workspace(), 1, DAY);
    fixture.table.faults.fail("expiring", unavailable());
    assert_eq!(check(&fixture).unwrap_err().code(), "unavailable");
    assert_eq!(announced(&fixture), []);
}

#[test]
fn more_than_a_check_can_announce_is_a_failure_and_the_earliest_are_announced() {
    let fixture = Fixture::new();
    let key = |id: i64| ExpiringKey::Token(TokenId::new(id).unwrap());
    let listed = (1..=i64::from(MOST) + 1).map(|id| (minutes(DAY), key(id)));
    fixture.table.rows.borrow_mut().expiring.extend(listed);
    put_secret(&fixture, of_workspace(), 1, 1);
    assert_eq!(summary(&fixture), (1, 0, 1));
    assert_eq!(announced(&fixture), [("S1".to_owned(), 1)]);
}

#[test]
fn nothing_of_a_restored_table_is_announced() {
    let mut fixture = Fixture::new();
    put_secret(&fixture, of_workspace(), 1, DAY);
    fixture.settings.restored = true;
    assert!(check(&fixture).unwrap().is_none());
    assert_eq!((announced(&fixture), fixture.table.faults.calls().len()), (vec![], 0));
}

#[test]
fn a_check_without_anything_that_expires_makes_one_search() {
    let fixture = Fixture::new();
    assert_eq!(summary(&fixture), (0, 0, 0));
    assert_eq!(fixture.table.faults.calls(), ["expiring"]);
    // The rows of secrets in workspaces need no user.
    put_secret(&fixture, of_workspace(), 1, DAY);
    summary(&fixture);
    assert_eq!(fixture.table.faults.count("enabled_users"), 0);
}
