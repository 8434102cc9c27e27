use super::*;
use crate::environment::{CredentialsId, Duty, EnvironmentId, StoredEnvironment, Target};
use crate::ids::WorkspaceId;
use crate::settings::LiveLimits;
use crate::testing::{environment, environment_refused};

const KEY: &str = "0123456789abcdef";

/// The fixture, with an environment of the workspace.
fn with_environment() -> Fixture {
    let fixture = fixture();
    let stored = StoredEnvironment {
        environment: environment(),
        workspace: workspace_id(),
        name: "Sydney".into(),
        description: None,
        credentials: CredentialsId::parse("0123456789abcdefghijkl").unwrap(),
        config: "{}".into(),
        proved: NOW,
        failure: None,
        created: NOW,
        created_by: actor().user,
        updated: NOW,
    };
    fixture.table.rows.borrow_mut().environments.insert((workspace_id(), environment().id), stored);
    fixture
}

fn elsewhere() -> LaunchRequest {
    LaunchRequest { compute_env: Some(environment().id), ..request(Platform::AwsBatch) }
}

#[test]
fn a_run_in_an_environment_gets_its_copies_there_in_a_session_of_its_name() {
    let fixture = with_environment();
    let run = launch(&fixture, &elsewhere(), None).unwrap().run;
    assert_eq!(run.target, Target::Elsewhere(environment()), "pinned in the run");
    assert_eq!(fixture.table.stored_run(&run.id), run);
    assert!(fixture.target.faults.calls().is_empty(), "nothing is created at home");
    assert_eq!(fixture.environments.target.names(), [format!("tower-{}", run.id)]);
    let session = (Duty::Deliver, environment().role, run.id.to_string());
    assert_eq!(*fixture.environments.sessions.borrow(), [session], "one session");
}

#[test]
fn a_role_that_refuses_ends_the_launch_before_an_intent_is_written_or_a_value_is_read() {
    let fixture = with_environment();
    for (failure, code) in [(environment_refused(), "environment-refused"), (unavailable(), "unavailable")] {
        fixture.environments.faults.fail("assume_role", failure);
        assert_eq!(error_of(launch(&fixture, &elsewhere(), Some(KEY))).code(), code);
    }
    assert!(fixture.table.rows.borrow().runs.is_empty());
    for call in ["begin_run", "sealed_values"] {
        assert_eq!(fixture.table.faults.count(call), 0, "{call}");
    }
    assert!(fixture.keys.faults.count("decrypt_data_key") == 0);
    launch(&fixture, &elsewhere(), Some(KEY)).unwrap();
}

#[test]
fn a_run_that_ended_in_an_environment_and_waits_for_it_counts_only_for_launches_in_environments() {
    let mut fixture = with_environment();
    fixture.settings.live_limits = LiveLimits { runs_per_user: 1, ..LiveLimits::default() };
    let run = launch(&fixture, &elsewhere(), None).unwrap().run;
    for (state, at_home) in [(State::Running, "too-many-live-runs"), (State::Ending, "ok")] {
        let mut run = run.clone();
        run.lifecycle.state = state;
        fixture.table.put_run(run);
        for (request, expected) in
            [(elsewhere(), "too-many-live-runs"), (request(Platform::AwsBatch), at_home)]
        {
            let code = launch(&fixture, &request, None).map_or_else(|error| error.code(), |_| "ok");
            assert_eq!(code, expected, "{state:?}, {:?}", request.compute_env);
        }
    }
}

#[test]
fn the_audit_record_of_a_launch_names_its_environment_and_that_of_its_claim_or_end_does_not() {
    let fixture = with_environment();
    let run = launch(&fixture, &elsewhere(), None).unwrap().run;
    let at_home = launch(&fixture, &request(Platform::AwsBatch), None).unwrap().run;
    let context = fixture.context();
    let expected =
        format!("compute environment {}, {}, {}", environment().id, environment().region, environment().role);
    for (run, action, detail) in [
        (&run, AuditAction::RunLaunched, Some(expected)),
        (&run, AuditAction::RunTokensRenewed, None),
        (&at_home, AuditAction::RunLaunched, None),
    ] {
        assert_eq!(run.audit_record(action, &context).detail, detail, "{action:?}");
    }
}

#[test]
fn an_environment_whose_last_check_failed_is_refused_with_what_was_wrong() {
    let fixture = with_environment();
    let fail = |failure: Option<&str>| {
        let mut rows = fixture.table.rows.borrow_mut();
        let stored = rows.environments.get_mut(&(workspace_id(), environment().id)).unwrap();
        stored.failure = failure.map(str::to_owned);
    };
    fail(Some("The role lets anyone in."));
    let error = error_of(launch(&fixture, &elsewhere(), None));
    assert_eq!(error.code(), "refused");
    assert!(error.to_string().contains("The role lets anyone in."), "{error}");
    assert!(fixture.environments.sessions.borrow().is_empty());
    fail(None);
    launch(&fixture, &elsewhere(), None).unwrap();
}

#[test]
fn an_environment_of_another_workspace_does_not_exist() {
    let fixture = with_environment();
    let other = WorkspaceId::new(43).unwrap();
    let stored = fixture.table.rows.borrow_mut().environments.pop_first().unwrap().1;
    fixture.table.rows.borrow_mut().environments.insert((other, environment().id), stored);
    let unknown = EnvironmentId::parse("zzzzzzzzzzzzzzzzzzzzzz").unwrap();
    for id in [environment().id, unknown] {
        let request = LaunchRequest { compute_env: Some(id), ..request(Platform::AwsBatch) };
        let error = error_of(launch(&fixture, &request, None));
        assert_eq!(
            error.to_string(),
            "computeEnvId: this workspace has no compute environment with this ID."
        );
    }
    assert!(fixture.environments.sessions.borrow().is_empty());
}

#[test]
fn an_environment_needs_a_workspace_and_aws_batch_and_permission_comes_first() {
    let fixture = with_environment();
    for (case, request, code) in [
        ("HPC", LaunchRequest { platform: Platform::Slurm, ..elsewhere() }, "invalid"),
        ("no workspace", LaunchRequest { workspace: None, ..elsewhere() }, "invalid"),
        (
            "another's workspace",
            LaunchRequest { workspace: WorkspaceId::new(43), ..elsewhere() },
            "not-found",
        ),
    ] {
        assert_eq!(error_of(launch(&fixture, &request, None)).code(), code, "{case}");
    }
    fixture.table.rows.borrow_mut().roles.insert((workspace_id(), actor().user), Role::View);
    let unknown = Some(EnvironmentId::parse("zzzzzzzzzzzzzzzzzzzzzz").unwrap());
    for compute_env in [elsewhere().compute_env, unknown] {
        let request = LaunchRequest { compute_env, ..elsewhere() };
        assert_eq!(error_of(launch(&fixture, &request, None)).code(), "forbidden");
    }
    fixture.table.rows.borrow_mut().roles.clear();
    assert_eq!(error_of(launch(&fixture, &elsewhere(), None)).code(), "not-found");
    assert!(fixture.environments.sessions.borrow().is_empty());
}

#[test]
fn the_environment_is_part_of_what_an_idempotency_key_is_for() {
    let fixture = with_environment();
    let first = launch(&fixture, &elsewhere(), Some(KEY)).unwrap().run;
    // A replay needs no working role: its copies exist.
    fixture.environments.unreachable.set(true);
    assert_eq!(launch(&fixture, &elsewhere(), Some(KEY)).unwrap().run.id, first.id);
    let error = error_of(launch(&fixture, &request(Platform::AwsBatch), Some(KEY)));
    assert_eq!(error.code(), "idempotency-mismatch");
}

#[test]
fn a_launch_that_starts_again_under_another_id_has_another_session() {
    let fixture = with_environment();
    fixture.table.faults.fail("begin_run", Error::Contended);
    let run = launch(&fixture, &elsewhere(), None).unwrap().run;
    let sessions = fixture.environments.sessions.borrow();
    let names: Vec<_> = sessions.iter().map(|(_, _, name)| name.as_str()).collect();
    assert_eq!((names.len(), names[1]), (2, run.id.as_str()));
    assert_ne!(names[0], names[1]);
}
