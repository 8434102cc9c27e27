//! Launches with a known idempotency key.

use super::*;
use crate::idempotency::IdempotencyRecord;
use crate::ids::WorkspaceId;
use crate::run::HeadJob;

const KEY: &str = "a-key-of-this-request";

type Arrange = fn(&Fixture, &RunId);
type ChangeRun = fn(&mut Run);

/// A first launch that succeeded.
fn launched(platform: Platform) -> (Fixture, Launched) {
    let fixture = fixture();
    let first = launch(&fixture, &request(platform), Some(KEY)).unwrap();
    (fixture, first)
}

fn change_run(fixture: &Fixture, id: &RunId, change: impl FnOnce(&mut Run)) {
    change(fixture.table.rows.borrow_mut().runs.get_mut(id).unwrap());
}

fn end(run: &mut Run, state: State, result: RunResult) {
    run.lifecycle.state = state;
    run.lifecycle.outcome =
        Some(Outcome { result, exit_status: None, reported_by: ReportedBy::Report, cancelled_by: None });
}

fn head_job() -> HeadJob {
    HeadJob { job_id: "job".into(), queue: "queue".into(), region: "region".into(), account: None }
}

#[test]
fn a_failed_launch_is_retried_under_the_same_key() {
    for (case, state) in [("copies are being removed", State::Ending), ("ended", State::Ended)] {
        let (fixture, first) = launched(Platform::AwsBatch);
        change_run(&fixture, &first.run.id, |run| end(run, state, RunResult::LaunchFailed));
        let Launched { run, tokens } = launch(&fixture, &request(Platform::AwsBatch), Some(KEY)).unwrap();
        assert_ne!(run.id, first.run.id, "{case}");
        assert!(is_run_token(&tokens.unwrap().run, &run), "{case}");
        assert_eq!(run.lifecycle.state, State::Pending, "{case}");
        assert_eq!(fixture.table.stored_run(&first.run.id).lifecycle.state, state, "{case}");
        let rows = fixture.table.rows.borrow();
        let known: Vec<_> = rows.idempotency.values().map(|known| known.result.clone()).collect();
        assert_eq!(known, [IdempotentResult::Run(run.id)], "{case}");
    }
}

/// A claim is refused once the token of the launch was revoked, so another token must not get its
/// claim token.
#[test]
fn only_the_token_of_the_launch_repeats_it() {
    let tokens = [None, TokenId::new(5), TokenId::new(6)];
    for first in tokens {
        for second in tokens {
            let fixture = fixture();
            let as_token = |token| {
                let actor = Actor { token, ..actor() };
                launch_as(&fixture, &actor, &request(Platform::Slurm), Some(KEY), NOW)
            };
            as_token(first).unwrap();
            let before = only_run(&fixture);
            let code = as_token(second).err().map(|error| error.code());
            assert_eq!(code, (first != second).then_some("idempotency-mismatch"), "{first:?} {second:?}");
            assert_eq!(only_run(&fixture) == before, first != second, "{first:?} {second:?}");
        }
    }
}

#[test]
fn a_failed_launch_is_decided_again() {
    let (fixture, first) = launched(Platform::AwsBatch);
    change_run(&fixture, &first.run.id, |run| end(run, State::Ended, RunResult::LaunchFailed));
    fixture.put_secret(&Secret { expires: Some(NOW), ..token() }, "token text");
    let error = error_of(launch(&fixture, &request(Platform::AwsBatch), Some(KEY)));
    assert!(error.to_string().contains("TOKEN has expired"), "{error}");
    assert_eq!(fixture.table.rows.borrow().runs.len(), 1);
}

#[test]
fn a_replay_for_a_pending_run_renews_the_tokens() {
    for platform in [Platform::AwsBatch, Platform::Slurm] {
        let (fixture, first) = launched(platform);
        // The first decision stands: a secret that expires later does not matter.
        fixture
            .table
            .put_secret(Secret { expires: Some(NOW), ..token() }, fixture.seal(&token(), "token text"));
        let opened = fixture.keys.faults.count("decrypt_data_key");

        let Launched { run, tokens } =
            launch_at(&fixture, &request(platform), Some(KEY), minutes(1)).unwrap();
        assert_eq!(run.id, first.run.id, "{platform}");
        assert_eq!(run, fixture.table.stored_run(&run.id), "{platform}");
        assert_eq!(run.lifecycle.revision, first.run.lifecycle.revision + 1, "{platform}");
        assert_eq!(run.lifecycle.due, first.run.lifecycle.due, "{platform}: the repeat prolonged the run");

        let (old, new) = (first.tokens.unwrap(), tokens.unwrap());
        assert!(is_run_token(&new.run, &run) && !is_run_token(&old.run, &run), "{platform}");
        assert_eq!(new.claim.is_some(), platform.claims(), "{platform}");
        if let (Some(old), Some(new)) = (old.claim, new.claim) {
            assert!(is_claim_token(&new, &run) && !is_claim_token(&old, &run), "{platform}");
        }

        let audit = fixture.table.audit();
        assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched, AuditAction::RunTokensRenewed]);
        assert_eq!((audit[1].actor, audit[1].at), (Some(actor().user), minutes(1)), "{platform}");
        assert_eq!(audit[1].subjects, subjects(), "{platform}");
        assert_eq!(fixture.table.faults.count("begin_run"), 1, "{platform}");
        assert_eq!(fixture.keys.faults.count("decrypt_data_key"), opened, "{platform}: opened again");
    }
}

#[test]
fn a_replay_for_a_run_in_use_returns_no_tokens() {
    let cases: [(&str, ChangeRun); 6] = [
        ("running", |run| run.lifecycle.state = State::Running),
        ("claimed", |run| run.lifecycle.claimed = Some(NOW)),
        ("with a head job", |run| run.lifecycle.head_job = Some(head_job())),
        ("reported as failed", |run| end(run, State::Ending, RunResult::Failed)),
        ("succeeded", |run| end(run, State::Ended, RunResult::Succeeded)),
        ("lost", |run| end(run, State::Ended, RunResult::Lost)),
    ];
    for (case, change) in cases {
        let (fixture, first) = launched(Platform::Slurm);
        change_run(&fixture, &first.run.id, change);
        let before = fixture.table.stored_run(&first.run.id);
        let Launched { run, tokens } = launch(&fixture, &request(Platform::Slurm), Some(KEY)).unwrap();
        assert!(tokens.is_none(), "{case}: a token was shown");
        assert_eq!(run, before, "{case}");
        assert_eq!(fixture.table.stored_run(&run.id), before, "{case}");
        assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched], "{case}");
    }
}

#[test]
fn a_run_that_starts_during_a_replay_keeps_its_tokens() {
    let (fixture, first) = launched(Platform::AwsBatch);
    let id = first.run.id.clone();
    fixture.table.before("save_lifecycle", move |rows| {
        let lifecycle = &mut rows.runs.get_mut(&id).unwrap().lifecycle;
        (lifecycle.state, lifecycle.revision) = (State::Running, lifecycle.revision + 1);
    });
    let repeated = launch(&fixture, &request(Platform::AwsBatch), Some(KEY)).unwrap();
    assert!(repeated.tokens.is_none());
    assert_eq!(repeated.run, first.run);
    let stored = fixture.table.stored_run(&first.run.id);
    assert!(is_run_token(&first.tokens.unwrap().run, &stored));
}

#[test]
fn a_refused_replay_changes_nothing() {
    fn set_result(fixture: &Fixture, result: &IdempotentResult) {
        fixture
            .table
            .rows
            .borrow_mut()
            .idempotency
            .values_mut()
            .for_each(|known| known.result = result.clone());
    }
    let cases: [(&str, Arrange, &str); 10] = [
        (
            "the first is in progress",
            |f, id| change_run(f, id, |run| run.lifecycle.state = State::Provisioning),
            "in-progress",
        ),
        (
            "the record is of a secret",
            |f, _| set_result(f, &IdempotentResult::Secret(token().id)),
            "idempotency-mismatch",
        ),
        (
            "the record is of an import",
            |f, _| set_result(f, &IdempotentResult::Secrets(vec![token().id])),
            "idempotency-mismatch",
        ),
        ("the run is deleted", |f, _| f.table.rows.borrow_mut().runs.clear(), "not-found"),
        ("the run cannot be read", |f, _| f.table.faults.fail("run", unavailable()), "unavailable"),
        (
            "the key cannot be looked up",
            |f, _| f.table.faults.fail("find_idempotency_record", unavailable()),
            "unavailable",
        ),
        (
            "the renewal is not written",
            |f, _| f.table.faults.fail("save_lifecycle", unavailable()),
            "unavailable",
        ),
        ("the launcher left the workspace", |f, _| f.table.rows.borrow_mut().roles.clear(), "not-found"),
        (
            "the launcher may only view",
            |f, _| f.table.put_member(workspace(), actor().user, Role::View),
            "forbidden",
        ),
        (
            "the platform is no longer allowed",
            |f, _| f.table.rows.borrow_mut().workspaces.get_mut(&workspace_id()).unwrap().platforms.clear(),
            "refused",
        ),
    ];
    for (case, arrange, code) in cases {
        let (fixture, first) = launched(Platform::AwsBatch);
        arrange(&fixture, &first.run.id);
        let before = fixture.table.rows.borrow().runs.clone();
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), Some(KEY)));
        assert_eq!(error.code(), code, "{case}");
        assert_eq!(fixture.table.rows.borrow().runs, before, "{case}");
        assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched], "{case}");
        assert_eq!(fixture.target.names().len(), 1, "{case}");
    }
}

#[test]
fn a_replay_never_returns_another_callers_run() {
    // A row like this is the result of a bug, or of direct write access to the table.
    let cases: [(&str, ChangeRun); 3] = [
        ("another user's", |run| run.user = user_id(99)),
        ("another workspace's", |run| run.workspace = Some(WorkspaceId::new(4_242).unwrap())),
        ("on another platform", |run| run.platform = Platform::AwsBatch),
    ];
    for (case, change) in cases {
        let (fixture, first) = launched(Platform::Slurm);
        change_run(&fixture, &first.run.id, change);
        let before = fixture.table.rows.borrow().runs[&first.run.id].clone();
        let error = error_of(launch(&fixture, &request(Platform::Slurm), Some(KEY)));
        assert_eq!(error.code(), "bug", "{case}");
        assert_eq!(
            fixture.table.rows.borrow().runs[&first.run.id],
            before,
            "{case}: its tokens are the same"
        );
    }
}

#[test]
fn an_idempotency_record_expires_after_a_day() {
    for (case, now, same) in [("before", minutes(DAY - 1), true), ("at the instant", minutes(DAY), false)] {
        let (fixture, first) = launched(Platform::AwsBatch);
        let run = launch_at(&fixture, &request(Platform::AwsBatch), Some(KEY), now).unwrap().run;
        assert_eq!(run.id == first.run.id, same, "{case}");
    }
}

#[test]
fn another_key_or_none_is_another_launch() {
    for key in [Some("another-key-of-this-request"), None] {
        let (fixture, first) = launched(Platform::AwsBatch);
        let run = launch(&fixture, &request(Platform::AwsBatch), key).unwrap().run;
        assert_ne!(run.id, first.run.id, "{key:?}");
    }
}

/// The idempotency record of a launch of this request.
fn record_of(request: &LaunchRequest) -> (String, IdempotencyRecord) {
    let fixture = fixture();
    launch(&fixture, request, Some(KEY)).unwrap();
    fixture.table.rows.take().idempotency.pop_first().unwrap()
}

#[test]
fn of_two_concurrent_launches_the_second_opens_nothing() {
    let other = LaunchRequest { layout: Some(Layout::PerName), ..request(Platform::AwsBatch) };
    let cases = [
        ("same request", request(Platform::AwsBatch), "in-progress"),
        ("other request", other, "idempotency-mismatch"),
    ];
    for (case, first, code) in cases {
        let fixture = fixture();
        let (hash, known) = record_of(&first);
        fixture.table.before("begin_run", move |rows| {
            rows.idempotency.insert(hash, known);
        });
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), Some(KEY)));
        assert_eq!(error.code(), code, "{case}");
        assert_nothing_opened(&fixture, case);
        assert!(fixture.table.rows.borrow().runs.is_empty(), "{case}");
        assert_eq!(fixture.table.faults.count("run"), 0, "{case}: there is no run to end");
    }
}

#[test]
fn requests_that_differ_in_any_one_part_are_different_requests() {
    let these = |names: &[&str]| Selection::These(names.iter().map(|text| name(text)).collect());
    let both = || SecretSelection { workspace: these(&[]), user: these(&[]), optional: [].into() };
    let of = |secrets: SecretSelection| LaunchRequest { secrets, ..request(Platform::AwsBatch) };
    let base = || request(Platform::AwsBatch);
    let requests = [
        base(),
        LaunchRequest { workspace: None, ..base() },
        request(Platform::Slurm),
        request(Platform::Lsf),
        LaunchRequest { layout: Some(Layout::Bundle), ..base() },
        LaunchRequest { layout: Some(Layout::PerName), ..base() },
        LaunchRequest { layout: Some(Layout::Plugin), ..base() },
        of(both()),
        of(SecretSelection { workspace: Selection::All, ..both() }),
        of(SecretSelection { user: Selection::All, ..both() }),
        of(SecretSelection { workspace: these(&["LICENCE"]), ..both() }),
        of(SecretSelection { workspace: these(&["TOKEN"]), ..both() }),
        of(SecretSelection { workspace: these(&["LICENCE", "TOKEN"]), ..both() }),
        of(SecretSelection { user: these(&["TOKEN"]), ..both() }),
        of(SecretSelection { optional: [name("TOKEN")].into(), ..both() }),
        of(SecretSelection { optional: [name("LICENCE"), name("TOKEN")].into(), ..both() }),
    ];
    for (i, first) in requests.iter().enumerate() {
        let fixture = fixture();
        launch(&fixture, first, Some(KEY)).unwrap();
        for (j, second) in requests.iter().enumerate() {
            let outcome = launch(&fixture, second, Some(KEY)).map(|launched| launched.run.platform);
            match i == j {
                true => assert!(outcome.is_ok(), "{first:?} is not recognized"),
                false => assert_eq!(error_of(outcome).code(), "idempotency-mismatch", "{first:?} {second:?}"),
            }
        }
    }
}
