use super::super::testing::{
    assert_opens, assert_stops_at_each_failure, only_record, token_id, transactions,
};
use super::*;
use crate::audit::{AuditAction, AuditRecord};
use crate::owner::SecretOwner;
use crate::role::Role;
use crate::testing::{
    Fixture, NOW, Sequence, actor, error_of, minutes, run_now, stored_token, unavailable, user_id,
    workspace_id,
};

fn make(
    fixture: &Fixture,
    name: &str,
    expires: Option<Timestamp>,
) -> Result<(StoredToken, Zeroizing<String>)> {
    make_as(fixture, &actor(), &NewToken { expires, ..new(name) })
}

fn make_as(fixture: &Fixture, actor: &Actor, new: &NewToken) -> Result<(StoredToken, Zeroizing<String>)> {
    run_now(create(&*fixture.table, actor, new, &fixture.context()))
}

fn new(name: &str) -> NewToken {
    NewToken { name: name.into(), expires: None, workspace: None, scope: None }
}

/// The latest expiry of a token, with the default settings.
fn latest() -> Timestamp {
    NOW + jiff::SignedDuration::from_hours(365 * 24)
}

fn drop_token(fixture: &Fixture, id: i64) -> Result<()> {
    run_now(revoke(&*fixture.table, &actor(), token_id(id), &fixture.context()))
}

fn token(id: i64, user: i64, name: &str) -> StoredToken {
    stored_token(id, user, name, &TokenKey::make_random(&Sequence::default()))
}

fn with(tokens: impl IntoIterator<Item = StoredToken>) -> Fixture {
    let fixture = Fixture::new();
    fixture.table.rows.borrow_mut().tokens.extend(tokens.into_iter().map(|token| (token.id, token)));
    fixture
}

/// The caller has `laptop`; another user has `ci`.
fn fixture() -> Fixture {
    with([token(1, 7, "laptop"), token(2, 8, "ci")])
}

fn assert_recorded(record: &AuditRecord, action: AuditAction, id: TokenId) {
    let expected = AuditRecord {
        scope: SecretOwner::User(actor().user),
        at: NOW,
        id: record.id.clone(),
        actor: Some(actor().user),
        action,
        subjects: Vec::new(),
        run: None,
        person: Some(actor().user),
        detail: Some(format!("token {id}")),
    };
    assert_eq!(*record, expected);
}

#[test]
fn callers_see_only_their_own_tokens() {
    assert_eq!(run_now(list(&*fixture().table, &actor())).unwrap(), [token(1, 7, "laptop")]);
}

#[test]
fn a_new_token_is_stored_as_a_hash_recorded_and_shown_once() {
    for (name, expires) in [("ci", None), ("desktop", Some(NOW + jiff::SignedDuration::from_nanos(1)))] {
        let fixture = fixture();
        let (made, access_key) = make(&fixture, name, expires).unwrap();
        assert_opens(&access_key, &made);
        let expected = StoredToken {
            id: made.id,
            user: actor().user,
            name: name.into(),
            hash: made.hash.clone(),
            created: NOW,
            last_used: None,
            expires: Some(expires.unwrap_or_else(latest)),
            workspace: None,
            scope: TokenScope::All,
            created_with: None,
        };
        assert_eq!(made, expected);
        assert_eq!(transactions(&fixture), [(vec![Change::CreateToken(made.clone())], None)]);
        assert_recorded(&only_record(&fixture), AuditAction::TokenCreated, made.id);
        assert_eq!(fixture.table.faults.calls(), ["tokens", "change_identity"]);
    }
}

#[test]
fn a_token_that_breaks_a_rule_is_refused_before_anything_is_read() {
    let past = "The expiry date must be in the future.";
    let rule =
        "Invalid token name: it must have 1 to 50 characters, not only spaces, and no control characters.";
    let too_long = "x".repeat(51);
    let cases = [
        ("no name", "", None, rule),
        ("a blank name", "  ", None, rule),
        ("a long name", too_long.as_str(), None, rule),
        ("a line break in the name", "a\nb", None, rule),
        ("it expires now", "ci", Some(NOW), past),
        ("it expired", "ci", Some(minutes(-1)), past),
    ];
    for (case, name, expires, text) in cases {
        let fixture = fixture();
        let refused = error_of(make(&fixture, name, expires));
        assert_eq!((refused.code(), refused.to_string().as_str()), ("invalid", text), "{case}");
        assert!(fixture.table.faults.calls().is_empty(), "{case}");
    }
}

/// Each row: what the token that makes another has, what is asked for, and what is made.
#[test]
fn a_token_makes_none_that_outlives_it_or_exceeds_its_limits() {
    let (here, there) = (Some(workspace_id()), WorkspaceId::new(43));
    let (all, read, launch) = (TokenScope::All, TokenScope::Read, TokenScope::Launch);
    let (minute, hour) = (minutes(1), minutes(60));
    let ten_years = NOW + jiff::SignedDuration::from_hours(10 * 365 * 24);
    let ask =
        |expires: Option<Timestamp>, workspace, scope| NewToken { expires, workspace, scope, ..new("ci") };
    let cases = [
        // Life.
        ((Some(minute), None, all), ask(None, None, None), Ok((minute, None, all))),
        ((Some(hour), None, all), ask(Some(minute), None, None), Ok((minute, None, all))),
        ((Some(hour), None, all), ask(Some(hour), None, None), Ok((hour, None, all))),
        ((Some(minute), None, all), ask(Some(hour), None, None), Err("invalid")),
        ((None, None, all), ask(None, None, None), Ok((latest(), None, all))),
        ((Some(ten_years), None, all), ask(None, None, None), Ok((latest(), None, all))),
        ((None, None, all), ask(Some(latest()), None, None), Ok((latest(), None, all))),
        ((None, None, all), ask(Some(ten_years), None, None), Err("invalid")),
        // Scope.
        ((None, None, all), ask(None, None, Some(launch)), Ok((latest(), None, launch))),
        ((None, None, read), ask(None, None, None), Ok((latest(), None, read))),
        ((None, None, read), ask(None, None, Some(all)), Err("token-limited")),
        ((None, None, launch), ask(None, None, Some(read)), Err("token-limited")),
        // Workspace.
        ((None, None, all), ask(None, here, None), Ok((latest(), here, all))),
        ((None, here, all), ask(None, None, None), Ok((latest(), here, all))),
        ((None, here, all), ask(None, here, Some(read)), Ok((latest(), here, read))),
        ((None, here, all), ask(None, there, None), Err("token-limited")),
    ];
    for ((expires, workspace, scope), asked, expected) in cases {
        let maker = StoredToken { expires, workspace, scope, ..token(1, 7, "laptop") };
        let case = format!("{expires:?} {workspace:?} {scope}: {asked:?}");
        let fixture = with([maker]);
        fixture.table.put_member(crate::testing::workspace(), user_id(7), Role::View);
        // The stored token decides, not the request's copy of it.
        let by = Actor { token: Some(token_id(1)), ..actor() };
        let made = make_as(&fixture, &by, &asked).map(|(token, _)| token);
        assert!(made.iter().all(|token| token.created_with == by.token), "{case}");
        let limits = made.map(|token| (token.expires.unwrap(), token.workspace, token.scope));
        assert_eq!(limits.map_err(|error| error.code()), expected, "{case}");
        assert_eq!(fixture.table.audit().len(), usize::from(expected.is_ok()), "{case}");
    }
}

#[test]
fn a_login_makes_tokens_within_the_settings() {
    let mut fixture = fixture();
    fixture.settings.max_token_life = jiff::SignedDuration::from_hours(24);
    let day = minutes(24 * 60);
    assert_eq!(make(&fixture, "a", None).unwrap().0.expires, Some(day));
    assert_eq!(make(&fixture, "b", Some(day)).unwrap().0.expires, Some(day));
    let refused = error_of(make(&fixture, "c", Some(day + jiff::SignedDuration::from_secs(1))));
    assert!(refused.to_string().starts_with("The token would live too long: it can expire at "), "{refused}");
}

#[test]
fn a_revoked_token_makes_no_token() {
    let by = Actor { token: Some(token_id(3)), ..actor() };
    let fixture = fixture();
    let refused = error_of(make_as(&fixture, &by, &new("ci")));
    assert_eq!(refused.to_string(), "The token of this request does not allow this: it was revoked.");
    assert!(fixture.table.audit().is_empty());
}

#[test]
fn a_token_for_a_workspace_needs_a_participant() {
    let fixture = fixture();
    let other = NewToken { workspace: WorkspaceId::new(43), ..new("ci") };
    assert_eq!(error_of(make_as(&fixture, &actor(), &other)).code(), "not-found");
    assert!(fixture.table.audit().is_empty());
}

#[test]
fn a_token_of_one_workspace_sees_and_revokes_only_tokens_of_it() {
    let here = StoredToken { workspace: Some(workspace_id()), ..token(1, 7, "here") };
    let there = StoredToken { workspace: WorkspaceId::new(43), ..token(2, 7, "there") };
    let full = token(3, 7, "full");
    let fixture = with([here.clone(), there, full]);
    let by = Actor { token: Some(here.id), workspace: here.workspace, ..actor() };
    assert_eq!(run_now(list(&*fixture.table, &by)).unwrap(), [here]);
    let revoke = |id| run_now(revoke(&*fixture.table, &by, token_id(id), &fixture.context()));
    for id in [2, 3] {
        assert_eq!(error_of(revoke(id)).code(), "not-found");
    }
    assert!(revoke(1).is_ok());
}

#[test]
fn token_names_of_a_user_are_unique_in_any_case() {
    let fixture = fixture();
    let refused = error_of(make(&fixture, "LAPTOP", None));
    let text = "You already have a token with this name. Revoke it or choose another name.";
    assert_eq!((refused.code(), refused.to_string().as_str()), ("conflict", text));
    assert_eq!(fixture.table.faults.calls(), ["tokens"]);
}

#[test]
fn a_user_has_at_most_a_hundred_tokens() {
    let tokens = |count| (1..=count).map(|id| token(id, 7, &format!("t{id}")));
    assert!(make(&with(tokens(99)), "ci", None).is_ok());
    for count in [100, 101] {
        let fixture = with(tokens(count));
        let refused = error_of(make(&fixture, "ci", None));
        let text = "You can have at most 100 tokens. Delete the ones that you no longer use.";
        assert_eq!((refused.code(), refused.to_string().as_str()), ("limit-exceeded", text), "{count}");
        assert_eq!(fixture.table.faults.calls(), ["tokens"], "{count}");
    }
    let others = with((1..=100).map(|id| token(id, 8, &format!("t{id}"))));
    assert!(make(&others, "ci", None).is_ok(), "tokens of others do not count");
}

#[test]
fn a_name_taken_by_a_concurrent_request_is_a_conflict() {
    let fixture = fixture();
    let other = token(3, 7, "CI");
    fixture.table.before("change_identity", move |rows| drop(rows.tokens.insert(other.id, other)));
    fixture.table.faults.fail("change_identity", Error::Contended);
    assert_eq!(error_of(make(&fixture, "ci", None)).code(), "conflict");
    assert_eq!(fixture.backoff.attempts(), [1]);
    assert_eq!((fixture.table.rows.borrow().tokens.len(), fixture.table.audit()), (3, Vec::new()));
}

#[test]
fn contended_writes_are_retried_while_time_is_left() {
    let fixture = fixture();
    fixture.table.faults.fail("change_identity", Error::Contended);
    fixture.table.faults.fail("change_identity", Error::Contended);
    let (made, access_key) = make(&fixture, "ci", None).unwrap();
    assert_opens(&access_key, &fixture.table.rows.borrow().tokens[&made.id]);
    assert_eq!(fixture.backoff.attempts(), [1, 2]);
    assert_eq!(only_record(&fixture).action, AuditAction::TokenCreated);
    for operate in [|it: &Fixture| make(it, "new", None).map(drop), |it: &Fixture| drop_token(it, 1)] {
        let busy = self::fixture();
        (0..4).for_each(|_| busy.table.faults.fail("change_identity", Error::Contended));
        assert_eq!(error_of(operate(&busy)).code(), "contended");
        assert_eq!((busy.backoff.attempts(), busy.table.audit()), (vec![1, 2, 3], Vec::new()));
    }
}

#[test]
fn a_revoked_token_is_deleted_and_recorded() {
    let fixture = fixture();
    drop_token(&fixture, 1).unwrap();
    assert_eq!(transactions(&fixture), [(vec![Change::RevokeToken(token(1, 7, "laptop"))], None)]);
    assert_recorded(&only_record(&fixture), AuditAction::TokenRevoked, token_id(1));
    assert_eq!(fixture.table.rows.borrow().tokens.keys().copied().collect::<Vec<_>>(), [token_id(2)]);
}

#[test]
fn a_token_of_another_user_is_not_found_like_an_unknown_one() {
    for id in [2, 99] {
        let fixture = fixture();
        assert_eq!(error_of(drop_token(&fixture, id)).code(), "not-found", "{id}");
        assert_eq!(fixture.table.faults.calls(), ["tokens"], "{id}");
    }
}

#[test]
fn a_retry_after_a_lost_answer_finds_the_first_change() {
    let fixture = fixture();
    fixture.table.faults.lose_answer("change_identity", unavailable());
    assert_eq!(error_of(make(&fixture, "ci", None)).code(), "unavailable");
    assert_eq!(error_of(make(&fixture, "ci", None)).code(), "conflict", "the token exists, its key is lost");
    fixture.table.faults.lose_answer("change_identity", unavailable());
    assert_eq!(error_of(drop_token(&fixture, 1)).code(), "unavailable");
    assert_eq!(error_of(drop_token(&fixture, 1)).code(), "not-found");
    let actions: Vec<_> = fixture.table.audit().iter().map(|record| record.action).collect();
    assert_eq!(actions, [AuditAction::TokenCreated, AuditAction::TokenRevoked], "each once");
}

#[test]
fn a_failure_of_any_call_is_returned_and_nothing_is_changed() {
    assert_stops_at_each_failure(fixture, |it| run_now(list(&*it.table, &actor())));
    assert_stops_at_each_failure(fixture, |it| make(it, "ci", None));
    assert_stops_at_each_failure(fixture, |it| drop_token(it, 1));
}

#[test]
fn a_caller_may_revoke_the_token_of_the_request() {
    let fixture = fixture();
    let caller = Actor { token: Some(token_id(1)), ..Actor::without_token(user_id(7)) };
    run_now(revoke(&*fixture.table, &caller, token_id(1), &fixture.context())).unwrap();
    assert!(!fixture.table.rows.borrow().tokens.contains_key(&token_id(1)));
}
