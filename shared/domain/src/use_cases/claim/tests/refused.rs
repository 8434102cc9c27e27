//! Claims of runs that cannot get their secrets. The run is ended, and the error contains the
//! reason.

use super::*;
use crate::identity::StoredToken;
use crate::ids::TokenId;
use crate::run::{Outcome, ReportedBy, RunResult};

#[test]
fn a_claimed_secret_is_delivered_until_it_expires() {
    for (case, expires, code) in [
        ("later", minutes(1), None),
        ("at this instant", NOW, Some("refused")),
        ("earlier", minutes(-1), Some("refused")),
    ] {
        let fixture = fixture();
        fixture.put_secret(&Secret { expires: Some(expires), ..token() }, "token text");
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).err(), code, "{case}");
    }
}

fn disable(fixture: &Fixture) {
    let user = crate::identity::User { disabled: Some(NOW), ..user(actor().user.number(), "ada") };
    fixture.table.rows.borrow_mut().users.insert(user.id, user);
}

/// Lets the run say that it was launched with this token, which no one has.
fn launched_with_a_token(fixture: &Fixture) -> TokenId {
    let token = TokenId::new(5).unwrap();
    change_run(fixture, |run| run.launched_with = Some(token));
    token
}

#[test]
fn a_token_that_expires_after_the_launch_does_not_end_the_run() {
    let fixture = fixture();
    let id = launched_with_a_token(&fixture);
    let token = StoredToken { expires: Some(minutes(-1)), ..stored_token(5, 7, "hpc", &claim_key()) };
    fixture.table.rows.borrow_mut().tokens.insert(id, token);
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).err(), None);
}

#[test]
fn a_run_that_cannot_get_its_secrets_is_ended_and_nothing_is_opened() {
    const NO_PERMISSION: &str = "the user who launched it no longer has permission to launch it";
    const REVOKED: &str = "the access token with which it was launched was revoked";
    let cases: [(&str, Arrange, &str); 16] = [
        (
            "deleted",
            |f| {
                f.table.rows.borrow_mut().secrets.remove(&(of_user(), token().id));
            },
            "the secret TOKEN was deleted",
        ),
        (
            "deleted between the two reads",
            |f| {
                f.table.before("sealed_values", |rows| {
                    rows.sealed.remove(&(of_user(), token().id));
                });
            },
            "the secret TOKEN was deleted",
        ),
        (
            "lost",
            |f| change_token(f, |secret| secret.properties.lost = true),
            "the value of the secret TOKEN was lost: set it again",
        ),
        ("expired", |f| change_token(f, |secret| secret.expires = Some(NOW)), "the secret TOKEN has expired"),
        (
            "second of the workspace's expired",
            |f| f.put_secret(&Secret { expires: Some(NOW), ..licence() }, "licence text"),
            "the secret LICENCE has expired",
        ),
        (
            "no longer carried",
            |f| change_token(f, |secret| secret.properties.nextflow_store = false),
            "the new value of the secret TOKEN cannot pass through Nextflow's secrets store: store it as base64",
        ),
        (
            "renamed in its row to a reserved name",
            |f| change_token(f, |secret| secret.name = name("BASH_ENV")),
            "the name of the secret TOKEN is reserved for shells and runtimes",
        ),
        (
            "pinned by a reserved name",
            |f| change_run(f, |run| run.lifecycle.secrets[0].name = name("LD_PRELOAD")),
            "the name of the secret LD_PRELOAD is reserved for shells and runtimes",
        ),
        ("disabled", disable, NO_PERMISSION),
        (
            "disabled, with user secrets alone",
            |f| {
                change_run(f, |run| run.workspace = None);
                disable(f);
            },
            NO_PERMISSION,
        ),
        (
            "revoked",
            |f| {
                launched_with_a_token(f);
            },
            REVOKED,
        ),
        (
            "revoked, with user secrets alone",
            |f| {
                launched_with_a_token(f);
                change_run(f, |run| run.workspace = None);
            },
            REVOKED,
        ),
        (
            "a token of another user",
            |f| {
                let id = launched_with_a_token(f);
                let token = stored_token(5, 99, "hpc", &claim_key());
                f.table.rows.borrow_mut().tokens.insert(id, token);
            },
            REVOKED,
        ),
        ("left the workspace", |f| f.table.rows.borrow_mut().roles.clear(), NO_PERMISSION),
        ("lost the right", |f| f.table.put_member(workspace(), actor().user, Role::Connect), NO_PERMISSION),
        (
            "platform no longer allowed",
            |f| {
                let mut rows = f.table.rows.borrow_mut();
                rows.workspaces.get_mut(&workspace_id()).unwrap().platforms = vec![Platform::AwsBatch];
            },
            NO_PERMISSION,
        ),
    ];
    for (case, arrange, reason) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let error = error_of(claim(&fixture, &launched().id, &claim_key()));
        assert!(matches!(error, Error::Refused(_)), "{case}: {error}");
        assert_eq!(error.to_string(), format!("The run was ended: {reason}."), "{case}");
        assert_eq!(opened(&fixture), 0, "{case}: a value was opened");
        assert_ended(&fixture, case);
        assert_eq!(fixture.table.actions(), [AuditAction::RunEnded], "{case}");
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("ended"), "{case}: repeated");
    }
}

fn assert_ended(fixture: &Fixture, case: &str) {
    let lifecycle = stored(fixture).lifecycle;
    let outcome = Outcome {
        result: RunResult::LaunchFailed,
        exit_status: None,
        reported_by: ReportedBy::Launch,
        cancelled_by: None,
    };
    assert_eq!((lifecycle.state, lifecycle.outcome), (State::Ended, Some(outcome)), "{case}");
    let last = fixture.table.audit().pop().unwrap();
    assert_eq!((last.action, last.actor), (AuditAction::RunEnded, None), "{case}");
    assert_eq!(last.detail.as_deref(), Some("claim refused"), "{case}");
    assert_eq!((last.scope, last.run), (stored(fixture).scope(), Some(launched().id)), "{case}");
    assert!(fixture.bus.announced.borrow().is_empty(), "{case}: announced as delivered");
}

#[test]
fn values_that_nextflows_store_would_change_end_the_run_once_they_are_opened() {
    let cases = [
        (
            "not carried",
            "a $dollar",
            "the value of the secret TOKEN cannot pass through Nextflow's secrets store: store it as base64",
        ),
        (
            "base64 of several lines",
            "QUJD\nREVG\n",
            "the value of the secret TOKEN has a line break inside, which Nextflow's secrets store cannot carry: store \
             it without line breaks (base64 -w0)",
        ),
        (
            "a line break at the end",
            "QUJD\r\n",
            "the value of the secret TOKEN has a line break at its end, which Nextflow's secrets store cannot carry: \
             store it without line breaks (base64 -w0)",
        ),
        (
            "collision",
            "x LICENCE=stolen",
            "the value of the secret TOKEN contains LICENCE=, which Nextflow would read as the secret LICENCE: store it as base64",
        ),
    ];
    for (case, text, reason) in cases {
        let fixture = fixture();
        fixture.put_secret(&token(), text);
        let error = error_of(claim(&fixture, &launched().id, &claim_key()));
        assert_eq!(error.to_string(), format!("The run was ended: {reason}."), "{case}");
        assert_ended(&fixture, case);
        assert_eq!(fixture.table.actions(), [AuditAction::RunClaimed, AuditAction::RunEnded], "{case}");
        assert_eq!(stored(&fixture).lifecycle.revision, 7, "{case}");
    }
}

/// A launch counts size classes, and a value can grow before its claim.
#[test]
fn values_that_are_too_large_for_a_kubernetes_secret_end_the_run() {
    for (count, refused) in [(30, false), (31, true)] {
        let fixture = on_kubernetes();
        let large = "x".repeat(SecretValue::MAX_BYTES);
        let secrets: Vec<_> =
            (0..count).map(|number| secret(of_workspace(), 100 + number, &format!("L{number}"))).collect();
        for secret in &secrets {
            fixture.put_secret(secret, &large);
        }
        fixture.put_secret(&licence(), &large);
        fixture.put_secret(&extra(), "y");
        change_run(&fixture, |run| run.lifecycle.secrets.extend(secrets.iter().map(pin_of)));
        fixture.put_secret(&token(), &large[1..]);
        if refused {
            let error = error_of(claim(&fixture, &launched().id, &claim_key()));
            let reason = "its values have more than 1048576 bytes, the limit of a Kubernetes Secret";
            assert_eq!(error.to_string(), format!("The run was ended: {reason}."));
            assert_ended(&fixture, "too large");
        } else {
            assert!(claim(&fixture, &launched().id, &claim_key()).is_ok());
        }
    }
}

#[test]
fn a_refusal_that_could_not_be_written_is_repeated_by_the_same_claim() {
    let cases: [(&str, Arrange, &str); 2] = [
        (
            "another writer",
            |f| {
                f.table.before("save_lifecycle", |rows| {
                    rows.runs.get_mut(&launched().id).unwrap().lifecycle.revision += 1;
                });
            },
            "contended",
        ),
        ("unavailable", |f| f.table.faults.fail("save_lifecycle", unavailable()), "unavailable"),
    ];
    for (case, arrange, expected) in cases {
        let fixture = fixture();
        change_token(&fixture, |secret| secret.expires = Some(NOW));
        arrange(&fixture);
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err(expected), "{case}");
        assert_eq!(stored(&fixture).lifecycle.state, State::Pending, "{case}");
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("refused"), "{case}: repeated");
    }
}
