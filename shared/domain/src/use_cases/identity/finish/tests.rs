use jiff::SignedDuration;

use super::super::testing::put_environment;
use super::*;
use crate::Error;
use crate::audit::AuditAction;
use crate::ids::WorkspaceId;
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::run::State;
use crate::secret::SealedValue;
use crate::testing::{
    Fixture, NOW, error_of, minutes, of_user, of_workspace, run, run_now, secret, unavailable, workspace_id,
};

/// A workspace that was deleted this long ago, with two secrets, and a secret of a user.
fn deleted(minutes_ago: i64) -> Fixture {
    let fixture = Fixture::new();
    for (owner, id) in [(of_workspace(), 1), (of_workspace(), 2), (of_user(), 3)] {
        let secret = secret(owner, id, &format!("S{id}"));
        let sealed = SealedValue { owner, secret: secret.id, version: secret.version, envelope: vec![7] };
        fixture.table.put_secret(secret, sealed);
    }
    fixture.table.rows.borrow_mut().removed.insert(of_workspace(), minutes(-minutes_ago));
    fixture
}

fn finished(fixture: &Fixture) -> Result<Finished> {
    run_now(finish(&*fixture.table, &fixture.context()))
}

fn owners_of_secrets(fixture: &Fixture) -> Vec<SecretOwner> {
    fixture.table.rows.borrow().secrets.keys().map(|(owner, _)| *owner).collect()
}

#[test]
fn the_secrets_of_a_deleted_workspace_are_deleted_and_recorded() {
    let fixture = deleted(0);
    assert_eq!(finished(&fixture).unwrap(), Finished { secrets_deleted: 2, finished: 0 });
    assert_eq!(owners_of_secrets(&fixture), [of_user()]);
    let records = fixture.table.audit();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!((record.action, record.scope), (AuditAction::SecretDeleted, of_workspace()));
        assert_eq!((record.at, record.actor, record.detail.as_deref()), (NOW, None, Some("owner deleted")));
    }
}

#[test]
fn the_environments_of_a_deleted_workspace_and_their_credentials_go_as_each_goes_alone() {
    let fixture = deleted(0);
    let other = WorkspaceId::new(43).unwrap();
    let (environment, credentials) = put_environment(&fixture, workspace_id());
    put_environment(&fixture, other);
    finished(&fixture).unwrap();
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.environments.keys().collect::<Vec<_>>(), [&(other, environment.clone())]);
    assert_eq!(rows.credentials.keys().collect::<Vec<_>>(), [&(other, credentials)]);
    let listed_until = NOW + SignedDuration::from_hours(38 * 24);
    assert_eq!(rows.listed_until, [(environment, listed_until)].into(), "the sweep still looks there");
    let actions = [AuditAction::ComputeEnvDeleted, AuditAction::CredentialsDeleted];
    assert_eq!(fixture.table.actions()[2..], actions);
    let records = fixture.table.audit();
    assert!(records.iter().all(|record| (record.scope, record.actor) == (of_workspace(), None)));
}

#[test]
fn a_removed_user_takes_no_environment_along() {
    let fixture = Fixture::new();
    put_environment(&fixture, workspace_id());
    fixture.table.rows.borrow_mut().removed.insert(of_user(), minutes(-60));
    assert_eq!(finished(&fixture).unwrap(), Finished { secrets_deleted: 0, finished: 1 });
    assert_eq!(fixture.table.rows.borrow().environments.len(), 1);
}

#[test]
fn a_deletion_is_not_finished_while_credentials_are_left() {
    let fixture = deleted(60);
    put_environment(&fixture, workspace_id());
    fixture.table.faults.pass("change_environment");
    fixture.table.faults.fail("change_environment", Error::Conflict("in use".into()));
    assert_eq!(error_of(finished(&fixture)).code(), "conflict");
    assert_eq!(fixture.table.rows.borrow().removed.len(), 1);
    assert_eq!(finished(&fixture).unwrap().finished, 1, "the next pass");
    assert!(fixture.table.rows.borrow().credentials.is_empty());
}

#[test]
fn a_deletion_is_finished_an_hour_later_if_no_run_is_live() {
    for (ago, state, done) in [
        (59, None, false),
        (60, None, true),
        (60, Some(State::Running), false),
        (60, Some(State::Ending), false),
        (60, Some(State::Ended), true),
    ] {
        let fixture = deleted(ago);
        if let Some(state) = state {
            fixture.table.put_run(run(Platform::AwsBatch, state));
        }
        assert_eq!(finished(&fixture).unwrap().finished, u32::from(done), "{ago} {state:?}");
        assert_eq!(fixture.table.rows.borrow().removed.is_empty(), done, "{ago} {state:?}");
    }
}

#[test]
fn after_a_failure_of_any_call_the_next_pass_finishes() {
    let with_environment = || {
        let fixture = deleted(60);
        put_environment(&fixture, workspace_id());
        fixture
    };
    let probe = with_environment();
    finished(&probe).unwrap();
    for (index, call) in probe.table.faults.calls().into_iter().enumerate() {
        let fixture = with_environment();
        fixture.table.faults.fail(call, unavailable());
        assert_eq!(error_of(finished(&fixture)).code(), "unavailable", "{index} {call}");
        finished(&fixture).unwrap();
        assert_eq!(owners_of_secrets(&fixture), [of_user()], "{call}");
        assert!(fixture.table.rows.borrow().removed.is_empty(), "{call}");
        assert!(fixture.table.rows.borrow().environments.is_empty(), "{call}");
        assert!(fixture.table.rows.borrow().credentials.is_empty(), "{call}");
        assert_eq!(fixture.table.audit().len(), 4, "{call}");
    }
}

#[test]
fn a_deletion_that_fails_does_not_stop_the_others() {
    let fixture = deleted(60);
    fixture.table.rows.borrow_mut().removed.insert(of_user(), minutes(-60));
    fixture.table.faults.fail("stored_secrets", unavailable());
    assert_eq!(error_of(finished(&fixture)).code(), "unavailable");
    let left = owners_of_secrets(&fixture);
    assert!(left == [of_user()] || left == [of_workspace(); 2], "one of them is finished: {left:?}");
}

#[test]
fn the_tokens_and_secrets_of_a_removed_user_go_and_those_of_others_stay() {
    let fixture = deleted(0);
    let mut rows = fixture.table.rows.borrow_mut();
    rows.removed = [(of_user(), minutes(-60))].into();
    let SecretOwner::User(user) = of_user() else { panic!("a user") };
    for (id, of) in [(5, user.number()), (6, 99)] {
        let key = crate::token::TokenKey::make_random(&crate::testing::Sequence::default());
        let token = crate::testing::stored_token(id, of, "t", &key);
        rows.tokens.insert(token.id, token);
    }
    drop(rows);
    assert_eq!(finished(&fixture).unwrap(), Finished { secrets_deleted: 1, finished: 1 });
    assert_eq!(owners_of_secrets(&fixture), [of_workspace(); 2]);
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.tokens.values().map(|token| token.user.number()).collect::<Vec<_>>(), [99]);
}
