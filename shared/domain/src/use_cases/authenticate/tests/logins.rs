//! OpenID Connect logins.

use super::*;

fn login() -> Login {
    Login { issuer: "https://issuer.example".into(), subject: "subject-1".into() }
}

fn issuer(verified_email: Option<&str>) -> Issuer {
    let verified_email = verified_email.map(str::to_owned);
    Issuer::VouchesFor(VerifiedLogin { login: login(), verified_email, sign_up: true })
}

fn sign_in(fixture: &Fixture, verified_email: Option<&str>) -> Result<Option<Caller>> {
    authenticate_by(fixture, &issuer(verified_email), &format!("Bearer {JWT}"))
}

#[test]
fn a_known_login_identifies_its_user_and_writes_nothing() {
    let basic = format!("Basic {}", STANDARD.encode(format!("@token:{JWT}")));
    for header in [format!("Bearer {JWT}"), basic] {
        let fixture = Fixture::new();
        fixture.table.rows.borrow_mut().logins.push((login(), user_id(7)));
        let actor = authenticate_by(&fixture, &issuer(Some("ada@example.org")), &header).unwrap();
        assert_eq!(actor, Some(Caller::User(Actor::without_token(user_id(7)))), "{header}");
        assert_eq!(fixture.table.faults.calls(), ["user_of_login", "is_enabled"], "{header}");
    }
}

#[test]
fn a_refused_json_web_token_identifies_no_caller_and_a_failed_check_is_an_error() {
    let header = format!("Bearer {JWT}");
    let fixture = Fixture::new();
    assert_eq!(authenticate_by(&fixture, &Issuer::Refuses, &header).unwrap(), None);
    assert_eq!(error_of(authenticate_by(&fixture, &Issuer::Fails, &header)).code(), "unavailable");
    assert!(fixture.table.faults.calls().is_empty());
}

#[test]
fn an_unknown_login_is_a_new_login_and_writes_nothing() {
    let others = [
        Login { issuer: "https://other.example".into(), ..login() },
        Login { subject: "subject-2".into(), ..login() },
    ];
    for other in others {
        let fixture = Fixture::new();
        fixture.table.rows.borrow_mut().logins.push((other.clone(), user_id(7)));
        let verified_email = Some("ada@example.org".into());
        let verified = VerifiedLogin { login: login(), verified_email, sign_up: true };
        let caller = sign_in(&fixture, Some("ada@example.org")).unwrap();
        assert_eq!(caller, Some(Caller::NewLogin(verified)), "{other:?}");
        assert_eq!(fixture.table.faults.calls(), ["user_of_login"], "{other:?}");
    }
}

#[test]
fn a_failed_lookup_of_a_login_is_an_error_and_not_a_new_login() {
    for error in [unavailable(), crate::Error::Contended] {
        let (fixture, code) = (Fixture::new(), error.code());
        fixture.table.faults.fail("user_of_login", error);
        assert_eq!(error_of(sign_in(&fixture, None)).code(), code);
        assert_eq!(fixture.table.faults.count("user_of_login"), 1, "the client repeats it");
    }
}
