//! Launches that are refused before the intent is written.

use super::*;
use crate::settings::{LaunchWithoutWorkspace, LiveLimits};

type Arrange = fn(&mut Fixture, &mut LaunchRequest);

/// What is wrong, and the code and text of the error.
type Case = (&'static str, Arrange, &'static str, &'static str);

#[test]
fn a_refused_launch_writes_and_opens_nothing() {
    fn change(fixture: &Fixture, change: impl FnOnce(&mut Secret)) {
        let mut rows = fixture.table.rows.borrow_mut();
        change(rows.secrets.get_mut(&(of_user(), token().id)).unwrap());
    }
    let cases: [Case; 12] = [
        ("no member", |f, _| f.table.rows.borrow_mut().roles.clear(), "not-found", "Not found"),
        (
            "role without the right",
            |f, _| f.table.put_member(workspace(), actor().user, Role::Connect),
            "forbidden",
            "Required role: owner, admin, maintain or launch",
        ),
        (
            "platform not allowed",
            |f, _| f.table.rows.borrow_mut().workspaces.get_mut(&workspace_id()).unwrap().platforms.clear(),
            "refused",
            "does not allow launches on aws-batch. A workspace owner or admin can allow the platform",
        ),
        (
            "expired at this instant",
            |f, _| change(f, |secret| secret.expires = Some(NOW)),
            "refused",
            "the user secret TOKEN has expired",
        ),
        (
            "value lost",
            |f, _| change(f, |secret| secret.properties.lost = true),
            "refused",
            "the user secret TOKEN was lost when the service was restored from a backup: set it again",
        ),
        (
            "not carried by Nextflow's store",
            |f, request| {
                request.platform = Platform::Slurm;
                change(f, |secret| secret.properties.nextflow_store = false);
            },
            "refused",
            "the user secret TOKEN cannot pass through Nextflow's secrets store unchanged: store it as base64",
        ),
        (
            "unknown secret",
            |_, request| request.secrets.workspace = Selection::These([name("ABSENT")].into()),
            "refused",
            "there is no workspace secret ABSENT",
        ),
        (
            "membership cannot be read",
            |f, _| f.table.faults.fail("role_and_workspace", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "secrets cannot be read",
            |f, _| f.table.faults.fail("secrets", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "live runs cannot be counted",
            |f, _| f.table.faults.fail("live_runs", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "idempotency key cannot be looked up",
            |f, _| f.table.faults.fail("find_idempotency_record", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "write not allowed",
            |f, _| f.table.faults.fail("begin_run", Error::NotFound),
            "not-found",
            "Not found",
        ),
    ];
    check_refused(&cases);
}

#[test]
fn a_refused_launch_without_a_workspace_writes_and_opens_nothing() {
    let cases: [Case; 3] = [
        (
            "no role in any workspace",
            |f, request| {
                request.workspace = None;
                f.table.put_member(workspace(), actor().user, Role::View);
            },
            "refused",
            "for users without permission to launch in any workspace. Name a workspace",
        ),
        (
            "launches without a workspace are not allowed",
            |f, request| {
                request.workspace = None;
                f.settings.launch_without_workspace = LaunchWithoutWorkspace::NoOne;
            },
            "refused",
            "does not allow launches without a workspace. Name",
        ),
        (
            "roles cannot be read",
            |f, request| {
                request.workspace = None;
                f.table.faults.fail("roles_of_user", unavailable());
            },
            "unavailable",
            "Retry in a moment",
        ),
    ];
    check_refused(&cases);
}

fn check_refused(cases: &[Case]) {
    for (case, arrange, code, text) in cases {
        let (mut fixture, mut request) = (fixture(), request(Platform::AwsBatch));
        arrange(&mut fixture, &mut request);
        let error = error_of(launch(&fixture, &request, Some("a-key-of-this-request")));
        assert_eq!(error.code(), *code, "{case}");
        assert!(error.to_string().contains(*text), "{case}: {error}");
        assert_nothing_opened(&fixture, case);
        assert!(fixture.table.rows.borrow().runs.is_empty(), "{case}: a run was written");
        assert!(fixture.table.rows.borrow().idempotency.is_empty(), "{case}: the key was taken");
        assert_eq!(fixture.table.actions(), [], "{case}");
        assert_eq!(fixture.table.faults.count("run"), 0, "{case}: there is no run to end");
        assert_eq!(fixture.backoff.attempts(), [0; 0], "{case}: retried");
    }
}

#[test]
fn a_launch_beyond_the_limit_of_live_runs_is_refused_unless_it_repeats_an_earlier_one() {
    let mut fixture = fixture();
    fixture.settings.live_limits = LiveLimits { runs_per_user: 1, ..LiveLimits::default() };
    let (request, key) = (request(Platform::AwsBatch), Some("a-key-of-this-request"));
    let run = launch(&fixture, &request, key).unwrap().run;
    let error = error_of(launch(&fixture, &request, None));
    assert_eq!(error.code(), "too-many-live-runs");
    assert_eq!(launch(&fixture, &request, key).unwrap().run.id, run.id);
    assert_eq!(only_run(&fixture).id, run.id, "nothing was written");
    let own = LaunchRequest { workspace: None, ..request };
    launch(&fixture, &own, None).unwrap();
}

#[test]
fn a_workspace_has_the_limit_of_all_its_users_and_user_secrets_alone_that_of_one() {
    let mut fixture = fixture();
    let limits = |user, workspace| LiveLimits {
        runs_per_user: user,
        runs_per_workspace: workspace,
        ..LiveLimits::default()
    };
    let of_workspace = request(Platform::AwsBatch);
    for of_others in [true, false] {
        let request = match of_others {
            true => of_workspace.clone(),
            false => LaunchRequest { workspace: None, ..of_workspace.clone() },
        };
        fixture.settings.live_limits = if of_others { limits(1, 2) } else { limits(2, 1) };
        for _ in 0..2 {
            let run = launch(&fixture, &request, None).unwrap().run;
            if of_others {
                fixture.table.rows.borrow_mut().runs.get_mut(&run.id).unwrap().user = user_id(8);
            }
        }
        let text = error_of(launch(&fixture, &request, None)).to_string();
        assert!(text.contains("reached the limit of 2"), "{of_others}: {text}");
    }
}

#[test]
fn everyone_may_launch_without_a_workspace_where_the_deployment_allows_it() {
    let mut fixture = fixture();
    fixture.settings.launch_without_workspace = LaunchWithoutWorkspace::Everyone;
    fixture.table.rows.borrow_mut().roles.clear();
    launch(&fixture, &LaunchRequest { workspace: None, ..request(Platform::AwsBatch) }, None).unwrap();
    assert_eq!(fixture.table.faults.count("roles_of_user"), 0);
}

#[test]
fn a_secret_is_delivered_until_it_expires() {
    for (case, now, delivered) in
        [("before", minutes(4), true), ("at the instant", minutes(5), false), ("after", minutes(6), false)]
    {
        let fixture = fixture();
        fixture.put_secret(&Secret { expires: Some(minutes(5)), ..token() }, "token text");
        let launched = launch_at(&fixture, &request(Platform::AwsBatch), None, now);
        assert_eq!(launched.is_ok(), delivered, "{case}");
        assert_eq!(fixture.target.names().len(), usize::from(delivered), "{case}");
    }
}

#[test]
fn a_malformed_idempotency_key_is_refused_before_it_is_looked_up() {
    let fixture = fixture();
    let error = error_of(launch(&fixture, &request(Platform::AwsBatch), Some("short")));
    assert!(error.to_string().starts_with("Idempotency-Key must have 16 to 256"), "{error}");
    assert_eq!(fixture.table.faults.calls(), ["role_and_workspace"]);
}
