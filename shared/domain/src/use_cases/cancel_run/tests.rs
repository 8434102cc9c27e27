use super::*;
use crate::audit::AuditAction;
use crate::head_job::ObservedJob;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::ports::RunNotice;
use crate::role::Role;
use crate::run::{JobStatus, Outcome, ReportedBy, RunResult};
use crate::testing::*;

fn cancel(fixture: &Fixture, workspace: Option<WorkspaceId>, id: &RunId, forced: bool) -> Result<()> {
    cancel_as(fixture, &actor(), workspace, id, forced)
}

fn cancel_as(
    fixture: &Fixture,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    id: &RunId,
    forced: bool,
) -> Result<()> {
    let canceller = Canceller {
        store: fixture.table.clone(),
        jobs: fixture.jobs.clone(),
        environments: fixture.environments.clone(),
        bus: fixture.bus.clone(),
    };
    run_now(canceller.cancel(actor, workspace, id, forced, &fixture.context()))
}

/// A table with this run, in which the caller has this role in the workspace.
fn with_run(role: Option<Role>, run: &Run) -> Fixture {
    let fixture = Fixture::new();
    if let Some(role) = role {
        fixture.table.put_member(workspace(), actor().user, role);
    }
    fixture.table.put_run(run.clone());
    fixture
}

fn of_another(run: Run) -> Run {
    Run { user: UserId::new(8).unwrap(), ..run }
}

fn running() -> Run {
    run(Platform::AwsBatch, State::Running)
}

fn with_head_job(status: JobStatus) -> (Run, Fixture) {
    let mut run = running();
    run.lifecycle.head_job = Some(HeadJob {
        job_id: "job-1".into(),
        queue: "arn:queue".into(),
        region: "eu-west-1".into(),
        account: None,
    });
    let fixture = with_run(Some(Role::Owner), &run);
    fixture.jobs.put("job-1", ObservedJob { status, ..ObservedJob::unknown() });
    (run, fixture)
}

#[test]
fn a_run_is_cancelled_by_its_launcher_and_by_who_manages_runs_of_its_workspace() {
    let here = Some(workspace_id());
    let elsewhere = WorkspaceId::new(43);
    let of_user = || Run { workspace: None, ..running() };
    for (case, role, named, run, expected) in [
        ("another's, by an owner", Some(Role::Owner), here, of_another(running()), None),
        ("another's, by an admin", Some(Role::Admin), here, of_another(running()), None),
        ("another's, by maintain", Some(Role::Maintain), here, of_another(running()), None),
        ("another's, by launch", Some(Role::Launch), here, of_another(running()), Some("forbidden")),
        ("another's, by a viewer", Some(Role::View), here, of_another(running()), Some("forbidden")),
        ("the launcher's", Some(Role::Launch), here, running(), None),
        ("the launcher's, who has lost the role", Some(Role::View), here, running(), None),
        ("the launcher's, who has left", None, here, running(), Some("not-found")),
        (
            "another's, by a user who is not a participant",
            None,
            here,
            of_another(running()),
            Some("not-found"),
        ),
        ("of the workspace, where none is named", Some(Role::Owner), None, running(), Some("not-found")),
        (
            "of the workspace, where another is named",
            Some(Role::Owner),
            elsewhere,
            running(),
            Some("not-found"),
        ),
        ("of the user", None, None, of_user(), None),
        ("of the user, where a workspace is named", Some(Role::Owner), here, of_user(), Some("not-found")),
        ("of another user", Some(Role::Owner), None, of_another(of_user()), Some("not-found")),
    ] {
        let fixture = with_run(role, &run);
        let outcome = cancel(&fixture, named, &run.id, false);
        assert_eq!(outcome.err().map(|error| error.code()), expected, "{case}");
        let after = fixture.table.stored_run(&run.id);
        if expected.is_some() {
            assert_eq!(after, run, "{case}");
            assert!(fixture.bus.announced.borrow().is_empty(), "{case}");
        } else {
            assert_eq!(after.lifecycle.state, State::Ending, "{case}");
            assert_eq!(*fixture.bus.announced.borrow(), [(run.id.clone(), RunNotice::Look)], "{case}");
        }
    }
}

#[test]
fn a_token_of_another_workspace_does_not_show_whether_a_run_exists() {
    let unknown = RunId::new("ab12JIHGFEDCBA").unwrap();
    for run in [of_another(running()), Run { workspace: None, ..running() }] {
        let fixture = with_run(Some(Role::Owner), &run);
        let limited = Actor { workspace: WorkspaceId::new(43), ..actor() };
        for (named, id) in [(run.workspace, &run.id), (run.workspace, &unknown)] {
            let outcome = cancel_as(&fixture, &limited, named, id, false);
            assert_eq!(outcome.unwrap_err().code(), "token-limited");
        }
        assert!(fixture.table.faults.calls().is_empty(), "nothing is read");
    }
}

/// Response times must not reveal whether a run exists.
#[test]
fn an_unknown_run_costs_the_same_calls_as_one_that_the_caller_may_not_see() {
    let unknown = RunId::new("ab12JIHGFEDCBA").unwrap();
    let foreign = of_another(running());
    for (named, calls) in [(Some(workspace_id()), vec!["run", "role"]), (None, vec!["run"])] {
        for id in [&unknown, &foreign.id] {
            let fixture = with_run(None, &foreign);
            let error = error_of(cancel(&fixture, named, id, true));
            assert_eq!(error.to_string(), Error::NotFound.to_string());
            assert_eq!(fixture.table.faults.calls(), calls, "{named:?} {id}");
            assert!(fixture.jobs.faults.calls().is_empty());
        }
    }
    let fixture = with_run(Some(Role::View), &foreign);
    assert_eq!(error_of(cancel(&fixture, Some(workspace_id()), &unknown, false)).code(), "not-found");
    fixture.table.faults.fail("role", unavailable());
    assert_eq!(error_of(cancel(&fixture, Some(workspace_id()), &unknown, false)).code(), "unavailable");
}

#[test]
fn the_receipt_and_the_audit_trail_say_who_cancelled() {
    for (run, forced, actions) in [
        (of_another(running()), false, vec![AuditAction::RunCancelled]),
        (of_another(running()), true, vec![AuditAction::RunCancelled]),
        (of_another(run(Platform::Slurm, State::Pending)), false, vec![AuditAction::RunCancelled]),
    ] {
        let fixture = with_run(Some(Role::Owner), &run);
        cancel(&fixture, Some(workspace_id()), &run.id, forced).unwrap();
        let expected = Outcome {
            result: RunResult::Cancelled,
            exit_status: None,
            reported_by: ReportedBy::User,
            cancelled_by: Some(actor().user),
        };
        assert_eq!(fixture.table.stored_run(&run.id).lifecycle.outcome, Some(expected));
        assert_eq!(fixture.table.actions(), actions);
        let [record] = fixture.table.audit().try_into().expect("one record");
        assert_eq!((record.actor, record.run), (Some(actor().user), Some(run.id)));
        assert_eq!(record.detail.as_deref(), forced.then_some("forced"));
    }
}

#[test]
fn describe_jobs_decides_whether_a_run_with_a_head_job_ends_unless_forced() {
    let succeeded = JobStatus::Final { succeeded: true, exit_status: Some(0) };
    for (status, forced, code, result, observed) in [
        (JobStatus::NotFinal, false, Some("conflict"), None, 1),
        (JobStatus::Unknown, false, Some("conflict"), None, 1),
        (succeeded, false, None, Some(RunResult::Succeeded), 1),
        (JobStatus::NotFinal, true, None, Some(RunResult::Cancelled), 0),
    ] {
        let case = format!("{status:?}, forced: {forced}");
        let (run, fixture) = with_head_job(status);
        let outcome = cancel(&fixture, Some(workspace_id()), &run.id, forced);
        if let Err(error) = &outcome {
            assert!(
                error.to_string().contains("job-1") && error.to_string().contains("force=true"),
                "{case}"
            );
        }
        assert_eq!(outcome.err().map(|error| error.code()), code, "{case}");
        let after = fixture.table.stored_run(&run.id);
        assert_eq!(after.lifecycle.outcome.as_ref().map(|outcome| outcome.result), result, "{case}");
        assert_eq!(after == run, code.is_some(), "{case}: a refusal changes nothing");
        assert_eq!(fixture.jobs.faults.calls().len(), observed, "{case}");
    }
    let (run, fixture) = with_head_job(JobStatus::NotFinal);
    fixture.jobs.faults.fail("observe_job", unavailable());
    assert_eq!(error_of(cancel(&fixture, Some(workspace_id()), &run.id, false)).code(), "unavailable");
    assert_eq!(fixture.table.stored_run(&run.id), run);
}

#[test]
fn a_run_that_is_being_launched_is_refused_and_an_ended_run_is_left_as_it_is() {
    for (state, forced, expected) in [
        (State::Provisioning, false, Some("conflict")),
        (State::Provisioning, true, Some("conflict")),
        (State::Ending, false, None),
        (State::Ended, true, None),
    ] {
        let before = run(Platform::AwsBatch, state);
        let fixture = with_run(Some(Role::Owner), &before);
        let outcome = cancel(&fixture, Some(workspace_id()), &before.id, forced);
        assert_eq!(outcome.err().map(|error| error.code()), expected, "{state:?}");
        assert_eq!(fixture.table.stored_run(&before.id), before, "{state:?}");
        assert!(fixture.table.audit().is_empty() && fixture.bus.announced.borrow().is_empty(), "{state:?}");
    }
}

#[test]
fn a_cancellation_is_decided_again_after_a_conflict_and_repeated_without_effect() {
    let before = running();
    let fixture = with_run(Some(Role::Owner), &before);
    let id = before.id.clone();
    fixture.table.before("save_lifecycle", move |rows| {
        rows.runs.get_mut(&id).unwrap().lifecycle.revision += 1;
    });
    cancel(&fixture, Some(workspace_id()), &before.id, false).unwrap();
    assert_eq!(fixture.backoff.attempts(), [1]);
    let after = fixture.table.stored_run(&before.id);
    cancel(&fixture, Some(workspace_id()), &before.id, false).unwrap();
    assert_eq!(fixture.table.stored_run(&before.id), after);
    assert_eq!(fixture.table.actions(), [AuditAction::RunCancelled]);
}

#[test]
fn a_lost_answer_or_event_delays_only_the_clean_up() {
    let before = running();
    let fixture = with_run(Some(Role::Owner), &before);
    fixture.table.faults.lose_answer("save_lifecycle", unavailable());
    assert_eq!(error_of(cancel(&fixture, Some(workspace_id()), &before.id, false)).code(), "unavailable");
    assert!(fixture.bus.announced.borrow().is_empty());
    assert_eq!(fixture.table.stored_run(&before.id).lifecycle.due, Some(NOW), "the sweep finds it");
    cancel(&fixture, Some(workspace_id()), &before.id, false).unwrap();
    let fixture = with_run(Some(Role::Owner), &before);
    fixture.bus.faults.fail("announce", unavailable());
    cancel(&fixture, Some(workspace_id()), &before.id, false).unwrap();
    assert_eq!(fixture.table.stored_run(&before.id).lifecycle.due, Some(NOW));
}
