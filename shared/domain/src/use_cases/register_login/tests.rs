use super::*;
use crate::identity::Login;
use crate::testing::*;

fn login() -> Login {
    Login { issuer: "https://issuer.example".into(), subject: "subject-1".into() }
}

fn sign_in(fixture: &Fixture, verified_email: Option<&str>) -> Result<Actor> {
    sign_in_if(fixture, verified_email, true)
}

fn sign_in_if(fixture: &Fixture, verified_email: Option<&str>, sign_up: bool) -> Result<Actor> {
    let verified_email = verified_email.map(str::to_owned);
    let verified_login = VerifiedLogin { login: login(), verified_email, sign_up };
    run_now(register_login(&*fixture.table, &verified_login, &fixture.context()))
}

/// The only user who was created by a login.
fn user_by_login(fixture: &Fixture) -> User {
    let rows = fixture.table.rows.borrow();
    let users: Vec<_> = rows.users.values().filter(|user| user.user_name.starts_with("oidc-")).collect();
    assert_eq!(users.len(), 1);
    users[0].clone()
}

#[test]
fn a_known_login_returns_its_user_and_writes_nothing() {
    let fixture = Fixture::new();
    fixture.table.rows.borrow_mut().logins.push((login(), user_id(7)));
    assert_eq!(sign_in(&fixture, None).unwrap(), Actor::without_token(user_id(7)));
    assert_eq!(fixture.table.faults.calls(), ["user_of_login"]);
}

#[test]
fn without_sign_up_a_new_login_is_refused_with_its_names_and_a_declared_one_is_known() {
    let fixture = Fixture::new();
    let refused = error_of(sign_in_if(&fixture, Some("ada@example.org"), false));
    assert_eq!(
        refused.to_string(),
        "No user of this service has your login. Ask an operator to declare it: issuer \
         https://issuer.example, subject subject-1"
    );
    assert_eq!((refused.code(), refused.retryable()), ("unknown-login", false));
    assert_eq!(fixture.table.faults.calls(), ["user_of_login"], "nothing is written");
    fixture.table.rows.borrow_mut().logins.push((login(), user_id(7)));
    assert_eq!(sign_in_if(&fixture, None, false).unwrap(), Actor::without_token(user_id(7)));
}

#[test]
fn another_issuer_or_another_subject_is_another_user() {
    let others = [
        Login { issuer: "https://other.example".into(), ..login() },
        Login { subject: "subject-2".into(), ..login() },
    ];
    for other in others {
        let fixture = Fixture::new();
        fixture.table.rows.borrow_mut().logins.push((other.clone(), user_id(7)));
        let actor = sign_in(&fixture, None).unwrap();
        assert_eq!(actor, Actor::without_token(user_by_login(&fixture).id), "{other:?}");
        assert_ne!(actor.user, user_id(7), "{other:?}");
    }
}

#[test]
fn the_first_login_creates_a_user_without_permissions_once() {
    let fixture = Fixture::new();
    let actor = sign_in(&fixture, Some("ada@example.org")).unwrap();
    let user = user_by_login(&fixture);
    assert_eq!(actor, Actor::without_token(user.id));
    assert_eq!((&user.user_name, user.created), (&format!("oidc-{}", user.id), NOW));
    let [record] = fixture.table.audit().try_into().expect("one record");
    assert_eq!((record.scope, record.actor), (SecretOwner::User(user.id), Some(user.id)));
    assert_eq!((record.action, record.at), (AuditAction::UserCreated, NOW));
    assert_eq!(record.detail.as_deref(), Some("first login"));
    assert_eq!((record.subjects, record.run, record.person), (vec![], None, None));
    assert!(fixture.table.rows.borrow().roles.is_empty());

    assert_eq!(sign_in(&fixture, Some("ada@example.org")).unwrap(), actor, "the second login");
    assert_eq!(fixture.table.faults.count("register_login"), 1);
}

#[test]
fn a_new_user_gets_the_verified_address_only_if_it_is_unused() {
    // The address of another user, the verified address, and whether the new user gets the latter.
    let cases = [
        (None, Some("ada@example.org"), true),
        (Some("bob@example.org"), Some("ada@example.org"), true),
        (Some("ada@example.org"), Some("ada@example.org"), false),
        (Some("ADA@example.org"), Some("ada@example.org"), false),
        (None, None, false),
    ];
    for (taken, verified, kept) in cases {
        let case = format!("taken {taken:?}, verified {verified:?}");
        let fixture = Fixture::new();
        if let Some(email) = taken {
            let known = User { email: email.into(), ..user(7, "ada") };
            fixture.table.rows.borrow_mut().users.insert(known.id, known);
        }
        let actor = sign_in(&fixture, verified).unwrap();
        let user = user_by_login(&fixture);
        assert_eq!(actor.user, user.id, "{case}: never the user who has the address");
        let none = format!("{}@no-email.invalid", user.id);
        assert_eq!(user.email, if kept { verified.unwrap().to_owned() } else { none }, "{case}");
    }
}

#[test]
fn two_simultaneous_first_logins_create_one_user() {
    let fixture = Fixture::new();
    let first = user(9, "oidc-9");
    let id = first.id;
    // The other login is written after this one's read and before its write, which is contended for
    // that reason.
    fixture.table.before("register_login", move |rows| {
        rows.logins.push((login(), first.id));
        rows.users.insert(first.id, first);
    });
    fixture.table.faults.fail("register_login", Error::Contended);
    assert_eq!(sign_in(&fixture, None).unwrap(), Actor::without_token(id));
    assert_eq!(user_by_login(&fixture).id, id, "there is no second user");
    assert!(fixture.table.audit().is_empty(), "the other login is audited by itself");
}

#[test]
fn an_address_that_was_taken_concurrently_is_replaced() {
    let fixture = Fixture::new();
    fixture.table.before("register_login", |rows| {
        let other = User { email: "ada@example.org".into(), ..user(9, "ada") };
        rows.users.insert(other.id, other);
    });
    fixture.table.faults.fail("register_login", Error::Contended);
    let actor = sign_in(&fixture, Some("ada@example.org")).unwrap();
    let user = user_by_login(&fixture);
    assert_eq!(actor.user, user.id);
    assert_eq!(user.email, format!("{}@no-email.invalid", user.id));
}

#[test]
fn a_first_login_gives_up_after_four_attempts() {
    for (contended, expected) in [(3, Ok(())), (4, Err("contended"))] {
        let fixture = Fixture::new();
        for _ in 0..contended {
            fixture.table.faults.fail("register_login", Error::Contended);
        }
        let outcome = sign_in(&fixture, None).map(drop).map_err(|error| error.code());
        assert_eq!(outcome, expected, "{contended} times");
        assert_eq!(fixture.table.faults.count("register_login"), 4, "{contended} times");
    }
}

#[test]
fn a_failed_read_or_write_is_an_error_and_the_next_attempt_creates_no_second_user() {
    for (operation, answer_lost) in [
        ("user_of_login", false),
        ("is_email_taken", false),
        ("register_login", false),
        ("register_login", true),
    ] {
        let case = format!("{operation}, answer lost: {answer_lost}");
        let fixture = Fixture::new();
        match answer_lost {
            true => fixture.table.faults.lose_answer(operation, unavailable()),
            false => fixture.table.faults.fail(operation, unavailable()),
        }
        let error = error_of(sign_in(&fixture, Some("ada@example.org")));
        assert_eq!(error.code(), "unavailable", "{case}");
        assert_eq!(fixture.table.audit().len(), usize::from(answer_lost), "{case}");
        let actor = sign_in(&fixture, Some("ada@example.org")).unwrap();
        assert_eq!(actor.user, user_by_login(&fixture).id, "{case}");
        assert_eq!(fixture.table.audit().len(), 1, "{case}");
    }
}

#[test]
fn a_throttled_table_is_not_called_again() {
    for read in ["user_of_login", "is_email_taken"] {
        let fixture = Fixture::new();
        fixture.table.faults.fail(read, Error::Contended);
        let refused = error_of(sign_in(&fixture, Some("ada@example.org")));
        assert_eq!((refused.code(), fixture.table.faults.count(read)), ("contended", 1), "{read}");
        assert!(fixture.backoff.attempts().is_empty(), "{read}");
    }
}
