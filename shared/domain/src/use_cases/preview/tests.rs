use super::*;
use crate::role::Role;
use crate::testing::*;
use crate::value::ValueProperties;

fn preview(fixture: &Fixture, request: &LaunchRequest) -> Result<Preview> {
    run_now(super::preview(&*fixture.table, &actor(), request, &fixture.context()))
}

fn put(fixture: &Fixture, secret: Secret) {
    fixture.table.rows.borrow_mut().secrets.insert((secret.owner, secret.id), secret);
}

/// A launcher and two workspace secrets.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_member(workspace(), actor().user, Role::Launch);
    put(&fixture, secret(of_workspace(), 1, "LICENCE"));
    put(&fixture, secret(of_workspace(), 2, "TOKEN"));
    fixture
}

fn request(platform: Platform) -> LaunchRequest {
    LaunchRequest {
        compute_env: None,
        workspace: Some(workspace_id()),
        platform,
        layout: None,
        secrets: SecretSelection::default(),
    }
}

#[test]
fn a_preview_shows_what_would_be_delivered_and_reads_names_only() {
    let fixture = fixture();
    put(&fixture, secret(of_user(), 3, "TOKEN"));
    let preview = preview(&fixture, &request(Platform::AwsBatch)).unwrap();
    let resolved: Vec<_> = preview
        .resolved
        .secrets
        .iter()
        .map(|resolved| {
            (resolved.secret.id.number(), resolved.overrides.as_ref().map(|secret| secret.id.number()))
        })
        .collect();
    assert_eq!(resolved, [(1, None), (3, Some(2))]);
    assert_eq!((preview.layout, preview.copies), (Layout::Bundle, 1));
    assert_eq!(fixture.table.faults.calls(), ["role_and_workspace", "secrets", "secrets"]);
}

#[test]
fn a_preview_counts_the_copies_of_the_layout() {
    let cases = [
        (Platform::AwsBatch, None, Layout::Bundle, 1),
        (Platform::AwsBatch, Some(Layout::Bundle), Layout::Bundle, 1),
        (Platform::AwsBatch, Some(Layout::PerName), Layout::PerName, 2),
        (Platform::AwsBatch, Some(Layout::Plugin), Layout::Plugin, 2),
        (Platform::Slurm, Some(Layout::PerName), Layout::PerName, 0),
        (Platform::Slurm, Some(Layout::Plugin), Layout::Plugin, 0),
    ];
    for (platform, layout, expected, copies) in cases {
        let case = format!("{platform} {layout:?}");
        let preview = preview(&fixture(), &LaunchRequest { layout, ..request(platform) }).unwrap();
        assert_eq!((preview.layout, preview.copies), (expected, copies), "{case}");
    }
    let mut fixture = fixture();
    fixture.settings.default_layout = Layout::PerName;
    assert_eq!(self::preview(&fixture, &request(Platform::AwsBatch)).unwrap().copies, 2);
}

#[test]
fn a_preview_warns_of_user_secrets_in_a_workspace() {
    const WARNING: &str = "can read your user secrets in this launch while the run lasts";
    let cases = [
        ("user secret, workspace", Some(workspace_id()), true, 1),
        ("user secret, no workspace", None, true, 0),
        ("workspace secrets only", Some(workspace_id()), false, 0),
    ];
    for (case, workspace, with_user_secret, warnings) in cases {
        let fixture = fixture();
        if with_user_secret {
            put(&fixture, secret(of_user(), 3, "MINE"));
        }
        let preview = preview(&fixture, &LaunchRequest { workspace, ..request(Platform::AwsBatch) }).unwrap();
        assert_eq!(preview.warnings.len(), warnings, "{case}: {:?}", preview.warnings);
        assert!(preview.warnings.iter().all(|warning| warning.contains(WARNING)), "{case}");
    }
}

/// The limit is half of what Linux allows, because a task has other environment variables. Each
/// secret counts as `NAME=value` and a NUL.
#[test]
fn a_preview_warns_of_secrets_that_may_not_fit_into_an_environment() {
    const HALF: usize = 1_048_576;
    let around = "LICENCE=".len() + "TOKEN=".len() + 2;
    for (case, total, warned) in
        [("below", HALF - 1, false), ("at the limit", HALF, false), ("above", HALF + 1, true)]
    {
        let fixture = fixture();
        let small = secret(of_workspace(), 1, "LICENCE");
        let raw_bytes = total - around - small.properties.raw_bytes;
        let large = secret(of_workspace(), 2, "TOKEN");
        put(&fixture, Secret { properties: ValueProperties { raw_bytes, ..large.properties }, ..large });
        let warnings = preview(&fixture, &request(Platform::Slurm)).unwrap().warnings;
        assert_eq!(warnings.len(), usize::from(warned), "{case}: {warnings:?}");
        if warned {
            assert!(warnings[0].starts_with("These secrets total 1048577 bytes"), "{warnings:?}");
            assert!(warnings[0].contains("allows 2097152 bytes"), "{warnings:?}");
            assert!(warnings[0].ends_with("Select fewer, or name them per task."), "{warnings:?}");
        }
    }
}

#[test]
fn a_preview_on_kubernetes_names_the_secrets_that_local_tasks_do_not_get() {
    let put_not_carried = |fixture: &Fixture, count: i64| {
        for number in 0..count {
            let mut lines = secret(of_workspace(), 100 + number, &format!("LINES_{number}"));
            lines.properties.nextflow_store = false;
            put(fixture, lines);
        }
    };
    for (platform, count, expected) in [
        (Platform::Kubernetes, 0, None),
        (Platform::AwsBatch, 1, None),
        (Platform::Kubernetes, 1, Some(" do not get these: LINES_0. Nextflow's")),
        (Platform::Kubernetes, 2, Some(" do not get these: LINES_0, LINES_1. Nextflow's")),
        (Platform::Kubernetes, 12, Some(", LINES_7 and 2 more. Nextflow's")),
    ] {
        let fixture = fixture();
        put_not_carried(&fixture, count);
        let warnings = preview(&fixture, &request(platform)).unwrap().warnings;
        assert_eq!(warnings.len(), usize::from(expected.is_some()), "{platform} {count}: {warnings:?}");
        assert!(expected.is_none_or(|text| warnings[0].contains(text)), "{platform} {count}: {warnings:?}");
    }
}

#[test]
fn a_preview_is_refused_where_the_launch_would_be() {
    type Arrange = fn(&Fixture);
    let cases: [(&str, Arrange, &str, &str); 6] = [
        ("no member", |f| f.table.rows.borrow_mut().roles.clear(), "not-found", "Not found"),
        (
            "role without the right",
            |f| f.table.put_member(workspace(), actor().user, Role::View),
            "forbidden",
            "owner, admin, maintain or launch",
        ),
        (
            "platform not allowed",
            |f| f.table.rows.borrow_mut().workspaces.get_mut(&workspace_id()).unwrap().platforms.clear(),
            "refused",
            "This workspace does not allow launches on aws-batch. A workspace owner or admin can allow the platform.",
        ),
        (
            "expired at this instant",
            |f| put(f, Secret { expires: Some(NOW), ..secret(of_workspace(), 1, "LICENCE") }),
            "refused",
            "the workspace secret LICENCE has expired",
        ),
        (
            "membership cannot be read",
            |f| f.table.faults.fail("role_and_workspace", unavailable()),
            "unavailable",
            "",
        ),
        ("secrets cannot be read", |f| f.table.faults.fail("secrets", unavailable()), "unavailable", ""),
    ];
    for (case, arrange, code, text) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let error = error_of(preview(&fixture, &request(Platform::AwsBatch)));
        assert_eq!(error.code(), code, "{case}");
        assert!(error.to_string().contains(text), "{case}: {error}");
    }
}

#[test]
fn a_preview_without_a_workspace_reads_user_secrets_alone() {
    let fixture = fixture();
    put(&fixture, secret(of_user(), 3, "MINE"));
    let request = LaunchRequest { workspace: None, ..request(Platform::AwsBatch) };
    let preview = preview(&fixture, &request).unwrap();
    let names: Vec<_> =
        preview.resolved.secrets.iter().map(|resolved| resolved.secret.name.as_str()).collect();
    assert_eq!(names, ["MINE"]);
    assert_eq!(fixture.table.faults.calls(), ["roles_of_user", "secrets"]);
}

#[test]
fn a_token_of_one_workspace_launches_only_there_and_then_also_with_user_secrets() {
    let with = |only: i64, workspace: Option<WorkspaceId>| {
        let fixture = fixture();
        put(&fixture, secret(of_user(), 3, "TOKEN"));
        let by = Actor { workspace: WorkspaceId::new(only), ..actor() };
        let request = LaunchRequest { workspace, ..request(Platform::AwsBatch) };
        run_now(super::preview(&*fixture.table, &by, &request, &fixture.context()))
            .map(|preview| preview.resolved.secrets.iter().filter(|it| it.secret.owner == of_user()).count())
            .map_err(|error| error.code())
    };
    let here = workspace_id();
    assert_eq!(with(here.number(), Some(here)), Ok(1));
    assert_eq!(with(here.number(), None), Err("token-limited"));
    assert_eq!(with(43, Some(here)), Err("token-limited"));
}
