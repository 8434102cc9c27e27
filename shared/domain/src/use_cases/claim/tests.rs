//! Claims that succeed, lose a race, or fail. Refused claims are in `refused`.

mod refused;

use super::*;
use crate::audit::AuditAction;
use crate::platform::Platform;
use crate::role::Role;
use crate::run::Lifecycle;
use crate::testing::*;
use crate::value::ValueProperties;

type Arrange = fn(&Fixture);
type ChangeRun = fn(&mut Run);
type ChangeLifecycle = fn(&mut Lifecycle);

fn claim(fixture: &Fixture, id: &RunId, key: &TokenKey) -> Result<Claim> {
    let claimer =
        Claimer { store: fixture.table.clone(), keys: fixture.keys.clone(), bus: fixture.bus.clone() };
    run_now(claimer.claim(id, key, &fixture.context()))
}

fn licence() -> Secret {
    secret(of_workspace(), 1, "LICENCE")
}

/// Has the same id as the workspace's licence, so only the owner distinguishes them.
fn token() -> Secret {
    secret(of_user(), 1, "TOKEN")
}

fn extra() -> Secret {
    secret(of_workspace(), 2, "EXTRA")
}

fn launched() -> Run {
    let mut run = run(Platform::Slurm, State::Pending);
    run.lifecycle.secrets = [extra(), licence(), token()].iter().map(pin_of).collect();
    run
}

/// A pending run that waits for its claim. Its launcher may launch.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_member(workspace(), actor().user, Role::Launch);
    fixture.put_secret(&extra(), "extra text");
    fixture.put_secret(&licence(), "licence text");
    fixture.put_secret(&token(), "token text");
    fixture.table.put_run(launched());
    fixture
}

fn stored(fixture: &Fixture) -> Run {
    fixture.table.stored_run(&launched().id)
}

fn change_run(fixture: &Fixture, change: impl FnOnce(&mut Run)) {
    change(fixture.table.rows.borrow_mut().runs.get_mut(&launched().id).unwrap());
}

/// Changes the stored token, which is not the first of the run's secrets.
fn change_token(fixture: &Fixture, change: impl FnOnce(&mut Secret)) {
    change(fixture.table.rows.borrow_mut().secrets.get_mut(&(of_user(), token().id)).unwrap());
}

/// The delivered store without its random entry, or the outcome as an error.
fn answer(outcome: Result<Claim>) -> std::result::Result<String, &'static str> {
    match outcome {
        Ok(Claim::Store(store)) => match store.split_once(r#",{"name":"PIPELINE_SECRETS_SALT""#) {
            Some((secrets, _)) => Ok(format!("{secrets}]")),
            None => Ok(store.as_str().to_owned()),
        },
        Ok(Claim::Kubernetes(secrets)) => Ok(format!("{} {}", *secrets.store, *secrets.data)),
        Ok(Claim::AlreadyUsed) => Err("second use"),
        Ok(Claim::Ended) => Err("ended"),
        Err(error) => Err(error.code()),
    }
}

fn opened(fixture: &Fixture) -> usize {
    fixture.keys.faults.count("decrypt_data_key")
}

const STORE: &str = r#"[{"name":"EXTRA","value":"extra text"},{"name":"LICENCE","value":"licence text"},{"name":"TOKEN","value":"token text"}]"#;

#[test]
fn a_claim_marks_the_token_used_and_delivers_nextflows_store() {
    let fixture = fixture();
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).as_deref(), Ok(STORE));

    let run = stored(&fixture);
    let expected = Lifecycle {
        revision: 6,
        state: State::Running,
        due: Some(minutes(30)),
        lease_until: minutes(30),
        claimed: Some(NOW),
        delivered: Some(NOW),
        ..launched().lifecycle
    };
    assert_eq!(run.lifecycle, expected);
    let audit = fixture.table.audit();
    assert_eq!(audit.len(), 1);
    assert_eq!((audit[0].action, audit[0].at), (AuditAction::RunClaimed, NOW));
    assert_eq!((audit[0].actor, audit[0].scope), (Some(actor().user), of_workspace()));
    assert_eq!((&audit[0].run, &audit[0].detail), (&Some(run.id.clone()), &None));
    let subjects: Vec<_> = audit[0].subjects.iter().map(|subject| (subject.owner, subject.version)).collect();
    assert_eq!(subjects, [(of_workspace(), 3), (of_workspace(), 3), (of_user(), 3)]);
    assert_eq!(*fixture.bus.announced.borrow(), [(run.id, RunNotice::Delivered)]);
    assert_eq!(
        fixture.table.faults.calls(),
        ["run", "role_and_workspace", "current_secrets", "sealed_values", "save_lifecycle"]
    );
}

#[test]
fn a_claim_delivers_and_records_the_current_versions() {
    let fixture = fixture();
    fixture.put_secret(&Secret { version: 4, ..token() }, "rotated text");
    let store = answer(claim(&fixture, &launched().id, &claim_key())).unwrap();
    assert!(store.contains("rotated text") && !store.contains("token text"), "{store}");
    let pinned: Vec<_> = stored(&fixture).lifecycle.secrets.iter().map(|pin| pin.version).collect();
    assert_eq!(pinned, [3, 3, 4]);
    assert_eq!(fixture.table.audit()[0].subjects[2].version, 4);
}

#[test]
fn a_claim_of_a_run_without_secrets_reads_none() {
    let fixture = fixture();
    change_run(&fixture, |run| run.lifecycle.secrets.clear());
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).as_deref(), Ok("[]"));
    assert_eq!(fixture.table.faults.calls(), ["run", "role_and_workspace", "save_lifecycle"]);
}

#[test]
fn a_run_without_a_workspace_asks_for_no_membership() {
    let fixture = fixture();
    fixture.table.rows.borrow_mut().roles.clear();
    change_run(&fixture, |run| {
        run.workspace = None;
        run.lifecycle.secrets.retain(|pin| pin.owner == of_user());
    });
    let store = answer(claim(&fixture, &launched().id, &claim_key()));
    assert_eq!(store.as_deref(), Ok(r#"[{"name":"TOKEN","value":"token text"}]"#));
    assert_eq!(fixture.table.faults.count("role_and_workspace"), 0);
    assert_eq!(fixture.table.audit()[0].scope, of_user());
}

/// A fixture whose run is on Kubernetes, where tasks get values that Nextflow's store cannot carry.
fn on_kubernetes() -> Fixture {
    let fixture = fixture();
    change_run(&fixture, |run| run.platform = Platform::Kubernetes);
    fixture
}

#[test]
fn a_claim_on_kubernetes_delivers_every_value_and_the_store_of_the_head_job() {
    let fixture = on_kubernetes();
    fixture.put_secret(
        &Secret { properties: ValueProperties { nextflow_store: false, ..token().properties }, ..token() },
        "x LICENCE=\"two\nlines\"",
    );
    let answer = answer(claim(&fixture, &launched().id, &claim_key())).unwrap();
    let (store, data) = answer.rsplit_once(' ').unwrap();
    let entries = r#"[{"name":"EXTRA","value":"extra text"},{"name":"LICENCE","value":"licence text"},"#;
    assert!(store.starts_with(entries) && store.contains(r#""value":"x LICENCE=\"two\nlines\""#), "{store}");
    let expected = concat!(
        r#"{"EXTRA":"ZXh0cmEgdGV4dA==","LICENCE":"bGljZW5jZSB0ZXh0","#,
        r#""TOKEN":"eCBMSUNFTkNFPSJ0d28KbGluZXMi"}"#
    );
    assert_eq!(data, expected);
    assert_eq!(stored(&fixture).lifecycle.claimed, Some(NOW));
}

#[test]
fn a_lost_delivery_event_does_not_fail_the_claim() {
    let fixture = fixture();
    fixture.bus.faults.fail("announce", unavailable());
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).as_deref(), Ok(STORE));
}

#[test]
fn a_claim_without_an_unused_token_reads_only_the_run() {
    let cases: [(&str, ChangeRun, &str); 6] = [
        ("used before", |run| run.lifecycle.claimed = Some(minutes(-1)), "second use"),
        ("ending", |run| run.lifecycle.state = State::Ending, "ended"),
        ("ended", |run| run.lifecycle.state = State::Ended, "ended"),
        (
            "used before, ended",
            |run| {
                run.lifecycle.claimed = Some(minutes(-1));
                run.lifecycle.state = State::Ended;
            },
            "ended",
        ),
        ("wrong token", |run| run.lifecycle.claim_token = Some(run_key().hash()), "not-found"),
        ("platform without claims", |run| run.lifecycle.claim_token = None, "not-found"),
    ];
    for (case, change, expected) in cases {
        let fixture = fixture();
        change_run(&fixture, change);
        let before = stored(&fixture);
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err(expected), "{case}");
        assert_eq!(fixture.table.faults.calls(), ["run"], "{case}");
        assert_eq!((opened(&fixture), stored(&fixture)), (0, before), "{case}");
    }
    let fixture = fixture();
    let unknown = RunId::new("ab12unknownrun").unwrap();
    assert_eq!(answer(claim(&fixture, &unknown, &claim_key())), Err("not-found"));
    assert_eq!(fixture.table.faults.calls(), ["run"]);
}

/// Other functions write the state and the due time, but not the launch time.
#[test]
fn a_claim_token_expires_a_fixed_time_after_the_launch_in_every_state() {
    let limits = crate::settings::Limits::default();
    let end = limits.provisioning + limits.pending;
    let second = jiff::SignedDuration::from_secs(1);
    for state in [State::Pending, State::Running] {
        for (created, good) in [(NOW - end + second, true), (NOW - end, false), (minutes(-1_000_000), false)]
        {
            let fixture = fixture();
            change_run(&fixture, |run| {
                run.created = created;
                run.lifecycle.state = state;
                run.lifecycle.due = Some(minutes(5));
            });
            let answer = answer(claim(&fixture, &launched().id, &claim_key()));
            assert_eq!(answer.is_ok_and(|text| text.contains("TOKEN")), good, "{state:?} {created}");
            assert_eq!(opened(&fixture) > 0, good, "{state:?} {created}");
        }
    }
}

#[test]
fn a_claim_token_is_used_once() {
    let fixture = fixture();
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).as_deref(), Ok(STORE));
    let before = (stored(&fixture), opened(&fixture));
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("second use"));
    assert_eq!((stored(&fixture), opened(&fixture)), before);
}

/// Each case: what another caller writes after the claim read the run and before it writes.
#[test]
fn a_claim_that_loses_a_race_opens_nothing() {
    let cases: [(&str, ChangeLifecycle, &str); 3] = [
        ("another claim", |lifecycle| lifecycle.claimed = Some(NOW), "second use"),
        ("an end", |lifecycle| lifecycle.state = State::Ended, "ended"),
        ("a heartbeat", |lifecycle| lifecycle.state = State::Running, "contended"),
    ];
    for (case, change, expected) in cases {
        let fixture = fixture();
        fixture.table.before("save_lifecycle", move |rows| {
            let lifecycle = &mut rows.runs.get_mut(&launched().id).unwrap().lifecycle;
            change(lifecycle);
            lifecycle.revision += 1;
        });
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err(expected), "{case}");
        assert_eq!((opened(&fixture), fixture.table.actions()), (0, vec![]), "{case}");
    }
    let fixture = fixture();
    fixture.table.before("save_lifecycle", |rows| rows.runs.clear());
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("not-found"));
}

#[test]
fn a_claim_during_the_launch_may_be_repeated() {
    let fixture = fixture();
    change_run(&fixture, |run| run.lifecycle.state = State::Provisioning);
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("contended"));
    assert_eq!((opened(&fixture), fixture.table.actions()), (0, vec![]));

    change_token(&fixture, |secret| secret.expires = Some(NOW));
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("refused"));
    assert_eq!(stored(&fixture).lifecycle.state, State::Provisioning, "the launch writes how it went");
}

#[test]
fn no_value_is_opened_before_the_claim_is_recorded() {
    let cases: [(&str, Arrange); 5] = [
        ("run", |f| f.table.faults.fail("run", unavailable())),
        ("membership", |f| f.table.faults.fail("role_and_workspace", unavailable())),
        ("secrets", |f| f.table.faults.fail("current_secrets", unavailable())),
        ("values", |f| f.table.faults.fail("sealed_values", unavailable())),
        ("record", |f| f.table.faults.fail("save_lifecycle", unavailable())),
    ];
    for (case, arrange) in cases {
        let fixture = fixture();
        arrange(&fixture);
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("unavailable"), "{case}");
        assert_eq!((opened(&fixture), stored(&fixture)), (0, launched()), "{case}");
        // Nothing happened: the same claim succeeds.
        assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())).as_deref(), Ok(STORE), "{case}");
    }
}

#[test]
fn a_claim_whose_record_got_no_answer_opens_nothing_and_uses_the_token() {
    let fixture = fixture();
    fixture.table.faults.lose_answer("save_lifecycle", unavailable());
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("unavailable"));
    assert_eq!((opened(&fixture), fixture.table.actions()), (0, vec![AuditAction::RunClaimed]));
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("second use"));
}

/// Each failure of each call: the claim may be repeated exactly if it then succeeds.
#[test]
fn a_claim_may_be_retried_only_if_its_token_is_unused() {
    type Failure = fn() -> Error;
    let failures: [Failure; 5] = [
        unavailable,
        || Error::Contended,
        || Error::EnvelopeRefused,
        || Error::KeyUnusable { state: "Disabled" },
        || Error::bug("a row without an id"),
    ];
    for call in [
        "run",
        "role_and_workspace",
        "current_secrets",
        "sealed_values",
        "save_lifecycle",
        "decrypt_data_key",
    ] {
        for failure in failures {
            // `lost` is the answer to a write that took effect.
            for lost in [false, true] {
                if lost && (call != "save_lifecycle" || failure().code() == "contended") {
                    continue;
                }
                let fixture = fixture();
                let faults =
                    if call == "decrypt_data_key" { &fixture.keys.faults } else { &fixture.table.faults };
                if lost {
                    faults.lose_answer(call, failure());
                } else {
                    faults.fail(call, failure());
                }
                let case = format!("{call}: {}, lost: {lost}", failure().code());
                let error = error_of(claim(&fixture, &launched().id, &claim_key()).map(drop));
                assert_eq!(error.code(), failure().code(), "{case}");
                // A write without an answer may have taken effect.
                let may_be_used = call == "decrypt_data_key"
                    || (call == "save_lifecycle" && failure().code() != "contended");
                assert_eq!(error.retryable(), failure().retryable() && !may_be_used, "{case}");
                let repeated = answer(claim(&fixture, &launched().id, &claim_key()));
                if error.retryable() {
                    assert_eq!(repeated.as_deref(), Ok(STORE), "{case}");
                } else if call == "decrypt_data_key" || lost {
                    assert_eq!(repeated, Err("second use"), "{case}");
                }
            }
        }
    }
    // A value that cannot be delivered ends the run, after its token was used.
    let fixture = fixture();
    fixture.table.faults.pass("save_lifecycle");
    fixture.table.faults.fail("save_lifecycle", unavailable());
    fixture.put_secret(&token(), "two\nlines");
    let error = error_of(claim(&fixture, &launched().id, &claim_key()).map(drop));
    assert_eq!((error.code(), error.retryable()), ("unavailable", false));
}

#[test]
fn a_value_that_does_not_open_fails_the_claim_and_leaves_it_recorded() {
    let fixture = fixture();
    fixture.keys.faults.fail("decrypt_data_key", Error::EnvelopeRefused);
    assert_eq!(answer(claim(&fixture, &launched().id, &claim_key())), Err("envelope-refused"));
    assert_eq!(fixture.table.actions(), [AuditAction::RunClaimed]);
    assert_eq!(stored(&fixture).lifecycle.claimed, Some(NOW));
    assert!(fixture.bus.announced.borrow().is_empty());
}
