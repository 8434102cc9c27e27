use super::*;
use crate::platform::Platform;
use crate::role::Role;
use crate::testing::*;

fn describe(fixture: &Fixture, workspace: Option<WorkspaceId>, id: &RunId) -> Result<Run> {
    run_now(super::describe(&*fixture.table, &fixture.settings, &actor(), workspace, id))
}

fn list(
    fixture: &Fixture,
    workspace: Option<WorkspaceId>,
    state: Option<State>,
    limit: u32,
    after: Option<&RunId>,
) -> Result<Vec<RunId>> {
    let runs =
        run_now(super::list(&*fixture.table, &fixture.settings, &actor(), workspace, state, limit, after))?;
    Ok(runs.into_iter().map(|run| run.id).collect())
}

fn id(last: char) -> RunId {
    RunId::new(&format!("ab12ABCDEFGHI{last}")).unwrap()
}

/// A run of another participant of the workspace.
fn of_the_workspace() -> Run {
    Run { id: id('1'), user: user_id(8), ..run(Platform::Slurm, State::Running) }
}

fn of_the_caller() -> Run {
    Run { id: id('2'), workspace: None, ..run(Platform::Slurm, State::Ended) }
}

fn of_another_user() -> Run {
    Run { id: id('3'), workspace: None, user: user_id(8), ..run(Platform::Slurm, State::Ended) }
}

fn fixture(role: Option<Role>) -> Fixture {
    let fixture = Fixture::new();
    if let Some(role) = role {
        fixture.table.put_member(workspace(), actor().user, role);
    }
    for run in [of_the_workspace(), of_the_caller(), of_another_user()] {
        fixture.table.put_run(run);
    }
    fixture
}

#[test]
fn a_run_is_shown_to_its_launcher_and_to_every_member_of_its_workspace() {
    let here = Some(workspace_id());
    let other = WorkspaceId::new(43);
    let view = Some(Role::View);
    let cases = [
        ("workspace's, to a member", view, None, of_the_workspace(), true),
        ("workspace's, to a member who names it", view, here, of_the_workspace(), true),
        ("workspace's, where another is named", view, other, of_the_workspace(), false),
        ("workspace's, to another user", None, None, of_the_workspace(), false),
        ("workspace's, to another user who names it", None, here, of_the_workspace(), false),
        ("user's, to its launcher", None, None, of_the_caller(), true),
        ("user's, where a workspace is named", view, here, of_the_caller(), false),
        ("user's, to another", view, None, of_another_user(), false),
        ("unknown", view, None, Run { id: id('9'), ..of_the_caller() }, false),
        ("unknown, where a workspace is named", view, here, Run { id: id('9'), ..of_the_workspace() }, false),
    ];
    for (case, role, workspace, run, shown) in cases {
        let outcome = describe(&fixture(role), workspace, &run.id);
        match shown {
            true => assert_eq!(outcome.unwrap(), run, "{case}"),
            false => assert_eq!(error_of(outcome).code(), "not-found", "{case}"),
        }
    }
}

#[test]
fn a_token_of_one_workspace_shows_only_its_runs() {
    let describe_with = |only, run: &Run| {
        let by = Actor { workspace: WorkspaceId::new(only), ..actor() };
        let fixture = fixture(Some(Role::View));
        run_now(super::describe(&*fixture.table, &fixture.settings, &by, None, &run.id))
    };
    let only = workspace_id().number();
    assert_eq!(describe_with(only, &of_the_workspace()).unwrap().id, of_the_workspace().id);
    for (only, run) in [(only, of_the_caller()), (43, of_the_workspace()), (43, of_the_caller())] {
        assert_eq!(error_of(describe_with(only, &run)).code(), "not-found", "{only} {}", run.id);
    }
}

#[test]
fn a_launcher_who_left_the_workspace_no_longer_sees_its_runs() {
    let fixture = fixture(None);
    let run = Run { user: actor().user, ..of_the_workspace() };
    fixture.table.put_run(run.clone());
    assert_eq!(error_of(describe(&fixture, None, &run.id)).code(), "not-found");
}

/// Response times must not reveal whether a run exists.
#[test]
fn an_unknown_run_costs_the_same_calls_as_one_that_the_caller_may_not_see() {
    let here = Some(workspace_id());
    for (case, workspace, id) in [
        ("unknown", None, id('9')),
        ("another user's", None, id('3')),
        ("a workspace's", None, id('1')),
        ("unknown in a named workspace", here, id('9')),
        ("in a named workspace", here, id('1')),
    ] {
        let fixture = fixture(None);
        assert_eq!(error_of(describe(&fixture, workspace, &id)).code(), "not-found", "{case}");
        assert_eq!(fixture.table.faults.calls(), ["run", "role"], "{case}");
    }
}

#[test]
fn runs_of_a_scope_are_listed_a_page_at_a_time() {
    let here = Some(workspace_id());
    let fixture = fixture(Some(Role::View));
    fixture.table.put_run(Run { id: id('4'), ..run(Platform::Slurm, State::Ended) });
    fixture.table.put_run(Run { id: id('5'), ..run(Platform::Slurm, State::Running) });
    let cases = [
        ("workspace's", here, None, 9, None, vec![id('5'), id('4'), id('1')]),
        ("user's", None, None, 9, None, vec![id('2')]),
        ("in one state", here, Some(State::Running), 9, None, vec![id('5'), id('1')]),
        ("first page", here, None, 2, None, vec![id('5'), id('4')]),
        ("next page", here, None, 2, Some(id('4')), vec![id('1')]),
    ];
    for (case, workspace, state, limit, after, expected) in cases {
        assert_eq!(list(&fixture, workspace, state, limit, after.as_ref()).unwrap(), expected, "{case}");
    }
}

#[test]
fn runs_of_a_workspace_are_listed_for_members_only() {
    let fixture = fixture(None);
    assert_eq!(error_of(list(&fixture, Some(workspace_id()), None, 9, None)).code(), "not-found");
    assert_eq!(fixture.table.faults.calls(), ["role"]);
}

#[test]
fn a_failed_read_is_an_error() {
    for (call, operation) in [("run", "describe"), ("role", "describe"), ("role", "list"), ("runs", "list")] {
        let fixture = fixture(Some(Role::View));
        fixture.table.faults.fail(call, unavailable());
        let code = match operation {
            "describe" => error_of(describe(&fixture, None, &id('1'))).code(),
            _ => error_of(list(&fixture, Some(workspace_id()), None, 9, None)).code(),
        };
        assert_eq!(code, "unavailable", "{operation}, {call}");
    }
}
