//! Launches that succeed. Refused, failed and repeated launches are in their own modules.

mod environments;
mod failed;
mod refused;
mod repeated;
mod reserved;

use jiff::Timestamp;

use super::*;
use crate::audit::{AuditRecord, Subject};
use crate::copies::Layout;
use crate::ids::{SecretId, TokenId};
use crate::platform::Platform;
use crate::resolve::SecretSelection;
use crate::role::Role;
use crate::run::{Outcome, PinnedSecret, ReportedBy};
use crate::secret::Secret;
use crate::testing::*;
use crate::token::PresentedToken;

const DAY: i64 = 24 * 60;

fn launch(fixture: &Fixture, request: &LaunchRequest, idempotency_key: Option<&str>) -> Result<Launched> {
    launch_at(fixture, request, idempotency_key, NOW)
}

fn launch_at(
    fixture: &Fixture,
    request: &LaunchRequest,
    idempotency_key: Option<&str>,
    now: Timestamp,
) -> Result<Launched> {
    launch_as(fixture, &actor(), request, idempotency_key, now)
}

fn launch_as(
    fixture: &Fixture,
    actor: &Actor,
    request: &LaunchRequest,
    idempotency_key: Option<&str>,
    now: Timestamp,
) -> Result<Launched> {
    let launcher = Launcher {
        store: fixture.table.clone(),
        keys: fixture.keys.clone(),
        copies: fixture.target.clone(),
        environments: fixture.environments.clone(),
        bus: fixture.bus.clone(),
        prefix: fixture.prefix.clone(),
    };
    run_now(launcher.launch(actor, request, idempotency_key, &fixture.context_at(now)))
}

fn licence() -> Secret {
    secret(of_workspace(), 1, "LICENCE")
}

/// Has the same id as the workspace's licence, so only the owner distinguishes them.
fn token() -> Secret {
    secret(of_user(), 1, "TOKEN")
}

/// A launcher, a workspace secret, and a user secret that overrides another workspace secret.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_member(workspace(), actor().user, Role::Launch);
    fixture.put_secret(&licence(), "licence text");
    fixture.put_secret(&secret(of_workspace(), 2, "TOKEN"), "overridden text");
    fixture.put_secret(&token(), "token text");
    fixture
}

fn request(platform: Platform) -> LaunchRequest {
    LaunchRequest {
        workspace: Some(workspace_id()),
        platform,
        layout: None,
        compute_env: None,
        secrets: SecretSelection::default(),
    }
}

fn pins() -> Vec<PinnedSecret> {
    let overrides = SecretId::new(2);
    vec![pin_of(&licence()), PinnedSecret { overrides, ..pin_of(&token()) }]
}

fn subjects() -> Vec<Subject> {
    let of_pin = |pin: PinnedSecret| Subject {
        owner: pin.owner,
        id: pin.id,
        name: pin.name,
        version: pin.version,
        overrides: pin.overrides,
    };
    pins().into_iter().map(of_pin).collect()
}

fn only_run(fixture: &Fixture) -> Run {
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.runs.len(), 1, "exactly one run is stored");
    rows.runs.values().next().unwrap().clone()
}

fn assert_nothing_opened(fixture: &Fixture, case: &str) {
    assert_eq!(fixture.keys.faults.count("decrypt_data_key"), 0, "{case}: a value was opened");
    assert_eq!(fixture.target.faults.count("create_copy"), 0, "{case}: a copy was created");
}

fn is_run_token(token: &str, run: &Run) -> bool {
    match PresentedToken::from_authorization(&format!("Bearer {token}")) {
        Some(PresentedToken::Run(id, key)) => id == run.id && run.lifecycle.run_token.matches(&key),
        _ => false,
    }
}

fn is_claim_token(token: &str, run: &Run) -> bool {
    match PresentedToken::from_authorization(&format!("Bearer {token}")) {
        Some(PresentedToken::Opaque(key)) => {
            run.lifecycle.claim_token.as_ref().is_some_and(|hash| hash.matches(&key))
        }
        _ => false,
    }
}

#[test]
fn a_run_names_the_token_of_its_launch() {
    for token in [None, TokenId::new(5)] {
        let fixture = fixture();
        let actor = Actor { token, ..actor() };
        launch_as(&fixture, &actor, &request(Platform::Slurm), None, NOW).unwrap();
        assert_eq!(only_run(&fixture).launched_with, token);
    }
}

#[test]
fn the_intent_names_every_secret_and_copy_before_one_exists() {
    let fixture = fixture();
    fixture.table.faults.lose_answer("begin_run", unavailable());
    fixture.table.faults.fail("run", unavailable());
    error_of(launch(&fixture, &request(Platform::AwsBatch), None));

    let intent = only_run(&fixture);
    assert!(intent.id.as_str().starts_with(fixture.prefix.as_str()));
    assert_nothing_opened(&fixture, "intent");
    let expected = Run {
        id: intent.id.clone(),
        workspace: Some(workspace_id()),
        user: actor().user,
        launched_with: None,
        platform: Platform::AwsBatch,
        layout: Layout::Bundle,
        created: NOW,
        not_after: minutes(30 * DAY),
        target: crate::environment::Target::Home,
        lifecycle: Lifecycle {
            revision: 1,
            state: State::Provisioning,
            due: Some(minutes(2)),
            lease_until: minutes(2),
            secrets: pins(),
            copies: vec![RunCopy {
                name: format!("tower-{}", intent.id),
                arn: None,
                holds: vec![name("LICENCE"), name("TOKEN")],
                store: false,
            }],
            run_token: intent.lifecycle.run_token.clone(),
            claim_token: None,
            claimed: None,
            delivered: None,
            head_job: None,
            outcome: None,
            ending: None,
            removed: None,
        },
    };
    assert_eq!(intent, expected);
}

#[test]
fn a_launch_on_aws_batch_creates_copies_and_shows_a_run_token() {
    let fixture = fixture();
    let Launched { run, tokens } = launch(&fixture, &request(Platform::AwsBatch), None).unwrap();

    assert_eq!(run, fixture.table.stored_run(&run.id));
    assert_eq!((run.lifecycle.state, run.lifecycle.revision), (State::Pending, 2));
    assert_eq!((run.lifecycle.due, run.lifecycle.delivered), (Some(minutes(DAY)), Some(NOW)));
    let name = format!("tower-{}", run.id);
    assert_eq!(run.lifecycle.copies.len(), 1);
    assert_eq!(run.lifecycle.copies[0].arn, Some(format!("arn:{name}")));

    let copy = fixture.target.copies.borrow()[&name].clone();
    assert_eq!(copy.body, r#"{"LICENCE":"licence text","TOKEN":"token text"}"#);
    assert_eq!(copy.deployment.as_deref(), Some("test"));
    assert_eq!(copy.scope.as_deref(), Some("workspace/42"));
    assert_eq!(copy.run.as_deref(), Some(run.id.as_str()));
    assert_eq!(copy.not_after, Some(run.not_after));

    let tokens = tokens.unwrap();
    assert!(is_run_token(&tokens.run, &run));
    assert!(tokens.claim.is_none());
    assert_eq!(*fixture.bus.announced.borrow(), [(run.id.clone(), RunNotice::Delivered)]);
    assert_eq!(
        fixture.table.faults.calls(),
        [
            "role_and_workspace",
            "secrets",
            "secrets",
            "live_runs",
            "begin_run",
            "sealed_values",
            "save_lifecycle"
        ]
    );
    assert_eq!(
        fixture.table.audit(),
        [AuditRecord {
            scope: of_workspace(),
            at: NOW,
            id: fixture.table.audit()[0].id.clone(),
            actor: Some(actor().user),
            action: AuditAction::RunLaunched,
            subjects: subjects(),
            run: Some(run.id),
            person: None,
            detail: None,
        }]
    );
}

#[test]
fn a_launch_for_the_plugin_makes_the_bundle_and_the_store_with_the_same_tags_and_calls() {
    let [bundle, plugin] = [Layout::Bundle, Layout::Plugin].map(|layout| {
        let fixture = fixture();
        let request = LaunchRequest { layout: Some(layout), ..request(Platform::AwsBatch) };
        let run = launch(&fixture, &request, None).unwrap().run;
        assert_eq!(run, fixture.table.stored_run(&run.id), "{layout}");
        (fixture, run)
    });
    let (fixture, run) = &plugin;
    assert_eq!(fixture.table.faults.calls(), bundle.0.table.faults.calls());
    assert_eq!(fixture.keys.faults.calls(), bundle.0.keys.faults.calls(), "each value is opened once");
    assert_eq!(fixture.target.faults.calls(), ["create_copy", "create_copy"]);
    assert_eq!(fixture.table.audit().len(), 1);

    let copies = fixture.target.copies.borrow();
    let names: Vec<_> = run.lifecycle.copies.iter().map(|copy| copy.name.clone()).collect();
    assert_eq!(names, [format!("tower-{}", run.id), format!("tower-{}.nextflow", run.id)]);
    let [bundle, store] = [&copies[&names[0]], &copies[&names[1]]];
    assert_eq!(bundle.body, r#"{"LICENCE":"licence text","TOKEN":"token text"}"#);
    assert!(store.body.starts_with(
        r#"[{"name":"LICENCE","value":"licence text"},{"name":"TOKEN","value":"token text"},{"name":"PIPELINE_SECRETS_SALT""#
    ));
    let [of_bundle, of_store] = [bundle, store]
        .map(|copy| (copy.deployment.clone(), copy.scope.clone(), copy.run.clone(), copy.not_after));
    assert_eq!(of_store, of_bundle);
    assert_eq!(of_store.0.as_deref(), Some("test"));
}

#[test]
fn a_launch_on_an_hpc_platform_opens_nothing_and_shows_a_claim_token() {
    for platform in Platform::ALL.into_iter().filter(|platform| platform.claims()) {
        let fixture = fixture();
        let Launched { run, tokens } = launch(&fixture, &request(platform), None).unwrap();
        let tokens = tokens.unwrap();
        assert!(is_run_token(&tokens.run, &run), "{platform}");
        assert!(is_claim_token(&tokens.claim.unwrap(), &run), "{platform}");
        assert_eq!(run, fixture.table.stored_run(&run.id), "{platform}");
        assert_eq!((run.lifecycle.state, run.lifecycle.delivered), (State::Pending, None), "{platform}");
        assert_eq!((run.lifecycle.secrets, run.lifecycle.copies), (pins(), Vec::new()), "{platform}");
        assert_nothing_opened(&fixture, platform.as_str());
        assert_eq!(fixture.table.faults.count("sealed_values"), 0, "{platform}: the claim reads the values");
        assert!(fixture.bus.announced.borrow().is_empty(), "{platform}: nothing was delivered yet");
    }
}

#[test]
fn a_launch_without_a_workspace_delivers_only_user_secrets() {
    let fixture = fixture();
    let request = LaunchRequest { workspace: None, ..request(Platform::AwsBatch) };
    let run = launch(&fixture, &request, None).unwrap().run;
    assert_eq!(run.lifecycle.secrets, [pin_of(&token())]);
    assert_eq!(fixture.table.audit()[0].scope, of_user());
    assert_eq!(
        fixture.table.faults.calls(),
        ["roles_of_user", "secrets", "live_runs", "begin_run", "sealed_values", "save_lifecycle"]
    );
}

#[test]
fn a_launch_without_secrets_reads_no_values_and_creates_no_copies() {
    let fixture = fixture();
    let none = Selection::These([].into());
    let secrets = SecretSelection { workspace: none.clone(), user: none, ..SecretSelection::default() };
    let run = launch(&fixture, &LaunchRequest { secrets, ..request(Platform::AwsBatch) }, None).unwrap().run;
    assert_eq!(
        (run.lifecycle.state, run.lifecycle.secrets, run.lifecycle.copies),
        (State::Pending, vec![], vec![])
    );
    assert_nothing_opened(&fixture, "no secrets");
    assert_eq!(fixture.table.faults.count("sealed_values"), 0);
}

#[test]
fn the_layout_is_the_requested_one_or_the_deployments_default() {
    let cases = [
        (None, Layout::Bundle, Layout::Bundle, 1),
        (None, Layout::PerName, Layout::PerName, 2),
        (Some(Layout::PerName), Layout::Bundle, Layout::PerName, 2),
        (Some(Layout::Bundle), Layout::PerName, Layout::Bundle, 1),
        (None, Layout::Plugin, Layout::Plugin, 2),
        (Some(Layout::Plugin), Layout::Bundle, Layout::Plugin, 2),
        (Some(Layout::PerName), Layout::Plugin, Layout::PerName, 2),
    ];
    for (layout, default_layout, expected, copies) in cases {
        let case = format!("{layout:?}, default {default_layout:?}");
        let mut fixture = fixture();
        fixture.settings.default_layout = default_layout;
        let run =
            launch(&fixture, &LaunchRequest { layout, ..request(Platform::AwsBatch) }, None).unwrap().run;
        assert_eq!(run.layout, expected, "{case}");
        assert_eq!(run.lifecycle.copies.len(), copies, "{case}");
        assert!(run.lifecycle.copies.iter().all(|copy| copy.arn.is_some()), "{case}");
        assert_eq!(fixture.target.names().len(), copies, "{case}");
    }
}
