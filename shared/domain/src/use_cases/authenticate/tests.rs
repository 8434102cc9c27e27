//! Personal access tokens, and headers that identify no caller. OpenID Connect logins are in
//! `logins`.

mod logins;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::identity::{Login, User};
use crate::ids::RunId;
use crate::testing::*;
use crate::token_scope::TokenScope;

/// The issuer's answer for every token.
enum Issuer {
    VouchesFor(VerifiedLogin),
    Refuses,
    Fails,
}

#[async_trait::async_trait(?Send)]
impl VerifyJwt for Issuer {
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>> {
        assert_eq!((token, now), (JWT, NOW), "the token as it was presented, at the time of the request");
        match self {
            Self::VouchesFor(verified) => Ok(Some(verified.clone())),
            Self::Refuses => Ok(None),
            Self::Fails => Err(unavailable()),
        }
    }
}

const JWT: &str = "e30.e30.c2ln";

fn authenticate_by(fixture: &Fixture, issuer: &Issuer, header: &str) -> Result<Option<Caller>> {
    run_now(authenticate(&*fixture.table, issuer, header, &fixture.context()))
}

fn presented(fixture: &Fixture, header: &str) -> Result<Option<Caller>> {
    authenticate_by(fixture, &Issuer::Refuses, header)
}

fn key() -> TokenKey {
    run_key()
}

fn token_id() -> TokenId {
    TokenId::new(70).unwrap()
}

fn bearer() -> String {
    format!("Bearer {}", *key().access_token(token_id()))
}

fn stored() -> StoredToken {
    stored_token(70, 7, "laptop", &key())
}

fn with_token(token: StoredToken) -> Fixture {
    let fixture = Fixture::new();
    fixture.table.rows.borrow_mut().tokens.insert(token.id, token);
    fixture
}

fn token_user() -> Caller {
    Caller::User(Actor { token: Some(token_id()), ..Actor::without_token(user_id(7)) })
}

/// Asserts that the header is refused, and that the log contains the reason and no part of the
/// header.
fn assert_refused(fixture: &Fixture, issuer: &Issuer, header: &str, reason: &str) {
    let (actor, log) = logged(|| authenticate_by(fixture, issuer, header).unwrap());
    assert_eq!(actor, None, "{reason}");
    assert_eq!(log, [format!("INFO message=refused a credential reason={reason:?}")]);
}

#[test]
fn a_personal_access_token_identifies_its_user_in_each_form_of_the_header() {
    let token = key().access_token(token_id());
    let basic = STANDARD.encode(format!("@token:{}", *token));
    let headers = [
        format!("Bearer {}", *token),
        format!("bearer {}", *token),
        format!("  BEARER   {}  ", *token),
        format!("Basic {basic}"),
        format!("basic {basic}"),
        format!("Bearer {}", token.trim_end_matches('=')),
    ];
    for header in headers {
        assert_eq!(presented(&with_token(stored()), &header).unwrap(), Some(token_user()), "{header}");
    }
}

#[test]
fn a_header_that_identifies_no_caller_is_refused_without_reading_the_table() {
    let run = RunId::new("ab12ABCDEFGHIJ").unwrap();
    let no_scheme = "the header is neither Bearer nor Basic @token";
    let no_kind = "tokens of this kind do not identify a caller";
    let run_token = key().run_token(&run);
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let cases = [
        (String::new(), no_scheme),
        ("Bearer".into(), no_scheme),
        (key().access_token(token_id()).to_string(), no_scheme),
        (format!("Digest {}", *key().access_token(token_id())), no_scheme),
        (basic(&format!("someone:{}", *key().access_token(token_id()))), no_scheme),
        ("Basic not base64".into(), no_scheme),
        (format!("Bearer {}", *run_token), "a run token does not identify a caller"),
        (basic(&format!("@token:{}", *run_token)), "a run token does not identify a caller"),
        (format!("Bearer {}", claim_key().expose()), no_kind),
        (basic(&format!("@token:{}", claim_key().expose())), no_kind),
        (format!("Bearer {}", key().expose()), no_kind),
        (format!("Bearer {}", STANDARD.encode("{\"tid\": 0}.key")), no_kind),
    ];
    for (header, reason) in cases {
        let fixture = with_token(stored());
        assert_refused(&fixture, &Issuer::Fails, &header, reason);
        assert!(fixture.table.faults.calls().is_empty(), "{header}");
    }
}

#[test]
fn a_token_passes_on_its_limits() {
    for scope in TokenScope::ALL {
        for workspace in [None, Some(workspace_id())] {
            let fixture = with_token(StoredToken { workspace, scope, ..stored() });
            let actor = Actor { user: user_id(7), token: Some(token_id()), workspace, scope };
            assert_eq!(presented(&fixture, &bearer()).unwrap(), Some(Caller::User(actor)), "{scope}");
        }
    }
}

#[test]
fn an_unknown_or_expired_token_and_a_wrong_key_are_refused() {
    let expiring = |expires| StoredToken { expires: Some(expires), ..stored() };
    let second = Timestamp::constant(1_790_000_001, 0);
    let other_key = StoredToken { hash: claim_key().hash(), ..stored() };
    let expired_too = StoredToken { hash: claim_key().hash(), ..expiring(minutes(-1)) };
    let other_id = StoredToken { id: TokenId::new(71).unwrap(), ..stored() };
    // The key is checked before the expiry.
    let (no_id, no_key) = ("the token id is unknown", "the token's key does not match");
    let expired = "the token has expired";
    let cases = [
        ("never expires", stored(), None),
        ("expires in a second", expiring(second), None),
        ("expires now", expiring(NOW), Some(expired)),
        ("expired long ago", expiring(minutes(-60)), Some(expired)),
        ("another key", other_key, Some(no_key)),
        ("another key, and expired", expired_too, Some(no_key)),
        ("another id", other_id, Some(no_id)),
    ];
    for (case, token, refused) in cases {
        let fixture = with_token(token);
        match refused {
            None => assert_eq!(presented(&fixture, &bearer()).unwrap(), Some(token_user()), "{case}"),
            Some(reason) => {
                assert_refused(&fixture, &Issuer::Refuses, &bearer(), reason);
                assert_eq!(fixture.table.faults.calls(), ["token"], "{case}: its use is not recorded");
            }
        }
    }
}

#[test]
fn a_disabled_user_is_refused_by_token_and_by_login() {
    let disabled = User { disabled: Some(NOW), ..user(7, "ada") };
    let verified = VerifiedLogin {
        login: Login { issuer: "https://issuer.example".into(), subject: "subject-1".into() },
        verified_email: None,
        sign_up: false,
    };
    let fixture = with_token(stored());
    fixture.table.rows.borrow_mut().users.insert(disabled.id, disabled);
    fixture.table.rows.borrow_mut().logins.push((verified.login.clone(), user_id(7)));
    assert_refused(&fixture, &Issuer::Refuses, &bearer(), "the token's user is disabled");
    let jwt = format!("Bearer {JWT}");
    assert_refused(&fixture, &Issuer::VouchesFor(verified), &jwt, "the login's user is disabled");
    assert_eq!(fixture.table.faults.count("record_token_use"), 0);
}

#[test]
fn a_user_whose_status_cannot_be_read_is_an_error_and_not_a_refusal() {
    let fixture = with_token(stored());
    fixture.table.faults.fail("is_enabled", unavailable());
    assert_eq!(error_of(presented(&fixture, &bearer())).code(), "unavailable");
}

#[test]
fn a_token_that_cannot_be_read_is_an_error_and_not_a_refusal() {
    let fixture = with_token(stored());
    fixture.table.faults.fail("token", unavailable());
    assert_eq!(error_of(presented(&fixture, &bearer())).code(), "unavailable");
}

#[test]
fn the_use_of_a_token_is_recorded_at_most_once_an_hour() {
    let within = Timestamp::constant(1_790_000_000 - 3_599, 0);
    let cases = [
        ("never used", None, true),
        ("used now", Some(NOW), false),
        ("used within the hour", Some(within), false),
        ("used an hour ago", Some(minutes(-60)), true),
        ("used long ago", Some(minutes(-10_000)), true),
        ("used later, by another clock", Some(minutes(1)), false),
    ];
    for (case, last_used, noted) in cases {
        let fixture = with_token(StoredToken { last_used, ..stored() });
        assert_eq!(presented(&fixture, &bearer()).unwrap(), Some(token_user()), "{case}");
        assert_eq!(fixture.table.faults.count("record_token_use"), usize::from(noted), "{case}");
        let now_stored = fixture.table.rows.borrow().tokens[&token_id()].last_used;
        assert_eq!(now_stored, if noted { Some(NOW) } else { last_used }, "{case}");
        assert!(fixture.table.audit().is_empty(), "{case}: a use is not audited");
    }
}

#[test]
fn a_failure_to_record_the_use_of_a_token_is_ignored() {
    let fixture = with_token(stored());
    fixture.table.faults.fail("record_token_use", unavailable());
    let (actor, log) = logged(|| presented(&fixture, &bearer()).unwrap());
    assert_eq!(actor, Some(token_user()));
    assert_eq!(fixture.table.faults.count("record_token_use"), 1, "it is not retried");
    assert_eq!(log.len(), 1);
    assert!(log[0].starts_with("WARN") && log[0].contains("error.code=\"unavailable\""), "{}", log[0]);
}
